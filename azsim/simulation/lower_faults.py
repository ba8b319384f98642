"""From a scenario's faults and abort conditions to what they do: the crossing's second half."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from itertools import combinations

from azsim.base.units import format_duration, format_share
from azsim.policy import cpu
from azsim.scenario import Scenario
from azsim.scenario import faults as written
from azsim.simulation.effects import AbortCondition, Effect, Fault, Lever, crashed, cut, dead, paused
from azsim.simulation.lower import instance_numbers

_COMPETITIONS = {"shared": cpu.SHARED, "own-group": cpu.OWN_GROUP, "strict": cpu.STRICT}
_ZONE_LOST = {
    "power": "power lost",
    "refuse": "refuses connections",
    "blackhole": "cut off",
    "control": "loses its control plane",
}
_ZONE_BACK = {
    "power": "power restored",
    "refuse": "accepts connections again",
    "blackhole": "reachable again",
    "control": "has its control plane back",
}


def lower_faults(scenario: Scenario) -> tuple[Fault, ...]:
    """The faults of a scenario, as listed, acting on things by their numbers in its tables."""
    numbers = instance_numbers(scenario)
    return tuple(one for fault in scenario.faults for one in _times(fault, _fault(fault, scenario, numbers)))


def lower_abort(scenario: Scenario) -> tuple[AbortCondition, ...]:
    """The abort conditions of a scenario, as listed."""
    return tuple(
        AbortCondition("instances" if abort.error_rate is None else "error_rate", abort.condition, abort.for_)
        for abort in scenario.abort
    )


def _times(fault: written.Fault, once: Fault) -> Iterable[Fault]:
    """A fault as often as it comes."""
    if fault.repeat is None:
        return [once]
    return [
        dataclasses.replace(once, id=f"{fault.id}.{number}", start_ns=start_ns, end_ns=end_ns)
        for number, (start_ns, end_ns) in enumerate(fault.times, 1)
    ]


def _fault(fault: written.Fault, scenario: Scenario, numbers: dict[tuple[str, str], range]) -> Fault:
    spec = fault.spec
    ended = ""
    effects: list[Effect] = []
    instances: list[int] = []
    if isinstance(spec, written.ZoneLoss):
        if spec.mode != "control":
            instances = [i for (_, zone), block in numbers.items() if zone == spec.zone for i in block]
        effects = _zone_loss(spec, scenario, instances)
        what = f"zone {spec.zone} {spec.mode}"
        started, ended = f"zone {spec.zone} {_ZONE_LOST[spec.mode]}", f"zone {spec.zone} {_ZONE_BACK[spec.mode]}"
    elif isinstance(spec, written.Partition):
        places = sorted(scenario.zones.index(zone) for zone in spec.between)
        effects = [cut(place, other) for place, other in combinations(places, 2)]
        what = f"partition between {' and '.join(spec.between)}"
        started, ended = what, f"zones {' and '.join(spec.between)} reach each other again"
    elif isinstance(spec, written.CutOff):
        instances = [i for (_, zone), block in numbers.items() if zone == spec.zone for i in block]
        effects = [cut(scenario.zones.index(spec.zone), len(scenario.zones))]
        what = started = f"zone {spec.zone} cut off from outside"
        ended = f"zone {spec.zone} reachable from outside again"
    elif isinstance(spec, written.TrafficSpike):
        effects = [Effect(Lever.RATE, list(scenario.traffic).index(spec.population), spec.factor)]
        started = what = f"traffic of {spec.population} x{spec.factor:g}"
    else:
        title, effect = _on_instance(spec, scenario)
        for zone in scenario.zones if spec.zone is None else [spec.zone]:
            for i in numbers[spec.service, zone]:
                if isinstance(spec.hosts, str) or len(instances) < spec.hosts:
                    instances.append(i)
                    effects.append(effect(i, zone))
        started = what = f"{title} {_where(spec, len(instances))}"
    return Fault(
        id=fault.id,
        kind=fault.kind,
        what=what,
        started=started,
        ended=ended or f"{what} ended",
        start_ns=fault.at,
        end_ns=None if fault.for_ is None else fault.at + fault.for_,
        effects=tuple(effects),
        instances=tuple(instances),
    )


def _where(spec: written.OnService, count: int) -> str:
    zone = f" in zone {spec.zone}" if spec.zone is not None else ""
    return f"{spec.service}{zone} ({count} host{'' if count == 1 else 's'})"


def _zone_loss(spec: written.ZoneLoss, scenario: Scenario, instances: list[int]) -> list[Effect]:
    """Its instances are dead or refuse (F1), or every link out of it is cut, outside being one place more (O6).

    Its controllers stop in every mode: they are gone, or can reach nobody (O8).
    """
    zones = scenario.zones
    zone = zones.index(spec.zone)
    effects = []
    if any(service.balancer.control_zone == spec.zone for service in scenario.services.values()):
        effects = [Effect(Lever.CONTROL, zone, True)]
    if spec.mode == "blackhole":
        effects += [cut(zone, place) for place in range(len(zones) + 1) if place != zone]
    elif spec.mode != "control":
        effects += [(dead if spec.mode == "power" else crashed)(instance) for instance in instances]
    return effects


def _on_instance(
    spec: written.CpuStress | written.Crash | written.Pause | written.Latency | written.ErrorRate, scenario: Scenario
) -> tuple[str, Callable[[int, str], Effect]]:
    """A fault in words, and what it does to an instance, given its number and its zone."""
    match spec:
        case written.CpuStress():
            service = scenario.services[spec.service]

            def stress(instance: int, zone: str) -> Effect:
                # One stressor per core unless said, as stress tools do; each wants `load` of a core (I3).
                threads = float(spec.threads or math.ceil(service.instance(zone).cores))
                return Effect(Lever.STRESS, instance, (threads, threads * spec.load, _COMPETITIONS[spec.competition]))

            return f"cpu stress {format_share(spec.load)} on", stress
        case written.Crash():
            return "crash of", lambda instance, _: crashed(instance)
        case written.Pause():
            return "pause of", lambda instance, _: paused(instance, spec.backlog)
        case written.Latency():
            title = f"latency +{format_duration(spec.add)} to"
            return title, lambda instance, _: Effect(Lever.LATENCY, instance, spec.add)
        case written.ErrorRate():
            title = f"errors {format_share(spec.share)} from"
            return title, lambda instance, _: Effect(Lever.ERROR_SHARE, instance, spec.share)
