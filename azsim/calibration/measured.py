"""Measured curves, as dashboards export them, under the names of a timeline; and how far a run is from them."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from azsim.calibration.records import Floats, LogError

Unit = Literal["per_second", "per_period", "s", "ms", "percent", "share"]

# What metrics of load balancers and instances are called, and how they are counted. The first that fits is taken.
_KNOWN: Final[Sequence[tuple[str, str, Unit]]] = (
    (r"RequestCount", "attempts", "per_period"),
    (r"HTTPCode_(Target_|ELB_)?5XX(_Count)?", "failed", "per_period"),
    (r"HTTPCode_(Target_)?2XX(_Count)?", "succeeded", "per_period"),
    (r"TargetResponseTime.*(p99|99)", "latency_p99_s", "s"),
    (r"TargetResponseTime.*(p50|50|Median)", "latency_p50_s", "s"),
)
_PLAIN: Final = ("offered", "attempts", "succeeded", "failed", "timeouts", "latency_p50_s", "latency_p99_s")
_INSTANTS: Final = ("%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S")
_MS_FROM: Final = 1e11  # epochs beyond this are in milliseconds


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured curve: `t_s` is when each value's period begins, in seconds of the run, `period_s` how long it is."""

    series: str  # its name in a result's timeline: `attempts`, `services.web.utilisation.a`
    column: str
    t_s: Floats
    values: Floats
    period_s: float


@dataclass(frozen=True, slots=True)
class Misfit:
    """How far a run is from a measured curve, over the periods that both have.

    `error`: sum of absolute differences over the sum of what was measured; `bias`: sum of differences over the same;
    `worst_s`: when the difference is largest. None where nothing was measured but zero.
    """

    curve: Measured
    periods: int
    error: float | None
    bias: float | None
    worst_s: float


def read_measured(path: Path, names: Mapping[str, str], zero: str | None) -> list[Measured]:
    """The curves in a CSV file whose first column is a time: ISO 8601, `2026/03/01 08:00:00` or an epoch, in UTC.

    Columns are taken under the names of a timeline, under those of a load balancer's metrics, or as `names` says
    (column: series); others are left out. `zero` is the instant at which the run begins, else the first row. Rows
    before the first time are a header, the last of them names the columns. LogError where there is no such table.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            header, rows = _table(path, csv.reader(file))
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror or error}") from None
    times = np.array([time for time, _ in rows])
    start_s = times.min() if zero is None else instant_s(zero)
    if len(rows) < 2:
        raise LogError(f"{path}: a curve has two rows or more")
    order = np.argsort(times, kind="stable")
    times = times[order] - start_s
    period_s = float(np.median(np.diff(times)))
    if period_s <= 0:
        raise LogError(f"{path}: the times of the rows do not grow; one row for each time is read")
    unknown = names.keys() - set(header)
    if unknown:
        raise LogError(f"{path}: no column {sorted(unknown)[0]!r}; there are {', '.join(header[1:])}")
    found = []
    for position, column in enumerate(header[1:], start=1):
        meant = _meaning(column, names)
        if meant is None:
            continue
        series, unit = meant
        raw = np.array([_number(path, column, cells, position) for _, cells in rows])[order]
        factor = {"per_period": 1 / period_s, "ms": 1e-3, "percent": 1e-2}.get(unit, 1.0)
        found.append(Measured(series, column, times, raw * factor, period_s))
    if not found:
        raise LogError(
            f"{path}: no column is known ({', '.join(header[1:])}); name one with --column, such as --column "
            f"'{header[1] if len(header) > 1 else 'Requests'}=attempts'"
        )
    return found


def misfit(curve: Measured, facts: Mapping[str, Any]) -> Misfit:
    """How far a result is from a measured curve; LogError where it has no such series or no common time."""
    simulated = series(facts, curve.series)
    means = np.array([_mean(simulated, low, low + curve.period_s) for low in curve.t_s])
    both = np.isfinite(means) & np.isfinite(curve.values)
    if not both.any():
        raise LogError(f"{curve.column}: not measured while the run lasts; give its beginning with --zero")
    difference, total = means[both] - curve.values[both], float(np.abs(curve.values[both]).sum())
    return Misfit(
        curve,
        int(both.sum()),
        float(np.abs(difference).sum()) / total if total else None,
        float(difference.sum()) / total if total else None,
        float(curve.t_s[both][np.argmax(np.abs(difference))]),
    )


def series(facts: Mapping[str, Any], name: str) -> Floats:
    """One value a second of a result's timeline, by dotted name; NaN where there is none."""
    found: Any = facts["timeline"]
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if not isinstance(found, list):
        raise LogError(f"a timeline has no series {name!r}; it has {', '.join(_names(facts['timeline']))}")
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def instant_s(text: str) -> float:
    """Seconds since 1970 of an instant as exports write it; ValueError where it is none."""
    text = text.strip()
    try:
        number = float(text)
        return number / 1000 if number > _MS_FROM else number
    except ValueError:
        pass
    for pattern in ("", *_INSTANTS):
        try:
            found = datetime.strptime(text, pattern) if pattern else datetime.fromisoformat(text)
        except ValueError:
            continue
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    raise ValueError(f"{text!r} is no time, such as 2026-03-01T08:00:00Z")


def _names(timeline: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, below in timeline.items():
        found += _names(below, f"{prefix}{name}.") if isinstance(below, Mapping) else [f"{prefix}{name}"]
    return found


def _table(path: Path, reader: Iterator[list[str]]) -> tuple[list[str], list[tuple[float, list[str]]]]:
    header: list[str] = []
    rows = []
    for cells in itertools.islice(reader, 1_000_000):
        if not any(cell.strip() for cell in cells):
            continue
        try:
            rows.append((instant_s(cells[0]), cells))
        except ValueError:
            if rows:
                raise LogError(f"{path}: {cells[0]!r} is no time, such as 2026-03-01T08:00:00Z") from None
            # Exports put several lines of labels before the values; the first that says Label, else the last.
            if not (header and header[0].strip().lower() in ("label", "full label")):
                header = [cell.strip() for cell in cells]
    if not header or not rows:
        raise LogError(f"{path}: no table with a header and times in its first column, such as time,attempts")
    return header, rows


def _meaning(column: str, names: Mapping[str, str]) -> tuple[str, Unit] | None:
    if column in names:
        name, _, unit = names[column].partition(":")
        return name, _unit(unit or "per_second")
    if column in _PLAIN or column.startswith("services."):
        return column, "per_second"
    return next((known[1:] for known in _KNOWN if re.search(known[0], column, re.IGNORECASE)), None)


def _unit(word: str) -> Unit:
    units: tuple[Unit, ...] = ("per_second", "per_period", "s", "ms", "percent", "share")
    for unit in units:
        if word == unit:
            return unit
    raise LogError(f"no unit is called {word!r}; there are {', '.join(units)}")


def _number(path: Path, column: str, cells: Sequence[str], position: int) -> float:
    text = cells[position].strip() if position < len(cells) else ""
    if text in ("", "null", "undefined"):
        return float("nan")
    try:
        return float(text)
    except ValueError:
        raise LogError(f"{path}: {text!r} in column {column} is no number") from None


def _mean(values: Floats, low_s: float, high_s: float) -> float:
    """The mean of the seconds of a period that lies within the run; NaN where it does not, or has no value."""
    if low_s < 0 or high_s > len(values):
        return float("nan")
    window = values[int(low_s) : max(int(low_s) + 1, int(high_s))]
    known = window[np.isfinite(window)]
    return float(known.mean()) if len(known) else float("nan")
