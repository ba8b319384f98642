"""What tuning found: the front as a table and as a picture."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azsim.report.palette import BLACK, BLUE, GREY, VERMILION
from azsim.report.study import percent
from azsim.study.tuning import Trial, Tuning


def table(found: Tuning, outputs: list[str]) -> RenderableType:
    """The scenario as it stands, the front, the choice and its confirmation."""
    grid = Table.grid(padding=(0, 2))
    for number in range(3 + len(found.choices)):
        grid.add_column(justify="right" if number else "left")
    paths = (one.path.rpartition(".")[2] if _told_apart(found) else one.path for one in found.choices)
    heads = ("", "cores", "P(down)", "failed", *paths)
    grid.add_row(*(Text(head, style="bold") for head in heads))
    grid.add_row("as it stands", *_cells(found, found.trials[0]))
    for one in found.front:
        grid.add_row("chosen" if one is found.chosen else "", *_cells(found, one))
    return Group(Text(found.scenario.name, style="bold"), Text(), grid, Text(), *(map(Text, _told(found, outputs))))


def _told_apart(found: Tuning) -> bool:
    last = [one.path.rpartition(".")[2] for one in found.choices]
    return len(set(last)) == len(last)


def _cells(found: Tuning, one: Trial) -> list[str]:
    values = [str(one.settings.get(choice.path, "")) for choice in found.choices]
    return [f"{one.cost:g}", percent(one.down), percent(one.failed), *values]


def _told(found: Tuning, outputs: list[str]) -> Iterator[str]:
    yield f"{len(found.trials)} settings, each on the same {found.replicates} replicates."
    yield (
        f"On {found.fresh_replicates} fresh replicates: P(down) {percent(found.fresh.best)} "
        f"({percent(found.fresh.low)} to {percent(found.fresh.high)}); as it stands {percent(found.fresh_before.best)}."
    )
    if found.fresh.low is not None and found.fresh.low > found.chosen.down:
        yield "The choice fares worse on fresh replicates: it was luck. Give more --replicates."
    if outputs:
        yield f"FILES  {'  '.join(outputs)}"


def picture(found: Tuning) -> Figure:
    """Every setting by cost and loss, the front through the best of them."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([one.cost for one in found.trials], [one.loss for one in found.trials], "o", color=GREY, ms=4, alpha=0.6)
    front = sorted(found.front, key=lambda one: one.cost)
    axes.plot([one.cost for one in front], [one.loss for one in front], "-o", color=BLUE, ms=5, label="Pareto front")
    stands = found.trials[0]
    axes.plot([stands.cost], [stands.loss], "s", color=VERMILION, ms=8, ls="none", label="as it stands")
    axes.plot([found.chosen.cost], [found.chosen.loss], "*", color=BLACK, ms=13, ls="none", label="chosen")
    axes.set_xlabel("cores")
    axes.set_ylabel("P(down) + share of requests that fail")
    axes.set_ylim(bottom=0)
    axes.set_title(f"{found.scenario.name}: what keeps it up, and its cost", loc="left", fontweight="bold")
    axes.legend()
    return figure
