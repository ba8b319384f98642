"""What slows, orders and drops under overload: the universal scalability law, Cobham's priorities, CoDel's promise."""

from __future__ import annotations

import pytest

from azsim.dataplane import layout
from azsim.policy.distributions import CONSTANT, EXPONENTIAL
from azsim.policy.shedding import CODEL
from tests.plans import MS, make_plan, population, service
from tests.theory.measure import PER_UNIT, UNIT_NS, agrees, column, one_queue, run_batches, run_rows, works


@pytest.mark.parametrize(("contention", "coherency"), [(0.05, 0.0), (0.02, 0.005)])
def test_throughput_is_that_of_the_universal_scalability_law(contention: float, coherency: float) -> None:
    """X(n) = n / (1 + contention (n - 1) + coherency n (n - 1)) a unit of work, and its peak at sqrt((1 - s) / k).

    n slots with a core each, always busy; constant work, so 2,000 units count to within one a slot.
    """
    measured = {}
    for slots in (1, 2, 4, 8, 12, 14, 16, 24, 32):
        plan = one_queue(
            8 * PER_UNIT * 3,
            slots=slots,
            shared_cpu=True,
            queue=200,
            contention=contention,
            coherency=coherency,
            **works(CONSTANT, UNIT_NS),
        )
        recording = run_rows(plan, [200 * UNIT_NS, 2200 * UNIT_NS])
        measured[slots] = column(recording, layout.SUCCEEDED)[1] / 2000
        formula = slots / (1 + contention * (slots - 1) + coherency * slots * (slots - 1))
        assert measured[slots] == pytest.approx(formula, abs=2 * slots / 2000 + 1e-6)
    if coherency:
        assert ((1 - contention) / coherency) ** 0.5 == pytest.approx(14)
        assert max(measured, key=lambda n: measured[n]) == 14


def test_priority_waits_are_cobhams() -> None:
    """Non-preemptive M/M/1 with three classes (Cobham 1954), loads .2, .3, .3 from the highest down.

    W_k = W_0 / ((1 - s_{k-1}) (1 - s_k)) with s_k the load of class k and those above it and W_0 = load x mean work.
    60 batches of 20,000 units; 16,000 requests each.
    """
    loads = [0.2, 0.3, 0.3]
    plan = make_plan(
        populations=[
            population(name=f"c{k}", rate_per_s=load * PER_UNIT, priority=3 - k) for k, load in enumerate(loads)
        ],
        services=[service(per_zone={"a": 1}, slots=1, **works(EXPONENTIAL, UNIT_NS))],
        shared_cpu=False,
    )
    recording = run_batches(plan, 20_000 * UNIT_NS, 60)
    above = 0.0
    for k, (load, within) in enumerate(zip(loads, (0.02, 0.04, 0.2), strict=True)):
        wait = sum(loads) / ((1 - above) * (1 - above - load))
        above += load
        latency = column(recording, layout.STARTED_LATENCY, k) / UNIT_NS
        agrees(f"class {k}", wait + 1, latency, column(recording, layout.STARTED_SUCCEEDED, k), within=within)


def test_codel_keeps_waits_short_whatever_is_offered() -> None:
    """At twice the capacity a queue of 1,000 places makes everyone wait 1,000 units; CoDel keeps waits near its target.

    After an interval's first job, it lets through what has waited at most twice the target, 10 units. No slot idles.
    """
    found = {}
    for discipline in (0, CODEL):
        plan = one_queue(
            2 * PER_UNIT,
            slots=1,
            queue=1000,
            discipline=discipline,
            codel_interval_ns=100 * MS,
            codel_target_ns=5 * MS,
            **works(CONSTANT, UNIT_NS),
        )
        recording = run_rows(plan, [2_000 * UNIT_NS, 20_000 * UNIT_NS, 24_000 * UNIT_NS])
        succeeded = column(recording, layout.STARTED_SUCCEEDED)[1]
        found[discipline] = column(recording, layout.STARTED_LATENCY)[1] / succeeded / UNIT_NS
        assert column(recording, layout.SUCCEEDED)[1] == pytest.approx(18_000, abs=2)
    assert found[0] == pytest.approx(1001, rel=0.01)
    assert found[CODEL] < 11
