"""How well distributions fit measured times: a table, and quantiles against quantiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azsim.report import words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from azsim.calibration.calibrate import Calibration
    from azsim.calibration.fitting import Fits

_POINTS = 400
_SHOWN = (0.05, 0.5, 0.9, 0.99, 0.999)  # as wide as a terminal is


def told(found: Calibration) -> RenderableType:
    """The calibration in words and tables."""
    seen = found.observed
    parts: list[RenderableType] = []
    if seen.requests:
        line = f"{words.count(seen.requests)} requests, {words.count(seen.failed)} failed"
        if seen.unreadable:
            line += f", {words.count(seen.unreadable)} lines unreadable"
        parts.append(Text(line))
    if found.profile is not None:
        shape = found.profile
        parts.append(
            Text(
                f"{words.seconds(shape.duration_s)}: {words.rate(shape.mean_per_s)} on average, "
                f"{words.rate(shape.peak_per_s)} at the peak, {len(shape.steps)} steps"
            )
        )
    if found.waiting is not None and found.waiting.seen:
        parts.append(
            Text(
                f"latencies grow with the load ({words.seconds(found.waiting.quiet_s)} to "
                f"{words.seconds(found.waiting.busy_s)} in the median): only quiet seconds are fitted",
                style="bold yellow",
            )
        )
    if found.fits is not None and found.fits.measured_s:
        parts += [Text(), _table(found.fits)]
    return Group(*parts)


def _table(fits: Fits) -> Table:
    from azsim.calibration.fitting import PROBABILITIES

    table = Table.grid(padding=(0, 2, 0, 0))
    shown = [number for number, level in enumerate(PROBABILITIES) if level in _SHOWN]
    names = ["", "distance", "mean", *(f"p{100 * PROBABILITIES[number]:g}" for number in shown)]
    for position, _ in enumerate(names):
        table.add_column(justify="right" if position else "left", no_wrap=True)
    table.add_row(*(Text(name, style="bold") for name in names))
    table.add_row(
        "measured", "", words.seconds(fits.mean_s), *(words.seconds(fits.measured_s[number]) for number in shown)
    )
    for fit in fits.fits:
        style = "bold" if fit is fits.best else ""
        cells = [fit.distribution, f"{fit.distance:.3f}", words.seconds(fit.mean_s)]
        cells += [words.seconds(fit.quantiles_s[number]) for number in shown]
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def quantiles(fits: Fits) -> Figure:
    """Quantiles of each fit over those measured, both logarithmic: a good fit lies on the diagonal."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    from azsim.report.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

    levels = (np.arange(_POINTS) + 0.5) / _POINTS
    measured = np.quantile(fits.smooth_s, levels)
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(measured, measured, color=GREY, lw=1, label="as measured")
    for fit, colour in zip(fits.fits, (BLUE, ORANGE, GREEN, PURPLE, VERMILION), strict=False):
        if fit.spread is not None:
            label = f"{fit.distribution} (distance {fit.distance:.3f})"
            axes.plot(measured, fit.spread.ppf(levels), color=colour, lw=1.4, label=label)
    axes.set(xscale="log", yscale="log", xlabel="measured", ylabel="fitted", title="Quantiles of the work")
    low, high = float(measured[0]), float(measured[-1])
    axes.set_ylim(low / 2, high * 2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: words.seconds(value)))
        axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axes.legend(frameon=False)
    return figure
