"""Pictures in a page: curves over the time of a run, drawn as SVG that stretches, with the words around it as text.

The SVG holds shapes alone and is stretched to the width there is; ticks, names and values are text beside it, so that
they stay readable on any screen. What is drawn stands again as numbers in `Drawn.data`, for who points at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from markupsafe import Markup

from azsim.report import words
from azsim.report.axes import Floats, linear_ticks, log_ticks, stride, thinned, time_step_s
from azsim.report.spans import Mark, Span, broken_spans, end_s, fault_spans, marks

WIDTH: Final = 1000  # of a drawing, in its own units; the page stretches it
HEIGHT: Final = 240
STEPS_MAX: Final = 4  # of a linear axis
TIME_STEPS_MAX: Final = 6  # so that the times fit on a phone
DIGITS: Final = 4  # of a value that a reader points at

Form = Literal["count", "rate", "seconds", "percent", "ratio"]


@dataclass(frozen=True, slots=True)
class Curve:
    """Values over time: a line; an area from 0; or a layer on top of the layers before it.

    `colour` is a name in the style sheet; `values` has a number for each point of the axis, NaN where there is none.
    """

    name: str
    colour: str
    values: Floats
    kind: Literal["line", "area", "layer"] = "line"
    dash: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A level across the whole plot."""

    name: str
    colour: str
    value: float


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves in one frame. `top` is the least upper end of a linear axis; `note` says what is seen."""

    title: str
    form: Form
    curves: Sequence[Curve]
    log: bool = False
    top: float = 0.0
    limits: Sequence[Limit] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of `Lanes`: areas from 0 to 1, later ones painted over earlier ones, and the number a reader sees."""

    name: str
    areas: Sequence[tuple[str, Floats]]  # colour and upper edge, the highest first
    values: Floats


@dataclass(frozen=True, slots=True)
class Lanes:
    """Rows over the same time, each filled to a share; `legend` explains the colours."""

    title: str
    lanes: Sequence[Lane]
    legend: Sequence[tuple[str, str]]  # colour, name
    note: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a legend; `value` is the number of the curve whose value it shows, None where it shows none."""

    name: str
    colour: str
    kind: str
    dash: str = ""
    value: int | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the template of a plot shows; positions are percentages from the left and from the top."""

    title: str
    note: str
    described: str
    svg: Markup
    y_ticks: Sequence[tuple[float, str]]
    rows: Sequence[str]
    legend: Sequence[Key]
    data: Mapping[str, Any]


