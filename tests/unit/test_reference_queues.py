"""Queues with priority classes, adaptive-lifo and CoDel, and work that slows under overload: reckoned by hand.

One slot and work of 100 ns unless said; requests come without delay.
"""

from __future__ import annotations

import pytest

from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.policy.cpu import lost_cores, overload_slowdown
from azsim.policy.shedding import ADAPTIVE_LIFO, CODEL, LIFO, codel_step
from tests.plans import S, call, make_plan, population, service
from tests.story import ONE, play, state

OK, OVERLOAD = Outcome.OK, Outcome.OVERLOAD


@pytest.mark.parametrize(
    ("now", "delay", "held", "expected"),
    [
        # The first job ever opens the first interval.
        (50, 0, (0, 0, 0), (150, 0, 0, 0)),
        # Within an interval the least wait counts; nothing is dropped while not overloaded.
        (140, 90, (150, 30, 0), (150, 30, 0, 0)),
        (140, 20, (150, 30, 0), (150, 20, 0, 0)),
        # The end itself still belongs to the interval.
        (150, 12, (150, 30, 1), (150, 12, 1, 1)),
        # After it: least 6 > 5 is overloaded, 5 is not; the job that finds out is kept however late it is.
        (151, 90, (150, 6, 0), (251, 90, 1, 0)),
        (151, 90, (150, 5, 1), (251, 90, 0, 0)),
        # While overloaded more than twice the target is dropped, twice is not.
        (200, 11, (251, 90, 1), (251, 11, 1, 1)),
        (200, 10, (251, 90, 1), (251, 10, 1, 0)),
    ],
)
def test_steps_of_codel(now: int, delay: int, held: tuple[int, int, int], expected: tuple[int, int, int, int]) -> None:
    """Interval 100, target 5: end, least wait, overloaded; then end, least, overloaded, dropped."""
    assert codel_step(now, delay, *held, 100, 5) == expected


def test_codel_drops_the_old_once_an_interval_had_a_standing_queue() -> None:
    """Interval 150, target 20.

    Those of 10 to 50 start at 10, 110, ... 410 after waits of 0, 90, 180, 270, 360. The interval up to 160 saw a wait
    of 0; that of 210 to 360 none below 180, which the job of 50 finds out at 410 and is kept. At 510 the jobs of 60 and
    70 have waited 450 and 440, more than 40: dropped. That of 480 has waited 30.
    """
    plan = make_plan(
        populations=[population(arrivals_ns=[10, 20, 30, 40, 50, 60, 70, 480])],
        services=[service(per_zone=ONE, work_ns=100, discipline=CODEL, codel_interval_ns=150, codel_target_ns=20)],
    )
    story = play(plan, 1000)
    assert story.latencies() == {10: 100, 20: 190, 30: 280, 40: 370, 50: 460, 480: 130}
    assert story.ends()[-4:] == [(510, OK), (510, OVERLOAD), (510, OVERLOAD), (610, OK)]
    assert story.served(layout.OVERLOADED) == [510, 510]
    assert story.served(layout.STARTED) == [10, 110, 210, 310, 410, 510]


def test_codel_forgets_in_a_crash() -> None:
    """As above, but crashed while overloaded, back at 455: those of 460 to 490 wait up to 280, none is dropped."""
    plan = make_plan(
        populations=[population(arrivals_ns=[10, 20, 30, 40, 50, 460, 470, 480, 490])],
        services=[service(per_zone=ONE, work_ns=100, discipline=CODEL, codel_interval_ns=150, codel_target_ns=20)],
    )
    control = {450: state(InstanceState.CRASHED), 455: state(InstanceState.UP)}
    story = play(plan, 1200, control)
    assert story.latencies() == {10: 100, 20: 190, 30: 280, 40: 370, 460: 100, 470: 190, 480: 280, 490: 370}
    assert story.served(layout.OVERLOADED) == []


def test_adaptive_lifo_beyond_so_many() -> None:
    """More than one waiting: newest first. At 110 three wait, at 210 two, at 310 one."""
    plan = make_plan(
        populations=[population(arrivals_ns=[10, 20, 30, 40])],
        services=[service(per_zone=ONE, work_ns=100, discipline=ADAPTIVE_LIFO, newest_beyond=1, codel_target_ns=S)],
    )
    assert play(plan, 1000).latencies() == {10: 100, 40: 170, 30: 280, 20: 390}


