"""A survey of hazards: the STPA table, and the same as a heat-map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azsim.base.units import format_duration
from azsim.policy.hazards import CATALOGUE, WIRES
from azsim.report.palette import BLACK
from azsim.report.study import percent
from azsim.study.hazards import Finding, Survey


def sheet(survey: Survey) -> RenderableType:
    """The tables, worst first, and how to read them."""
    parts: list[RenderableType] = [Text(survey.scenario.name, style="bold"), _table(survey.singles)]
    if survey.pairs:
        parts += [Text(), Text("Two at once, of the worst", style="bold"), _table(survey.pairs)]
    return Group(*parts, Text(), *(Text(line) for line in _how(survey)))


def _table(findings: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 1))
    titles = ("controller", "wire", "hazard", "verdict", "goodput", "P(collapse)", "P(down)")
    for title in titles:
        table.add_column(justify="right" if title in titles[4:] else "left", no_wrap=True)
    table.add_row(*(Text(title, style="bold") for title in titles))
    for one in findings:
        for number, spot in enumerate(one.spots):
            last = number == len(one.spots) - 1
            change = one.goodput_change.best
            figures = (
                one.verdict,
                "-" if change is None else f"{round(100 * change, 1) + 0.0:+.1f}%",
                f"{one.collapse.best or 0:.0%} ({100 * (one.collapse.low or 0):.0f} to {one.collapse.high or 0:.0%})",
                f"{one.down.best or 0:.0%}",
            )
            table.add_row(spot.controller, spot.wire, spot.hazard, *(figures if last else ("", "", "", "")))
    return table


def _how(survey: Survey) -> Iterator[str]:
    until = "the end" if survey.for_ns is None else f"{format_duration(survey.for_ns)} later"
    yield (
        f"Each hazard lasts from {format_duration(survey.at_ns)} to {until}, at its default size; goodput is compared "
        "with the same replicate without it."
    )
    yield (
        f"Without: {survey.without.verdict}, P(collapse) {percent(survey.without.collapse.best)}. {survey.replicates} "
        f"replicates; verdicts are the worst of them, intervals hold with {survey.confidence:.0%} each by itself."
    )


def heat_map(survey: Survey) -> Figure:
    """Controllers down, hazards across, the change of goodput as colour; a ring where it went down at all."""
    controllers = sorted({one.spots[0].controller for one in survey.singles})
    place = {hazard.key: column for column, hazard in enumerate(CATALOGUE)}
    changes = np.zeros((len(controllers), len(CATALOGUE)))
    rings: list[tuple[int, int]] = []
    for one in survey.singles:
        (spot,) = one.spots
        row, column = controllers.index(spot.controller), place[spot.wire, spot.hazard]  # type: ignore[index]
        changes[row, column] = 100 * (one.goodput_change.best or 0.0)
        if one.down.best:
            rings.append((column, row))
    figure = Figure(figsize=(11.0, 2.9 + 0.4 * len(controllers)), layout="constrained")
    axes = figure.add_subplot()
    worst = max(1.0, float(np.abs(changes).max()))
    image = axes.imshow(changes, cmap="RdBu", vmin=-worst, vmax=worst, aspect="auto")
    if rings:
        axes.plot(*zip(*rings, strict=True), ls="none", marker="o", ms=9, mfc="none", mec=BLACK, label="goes down")
        figure.legend(loc="outside upper right", frameon=False)
    axes.set_yticks(range(len(controllers)), controllers)
    axes.set_xticks(range(len(CATALOGUE)), [one.name for one in CATALOGUE], rotation=60, ha="right", fontsize="small")
    first = 0
    for wire in WIRES:
        many = sum(one.wire == wire for one in CATALOGUE)
        axes.text(first + (many - 1) / 2, -0.65, wire, ha="center", va="bottom", fontweight="bold")
        if first:
            axes.axvline(first - 0.5, color=BLACK, lw=1)
        first += many
    figure.colorbar(image, ax=axes, label="goodput, change in %", fraction=0.03)
    figure.suptitle(
        f"{survey.scenario.name}: hazards on the wires of controllers", x=0.01, ha="left", fontsize="medium"
    )
    return figure
