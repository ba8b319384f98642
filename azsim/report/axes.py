"""Axes of pictures: where ticks go, how many points a curve keeps, which limits are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from azsim.base.units import SECOND_NS, parse_comparison

if TYPE_CHECKING:
    from azsim.scenario import Scenario

Floats = npt.NDArray[np.float64]

POINTS_MAX: Final = 600  # about one a point of the axis
LOG_TICKS_MAX: Final = 7
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 604800)


def stride(seconds: int) -> int:
    """How many seconds make one point, so that a curve has at most `POINTS_MAX`."""
    return max(1, -(-seconds // POINTS_MAX))


def thinned(values: Sequence[float | None], stride: int, how: Any) -> Floats:
    """One value for every `stride` seconds, NaN where there is none; `how` is np.nanmean, np.nanmax or the like."""
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    if stride == 1:
        return numbers
    missing = -len(numbers) % stride
    blocks = np.append(numbers, np.full(missing, np.nan)).reshape(-1, stride)
    found = np.full(len(blocks), np.nan)
    known = np.isfinite(blocks).any(axis=1)
    found[known] = how(blocks[known], axis=1)
    return found


def time_step_s(length_s: float, steps_max: int) -> int:
    """The distance of ticks on a time axis."""
    return next((step for step in _STEPS_S if length_s / step <= steps_max), _STEPS_S[-1])


def linear_ticks(high: float, steps_max: int) -> list[float]:
    """Round numbers from 0 up to `high`."""
    if not high > 0:
        return [0.0]
    size = 10.0 ** math.floor(math.log10(high / steps_max))
    step = next(size * round_ for round_ in (1, 2, 2.5, 5, 10, 20) if high / (size * round_) <= steps_max)
    return [step * number for number in range(int(high / step * (1 + 1e-9)) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """As many round numbers between two limits as stay readable, evenly spread over the decades."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks: list[float] = []
    for multiples in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 4, 5, 6, 7, 8)):
        finer = [tick for d in decades for m in multiples if low <= (tick := m * 10.0**d) <= high]
        if ticks and len(finer) > LOG_TICKS_MAX:
            break
        ticks = finer
    return ticks


def limits_s(facts: Mapping[str, Any], scenario: Scenario | None) -> dict[str, float]:
    """The limits on latency percentiles, by percentile, in seconds; without the scenario those that were broken."""
    if scenario is not None:
        bounds = {name: bound.limit for name, bound in scenario.hypothesis.bounds.items()}
    else:
        bounds = {
            violation["rule"]: parse_comparison(violation["bound"], "duration", ("<=", "<")).limit
            for violation in facts["violations"]
            if violation["rule"].startswith("latency_")
        }
    return {
        name.removeprefix("latency_"): limit / SECOND_NS
        for name, limit in bounds.items()
        if name.startswith("latency_")
    }
