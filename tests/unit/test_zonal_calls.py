"""Hops that prefer their caller's zone, and deadlines that travel (R7, D48, D49). Times are nanoseconds."""

from __future__ import annotations

import pytest

from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.dataplane.layout import Plan
from azsim.policy.balancing import stays_in_zone
from tests.plans import call, make_plan, population, service
from tests.story import ONE, both, play, state

OK, ERROR, TIMEOUT, DEADLINE = Outcome.OK, Outcome.ERROR, Outcome.TIMEOUT, Outcome.DEADLINE
WEB, DB = 0, 1


def zonal(spill_below: float = 0.0, per_zone: int = 2, **db: object) -> Plan:
    """Three requests to web in zone a, whose calls of db (10 in a, 40 in b) prefer a."""
    return make_plan(
        populations=[population(arrivals_ns=[1000, 2000, 3000])],
        services=[
            service(per_zone=ONE, calls=[call("db", prefer_zone=1, spill_below=spill_below)]),
            service("db", per_zone=per_zone, work_ns=10, overrides={"b": {"work_a": 40.0}}, **db),
        ],
    )


def unhealthy(*instances: int) -> object:
    return both(*(lambda plane, i=i: plane.set_view(i, False) for i in instances))  # type: ignore[misc]


def test_a_call_stays_in_its_zone_while_that_has_a_target() -> None:
    story = play(zonal(), 5000, {1500: unhealthy(1), 2500: unhealthy(2)})  # both of a leave rotation, one by one
    assert [t for t, _ in story.ends()] == [1010, 2010, 3040]


def test_a_call_spills_over_below_the_share() -> None:
    story = play(zonal(spill_below=0.6), 5000, {1500: unhealthy(1)})
    # One of two is less than 60%: from then on round-robin over the three in rotation, of which b holds two.
    assert [t for t, _ in story.ends()] == [1010, 2010, 3040]
    story = play(zonal(spill_below=0.5), 5000, {1500: unhealthy(1)})
    assert [t for t, _ in story.ends()] == [1010, 2010, 3010]


def test_a_redispatch_spills_over_when_its_zone_has_no_other_target() -> None:
    plan = zonal(per_zone=1, redispatch_attempts=2, redispatch_on=(Outcome.REFUSED,))
    story = play(plan, 5000, {500: state(InstanceState.CRASHED, instance=1)})
    assert [t for t, _ in story.ends()] == [1040, 2040, 3040]


def test_callers_outside_have_no_zone_to_prefer() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 2000], prefer_zone=1)],
        services=[service(work_ns=10, overrides={"b": {"work_a": 40.0}})],
    )
    assert [t for t, _ in play(plan, 5000).ends()] == [1010, 2040]


@pytest.mark.parametrize(
    ("eligible", "present", "below", "stays"),
    [
        (0, 0, 0.0, False),
        (0, 4, 0.0, False),
        (1, 4, 0.0, True),
        (1, 4, 0.5, False),
        (2, 4, 0.5, True),
        (3, 4, 1.0, False),
    ],
)
def test_the_share_that_keeps_a_call_in_its_zone(eligible: int, present: int, below: float, stays: bool) -> None:
    assert stays_in_zone(eligible, present, below) is stays


def chain(propagate: int, work_ns: int = 100, **db: object) -> Plan:
    """A client with a timeout of 250 asks web (100), which calls mid (0) without a timeout, which calls db (500)."""
    return make_plan(
        populations=[population(arrivals_ns=[1000], timeout_ns=250, propagate_deadline=propagate)],
        services=[
            service(per_zone=ONE, work_ns=work_ns, calls=[call("mid", propagate_deadline=propagate)]),
            service("mid", per_zone=ONE, calls=[call("db", attempts=3, retry_on=(TIMEOUT, ERROR))]),
            service("db", per_zone=ONE, work_ns=500, **db),
        ],
    )


def test_without_propagation_calls_outlive_their_caller() -> None:
    story = play(chain(0), 3000)
    assert story.ends() == [(1250, TIMEOUT)]
    assert story.hop(1) == story.hop(2) == {OK: 1}


def test_a_deadline_travels_down_the_tiers() -> None:
    story = play(chain(1), 3000)
    assert story.ends() == [(1250, TIMEOUT)]
    # db's caller stops waiting when the client does, and has no time left to retry. Its error reaches web at that very
    # instant, ahead of web's own timeout (O1).
    assert story.hop(2) == {TIMEOUT: 1}
    assert story.hop(1) == {ERROR: 1}
    assert story.served(layout.STARTED, 2) == [1100]


def test_no_call_is_made_when_no_time_is_left() -> None:
    story = play(chain(1, work_ns=300), 3000)
    assert story.hop(1) == {}
    assert story.recording.hop_attempts.tolist() == [1, 0, 0]
    assert story.amounts(layout.WASTED) == {1300: 300}


def test_a_deadline_that_is_reached_leaves_no_time() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000])],
        services=[
            service(per_zone=ONE, calls=[call("mid", timeout_ns=100, propagate_deadline=1, attempts=1)]),
            service("mid", per_zone=ONE, work_ns=100, calls=[call("db")]),
            service("db", per_zone=ONE, work_ns=500),
        ],
    )
    story = play(plan, 3000)
    # mid completes at 1100, at the very instant of its caller's timeout: nothing is left for db.
    assert story.recording.hop_attempts.tolist() == [1, 1, 0]
    assert story.ends() == [(1100, ERROR)]


def test_drop_expired_follows_a_travelling_deadline() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1010], timeout_ns=250, propagate_deadline=1)],
        services=[
            service(per_zone=ONE, slots=2, calls=[call("db", timeout_ns=10_000)]),
            service("db", per_zone=ONE, work_ns=300, drop_expired=1),
        ],
    )
    story = play(plan, 3000)
    assert story.served(layout.STARTED, DB) == [1000]
    assert story.served(layout.DROPPED, DB) == [1300]  # its own timeout has long to go, its client has left
