"""How sure a study is: intervals of shares, quantiles and differences.

Where the number of replicates was fixed beforehand, intervals are exact ones. Where a rule looked at the results to
decide when to stop, they are taken from a confidence sequence, which holds at all sizes at once: a study that stops
as soon as it likes what it sees is still right as often as it says (Robbins 1970, the beta-binomial mixture).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its bounds. None stands for no number: nothing was measured, or nothing bounds it."""

    low: float | None
    best: float | None
    high: float | None

    @property
    def width(self) -> float:
        """From bound to bound; infinite where one lacks."""
        return math.inf if self.low is None or self.high is None else self.high - self.low

    def to_dict(self) -> dict[str, float | None]:
        """As JSON."""
        return {"low": self.low, "best": self.best, "high": self.high}


def share(hits: int, trials: int, confidence: float, *, sequential: bool = False) -> Interval:
    """The probability behind `hits` of `trials`: Clopper and Pearson's interval, or the confidence sequence's."""
    if not trials:
        return Interval(0.0, None, 1.0)
    if sequential:
        return Interval(*_sequence(hits, trials, 1 - confidence, hits / trials))
    low, high = _exact(hits, trials, confidence)
    return Interval(low, hits / trials, high)


def _exact(hits: int, trials: int, confidence: float) -> tuple[float, float]:
    found = stats.binomtest(hits, trials).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)


def _sequence(hits: int, trials: int, alpha: float, best: float) -> tuple[float, float, float]:
    """{p: mixture likelihood / likelihood(p) < 1 / alpha}, an interval around the best estimate."""
    mixture = float(special.betaln(hits + 0.5, trials - hits + 0.5) - special.betaln(0.5, 0.5))

    def excess(p: float) -> float:
        likelihood = float(special.xlogy(hits, p) + special.xlog1py(trials - hits, -p))
        return mixture - likelihood + math.log(alpha)

    edge = 1e-15
    low = optimize.brentq(excess, edge, best, xtol=1e-12) if hits and excess(edge) > 0 else 0.0
    high = optimize.brentq(excess, best, 1 - edge, xtol=1e-12) if hits < trials and excess(1 - edge) > 0 else 1.0
    return float(low), best, float(high)


def quantile_ranks(trials: int, q: float, confidence: float, *, sequential: bool = False) -> tuple[int, int]:
    """Between which of `trials` values in ascending order (from 1) the q-quantile lies; 0 and trials + 1: unbounded.

    How many values lie below the quantile is binomial, so these are the ranks that agree with q.
    """
    if not sequential:
        tail = (1 - confidence) / 2
        low = int(stats.binom.ppf(tail, trials, q))
        high = int(stats.binom.isf(tail, trials, q)) + 1
        return max(0, low), min(trials + 1, high)
    agrees = [hits for hits in range(trials + 1) if _agrees(hits, trials, q, 1 - confidence)]
    return agrees[0], agrees[-1] + 1


def _agrees(hits: int, trials: int, q: float, alpha: float) -> bool:
    mixture = special.betaln(hits + 0.5, trials - hits + 0.5) - special.betaln(0.5, 0.5)
    likelihood = special.xlogy(hits, q) + special.xlog1py(trials - hits, -q)
    return bool(mixture - likelihood < -math.log(alpha))


def quantile(values: Sequence[float], q: float, confidence: float, *, sequential: bool = False) -> Interval:
    """The q-quantile of what the values were drawn from; infinite values count as such, and come out as None."""
    ordered = sorted(values)
    if not ordered:
        return Interval(None, None, None)
    low, high = quantile_ranks(len(ordered), q, confidence, sequential=sequential)
    at = [-math.inf, *ordered, math.inf]
    best = ordered[max(0, math.ceil(q * len(ordered)) - 1)]
    return Interval(*(number if math.isfinite(number) else None for number in (at[low], best, at[high])))


def mean(values: Sequence[float], confidence: float, seed: int) -> Interval:
    """The mean: a bootstrap, corrected for bias and skew (BCa). The same values and seed give the same bounds."""
    if len(values) < 2:
        return Interval(None, values[0] if values else None, None)
    found = np.array(values)
    if np.ptp(found) == 0:
        return Interval(float(found[0]), float(found[0]), float(found[0]))
    drawn: Any = stats.bootstrap((found,), np.mean, confidence_level=confidence, rng=seed, vectorized=True)
    bounds = drawn.confidence_interval
    low, high = (float(bound) if math.isfinite(bound) else None for bound in (bounds.low, bounds.high))
    return Interval(low, float(found.mean()), high)


def share_difference(first: Sequence[bool], second: Sequence[bool], confidence: float) -> Interval:
    """How much likelier the second is, from pairs: only pairs that disagree tell. Conservative: each of the two ways
    to disagree has Clopper and Pearson's interval, at half the risk.
    """
    pairs = list(zip(first, second, strict=True))
    n = len(pairs)
    if not n:
        return Interval(-1.0, None, 1.0)
    up, down = sum(b and not a for a, b in pairs), sum(a and not b for a, b in pairs)
    each = 1 - (1 - confidence) / 2
    up_low, up_high = _exact(up, n, each)
    down_low, down_high = _exact(down, n, each)
    return Interval(up_low - down_high, (up - down) / n, up_high - down_low)
