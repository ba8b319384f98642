"""A comparison as a table, and what pairing the runs was worth."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azsim.report.study import percent
from azsim.study.compare import Comparison
from azsim.study.intervals import Interval

_SHARES = frozenset(("success", "wasted_share", "headroom_min"))


def table(found: Comparison) -> RenderableType:
    """Both scenarios, their difference with its bounds, and the variance that pairs save."""
    grid = Table.grid(padding=(0, 2))
    for number in range(5):
        grid.add_column(justify="right" if number else "left", no_wrap=True)
    grid.add_row(*(Text(head, style="bold") for head in ("", "first", "second", "second - first", "pairs save")))
    first, second = found.down
    grid.add_row("P(down)", percent(first.best), percent(second.best), _between(found.down_difference, True), "")
    for name, one in found.differences.items():
        share = name in _SHARES
        cells = (_cell(one.first, share), _cell(one.second, share), _between(one.difference, share))
        grid.add_row(name, *cells, "" if one.reduction is None else f"{one.reduction:.1f} x")
    only_first, only_second = found.disagreements
    n = len(found.rows[0])
    return Group(
        Text(f"first   {found.names[0]}"),
        Text(f"second  {found.names[1]}"),
        Text(),
        grid,
        Text(),
        Text(f"{n} pairs on the same random numbers; in {only_first} only the first goes down, in {only_second} only"),
        Text(f"the second. Bounds with {found.confidence:.0%}, each by itself. Independent runs would take that many"),
        Text("times as many replicates for the same error as the last column says."),
    )


def _between(one: Interval, share: bool) -> str:
    return f"{_cell(one.best, share)} ({_cell(one.low, share)} to {_cell(one.high, share)})"


def _cell(value: float | None, share: bool) -> str:
    if value is None:
        return "?"
    return percent(value) if share else f"{value:.4g}"
