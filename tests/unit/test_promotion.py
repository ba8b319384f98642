"""A standby that is promoted when the zone that serves is lost (R10, D56)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from azsim.base.units import SECOND_NS
from azsim.control.plane import ControlPlane
from azsim.dataplane.layout import Plan, Standby
from azsim.dataplane.protocol import Notice
from azsim.scenario import Scenario
from azsim.simulation.environment import Environment, Rank
from azsim.simulation.lower import lower
from azsim.simulation.run import simulate
from tests.plans import make_plan, population, service

PROMOTION_NS = 1000


def plan(zones: tuple[int, ...] = (0, 1), **fields: Any) -> Plan:
    """`db` has instances 0, 1 in zone a, 2, 3 in b and 4, 5 in c; verdicts reach the router after 10."""
    fields = {"health": 1, "interval_ns": SECOND_NS, "probe_timeout_ns": 100, "propagation_ns": 10} | fields
    per_zone = {"abc"[zone]: 2 for zone in zones}
    made = make_plan(
        populations=[population("db", arrivals_ns=[1])],
        services=[service("db", per_zone=per_zone, **fields)],
        zones=("a", "b", "c"),
    )
    return replace(made, standbys=(Standby(0, zones, PROMOTION_NS),))


def members(make_plane: Any, plan: Plan, notices: list[Notice], end_ns: int = SECOND_NS) -> Any:
    """What the control plane does about membership after the beginning, and its events."""
    plane = make_plane(notices, instances=6)
    env = Environment(plane)
    control = ControlPlane(plan, env, plane)
    begun = [call[3:] for call in plane.calls]
    plane.calls.clear()
    env.listen(control.notice)
    env.run_to(end_ns)
    changes = [(t_ns, instance, value) for t_ns, _, name, instance, value in plane.calls if name == "member"]
    return begun, changes, [(e.t_ns, e.what) for e in env.events if e.source == "standby.db"], (env, control, plane)


def test_one_zone_serves_at_first(make_plane: Any) -> None:
    begun, changes, said, _ = members(make_plane, plan(), [])
    assert (begun, changes, said) == ([(2, False), (3, False)], [], [])


def test_the_standby_takes_over_when_the_last_serving_target_is_out_of_rotation(make_plane: Any) -> None:
    _, changes, said, _ = members(make_plane, plan(), [Notice(100, 0, False), Notice(300, 1, False)])
    assert changes == [(1310, 0, False), (1310, 1, False), (1310, 2, True), (1310, 3, True)]
    assert said == [(310, "zone a is lost: zone b is being promoted"), (1310, "zone b has taken over")]


def test_one_target_that_is_left_serves_alone(make_plane: Any) -> None:
    assert members(make_plane, plan(), [Notice(100, 0, False)])[1:3] == ([], [])


def test_a_promotion_is_neither_called_off_nor_undone(make_plane: Any) -> None:
    lost = [Notice(100, 0, False), Notice(100, 1, False)]
    back = [Notice(400, 0, True), Notice(400, 1, True)]
    _, changes, said, _ = members(make_plane, plan(), [*lost, *back])
    assert changes == [(1110, 0, False), (1110, 1, False), (1110, 2, True), (1110, 3, True)]
    # The old zone is the standby now.
    lost_again = [Notice(5000, 2, False), Notice(5000, 3, False)]
    _, changes, said, _ = members(make_plane, plan(), [*lost, *back, *lost_again])
    assert changes[4:] == [(6010, 2, False), (6010, 3, False), (6010, 0, True), (6010, 1, True)]
    assert [what for _, what in said][-1] == "zone a has taken over"


def test_the_next_zone_that_is_well_is_promoted(make_plane: Any) -> None:
    notices = [Notice(100, i, False) for i in (2, 3)] + [Notice(200, i, False) for i in (0, 1)]
    _, changes, _, _ = members(make_plane, plan((0, 1, 2)), notices)
    assert [(t_ns, i) for t_ns, i, member in changes if member] == [(1210, 4), (1210, 5)]


def test_without_a_zone_that_is_well_the_first_one_that_returns_is_promoted(make_plane: Any) -> None:
    notices = [Notice(100, i, False) for i in (2, 3)] + [Notice(200, i, False) for i in (0, 1)]
    notices += [Notice(700, 3, True)]
    _, changes, said, _ = members(make_plane, plan(), notices)
    assert [(t_ns, i) for t_ns, i, member in changes if member] == [(1710, 2), (1710, 3)]
    assert said[0][0] == 710


def test_a_standby_lost_while_it_is_promoted_takes_over_and_is_replaced(make_plane: Any) -> None:
    notices = [Notice(100, i, False) for i in (0, 1)] + [Notice(300, i, True) for i in (0, 1)]
    notices += [Notice(500, i, False) for i in (2, 3)]
    _, changes, said, _ = members(make_plane, plan(), notices)
    assert [t_ns for t_ns, _ in said] == [110, 1110, 1110, 2110]
    assert changes[-4:] == [(2110, 2, False), (2110, 3, False), (2110, 0, True), (2110, 1, True)]


def test_nobody_promotes_while_the_control_plane_is_lost(make_plane: Any) -> None:
    plane = make_plane([Notice(100, 0, False), Notice(100, 1, False)], instances=6)
    env = Environment(plane)
    control = ControlPlane(plan(control_zone=2), env, plane)
    env.listen(control.notice)
    env.call_at(50, (Rank.FAULT_START, "", 0), lambda: control.set_zone(2, True))
    env.call_at(400, (Rank.FAULT_END, "", 0), lambda: control.set_zone(2, False))
    env.run_to(SECOND_NS)
    assert [(e.t_ns, e.what) for e in env.events if e.source == "standby.db"] == [
        (410, "zone a is lost: zone b is being promoted"),
        (1410, "zone b has taken over"),
    ]


def scenario(**changes: Any) -> Scenario:
    db = {
        "instances_per_zone": {"a": 1, "b": 1},
        "work": {"distribution": "constant", "mean": "5ms"},
        "standby": {"zones": ["a", "b"], "promotion": "10s"},
        "balancer": {
            "health": {
                "interval": "1s", "timeout": "500ms", "unhealthy_after": 2, "healthy_after": 2, "phase": "0s",
                "propagation": "1s", "fail_open": "never",
            }
        },
    }  # fmt: skip
    base = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "standby",
            "duration": "60s",
            "zones": ["a", "b", "c"],
            "traffic": {"apps": {"to": "db", "rate": "20/s", "timeout": "200ms"}},
            "services": {"db": db},
            "faults": [{"at": "20s", "for": "30s", "zone_loss": {"zone": "a"}}],
        }
    )
    return base.with_(changes) if changes else base


def test_a_lost_primary_costs_detection_propagation_and_promotion() -> None:
    """Lost at 20 s; the probes of 20 s and 21 s time out: unhealthy at 21.5 s, out at 22.5 s, replaced at 32.5 s."""
    trace = simulate(scenario(), engine="reference")
    said = [(event.t_ns / SECOND_NS, event.what) for event in trace.events if event.source == "standby.db"]
    assert said == [(22.5, "zone a is lost: zone b is being promoted"), (32.5, "zone b has taken over")]
    seconds = trace.recording.start_ns // SECOND_NS
    succeeded = trace.recording.populations[:, 0, 2]
    for second in range(60):
        good = int(succeeded[seconds == second].sum())
        assert (good == 0) == (20 <= second < 32), second


def test_standbys_are_lowered_in_their_order() -> None:
    changes = {"services.db.standby.zones": ["b", "a"]}
    assert lower(scenario(**changes), 1).standbys == (Standby(0, (1, 0), 10 * SECOND_NS),)
