"""Work and back-off have the distributions that they are named after; the own functions are as exact as they say."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from scipy import special, stats

from azsim.base.seeds import JITTER, key_hash, run_key
from azsim.policy import retry
from azsim.policy.distributions import (
    CONSTANT,
    EMPIRICAL,
    EXPONENTIAL,
    GAMMA,
    LOGNORMAL,
    PARETO,
    UNIFORM,
    exponential_function,
    natural_log,
    normal_quantile,
    sample_work,
    standard_exponential,
    unit,
)
from tests.plans import MS
from tests.theory.measure import Floats, is_plausible

KEY = run_key(11)
N = 20_000  # Kolmogorov-Smirnov at a false-alarm rate of 1e-6 then sees a distance of 0.019


def drawn(kind: int, a: float, b: float) -> Floats:
    """The work of so many requests' first attempts, ns."""
    return np.array([sample_work(kind, a, b, (), 0, 0, KEY, k, 0, 16) for k in range(N)], np.float64)


@pytest.mark.parametrize(
    ("kind", "a", "b", "distribution"),
    [
        (EXPONENTIAL, 20.0 * MS, 0.0, stats.expon(scale=20 * MS)),
        (UNIFORM, 5.0 * MS, 20.0 * MS, stats.uniform(5 * MS, 20 * MS)),
        (LOGNORMAL, math.log(20 * MS), 1.2, stats.lognorm(1.2, scale=20 * MS)),
        (GAMMA, 0.25, 80.0 * MS, stats.gamma(0.25, scale=80 * MS)),
        (GAMMA, 1.0, 20.0 * MS, stats.gamma(1.0, scale=20 * MS)),
        (GAMMA, 7.5, 3.0 * MS, stats.gamma(7.5, scale=3 * MS)),
        (PARETO, 1 / 2.5, 12.0 * MS, stats.pareto(2.5, scale=12 * MS)),
        (PARETO, 1 / 1.1, 2.0 * MS, stats.pareto(1.1, scale=2 * MS)),
    ],
)
def test_work_has_its_distribution(kind: int, a: float, b: float, distribution: stats.rv_continuous) -> None:
    """Kolmogorov-Smirnov over 20,000 requests; and the mean, where its error is known, by the normal distribution."""
    work = drawn(kind, a, b)
    is_plausible("distribution", stats.kstest(work, distribution.cdf).pvalue)
    if kind != PARETO:  # whose variance is infinite or nearly so
        z = (work.mean() - distribution.mean()) / (distribution.std() / N**0.5)
        is_plausible("mean", 2 * stats.norm.sf(abs(z)))
    assert work.min() >= 1
    assert (work == np.floor(work)).all()


def test_constant_work_is_rounded_up_and_measured_work_is_picked() -> None:
    assert sample_work(CONSTANT, 10.25, 0.0, (), 0, 0, KEY, 5, 0, 16) == 11
    table = [99, 1, 2, 3, 4, 5, 99]
    picked = [sample_work(EMPIRICAL, 0.0, 0.0, table, 1, 5, KEY, k, 0, 16) for k in range(N)]
    is_plausible("measured work", stats.chisquare(np.bincount(picked, minlength=6)[1:]).pvalue)


def test_a_tail_stops_at_thirty_days() -> None:
    """A Pareto law without a mean gives times that no integer holds; they are cut."""
    assert max(sample_work(PARETO, 50.0, 1e9, (), 0, 0, KEY, k, 0, 16) for k in range(200)) == int(2.6e15)


def relative(found: float, true: float) -> float:
    return abs(found - true) / abs(true)


@pytest.mark.parametrize(
    ("own", "library", "low", "high", "error_max"),
    [
        (natural_log, math.log, 1e-300, 1e300, 1e-13),
        (exponential_function, math.exp, -700.0, 700.0, 1e-15),
    ],
)
def test_logarithm_and_exponential(
    own: Callable[[float], float],
    library: Callable[[float], float],
    low: float,
    high: float,
    error_max: float,
) -> None:
    """The stated errors, over the whole range and near 1 and 0; the library's own is about 1e-16."""
    points = np.geomspace(low, high, 20_001) if low > 0 else np.linspace(low, high, 20_001)
    points = (
        np.append(points, np.linspace(0.5, 1.5, 10_000)) if low > 0 else np.append(points, np.linspace(-1, 1, 9_999))
    )
    for x in points.tolist():
        if library(x) != 0.0:
            assert relative(own(x), library(x)) < error_max + 2.3e-16, x
        else:
            assert own(x) == 0.0, x