class TimeAxis:
    """The time that all plots of a page share, and what happened on it."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        seconds = facts["timeline"]["t_s"]
        self.stride = stride(len(seconds))
        self.start_s, self.end_s = float(seconds[0]), end_s(facts)
        self.points = -(-len(seconds) // self.stride)
        self.faults: list[Span] = fault_spans(facts)
        self.broken: list[Span] = broken_spans(facts)
        self.marks: list[Mark] = marks(facts)

    @property
    def unit(self) -> str:
        """What a point is: `per second`, or `per second, mean of 2 s`."""
        return "per second" if self.stride == 1 else f"per second, mean of {self.stride} s"

    def at(self, t_s: float) -> float:
        """The position of an instant, in percent from the left."""
        return round(100 * (t_s - self.start_s) / (self.end_s - self.start_s), 3)

    def ticks(self) -> list[tuple[float, str]]:
        """Position and text of each tick."""
        step_s = time_step_s(self.end_s - self.start_s, TIME_STEPS_MAX)
        first = -(-int(self.start_s) // step_s) * step_s
        return [(self.at(t_s), words.clock(t_s)) for t_s in range(first, int(self.end_s) + 1, step_s)]

    def mean(self, values: Sequence[float | None]) -> Floats:
        """A point for every `stride` seconds: their mean."""
        return thinned(values, self.stride, np.nanmean)

    def worst(self, values: Sequence[float | None]) -> Floats:
        """A point for every `stride` seconds: the largest."""
        return thinned(values, self.stride, np.nanmax)

    def clock(self, point: int) -> str:
        """When a point begins."""
        return words.clock(self.start_s + point * self.stride)

    def data(self) -> dict[str, float]:
        """What a script needs to turn a position into a point and back."""
        return {"start_s": self.start_s, "end_s": self.end_s, "stride_s": self.stride, "points": self.points}


def drawn(plot: Plot | Lanes, axis: TimeAxis) -> Drawn:
    """A plot as the page shows it."""
    return _lanes(plot, axis) if isinstance(plot, Lanes) else _Frame(plot, axis).drawn()


def told(form: Form, value: float) -> str:
    """A value of a plot as people read it."""
    if not np.isfinite(value):
        return words.MISSING
    match form:
        case "seconds":
            return words.seconds(value)
        case "percent":
            return words.percent(value)
        case "ratio":
            return f"{value:.2f}"
        case "rate":
            return words.rate(value)
        case "count":
            return words.count(value)


class _Frame:
    """One plot on its axes."""

    def __init__(self, plot: Plot, axis: TimeAxis) -> None:
        self.plot, self.axis = plot, axis
        tops = [*_edges(plot.curves).values(), *(np.array([limit.value]) for limit in plot.limits)]
        known = np.concatenate([top[np.isfinite(top)] for top in tops]) if tops else np.array([])
        if plot.log:
            known = known[known > 0]
            self.low = float(known.min()) / 1.4 if known.size else 1e-3
            self.high = float(known.max()) * 1.4 if known.size else 1.0
            self.ticks = log_ticks(self.low, self.high)
        else:
            self.low, self.high = 0.0, max(plot.top, 1.06 * float(known.max(initial=0.0))) or 1.0
            self.ticks = linear_ticks(self.high, STEPS_MAX)

    def y(self, values: Floats) -> Floats:
        """Heights in the drawing, from its top."""
        if self.plot.log:
            with np.errstate(invalid="ignore", divide="ignore"):
                share = np.log(values / self.low) / np.log(self.high / self.low)
        else:
            share = values / self.high
        heights: Floats = HEIGHT * (1 - np.clip(share, -0.02, 1.0))
        return heights

    def drawn(self) -> Drawn:
        plot, axis = self.plot, self.axis
        x: Floats = np.linspace(0.5, axis.points - 0.5, axis.points) * (
            axis.stride * WIDTH / (axis.end_s - axis.start_s)
        )
        shapes = [_background(axis)]
        heights = [float(self.y(np.array([tick]))[0]) for tick in self.ticks]
        shapes += [f'<path class="grid" d="M0 {y:.1f}H{WIDTH}"/>' for y in heights]
        base: Floats = np.zeros(axis.points)
        for curve in plot.curves:
            if curve.kind == "line":
                dash = f' stroke-dasharray="{curve.dash}"' if curve.dash else ""
                path = _line(x, self.y(curve.values))
                shapes.append(f'<path class="line s-{curve.colour}"{dash} d="{path}"/>')
                continue
            low: Floats = base if curve.kind == "layer" else np.zeros(axis.points)
            top: Floats = np.add(low, np.nan_to_num(curve.values))
            if curve.kind == "layer":
                base = top
            shapes.append(f'<path class="{curve.kind} f-{curve.colour}" d="{_area(x, self.y(top), self.y(low))}"/>')
        for limit in plot.limits:
            y = float(self.y(np.array([limit.value]))[0])
            shapes.append(f'<path class="limit s-{limit.colour}" d="M0 {y:.1f}H{WIDTH}"/>')
        shapes += _marks(axis)
        legend = [
            Key(curve.name, curve.colour, curve.kind, curve.dash, number) for number, curve in enumerate(plot.curves)
        ]
        legend += [Key(f"{one.name} {told(plot.form, one.value)}", one.colour, "limit") for one in plot.limits]
        return Drawn(
            plot.title,
            plot.note,
            " ".join(_described(curve, plot.form, axis) for curve in plot.curves),
            Markup("".join(shapes)),
            [(round(100 * y / HEIGHT, 2), told(plot.form, tick)) for y, tick in zip(heights, self.ticks, strict=True)],
            (),
            legend,
            {"form": plot.form, "values": [_numbers(curve.values) for curve in plot.curves]},
        )


def _edges(curves: Sequence[Curve]) -> dict[str, Floats]:
    """The upper edge of each curve, by name: layers stand on the ones before them."""
    found: dict[str, Floats] = {}
    base: Floats = np.zeros(1)
    for curve in curves:
        if curve.kind == "layer":
            base = base + np.nan_to_num(curve.values)
            found[curve.name] = base
        else:
            found[curve.name] = curve.values
    return found


def _lanes(plot: Lanes, axis: TimeAxis) -> Drawn:
    room = HEIGHT / len(plot.lanes)
    height = room - min(6.0, room / 5)
    edges = np.append(np.arange(axis.points) * axis.stride, axis.end_s - axis.start_s)
    x: Floats = np.repeat(edges / (axis.end_s - axis.start_s) * WIDTH, 2)[1:-1]
    shapes, said = [_background(axis)], []
    for number, lane in enumerate(plot.lanes):
        floor = (number + 0.5) * room + height / 2
        shapes.append(f'<path class="lane" d="M0 {floor:.1f}v-{height:.1f}h{WIDTH}v{height:.1f}Z"/>')
        for colour, upper in lane.areas:
            top: Floats = floor - height * np.repeat(np.nan_to_num(upper), 2)
            shapes.append(f'<path class="layer f-{colour}" d="{_area(x, top, np.full(len(x), floor))}"/>')
        said.append(_described(Curve(lane.name, "", lane.values), "count", axis))
    legend = [Key(name, colour, "layer") for colour, name in plot.legend]
    legend += [Key(lane.name, "", "number", value=number) for number, lane in enumerate(plot.lanes)]
    return Drawn(
        plot.title,
        plot.note,
        " ".join(said),
        Markup("".join([*shapes, *_marks(axis)])),
        [(round(100 * (number + 0.5) / len(plot.lanes), 2), lane.name) for number, lane in enumerate(plot.lanes)],
        [lane.name for lane in plot.lanes],
        legend,
        {"form": "count", "values": [_numbers(lane.values) for lane in plot.lanes]},
    )


def _background(axis: TimeAxis) -> str:
    return "".join(
        f'<rect class="fault" x="{10 * axis.at(span.start_s):.1f}" y="0" '
        f'width="{10 * (axis.at(span.end_s) - axis.at(span.start_s)):.1f}" height="{HEIGHT}"/>'
        for span in axis.faults
    )


def _marks(axis: TimeAxis) -> list[str]:
    return [f'<path class="mark s-{mark.kind}" d="M{10 * axis.at(mark.t_s):.1f} 0V{HEIGHT}"/>' for mark in axis.marks]


def _line(x: Floats, y: Floats) -> str:
    """The path through the points that exist; one that stands alone is a short dash."""
    parts: list[str] = []
    known = np.isfinite(y)
    for number in np.flatnonzero(known):
        alone = (number == 0 or not known[number - 1]) and (number + 1 == len(y) or not known[number + 1])
        begins = number == 0 or not known[number - 1]
        parts.append(f"{'M' if begins else 'L'}{x[number]:.1f} {y[number]:.1f}")
        if alone:
            parts.append("h1")
    return "".join(parts)


def _area(x: Floats, top: Floats, bottom: Floats) -> str:
    """The closed path along `top` and back along `bottom`; points in the middle of a level stretch are left out."""
    there = "L".join(f"{a:.1f} {b:.1f}" for a, b in _corners(x, top))
    back = "L".join(f"{a:.1f} {b:.1f}" for a, b in reversed(_corners(x, bottom)))
    return f"M{there}L{back}Z"


def _corners(x: Floats, y: Floats) -> list[tuple[float, float]]:
    level = (np.diff(y, prepend=np.nan) == 0) & (np.diff(y, append=np.nan) == 0)
    return list(zip(x[~level].tolist(), y[~level].tolist(), strict=True))


def _described(curve: Curve, form: Form, axis: TimeAxis) -> str:
    """A curve in a sentence, for those who do not see it."""
    if not np.isfinite(curve.values).any():
        return f"{curve.name}: no value."
    low, high = int(np.nanargmin(curve.values)), int(np.nanargmax(curve.values))
    least, most = told(form, float(curve.values[low])), told(form, float(curve.values[high]))
    if least == most:
        return f"{curve.name}: {most} throughout."
    return f"{curve.name}: lowest {least} at {axis.clock(low)}, highest {most} at {axis.clock(high)}."


def _numbers(values: Floats) -> list[float | int | None]:
    """Values with `DIGITS` digits, whole ones without a point."""
    found: list[float | int | None] = []
    for value in values.tolist():
        if not np.isfinite(value):
            found.append(None)
            continue
        short = float(f"{value:.{DIGITS}g}")
        found.append(int(short) if short.is_integer() else short)
    return found
