"""Rules between the keys of a scaling group and the rest of the scenario."""

from __future__ import annotations

from collections.abc import Iterator

from azsim.scenario.contents import Contents
from azsim.scenario.problems import Problem, unknown
from azsim.scenario.scaling import Policy, Scaling
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
    if policy.on not in spec.alarms:
        if spec.alarms:
            yield unknown((*path, "on"), "alarm", policy.on, spec.alarms)
        else:
            yield Problem((*path, "on"), "the group has no alarms: add some under `alarms`", "hot")
