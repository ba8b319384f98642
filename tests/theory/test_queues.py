"""Queues in steady state against Erlang, Pollaczek and Khinchine, Little; and against Kiefer and Wolfowitz, exactly.

Times are in units of the mean work, rates per such unit. See measure.py for how a comparison is made.
"""

from __future__ import annotations

import heapq
import math
from functools import cache

import numpy as np
import pytest
from scipy import stats

from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE
from azsim.dataplane.kernel import Kernel
from azsim.dataplane.layout import Plan
from azsim.policy.arrivals import UNITS_PER_NS, increment
from azsim.policy.distributions import CONSTANT, EXPONENTIAL, GAMMA, LOGNORMAL, UNIFORM, sample_work
from azsim.policy.histogram import bin_bounds_ns, bin_of
from azsim.policy.shedding import FIFO, LIFO
from tests.plans import call, make_plan, population, service
from tests.theory.measure import (
    ALARM,
    PER_UNIT,
    UNIT_NS,
    Tagged,
    agrees,
    column,
    is_plausible,
    one_queue,
    run_batches,
    run_rows,
    works,
)

QUOTED = {3: 0.8171, 10: 0.6687, 30: 0.4714}  # P(wait) at 90% by servers, as tables of Erlang's C formula have it


def erlang_b(servers: int, load: float) -> float:
    """Share of arrivals lost where none may wait, by the usual recursion."""
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Share of arrivals that wait where all may."""
    blocked = erlang_b(servers, load)
    return blocked / (1 - load / servers * (1 - blocked))


def finite_queue(servers: int, places: int, load: float) -> tuple[float, float]:
    """M/M/c/K: the share of arrivals lost, and the mean wait of the others in units of mean work."""
    weights = [1.0]
    for n in range(1, servers + places + 1):
        weights.append(weights[-1] * load / min(n, servers))
    lost = weights[-1] / sum(weights)
    waiting = sum((n - servers) * w for n, w in enumerate(weights) if n > servers) / sum(weights)
    return lost, waiting / (load * (1 - lost))


@cache
def tagged(servers: int) -> Tagged:
    """1,500 looks at M/M/c at 90%, five relaxation times apart (2.6 million requests)."""
    relaxation = 1 / (servers * (1 - math.sqrt(0.9)) ** 2)
    work = works(EXPONENTIAL, UNIT_NS)
    return Tagged(
        0.9 * servers * PER_UNIT, round(5 * relaxation * UNIT_NS), 1500, shared_cpu=False, slots=servers, **work
    )


@pytest.mark.parametrize("servers", QUOTED)
def test_how_many_wait_at_mmc(servers: int) -> None:
    """Erlang C. Of n = 1,500 nearly independent requests a binomial number waits; the exact test sees 6 points."""
    formula = erlang_c(servers, 0.9 * servers)
    assert formula == pytest.approx(QUOTED[servers], abs=5e-5)
    waits = tagged(servers).latency_ns - tagged(servers).work_ns
    assert waits.min() == 0
    waited = int((waits > 0).sum())
    is_plausible(
        f"P(wait) {formula:.4f}, {waited / len(waits):.4f} seen",
        stats.binomtest(waited, len(waits), formula).pvalue,
    )


@pytest.mark.parametrize("servers", QUOTED)
def test_how_long_those_wait_who_do_at_mmc(servers: int) -> None:
    """P(W > t | W > 0) = exp(-(c - load) t): exponential whatever c. Kolmogorov-Smirnov."""
    waits = (tagged(servers).latency_ns - tagged(servers).work_ns) / UNIT_NS
    rest = waits[waits > 0]
    is_plausible("conditional wait", stats.kstest(rest, "expon", args=(0, 1 / (0.1 * servers))).pvalue)


@pytest.mark.parametrize(
    ("servers", "busy", "within"), [(3, 0.9, 0.1), (10, 0.9, 0.1), (30, 0.9, 0.12), (3, 0.7, 0.04), (10, 0.7, 0.1)]
)
def test_mean_wait_at_mmc(servers: int, busy: float, within: float) -> None:
    """E[W] = C / (c - load), from 60 batches, some four million requests in all."""
    load = busy * servers
    batch_ns = round(4_000_000 / 62 / load) * UNIT_NS
    plan = one_queue(load * PER_UNIT, slots=servers, **works(EXPONENTIAL, UNIT_NS))
    recording = run_batches(plan, batch_ns, 60)
    served = column(recording, layout.STARTED_SUCCEEDED)
    waits = column(recording, layout.STARTED_LATENCY) / UNIT_NS - served
    agrees("E[W]", erlang_c(servers, load) / (servers - load), waits, served, within=within)


@pytest.mark.parametrize(("kind", "cv"), [(EXPONENTIAL, 1.0), (CONSTANT, 0.0), (LOGNORMAL, 2.0), (GAMMA, 0.5)])
def test_how_many_are_lost_without_a_queue(kind: int, cv: float) -> None:
    """Erlang B, whatever the distribution of work: 8 erlangs offered to 10 slots, 960,000 requests in 60 batches."""
    plan = one_queue(8 * PER_UNIT, slots=10, queue=0, **works(kind, UNIT_NS, cv))
    recording = run_batches(plan, 2000 * UNIT_NS, 60)
    lost = recording.services[:, 0, layout.OVERLOADED].astype(np.float64)
    formula = erlang_b(10, 8.0)
    assert formula == pytest.approx(0.1217, abs=5e-5)
    agrees("loss", formula, lost, column(recording, layout.OFFERED), within=0.06)


@pytest.mark.parametrize(("servers", "places", "load"), [(1, 4, 0.8), (3, 5, 3.0), (4, 10, 6.0)])
def test_loss_and_wait_with_a_finite_queue(servers: int, places: int, load: float) -> None:
    """M/M/c/K below, at and beyond its capacity, 500,000 to 1,500,000 requests in 30 batches."""
    plan = one_queue(load * PER_UNIT, slots=servers, queue=places, **works(EXPONENTIAL, UNIT_NS))
    recording = run_batches(plan, round(20_000 / load**0.5) * UNIT_NS, 30)
    lost, wait = finite_queue(servers, places, load)
    overloaded = recording.services[:, 0, layout.OVERLOADED].astype(np.float64)
    agrees("loss", lost, overloaded, column(recording, layout.OFFERED), within=0.06)
    served = column(recording, layout.STARTED_SUCCEEDED)
    latency = column(recording, layout.STARTED_LATENCY) / UNIT_NS
    agrees("E[T]", wait + 1, latency, served, within=0.03)


@pytest.mark.parametrize(
    ("kind", "cv", "within"), [(CONSTANT, 0.0, 0.04), (UNIFORM, 0.5, 0.04), (GAMMA, 0.5, 0.04), (LOGNORMAL, 1.5, 0.15)]
)
def test_mean_wait_at_mg1(kind: int, cv: float, within: float) -> None:
    """Pollaczek and Khinchine: E[W] = load (1 + cv^2) / (2 (1 - load)), at 70%, 1,050,000 requests in 30 batches."""
    plan = one_queue(0.7 * PER_UNIT, slots=1, **works(kind, UNIT_NS, cv))
    recording = run_batches(plan, 50_000 * UNIT_NS, 30)
    served = column(recording, layout.STARTED_SUCCEEDED)
    waits = column(recording, layout.STARTED_LATENCY) / UNIT_NS - served
    agrees("E[W]", 0.7 * (1 + cv**2) / 2 / 0.3, waits, served, within=within)


def test_how_many_wait_at_md1() -> None:
    """P(W = 0) = 1 - load. Constant work at the very end of a histogram bin: who waits 1 ns is in a later one."""
    work_ns = bin_bounds_ns(bin_of(UNIT_NS))[1] - 1
    load = 0.7 * work_ns / UNIT_NS
    recording = run_batches(one_queue(0.7 * PER_UNIT, slots=1, work_ns=work_ns), 20_000 * UNIT_NS, 30)
    at_once = recording.latency[:, bin_of(work_ns)].astype(np.float64)
    agrees("P(W = 0)", 1 - load, at_once, column(recording, layout.STARTED_SUCCEEDED), within=0.04)


def test_littles_law() -> None:
    """L = throughput x W, in the queue, in service and in both, of a queue that overflows.

    Rows end every `tick`: the numbers they show, times the tick, add up to the time spent, but for the ends of stays:
    each is off by less than a tick, 0 on average and, arrivals being spread evenly over ticks, independently.
    Hoeffding's bound then holds for n stays: P(|sum| > x) <= 2 exp(-x^2 / (2 n tick^2)).
    """
    tick_ns, ticks = UNIT_NS // 8, 8000
    plan = one_queue(2.4 * PER_UNIT, slots=3, queue=12, **works(LOGNORMAL, UNIT_NS, 1.5))
    recording = run_rows(plan, [tick_ns * (k + 1) for k in range(ticks)])
    zone = recording.zones[:, 0, 0].sum(axis=0)
    served = int(column(recording, layout.STARTED_SUCCEEDED).sum())
    stays_ns = column(recording, layout.STARTED_LATENCY).sum()
    works_ns = recording.services[:, 0, layout.USEFUL].sum() / 1024
    # Some are still there at the end: their time counts in the rows alone, and is at most that of a full house.
    assert recording.in_flight.sum() < 10
    slack_ns = math.sqrt(2 * served * math.log(2 / ALARM)) * tick_ns + 10 * 15 * UNIT_NS
    for what, number, time_ns in (
        ("queue", zone[layout.QUEUED], stays_ns - works_ns),
        ("service", zone[layout.IN_SERVICE], works_ns),
        ("both", zone[layout.QUEUED] + zone[layout.IN_SERVICE], stays_ns),
    ):
        print(f"{what}: L = {number / ticks:.4f}, throughput x W = {time_ns / ticks / tick_ns:.4f}, {served} served")
        assert abs(number * tick_ns - time_ns) <= slack_ns
        assert slack_ns < 0.3 * time_ns


def latency_by_recursion(plan: Plan, n: int, rate_per_s: float, slots: int, lifo: bool) -> int:
    """The sum of the first n latencies, by a dozen lines that share nothing with the engines but the draws."""
    one = plan.instances[0]
    arrival_ns, units, work_ns = [], 0, []
    for k in range(n):
        units += increment(plan.key, k)
        arrival_ns.append(math.ceil(units / (rate_per_s * UNITS_PER_NS)))
        work_ns.append(
            sample_work(int(one["work"]), float(one["work_a"]), float(one["work_b"]), (), 0, 0, plan.key, k, 0, 16)
        )
    free = [0] * slots  # when each slot is free again
    waiting: list[int] = []
    total = k = 0
    while k < n or waiting:
        if not waiting or (k < n and arrival_ns[k] <= free[0]):
            waiting.append(k)
            k += 1
            if free[0] > arrival_ns[waiting[-1]]:
                continue
        chosen = waiting.pop() if lifo else waiting.pop(0)
        end_ns = max(heapq.heappop(free), arrival_ns[chosen]) + work_ns[chosen]
        heapq.heappush(free, end_ns)
        total += end_ns - arrival_ns[chosen]
    return total


@pytest.mark.parametrize("lifo", [False, True], ids=["fifo", "lifo"])
@pytest.mark.parametrize(("kind", "slots", "busy"), [(EXPONENTIAL, 1, 0.8), (LOGNORMAL, 4, 0.9), (GAMMA, 30, 0.95)])
@pytest.mark.parametrize("variant", ["lean", "full"])
def test_latencies_are_those_of_the_recursion(kind: int, slots: int, busy: float, lifo: bool, variant: str) -> None:
    """Kiefer and Wolfowitz: the sum of the latencies of the same 4,000 requests is equal to the nanosecond."""
    n, rate_per_s = 4000, busy * slots * PER_UNIT
    plan = one_queue(
        rate_per_s,
        slots=slots,
        discipline=LIFO if lifo else FIFO,
        shared_cpu=variant == "full",
        **works(kind, UNIT_NS, 1.3),
    )
    stop_ns = math.ceil(sum(increment(plan.key, k) for k in range(n)) / (rate_per_s * UNITS_PER_NS)) + 1
    kernel = Kernel(plan, variant=variant)
    kernel.advance(stop_ns)
    kernel.set_rate_factor(0, 0.0)
    kernel.advance(stop_ns + 1_000_000 * UNIT_NS)
    kernel.check()
    totals = kernel.finish().populations.sum(axis=(0, 1))
    assert totals[layout.SUCCEEDED] == totals[layout.OFFERED] == n
    assert totals[layout.STARTED_LATENCY] == latency_by_recursion(plan, n, rate_per_s, slots, lifo)


def test_tiers_in_a_row_are_a_jackson_network() -> None:
    """E[T] = 1 / (1 - 0.6) + 0.8 / (1 - 0.48): each tier as if it were alone, 720,000 requests in 60 batches.

    The first tier has one core and so many slots that none waits for one: an M/M/1-PS node, whose output is Poisson.
    The second is an M/M/1 queue of work 0.8; who waits for its answer holds a slot of the first, but not its core.
    """
    plan = make_plan(
        populations=[population("front", rate_per_s=0.6 * PER_UNIT)],
        services=[
            service(
                "front", per_zone={"a": 1}, slots=512, cores=1.0, calls=[call("back")], **works(EXPONENTIAL, UNIT_NS)
            ),
            service("back", per_zone={"a": 1}, slots=1, queue=INFINITE, **works(EXPONENTIAL, 0.8 * UNIT_NS)),
        ],
    )
    recording = run_batches(plan, 20_000 * UNIT_NS, 60)
    formula = 1 / (1 - 0.6) + 0.8 / (1 - 0.48)
    latency = column(recording, layout.STARTED_LATENCY) / UNIT_NS
    agrees("E[T]", formula, latency, column(recording, layout.STARTED_SUCCEEDED), within=0.06)
