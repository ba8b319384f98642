"""Intervals hold what they promise. Each test says its alarm rate: how often right code would fail it."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from scipy import stats

from azsim.study import intervals


def misses_max(repetitions: int, alpha: float, alarm: float = 1e-6) -> int:
    """So many misses, or more, come with a chance below `alarm` if each has a chance of `alpha`."""
    return int(stats.binom.isf(alarm, repetitions, alpha)) + 1


@pytest.mark.parametrize("p", [0.0, 0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("repetitions", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_a_share_is_covered_at_a_fixed_size(p: float, repetitions: int) -> None:
    rng = np.random.default_rng(1)
    found = [intervals.share(int(hits), 80, 0.95) for hits in rng.binomial(80, p, repetitions)]
    missed = sum(not (one.low or 0) <= p <= (one.high or 0) for one in found)
    assert missed < misses_max(repetitions, 0.05)


@pytest.mark.parametrize("p", [0.02, 0.2, 0.5])
@pytest.mark.parametrize("repetitions", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_a_share_is_covered_however_one_stops(p: float, repetitions: int) -> None:
    """The worst of all rules stops as soon as the interval misses. The sequence holds even then; a fixed one does not
    (which shows that the rule is a bad one, and that this test would notice).
    """
    interval = functools.cache(lambda hits, n, kind: intervals.share(hits, n, 0.95, sequential=kind))
    rng = np.random.default_rng(2)
    sizes = range(16, 401, 16)
    missed = {True: 0, False: 0}
    for _ in range(repetitions):
        hits = np.cumsum(rng.random(400) < p)
        for sequential in missed:
            found = (interval(int(hits[n - 1]), n, sequential) for n in sizes)
            missed[sequential] += any(not (one.low or 0) <= p <= (one.high or 0) for one in found)
    assert missed[True] < misses_max(repetitions, 0.05)
    # Exact intervals are wide where hits are few: there it takes more repetitions to show.
    assert p < 0.1 or missed[False] > 2 * 0.05 * repetitions


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("q", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("repetitions", [200, pytest.param(1000, marks=pytest.mark.long)])
def test_a_quantile_is_covered(q: float, sequential: bool, repetitions: int) -> None:
    rng = np.random.default_rng(3)
    true = float(stats.expon.ppf(q))
    missed = 0
    for _ in range(repetitions):
        found = intervals.quantile(rng.exponential(size=150).tolist(), q, 0.9, sequential=sequential)
        missed += (found.low is not None and true < found.low) or (found.high is not None and true > found.high)
    assert missed < misses_max(repetitions, 0.1)


@pytest.mark.parametrize("repetitions", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_a_mean_is_covered(repetitions: int) -> None:
    """BCa is right in the limit only; at 60 values of a skewed law it may miss 8% instead of 5%."""
    rng = np.random.default_rng(4)
    missed = 0
    for number in range(repetitions):
        found = intervals.mean(rng.gamma(2.0, size=60).tolist(), 0.95, seed=number)
        assert found.low is not None
        assert found.high is not None
        missed += not found.low <= 2.0 <= found.high
    assert missed < misses_max(repetitions, 0.08)


@pytest.mark.parametrize("repetitions", [200, pytest.param(1000, marks=pytest.mark.long)])
def test_a_difference_of_pairs_is_covered(repetitions: int) -> None:
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(repetitions):
        u = rng.random(100)
        found = intervals.share_difference((u < 0.3).tolist(), (u < 0.2).tolist(), 0.95)
        missed += not (found.low or 0) <= -0.1 <= (found.high or 0)
    assert missed < misses_max(repetitions, 0.05)


def test_pairs_make_a_difference_sharper_than_two_shares_do() -> None:
    u = np.random.default_rng(6).random(400)
    first, second = (u < 0.5).tolist(), (u < 0.45).tolist()
    paired = intervals.share_difference(first, second, 0.95)
    apart = [intervals.share(sum(hits), 400, 0.95).width for hits in (first, second)]
    assert paired.width < 0.7 * sum(apart)


def test_no_replicate_says_nothing_and_one_says_little() -> None:
    assert intervals.share(0, 0, 0.95) == intervals.Interval(0.0, None, 1.0)
    assert intervals.quantile([], 0.5, 0.95) == intervals.Interval(None, None, None)
    assert intervals.quantile([3.0], 0.5, 0.95) == intervals.Interval(None, 3.0, None)
    assert intervals.mean([3.0], 0.95, 1) == intervals.Interval(None, 3.0, None)
    assert intervals.mean([3.0] * 5, 0.95, 1) == intervals.Interval(3.0, 3.0, 3.0)


def test_infinite_values_are_counted_and_come_out_as_no_number() -> None:
    found = intervals.quantile([1.0, 2.0, math.inf, math.inf, math.inf], 0.5, 0.5)
    assert found.best is None
    assert found.low == 2.0


def test_ranks_are_those_of_tables() -> None:
    """Median of 20 at 95%: the 6th and the 15th value (any table of order statistics; coverage 95.9%)."""
    assert intervals.quantile_ranks(20, 0.5, 0.95) == (6, 15)
    # 59 values are the least whose lowest is below the 5% quantile with 95%.
    assert intervals.quantile_ranks(59, 0.05, 0.90)[0] == 1
    assert intervals.quantile_ranks(58, 0.05, 0.90)[0] == 0
