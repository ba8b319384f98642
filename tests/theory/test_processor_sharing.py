"""Slots that share cores (I2, O3, D16): against what is known of processor sharing, and against a second simulator."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE
from azsim.dataplane.kernel import Kernel
from azsim.dataplane.layout import Plan
from azsim.dataplane.reference import Reference
from azsim.policy.arrivals import UNITS_PER_NS, increment
from azsim.policy.distributions import CONSTANT, EXPONENTIAL, GAMMA, LOGNORMAL, UNIFORM, sample_work
from tests.theory.measure import PER_UNIT, UNIT_NS, Tagged, agrees, column, is_plausible, one_queue, run_rows, works

LOAD = 0.6
KINDS = [(EXPONENTIAL, 1.0), (GAMMA, 2.0), (LOGNORMAL, 1.5), (UNIFORM, 0.5)]


@cache
def tagged(kind: int, cv: float) -> Tagged:
    """4,000 looks at M/G/1-PS at 60%, each 120 times the mean work apart."""
    work = works(kind, UNIT_NS, cv)
    return Tagged(LOAD * PER_UNIT, 120 * UNIT_NS, 4000, shared_cpu=True, slots=512, cores=1.0, **work)


@pytest.mark.parametrize(("kind", "cv"), KINDS)
def test_everyone_is_slowed_alike(kind: int, cv: float) -> None:
    """E[T | x] = x / (1 - load) for every x and any distribution: the mean of T / x in each third of the works.

    Batch means of 1,333 nearly independent requests in batches of 31; T / x has a standard deviation of about 2.
    """
    slowdown = tagged(kind, cv).latency_ns / tagged(kind, cv).work_ns
    thirds = np.array_split(np.argsort(tagged(kind, cv).work_ns, kind="stable"), 3)
    for name, third in zip(("least", "middle", "most"), thirds, strict=True):
        ratios = slowdown[np.sort(third)][:1333].reshape(43, 31).sum(axis=1)
        agrees(f"T / x, {name} work", 1 / (1 - LOAD), ratios, np.full(43, 31.0), within=0.2)


@pytest.mark.parametrize(("kind", "cv"), [*KINDS, (CONSTANT, 0.0)])
def test_how_many_are_in_service_is_insensitive(kind: int, cv: float) -> None:
    """P(N = n) = (1 - load) load^n whatever the work's distribution. Chi-square, n = 0 to 7 and more, 4,000 looks."""
    found = tagged(kind, cv).found_in_service
    seen = np.bincount(np.minimum(found, 8), minlength=9)
    formula = np.append((1 - LOAD) * LOAD ** np.arange(8), LOAD**8)
    is_plausible("number in service", stats.chisquare(seen, formula * len(found)).pvalue)
    assert (tagged(kind, cv).found_queued == 0).all()


def test_the_mean_over_all_requests() -> None:
    """E[T] = E[x] / (1 - load) for constant and for very variable work, 480,000 requests in 60 batches."""
    for kind, cv, within in ((CONSTANT, 0.0, 0.04), (LOGNORMAL, 1.5, 0.1)):
        plan = one_queue(LOAD * PER_UNIT, shared_cpu=True, slots=512, cores=1.0, **works(kind, UNIT_NS, cv))
        recording = run_rows(plan, [13_000 * UNIT_NS * (k + 1) for k in range(62)])
        latency = column(recording, layout.STARTED_LATENCY)[1:-1] / UNIT_NS
        served = column(recording, layout.STARTED_SUCCEEDED)[1:-1]
        agrees("E[T]", 1 / (1 - LOAD), latency, served, within=within)


def arrivals_and_works(plan: Plan, n: int, rate_per_s: float) -> tuple[list[int], list[int]]:
    """When the first n requests come and what work they bring, ns."""
    one = plan.instances[0]
    units, arrival_ns, work_ns = 0, [], []
    for k in range(n):
        units += increment(plan.key, k)
        arrival_ns.append(math.ceil(units / (rate_per_s * UNITS_PER_NS)))
        work = sample_work(int(one["work"]), float(one["work_a"]), float(one["work_b"]), (), 0, 0, plan.key, k, 0, 16)
        work_ns.append(work)
    return arrival_ns, work_ns


def shared_by_steps(
    arrival_ns: list[int], work_ns: list[int], slots: int, cores: float
) -> tuple[list[float], list[int]]:
    """When each request ends, ns, and how many changes there were by then since the system was last empty.

    Every job's remaining work, stepped in floats: those in service proceed at min(1, cores / busy) each, the others
    wait in line.
    """
    remaining: dict[int, float] = {}
    waiting: list[int] = []
    ends, changes = [0.0] * len(arrival_ns), [0] * len(arrival_ns)
    now, k, since_empty = 0.0, 0, 0
    while k < len(arrival_ns) or remaining:
        pace = min(1.0, cores / len(remaining)) if remaining else 1.0
        first = min(remaining, key=lambda job: remaining[job]) if remaining else -1
        end = now + remaining[first] / pace if remaining else math.inf
        then = min(end, arrival_ns[k] if k < len(arrival_ns) else math.inf)
        for job in remaining:
            remaining[job] -= (then - now) * pace
        now = then
        since_empty = since_empty + 1 if remaining else 1
        if then == end:
            del remaining[first]
            ends[first], changes[first] = now, since_empty
        else:
            waiting.append(k)
            k += 1
        while waiting and len(remaining) < slots:
            job = waiting.pop(0)
            remaining[job] = float(work_ns[job])
    return ends, changes


@pytest.mark.parametrize("engine", [Kernel, Reference])
@pytest.mark.parametrize(
    ("kind", "slots", "cores", "busy"),
    [(EXPONENTIAL, 400, 1.0, 0.8), (LOGNORMAL, 400, 3.0, 0.9), (GAMMA, 8, 2.5, 0.95), (UNIFORM, 5, 0.5, 0.7)],
)
def test_each_request_ends_when_a_second_simulator_says(
    engine: Any, kind: int, slots: int, cores: float, busy: float
) -> None:
    """400 requests, one by one, of about a million nanoseconds each. The engine rounds completions up to whole
    nanoseconds and its clock down to 2^-10 of one, and a delay is handed on while the system is busy: each change since
    it was last empty may cost a nanosecond, and none gains one.
    """
    n, rate_per_s = 400, busy * cores * PER_UNIT
    work = works(kind, UNIT_NS, 1.2 if kind != UNIFORM else 0.4)
    plan = one_queue(rate_per_s, shared_cpu=True, slots=slots, cores=cores, queue=INFINITE, **work)
    arrival_ns, work_ns = arrivals_and_works(plan, n, rate_per_s)
    assert len(set(arrival_ns)) == n
    recording = run_rows(plan, [*arrival_ns, arrival_ns[-1] + 1000 * UNIT_NS], engine(plan))
    latency_ns = column(recording, layout.STARTED_LATENCY)[1:-1]
    assert (column(recording, layout.OFFERED)[1:-1] == 1).all()
    ends_ns, changes = shared_by_steps(arrival_ns[: n - 1], work_ns[: n - 1], slots, cores)
    # The last request is not compared, and those it shared a core with end later: they are left out.
    alone = [k for k in range(n - 1) if ends_ns[k] < arrival_ns[-1]]
    assert len(alone) > n - 60
    for k in alone:
        late_ns = arrival_ns[k] + latency_ns[k] - ends_ns[k]
        assert -0.01 <= late_ns <= changes[k], f"request {k} ends {late_ns:.1f} ns late after {changes[k]} changes"
    slowed = np.mean([latency_ns[k] / work_ns[k] for k in alone])
    assert slowed > 1.3
