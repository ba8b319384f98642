"""The mechanisms of a scenario that can be switched off one by one, as in a laboratory: everything else stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from azsim.base.errors import ScenarioError
from azsim.scenario import Scenario
from azsim.simulation.lower import lower
from azsim.simulation.mechanisms import TIMEOUT_SHARE, caller_timeout_ns, place_time_ns

Changes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Switch:
    """One mechanism. `changes` are the dotted paths and values that switch it off; `faults` are the ids of faults that
    are left out with it.
    """

    name: str
    changes: Changes
    faults: tuple[str, ...] = ()


def mechanisms(scenario: Scenario) -> list[Switch]:
    """What the system does by itself, in the order of the path of a request; without what it cannot do without, such as
    the health checks by which a standby is promoted.
    """
    return [one for one in _candidates(scenario) if _holds(scenario, one)]


def _candidates(scenario: Scenario) -> list[Switch]:
    scaling = [name for name, service in scenario.services.items() if service.scaling is not None]
    # To refuse capacity that nobody asks for is no fault.
    refusals = tuple(str(fault.id) for fault in scenario.faults if fault.kind == "capacity_refused")
    found = [
        *_on_hops(scenario, "retry", "retries of {}"),
        *_on_hops(scenario, "hedge", "hedges of {}"),
        *_on_hops(scenario, "breaker", "breaker of {}"),
        *_queues(scenario),
    ]
    for name, service in scenario.services.items():
        path = f"services.{name}"
        if service.balancer.health is not None:
            found.append(Switch(f"health ejection of {name}", {f"{path}.balancer.health": "none"}))
        if getattr(service.balancer, "outliers", None) is not None:
            found.append(Switch(f"outlier ejection of {name}", {f"{path}.balancer.outliers": "none"}))
        if service.balancer.cross_zone:
            found.append(Switch(f"cross-zone sending to {name}", {f"{path}.balancer.cross_zone": False}))
        if service.scaling is not None:
            faults = refusals if scaling == [name] else ()
            found.append(Switch(f"autoscaling of {name}", {f"{path}.scaling": "none"}, faults))
        cold: Changes = {}
        for at, instance in _instances(scenario, name):
            cold |= {f"{at}.boot": "0s"} if instance.boot else {}
            cold |= {f"{at}.warmup": "none"} if instance.warmup is not None else {}
        if cold:
            found.append(Switch(f"cold start of {name}", cold))
    return found


def triggers(scenario: Scenario) -> list[Switch]:
    """What happens to it."""
    return [Switch(f"fault {fault.id}", {}, (str(fault.id),)) for fault in scenario.faults]


def _holds(scenario: Scenario, one: Switch) -> bool:
    try:
        without(scenario, [one])
    except ScenarioError:
        return False
    return True


def without(scenario: Scenario, switches: Sequence[Switch]) -> Scenario:
    """The scenario with these switches off. ScenarioError where they cannot be off together."""
    changes: Changes = {}
    for one in switches:
        changes |= one.changes
    dropped = {fault for one in switches for fault in one.faults}
    if dropped:
        changes["faults"] = [fault for fault in scenario.to_dict().get("faults", []) if fault["id"] not in dropped]
    return scenario.with_(changes) if changes else scenario


def _hops(scenario: Scenario) -> Iterator[tuple[str, str, Any]]:
    """(path, name, hop) of populations, then of the calls of each service."""
    for name, population in scenario.traffic.items():
        yield f"traffic.{name}", name, population
    for name, service in scenario.services.items():
        for placed in service.every_call:
            yield f"services.{name}.{placed.name}", f"{name} to {placed.call.to}", placed.call


def _on_hops(scenario: Scenario, key: str, name: str) -> Iterator[Switch]:
    for path, hop_name, hop in _hops(scenario):
        policy = getattr(hop, key, None)
        if policy is not None and getattr(policy, "attempts", 2) > 1:
            yield Switch(name.format(hop_name), {f"{path}.{key}": "none"})


def _instances(scenario: Scenario, name: str) -> Iterator[tuple[str, Any]]:
    """(path, instance as configured) of a service: its own, then the zones' overrides."""
    service = scenario.services[name]
    yield f"services.{name}", service
    for zone, override in service.overrides.items():
        yield f"services.{name}.overrides.{zone}", override


def _queues(scenario: Scenario) -> Iterator[Switch]:
    """Work for callers who have given up, and queues that make them."""
    plan = lower(scenario, 0)
    for s, name in enumerate(scenario.services):
        timeout_ns = caller_timeout_ns(plan, s)
        if timeout_ns is None:
            continue
        kept: Changes = {}
        long: Changes = {}
        for at, instance in _instances(scenario, name):
            kept |= {} if instance.drop_expired else {f"{at}.drop_expired": True}
            places = int(TIMEOUT_SHARE * timeout_ns / place_time_ns(plan, s, instance.slots, instance.cores))
            if instance.queue == "unbounded" or places < instance.queue:
                long[f"{at}.queue"] = places
        if kept:
            yield Switch(f"orphans kept by {name}", kept)
        if long:
            yield Switch(f"long queue of {name}", long)
