"""From the rows of a recording to seconds, blocks of time and windows: sums, and percentiles of latency.

A percentile is the nearest-rank one, reported as the midpoint of its histogram bin (O2): off by at most 1.6 percent.
Shares of a thousand (`permille`) name percentiles, so that ranks are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from azsim.base.errors import InternalError
from azsim.base.sums import exact_sums
from azsim.base.units import SECOND_NS
from azsim.dataplane.codes import INFINITE, OUTCOMES
from azsim.dataplane.layout import (
    FAILED,
    OFFERED,
    STARTED_FAILED,
    STARTED_SUCCEEDED,
    Int64s,
    Plan,
    Recording,
)
from azsim.policy.histogram import BINS, bin_bounds_ns
from azsim.policy.retry import AT_ONCE, DECORRELATED

Floats = npt.NDArray[np.float64]
Sums = npt.NDArray[np.object_]  # Python's integers

PERMILLES: Final = {"p50": 500, "p90": 900, "p99": 990, "p999": 999}
MIDPOINT_NS: Final[Floats] = np.array([sum(bin_bounds_ns(b)) / 2 for b in range(BINS)])
_CHUNK: Final = 512  # seconds whose histograms are summed up at once


def rank(count: int, permille: int) -> int:
    """Which of `count` values in ascending order (from 1) is the percentile: ceil(count x permille / 1000)."""
    return -(-count * permille // 1000)


def percentile_ns(cumulative: Int64s, place: int) -> float:
    """The value in `place` (from 1) of a cumulative histogram; infinite beyond its last one, 0 before its first."""
    if place <= 0:
        return 0.0
    if place > int(cumulative[-1]):
        return math.inf
    return float(MIDPOINT_NS[np.searchsorted(cumulative, place)])


def patience_ns(hop: Any) -> int:
    """The longest time until a request of this hop has an outcome; INFINITE where nothing bounds it (R6)."""
    if hop["deadline_ns"] < INFINITE:
        return int(hop["deadline_ns"])
    if hop["timeout_ns"] >= INFINITE:
        return INFINITE
    attempts, cap = int(hop["attempts"]), int(hop["backoff_cap_ns"])
    waits = 0
    if hop["backoff"] != AT_ONCE:
        wait = float(cap) if hop["backoff"] == DECORRELATED else float(hop["backoff_base_ns"])
        for _ in range(attempts - 1):
            waits += math.ceil(min(wait, cap))
            wait = min(wait * float(hop["backoff_factor"]), float(cap)) if wait < cap else wait
    return attempts * int(hop["timeout_ns"]) + waits


@dataclass(frozen=True, slots=True)
class Seconds:
    """The rows of a recording summed to seconds; second i is [i, i + 1), the last one may be shorter.

    populations: (N, P, columns), services: (N, S, columns), zones: (N, S, Z, columns), of which what is read at the
    end of a row is read at the end of the second; duration_ns: (N,).
    """

    populations: Int64s
    services: Int64s
    zones: Int64s
    duration_ns: Int64s

    def __len__(self) -> int:
        return len(self.duration_ns)


def first_rows(recording: Recording) -> Int64s:
    """The first row of each second, and behind them the number of rows: (N + 1,)."""
    starts_ns = np.arange(-(-recording.end_ns // SECOND_NS), dtype=np.int64) * SECOND_NS
    firsts = np.searchsorted(recording.start_ns, starts_ns)
    if len(firsts) and (firsts[-1] == len(recording.start_ns) or (recording.start_ns[firsts] != starts_ns).any()):
        raise InternalError("a recording has a row that does not end with its second")
    return np.append(firsts, len(recording.start_ns)).astype(np.int64)


def per_second(recording: Recording, summed_zone_columns: Sequence[int]) -> Seconds:
    """A recording by seconds. `summed_zone_columns` cover a row; the other columns of zones are read at its end."""
    bounds = first_rows(recording)
    firsts, lasts = bounds[:-1], bounds[1:] - 1
    zones = recording.zones[lasts]
    columns = list(summed_zone_columns)
    zones[..., columns] = np.add.reduceat(recording.zones[..., columns], firsts, axis=0)
    edges = np.append(recording.start_ns[firsts], recording.end_ns)
    return Seconds(
        populations=np.add.reduceat(recording.populations, firsts, axis=0),
        services=np.add.reduceat(recording.services, firsts, axis=0),
        zones=zones,
        duration_ns=np.diff(edges),
    )


def second_percentiles_s(recording: Recording, permilles: Sequence[int]) -> list[Floats]:
    """Percentiles of the latency of the requests started in each second that succeeded; NaN where none did: (N,)
    each.
    """
    bounds = first_rows(recording)
    seconds = len(bounds) - 1
    found = [np.full(seconds, np.nan) for _ in permilles]
    for first in range(0, seconds, _CHUNK):
        last = min(first + _CHUNK, seconds)
        histograms = np.add.reduceat(
            recording.latency[bounds[first] : bounds[last]], bounds[first:last] - bounds[first], axis=0
        )
        cumulative = np.cumsum(histograms, axis=1)
        for permille, of_permille in zip(permilles, found, strict=True):
            places = -(-cumulative[:, -1] * permille // 1000)
            bins = (cumulative < places[:, None]).sum(axis=1)
            some = places > 0
            of_permille[first:last][some] = MIDPOINT_NS[bins[some]] / SECOND_NS
    return found


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows that end each second, by request start (J2). Entry i is the window that ends at `end_s[i]`.

    `failed` holds requests without an outcome whose time is over, `unresolved` those that may still come out either
    way. `latency_ns[permille]` is the (lowest, highest) that the percentile over all requests may become, each
    (W,); infinite where it falls on a failed request, 0 where on one that may still be the fastest.
    """

    end_s: Int64s
    succeeded: Int64s
    failed: Int64s
    unresolved: Int64s
    latency_ns: dict[int, tuple[Floats, Floats]]


