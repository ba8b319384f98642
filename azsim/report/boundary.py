"""The picture of two knobs: where the system stays up, and where it goes down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from azsim.report.palette import BLACK, BLUE, PALE, VERMILION
from azsim.study.knob import Knob
from azsim.study.margin import Margin

WIDTH_IN, HEIGHT_IN = 7.2, 4.8


def boundary(name: str, across: Knob, drawn: Sequence[tuple[float, Margin]]) -> Figure:
    """The boundary of the second knob's margin over the first knob, the band of its bounds, and where things stand."""
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    axes = figure.add_subplot()
    up, rising = drawn[0][1].knob, drawn[0][1].rising
    ends = (up.levels[0], up.levels[-1])
    safest, riskiest = ends if rising else ends[::-1]
    x = np.array([level for level, _ in drawn])
    # A bound beyond the levels is drawn at the end of them.
    best = np.array([_or(one.bounds.best, one.bounds.high, riskiest, safest) for _, one in drawn])
    safe = np.array([safest if one.bounds.low is None else one.bounds.low for _, one in drawn])
    unsafe = np.array([riskiest if one.bounds.high is None else one.bounds.high for _, one in drawn])
    axes.fill_between(x, np.full(len(x), safest), safe, color=BLUE, alpha=0.18, lw=0, label="stays up")
    axes.fill_between(x, unsafe, np.full(len(x), riskiest), color=VERMILION, alpha=0.22, lw=0, label="goes down")
    axes.fill_between(x, safe, unsafe, color=PALE, lw=0, label=f"not told apart ({drawn[0][1].confidence:.0%})")
    axes.plot(x, best, color=BLACK, marker="o", ms=4, label=f"P(down) = {drawn[0][1].p:.0%}")
    if across.levels[0] <= across.value <= across.levels[-1] and ends[0] <= up.value <= ends[1]:
        axes.plot([across.value], [up.value], color=BLACK, marker="*", ms=13, ls="none", label="as it stands")
    _scaled(axes, across, up)
    axes.set_title(name, loc="left", fontweight="bold")
    axes.legend(loc="best", frameon=True, framealpha=0.9, fontsize="small")
    return figure


def _or(best: float | None, high: float | None, riskiest: float, safest: float) -> float:
    if best is not None:
        return best
    return riskiest if high is None else safest


def _scaled(axes: Axes, across: Knob, up: Knob) -> None:
    for knob, axis, scale in ((across, axes.xaxis, axes.set_xscale), (up, axes.yaxis, axes.set_yscale)):
        if knob.levels[0] > 0 and knob.levels[-1] / knob.levels[0] > 10:
            scale("log")
        axis.set_major_formatter(FuncFormatter(lambda value, _, knob=knob: knob.shown(value)))
        axis.set_label_text(knob.path)
    axes.set_xlim(across.levels[0], across.levels[-1])
    axes.set_ylim(up.levels[0], up.levels[-1])
