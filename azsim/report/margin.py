"""Margins in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azsim.report.study import percent
from azsim.study.knob import Knob
from azsim.study.margin import Margin


def margins(name: str, found: Sequence[Margin], bands: Mapping[str, Margin]) -> RenderableType:
    """Each margin in a few lines."""
    parts: list[RenderableType] = [Text(name, style="bold")]
    for one in found:
        parts += [Text(), Text(one.knob.path, style="bold")]
        parts += [Text(line) for line in told(one)]
        band = bands.get(one.knob.path)
        if band is not None:
            parts += [Text(line) for line in band_told(one, band)]
    return Group(*parts)


def told(one: Margin) -> Iterator[str]:
    """A margin in words: how far, how sure, and on what it rests."""
    knob, bounds = one.knob, one.bounds
    here, often = knob.shown(knob.value), f"P(down) <= {percent(one.p)}"
    first, last = (knob.levels[0], knob.levels[-1]) if one.rising else (knob.levels[-1], knob.levels[0])
    span = f"{knob.shown(first)} to {knob.shown(last)}"
    if bounds.low is None and bounds.best is None and bounds.high is None:
        yield f"No boundary: {often} at every level from {span}; it stands at {here}."
    elif bounds.best is None and bounds.low is None:
        yield f"Nowhere safe: {often} fails at every level from {span}; it stands at {here}."
    else:
        best = "beyond reach" if bounds.best is None else knob.shown(bounds.best)
        yield f"{_turned(one)}: {often} up to {best}; it stands at {here}."
        low = "below all levels" if bounds.low is None else knob.shown(bounds.low)
        high = "beyond all levels" if bounds.high is None else knob.shown(bounds.high)
        sure = f"{one.confidence:.0%}"
        yield f"Safe to {low}, unsafe from {high} (with {sure}, {one.replicates} replicates, {one.runs} runs)."
    if one.fresh is not None and one.bounds.low is not None:
        low, high = percent(one.fresh.low), percent(one.fresh.high)
        yield (
            f"Fresh replicates at {knob.shown(one.bounds.low)}: P(down) {percent(one.fresh.best)} ({low} to {high})."
        )
    if one.contradictions:
        yield (
            f"Beware: {one.contradictions} of {one.audited} replicates go down at a safer level than one at which they "
            "stay up; it is not a matter of the level alone."
        )


def _turned(one: Margin) -> str:
    share = one.share
    if share is None:
        return "Margin"
    if (share >= 0) == one.rising:
        return f"Margin {abs(share):.1%}"
    return f"No margin, {abs(share):.1%} too far already"


def band_told(one: Margin, calm: Margin) -> Iterator[str]:
    """The bistable band: from where the trigger tips the system to where it falls by itself."""
    knob = one.knob
    if one.bounds.best is None and one.bounds.low is None:
        return
    lower = knob.levels[0] if one.bounds.best is None else one.bounds.best
    if calm.bounds.best is None:
        yield f"Without its faults it stays up at all levels: above {knob.shown(lower)} the faults alone decide."
    elif calm.bounds.best > lower:
        yield (
            f"Without its faults it stays up to {knob.shown(calm.bounds.best)}: from {knob.shown(lower)} to there the "
            "same load is served or not, and what happened before decides which (bistable)."
        )
    else:
        yield "Without its faults it goes no further: it is the load, not the faults, that brings it down."


def points(across: Knob, drawn: Sequence[tuple[float, Margin]], picture: str) -> RenderableType:
    """The boundary as a table, and where its picture is."""
    table = Table.grid(padding=(0, 3))
    first = drawn[0][1]
    table.add_row(*(Text(text, style="bold") for text in (across.path, f"{first.knob.path} up to", "safe", "unsafe")))
    for level, one in drawn:
        cells = [one.bounds.best, one.bounds.low, one.bounds.high]
        table.add_row(across.shown(level), *("-" if cell is None else one.knob.shown(cell) for cell in cells))
    often = f"P(down) <= {percent(first.p)}, {first.replicates} replicates, bounds with {first.confidence:.0%}"
    return Group(table, Text(often), Text(f"FILES  {picture}"))
