"""Builds the controllers of a plan and hands them what the data plane notices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import numpy as np

from azsim.base.seeds import PHASE, key_hash
from azsim.control.alarms import Alarm
from azsim.control.dns import NameServer
from azsim.control.health import HealthChecker
from azsim.control.launches import KEYS_FIRST, Launches, Machines
from azsim.control.loop import Controller, World
from azsim.control.members import Checked
from azsim.control.promotion import Promotion
from azsim.control.router import Router
from azsim.control.scaling import Avoid, Group
from azsim.control.shift import Shift
from azsim.control.specs import ControlSpec, GroupSpec, ShiftSpec
from azsim.control.targets import Targets
from azsim.control.telemetry import Gauge, Pipeline, Sensors
from azsim.control.wiring import with_hazards
from azsim.dataplane.layout import Dns, Plan, Standby
from azsim.dataplane.protocol import Notice
from azsim.policy.distributions import unit


class Hands(Machines, Sensors, Protocol):
    """All that control may do to instances, and all that it may measure."""

    def set_view(self, instance: int, healthy: bool) -> None:
        """A balancer's view changes (B4)."""
        ...

    def exists(self, instance: int) -> bool:
        """Whether there is such an instance now."""
        ...

    def show(self, instance: int, healthy: bool) -> None:
        """How a balancer holds a target that is new to it."""
        ...

    def set_member(self, instance: int, member: bool) -> None:
        """Whether an instance is a target at all (D52)."""
        ...

    def set_probing(self, instance: int, on: bool) -> None:
        """Whether it is probed (D69)."""
        ...

    def set_shifted(self, service: int, zone: int, away: bool) -> None:
        """Whether a balancer sends to a zone's targets at all."""
        ...


