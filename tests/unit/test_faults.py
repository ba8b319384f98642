"""The fault schedule and abort conditions: F, O6, J6."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azsim.base.units import SECOND_NS, Comparison
from azsim.dataplane.codes import InstanceState
from azsim.policy import cpu
from azsim.scenario import Scenario
from azsim.simulation.abort import Abort
from azsim.simulation.effects import AbortCondition, Effect, Fault, Lever, Stage
from azsim.simulation.environment import Environment, Rank
from azsim.simulation.faults import Faults
from azsim.simulation.levers import Levers
from azsim.simulation.lower_faults import lower_abort, lower_faults
from azsim.simulation.trace import Event

END_NS = 100


def fault(number: int, start_ns: int, end_ns: int | None, *effects: Effect, instances: tuple[int, ...] = ()) -> Fault:
    name = f"f{number}"
    return Fault(name, "kind", name, f"{name} starts", f"{name} ends", start_ns, end_ns, effects, instances)


VALUES: dict[Lever, st.SearchStrategy[Any]] = {
    Lever.STATE: st.tuples(st.sampled_from(list(InstanceState)[1:]), st.sampled_from([0, 10])),
    Lever.STRESS: st.tuples(
        st.sampled_from([1.0, 8.0]), st.floats(0.1, 8.0), st.sampled_from([cpu.SHARED, cpu.STRICT])
    ),
    Lever.LINK: st.just(True),
    Lever.LATENCY: st.integers(1, 10**9),
    Lever.ERROR_SHARE: st.floats(0.01, 1.0),
    Lever.RATE: st.floats(0.0, 10.0),
    Lever.CONTROL: st.just(True),
    Lever.CAPACITY: st.just(True),
    Lever.NODES: st.sampled_from([InstanceState.CRASHED, InstanceState.DEAD]),
    Lever.NAME: st.just(True),
    Lever.HAZARD: st.just(True),
    Lever.LOSS: st.floats(0.01, 1.0),
    Lever.INSTANCE_LOSS: st.floats(0.01, 1.0),
    Lever.MALFORMED: st.floats(0.01, 1.0),
    Lever.WORK: st.floats(0.1, 10.0),
    Lever.MEMBER: st.just(False),
    Lever.HOP: st.dictionaries(st.sampled_from(["attempts", "cancel"]), st.integers(0, 1), min_size=1),
    Lever.INSTANCE: st.dictionaries(st.sampled_from(["queue", "drop_expired"]), st.integers(0, 1), min_size=1),
}


SHARES = {
    Lever.ERROR_SHARE: "error share",
    Lever.LOSS: "loss",
    Lever.INSTANCE_LOSS: "instance loss",
    Lever.MALFORMED: "malformed",
}


@st.composite
def effects(draw: st.DrawFn) -> Effect:
    lever = draw(st.sampled_from(Lever))
    target: Any = draw(st.integers(0, 1))
    if lever in (Lever.LINK, Lever.LOSS):
        target = draw(st.sampled_from([(0, 1), (0, 2), (1, 2)]))
    return Effect(lever, target, draw(VALUES[lever]))


@st.composite
def fault_sets(draw: st.DrawFn) -> list[Fault]:
    faults = []
    for number in range(draw(st.integers(1, 6))):
        start_ns = draw(st.integers(0, END_NS - 2))
        end_ns = draw(st.integers(start_ns + 1, END_NS - 1))
        own = draw(st.lists(effects(), min_size=1, max_size=4, unique_by=lambda effect: effect[:2]))
        faults.append(fault(number, start_ns, end_ns, *own))
    return faults


def expected(faults: list[Fault], t_ns: int) -> dict[tuple[str, Any], Any]:
    """What each lever stands at, straight from the rule (O6): a fault acts at its start, no more at its end."""
    by_target: dict[tuple[Lever, Any], list[Any]] = {}
    for one in faults:
        if one.end_ns is None or one.start_ns <= t_ns < one.end_ns:
            for lever, target, value in one.effects:
                by_target.setdefault((lever, target), []).append(value)
    state: dict[tuple[str, Any], Any] = {}
    for (lever, target), values in by_target.items():
        if lever == Lever.STATE:
            found = {value[0] for value in values}
            order = (InstanceState.DEAD, InstanceState.CRASHED, InstanceState.PAUSED)
            state["state", target] = next(worst for worst in order if worst in found)
        elif lever == Lever.STRESS:
            state["stress", target] = (sum(v[0] for v in values), sum(v[1] for v in values), max(v[2] for v in values))
        elif lever == Lever.LINK:
            state["link", target] = True
        elif lever == Lever.LATENCY:
            state["latency", target] = sum(values)
        elif lever in SHARES:
            state[SHARES[lever], target] = 1 - math.prod(1 - p for p in values)
        elif lever in (Lever.HOP, Lever.INSTANCE):
            state[lever.name.lower(), target] = {name: value for one in values for name, value in one.items()}
        elif lever == Lever.MEMBER:
            state["member", target] = False
        elif lever == Lever.CONTROL:
            state["control", target] = True
        elif lever == Lever.CAPACITY:
            state["capacity", target] = True
        elif lever == Lever.NODES:
            state["nodes", target] = InstanceState.DEAD if InstanceState.DEAD in values else InstanceState.CRASHED
        elif lever == Lever.NAME:
            state["resolves", target] = False
        elif lever == Lever.HAZARD:
            state["hazard", target] = True
        elif math.prod(values) != 1.0:
            state["rate factor" if lever == Lever.RATE else "work factor", target] = math.prod(values)
    return state


@given(faults=fault_sets())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_overlapping_faults_compose_and_end_exactly(make_plane: Any, faults: list[Fault]) -> None:
    plane = make_plane()
    env = Environment(plane)
    levers = Levers(
        plane,
        lambda zone, lost: plane._told("control", zone, lost, False),
        lambda zone, refused: plane._told("capacity", zone, refused, False),
        set_hazard=lambda number, on: plane._told("hazard", number, on, False),
    )
    schedule = Faults(env, plane, faults, levers)
    seen: dict[int, dict[Any, Any]] = {}
    up: dict[int, int] = {}

    def look() -> None:
        seen[int(env.now)] = dict(plane.state)
        up[int(env.now)] = schedule.up

    for t_ns in range(END_NS):
        env.call_at(t_ns, (Rank.EXPERIMENTER, "look", 0), look)
    env.run_to(END_NS)
    for t_ns in range(END_NS):
        told, rule = seen[t_ns], expected(faults, t_ns)
        assert told.keys() == rule.keys(), t_ns
        for lever, value in rule.items():
            name = lever[0]
            assert (told[lever][0] if name == "state" else told[lever]) == (
                value
                if name in ("state", "link", "latency", "control", "member", "hop", "instance", "nodes", "resolves")
                else pytest.approx(value, rel=1e-12)
            )
        assert up[t_ns] == 4 - sum(lever[0] == "state" for lever in rule)
    # Exactly as at the beginning, to the last bit: the fake keeps only what differs from it.
    assert plane.state == {}
    assert schedule.active == ()
    assert [(span.start_ns, span.end_ns) for span in schedule.spans] == sorted(
        ((one.start_ns, one.end_ns) for one in faults), key=lambda times: times[0]
    )


def test_at_one_instant_ends_come_before_starts_each_as_listed(make_plane: Any) -> None:
    plane = make_plane()
    env = Environment(plane)
    slow = [Effect(Lever.LATENCY, 0, 5)]
    Faults(env, plane, [fault(0, 50, 60, *slow), fault(1, 20, 50, *slow), fault(2, 50, 60), fault(3, 30, 50)])
    env.run_to(END_NS)
    words = [event.what for event in env.events if event.t_ns == 50]
    assert words == ["f1 ends", "f3 ends", "f0 starts", "f2 starts"]
    assert [call[4] for call in plane.calls] == [5, 0, 5, 0]


def test_what_stays_the_same_is_not_told_again(make_plane: Any) -> None:
    plane = make_plane()
    env = Environment(plane)
    dead, crashed = (Effect(Lever.STATE, 0, (state, 0)) for state in (InstanceState.DEAD, InstanceState.CRASHED))
    Faults(env, plane, [fault(0, 10, 40, dead), fault(1, 20, 30, crashed), fault(2, 25, 50, dead)])
    env.run_to(END_NS)
    assert plane.calls == [
        (10, False, "state", 0, (InstanceState.DEAD, 0)),
        (50, False, "state", 0, (InstanceState.UP, 0)),
    ]


def test_rows_are_cut_at_the_edges_of_faults(make_plane: Any) -> None:
    plane = make_plane()
    env = Environment(plane)
    Faults(env, plane, [fault(0, 10, 40), fault(1, 40, None)])
    env.run_to(END_NS)
    assert plane.rows_ns == [10, 40]


def test_the_first_target_out_of_rotation_detects_each_fault_once(make_plane: Any) -> None:
    env = Environment(make_plane())
    faults = [
        fault(0, 10, 40, instances=(0, 1)),
        fault(1, 20, None, instances=(1,)),
        fault(2, 30, 50),
        fault(3, 50, 55, instances=(0,)),
    ]
    schedule = Faults(env, make_plane(), faults)
    answers = []
    for t_ns, instance in ((5, 0), (15, 1), (16, 0), (25, 3), (26, 1), (27, 1), (60, 0)):
        env.call_at(
            t_ns, (Rank.CONTROLLER, "router.front", instance), lambda i=instance: answers.append(schedule.detects(i))
        )
    env.run_to(END_NS)
    assert answers == [False, True, False, False, True, False, True]


def run_abort(make_plane: Any, conditions: list[AbortCondition], ended_at: Any, faults: list[Fault]) -> Any:
    plane = make_plane(ended_at=ended_at)
    env = Environment(plane)
    schedule = Faults(env, plane, faults)
    abort = Abort(env, plane, schedule, tuple(conditions))
    env.run_to(60 * SECOND_NS)
    return plane, env, schedule, abort


def rising(bad_seconds: set[int]) -> Any:
    """10 requests end in each second; in the bad ones 3 of them fail."""

    def ended_at(t_ns: int) -> tuple[int, int]:
        past = t_ns // SECOND_NS
        failed = 3 * sum(1 for second in bad_seconds if second < past)
        return 10 * past - failed, failed

    return ended_at


MANY_ERRORS = Comparison(">", 0.2, "share")


def test_an_error_rate_that_holds_long_enough_ends_all_faults_and_stops_later_ones(make_plane: Any) -> None:
    faults = [
        fault(0, 5 * SECOND_NS, None, Effect(Lever.LATENCY, 0, 5)),
        fault(1, 6 * SECOND_NS, 50 * SECOND_NS, Effect(Lever.RATE, 0, 2.0)),
        fault(2, 40 * SECOND_NS, 50 * SECOND_NS, Effect(Lever.RATE, 0, 2.0)),
    ]
    condition = AbortCondition("error_rate", MANY_ERRORS, 4 * SECOND_NS)
    # Seconds 10, 11, 12, good 13, then 14, 15, 16, 17: four in a row end at 18 s.
    bad = {10, 11, 12, 14, 15, 16, 17}
    plane, env, schedule, abort = run_abort(make_plane, [condition], rising(bad), faults)
    at_ns = 18 * SECOND_NS
    assert abort.aborted_at_ns == at_ns
    assert [(span.id, span.end_ns) for span in schedule.spans] == [("f0", at_ns), ("f1", at_ns)]
    assert plane.state == {}
    assert env.events[-3:] == [
        Event(at_ns, "abort", "error rate > 20%: all faults end"),
        Event(at_ns, "fault", "f0 ends"),
        Event(at_ns, "fault", "f1 ends"),
    ]


@pytest.mark.parametrize(
    ("bad", "ended_at"),
    [({10, 11, 12}, None), (set(range(10, 30, 2)), None), (set(), lambda _: (0, 0))],
    ids=["too short", "interrupted", "nothing ends"],
)
def test_an_error_rate_that_does_not_hold_aborts_nothing(make_plane: Any, bad: set[int], ended_at: Any) -> None:
    condition = AbortCondition("error_rate", MANY_ERRORS, 4 * SECOND_NS)
    *_, abort = run_abort(make_plane, [condition], ended_at or rising(bad), [])
    assert abort.aborted_at_ns is None


def test_too_few_instances_abort(make_plane: Any) -> None:
    dead = [Effect(Lever.STATE, i, (InstanceState.DEAD, 0)) for i in (0, 1)]
    paused = [Effect(Lever.STATE, i, (InstanceState.PAUSED, 0)) for i in (1, 2)]
    faults = [
        fault(0, 5_500_000_000, None, *dead),
        fault(1, 8 * SECOND_NS, 9 * SECOND_NS, *paused),
        fault(2, 20 * SECOND_NS, None, *paused),
    ]
    condition = AbortCondition("instances", Comparison("<", 2, "count"), 3 * SECOND_NS)
    plane, _, schedule, abort = run_abort(make_plane, [condition], rising(set()), faults)
    # One of four is up from 8 s to 9 s, too short, and from 20 s on.
    assert abort.aborted_at_ns == 23 * SECOND_NS
    assert schedule.up == 4
    assert plane.state == {}


def test_a_condition_without_a_time_aborts_at_once(make_plane: Any) -> None:
    conditions = [
        AbortCondition("instances", Comparison("<", 1, "count"), 0),
        AbortCondition("error_rate", MANY_ERRORS, 0),
    ]
    *_, abort = run_abort(make_plane, conditions, rising({7}), [])
    assert abort.aborted_at_ns == 8 * SECOND_NS


# From the scenario ---------------------------------------------------------------------------------------------------


def lowered(*faults: dict[str, Any], **more: Any) -> tuple[Fault, ...]:
    """Two services over three zones: front is 0-1, 2-3, 4-5 and store is 6, 7, 8."""
    work = {"distribution": "constant", "mean": "20ms"}
    front = {"work": work, "instances_per_zone": 2, "cores": 2.5, "overrides": {"c": {"cores": 4}}}
    scenario = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "shop",
            "duration": "10min",
            "zones": ["a", "b", "c"],
            "traffic": {"shoppers": {"to": "front", "rate": "1/s"}, "spiders": {"to": "store", "rate": "1/s"}},
            "services": {"front": front, "store": {"work": work}},
            "faults": list(faults),
            **more,
        }
    )
    return lower_faults(scenario)


def test_a_zone_that_loses_power_takes_all_its_instances() -> None:
    (lost,) = lowered({"id": "loss", "at": "5min", "for": "2min", "zone_loss": {"zone": "b"}})
    assert (lost.id, lost.kind, lost.what) == ("loss", "zone_loss", "zone b power")
    assert (lost.started, lost.ended) == ("zone b power lost", "zone b power restored")
    assert (lost.start_ns, lost.end_ns) == (300 * SECOND_NS, 420 * SECOND_NS)
    assert lost.instances == (2, 3, 7)
    dead = tuple(Effect(Lever.STATE, i, (InstanceState.DEAD, 0)) for i in (2, 3, 7))
    assert lost.effects == (*dead, Effect(Lever.CAPACITY, 1, True))  # nor does it give new ones


def test_a_zone_that_refuses_has_crashed_instances() -> None:
    (refusing,) = lowered({"at": "5min", "zone_loss": {"zone": "a", "mode": "refuse"}})
    assert refusing.end_ns is None
    assert refusing.effects == tuple(Effect(Lever.STATE, i, (InstanceState.CRASHED, 0)) for i in (0, 1, 6))


def test_a_blackhole_cuts_a_zone_from_the_others_and_from_outside_not_from_itself() -> None:
    (cut_off,) = lowered({"at": "5min", "zone_loss": {"zone": "b", "mode": "blackhole"}})
    assert cut_off.effects == tuple(Effect(Lever.LINK, link, True) for link in ((0, 1), (1, 2), (1, 3)))
    assert cut_off.instances == (2, 3, 7)


def test_stress_is_one_thread_per_core_unless_said() -> None:
    one_per_core, said = lowered(
        {"at": "5min", "cpu_stress": {"service": "front", "load": "80%"}},
        {"at": "5min", "for": "1s", "cpu_stress": {"service": "front", "load": "50%", "threads": 6, "zone": "c"}},
    )
    assert [effect.value for effect in one_per_core.effects] == [(3.0, 3.0 * 0.8, cpu.SHARED)] * 4 + [
        (4.0, 4.0 * 0.8, cpu.SHARED)
    ] * 2
    assert one_per_core.what == "cpu stress 80% on front (6 hosts)"
    assert [effect.value for effect in said.effects] == [(6.0, 3.0, cpu.SHARED)] * 2


def test_hosts_are_the_lowest_ids_of_the_service_or_of_its_zone() -> None:
    three, one, all_db = lowered(
        {"at": "5min", "pause": {"service": "front", "hosts": 3, "backlog": 7}},
        {"at": "6min", "crash": {"service": "front", "hosts": 1, "zone": "b"}},
        {"at": "7min", "error_rate": {"service": "store", "share": "5%"}},
    )
    assert three.effects == tuple(Effect(Lever.STATE, i, (InstanceState.PAUSED, 7)) for i in (0, 1, 2))
    assert three.what == "pause of front (3 hosts)"
    assert one.effects == (Effect(Lever.STATE, 2, (InstanceState.CRASHED, 0)),)
    assert (one.started, one.ended) == ("crash of front in zone b (1 host)", "crash of front in zone b (1 host) ended")
    assert all_db.effects == tuple(Effect(Lever.ERROR_SHARE, i, 0.05) for i in (6, 7, 8))


def test_latency_and_spikes() -> None:
    slow, spike = lowered(
        {"at": "5min", "latency": {"service": "store", "add": "200ms", "hosts": 1}},
        {"at": "6min", "traffic_spike": {"population": "spiders", "factor": 1.5}},
    )
    assert slow.effects == (Effect(Lever.LATENCY, 6, 200_000_000),)
    assert slow.what == "latency +200ms to store (1 host)"
    assert spike.effects == (Effect(Lever.RATE, 1, 1.5),)
    assert (spike.what, spike.instances) == ("traffic of spiders x1.5", ())


def test_a_partition_cuts_the_links_between_its_zones_alone() -> None:
    two, all_three = lowered(
        {"at": "5min", "partition": {"between": ["c", "a"]}},
        {"at": "6min", "for": "1s", "partition": {"between": ["a", "b", "c"]}},
    )
    assert two.effects == (Effect(Lever.LINK, (0, 2), True),)
    assert (two.what, two.ended, two.instances) == (
        "partition between c and a",
        "zones c and a reach each other again",
        (),
    )
    assert all_three.effects == tuple(Effect(Lever.LINK, link, True) for link in ((0, 1), (0, 2), (1, 2)))


def test_a_zone_cut_off_from_outside_still_reaches_the_other_zones() -> None:
    (cut_off,) = lowered({"at": "5min", "cut_off": {"zone": "b"}})
    assert cut_off.effects == (Effect(Lever.LINK, (1, 3), True),)
    assert cut_off.instances == (2, 3, 7)  # probes come from outside: it is they that will notice


def test_a_crash_without_an_end_does_not_return() -> None:
    (gone,) = lowered({"at": "5min", "crash": {"service": "store", "hosts": 1}})
    assert gone.end_ns is None
    assert gone.effects == (Effect(Lever.STATE, 6, (InstanceState.CRASHED, 0)),)


def test_a_fault_that_comes_again_is_a_fault_each_time() -> None:
    flaps = lowered(
        {
            "id": "flap",
            "at": "1min",
            "for": "20s",
            "zone_loss": {"zone": "b"},
            "repeat": {"every": "90s", "times": 3},
        }
    )
    assert [(flap.id, flap.start_ns // SECOND_NS, (flap.end_ns or 0) // SECOND_NS) for flap in flaps] == [
        ("flap.1", 60, 80),
        ("flap.2", 150, 170),
        ("flap.3", 240, 260),
    ]
    dead = tuple(Effect(Lever.STATE, i, (InstanceState.DEAD, 0)) for i in (2, 3, 7))
    assert {flap.effects for flap in flaps} == {(*dead, Effect(Lever.CAPACITY, 1, True))}


def test_a_lost_zone_takes_the_controllers_that_live_in_it() -> None:
    work = {"distribution": "constant", "mean": "20ms"}
    at_home = {"front": {"work": work, "balancer": {"control_zone": "b"}}, "store": {"work": work}}
    control, power, elsewhere = lowered(
        {"at": "5min", "zone_loss": {"zone": "b", "mode": "control"}},
        {"at": "6min", "zone_loss": {"zone": "b"}},
        {"at": "7min", "zone_loss": {"zone": "c"}},
        services=at_home,
    )
    halted = Effect(Lever.CONTROL, 1, True)
    assert (control.effects, control.instances) == ((halted,), ())
    assert (control.started, control.ended) == ("zone b loses its control plane", "zone b has its control plane back")
    assert power.effects[0] == halted
    assert {effect.lever for effect in elsewhere.effects} == {Lever.STATE, Lever.CAPACITY}


def test_packets_get_lost_on_all_links_on_a_zones_or_at_instances() -> None:
    everywhere, zone, service, both = lowered(
        {"at": "5min", "packet_loss": {"share": "1%"}},
        {"at": "5min", "packet_loss": {"share": "2%", "zone": "b"}},
        {"at": "5min", "packet_loss": {"share": "3%", "service": "store"}},
        {"at": "5min", "packet_loss": {"share": "4%", "service": "front", "zone": "c"}},
    )
    links = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 2), (2, 3)]
    assert everywhere.effects == tuple(Effect(Lever.LOSS, link, 0.01) for link in links)
    assert zone.effects == tuple(Effect(Lever.LOSS, link, 0.02) for link in ((0, 1), (1, 2), (1, 3)))
    assert zone.instances == (2, 3, 7)
    assert service.effects == tuple(Effect(Lever.INSTANCE_LOSS, i, 0.03) for i in (6, 7, 8))
    assert both.effects == tuple(Effect(Lever.INSTANCE_LOSS, i, 0.04) for i in (4, 5))
    assert both.what == "packet loss 4% of front in zone c"


def test_malformed_slow_and_taken_out_act_on_instances() -> None:
    malformed, slow, out = lowered(
        {"at": "5min", "malformed": {"service": "front", "zone": "b", "share": "5%"}},
        {"at": "5min", "slow_dependency": {"service": "store", "hosts": 2, "factor": 2.5}},
        {"at": "5min", "scaling_event": {"service": "front", "hosts": 3}},
    )
    assert malformed.effects == tuple(Effect(Lever.MALFORMED, i, 0.05) for i in (2, 3))
    assert slow.effects == tuple(Effect(Lever.WORK, i, 2.5) for i in (6, 7))
    assert out.effects == tuple(Effect(Lever.MEMBER, i, False) for i in (0, 1, 2))
    assert out.instances == ()  # no health check is to find out what is no fault


def test_a_bad_deploy_takes_its_share_of_the_zones_in_turn_until_it_is_rolled_back() -> None:
    canary, half, all_of_c = lowered(
        {"at": "5min", "bad_deploy": {"service": "front", "error_share": "20%", "rollback_after": "1min"}},
        {"at": "5min", "for": "2min", "bad_deploy": {"service": "front", "share": "60%", "slowdown": 2}},
        {"at": "5min", "bad_deploy": {"service": "front", "share": "100%", "zone": "c", "slowdown": 2}},
    )
    assert canary.effects == (Effect(Lever.ERROR_SHARE, 0, 0.2), Effect(Lever.WORK, 0, 1.0))  # a tenth of 6: one
    assert ((canary.end_ns or 0) - canary.start_ns, canary.ended) == (
        60 * SECOND_NS,
        "bad deploy on front (1 host) rolled back",
    )
    assert half.instances == (0, 1, 2, 4)  # 3.6 of 6 are 4: the first of each zone, then the second of a
    assert ((half.end_ns or 0) - half.start_ns, all_of_c.end_ns) == (120 * SECOND_NS, None)
    assert all_of_c.instances == (4, 5)


def test_a_leak_slows_crashes_and_begins_anew() -> None:
    (leak,) = lowered(
        {
            "at": "1min",
            "memory_leak": {"service": "store", "hosts": 1, "slowdown": 5, "grows": "200s", "restart": "20s"},
        }
    )
    assert leak.effects == (Effect(Lever.WORK, 6, 1.0),)
    assert leak.cycle_ns == 220 * SECOND_NS
    assert len(leak.stages) == 100
    assert leak.stages[24] == Stage(50 * SECOND_NS, (Effect(Lever.WORK, 6, 2.0),))  # a quarter of the way
    assert leak.stages[-1] == Stage(200 * SECOND_NS, (Effect(Lever.STATE, 6, (InstanceState.CRASHED, 0)),))


def test_stages_take_each_others_place_and_come_again_until_the_fault_ends(make_plane: Any) -> None:
    slow, slower, down = (
        Effect(Lever.LATENCY, 0, 1),
        Effect(Lever.LATENCY, 0, 2),
        Effect(Lever.STATE, 0, (InstanceState.CRASHED, 0)),
    )
    staged = dataclasses.replace(fault(0, 10, 45, slow), stages=(Stage(5, (slower,)), Stage(12, (down,))), cycle_ns=20)
    plane = make_plane()
    env = Environment(plane)
    Faults(env, plane, [staged, fault(1, 12, 14, Effect(Lever.LATENCY, 0, 10))])
    env.run_to(END_NS)
    up, crashed = (InstanceState.UP, 0), (InstanceState.CRASHED, 0)
    assert [(t_ns, name, value) for t_ns, _, name, _, value in plane.calls] == [
        (10, "latency", 1),
        (12, "latency", 11),
        (14, "latency", 1),
        (15, "latency", 2),
        (22, "latency", 0),
        (22, "state", crashed),
        (30, "state", up),
        (30, "latency", 1),
        (35, "latency", 2),
        (42, "latency", 0),
        (42, "state", crashed),
        (45, "state", up),
    ]
    assert plane.state == {}
    assert plane.rows_ns == [10, 12, 14, 45]  # stages are no edges


def test_an_abort_ends_a_staged_fault_for_good(make_plane: Any) -> None:
    staged = dataclasses.replace(
        fault(0, 10, None, Effect(Lever.LATENCY, 0, 1)), stages=(Stage(5, (Effect(Lever.LATENCY, 0, 2),)),), cycle_ns=20
    )
    plane = make_plane()
    env = Environment(plane)
    schedule = Faults(env, plane, [staged])
    env.call_at(17, (Rank.EXPERIMENTER, "abort", 0), schedule.abort)
    env.run_to(END_NS)
    assert [(t_ns, value) for t_ns, *_, value in plane.calls] == [(10, 1), (15, 2), (17, 0)]


def test_abort_conditions_come_over_as_written() -> None:
    scenario = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "shop",
            "duration": "10min",
            "zones": ["a", "b"],
            "traffic": {"shoppers": {"to": "front", "rate": "1/s"}},
            "services": {"front": {"work": {"distribution": "constant", "mean": "20ms"}, "instances_per_zone": 2}},
            "abort": [{"error_rate": "> 20%", "for": "60s"}, {"instances": "< 3"}],
        }
    )
    assert lower_abort(scenario) == (
        AbortCondition("error_rate", Comparison(">", 0.2, "share"), 60 * SECOND_NS),
        AbortCondition("instances", Comparison("<", 3, "count"), 0),
    )
