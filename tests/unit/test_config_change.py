"""Configuration that changes while the system runs (D57). Times are nanoseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from azsim.base.errors import ScenarioError
from azsim.base.units import SECOND_NS
from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE, InstanceState, Outcome
from azsim.dataplane.kernel import Kernel
from azsim.dataplane.layout import Plan
from azsim.dataplane.reference import Reference
from azsim.policy import balancing
from azsim.policy.breakers import CONSECUTIVE
from azsim.scenario import Scenario
from azsim.simulation.effects import Effect, Fault, Lever
from azsim.simulation.lower import lower
from azsim.simulation.lower_faults import lower_faults
from tests.plans import make_plan, outcomes, population, service
from tests.small import scenario
from tests.story import ONE, play, state

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


def test_a_breaker_goes_by_its_new_amounts_and_stays_in_its_state() -> None:
    plan = silent(
        *range(1000, 9000, 1000), breaker=CONSECUTIVE, breaker_on=(TIMEOUT,), breaker_volume=2, breaker_open_ns=1500
    )
    story = play(plan, 10_000, {3200: hop(breaker_volume=1, breaker_open_ns=2200)})
    # The second failure opens it to 4000, which the change leaves so; that of the probe at 4500 to 6700, then to 9700.
    kept_back = [(t, Outcome.BREAKER_OPEN) for t in (3000, 5000, 6000, 8000)]
    assert story.ends() == sorted([*kept_back, *((t, TIMEOUT) for t in (1500, 2500, 4500, 7500))])


def test_a_retry_avoids_the_previous_target_from_the_change_on() -> None:
    """Of two random targets one refuses: from the change on every second attempt finds the other one."""
    before, after = range(1000, 9000, 100), range(11_000, 19_000, 100)
    plan = make_plan(
        populations=[population(arrivals_ns=[*before, *after], attempts=2, retry_on=(Outcome.REFUSED,))],
        services=[service(per_zone={"a": 2}, work_ns=10, algorithm=balancing.RANDOM)],
        rich=True,
    )
    crash = state(InstanceState.CRASHED, 1)
    story = play(plan, 20_000, {500: crash, 10_000: hop(avoid_previous=1)})
    failed = [t for t, outcome in story.ends() if outcome is not OK]
    assert 5 < len(failed) < 40
    assert max(failed) < 10_000


# From the scenario.


def lowered(*changes: dict[str, Any]) -> tuple[Fault, ...]:
    retry = {"attempts": 3, "backoff": {"base": "50ms"}, "budget": {"capacity": 10}}
    breaker = {"kind": "count-window", "window": 100}
    quick = {"to": "db", "timeout": "1s"}
    at_once = [quick | {"id": "left"}, quick | {"id": "right"}]
    buy = [{"work": "own"}, {"call": quick}, {"parallel": at_once}]
    work = {"distribution": "constant", "mean": "20ms"}
    scenario = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "shop",
            "duration": "10min",
            "zones": ["a", "b"],
            "traffic": {
                "robots": {"to": "web", "rate": [{"at": "0s", "rate": "1/s"}, {"at": "1min", "rate": "2/s"}]},
                "shoppers": {"to": "web", "rate": "10/s", "timeout": "1s", "retry": retry, "breaker": breaker},
            },
            "services": {"db": {"work": work}, "web": {"work": work, "calls": [quick], "operations": {"buy": buy}}},
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


def test_calls_of_operations_change_like_others() -> None:
    call, parallel = lowered(
        {"services.web.operations.buy.db.call.timeout": "2s"},
        {"services.web.operations.buy.parallel.parallel.right.retry.attempts": 2},
    )
    # Hops: robots, shoppers, then web's: its own call, that of the operation, the two at once.
    assert call.effects == (Effect(Lever.HOP, 3, {"timeout_ns": 2 * SECOND_NS}),)
    (effect,) = parallel.effects
    assert effect.target == 5
    assert effect.value["attempts"] == 2


def test_whole_blocks_change_where_only_what_can_change_differs() -> None:
    off, cheaper, unlimited, sdk, breaker, first = lowered(
        {"traffic.shoppers.retry": "none"},
        {"traffic.shoppers.retry": {"attempts": 3, "backoff": {"base": "50ms"}, "budget": {"capacity": 10, "cost": 2}}},
        {"traffic.shoppers.retry.budget": "none"},
        {"traffic.shoppers.retry": {"preset": "aws-sdk-standard-2026", "avoid_previous": True}},
        {"traffic.shoppers.breaker.rate": "80%", "traffic.shoppers.breaker.open": "1s"},
        {"services.web.calls.db.retry": {"attempts": 2, "on": ["timeout"]}},
    )
    # The bucket keeps what it has, so that it is there when retries are on again.
    assert off.effects == (Effect(Lever.HOP, 1, {"attempts": 1}),)
    costs = {"budget_cost": 2000, "budget_timeout_cost": 2000}
    assert cheaper.effects == (Effect(Lever.HOP, 1, costs),)
    assert unlimited.effects == (Effect(Lever.HOP, 1, dict.fromkeys(costs, 0)),)
    new = {"budget_capacity": 500_000, "budget_cost": 14_000, "budget_timeout_cost": 14_000}
    new |= {"budget_deposit_after_retry": -1, "avoid_previous": 1}
    assert sdk.effects == (Effect(Lever.HOP, 1, new),)
    assert breaker.effects == (Effect(Lever.HOP, 1, {"breaker_rate": 800_000, "breaker_open_ns": SECOND_NS}),)
    (effect,) = first.effects
    assert (effect.target, effect.value) == (2, {"attempts": 2, "retry_on": outcomes(TIMEOUT)})


def test_a_plan_is_rich_if_a_change_needs_it() -> None:
    def rich(**change: Any) -> bool:
        fault = {"at": "12s", "for": "3s", "change": {"set": change}}
        return lower(scenario(faults=[fault]), 0).rich

    assert not rich(**{"traffic.shoppers.retry.attempts": 1})
    assert rich(**{"traffic.shoppers.retry.avoid_previous": True})
    jitter = {"base": "50ms", "jitter": "proportional", "spread": "30%"}
    assert rich(**{"traffic.shoppers.retry.backoff": jitter})


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"services.web.slots": 4}, "cannot change while the system runs"),
        ({"services.web.calls.db.route": "same-zone"}, "cannot change while the system runs"),
        ({"traffic.shoppers.retry.budget.deposit_on": "request"}, "when it deposits stay"),
        ({"traffic.shoppers.retry.budget": {"kind": "grpc"}}, "budgets do not appear or become others"),
        ({"traffic.shoppers.retry": {"preset": "finagle"}}, "budgets do not appear or become others"),
        ({"services.web.calls.db.retry": {"budget": {"capacity": 1}}}, "budgets do not appear"),
        ({"traffic.shoppers.breaker": "none"}, "breakers do not come, go"),
        ({"traffic.shoppers.breaker.window": 50}, "a breaker's window and probes stay"),
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
