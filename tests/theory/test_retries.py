"""Retries against failures that depend on nothing (R6, D9, D15): how many requests succeed and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE, Outcome
from azsim.dataplane.kernel import Kernel
from azsim.dataplane.layout import Plan
from tests.plans import S, call, make_plan, population, service
from tests.theory.measure import is_plausible

RATE_PER_S, SECONDS = 10_000.0, 20  # some 200,000 requests
ERRORS = {"retry_on": (Outcome.ERROR,)}


def played(plan: Plan, shares: dict[int, float]) -> Kernel:
    """A run in which each service's instance fails so large a share of its jobs, until no request is left."""
    kernel = Kernel(plan)
    for instance, share in shares.items():
        kernel.set_error_share(instance, share)
    kernel.advance(SECONDS * S)
    kernel.set_rate_factor(0, 0.0)
    kernel.advance((SECONDS + 1) * S)
    kernel.check()
    return kernel


@pytest.mark.parametrize("retries", [0, 1, 3, 9])
@pytest.mark.parametrize("f", [0.1, 0.5, 0.9])
def test_success_and_amplification(f: float, retries: int) -> None:
    """Success 1 - f^(N+1), binomial, exactly; attempts a request (1 - f^(N+1)) / (1 - f), by their known variance.

    The number of attempts is geometric, cut at N + 1. n is about 200,000: a deviation of 0.6 points of success is seen.
    """
    plan = make_plan(
        populations=[population(rate_per_s=RATE_PER_S, attempts=retries + 1, **ERRORS)],
        services=[service(per_zone={"a": 1}, slots=64, queue=INFINITE, work_ns=1000)],
    )
    totals = played(plan, {0: f}).finish().populations.sum(axis=(0, 1))
    n, succeeded, attempts = (int(totals[i]) for i in (layout.OFFERED, layout.SUCCEEDED, layout.ATTEMPTS))
    assert totals[layout.FAILED + Outcome.ERROR] == n - succeeded
    is_plausible("success", stats.binomtest(succeeded, n, 1 - f ** (retries + 1)).pvalue)
    lengths = np.arange(1, retries + 2)
    chances = f ** (lengths - 1) * np.where(lengths <= retries, 1 - f, 1.0)
    mean = (1 - f ** (retries + 1)) / (1 - f)
    assert float((lengths * chances).sum()) == pytest.approx(mean)
    deviation = float(((lengths - mean) ** 2 * chances).sum()) ** 0.5
    if retries:
        is_plausible("amplification", 2 * stats.norm.sf(abs(attempts / n - mean) / deviation * n**0.5))
    else:
        assert attempts == n


@pytest.mark.parametrize(("outer", "inner"), [(1, 2), (2, 2), (0, 3)])
def test_retries_multiply_down_the_tiers(outer: int, inner: int) -> None:
    """Where the last tier always fails, it gets (N + 1) (M + 1) attempts a request, exactly; where it fails a share f,
    a caller's attempt fails with f^(M+1), and the amplifications multiply: within 1%, some 25 deviations.
    """
    plan = make_plan(
        populations=[population("front", rate_per_s=RATE_PER_S, attempts=outer + 1, **ERRORS)],
        services=[
            service(
                "front", per_zone={"a": 1}, slots=64, work_ns=1000, calls=[call("back", attempts=inner + 1, **ERRORS)]
            ),
            service("back", per_zone={"a": 1}, slots=64, work_ns=1000),
        ],
    )
    recording = played(plan, {1: 1.0}).finish()
    requests, calls = recording.hop_attempts[0], recording.hop_attempts[1]
    n = int(recording.populations[..., layout.OFFERED].sum())
    assert requests == n * (outer + 1)
    assert calls == n * (outer + 1) * (inner + 1)
    f = 0.4
    attempts = played(plan, {1: f}).finish().hop_attempts
    caller_fails = f ** (inner + 1)
    outer_mean = (1 - caller_fails ** (outer + 1)) / (1 - caller_fails)
    assert attempts[0] / n == pytest.approx(outer_mean, rel=0.01)
    assert attempts[1] / n == pytest.approx(outer_mean * (1 - caller_fails) / (1 - f), rel=0.01)


def test_a_bucket_pays_for_the_share_it_is_given() -> None:
    """All attempts fail and each request deposits a tenth of a retry: one retry for ten requests, and the full bucket
    at the start, by the rule exactly; ten client processes, each with its own.
    """
    clients, saved = 10, 50
    plan = make_plan(
        populations=[
            population(
                rate_per_s=RATE_PER_S,
                clients=clients,
                attempts=1000,
                budget_capacity=saved * 1000,
                budget_cost=1000,
                budget_timeout_cost=1000,
                budget_deposit=100,
                budget_deposit_after_retry=0,
                budget_on_request=1,
                **ERRORS,
            )
        ],
        services=[service(per_zone={"a": 1}, slots=64, work_ns=1000)],
    )
    recording = played(plan, {0: 1.0}).finish()
    totals = recording.populations.sum(axis=(0, 1))
    n, retries = int(totals[layout.OFFERED]), int(totals[layout.ATTEMPTS] - totals[layout.OFFERED])
    # The first deposit of each client meets a full bucket and is lost; less than one retry may be left over in each.
    most = clients * saved + (n - clients) / 10
    assert most - clients < retries <= most
    assert totals[layout.FAILED + Outcome.BUDGET_EXHAUSTED] == n
