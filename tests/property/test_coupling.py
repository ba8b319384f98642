"""What a request brings is its own (O4, O5): its work whatever the policy, its place in line whatever the rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from azsim.base.seeds import JITTER, key_hash, run_key
from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE, Outcome
from azsim.dataplane.kernel import Kernel
from azsim.policy import retry
from azsim.policy.arrivals import UNITS_PER_NS, increment
from azsim.policy.distributions import EXPONENTIAL, sample_work
from tests.plans import MS, S, make_plan, population, service

REQUESTS = 40
MEAN_NS = 10.0 * MS
WORK = {"work": EXPONENTIAL, "work_a": MEAN_NS, "work_mean_ns": MEAN_NS}


def arrivals_ns(key: int, rate_per_s: float) -> list[int]:
    """When the first requests come at a constant rate."""
    units, found = 0, []
    for k in range(REQUESTS):
        units += increment(key, k)
        found.append(math.ceil(units / (rate_per_s * UNITS_PER_NS)))
    return found


def counted(key: int, rate_per_s: float, factor: float, edges_ns: list[int]) -> list[int]:
    """Requests offered before each of the edges (ascending), at a rate times a factor."""
    plan = make_plan(populations=[population(rate_per_s=rate_per_s)], services=[service(work_ns=1)], key=key)
    kernel = Kernel(plan)
    kernel.set_rate_factor(0, factor)
    for edge_ns in edges_ns:
        kernel.advance(edge_ns)
        kernel.cut_row()
    return [int(n) for n in np.cumsum(kernel.finish().populations[: len(edges_ns), 0, layout.OFFERED])]


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(1.0, 5000.0), st.floats(0.1, 10.0))
def test_another_rate_brings_the_same_requests_sooner_or_later(seed: int, rate_per_s: float, factor: float) -> None:
    """Request k comes at t_k, exactly; at a rate g times as high between (t_k - 1 ns) / g and t_k / g, rounded up."""
    key = run_key(seed)
    times_ns = arrivals_ns(key, rate_per_s)
    before_and_after = sorted({edge for t_ns in times_ns for edge in (t_ns, t_ns + 1)})
    counts = dict(zip(before_and_after, counted(key, rate_per_s, 1.0, before_and_after), strict=True))
    for k, t_ns in enumerate(times_ns):
        assert counts[t_ns] <= k < counts[t_ns + 1]
    windows = [(max(1, math.floor((t_ns - 1) / factor) - 1), math.ceil(t_ns / factor) + 2) for t_ns in times_ns]
    edges_ns = sorted({edge for window in windows for edge in window})
    counts = dict(zip(edges_ns, counted(key, rate_per_s, factor, edges_ns), strict=True))
    for k, (low_ns, high_ns) in enumerate(windows):
        assert counts[low_ns] <= k < counts[high_ns]


def told(key: int, policy: dict[str, Any]) -> tuple[int, int, int, float]:
    """Attempts, successes, sum of latencies and CPU time of the first requests, by the rules and the draws alone."""
    attempts = succeeded = latency_ns = 0
    work_ns = 0.0
    for request in range(REQUESTS):
        t_ns, wait_ns = 0, policy["backoff_base_ns"]
        for attempt in range(1, policy["attempts"] + 1):
            work = sample_work(EXPONENTIAL, MEAN_NS, 0.0, (), 0, 0, key, request, 0, 16 * attempt)
            attempts += 1
            work_ns += work
            if work <= policy["timeout_ns"]:
                succeeded += 1
                latency_ns += t_ns + work
                break
            bits = key_hash(key, request, 0, attempt << 4, JITTER)
            wait_ns = retry.backoff(
                policy["backoff"], policy["backoff_base_ns"], 2.0, policy["backoff_cap_ns"], attempt, wait_ns, bits, 0.0
            )
            t_ns += policy["timeout_ns"] + wait_ns
    return attempts, succeeded, latency_ns, work_ns


@settings(max_examples=100)
@given(
    st.integers(0, 10**6),
    st.floats(20.0, 20_000.0),
    st.integers(1, 6),
    st.integers(1, 60),
    st.sampled_from([retry.AT_ONCE, retry.NO_JITTER, retry.FULL, retry.EQUAL, retry.DECORRELATED]),
    st.integers(1, 40),
)
def test_work_is_the_same_whatever_the_policy_and_the_rate(
    seed: int, rate_per_s: float, attempts: int, timeout_ms: int, backoff: int, base_ms: int
) -> None:
    """Where none waits for another, requests differ by their own draws alone: attempt n of request k brings its work
    however often, how late and how patiently it is sent. All sums are exact.
    """
    policy = {
        "attempts": attempts,
        "timeout_ns": timeout_ms * MS,
        "backoff": backoff,
        "backoff_base_ns": base_ms * MS,
        "backoff_cap_ns": 100 * MS,
    }
    key = run_key(seed)
    plan = make_plan(
        populations=[population(rate_per_s=rate_per_s, backoff_factor=2.0, retry_on=(Outcome.TIMEOUT,), **policy)],
        services=[service(per_zone={"a": 1}, slots=1000, queue=INFINITE, **WORK)],
        key=key,
    )
    kernel = Kernel(plan)
    stop_ns = arrivals_ns(key, rate_per_s)[-1] + 1
    kernel.advance(stop_ns)
    kernel.set_rate_factor(0, 0.0)
    kernel.advance(stop_ns + 100 * S)
    kernel.check()
    recording = kernel.finish()
    totals = recording.populations.sum(axis=(0, 1))
    spent = recording.services[..., [layout.USEFUL, layout.WASTED]].sum()
    assert totals[layout.OFFERED] == REQUESTS
    assert told(key, policy) == (
        totals[layout.ATTEMPTS],
        totals[layout.SUCCEEDED],
        totals[layout.STARTED_LATENCY],
        spent / 1024,
    )
