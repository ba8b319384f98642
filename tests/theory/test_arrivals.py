"""Arrivals are Poisson, also under rates that step, ramp and are multiplied (R1, O5, D20, D31)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import stats

from azsim.base.seeds import run_key
from azsim.dataplane import layout
from azsim.dataplane.kernel import Kernel
from azsim.policy.arrivals import UNITS_PER_REQUEST, increment
from tests.plans import S, make_plan, population, service
from tests.theory.measure import column, is_plausible

# (start in s, requests per s, change of that per s), and from 25 s to 40 s all of it three times.
PROFILE = [(0.0, 40.0, 0.0), (10.0, 40.0, 16.0), (20.0, 200.0, 0.0), (30.0, 0.0, 0.0), (35.0, 360.0, -5.0)]
SPIKE = (25.0, 40.0, 3.0)
END_S = 90.0
MEAN = 5.0  # requests a window


def rates() -> list[tuple[float, float, float, float]]:
    """(start, end, rate, slope): the profile and its multiplication, cut where either changes."""
    cuts = sorted({start for start, _, _ in PROFILE} | {SPIKE[0], SPIKE[1], END_S})
    pieces = []
    for start, end in pairwise(cuts):
        since, rate, slope = max(piece for piece in PROFILE if piece[0] <= start)
        factor = SPIKE[2] if SPIKE[0] <= start < SPIKE[1] else 1.0
        pieces.append((start, end, factor * (rate + slope * (start - since)), factor * slope))
    return pieces


def windows_s() -> list[float]:
    """Instants between which the integrated rate grows by MEAN."""
    edges, wanted, reached = [], MEAN, 0.0
    for start, end, rate, slope in rates():
        total = reached + rate * (end - start) + slope * (end - start) ** 2 / 2
        while wanted <= total:
            need = wanted - reached
            edges.append(start + (need / rate if slope == 0 else ((rate**2 + 2 * slope * need) ** 0.5 - rate) / slope))
            wanted += MEAN
        reached = total
    return edges


def test_intervals_are_exponential() -> None:
    """Kolmogorov-Smirnov over 20,000 steps of E, and no correlation of a step with the next."""
    steps = np.array([increment(run_key(3), k) for k in range(20_000)]) / UNITS_PER_REQUEST
    is_plausible("interval", stats.kstest(steps, "expon").pvalue)
    correlation = float(((steps[1:] - 1) * (steps[:-1] - 1)).mean())
    is_plausible("correlation", 2 * stats.norm.sf(abs(correlation) * len(steps) ** 0.5))


def test_counts_are_poisson_whatever_the_profile() -> None:
    """In windows of equal integrated rate the kernel's counts are independent Poisson(5), however the rate goes.

    Some 4,000 windows: chi-square over the counts, their dispersion, the correlation of neighbours, and the total.
    """
    edges_s = windows_s()
    segments = [(round(start * S), rate, slope) for start, rate, slope in PROFILE]
    plan = make_plan(populations=[population(segments=segments)], services=[service(work_ns=1)])
    kernel = Kernel(plan)
    factors = {SPIKE[0]: SPIKE[2], SPIKE[1]: 1.0}
    for at_s in sorted({*edges_s, *factors}):
        kernel.advance(round(at_s * S))
        if at_s in factors:
            kernel.set_rate_factor(0, factors[at_s])
        if at_s in edges_s:
            kernel.cut_row()
    counts = column(kernel.finish(), layout.OFFERED)[:-1].astype(np.int64)
    assert len(counts) == len(edges_s) > 3500
    total, expected = int(counts.sum()), MEAN * len(counts)
    is_plausible("total", 2 * min(stats.poisson.cdf(total, expected), stats.poisson.sf(total - 1, expected)))
    classes = np.clip(counts, 0, 13)
    chances = stats.poisson.pmf(np.arange(14), MEAN)
    chances[13] = stats.poisson.sf(12, MEAN)
    is_plausible("counts", stats.chisquare(np.bincount(classes, minlength=14), chances * len(counts)).pvalue)
    # A burst in one window: (n - m)^2 / m has the mean 1 and the variance 2 + 1 / m.
    dispersion = float(((counts - MEAN) ** 2).mean() / MEAN)
    z = (dispersion - 1) / ((2 + 1 / MEAN) / len(counts)) ** 0.5
    is_plausible("dispersion", 2 * stats.norm.sf(abs(z)))
    correlation = float(((counts[1:] - MEAN) * (counts[:-1] - MEAN)).mean()) / MEAN
    is_plausible("neighbours", 2 * stats.norm.sf(abs(correlation) * len(counts) ** 0.5))
    assert np.diff(edges_s).max() > 10 * np.diff(edges_s).min()
