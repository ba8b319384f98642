"""What brings a system down: a table, a sentence, a picture."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azsim.report.palette import BLACK, BLUE, VERMILION
from azsim.report.study import percent
from azsim.study.explain import Explanation, Part


def table(found: Explanation) -> RenderableType:
    """Every mechanism's and every fault's part, then what follows."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    heads = ("P(down)", "without", "alone", "its share", "")
    grid.add_row(*(Text(head, style="bold") for head in heads))
    for part in found.parts:
        alone = "" if part.down_alone is None else percent(part.down_alone)
        grid.add_row(part.name, percent(part.down_without), alone, _share(part), _words(part))
    title = Text(found.scenario, style="bold").append(
        f"   {percent(found.down)} of {found.replicates} replicates go down", style="not bold"
    )
    return Group(title, Text(), grid, Text(), *(Text(line) for line in _told(found)))


def _share(part: Part) -> str:
    if part.shapley is None:
        return ""
    low, high = part.shapley.low, part.shapley.high
    bounds = "" if low is None or high is None or low == high else f" ({percent(low)} to {percent(high)})"
    return f"{percent(part.shapley.best)}{bounds}"


def _words(part: Part) -> str:
    words = ["necessary"] * part.necessary + ["sufficient"] * part.sufficient
    if not words and part.shapley is not None and (part.shapley.best or 0.0) < 0:
        words = ["protects"]
    return ", ".join(words)


def _told(found: Explanation) -> Iterator[str]:
    if found.cures:
        cures = " - or ".join(" and ".join(cure) for cure in found.cures)
        yield f"Smallest cure: without {cures}."
    else:
        yield "No cure: it goes down whatever is switched off. Look at the capacity (azsim validate)."
    if found.down_bare:
        yield f"With every mechanism switched off {percent(found.down_bare)} still go down."
    how = "all combinations" if found.exact else "drawn orders, each forwards and backwards"
    yield f"Its share is its Shapley value over {how}, with {found.confidence:.0%} bounds; {found.runs} runs."


def picture(found: Explanation) -> Figure:
    """The mechanisms' shares of P(down) as bars with their bounds."""
    parts = [part for part in found.parts if part.shapley is not None][::-1]
    figure = Figure(figsize=(7.2, 1.2 + 0.34 * len(parts)), layout="constrained")
    axes = figure.add_subplot()
    for y, part in enumerate(parts):
        assert part.shapley is not None
        best = part.shapley.best or 0.0
        axes.barh(y, best, color=VERMILION if best > 0 else BLUE, height=0.6)
        if part.shapley.low is not None and part.shapley.high is not None:
            axes.plot([part.shapley.low, part.shapley.high], [y, y], color=BLACK, lw=1.2)
    axes.axvline(0, color=BLACK, lw=0.8)
    axes.set_yticks(range(len(parts)), [f"{part.name}{' *' * part.necessary}" for part in parts])
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
    axes.set_xlabel("share of P(down); * necessary; left of zero it keeps the system up")
    axes.set_title(f"{found.scenario}: what brings it down", loc="left", fontweight="bold")
    return figure
