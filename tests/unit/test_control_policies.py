"""What policies answer, by the documented behaviour of simple, step and target tracking scaling (S1)."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.control.alarms import Alert
from azsim.control.policies import Model, policies
from azsim.control.specs import SimpleSpec, StepRange, StepSpec, TargetSpec
from azsim.policy.alarms import AlarmState
from azsim.policy.scaling import ADD, ADD_SHARE, SET

ALARM, OK, NONE = AlarmState.ALARM, AlarmState.OK, AlarmState.INSUFFICIENT_DATA


def model(desired: int, **fields: int) -> Model:
    """A group that has what it desires unless said."""
    given: dict[str, Any] = {"now_ns": 0, "in_service": desired, "warming": 0, "pending": 0, "leaving": 0}
    return Model(desired=desired, **given | fields)


def alert(alarm: str, state: AlarmState = ALARM, breach: float = 0.0, value: float = 0.0) -> Alert:
    return Alert(alarm, state, breach, value)


def test_simple_scaling_waits_for_what_is_under_way_and_for_its_cooldown() -> None:
    (one,) = policies([SimpleSpec("hot", ADD, 1, cooldown_ns=100)])
    assert one.answer(alert("hot"), model(3)) == 4
    assert one.answer(alert("cold"), model(3)) is None
    assert one.answer(alert("hot", OK), model(3)) is None
    assert one.answer(alert("hot", NONE), model(3)) is None
    one.followed(0)
    assert one.answer(alert("hot"), model(4, pending=1, in_service=3, now_ns=500)) is None
    one.settled(60)  # the cooldown counts from when the instance has come
    assert one.answer(alert("hot"), model(4, now_ns=159)) is None
    assert one.answer(alert("hot"), model(4, now_ns=160)) == 5


def test_a_cooldown_is_the_group_s() -> None:
    out, back = policies([SimpleSpec("hot", ADD, 1, cooldown_ns=100), SimpleSpec("cold", SET, 3, cooldown_ns=50)])
    out.followed(0)
    assert back.answer(alert("cold"), model(4, now_ns=99)) is None
    assert back.answer(alert("cold"), model(4, now_ns=100)) == 3


STEPS = StepSpec("hot", (StepRange(0.0, ADD_SHARE, 0.1), StepRange(0.1, ADD_SHARE, 0.3)))


def test_steps_count_what_is_coming_already() -> None:
    """The documented example: ten instances, first 10% more, and during its warm-up the step of 30%: two more."""
    (one,) = policies([STEPS])
    assert one.answer(alert("hot", breach=0.05), model(10)) == 11
    assert one.answer(alert("hot", breach=0.15), model(11, in_service=11, warming=1)) == 13
    assert one.answer(alert("hot", breach=0.05), model(13, in_service=13, warming=3)) == 13


def test_steps_take_nothing_away_while_something_warms_up() -> None:
    (one,) = policies([StepSpec("cold", (StepRange(0.0, ADD, -1),))])
    assert one.answer(alert("cold"), model(5)) == 4
    assert one.answer(alert("cold"), model(5, warming=1)) is None
    assert one.answer(alert("cold"), model(5, in_service=4, pending=1)) is None


def target(name: str, goal: float, scales_in: bool = True) -> TargetSpec:
    return TargetSpec(goal, f"{name}-high", f"{name}-low", scales_in)


@pytest.mark.parametrize(
    ("have", "value", "wanted"),
    [(3, 1.05, 5), (3, 0.71, 4), (10, 0.9, 13), (2, 7.0, 20)],
)
def test_target_tracking_scales_out_in_proportion_and_rounds_up(have: int, value: float, wanted: int) -> None:
    (one,) = policies([target("cpu", 0.7)])
    assert one.answer(alert("cpu-high", value=value), model(have)) == wanted


def test_target_tracking_does_not_add_twice() -> None:
    (one,) = policies([target("cpu", 0.7)])
    assert one.answer(alert("cpu-high", value=1.05), model(5, in_service=3, pending=2)) == 5
    assert one.answer(alert("cpu-high", value=1.05), model(5, in_service=5, warming=2)) == 5


def test_target_tracking_scales_in_by_less_than_proportion_and_not_while_anything_is_coming() -> None:
    (one,) = policies([target("cpu", 0.7)])
    assert one.answer(alert("cpu-low", value=0.62), model(10)) == 9
    assert one.answer(alert("cpu-low", value=0.62), model(10, warming=1)) is None
    assert one.answer(alert("cpu-low", NONE), model(10)) is None


def test_out_if_any_and_in_if_all() -> None:
    (both,) = policies([target("cpu", 0.5), target("requests", 100.0)])
    assert both.answer(alert("requests-high", value=150.0), model(4)) == 6
    assert both.answer(alert("cpu-low", value=0.1), model(6)) is None, "the other one does not agree"
    assert both.answer(alert("requests-low", value=80.0), model(6)) == 5, "the one that wants most of them counts"
    assert both.answer(alert("requests-low", NONE), model(6)) is None
    assert both.answer(alert("cpu-low", value=0.1), model(6)) is None


def test_a_policy_that_does_not_scale_in_has_no_say_in_it() -> None:
    (both,) = policies([target("cpu", 0.5), target("requests", 100.0, scales_in=False)])
    assert both.answer(alert("cpu-low", value=0.25), model(6)) == 3
    (alone,) = policies([target("cpu", 0.5, scales_in=False)])
    assert alone.answer(alert("cpu-low", value=0.1), model(6)) is None
