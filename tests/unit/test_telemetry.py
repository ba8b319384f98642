"""Telemetry with a capacity, and alarms that go by what was usual (T1, S2)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from azsim.base.units import SECOND_NS
from azsim.control.alarms import Alarm, Alert
from azsim.control.specs import AlarmSpec, TelemetrySpec, Threshold
from azsim.control.telemetry import Due, Pipeline, Point
from azsim.policy.alarms import MISSING, AlarmState
from tests.unit.test_scaling import desired, run, scenario

S = SECOND_NS


def pipeline(**fields: Any) -> tuple[Pipeline, SimpleNamespace]:
    """Ten points and lines a second, room for 100; and the world, whose time and failed requests are set by hand."""
    spec = TelemetrySpec(delay_ns=S, rate_per_s=10.0, buffer=100, lines_per_failure=2.0)
    now = SimpleNamespace(now_ns=0, count=0)
    now.failed = lambda: now.count
    return Pipeline(now, now, spec), now


def test_points_wait_for_each_other_and_for_the_lines_of_what_failed() -> None:
    way, now = pipeline()
    assert way.send(5) == S + S // 2
    assert way.send(5) == S + S, "behind the first five"
    now.now_ns, now.count = 4 * S, 25  # ten are gone, fifty lines have come, and thirty of them are gone
    assert way.send(10) == S + 3 * S
    assert way.lost == 0


def test_what_finds_no_room_is_lost_and_the_rest_drains() -> None:
    way, now = pipeline()
    now.now_ns, now.count = S, 1000
    assert way.send(1) is None
    assert way.lost == 1
    now.now_ns = 6 * S
    assert way.send(10) == S + 6 * S, "fifty of a full buffer are left, and these ten"


def test_without_a_capacity_nothing_waits() -> None:
    way = Pipeline(SimpleNamespace(now_ns=0), SimpleNamespace(), TelemetrySpec(delay_ns=7))  # type: ignore[arg-type]
    assert [way.send(10**6) for _ in range(3)] == [7, 7, 7]


def test_a_flood_of_failures_blinds_the_alarm_that_should_tell_of_them() -> None:
    """Twice the load that three instances can serve: most requests fail, and each writes three lines. The points come
    later and later, soon later than an alarm looks back.
    """
    hot = {"metric": "cpu", "above": "90%", "period": "10s"}
    group = {"alarms": {"hot": hot}, "policies": [{"on": "hot", "add": 1}]}
    changes = {"traffic.shoppers.timeout": "500ms"}
    assert desired(run(scenario(group, rate="30/s", **changes)))[1] == (12.0, 4)
    flood = {"rate": "20/s", "buffer": 5000, "lines_per_failure": 3}
    assert desired(run(scenario(group, rate="30/s", **changes, **{"observability.capacity": flood}))) == [(0.0, 3)]


def test_an_alarm_learns_what_is_usual() -> None:
    heard: list[Alert] = []
    world: Any = SimpleNamespace(log=lambda source, what: None)
    threshold = Threshold(">", 0.0, width=3.0, learns=4)
    alarm = Alarm(world, "web", AlarmSpec("odd", "cpu", "average", 60 * S, threshold, 1, 1, MISSING, "cpu > usual"))
    alarm.listeners.append(heard.append)
    values = [0.5, 0.52, 0.48, 0.5, 0.5, 0.5, 0.5, 0.53, 0.8]
    for number, value in enumerate(values):
        alarm.receive(Point(number, value))
        alarm.receive(Due(number))
    states = [alert.state for alert in heard]
    assert states[:6] == [AlarmState.INSUFFICIENT_DATA] * 6, "four points, older than the three that are looked at"
    assert states[6:] == [AlarmState.OK, AlarmState.OK, AlarmState.ALARM]
    assert 0.2 < heard[-1].breach < 0.3
