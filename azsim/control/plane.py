"""Builds the controllers of a plan and hands them what the data plane notices."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from azsim.control.health import HealthChecker
from azsim.control.loop import Controller, World
from azsim.control.promotion import Promotion
from azsim.control.router import Router
from azsim.dataplane.layout import Plan, Standby
from azsim.dataplane.protocol import Notice


class ControlPlane:
    """One health checker and one router for each service whose targets are probed, and who promotes its standby."""

    def __init__(
        self,
        plan: Plan,
        world: World,
        set_view: Callable[[int, bool], None],
        set_member: Callable[[int, bool], None] = lambda instance, member: None,
    ) -> None:
        self._world = world
        self._service = plan.instances["service"].tolist()
        self._checkers: dict[int, HealthChecker] = {}
        self._routers: list[Router] = []
        self._in_zone: dict[int, list[Controller[Any, Any]]] = {}  # controllers by the zone they live in
        for number, (name, service) in enumerate(zip(plan.service_names, plan.services, strict=True)):
            if service["health"]:
                first, count = int(service["instances_first"]), int(service["instances_count"])
                targets = plan.instance_names[first : first + count]
                router = Router(world, name, first, targets, float(service["fail_open_below"]), set_view)
                self._routers.append(router)
                checker = HealthChecker(world, router, int(service["propagation_ns"]))
                self._checkers[number] = checker
                self._in_zone.setdefault(int(service["control_zone"]), []).extend((checker, router))
                for standby in plan.standbys:
                    if standby.service == number:
                        promotion = self._promotion(plan, standby, set_member)
                        router.listeners.append(promotion.hear)
                        self._in_zone[int(service["control_zone"])].append(promotion)

    def _promotion(self, plan: Plan, standby: Standby, set_member: Callable[[int, bool], None]) -> Promotion:
        own = plan.instances["service"] == standby.service
        targets = {zone: np.flatnonzero(own & (plan.instances["zone"] == zone)).tolist() for zone in standby.zones}
        name = plan.service_names[standby.service]
        return Promotion(self._world, name, standby.zones, plan.zones, targets, standby.promotion_ns, set_member)

    def set_zone(self, zone: int, lost: bool) -> None:
        """Stop the controllers in a zone, or let them go on; they take up what they have missed (O8)."""
        for controller in self._in_zone.get(zone, []):
            if lost:
                controller.halt()
            else:
                controller.go_on()

    def notice(self, notice: Notice) -> None:
        """Hand a notice to the health checker of its service, at its turn in this instant (O1)."""
        checker = self._checkers[self._service[notice.instance]]
        self._world.post(0, checker.name, notice.instance, checker.receive, notice)

    def rejoin(self, without: Collection[int]) -> None:
        """Put every target back in rotation but those `without`."""
        for router in self._routers:
            router.rejoin(without)
