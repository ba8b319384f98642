"""Rules between the hazards on controllers' wires and the rest of the scenario."""

from __future__ import annotations

from collections.abc import Iterator

from azsim.base.units import format_duration
from azsim.scenario.contents import Contents
from azsim.scenario.hazards import controllers_of
from azsim.scenario.problems import Problem, unknown
from azsim.scenario.tree import Path


def hazard_problems(contents: Contents) -> Iterator[Problem]:
    """What is wrong with the hazards."""
    known = {
        name: by_zone
        for service_name, service in contents.services.items()
        for name, by_zone in controllers_of(service_name, service, contents.zones)
    }
    ids: set[str] = set()
    for position, hazard in enumerate(contents.hazards):
        path: Path = ("hazards", position)
        if hazard.id in ids:
            yield Problem((*path, "id"), f"two hazards are named {hazard.id}", "late-2")
        ids.add(hazard.id)
        if not known:
            rule = "there are no controllers: no service has health checks or scales"
            yield Problem((*path, "on"), rule, "health.web")
        elif hazard.on not in known:
            yield unknown((*path, "on"), "controller", hazard.on, known)
        elif hazard.zone is not None and hazard.zone not in contents.zones:
            yield unknown((*path, "zone"), "zone", hazard.zone, contents.zones)
        elif hazard.zone is not None and not known[hazard.on]:
            rule = "an alarm's points are about all instances of its group, not about one zone: set per_zone for that"
            yield Problem((*path, "zone"), rule, "none")
        if not contents.warmup <= hazard.at < contents.duration:
            first, last = format_duration(contents.warmup), format_duration(contents.duration)
            rule = f"a hazard starts after the warmup, at {first}, and before the end, {last}"
            yield Problem((*path, "at"), rule, first)
