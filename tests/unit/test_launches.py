"""Launches that are late, throttled or refused, unwell instances, balanced zones and shifts (S3, T4)."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.base.units import SECOND_NS
from azsim.dataplane.layout import IN_SERVICE
from azsim.policy.scaling import replaced_at_once
from azsim.simulation.trace import Trace
from tests.unit.test_scaling import desired, run, scenario, told

TO_SIX = {"policies": [{"schedule": {"at": "20s", "desired": 6}}], "launch": {"delay": "10s", "warmup": "5s"}}
GROUP = "scaling.web"


def runs(trace: Trace) -> list[tuple[float, str]]:
    """When instances were launched, and where they run."""
    names, zones = trace.plan.zones, trace.plan.instances["zone"]
    return [(t_ns / SECOND_NS, names[zones[i]]) for t_ns, i, exists in trace.scaling.presence if exists]


def stops(trace: Trace) -> list[tuple[float, str]]:
    return [
        (t_ns / SECOND_NS, trace.plan.instance_names[i]) for t_ns, i, exists in trace.scaling.presence if not exists
    ]


def test_a_schedule_sets_what_is_desired_and_the_zones_are_filled_in_turn() -> None:
    trace = run(scenario(TO_SIX, rate="1/s"))
    assert desired(trace) == [(0.0, 3), (20.0, 6)]
    assert runs(trace) == [(30.0, "a"), (30.0, "b"), (30.0, "c")]


def test_a_schedule_comes_again_and_bounds_bind() -> None:
    up = {"schedule": {"at": "20s", "every": "60s", "min": 5}}
    down = {"schedule": {"at": "50s", "every": "60s", "min": 1, "desired": 2}}
    trace = run(scenario(TO_SIX | {"policies": [up, down]}, rate="1/s"))
    assert desired(trace) == [(0.0, 3), (20.0, 5), (50.0, 2), (80.0, 5), (110.0, 2), (140.0, 5), (170.0, 2)]


def test_throttled_launches_wait_their_turn() -> None:
    launch = {"delay": "10s", "throttle": {"rate": "0.1/s", "burst": 1}}
    trace = run(scenario(TO_SIX | {"launch": launch}, rate="1/s"))
    assert [t_s for t_s, _ in runs(trace)] == [30.0, 40.0, 50.0]


def test_a_delay_has_a_distribution() -> None:
    launch = {"delay": {"distribution": "uniform", "low": "5s", "high": "40s"}}
    trace = run(scenario(TO_SIX | {"launch": launch}, rate="1/s"))
    times = [t_s - 20.0 for t_s, _ in runs(trace)]
    assert len(set(times)) == 3
    assert all(5 <= t_s <= 40 for t_s in times)


REFUSED: list[dict[str, Any]] = [{"at": "15s", "for": "60s", "capacity_refused": {"zone": "b"}}]


def test_what_one_zone_refuses_goes_to_another() -> None:
    trace = run(scenario(TO_SIX | {"rebalance": False}, rate="1/s", faults=REFUSED))
    assert trace.scaling.refusals == (("web", 25 * SECOND_NS, 1),)
    assert runs(trace) == [(30.0, "a"), (30.0, "c"), (35.0, "a")]


def test_balanced_only_asks_the_same_zone_until_it_gives() -> None:
    launch = {"delay": "10s", "distribution": "balanced-only", "retry": "15s", "refusal": "5s"}
    trace = run(scenario(TO_SIX | {"launch": launch}, rate="1/s", faults=REFUSED))
    assert [t_ns // SECOND_NS for _, t_ns, _ in trace.scaling.refusals] == [25, 45, 65]
    assert runs(trace) == [(30.0, "a"), (30.0, "c"), (90.0, "b")]


def test_zones_are_balanced_again_when_capacity_is_back_launch_first() -> None:
    """Six are desired, and 3 + 1 + 2 run; at the first look after b gives again one more runs there, then one goes
    in a. Looks are 60 s apart, the first at a keyed time.
    """
    trace = run(scenario(TO_SIX | {"drain": "2s"}, rate="1/s", faults=REFUSED))
    (*_, (t_s, zone)) = runs(trace)
    assert zone == "b"
    assert 75.0 <= t_s - 10.0 <= 135.0
    assert stops(trace) == [(t_s + 2.0, "web-a-3")]


def test_a_lost_zone_s_machines_are_replaced_elsewhere_at_once() -> None:
    loss = [{"at": "40s", "for": "80s", "zone_loss": {"zone": "c"}}]
    trace = run(scenario({"launch": {"delay": "10s"}, "rebalance": False}, rate="1/s", faults=loss))
    ((t_s, name),) = stops(trace)
    assert name == "web-c-1"
    assert 40.0 <= t_s <= 100.0, "at the next look"
    (view_change,) = (t_ns for t_ns, i, healthy in trace.view_changes if trace.plan.instance_names[i] == name)
    assert 40.0 <= view_change / SECOND_NS <= t_s, "that is when it has been detected, if no probe was faster"
    assert [(group, zone) for group, _, zone in trace.scaling.refusals] == [("web", 2)], "no power, no capacity"
    assert runs(trace) == [(t_s + 15.0, "a")]


CRASH = [{"at": "20s", "crash": {"service": "web", "zone": "a"}}]
HEALTH = {"check": "balancer", "interval": "10s", "grace": "70s"}


def test_a_crash_is_the_balancer_s_to_tell() -> None:
    assert runs(run(scenario({"launch": {"delay": "10s"}}, rate="1/s", faults=CRASH))) == [], "its machine runs"


@pytest.mark.parametrize(("order", "runs_after_s"), [("terminate-first", 13.0), ("launch-first", 10.0)])
def test_the_unwell_are_replaced_after_their_grace(order: str, runs_after_s: float) -> None:
    given = {"launch": {"delay": "10s"}, "health": HEALTH | {"order": order}, "drain": "3s"}
    trace = run(scenario(given, rate="1/s", faults=CRASH))
    ((t_s, zone),) = runs(trace)
    assert zone == "a"
    assert 70.0 <= t_s - runs_after_s <= 80.0, "its grace is counted from the start"
    assert stops(trace) == [(t_s - 10.0 if order == "terminate-first" else t_s + 3.0, "web-a-1")]


@pytest.mark.parametrize(
    ("desired_now", "under_way", "now"), [(3, 0, 1), (3, 1, 0), (19, 0, 1), (20, 0, 2), (100, 3, 7), (100, 12, 0)]
)
def test_a_tenth_is_replaced_at_a_time(desired_now: int, under_way: int, now: int) -> None:
    assert replaced_at_once(desired_now, under_way, 0.1) == now


def test_a_shift_sends_nothing_new_to_a_zone_and_expires() -> None:
    shifts = [{"zone": "b", "at": "40s", "for": "60s"}]
    trace = run(scenario(TO_SIX | {"policies": [{"schedule": {"at": "50s", "desired": 5}}]}, rate="6/s", shifts=shifts))
    served = trace.recording.zones[:, 0, 1, IN_SERVICE].tolist()
    assert sum(served[45:100]) == 0
    assert sum(served[20:39]) > 0
    assert sum(served[105:180]) > 0
    assert runs(trace)[:2] == [(60.0, "a"), (60.0, "c")], "and nothing is launched there"
    assert told(trace, "shift.web") == [
        (40.0, "zonal shift away from zone b"),
        (40.0, "zone b gets no new requests"),
        (100.0, "zone b is in use again"),
    ]


def test_an_operator_s_shift_outranks_an_autoshift_and_one_zone_is_away_at_a_time() -> None:
    shifts = [
        {"zone": "b", "at": "20s", "for": "100s", "by": "provider"},
        {"zone": "c", "at": "40s", "for": "30s", "by": "operator"},
    ]
    trace = run(scenario({}, rate="1/s", shifts=shifts))
    away = [(t_s, what) for t_s, what in told(trace, "shift.web") if "zone" in what and "away" not in what]
    assert away == [
        (20.0, "zone b gets no new requests"),
        (40.0, "zone b is in use again"),
        (40.0, "zone c gets no new requests"),
        (70.0, "zone c is in use again"),
        (70.0, "zone b gets no new requests"),
        (120.0, "zone b is in use again"),
    ]


def test_a_shift_to_nowhere_is_ignored() -> None:
    loss = [{"at": "10s", "for": "100s", "zone_loss": {"zone": zone}} for zone in ("a", "c")]
    faults = [one | {"id": f"loss-{number}"} for number, one in enumerate(loss)]
    changes = {"shifts": [{"zone": "b", "at": "60s", "for": "30s"}], "services.web.scaling.health.replace": False}
    trace = run(scenario({}, rate="1/s", faults=faults, **changes))
    assert told(trace, "shift.web")[1] == (60.0, "no other zone is healthy: zone b stays in use")


def test_nothing_is_scaled_in_during_a_shift() -> None:
    cold = {"alarms": {"cold": {"metric": "cpu", "at_most": "30%", "period": "10s"}}}
    cold |= {"policies": [{"on": "cold", "set": 2}]}
    trace = run(scenario(cold, rate="1/s", shifts=[{"zone": "b", "at": "5s", "for": "50s"}]))
    assert desired(trace) == [(0.0, 3), (62.0, 2)]
