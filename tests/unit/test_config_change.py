"""Configuration that changes while the system runs (D57). Times are nanoseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from azsim.base.errors import ScenarioError
from azsim.base.units import SECOND_NS
from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE, Outcome
from azsim.dataplane.kernel import Kernel
from azsim.dataplane.layout import Plan
from azsim.dataplane.reference import Reference
from azsim.scenario import Scenario
from azsim.simulation.effects import Effect, Fault, Lever
from azsim.simulation.lower_faults import lower_faults
from tests.plans import make_plan, outcomes, population, service
from tests.story import ONE, play

OK, TIMEOUT, OVERLOAD, BUDGET = Outcome.OK, Outcome.TIMEOUT, Outcome.OVERLOAD, Outcome.BUDGET_EXHAUSTED


def hop(**changes: float) -> Callable[[Reference], object]:
    return lambda plane: plane.set_hop(0, changes)


def silent(*arrivals_ns: int, **fields: Any) -> Plan:
    """A server that never answers in time."""
    return make_plan(
        populations=[population(arrivals_ns=list(arrivals_ns), timeout_ns=500, retry_on=(TIMEOUT,), **fields)],
        services=[service(per_zone=ONE, work_ns=10**9, slots=99)],
    )


def test_a_timeout_is_that_of_the_send() -> None:
    story = play(silent(1000, 1200, 2000), 4000, {1100: hop(timeout_ns=100), 1900: hop()})
    assert story.ends() == [(1300, TIMEOUT), (1500, TIMEOUT), (2500, TIMEOUT)]


def test_attempts_are_counted_at_the_failure() -> None:
    story = play(silent(1000, attempts=1), 4000, {1100: hop(attempts=3), 1600: hop(attempts=2)})
    # After 1500 it may have three, is sent again, and after that one has had its two.
    assert story.attempts() == [1000, 1500]
    assert story.ends() == [(2000, TIMEOUT)]


def test_a_deadline_is_that_of_the_start() -> None:
    story = play(silent(1000, 2000), 4000, {1100: hop(deadline_ns=200)})
    assert story.ends() == [(1500, TIMEOUT), (2200, Outcome.DEADLINE)]


def test_no_timeout_may_become_one_and_the_other_way_round() -> None:
    story = play(silent(1000, 1200), 4000, {1100: hop(timeout_ns=INFINITE)})
    assert story.ends() == [(1500, TIMEOUT)]
    assert int(story.recording.in_flight[0]) == 1


def test_buckets_hold_at_most_the_new_capacity_and_do_not_fill_up_again_by_themselves() -> None:
    plan = silent(
        *[1000, 1000, 1000, 1000, 3000, 3000], attempts=2, budget_capacity=3000, budget_cost=1000,
        budget_timeout_cost=1000,
    )  # fmt: skip
    story = play(plan, 5000, {500: hop(budget_capacity=1000), 2900: hop()})
    # One of four is retried (its second attempt times out at 2000); the larger bucket comes back empty.
    assert [(t, o) for t, o in story.ends() if o is BUDGET] == [(1500, BUDGET)] * 3 + [(3500, BUDGET)] * 2


def test_who_waits_keeps_the_place_when_the_queue_gets_shorter() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1010, 1020, 1040, 1250])],
        services=[service(per_zone=ONE, work_ns=100, slots=1, queue=2)],
    )
    story = play(plan, 4000, {1030: lambda plane: plane.set_instance(0, {"queue": 0})})
    assert story.ends() == [(1040, OVERLOAD), (1100, OK), (1200, OK), (1250, OVERLOAD), (1300, OK)]


def test_expired_work_is_dropped_from_the_change_on() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1010], timeout_ns=50)],
        services=[service(per_zone=ONE, work_ns=100, slots=1)],
    )
    story = play(plan, 4000, {1080: lambda plane: plane.set_instance(0, {"drop_expired": 1})})
    assert story.served(layout.DROPPED) == [1100]


@pytest.mark.parametrize("engine", [Reference, Kernel])
def test_shorter_timeouts_overtake_longer_ones_in_both_engines(engine: Any) -> None:
    """The kernel lists timeouts of a hop in the order of sends; a shorter one must go before those that stand."""
    plane = engine(silent(*range(1000, 1500, 10)))
    plane.advance(1250)
    plane.set_hop(0, {"timeout_ns": 30})
    ended = []
    for t_ns in range(1260, 2200, 10):
        plane.advance(t_ns)
        ended.append(plane.ended()[1])
        plane.check()
    ends = [sent + 500 for sent in range(1000, 1250, 10)] + [sent + 30 for sent in range(1250, 1500, 10)]
    assert ended == [sum(end < t_ns for end in ends) for t_ns in range(1260, 2200, 10)]


# From the scenario.


def lowered(*changes: dict[str, Any]) -> tuple[Fault, ...]:
    retry = {"attempts": 3, "backoff": {"base": "50ms"}, "budget": {"capacity": 10}}
    work = {"distribution": "constant", "mean": "20ms"}
    scenario = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "shop",
            "duration": "10min",
            "zones": ["a", "b"],
            "traffic": {
                "robots": {"to": "web", "rate": [{"at": "0s", "rate": "1/s"}, {"at": "1min", "rate": "2/s"}]},
                "shoppers": {"to": "web", "rate": "10/s", "timeout": "1s", "retry": retry},
            },
            "services": {"db": {"work": work}, "web": {"work": work, "calls": [{"to": "db", "timeout": "1s"}]}},
            "faults": [
                {"id": f"c{number}", "at": "1min", "for": "1min", "change": {"set": change}}
                for number, change in enumerate(changes)
            ],
        }
    )
    return lower_faults(scenario)


def test_changes_are_lowered_to_what_differs() -> None:
    retries, call, queue, rate, budget = lowered(
        {"traffic.shoppers.retry.attempts": 1, "traffic.shoppers.retry.on": ["timeout"]},
        {"services.web.calls.db.timeout": "300ms"},
        {"services.web.queue": 5, "services.web.drop_expired": True},
        {"traffic.shoppers.rate": "25/s"},
        {"traffic.shoppers.retry.budget.capacity": 2},
    )
    assert retries.effects == (Effect(Lever.HOP, 1, {"attempts": 1, "retry_on": outcomes(TIMEOUT)}),)
    assert call.effects == (Effect(Lever.HOP, 2, {"timeout_ns": 300_000_000}),)
    assert queue.effects == tuple(Effect(Lever.INSTANCE, i, {"queue": 5, "drop_expired": 1}) for i in (2, 3))
    assert rate.effects == (Effect(Lever.RATE, 1, 2.5),)
    assert budget.effects == (Effect(Lever.HOP, 1, {"budget_capacity": 2000}),)
    assert retries.what == "change of traffic.shoppers.retry.attempts, traffic.shoppers.retry.on"
    assert (retries.start_ns, retries.end_ns) == (60 * SECOND_NS, 120 * SECOND_NS)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"services.web.slots": 4}, "cannot change while the system runs"),
        ({"traffic.shoppers.retry.budget": "none"}, "cannot change while the system runs"),
        ({"zones": ["a", "c"]}, "cannot change while the system runs"),
        ({"traffic.shoppers.timeout": 5}, "cannot change so"),
        ({"traffic.nobody.timeout": "5s"}, "cannot change so"),
        ({"traffic.shoppers.retry.backoff.cap": "1ms"}, "cannot change so"),
        ({"traffic.robots.rate": "5/s"}, "only a constant rate can change, not that of robots"),
    ],
)
def test_other_changes_are_refused(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        lowered(change)
    assert rule in caught.value.rule
    assert "change" in caught.value.key
