"""The page of two runs beside each other, or of one run beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from azsim.report import words
from azsim.report.axes import Floats
from azsim.report.document import Block, Page, Prose, Section, Table
from azsim.report.plots import Curve, Form, Plot, TimeAxis
from azsim.report.spans import fault_spans

if TYPE_CHECKING:
    from azsim.calibration.measured import Misfit
    from azsim.scenario import Scenario

_COLOURS: Final = (("blue", ""), ("vermilion", "7 3"))
_PLOTS: Final[Sequence[tuple[str, str, Form, bool]]] = (
    ("attempts", "Attempts per second", "count", False),
    ("succeeded", "Requests per second that succeed", "count", False),
    ("latency_p99_s", "Latency, p99 of requests that succeed", "seconds", True),
)
_DIFFERENT_MAX: Final = 60
_VALUE_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class Side:
    """A judged run and what it is called beside another."""

    name: str
    facts: Mapping[str, Any]
    scenario: Scenario


def side_by_side(first: Side, second: Side) -> Page:
    """Two runs: figures, curves over one time axis, and what their scenarios say differently."""
    longer = max((first, second), key=lambda side: len(side.facts["timeline"]["t_s"]))
    axis = TimeAxis(longer.facts)
    axis.marks, axis.broken = [], []  # of one of them alone
    verdicts = " and ".join(side.facts["verdict"].upper() for side in (first, second))
    worst = max((first, second), key=lambda side: _HARM.index(side.facts["verdict"]))
    return Page(
        title=f"{first.name} and {second.name}",
        lead="Two runs beside each other. With one seed both meet the same requests with the same work.",
        outcome=verdicts,
        kind=worst.facts["verdict"],
        sections=[
            Section("figures", "Figures", [_figures(first, second)]),
            Section("curves", "Over time", list(_curves(first, second, axis)), axis),
            Section("scenarios", "What differs", list(_scenarios(first, second))),
        ],
    )


_HARM: Final = ("improved", "no-impact", "undecided", "degraded", "invalid", "outage", "collapse")


def figures(first: Side, second: Side) -> list[tuple[str, str, str]]:
    """What two runs came to: label, of the first, of the second."""
    sides = (first.facts, second.facts)

    def both(label: str, told: Any) -> tuple[str, str, str]:
        return label, told(sides[0]), told(sides[1])

    def amplification(facts: Mapping[str, Any]) -> str:
        value = facts["totals"]["amplification"]
        return words.MISSING if value is None else f"{value:.2f}"

    def faults(facts: Mapping[str, Any]) -> str:
        return ", ".join(span.label for span in fault_spans(facts)) or "none"

    return [
        both("verdict", lambda facts: facts["verdict"]),
        both("hypothesis", lambda facts: facts["hypothesis"]),
        both("faults", faults),
        both("success", lambda facts: words.share(facts["totals"]["success"])),
        both("p99 of all", lambda facts: words.seconds(facts["totals"]["latency_all_p99_s"])),
        both("attempts/req", amplification),
        both("wasted CPU", lambda facts: words.percent(facts["totals"]["wasted_share"])),
        both("least headroom", lambda facts: words.percent(facts["headroom"]["min"])),
        both("detected after", lambda facts: words.seconds(facts["time_to_detect_s"])),
        both("recovered after", lambda facts: words.seconds(facts["time_to_recover_s"])),
        both("seed", lambda facts: str(facts["seed"])),
    ]


def differences(first: Scenario, second: Scenario) -> list[tuple[str, str, str]]:
    """Dotted paths whose values differ, with both values; empty where only one of them has the path."""
    one, other = dict(_leaves(first.to_dict())), dict(_leaves(second.to_dict()))
    paths = [path for path in [*one, *(path for path in other if path not in one)] if one.get(path) != other.get(path)]
    return [(path, one.get(path, ""), other.get(path, "")) for path in paths]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _leaves(below, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        for number, entry in enumerate(value):
            yield from _leaves(entry, f"{path}.{entry.get('id', entry.get('to', number))}")
    else:
        text = "none" if value in ({}, []) else str(value)
        yield path, text if len(text) <= _VALUE_MAX else f"{text[:_VALUE_MAX]}..."


def _figures(first: Side, second: Side) -> Table:
    caption = "From warm-up to the end of each run"
    return Table(caption, ["", first.name, second.name], [list(row) for row in figures(first, second)])


def _padded(side: Side, name: str, axis: TimeAxis) -> list[float | None]:
    values: list[float | None] = list(side.facts["timeline"][name])
    return values + [None] * (axis.points * axis.stride - len(values))


def _curves(first: Side, second: Side, axis: TimeAxis) -> Iterator[Block]:
    for series, title, form, log in _PLOTS:
        how = axis.worst if log else axis.mean
        curves = [
            Curve(side.name, colour, how(_padded(side, series, axis))[: axis.points], dash=dash)
            for side, (colour, dash) in zip((first, second), _COLOURS, strict=True)
        ]
        yield Plot(title, form, curves, log=log)
    for service in first.facts["timeline"]["services"]:
        if service not in second.facts["timeline"]["services"]:
            continue
        curves = [
            Curve(side.name, colour, _busy(side, service, axis), dash=dash)
            for side, (colour, dash) in zip((first, second), _COLOURS, strict=True)
        ]
        yield Plot(f"Utilisation of {service}, its busiest zone", "percent", curves, top=1.05)


def _busy(side: Side, service: str, axis: TimeAxis) -> Floats:
    zones = side.facts["timeline"]["services"][service]["utilisation"].values()
    values = np.array([[np.nan if value is None else value for value in zone] for zone in zones])
    highest: Floats = np.full(values.shape[1], np.nan)
    known = np.isfinite(values).any(axis=0)
    highest[known] = np.nanmax(values[:, known], axis=0)
    padded = np.append(highest, np.full(axis.points * axis.stride - len(highest), np.nan))
    return axis.mean(padded.tolist())[: axis.points]


def _scenarios(first: Side, second: Side) -> Iterator[Block]:
    found = differences(first.scenario, second.scenario)
    if not found:
        yield Prose("The scenarios say the same.")
        return
    if len(found) > _DIFFERENT_MAX:
        yield Prose(f"{len(found)} values differ; the first {_DIFFERENT_MAX}:")
    rows = [list(row) for row in found[:_DIFFERENT_MAX]]
    yield Table("Values that differ", ["path", first.name, second.name], rows, numeric=False)


def beside_measured(side: Side, misfits: Sequence[Misfit]) -> Page:
    """A run beside measured curves, and how far it is from each."""
    axis = TimeAxis(side.facts)
    return Page(
        title=f"{side.name} and what was measured",
        lead="The run is one history of one seed: what both have in common matters, not each wave.",
        outcome=words.verdict_line(side.facts),
        kind=side.facts["verdict"],
        sections=[
            Section("misfit", "Misfit", [_misfits(misfits)]),
            Section("curves", "Over time", [_measured(side, misfit, axis) for misfit in misfits], axis),
        ],
    )


def misfit_rows(misfits: Sequence[Misfit]) -> list[list[str]]:
    """Column, series, periods, mean deviation, bias and the time of the largest difference."""
    return [
        [
            one.curve.column,
            one.curve.series,
            str(one.periods),
            words.percent(one.error),
            words.MISSING if one.bias is None else f"{100 * one.bias:+.0f}%",
            words.clock(one.worst_s),
        ]
        for one in misfits
    ]


MISFIT_HEAD: Final = ("measured", "simulated", "periods", "deviation", "bias", "largest at")


def _misfits(misfits: Sequence[Misfit]) -> Table:
    caption = "Mean absolute deviation of the run from each curve, over the mean of the curve"
    return Table(caption, MISFIT_HEAD, misfit_rows(misfits))


def _measured(side: Side, misfit: Misfit, axis: TimeAxis) -> Plot:
    from azsim.calibration.measured import series

    curve = misfit.curve
    simulated = axis.mean(series(side.facts, curve.series).tolist())
    # Each measured value holds for its period.
    begins = axis.start_s + np.arange(axis.points) * axis.stride
    at = np.searchsorted(curve.t_s, begins, side="right") - 1
    held: Floats = np.where(at >= 0, curve.values[np.maximum(at, 0)], np.nan)
    held[(at >= 0) & (begins >= curve.t_s[np.maximum(at, 0)] + curve.period_s)] = np.nan
    latency, share = curve.series.endswith("_s"), "utilisation" in curve.series or curve.series.endswith("share")
    form: Form = "seconds" if latency else "percent" if share else "count"
    curves = [Curve("measured", "black", held), Curve("simulated", "blue", simulated, dash="7 3")]
    return Plot(f"{curve.column} and {curve.series}", form, curves, log=latency)
