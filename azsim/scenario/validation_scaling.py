"""Rules between the keys of a scaling group and the rest of the scenario."""

from __future__ import annotations

from collections.abc import Iterator

from azsim.base.units import format_duration
from azsim.scenario.contents import Contents
from azsim.scenario.problems import Problem, unknown
from azsim.scenario.scaling import EXAMPLES, Policy, Scaling, dimension_of
from azsim.scenario.service import Service
from azsim.scenario.tree import Path


def scaling_problems(contents: Contents, service: Service, path: Path) -> Iterator[Problem]:
    """What is wrong with a service's scaling group; `path` leads to it."""
    spec = service.scaling
    if spec is None:
        return
    if service.standby is not None:
        yield Problem(path, "a service with a standby does not scale: its zones take turns as they are", "none")
    if spec.control_zone is not None and spec.control_zone not in contents.zones:
        yield unknown((*path, "control_zone"), "zone", spec.control_zone, contents.zones)
    yield from _bounds(contents, service, spec, path)
    for position, policy in enumerate(spec.policies):
        yield from _policy(spec, policy, (*path, "policies", position))


def _bounds(contents: Contents, service: Service, spec: Scaling, path: Path) -> Iterator[Problem]:
    """Each group starts with a number of instances that its bounds allow."""
    counts = [service.instances(zone) for zone in contents.zones]
    for count in counts if spec.per_zone else [sum(counts)]:
        where = "a zone starts" if spec.per_zone else "the service starts"
        if count > spec.max:
            yield Problem((*path, "max"), f"{where} with {count} instances: at least as many", str(count))
        elif count < spec.min:
            yield Problem((*path, "min"), f"{where} with {count} instances: at most as many", str(count))


def _policy(spec: Scaling, policy: Policy, path: Path) -> Iterator[Problem]:
    if policy.on is None:
        return
    if policy.on not in spec.alarms:
        if spec.alarms:
            yield unknown((*path, "on"), "alarm", policy.on, spec.alarms)
        else:
            yield Problem((*path, "on"), "the group has no alarms: add some under `alarms`", "hot")
        return
    alarm = spec.alarms[policy.on]
    for position, step in enumerate(policy.steps):
        dimension = dimension_of(alarm.metric)
        if step.from_ is not None and step.from_.dimension != dimension:
            rule = f"alarm {policy.on} is about {alarm.metric}: a step begins at a {dimension}"
            yield Problem((*path, "steps", position, "from"), rule, EXAMPLES[dimension])
    if len({step.lower for step in policy.steps}) < len(policy.steps):
        yield Problem((*path, "steps"), "two steps begin at the same breach", "[{add: 1}, {from: 20%, add: 3}]")


def shift_problems(contents: Contents) -> Iterator[Problem]:
    """What is wrong with zonal shifts."""
    for position, shift in enumerate(contents.shifts):
        path: Path = ("shifts", position)
        if shift.zone not in contents.zones:
            yield unknown((*path, "zone"), "zone", shift.zone, contents.zones)
        for number, name in enumerate(shift.services):
            if name not in contents.services:
                yield unknown((*path, "services", number), "service", name, contents.services)
            elif contents.services[name].standby is not None:
                rule = f"{name} has a standby: its zones take turns as they are"
                yield Problem((*path, "services", number), rule, "web")
        if shift.at >= contents.duration:
            yield Problem((*path, "at"), "a shift begins before the run ends", format_duration(contents.warmup))
