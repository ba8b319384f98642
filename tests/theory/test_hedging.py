"""Hedging where nobody waits (R6, D120): requests take the least of two works, the second begun `delay` later."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE
from azsim.dataplane.kernel import Kernel
from azsim.policy import distributions
from tests.plans import MS, S, make_plan, population, service
from tests.theory.measure import is_plausible

MEAN_NS, RATE_PER_S, SECONDS = 10 * MS, 5000.0, 40  # some 200,000 requests


@pytest.mark.parametrize("delay", [0.0, 0.5, 2.0])
def test_latency_and_amplification(delay: float) -> None:
    """Work X ~ Exp(1), delay d: a share exp(-d) is hedged, and T = min(X, d + X') has the mean 1 - exp(-d) / 2.

    E T^2 = 2 - exp(-d) (d + 3/2): beyond d the rate is 2. Normal tests of both; n about 200,000 sees 1% of the mean.
    """
    plan = make_plan(
        populations=[population(rate_per_s=RATE_PER_S, hedges=1, hedge_delay_ns=int(delay * MEAN_NS))],
        services=[
            service(
                per_zone={"a": 2},
                slots=400,
                queue=INFINITE,
                work=distributions.EXPONENTIAL,
                work_a=float(MEAN_NS),
                work_mean_ns=float(MEAN_NS),
            )
        ],
    )
    kernel = Kernel(plan)
    kernel.advance(SECONDS * S)
    kernel.set_rate_factor(0, 0.0)
    kernel.advance((SECONDS + 1) * S)
    kernel.check()
    totals = kernel.finish().populations.sum(axis=(0, 1))
    n, attempts = int(totals[layout.SUCCEEDED]), int(totals[layout.ATTEMPTS])
    assert n == totals[layout.OFFERED]
    hedged = math.exp(-delay)
    if delay:
        is_plausible("hedged", stats.binomtest(attempts - n, n, hedged).pvalue)
    else:
        assert attempts == 2 * n
    mean = 1 - hedged / 2
    variance = 2 - hedged * (delay + 1.5) - mean**2
    measured = totals[layout.STARTED_LATENCY] / n / MEAN_NS
    is_plausible("mean", 2 * stats.norm.sf(abs(measured - mean) / (variance / n) ** 0.5))
    assert 5 * (variance / n) ** 0.5 < 0.02 * mean
