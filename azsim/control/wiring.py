"""Gives controllers that have hazards the wires for them (T2)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from azsim.control.alarms import Alarm, Alert
from azsim.control.hazards import Faulty, flaw
from azsim.control.loop import Controller, World
from azsim.control.router import Router, Verdict
from azsim.control.scaling import Dismiss, Group
from azsim.control.signals import Message, Signals, counterparts
from azsim.control.specs import HazardSpec
from azsim.dataplane.layout import Plan
from azsim.policy.alarms import AlarmState

_Habits = tuple[Callable[[], Iterable[int]], Callable[[], Iterable[Message]], int]


def with_hazards(
    hazards: Iterable[HazardSpec],
    controllers: Mapping[str, Controller[Any, Any]],
    routers: Mapping[int, Router],
    plan: Plan,
    world: World,
) -> dict[int, Faulty]:
    """Wires for every controller that a hazard names; by the hazards' numbers. `routers` are those of services."""
    by_controller: dict[str, list[HazardSpec]] = {}
    for one in hazards:
        by_controller.setdefault(one.controller, []).append(one)
    if not by_controller:
        return {}
    zones, services = plan.instances["zone"].tolist(), plan.instances["service"].tolist()
    found: dict[int, Faulty] = {}
    for name, own in by_controller.items():
        controller = controllers[name]
        newest = controller.newest if isinstance(controller, Group) else _nobody
        signals = Signals(zones, counterparts(zones, services), newest)
        known, might, beat_ns = _habits(controller, routers, plan)
        flaws = [flaw(one, world, signals, plan.key) for one in own]
        wires = Faulty(controller, flaws, signals, beat_ns=beat_ns, known=known, might=might)
        controller.wires = wires
        found |= {one.number: wires for one in own}
    return found


def _nobody(zone: int) -> None:
    return None


def _habits(controller: Controller[Any, Any], routers: Mapping[int, Router], plan: Plan) -> _Habits:
    """Whom its sensors tell of, what it might do at any time, and how often its sensors speak (0: on news)."""
    match controller:
        case Group():
            newest = [functools.partial(controller.newest, zone) for zone in controller.spec.zones]
            return tuple, lambda: [Dismiss(i) for i in (one() for one in newest) if i is not None], 0
        case Alarm():
            return tuple, lambda: [Alert(controller.alarm, AlarmState.ALARM, 0.0, 0.0)], 0
    _, service = controller.name.split(".")
    number = plan.service_names.index(service)
    members = routers[number].members
    return (
        lambda: sorted(members),
        lambda: [Verdict(i, False) for i in sorted(members)],
        int(plan.services["interval_ns"][number]),
    )