def windows(
    recording: Recording, plan: Plan, seconds: Seconds, window_s: int, first_s: int, late_ns: dict[int, int]
) -> Windows:
    """Every window of `window_s` seconds that starts at `first_s` or later and ends in the run.

    `late_ns`: for each percentile (permille) wanted, the age from which a request without an outcome is known to
    be too late for it, whatever becomes of it.
    """
    whole = recording.end_ns // SECOND_NS
    end_s = np.arange(first_s + window_s, whole + 1, dtype=np.int64)
    by_start = seconds.populations[:whole]
    failed = by_start[:, :, STARTED_FAILED : STARTED_FAILED + OUTCOMES].sum(axis=2)
    succeeded = by_start[:, :, STARTED_SUCCEEDED]
    open_ = by_start[:, :, OFFERED] - succeeded - failed
    # The age of the youngest request of each second when the run ends.
    age_ns = recording.end_ns - (np.arange(whole, dtype=np.int64) + 1) * SECOND_NS
    # A client without any limit is judged at the end of the run, but not before a window's length (J7).
    patiences = (patience_ns(plan.hops[population["hop"]]) for population in plan.populations)
    limits = np.array([window_s * SECOND_NS if p == INFINITE else p for p in patiences], dtype=np.int64)
    over = age_ns[:, None] >= limits[None, :]
    failed_all = (failed + np.where(over, open_, 0)).sum(axis=1)
    unresolved = np.where(over, 0, open_).sum(axis=1)
    succeeded_all = succeeded.sum(axis=1)

    latency = {
        permille: _window_percentiles(
            recording, end_s, window_s, permille, failed_all, unresolved, age_ns >= late_ns[permille]
        )
        for permille in late_ns
    }
    return Windows(
        end_s,
        _sliding(succeeded_all, end_s, window_s),
        _sliding(failed_all, end_s, window_s),
        _sliding(unresolved, end_s, window_s),
        latency,
    )


def _sliding(values: Int64s, end_s: Int64s, window_s: int) -> Int64s:
    """Sums of `values` over [end - window, end) for each end."""
    cumulative = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
    sums: Int64s = cumulative[end_s] - cumulative[end_s - window_s]
    return sums


