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
    """Six are desired, and 3 + 1 + 2 run; a minute after b refused for good one more runs there, then one goes in a."""
    trace = run(scenario(TO_SIX | {"drain": "2s"}, rate="1/s", faults=REFUSED))
    assert runs(trace)[2:] == [(35.0, "a"), (135.0, "b")]
    assert stops(trace) == [(137.0, "web-a-3")]


def test_a_lost_zone_s_machines_are_replaced_elsewhere_at_once() -> None:
    loss = [{"at": "40s", "for": "40s", "zone_loss": {"zone": "c"}}]
    trace = run(scenario({"launch": {"delay": "10s"}, "rebalance": False}, rate="1/s", faults=loss))
    assert stops(trace) == [(60.0, "web-c-1")], "at the next look"
    assert trace.scaling.refusals == (("web", 65 * SECOND_NS, 2),), "a zone without power gives nothing"
    assert runs(trace) == [(75.0, "a")]


def test_a_crash_is_the_balancer_s_to_tell_and_has_a_grace() -> None:
    crash = [{"at": "20s", "crash": {"service": "web", "zone": "a"}}]
    health = {"check": "balancer", "interval": "10s", "grace": "70s"}
    launch = {"delay": "10s"}
    assert runs(run(scenario({"launch": launch}, rate="1/s", faults=crash))) == [], "its machine runs"
    changes = {"services.web.scaling.health": health, "services.web.scaling.drain": "3s"}
    trace = run(scenario({"launch": launch}, rate="1/s", faults=crash, **changes))
    assert told(trace, GROUP)[0] == (70.0, "web-a-1 is replaced"), "not before its grace, 70 s from the start, is over"
    assert runs(trace) == [(83.0, "a")], "terminate, then launch"
    changes["services.web.scaling.health"] = health | {"order": "launch-first"}
    trace = run(scenario({"launch": launch}, rate="1/s", faults=crash, **changes))
    assert runs(trace) == [(80.0, "a")]
    assert stops(trace) == [(83.0, "web-a-1")]


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
