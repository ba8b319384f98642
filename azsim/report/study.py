"""What a study found, as tables in the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azsim.study.intervals import Interval
from azsim.study.rare import Rare
from azsim.study.study import QUANTILES, Study, Summary

_TITLES: Final = {
    "goodput_per_s": "goodput /s",
    "time_to_recover_s": "recovery s",
    "headroom_min": "least headroom",
}
_ENDS: Final = {
    "events": "enough systems went down",
    "width": "the interval is narrow enough",
    "time": "the time is over",
    "replicates": "all replicates are made",
}


def sheet(study: Study) -> RenderableType:
    """Probabilities and quantiles of every case, then how to read them."""
    parts: list[RenderableType] = []
    for case, one in zip(study.cases, study.summaries, strict=True):
        title = Text(case.scenario.name, style="bold")
        told = [*one.labels.values(), *(f"{path} = {value}" for path, value in one.settings.items())]
        parts += [title.append("   ".join(["", *told, f"{one.replicates} replicates"]), style="not bold")]
        parts += [_probabilities(one), _quantiles(one), Text()]
    return Group(*parts, *(Text(line) for line in _how(study)))


def rare_sheet(found: Rare) -> RenderableType:
    """A small probability, and where what varies was drawn."""
    grid = Table.grid(padding=(0, 2))
    grid.add_row(*(Text(head, style="bold") for head in ("drawn between", "10%", "50%", "90%")))
    for one in found.tilts:
        grid.add_row(one.path, *(str(value) for value in (one.low, one.middle, one.high)))
    p = f"P(down) {_small(found.down.best)} ({_small(found.down.low)} to {_small(found.down.high)})"
    worth = "" if found.reduction is None else f", worth {found.reduction * found.replicates:.3g} plain ones"
    return Group(
        Text(found.scenario, style="bold"),
        Text(p),
        Text(),
        grid,
        Text(),
        Text(f"{found.seen} of the last {found.replicates} runs went down{worth}; {found.runs} runs in all."),
        Text(
            f"Bounds with {found.confidence:.0%}. What goes wrong elsewhere than where it was looked for may be missed."
        ),
    )


def _small(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"


def _probabilities(one: Summary) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=22)
    table.add_column(justify="right", min_width=7)
    for name, found in {**one.verdicts, "down": one.down, "hypothesis held": one.held}.items():
        table.add_row(f"P({name})", percent(found.best), f"{percent(found.low)} to {percent(found.high)}")
    return table


def _quantiles(one: Summary) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=22)
    for _ in QUANTILES:
        table.add_column(justify="right", no_wrap=True)
    table.add_row("", *(Text(f"{q:.0%}", style="bold") for q in QUANTILES))
    for name, found in one.quantiles.items():
        shown = percent if name == "headroom_min" else _number
        endless = {"time_to_recover_s": "never", "headroom_min": "no capacity"}.get(name, "-")
        cells = [between(found[q], shown, endless) for q in QUANTILES]
        silent = one.silent[name]
        table.add_row(_TITLES[name] + (f" ({silent} none)" if silent else ""), *cells)
    return table


def between(found: Interval, shown: Callable[[float | None], str], endless: str = "-") -> str:
    """`862 (861 to 863)`; `endless` stands for what no number says."""
    best = endless if found.best is None else shown(found.best)
    return f"{best} ({_bound(found.low, shown)} to {_bound(found.high, shown)})"


def _bound(value: float | None, shown: Callable[[float | None], str]) -> str:
    return "?" if value is None else shown(value)


def percent(value: float | None) -> str:
    """`4.2%`, with another digit where it is small."""
    if value is None:
        return "-"
    return f"{100 * value:.{1 if abs(value) >= 0.01 or not value else 2}f}%"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 or value == math.floor(value) else f"{value:.3g}"


def _how(study: Study) -> Iterator[str]:
    yield f"Stopped: {_ENDS[study.stopped]}; {study.ran} runs were made, the others were in the store."
    yield f"Intervals hold with {study.confidence:.0%}, each by itself, a question mark stands for no bound."
    if study.until.sequential:
        yield "They allow for having stopped when the results said so (a confidence sequence); fixed ones are narrower."
    if study.sampling != "random" and any(case.sampler.paths for case in study.cases):
        yield f"Values were drawn by {study.sampling}, which the intervals do not count on: they err on the wide side."
