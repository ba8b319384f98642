"""Hedges (R6, D120-D123), reckoned by hand. Times in ns; two instances that take turns, 50 ns of work."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.dataplane.layout import Plan
from azsim.policy import guards, hedging
from azsim.policy.hedging import percentile_place
from tests.plans import call, make_plan, population, service
from tests.story import both, play, state

OK, ERROR, TIMEOUT, CANCELLED = Outcome.OK, Outcome.ERROR, Outcome.TIMEOUT, Outcome.CANCELLED
CRASHED = InstanceState.CRASHED
SECONDS = [1000 * k for k in range(1, 9)]


def hedged(arrivals_ns: list[int], **hop: Any) -> Plan:
    given = {"hedges": 1, "hedge_delay_ns": 100} | hop
    return make_plan(
        populations=[population(arrivals_ns=arrivals_ns, **given)],
        services=[service(per_zone={"a": 2}, slots=8, work_ns=50)],
    )


def slow(instance: int, factor: float) -> Any:
    return lambda plane: plane.set_work_factor(instance, factor)


def test_the_first_answer_wins_and_the_other_work_is_waste() -> None:
    plan = hedged([1000])
    assert plan.rich
    story = play(plan, 3000, {500: slow(0, 10.0)})
    assert story.attempts() == [1000, 1100]  # the second to the other instance
    assert story.latencies() == {1000: 150}
    assert story.hop() == {OK: 1, CANCELLED: 1}
    assert story.amounts(layout.WASTED) == {1500: 500.0}  # nobody told the first instance
    assert story.amounts(layout.USEFUL) == {1150: 50.0}


def test_where_cancels_travel_the_other_work_stops() -> None:
    story = play(hedged([1000], cancel=1), 3000, {500: slow(0, 10.0)})
    assert story.amounts(layout.WASTED) == {1150: 150.0}


def test_the_first_attempt_may_win_too() -> None:
    story = play(hedged([1000]), 3000, {500: both(slow(0, 3.0), slow(1, 3.0))})
    assert story.attempts() == [1000, 1100]
    assert story.latencies() == {1000: 150}
    assert story.hop() == {OK: 1, CANCELLED: 1}


def test_what_is_answered_in_time_is_not_hedged() -> None:
    story = play(hedged([1000, 2000], hedge_delay_ns=51), 3000)
    assert story.attempts() == [1000, 2000]
    # At the very instant of the answer: the answer goes first.
    assert play(hedged([1000], hedge_delay_ns=50), 3000).attempts() == [1000]


def test_hedges_follow_each_other_after_the_delay_up_to_the_most() -> None:
    story = play(hedged([1000], hedges=3, timeout_ns=800), 3000, {500: both(slow(0, 100.0), slow(1, 100.0))})
    assert story.attempts() == [1000, 1100, 1200, 1300]
    assert story.hop() == {TIMEOUT: 4}
    # Each has the whole timeout; the call has failed with the last.
    assert story.ends() == [(2100, TIMEOUT)]


def test_a_failure_waits_for_the_other_attempt() -> None:
    """The first instance fails at 1200, the second answers at 1400."""
    bad = both(slow(0, 4.0), slow(1, 6.0), lambda plane: plane.set_malformed_share(0, 1.0))
    story = play(hedged([1000], attempts=2, retry_on=[ERROR]), 3000, {500: bad})
    assert story.attempts() == [1000, 1100]
    assert story.ends() == [(1400, OK)]
    assert story.hop() == {OK: 1, ERROR: 1}


def test_a_retry_follows_the_last_failure_and_hedges_are_none_of_its_attempts() -> None:
    bad = both(*(lambda plane, i=i: plane.set_malformed_share(i, 1.0) for i in (0, 1)), slow(0, 4.0), slow(1, 6.0))
    story = play(hedged([1000], attempts=2, retry_on=[ERROR], hedges=2), 4000, {500: bad})
    # The first fails at 1200, its two hedges at 1400; then comes the one retry, and no hedge is left for it.
    assert story.attempts() == [1000, 1100, 1200, 1400]
    assert story.ends() == [(1700, ERROR)]


def test_a_refused_attempt_is_not_hedged() -> None:
    story = play(hedged([1000]), 3000, {500: both(state(CRASHED, 0), state(CRASHED, 1))})
    assert story.attempts() == [1000]
    assert story.ends() == [(1000, Outcome.REFUSED)]


def test_no_hedge_at_or_after_the_deadline() -> None:
    busy = both(slow(0, 100.0), slow(1, 100.0))
    assert play(hedged([1000], deadline_ns=100), 3000, {500: busy}).attempts() == [1000]
    late = play(hedged([1000], deadline_ns=110), 3000, {500: busy})
    assert late.attempts() == [1000, 1100]
    assert late.ends() == [(1110, Outcome.DEADLINE)]


def test_retries_off_means_hedges_off() -> None:
    story = play(hedged([1000]), 3000, {500: both(slow(0, 10.0), lambda plane: plane.set_retries(False))})
    assert story.attempts() == [1000]


def test_a_budget_of_its_own_allows_a_ratio_of_the_calls() -> None:
    own = {"hedge_budget": hedging.OF_ITS_OWN, "hedge_part_ns": 10_000, "hedge_ratio": 250_000}
    busy = both(slow(0, 10.0), slow(1, 10.0))
    story = play(hedged(SECONDS, **own), 10_000, {500: busy})
    assert story.attempts() == sorted([*SECONDS, 4100, 8100])


def test_a_hedge_may_take_from_the_budget_of_retries() -> None:
    """Three tokens, two for each hedge or retry: the hedge of the first call leaves nothing for that of the second."""
    bucket = {"budget_capacity": 3000, "budget_cost": 2000, "hedge_budget": hedging.OF_RETRIES}
    busy = both(slow(0, 10.0), slow(1, 10.0))
    story = play(hedged([1000, 2000], **bucket), 4000, {500: busy})
    assert story.attempts() == [1000, 1100, 2000]


def test_the_delay_is_learned() -> None:
    """Two times are kept and the longer one is the delay: 500 until there are two, 100 and 150 after that."""
    plan = hedged([1000, 2000, 3000], hedge_delay_ns=500, hedge_samples=2, hedge_place=1)
    change = {1900: both(slow(0, 3.0), slow(1, 3.0)), 500: both(slow(0, 2.0), slow(1, 2.0))}
    story = play(plan, 5000, change | {2900: both(slow(0, 20.0), slow(1, 20.0))})
    assert story.latencies() == {1000: 100, 2000: 150, 3000: 1000}
    assert story.attempts() == [1000, 2000, 3000, 3150]


def test_what_a_hedge_cut_short_counts_as_long_as_it_was_waited_for() -> None:
    """The first call's attempt is given up after 150, when its hedge has answered; the second's delay is that."""
    plan = hedged([1000, 2000], hedge_samples=1, hedge_place=0)
    story = play(plan, 4000, {500: slow(0, 20.0), 1900: both(slow(0, 20.0), slow(1, 20.0))})
    assert story.attempts() == [1000, 1100, 2000, 2150]


def test_a_job_that_gives_its_call_up_gives_up_all_its_attempts() -> None:
    """The web instance dies while its call and the hedge are open: both are cancelled, and served as orphans."""
    plan = make_plan(
        populations=[population("web", arrivals_ns=[1000])],
        services=[
            service("web", per_zone={"a": 1}, work_ns=10, calls=[call("db", hedges=1, hedge_delay_ns=20)]),
            service("db", per_zone={"a": 2}, work_ns=500),
        ],
    )
    story = play(plan, 3000, {1100: state(CRASHED)})
    assert story.hop(1) == {CANCELLED: 2}
    assert story.amounts(layout.WASTED, 1) == {1510: 500.0, 1530: 500.0}


def test_a_success_gives_back_what_belongs_to_a_first_attempt() -> None:
    """A hedge is no retry: one token comes back, not the cost of the last retry."""
    bucket = {"budget": guards.TOKEN_BUCKET, "budget_capacity": 5000, "budget_cost": 2000, "budget_deposit": 1000}
    plan = hedged([1000, 2000, 3000], hedge_budget=hedging.OF_RETRIES, **bucket)
    busy = both(slow(0, 10.0), slow(1, 10.0))
    # 5 - 2 + 1 = 4, 4 - 2 + 1 = 3, 3 - 2: all three are hedged; with nothing given back the third was not.
    assert play(plan, 6000, {500: busy}).attempts() == [1000, 1100, 2000, 2100, 3000, 3100]


@pytest.mark.parametrize(
    ("share", "samples", "place"), [(950_000, 100, 94), (990_000, 10, 9), (500_000, 2, 0), (1, 5, 0), (999_999, 5, 4)]
)
def test_a_percentile_is_the_least_time_that_the_share_does_not_exceed(share: int, samples: int, place: int) -> None:
    assert percentile_place(share, samples) == place
