"""Counts a second, as a traffic profile: steps where the rate has changed for certain, and how bursty it is."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

_APART: Final = 4.0  # standard deviations of a Poisson count


@dataclass(frozen=True, slots=True)
class Step:
    """From `at_s` on `rate_per_s` requests come."""

    at_s: float
    rate_per_s: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Steps from 0 on. `dispersion` is the variance of counts a second over their mean, within windows: 1 as of a
    Poisson process, more where requests come in bursts; None where rates were given instead of requests.
    """

    duration_s: float
    steps: tuple[Step, ...]
    mean_per_s: float
    peak_per_s: float
    dispersion: float | None


def profile(per_second: npt.NDArray[np.int64], window_s: int) -> Profile:
    """The profile of counts a second, in windows of `window_s`. The first and last second may be cut: they are left
    out where there are others.
    """
    counts = per_second[1:-1] if len(per_second) > 2 else per_second
    duration_s = len(counts)
    edges = list(range(0, duration_s, window_s))
    if len(edges) > 1 and duration_s - edges[-1] < window_s / 2:
        edges.pop()  # a short rest goes to the window before
    edges.append(duration_s)
    windows = [counts[low:high] for low, high in itertools.pairwise(edges)]
    steps: list[Step] = []
    total = length_s = begun_s = 0
    for low, window in zip(edges, windows, strict=False):
        count, size_s = int(window.sum()), len(window)
        if length_s:
            expected = total / length_s * size_s
            if abs(count - expected) > _APART * math.sqrt(expected * (1 + size_s / length_s) + 1):
                steps.append(Step(float(begun_s), total / length_s))
                total, length_s, begun_s = 0, 0, low
        total, length_s = total + count, length_s + size_s
    steps.append(Step(float(begun_s), total / length_s))
    spread = [float(window.var(ddof=1) / window.mean()) for window in windows if len(window) > 2 and window.any()]
    return Profile(
        float(duration_s),
        tuple(steps),
        float(counts.mean()),
        max(float(window.mean()) for window in windows),
        float(np.mean(spread)) if spread else None,
    )


def profile_of_rates(rates: dict[float, float]) -> Profile:
    """The profile of measured rates by the second they hold from; each holds until the next, the last as long as the
    one before.
    """
    times = sorted(rates)
    lasts_s = [after - before for before, after in itertools.pairwise(times)]
    lasts_s.append(lasts_s[-1] if lasts_s else 60.0)
    values = [rates[time] for time in times]
    total_s = sum(lasts_s)
    mean = sum(value * last for value, last in zip(values, lasts_s, strict=True)) / total_s
    steps = tuple(Step(time - times[0], rates[time]) for time in times)
    return Profile(total_s, steps, mean, max(values), None)
