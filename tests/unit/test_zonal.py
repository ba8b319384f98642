"""Balancers with nodes in zones, and the names by which clients find them (D111-D113; B1, B2)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from azsim.control.dns import NameServer
from azsim.control.router import Verdict
from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.dataplane.layout import Dns, Plan
from azsim.policy.balancing import NEVER_OPEN, ZONAL
from azsim.scenario import load
from azsim.simulation.lower import lower
from tests.plans import S, make_plan, population, service
from tests.story import play

A, B = 0, 1
STEADY = Path(__file__).parents[2] / "scenarios" / "steady.yaml"
# zone a, zone b, outside
DELAYS = [[10, 40, 20], [40, 10, 30], [20, 30, 0]]


def zonal(arrivals_ns: list[int], *, per_zone: dict[str, int] | None = None, hop: Any = (), **fields: Any) -> Plan:
    """Clients outside, and one target in zone b unless said otherwise, that works for 100 ns."""
    given: dict[str, Any] = {"dns_ttl_ns": S, "work_ns": 100, "slots": 9} | fields
    return make_plan(
        populations=[population(arrivals_ns=arrivals_ns, **dict(hop))],
        services=[service(per_zone=per_zone or {"b": 1}, placement=ZONAL, **given)],
        delay_ns=DELAYS,
    )


def only(zone: int) -> Callable[[Any], None]:
    return lambda plane: [plane.set_listed(0, other, other == zone) for other in (A, B)]  # type: ignore[return-value]


def nodes(zone: int, state: InstanceState) -> Callable[[Any], None]:
    return lambda plane: plane.set_nodes(zone, state)


def resolves(yes: bool) -> Callable[[Any], None]:
    return lambda plane: plane.set_resolves(0, yes)


@pytest.mark.parametrize(("zone", "latency"), [(A, 20 + 40 + 100 + 40 + 20), (B, 30 + 10 + 100 + 10 + 30)])
def test_packets_take_the_way_by_the_node(zone: int, latency: int) -> None:
    story = play(zonal([1000]), 3000, {500: only(zone)})
    assert story.ends() == [(1000 + latency, Outcome.OK)]


def test_a_lost_node_answers_nobody_and_a_refusing_one_at_once() -> None:
    plan = zonal([1000, 2000], hop={"timeout_ns": 300})
    control = {500: only(A), 900: nodes(A, InstanceState.DEAD), 1900: nodes(A, InstanceState.CRASHED)}
    assert play(plan, 3000, control).ends() == [(1300, Outcome.TIMEOUT), (2000, Outcome.REFUSED)]


def test_a_connect_timeout_tells_of_the_node_and_not_of_what_is_behind_it() -> None:
    hop = {"timeout_ns": 300, "connect_timeout_ns": 50}
    lost = {500: only(A), 900: nodes(A, InstanceState.DEAD)}
    assert play(zonal([1000], hop=hop), 3000, lost).ends() == [(1050, Outcome.TIMEOUT)]
    behind = {500: only(A), 900: lambda plane: plane.set_instance_state(0, InstanceState.DEAD, 0)}
    assert play(zonal([1000], hop=hop), 3000, behind).ends() == [(1300, Outcome.TIMEOUT)]


def test_an_answer_by_way_of_a_lost_node_is_waste() -> None:
    story = play(zonal([1000], hop={"timeout_ns": 500}), 3000, {500: only(A), 1100: nodes(A, InstanceState.DEAD)})
    assert story.ends() == [(1500, Outcome.TIMEOUT)]
    assert story.amounts(layout.WASTED) == {1160: 100.0}


def test_what_waits_in_a_lost_node_is_lost_though_the_zone_comes_back() -> None:
    plan = zonal([1000, 1010], hop={"timeout_ns": 500}, per_target=1, wait_places=5)
    control = {500: only(A), 1050: nodes(A, InstanceState.DEAD), 1060: nodes(A, InstanceState.UP)}
    # The first one's answer passes when the nodes are back; the second is gone.
    assert play(plan, 3000, control).ends() == [(1220, Outcome.OK), (1510, Outcome.TIMEOUT)]


def test_what_a_lost_node_works_on_is_lost_though_the_zone_comes_back() -> None:
    plan = zonal([1000, 2000], hop={"timeout_ns": 500}, node_slots=1, node_work_a=100.0)
    control = {500: only(A), 1050: nodes(A, InstanceState.DEAD), 1060: nodes(A, InstanceState.UP)}
    assert play(plan, 3000, control).ends() == [(1500, Outcome.TIMEOUT), (2320, Outcome.OK)]


def test_a_client_uses_its_answer_until_it_is_too_old() -> None:
    plan = zonal([1000, 1500, 2100], dns_ttl_ns=1000)
    story = play(plan, 4000, {500: only(A), 1200: only(B)})
    # By way of a it takes 220 ns, by way of b 180: the answer of 1000 holds until 2000.
    assert story.ends() == [(1220, Outcome.OK), (1720, Outcome.OK), (2280, Outcome.OK)]


def test_a_connection_outlives_the_answer_and_a_timeout_ends_it() -> None:
    hop = {"timeout_ns": 300}
    plan = zonal([1000, 2000, 3000, 4000], hop=hop, dns_ttl_ns=100, dns_keep_ns=S)
    story = play(plan, 5000, {500: only(A), 1200: only(B), 2900: nodes(A, InstanceState.DEAD)})
    ends = [(1220, Outcome.OK), (2220, Outcome.OK), (3300, Outcome.TIMEOUT), (4180, Outcome.OK)]
    assert story.ends() == ends


@pytest.mark.parametrize("stale", [0, 1])
def test_without_an_answer_there_is_no_target(stale: int) -> None:
    plan = zonal([1000, 2000, 3000], dns_ttl_ns=500, dns_stale=stale)
    control = {500: only(A), 600: resolves(False), 1500: resolves(True), 2100: resolves(False)}
    ends = play(plan, 5000, control).ends()
    last = (3220, Outcome.OK) if stale else (3000, Outcome.NO_TARGET)
    assert ends == [(1000, Outcome.NO_TARGET), (2220, Outcome.OK), last]


def test_clients_spread_over_the_zones_of_their_answer() -> None:
    n = 400
    plan = zonal([1000 * k for k in range(1, n + 1)], per_zone={"a": 1, "b": 1}, cross_zone=0)
    used = play(plan, 1000 * (n + 1), tick_ns=1000).recording.zones[:, 0, :, layout.CPU].sum(axis=0) / 1024 / 100
    assert used.sum() == n
    assert abs(used[A] - n / 2) < 5 * (n / 4) ** 0.5  # a false alarm in a million


def test_apart_each_zone_has_its_own_targets_and_fails_open_by_itself() -> None:
    plan = zonal([1000, 2000], per_zone={"a": 2, "b": 1}, cross_zone=0, fail_open_below=0.6)
    control = {500: only(A), 600: lambda plane: plane.set_view(0, False)}
    used = play(plan, 3000, control).recording.zones[:, 0, :, layout.CPU].sum(axis=0) / 1024
    # Half of a's targets are healthy, less than 60%: both are used in turn. Two of all three would be enough.
    assert used.tolist() == [200, 0]
    empty = zonal([1000], cross_zone=0)
    assert play(empty, 3000, {500: only(A)}).ends() == [(1000, Outcome.NO_TARGET)]


@pytest.mark.parametrize(("share", "zones"), [(1.0, {A}), (0.0, {A, B})])
def test_lookups_from_inside_may_be_answered_with_the_own_zone(share: float, zones: set[int]) -> None:
    plan = zonal(
        [1000 * k for k in range(1, 41)],
        per_zone={"a": 1, "b": 1},
        cross_zone=0,
        dns_own_zone=share,
        hop={"places": {"a": 1.0}},
    )
    used = play(plan, 50_000, tick_ns=1000).recording.zones[:, 0, :, layout.CPU].sum(axis=0)
    assert {zone for zone in (A, B) if used[zone]} == zones


# --- who is listed -------------------------------------------------------------------------------------------------


class Desk:
    """A world that keeps what is posted, and a name server with two targets in each of two zones."""

    def __init__(self, **rule: Any) -> None:
        given = {"service": 0, "delay_ns": 7, "per_zone": True, "below": 0.0, "fewer_than": 1} | rule
        self.posted: list[tuple[int, Callable[[Any], None], Any]] = []
        self.listed = {A: True, B: True}
        targets = {A: [0, 1], B: [2, 3]}
        self.server = NameServer(self, "web", "ab", Dns(**given), targets, self._set_listed)

    def _set_listed(self, service: int, zone: int, listed: bool) -> None:
        self.listed[zone] = listed

    def post(self, delay_ns: int, controller: str, number: int, receive: Callable[[Any], None], message: Any) -> None:
        self.posted.append((delay_ns, receive, message))

    def log(self, source: str, what: str) -> None:
        assert source == "dns.web"

    def out(self, *instances: int, back: bool = False) -> Desk:
        for instance in instances:
            self.server.receive(Verdict(instance, back))
        return self

    def settle(self) -> dict[int, bool]:
        while self.posted:
            _, receive, message = self.posted.pop(0)
            receive(message)
        return self.listed


def test_a_zone_without_healthy_targets_leaves_after_the_delay_and_comes_back() -> None:
    desk = Desk().out(0)
    assert not desk.posted
    desk.out(1)
    assert [delay_ns for delay_ns, _, _ in desk.posted] == [7]
    assert desk.listed == {A: True, B: True}
    assert desk.settle() == {A: False, B: True}
    assert desk.out(0, back=True).settle() == {A: True, B: True}


def test_lost_nodes_take_a_zone_out_until_every_reason_is_gone() -> None:
    desk = Desk()
    desk.server.see(A, "lost", True)
    desk.server.see(A, "unreachable", True)
    assert desk.settle() == {A: False, B: True}
    desk.server.see(A, "lost", False)
    assert desk.settle() == {A: False, B: True}
    desk.server.see(A, "unreachable", False)
    assert desk.settle() == {A: True, B: True}


def test_if_all_would_leave_all_stay() -> None:
    assert Desk().out(0, 1, 2, 3).settle() == {A: True, B: True}


@pytest.mark.parametrize(
    ("rule", "listed"),
    [
        ({"below": 0.6}, {A: False, B: True}),
        ({"fewer_than": 2}, {A: False, B: True}),
        ({"below": 0.6, "per_zone": False}, {A: True, B: True}),  # 3 of 4
        ({"below": NEVER_OPEN}, {A: True, B: True}),
    ],
)
def test_the_rule_by_which_a_zone_leaves(rule: dict[str, Any], listed: dict[int, bool]) -> None:
    assert Desk(**rule).out(0).settle() == listed


# --- scenarios -----------------------------------------------------------------------------------------------------


def test_a_zonal_balancer_is_lowered() -> None:
    balancer = {"placement": "zonal", "nodes_per_zone": 2, "cross_zone": False}
    balancer["dns"] = {"ttl": "30s", "connections": "1h", "own_zone": "85%", "delay": "10s", "leaves": "none"}
    plan = lower(load(STEADY).with_({"services.web.balancer": balancer}), 1)
    row = plan.balancing[0]
    assert plan.rich
    assert (row["proxied"], row["placement"], row["proxies_count"], row["nodes_per_zone"]) == (1, ZONAL, 6, 2)
    assert (row["dns_ttl_ns"], row["dns_keep_ns"], row["dns_own_zone"]) == (30 * S, 3600 * S, 0.85)
    assert plan.dns == (Dns(service=0, delay_ns=10 * S, per_zone=True, below=NEVER_OPEN, fewer_than=0),)
    assert plan.hop_addresses.tolist() == [0]
    assert plan.addresses == 100
