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
from azsim.scenario.hazards import Hazard
from azsim.simulation.effects import AbortCondition, Effect, Fault, Lever, Stage, crashed, cut, dead, nodes_lost, paused
from azsim.simulation.lower import changed_rows, instance_numbers

_LEAK_STEPS = 100
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
    """The faults of a scenario and then its hazards, as listed, acting on things by their numbers in its tables."""
    numbers = instance_numbers(scenario)
    faults = (one for fault in scenario.faults for one in _times(fault, _fault(fault, scenario, numbers)))
    return (*faults, *(_hazard(number, hazard) for number, hazard in enumerate(scenario.hazards)))


def _hazard(number: int, hazard: Hazard) -> Fault:
    """A hazard on a controller's wire comes, goes and is judged as a fault is."""
    where = "" if hazard.zone is None else f" (zone {hazard.zone})"
    what = f"{hazard.on}: {hazard.kind.wire} {hazard.kind.name}{where}"
    ((start_ns, end_ns),) = hazard.times
    effects = (Effect(Lever.HAZARD, number, True),)
    return Fault(hazard.id, "hazard", what, what, f"{what} is over", start_ns, end_ns, effects, ())


def lower_abort(scenario: Scenario) -> tuple[AbortCondition, ...]:
    """The abort conditions of a scenario, as listed."""
    return tuple(AbortCondition(abort.measure, abort.condition, abort.for_) for abort in scenario.abort)


def _times(fault: written.Fault, once: Fault) -> Iterable[Fault]:
    """A fault as often as it comes."""
    if fault.repeat is None:
        return [once]
    return [
        dataclasses.replace(once, id=f"{fault.id}.{number}", start_ns=start_ns, end_ns=end_ns)
        for number, (start_ns, end_ns) in enumerate(fault.times, 1)
    ]


def _fault(fault: written.Fault, scenario: Scenario, numbers: dict[tuple[str, str], range]) -> Fault:
    spec, zones = fault.spec, scenario.zones
    ended = ""
    effects: list[Effect] = []
    instances: list[int] = []
    stages: tuple[Stage, ...] = ()
    cycle_ns = 0
    match spec:
        case written.ZoneLoss():
            if spec.mode != "control":
                instances = _in_zone(spec.zone, numbers)
            effects = _zone_loss(spec, scenario, instances)
            what = f"zone {spec.zone} {spec.mode}"
            started, ended = f"zone {spec.zone} {_ZONE_LOST[spec.mode]}", f"zone {spec.zone} {_ZONE_BACK[spec.mode]}"
        case written.Partition():
            places = sorted(zones.index(zone) for zone in spec.between)
            effects = [cut(place, other) for place, other in combinations(places, 2)]
            started = what = f"partition between {' and '.join(spec.between)}"
            ended = f"zones {' and '.join(spec.between)} reach each other again"
        case written.CutOff():
            instances = _in_zone(spec.zone, numbers)
            effects = [cut(zones.index(spec.zone), len(zones))]
            started = what = f"zone {spec.zone} cut off from outside"
            ended = f"zone {spec.zone} reachable from outside again"
        case written.CapacityRefused():
            effects = [Effect(Lever.CAPACITY, zones.index(spec.zone), True)]
            started = what = f"zone {spec.zone} has no capacity for new instances"
            ended = f"zone {spec.zone} has capacity again"
        case written.DnsFailure():
            effects = [Effect(Lever.NAME, list(scenario.services).index(spec.service), True)]
            started = what = f"name of {spec.service} does not resolve"
            ended = f"name of {spec.service} resolves again"
        case written.TrafficSpike():
            effects = [Effect(Lever.RATE, list(scenario.traffic).index(spec.population), spec.factor)]
            started = what = f"traffic of {spec.population} x{spec.factor:g}"
        case written.Change():
            effects = _change(scenario, scenario.changed_by(fault))
            paths = ", ".join(spec.set)
            started, ended = f"config change: {paths}", f"config changed back: {paths}"
            what = f"change of {paths}"
        case written.PacketLoss():
            instances, effects = _packet_loss(spec, zones, numbers)
            place = "" if spec.zone is None else f" in zone {spec.zone}"
            started = what = (
                f"packet loss {format_share(spec.share)}" + (f" of {spec.service}" * bool(spec.service)) + place
            )
        case _:
            title, effect = _on_instance(spec, scenario)
            struck = _struck(spec, scenario, numbers)
            effects = [made for instance, zone in struck for made in effect(instance, zone)]
            instances = [] if isinstance(spec, written.ScalingEvent) else [instance for instance, _ in struck]
            started = what = f"{title} {_where(spec, scenario, len(struck))}"
            if isinstance(spec, written.MemoryLeak):
                stages, cycle_ns = _leak(spec, instances), spec.grows + spec.restart
            if isinstance(spec, written.BadDeploy):
                ended = f"{what} rolled back"
    start_ns, end_ns = fault.times[0]
    return Fault(
        id=fault.id,
        kind=fault.kind,
        what=what,
        started=started,
        ended=ended or f"{what} ended",
        start_ns=start_ns,
        end_ns=end_ns,
        effects=tuple(effects),
        instances=tuple(instances),
        on_hosts=isinstance(spec, written.OnHosts),
        stages=stages,
        cycle_ns=cycle_ns,
    )


