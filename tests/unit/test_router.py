"""From a notice of sensed health to the view of a balancer: H2, B4, D19."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from azsim.base.units import SECOND_NS
from azsim.control.health import HealthChecker
from azsim.control.plane import ControlPlane
from azsim.control.router import Router, Verdict
from azsim.dataplane.protocol import Notice
from azsim.policy.balancing import NEVER_OPEN
from azsim.simulation.environment import Environment, Rank
from azsim.simulation.trace import Event


class World:
    """Notes what controllers do, and delivers nothing by itself."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.posted: list[tuple[Any, ...]] = []

    def post(self, delay_ns: int, controller: str, number: int, receive: Any, message: Any) -> None:
        self.posted.append((delay_ns, controller, number, message))

    def log(self, source: str, what: str) -> None:
        self.said.append(f"{source}: {what}")


def make_router(targets: int = 4, fail_open_below: float = 0.0) -> tuple[World, Router, list[tuple[int, bool]]]:
    world, views = World(), []
    names = [f"web-a-{k}" for k in range(1, targets + 1)]
    return world, Router(world, "web", 10, names, (fail_open_below, 0), lambda *view: views.append(view)), views


def test_a_verdict_changes_the_view_once() -> None:
    world, router, views = make_router()
    router.receive(Verdict(12, False))
    router.receive(Verdict(12, False))
    router.receive(Verdict(12, True))
    router.receive(Verdict(12, True))
    assert views == [(12, False), (12, True)]
    assert world.said == ["router.web: web-a-3 out of rotation", "router.web: web-a-3 back in rotation"]


def test_targets_rejoin_whatever_their_health() -> None:
    world, router, views = make_router()
    for target in (13, 10, 12):
        router.receive(Verdict(target, False))
    router.rejoin({12})
    assert views[3:] == [(10, True), (13, True)]
    assert world.said[3:] == ["router.web: web-a-1 back in rotation", "router.web: web-a-4 back in rotation"]
    router.receive(Verdict(13, True))  # sensed at last: no news
    assert len(views) == 5


@pytest.mark.parametrize(
    ("below", "open_with_healthy"), [(0.0, {0}), (0.5, {0, 1}), (0.51, {0, 1, 2}), (NEVER_OPEN, set())]
)
def test_the_router_says_when_health_stops_and_starts_to_count(below: float, open_with_healthy: set[int]) -> None:
    world, router, _ = make_router(4, below)
    opened = {}
    for healthy in (3, 2, 1, 0):
        router.receive(Verdict(10 + healthy, False))
        opened[healthy] = router.fails_open
    assert {healthy for healthy, is_open in opened.items() if is_open} == open_with_healthy
    for instance in range(10, 14):
        router.receive(Verdict(instance, True))
    turns = [words for words in world.said if "rotation" not in words]
    expected = ["router.web: too few healthy targets, all are used", "router.web: health counts again"]
    assert turns == (expected if open_with_healthy else [])


def test_a_health_checker_publishes_news_only() -> None:
    world, router, _ = make_router()
    checker = HealthChecker(world, router, propagation_ns=700)
    for healthy in (True, False, False, True):
        checker.receive(Notice(5, 11, healthy))
    assert world.said == ["health.web: web-a-2 unhealthy", "health.web: web-a-2 healthy"]
    assert world.posted == [(700, "router.web", 11, Verdict(11, False)), (700, "router.web", 11, Verdict(11, True))]


