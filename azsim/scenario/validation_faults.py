"""Rules between the faults and the rest of the scenario."""

from __future__ import annotations

from collections.abc import Iterator

from azsim.base.units import format_duration
from azsim.scenario.changing import SETTABLE
from azsim.scenario.contents import Contents
from azsim.scenario.faults import (
    BadDeploy,
    CapacityRefused,
    Change,
    CpuStress,
    CutOff,
    DnsFailure,
    Fault,
    PacketLoss,
    Partition,
    TrafficSpike,
    ZoneLoss,
)
from azsim.scenario.problems import Problem, repeated, unknown
from azsim.scenario.tree import Path


def fault_problems(contents: Contents) -> Iterator[Problem]:
    """What is wrong with the faults."""
    for position, fault_id in repeated(fault.id for fault in contents.faults):
        yield Problem(("faults", position, "id"), f"two faults are named {fault_id}", "loss-2")
    for position, fault in enumerate(contents.faults):
        path: Path = ("faults", position)
        if fault.at >= contents.duration:
            rule = f"a fault starts before the run ends, at {format_duration(contents.duration)}"
            yield Problem((*path, "at"), rule, format_duration(contents.warmup))
        elif fault.at < contents.warmup:
            rule = f"a fault starts after the warmup, at {format_duration(contents.warmup)} or later"
            yield Problem((*path, "at"), rule, format_duration(contents.warmup))
        yield from _repeats(contents, fault, path)
        if fault.bad_deploy is not None and fault.bad_deploy.rollback_after is not None and fault.for_ is not None:
            rule = "a bad deploy ends with its rollback: give `for` or `rollback_after`, not both"
            yield Problem((*path, "bad_deploy", "rollback_after"), rule, "none")
        yield from _target(contents, fault, (*path, fault.kind))


def _repeats(contents: Contents, fault: Fault, path: Path) -> Iterator[Problem]:
    """A fault that comes again has ended before it does."""
    if fault.repeat is None:
        return
    lasts_ns = fault.lasts_ns
    example = format_duration(2 * (lasts_ns or fault.repeat.every))
    if lasts_ns is None:
        yield Problem((*path, "repeat"), "a fault that comes again must end: it needs `for`", "none")
    elif lasts_ns >= fault.repeat.every:
        yield Problem((*path, "repeat", "every"), f"must be more than `for`, {format_duration(lasts_ns)}", example)
    elif fault.times[-1][0] >= contents.duration:
        fitting = 1 + (contents.duration - fault.at - 1) // fault.repeat.every
        rule = f"the last time starts before the run ends, at {format_duration(contents.duration)}"
        yield Problem((*path, "repeat", "times"), rule, str(max(2, fitting)))


def _target(contents: Contents, fault: Fault, path: Path) -> Iterator[Problem]:
    """Rules about what a fault strikes."""
    spec = fault.spec
    if isinstance(spec, TrafficSpike):
        if spec.population not in contents.traffic:
            yield unknown((*path, "population"), "population", spec.population, contents.traffic)
        elif not contents.traffic[spec.population].has_rate:
            rule = f"{spec.population} has no rate to multiply: it has users, or a trace"
            rated = next((name for name, other in contents.traffic.items() if other.has_rate), spec.population)
            yield Problem((*path, "population"), rule, rated)
        return
    if isinstance(spec, DnsFailure):
        if spec.service not in contents.services:
            yield unknown((*path, "service"), "service", spec.service, contents.services)
        elif contents.services[spec.service].balancer.placement != "zonal":
            rule = f"{spec.service} is found without DNS: set its balancer's placement to zonal"
            zonal = [name for name, one in contents.services.items() if one.balancer.placement == "zonal"]
            yield Problem((*path, "service"), rule, (zonal or [spec.service])[0])
        return
    if isinstance(spec, Change):
        for changed in spec.set:
            if not SETTABLE.fullmatch(changed):
                rule = "cannot change while the system runs; see `set` in the reference for what can"
                yield Problem((*path, "set", changed), rule, "traffic.shoppers.retry.attempts: 1", at_key=True)
        return
    if isinstance(spec, Partition):
        for position, zone in enumerate(spec.between):
            if zone not in contents.zones:
                yield unknown((*path, "between", position), "zone", zone, contents.zones)
        for position, zone in repeated(spec.between):
            yield Problem((*path, "between", position), f"zone {zone} is named twice", "[a, b]")
        return
    if spec.zone == "each" and isinstance(spec, ZoneLoss) and "each" not in contents.zones:
        rule = "each is in the format but not built yet; what works is one zone at a time"
        yield Problem((*path, "zone"), rule, contents.zones[-1])
        return
    if spec.zone is not None and spec.zone not in contents.zones:
        yield unknown((*path, "zone"), "zone", spec.zone, contents.zones)
        return
    if isinstance(spec, CapacityRefused):
        if all(service.scaling is None for service in contents.services.values()):
            yield Problem(path, "no service scales, so nobody asks for instances: give one `scaling`", "{zone: c}")
        return
    if isinstance(spec, ZoneLoss | CutOff):
        homes = {service.balancer.control_zone for service in contents.services.values()}
        homes |= {one.scaling.control_zone for one in contents.services.values() if one.scaling is not None}
        if isinstance(spec, ZoneLoss) and spec.mode == "control" and spec.zone not in homes:
            rule = f"no controller lives in zone {spec.zone}: set balancer.control_zone of a service"
            yield Problem((*path, "mode"), rule, "power")
        return
    if spec.service is None:
        return
    if spec.service not in contents.services:
        yield unknown((*path, "service"), "service", spec.service, contents.services)
        return
    if fault.scaling_event is not None and contents.services[spec.service].standby is not None:
        yield Problem((*path, "service"), f"{spec.service} has a standby: its zones take turns as they are", "none")
        return
    zones = contents.zones if spec.zone is None else (spec.zone,)
    present = sum(contents.services[spec.service].instances(zone) for zone in zones)
    where = "" if spec.zone is None else f" in zone {spec.zone}"
    if present == 0:
        yield Problem((*path, "zone"), f"{spec.service} has no instances{where}", contents.zones[0])
    elif isinstance(spec, PacketLoss | BadDeploy):
        return
    elif isinstance(spec.hosts, int) and spec.hosts > present:
        yield Problem((*path, "hosts"), f"{spec.service} has only {present} instances{where}", "all")


def stress_problems(contents: Contents) -> Iterator[Problem]:
    """Stresses that compete in different ways cannot share a machine (I3)."""
    stresses = [(i, fault) for i, fault in enumerate(contents.faults) if isinstance(fault.spec, CpuStress)]
    for number, (position, fault) in enumerate(stresses):
        for _, earlier in stresses[:number]:
            overlap = max(fault.at, earlier.at) < min(
                fault.end_ns(contents.duration), earlier.end_ns(contents.duration)
            )
            if overlap and _meet(fault.spec, earlier.spec):
                rule = f"overlaps fault {earlier.id} on the same service, which competes differently"
                path: Path = ("faults", position, "cpu_stress", "competition")
                competition = earlier.spec.competition if isinstance(earlier.spec, CpuStress) else "shared"
                yield Problem(path, rule, competition)
                break


def _meet(stress: object, other: object) -> bool:
    """Whether two stresses compete differently on one service."""
    if not (isinstance(stress, CpuStress) and isinstance(other, CpuStress)):
        return False
    zones_meet = stress.zone is None or other.zone is None or stress.zone == other.zone
    return stress.service == other.service and zones_meet and stress.competition != other.competition