def _change(scenario: Scenario, changed: Scenario) -> list[Effect]:
    """What is different in the tables of the two (D57)."""
    hops, instances = changed_rows(scenario, changed)
    effects = [Effect(Lever.HOP, number, changes) for number, changes in hops.items()]
    effects += [Effect(Lever.INSTANCE, number, changes) for number, changes in instances.items()]
    for number, (old_traffic, new_traffic) in enumerate(
        zip(scenario.traffic.values(), changed.traffic.values(), strict=True)
    ):
        if old_traffic.has_rate and new_traffic.peak_rate != old_traffic.peak_rate:
            effects.append(Effect(Lever.RATE, number, new_traffic.peak_rate / old_traffic.peak_rate))
    return effects


def _in_zone(zone: str, numbers: dict[tuple[str, str], range]) -> list[int]:
    return [i for (_, place), block in numbers.items() if place == zone for i in block]


def _struck(spec: written.OnHosts, scenario: Scenario, numbers: dict[tuple[str, str], range]) -> list[tuple[int, str]]:
    """The instances that a fault strikes if they exist when it starts, with their zones, ascending."""
    zones = scenario.zones if spec.zone is None else (spec.zone,)
    if not isinstance(spec, written.BadDeploy) and isinstance(spec.hosts, str):
        return [(i, zone) for zone in zones for i in numbers[spec.service, zone]]
    service = scenario.services[spec.service]
    found = [(i, zone) for zone in zones for i in numbers[spec.service, zone][: service.instances(zone)]]
    if isinstance(spec, written.BadDeploy):
        # The first of each zone, then the second of each, and so on.
        in_turn = sorted(found, key=lambda one: (one[0] - numbers[spec.service, one[1]].start, one[0]))
        return sorted(in_turn[: math.ceil(spec.share * len(found) - 1e-9)])
    return found[: int(spec.hosts)]


def _packet_loss(
    spec: written.PacketLoss, zones: tuple[str, ...], numbers: dict[tuple[str, str], range]
) -> tuple[list[int], list[Effect]]:
    """The instances concerned and what is lost: of a service's instances, of a zone's links, or of all links (D50)."""
    if spec.service is not None:
        places = zones if spec.zone is None else (spec.zone,)
        instances = [i for zone in places for i in numbers[spec.service, zone]]
        return instances, [Effect(Lever.INSTANCE_LOSS, i, spec.share) for i in instances]
    outside = len(zones)
    if spec.zone is not None:
        zone = zones.index(spec.zone)
        links = [(min(zone, place), max(zone, place)) for place in range(outside + 1) if place != zone]
        return _in_zone(spec.zone, numbers), [Effect(Lever.LOSS, link, spec.share) for link in links]
    links = [(place, other) for place in range(outside) for other in range(place, outside + 1)]
    return [i for block in numbers.values() for i in block], [Effect(Lever.LOSS, link, spec.share) for link in links]