def plan_of(*propagation_ns: int) -> Any:
    """One service of two instances for each time; instances are numbered through."""
    fields = [("health", "i4"), ("instances_first", "i4"), ("instances_count", "i4"), ("propagation_ns", "i8")]
    services = np.zeros(
        len(propagation_ns), [*fields, ("fail_open_below", "f8"), ("fail_open_fewer", "i4"), ("control_zone", "i4")]
    )
    for number, time_ns in enumerate(propagation_ns):
        services[number] = (1, 2 * number, 2, time_ns, NEVER_OPEN, 0, -1)
    names = ["web", "db", "cart"][: len(services)]
    instances = np.array([(number // 2,) for number in range(2 * len(services))], [("service", "i4")])
    return SimpleNamespace(
        services=services,
        instances=instances,
        standbys=(),
        dns=(),
        service_names=tuple(names),
        instance_names=tuple(f"{name}-a-{k}" for name in names for k in (1, 2)),
    )


def run_control(make_plane: Any, plan: Any, notices: list[Notice], end_ns: int) -> Any:
    plane = make_plane(notices)
    env = Environment(plane)
    env.listen(ControlPlane(plan, env, plane).notice)
    env.run_to(end_ns)
    return plane, env


def test_the_view_follows_a_notice_after_the_propagation(make_plane: Any) -> None:
    notices = [Notice(100, 1, False), Notice(250, 1, True), Notice(300, 0, False)]
    plane, env = run_control(make_plane, plan_of(200), notices, SECOND_NS)
    assert plane.calls == [
        (300, False, "view", 1, False),
        (450, False, "view", 1, True),
        (500, False, "view", 0, False),
    ]
    assert env.events == [
        Event(100, "health.web", "web-a-2 unhealthy"),
        Event(250, "health.web", "web-a-2 healthy"),
        Event(300, "router.web", "web-a-2 out of rotation"),
        Event(300, "health.web", "web-a-1 unhealthy"),
        Event(450, "router.web", "web-a-2 back in rotation"),
        Event(500, "router.web", "web-a-1 out of rotation"),
    ]


def test_without_propagation_the_view_changes_at_the_notice_after_all_data(make_plane: Any) -> None:
    plane, _ = run_control(make_plane, plan_of(0), [Notice(100, 1, False)], SECOND_NS)
    assert plane.calls == [(100, True, "view", 1, False)]


def test_controllers_act_by_name_then_by_target(make_plane: Any) -> None:
    notices = [Notice(100, instance, False) for instance in (5, 0, 3, 2, 1, 4)]
    _, env = run_control(make_plane, plan_of(0, 0, 50), notices, SECOND_NS)
    assert [(event.source, event.what.split()[0]) for event in env.events] == [
        ("health.cart", "cart-a-1"),
        ("health.cart", "cart-a-2"),
        ("health.db", "db-a-1"),
        ("health.db", "db-a-2"),
        ("health.web", "web-a-1"),
        ("health.web", "web-a-2"),
        ("router.db", "db-a-1"),
        ("router.db", "db-a-2"),
        ("router.web", "web-a-1"),
        ("router.web", "web-a-2"),
        ("router.cart", "cart-a-1"),
        ("router.cart", "cart-a-2"),
    ]


def test_services_without_health_checks_have_no_controllers(make_plane: Any) -> None:
    plan = plan_of(0, 0)
    plan.services["health"][1] = 0
    plane, env = run_control(make_plane, plan, [Notice(100, 0, False)], SECOND_NS)
    assert plane.calls == [(100, True, "view", 0, False)]
    assert {event.source for event in env.events} == {"health.web", "router.web"}


def test_controllers_of_a_lost_zone_stop_and_take_up_what_they_missed(make_plane: Any) -> None:
    """D38: the checker holds notices, the router verdicts that were under way; both decide once when they go on."""
    plan = plan_of(100, 0)
    plan.services["control_zone"][:] = (2, -1)
    notices = [
        Notice(10, 0, False),  # its verdict is under way when the zone goes
        Notice(60, 1, False),  # and well again before it is back: no news
        Notice(70, 1, True),
        Notice(80, 3, False),  # the controllers of db live elsewhere
    ]
    plane = make_plane(notices)
    env = Environment(plane)
    control = ControlPlane(plan, env, plane)
    env.listen(control.notice)
    env.call_at(50, (Rank.FAULT_START, "", 0), lambda: control.set_zone(2, True))
    env.call_at(300, (Rank.FAULT_END, "", 0), lambda: control.set_zone(2, False))
    env.run_to(SECOND_NS)
    assert plane.calls == [(80, True, "view", 3, False), (300, False, "view", 0, False)]
    assert [event.t_ns for event in env.events if "web" in event.source] == [10, 300]


def test_what_broke_while_the_controllers_were_away_is_published_when_they_are_back(make_plane: Any) -> None:
    plan = plan_of(100)
    plan.services["control_zone"][:] = 0
    plane = make_plane([Notice(60, 1, False)])
    env = Environment(plane)
    control = ControlPlane(plan, env, plane)
    env.listen(control.notice)
    env.call_at(50, (Rank.FAULT_START, "", 0), lambda: control.set_zone(0, True))
    env.call_at(200, (Rank.FAULT_END, "", 0), lambda: control.set_zone(0, False))
    env.run_to(SECOND_NS)
    assert plane.calls == [(300, False, "view", 1, False)]
