"""What may keep a system down, and the smallest change of a scenario that takes each of it away (J4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from azsim.base.units import SECOND_NS
from azsim.dataplane.codes import INFINITE
from azsim.dataplane.layout import DISPATCHED, Plan
from azsim.simulation.explained import CACHES, EJECTION
from azsim.simulation.judging import span_block
from azsim.simulation.metrics import mean_work_ns
from azsim.simulation.trace import Trace

BUDGET_SHARE: Final = 0.1
TIMEOUT_SHARE: Final = 0.5  # of the caller's timeout that a queue may take

Changes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One mechanism changed from the start of a run: `changes` are dotted paths of the scenario and new values."""

    name: str
    changes: Changes


def mechanisms(trace: Trace) -> list[Mechanism]:
    """The mechanisms of a run's scenario that can be changed, smallest change first."""
    ways: dict[str, Callable[[Trace], Changes]] = {
        "hedging off": _hedging_off,
        "retries off": _retries_off,
        "retry budget 10%": _retry_budget,
        "orphans dropped": _orphans_dropped,
        "queues shorter than the timeout": _shorter_queues,
        CACHES: _caches_kept,
        EJECTION: _health_off,
    }
    found = [Mechanism(name, way(trace)) for name, way in ways.items()]
    return [mechanism for mechanism in found if mechanism.changes]


def _retrying(trace: Trace) -> Iterator[tuple[str, float]]:
    """(path, calls per second of one client process) of every hop that retries: populations, then calls (R2, O7)."""
    scenario, plan = trace.scenario, trace.plan
    for name, population in scenario.traffic.items():
        if population.retry is not None and population.retry.attempts > 1:
            yield f"traffic.{name}", population.peak_rate / population.clients
    first_ns = min((fault.start_ns for fault in trace.faults), default=trace.end_ns)
    steady = span_block(trace, min(trace.scenario.warmup, first_ns), first_ns)
    for name, service in scenario.services.items():
        s = plan.service_names.index(name)
        instances = sum(map(service.instances, scenario.zones)) * max(1, steady.end_ns - steady.start_ns)
        for placed in service.every_call:
            if placed.call.retry is not None and placed.call.retry.attempts > 1:
                rate_per_s = float(steady.services[s, DISPATCHED]) * SECOND_NS / instances
                yield f"services.{name}.{placed.name}", rate_per_s


def _hedging(trace: Trace) -> Iterator[tuple[str, bool]]:
    """Every hop that hedges, and whether at the cost of its budget of retries: populations, then calls."""
    for name, population in trace.scenario.traffic.items():
        if population.hedge is not None:
            yield f"traffic.{name}", population.hedge.budget == "retry"
    for name, service in trace.scenario.services.items():
        for placed in service.every_call:
            if placed.call.hedge is not None:
                yield f"services.{name}.{placed.name}", placed.call.hedge.budget == "retry"


def _hedging_off(trace: Trace) -> Changes:
    return {f"{path}.hedge": "none" for path, _ in _hedging(trace)}


def _retries_off(trace: Trace) -> Changes:
    changes: Changes = {f"{path}.retry": "none" for path, _ in _retrying(trace)}
    # A hedge that takes from the budget of retries goes with it.
    return changes | {f"{path}.hedge": "none" for path, of_retries in _hedging(trace) if of_retries and changes}


def _retry_budget(trace: Trace) -> Changes:
    """A tenth of the requests may be retried: each deposits a tenth of a retry, a second's worth may be saved up."""
    return {
        f"{path}.retry.budget": {
            "kind": "token-bucket",
            "capacity": max(1.0, math.ceil(BUDGET_SHARE * rate_per_s * 1000) / 1000),
            "cost": 1,
            "timeout_cost": 1,
            "deposit": BUDGET_SHARE,
            "deposit_on": "request",
        }
        for path, rate_per_s in _retrying(trace)
    }


def _instance_paths(trace: Trace) -> Iterator[tuple[str, int, Any]]:
    """(path, service, instance as configured) of each kind of instance: a service's own, then its overrides."""
    for name, service in trace.scenario.services.items():
        s = trace.plan.service_names.index(name)
        yield f"services.{name}", s, service
        for zone, override in service.overrides.items():
            yield f"services.{name}.overrides.{zone}", s, override


def _orphans_dropped(trace: Trace) -> Changes:
    return {
        f"{path}.drop_expired": True
        for path, s, instance in _instance_paths(trace)
        if not instance.drop_expired and caller_timeout_ns(trace.plan, s) is not None
    }


def _shorter_queues(trace: Trace) -> Changes:
    changes: Changes = {}
    for path, s, instance in _instance_paths(trace):
        timeout_ns = caller_timeout_ns(trace.plan, s)
        if timeout_ns is None:
            continue
        place_ns = place_time_ns(trace.plan, s, instance.slots, instance.cores)
        places = int(TIMEOUT_SHARE * timeout_ns / place_ns)
        if instance.queue == "unbounded" or places < instance.queue:
            changes[f"{path}.queue"] = places
    return changes


def _caches_kept(trace: Trace) -> Changes:
    return {
        f"{path}.cache.kept": "100%"
        for path, _, instance in _instance_paths(trace)
        if instance.cache is not None and instance.cache.kept < 1
    }


def _health_off(trace: Trace) -> Changes:
    return {
        f"services.{name}.balancer.health": "none"
        for name, service in trace.scenario.services.items()
        if service.balancer.health is not None
    }


def caller_timeout_ns(plan: Plan, s: int) -> int | None:
    """The shortest time for which a caller of a service waits for an attempt; None where all wait for ever."""
    hops = plan.hops[plan.hops["service"] == s]
    shortest = min((int(min(hop["timeout_ns"], hop["deadline_ns"])) for hop in hops), default=INFINITE)
    return None if shortest >= INFINITE else shortest


def place_time_ns(plan: Plan, s: int, slots: int, cores: float) -> float:
    """How much a full queue place adds to the wait of those behind it at an instance of a service, ns (A3): its work
    over what works at once, or, where that is longer, the time it holds a slot over the slots.
    """
    return max(float(mean_work_ns(plan)[s]) / min(slots, cores), slot_time_ns(plan, s) / slots)


def slot_time_ns(plan: Plan, s: int) -> float:
    """How long a request holds a slot of an unloaded service: its work and, one after the other, its calls (R8)."""
    calls = plan.hops["service"][plan.hops["caller"] == s]
    return float(mean_work_ns(plan)[s]) + sum(slot_time_ns(plan, int(callee)) for callee in calls)