def test_adaptive_lifo_by_the_waits() -> None:
    """Interval 150, target 20: what stands longest is asked for at each turn.

    At 110 the job of 20 has waited 90 (the interval to 160 saw 0 before), at 210 that of 30 opens an interval: both go
    first in, first out. That interval's waits were 180 and 270: at 410 the standing queue is known, and of the jobs of
    50, 60 and 400 the newest is taken; then, while that of 50 still stands, that of 60; the oldest last.
    """
    plan = make_plan(
        populations=[population(arrivals_ns=[10, 20, 30, 40, 50, 60, 400])],
        services=[
            service(per_zone=ONE, work_ns=100, discipline=ADAPTIVE_LIFO, codel_interval_ns=150, codel_target_ns=20)
        ],
    )
    expected = {10: 100, 20: 190, 30: 280, 40: 370, 400: 110, 60: 550, 50: 660}
    assert play(plan, 1000).latencies() == expected


def test_the_higher_class_goes_first() -> None:
    plan = make_plan(
        populations=[
            population(arrivals_ns=[10, 20, 30]),
            population(name="paying", arrivals_ns=[40, 50], priority=2),
        ],
        services=[service(per_zone=ONE, work_ns=100)],
    )
    story = play(plan, 1000)
    assert story.latencies(1) == {40: 170, 50: 260}
    assert story.latencies(0) == {10: 100, 20: 390, 30: 480}


@pytest.mark.parametrize(("discipline", "left"), [(CODEL, 20), (LIFO, 30)])
def test_in_a_full_queue_the_lowest_class_makes_room(discipline: int, left: int) -> None:
    """Two places, held by class 1 (20, 30) and 0 (35 finds no lower class: turned away itself).

    At 40 class 2 puts out the one of class 1 whose turn would come last: the newest, with lifo the oldest. At 50
    another of class 1 finds none below it.
    """
    plan = make_plan(
        populations=[
            population(name="zero", arrivals_ns=[35]),
            population(name="one", arrivals_ns=[10, 20, 30, 50], priority=1),
            population(name="two", arrivals_ns=[40], priority=2),
        ],
        services=[service(per_zone=ONE, work_ns=100, queue=2, discipline=discipline, codel_target_ns=S)],
    )
    story = play(plan, 1000)
    assert story.ends(0) == [(35 // 10 * 10, OVERLOAD)]
    assert story.latencies(2) == {40: 170}
    assert set(story.latencies(1)) == {10, left}
    assert [t for t, outcome in story.ends(1) if outcome is OVERLOAD] == [40, 50]


def test_a_call_carries_the_class_of_its_request() -> None:
    """The first tier has room for all; the second has one slot, and the later request of class 3 overtakes there."""
    plan = make_plan(
        populations=[
            population(arrivals_ns=[10, 20, 30]),
            population(name="paying", arrivals_ns=[40], priority=3),
        ],
        services=[
            service(per_zone=ONE, slots=9, work_ns=10, calls=[call("db")]),
            service("db", per_zone=ONE, work_ns=100),
        ],
    )
    story = play(plan, 1000)
    assert story.latencies(1) == {40: 180}
    assert story.latencies(0) == {10: 110, 20: 300, 30: 390}


def test_work_slows_with_the_slots_in_service() -> None:
    """Two in service take 1 + 0.5 + 0.25 x 2 = 2 times longer, one alone does not.

    The job of 10 does 50 alone and 50 beside the other until 160; that of 60 has then done 50, too, and ends at 210.
    Meanwhile two cores were held for 100 ns and did work worth one: 100 ns are lost.
    """
    plan = make_plan(
        populations=[population(arrivals_ns=[10, 60])],
        services=[service(per_zone=ONE, slots=2, work_ns=100, contention=0.5, coherency=0.25)],
    )
    story = play(plan, 1000)
    assert story.latencies() == {10: 150, 60: 150}
    used = story.recording.zones[:, 0, 0].sum(axis=0)
    assert (used[layout.CPU] / 1024, used[layout.STRESS] / 1024) == (200, 100)
    assert story.recording.zones[0, 0, 0, layout.CAPACITY] == 1000


def test_a_slot_held_for_a_call_slows_the_others() -> None:
    """The job of 10 holds its slot for a call from 110 to 1110; that of 200 runs beside it at half the pace."""
    plan = make_plan(
        populations=[population(arrivals_ns=[10, 200])],
        services=[
            service(per_zone=ONE, slots=2, work_ns=100, contention=1.0, calls=[call("db")]),
            service("db", per_zone=ONE, slots=2, work_ns=1000),
        ],
    )
    assert play(plan, 3000).latencies() == {10: 1100, 200: 1200}


def test_slowdowns() -> None:
    assert overload_slowdown(0, 0.1, 0.01) == 1.0
    assert overload_slowdown(1, 0.1, 0.01) == 1.0
    assert overload_slowdown(5, 0.1, 0.01) == pytest.approx(1 + 0.4 + 0.2)
    assert lost_cores(3.0, 1.0) == 0.0
    assert lost_cores(3.0, 1.5) == 1.0