class ControlPlane:
    """One health checker and one router for each service whose targets are probed, who promotes its standby, and its
    scaling groups.
    """

    def __init__(
        self,
        plan: Plan,
        world: World,
        hands: Hands,
        spec: ControlSpec | None = None,
        set_listed: Callable[[int, int, bool], None] = lambda service, zone, listed: None,
    ) -> None:
        """`set_listed(service, zone, listed)`: whether a zone is in the answers to lookups of a service's name."""
        self._plan = plan
        self._world = world
        self._hands = hands
        self._spec = spec or ControlSpec()
        self._service = plan.instances["service"].tolist()
        self._checkers: dict[int, HealthChecker] = {}
        self._routers: dict[int, Router] = {}
        self._by_name: dict[str, Controller[Any, Any]] = {}
        self._in_zone: dict[int, list[Controller[Any, Any]]] = {}  # controllers by the zone they live in
        self._pipeline = Pipeline(world, hands, self._spec.telemetry)
        absent = absent_at_start(plan, self._spec)
        show = hands.show if self._spec.groups else hands.set_view
        for number, (name, service) in enumerate(zip(plan.service_names, plan.services, strict=True)):
            if service["health"]:
                first, count = int(service["instances_first"]), int(service["instances_count"])
                targets = plan.instance_names[first : first + count]
                own = [i for i in absent if first <= i < first + count]
                fail_open = float(service["fail_open_below"]), int(service["fail_open_fewer"])
                router = Router(world, name, first, targets, fail_open, hands.set_view, own, show)
                self._routers[number] = router
                checker = HealthChecker(world, router, int(service["propagation_ns"]))
                self._checkers[number] = checker
                self._live_in(int(service["control_zone"]), checker, router)
                for standby in plan.standbys:
                    if standby.service == number:
                        promotion = self._promotion(plan, standby, hands.set_member)
                        router.listeners.append(promotion.hear)
                        self._live_in(int(service["control_zone"]), promotion)
        self._name_servers = [self._name_server(plan, rule, set_listed) for rule in plan.dns]
        self.groups = [self._group(number, one) for number, one in enumerate(self._spec.groups)]
        for number, name in enumerate(plan.service_names):
            shifts = [one for one in self._spec.shifts if number in one.services]
            if shifts:
                self._shift(number, name, shifts)
        self._wires = with_hazards(self._spec.hazards, self._by_name, self._routers, plan, world)

    def _name_server(self, plan: Plan, rule: Dns, set_listed: Callable[[int, int, bool], None]) -> NameServer:
        own = plan.instances["service"] == rule.service
        targets = {
            zone: np.flatnonzero(own & (plan.instances["zone"] == zone)).tolist() for zone in range(len(plan.zones))
        }
        server = NameServer(self._world, plan.service_names[rule.service], plan.zones, rule, targets, set_listed)
        if rule.service in self._routers:
            self._routers[rule.service].listeners.append(server.hear)
        self._live_in(int(plan.services[rule.service]["control_zone"]), server)
        return server

    def see_nodes(self, zone: int, why: str, lost: bool) -> None:
        """The nodes of zonal balancers in a zone are lost to those outside, for some reason, or so no more."""
        for server in self._name_servers:
            server.see(zone, why, lost)

    def _live_in(self, zone: int, *controllers: Controller[Any, Any]) -> None:
        self._in_zone.setdefault(zone, []).extend(controllers)
        self._by_name |= {controller.name: controller for controller in controllers}

    def _promotion(self, plan: Plan, standby: Standby, set_member: Callable[[int, bool], None]) -> Promotion:
        own = plan.instances["service"] == standby.service
        targets = {zone: np.flatnonzero(own & (plan.instances["zone"] == zone)).tolist() for zone in standby.zones}
        name = plan.service_names[standby.service]
        return Promotion(self._world, name, standby.zones, plan.zones, targets, standby.promotion_ns, set_member)

    def _group(self, number: int, spec: GroupSpec) -> Group:
        """A scaling group with its alarms, and what they watch."""
        hands, rows = self._hands, rows_of(self._plan, spec)
        name = f"scaling.{spec.name}"
        # The launches answer a group that is made with them.
        launches = Launches(self._world, self._plan.key, number, spec.launch, hands, rows, name)
        group = Group(
            self._world,
            spec,
            launches=launches,
            key=self._plan.key,
            targets=Targets(
                hands.set_member, hands.set_probing, self._checkers.get(spec.service), self._routers.get(spec.service)
            ),
            machines=hands,
            names=self._plan.instance_names,
            zone_names=self._plan.zones,
        )
        launches.answers(group.receive)
        self._live_in(spec.control_zone, group)
        if spec.health.by_balancer and spec.service in self._routers:
            self._routers[spec.service].listeners.append(group.hear_view)
        self._check(number, group)
        for one in spec.alarms:
            alarm = Alarm(self._world, spec.name, one)
            alarm.listeners.append(group.hear)
            self._live_in(spec.control_zone, alarm)
            Gauge(
                self._world,
                hands,
                self._spec.telemetry,
                self._pipeline,
                service=spec.service,
                instances=[i for block in rows.values() for i in block],
                metric=one.metric,
                statistic=one.statistic,
                period_ns=one.period_ns,
                excluded=group.members.warming,
                reader=alarm.name,
                receive=alarm.receive,
            )
        return group

    def _check(self, number: int, group: Group) -> None:
        """Look at a group's machines every interval, first at a keyed time, and tell it which do not run."""

        def look(_: None) -> None:
            group.hear(Checked(frozenset(i for i in group.members.instances if not self._hands.runs(i))))
            self._world.post(group.spec.health.interval_ns, f"checks.{group.name}", 0, look, None)

        bits = key_hash(self._plan.key, KEYS_FIRST - number, 0, 0, PHASE)
        first_ns = int(unit(bits) * float(group.spec.health.interval_ns))
        self._world.post(first_ns, f"checks.{group.name}", 0, look, None)

    def _shift(self, service: int, name: str, shifts: Sequence[ShiftSpec]) -> None:
        """Who shifts zones of a service away; its groups hear of it."""
        groups = [group for group in self.groups if group.spec.service == service]
        router = self._routers.get(service)

        def set_shifted(zone: int, away: bool) -> None:
            self._hands.set_shifted(service, zone, away)
            for group in groups:
                group.hear(Avoid(zone, away))

        def is_served(without: int) -> bool:
            elsewhere = np.flatnonzero(
                (self._plan.instances["service"] == service) & (self._plan.instances["zone"] != without)
            ).tolist()
            return any(router.holds_healthy(i) for i in elsewhere) if router is not None else bool(elsewhere)

        Shift(self._world, name, shifts, self._plan.zones, set_shifted, is_served)

    def set_hazard(self, number: int, on: bool) -> None:
        """A hazard begins or ends."""
        self._wires[number].set_hazard(number, on)

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

    def check(self) -> None:
        """C4: every group has what exists; raises InternalError."""
        for group in self.groups:
            rows = rows_of(self._plan, group.spec)
            group.check([i for block in rows.values() for i in block if self._hands.exists(i)])

    def rejoin(self, without: Collection[int]) -> None:
        """Put every target back in rotation but those `without`."""
        for router in self._routers.values():
            router.rejoin(without)


def rows_of(plan: Plan, spec: GroupSpec) -> dict[int, list[int]]:
    """The plan's instances that a group may use, by zone."""
    own = plan.instances["service"] == spec.service
    return {zone: np.flatnonzero(own & (plan.instances["zone"] == zone)).tolist() for zone in spec.zones}


def absent_at_start(plan: Plan, spec: ControlSpec) -> list[int]:
    """The plan's instances that do not exist before a group launches them."""
    found: list[int] = []
    for group in spec.groups:
        there = dict(group.initial)
        for zone, instances in rows_of(plan, group).items():
            found += instances[there.get(zone, 0) :]
    return sorted(found)