def _window_percentiles(
    recording: Recording,
    end_s: Int64s,
    window_s: int,
    permille: int,
    failed: Int64s,
    unresolved: Int64s,
    late: npt.NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """(lowest, highest) possible percentile over all requests of each window, ns."""
    lost = _sliding(failed + np.where(late, unresolved, 0), end_s, window_s)
    in_time = _sliding(np.where(late, 0, unresolved), end_s, window_s)
    bounds = first_rows(recording)
    used = np.flatnonzero(recording.latency.any(axis=0))  # most bins hold nothing all along
    until = np.concatenate([np.zeros((1, len(used)), np.int64), np.cumsum(recording.latency[:, used], axis=0)])
    lowest, highest = np.zeros(len(end_s)), np.zeros(len(end_s))
    for first in range(0, len(end_s), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        ends = end_s[chunk]
        cumulative = np.cumsum(until[bounds[ends]] - until[bounds[ends - window_s]], axis=1)
        succeeded = cumulative[:, -1] if len(used) else np.zeros(len(ends), np.int64)
        place = -(-(succeeded + lost[chunk] + in_time[chunk]) * permille // 1000)  # rank()
        highest[chunk] = _percentiles_ns(cumulative, place, used)
        lowest[chunk] = _percentiles_ns(cumulative, place - in_time[chunk], used)
    return lowest, highest


def _percentiles_ns(cumulative: Int64s, places: Int64s, bins: Int64s) -> Floats:
    """`percentile_ns` of many cumulative histograms (W, U) over the bins in use (U,): (W,)."""
    index = (cumulative < places[:, None]).sum(axis=1)
    values = np.append(MIDPOINT_NS[bins], math.inf)
    found: Floats = np.where(places > 0, values[index], 0.0)
    return found


@dataclass(frozen=True, slots=True)
class Block:
    """A recording summed over a span of time, [start_ns, end_ns). CPU and waiting time may exceed 64 bits."""

    start_ns: int
    end_ns: int
    populations: Sums  # (P, columns)
    services: Sums  # (S, columns)
    zones: Sums  # (S, Z, columns); only those that cover a row mean something
    latency: Int64s  # (BINS,)
    mix: Int64s  # (M, columns), by start

    @property
    def failed(self) -> Sums:
        """Requests that started in the block and failed, by outcome: (OUTCOMES,)."""
        by_outcome: Sums = self.populations[:, STARTED_FAILED : STARTED_FAILED + OUTCOMES].sum(axis=0)
        return by_outcome

    def total(self, column: int) -> int:
        """A column of populations, all of them."""
        return int(self.populations[:, column].sum())

    def percentile_s(self, permille: int, with_failed: bool = False) -> float | None:
        """Latency of the requests that started in the block, seconds; with `with_failed` those that failed count
        as infinitely late. None where there are none, or where it is infinite.
        """
        cumulative = np.cumsum(self.latency)
        count = int(cumulative[-1]) + (int(self.failed.sum()) if with_failed else 0)
        found = percentile_ns(cumulative, rank(count, permille))
        return found / SECOND_NS if count and math.isfinite(found) else None


def block(recording: Recording, start_ns: int, end_ns: int) -> Block:
    """The rows that start in [start_ns, end_ns), summed."""
    first, last = (int(i) for i in np.searchsorted(recording.start_ns, [start_ns, end_ns]))
    return Block(
        start_ns,
        end_ns,
        exact_sums(recording.populations[first:last]),
        exact_sums(recording.services[first:last]),
        exact_sums(recording.zones[first:last]),
        recording.latency[first:last].sum(axis=0),
        recording.mix[first:last].sum(axis=0),
    )


def snapped(recording: Recording, t_ns: int) -> int:
    """The first boundary between rows at or after an instant (a row ends at faults and seconds, not at all else)."""
    i = int(np.searchsorted(recording.start_ns, t_ns))
    return int(recording.start_ns[i]) if i < len(recording.start_ns) else recording.end_ns


def failed_per_second(seconds: Seconds) -> Int64s:
    """Requests that failed in each second, by outcome: (N, OUTCOMES)."""
    counts: Int64s = seconds.populations[:, :, FAILED : FAILED + OUTCOMES].sum(axis=1)
    return counts