def test_normal_quantile() -> None:
    """Against scipy's, from 1e-300 to the middle, and its two sides against each other."""
    for u in np.append(np.geomspace(1e-300, 0.4, 5000), np.linspace(0.01, 0.99, 4001)).tolist():
        assert normal_quantile(u) == pytest.approx(special.ndtri(u), rel=1e-13, abs=1e-15)
    assert normal_quantile(0.5) == 0.0
    assert normal_quantile(0.25) == -normal_quantile(0.75)


def test_the_ends_of_what_draws_give() -> None:
    """The smallest and the greatest 63 bits give numbers inside (0, 1), and finite exponentials."""
    assert Fraction(unit(0)) == Fraction(1, 2**53)
    assert Fraction(unit((1 << 63) - 1)) == 1 - Fraction(1, 2**53)
    assert standard_exponential(0) == pytest.approx(53 * math.log(2))
    assert standard_exponential((1 << 63) - 1) == pytest.approx(2.0**-53, rel=1e-3)


def waits(kind: int, failures: int, previous_ns: int, base_ns: int, cap_ns: int) -> Floats:
    """Back-offs of 20,000 requests after so many failed attempts, ns."""
    return np.array(
        [
            retry.backoff(
                kind, base_ns, 2.0, cap_ns, failures, previous_ns, key_hash(KEY, k, 0, failures << 4, JITTER), 0.0
            )
            for k in range(N)
        ],
        np.float64,
    )


@pytest.mark.parametrize(
    ("kind", "failures", "low_ms", "high_ms"),
    [
        (retry.FULL, 1, 0, 50),
        (retry.FULL, 3, 0, 200),
        (retry.FULL, 6, 0, 500),  # 1,600 ms, capped
        (retry.FULL, 900, 0, 500),
        (retry.EQUAL, 1, 25, 50),
        (retry.EQUAL, 4, 200, 400),
        (retry.EQUAL, 9, 250, 500),
    ],
)
def test_jitter_is_uniform(kind: int, failures: int, low_ms: int, high_ms: int) -> None:
    """50 ms doubled, at most 500 ms: full takes from nothing to it, equal from half of it. Kolmogorov-Smirnov."""
    found = waits(kind, failures, 0, 50 * MS, 500 * MS)
    is_plausible("wait", stats.kstest(found, "uniform", args=(low_ms * MS, (high_ms - low_ms) * MS)).pvalue)
    assert low_ms * MS <= found.min()
    assert found.max() <= high_ms * MS


def test_decorrelated_jitter() -> None:
    """min(cap, U(base, 3 previous)): uniform below the cap, and the share at the cap is (3 p - cap) / (3 p - base)."""
    found = waits(retry.DECORRELATED, 2, 100 * MS, 50 * MS, 10_000 * MS)
    is_plausible("wait", stats.kstest(found, "uniform", args=(50 * MS, 250 * MS)).pvalue)
    capped = waits(retry.DECORRELATED, 5, 400 * MS, 50 * MS, 1000 * MS)
    at_cap = int((capped == 1000 * MS).sum())
    is_plausible("at the cap", stats.binomtest(at_cap, N, 200 / 1150).pvalue)
    is_plausible("below it", stats.kstest(capped[capped < 1000 * MS], "uniform", args=(50 * MS, 950 * MS)).pvalue)


def test_back_off_without_jitter() -> None:
    """base x factor^(failures - 1), at most the cap, rounded up: by hand."""
    steps = [retry.backoff(retry.NO_JITTER, 50, 1.5, 200, failures, 0, 0, 0.0) for failures in (1, 2, 3, 4, 5, 50)]
    assert steps == [50, 75, 113, 169, 200, 200]
    assert retry.backoff(retry.AT_ONCE, 50, 2.0, 200, 3, 0, 0, 0.0) == 0