def _leak(spec: written.MemoryLeak, instances: list[int]) -> tuple[Stage, ...]:
    """The straight line from 1 to the slowdown, read at a hundred instants, and the crash at its end (D53)."""
    grown = [
        Stage(
            spec.grows * step // _LEAK_STEPS,
            tuple(Effect(Lever.WORK, i, 1.0 + (spec.slowdown - 1.0) * step / _LEAK_STEPS) for i in instances),
        )
        for step in range(1, _LEAK_STEPS)
    ]
    return (*grown, Stage(spec.grows, tuple(crashed(i) for i in instances)))


def _where(spec: written.OnHosts, scenario: Scenario, count: int) -> str:
    if not isinstance(spec, written.BadDeploy) and spec.hosts == "all":
        zones = scenario.zones if spec.zone is None else (spec.zone,)
        count = sum(scenario.services[spec.service].instances(zone) for zone in zones)
    zone = f" in zone {spec.zone}" if spec.zone is not None else ""
    return f"{spec.service}{zone} ({count} host{'' if count == 1 else 's'})"


def _zone_loss(spec: written.ZoneLoss, scenario: Scenario, instances: list[int]) -> list[Effect]:
    """Its instances are dead or refuse (F1), or every link out of it is cut, outside being one place more (O6).

    Its controllers stop in every mode: they are gone, or can reach nobody (O8).
    """
    zones = scenario.zones
    zone = zones.index(spec.zone)
    effects = []
    services = scenario.services.values()
    homes = {service.balancer.control_zone for service in services}
    homes |= {service.scaling.control_zone for service in services if service.scaling is not None}
    if spec.zone in homes:
        effects = [Effect(Lever.CONTROL, zone, True)]
    zonal = any(service.balancer.placement == "zonal" for service in scenario.services.values())
    if zonal and spec.mode in ("power", "refuse"):
        effects.append(nodes_lost(zone, spec.mode == "refuse"))
    if spec.mode == "blackhole":
        effects += [cut(zone, place) for place in range(len(zones) + 1) if place != zone]
    elif spec.mode != "control":
        effects += [(dead if spec.mode == "power" else crashed)(instance) for instance in instances]
    if spec.mode == "power":
        effects.append(Effect(Lever.CAPACITY, zone, True))
    return effects


def _on_instance(spec: written.OnHosts, scenario: Scenario) -> tuple[str, Callable[[int, str], list[Effect]]]:
    """A fault in words, and what it does at its start to an instance, given its number and its zone."""
    match spec:
        case written.CpuStress():
            service = scenario.services[spec.service]

            def stress(instance: int, zone: str) -> list[Effect]:
                # One stressor per core unless said, as stress tools do; each wants `load` of a core (I3).
                threads = float(spec.threads or math.ceil(service.instance(zone).cores))
                value = (threads, threads * spec.load, _COMPETITIONS[spec.competition])
                return [Effect(Lever.STRESS, instance, value)]

            return f"cpu stress {format_share(spec.load)} on", stress
        case written.Crash():
            return "crash of", lambda instance, _: [crashed(instance)]
        case written.Pause():
            return "pause of", lambda instance, _: [paused(instance, spec.backlog)]
        case written.Latency():
            title = f"latency +{format_duration(spec.add)} to"
            return title, lambda instance, _: [Effect(Lever.LATENCY, instance, spec.add)]
        case written.ErrorRate():
            title = f"errors {format_share(spec.share)} from"
            return title, lambda instance, _: [Effect(Lever.ERROR_SHARE, instance, spec.share)]
        case written.Malformed():
            title = f"malformed answers {format_share(spec.share)} from"
            return title, lambda instance, _: [Effect(Lever.MALFORMED, instance, spec.share)]
        case written.SlowDependency():
            return f"work x{spec.factor:g} on", lambda instance, _: [Effect(Lever.WORK, instance, spec.factor)]
        case written.MemoryLeak():
            return "memory leak on", lambda instance, _: [Effect(Lever.WORK, instance, 1.0)]
        case written.ScalingEvent():
            return "scale-in of", lambda instance, _: [Effect(Lever.MEMBER, instance, False)]
        case written.BadDeploy():
            deploy = [(Lever.ERROR_SHARE, spec.error_share), (Lever.WORK, spec.slowdown)]
            return "bad deploy on", lambda instance, _: [Effect(lever, instance, value) for lever, value in deploy]
