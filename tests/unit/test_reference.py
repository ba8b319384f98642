"""How requests, attempts and budgets fare (D3-D15), in small worlds reckoned by hand. Times are nanoseconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from azsim.base.seeds import CLIENT, key_hash
from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE, InstanceState, Outcome
from azsim.dataplane.layout import Plan
from azsim.dataplane.reference import Reference
from azsim.policy.cpu import VIRTUAL_PER_NS
from azsim.policy.distributions import index_below
from azsim.policy.retry import NO_JITTER
from azsim.policy.shedding import LIFO
from tests.plans import KEY, make_plan, population, service
from tests.story import ONE, both, cut, play, state

UP, PAUSED, CRASHED, DEAD = InstanceState.UP, InstanceState.PAUSED, InstanceState.CRASHED, InstanceState.DEAD
OK, ERROR, REFUSED, RESET, OVERLOAD, NO_TARGET, TIMEOUT, DEADLINE, CANCELLED, _, BUDGET = Outcome


# A request's way, and queues (D3-D11).


def test_a_request_travels_works_and_returns() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000])], services=[service(per_zone=ONE, work_ns=500)], same_zone_ns=100
    )
    story = play(plan, 3000)
    assert story.ends() == [(1700, OK)]
    assert story.recording.populations[100, 0, layout.STARTED_LATENCY] == 700
    assert story.amounts(layout.USEFUL) == {1700: 500}
    assert story.served(layout.STARTED) == [1100]


def test_one_slot_serves_in_the_order_of_arrival() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1100, 1200])], services=[service(per_zone=ONE, work_ns=500)]
    )
    assert play(plan, 4000).served(layout.STARTED) == [1000, 1500, 2000]


def test_lifo_takes_the_newest_first() -> None:
    plan = make_plan(
        populations=[population("web", arrivals_ns=[1000, 1200], name="early"), population("web", arrivals_ns=[1100])],
        services=[service(per_zone=ONE, work_ns=500, discipline=LIFO)],
    )
    story = play(plan, 4000)
    assert story.ends(0) == [(1500, OK), (2000, OK)]
    assert story.ends(1) == [(2500, OK)]


def test_a_full_queue_answers_overload_at_once() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1000, 1000])],
        services=[service(per_zone=ONE, work_ns=500, queue=1)],
        same_zone_ns=100,
    )
    story = play(plan, 4000)
    assert story.ends() == [(1200, OVERLOAD), (1700, OK), (2200, OK)]
    assert story.served(layout.OVERLOADED) == [1100]


def test_a_slot_freed_at_the_instant_of_a_delivery_is_free_for_it() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1500])], services=[service(per_zone=ONE, work_ns=500, queue=0)]
    )
    assert play(plan, 4000).ends() == [(1500, OK), (2000, OK)]


def test_deliveries_of_one_instant_come_in_the_order_of_their_requests() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], timeout_ns=900), population(arrivals_ns=[1000], name="second")],
        services=[service(per_zone=ONE, work_ns=500, queue=0)],
    )
    story = play(plan, 3000)
    assert story.ends(0) == [(1500, OK)]
    assert story.ends(1) == [(1000, OVERLOAD)]


def test_a_response_at_the_instant_of_the_timeout_succeeds() -> None:
    for timeout_ns, end in ((700, (1700, OK)), (690, (1690, TIMEOUT))):
        plan = make_plan(
            populations=[population(arrivals_ns=[1000], timeout_ns=timeout_ns)],
            services=[service(per_zone=ONE, work_ns=500)],
            same_zone_ns=100,
        )
        assert play(plan, 4000).ends() == [end]


def test_a_timed_out_attempt_leaves_an_orphan_whose_work_is_wasted() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1010], timeout_ns=300)],
        services=[service(per_zone=ONE, work_ns=500)],
    )
    story = play(plan, 4000)
    assert story.ends() == [(1300, TIMEOUT), (1310, TIMEOUT)]
    assert story.served(layout.STARTED) == [1000, 1500]  # the server was not told
    assert story.amounts(layout.WASTED) == {1500: 500, 2000: 500}
    assert story.amounts(layout.USEFUL) == {}
    assert story.dated("populations", layout.TIMEOUTS) == [1300, 1310]


def test_drop_expired_skips_those_whose_caller_has_gone() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1100, 1200, 1300], timeout_ns=450)],
        services=[service(per_zone=ONE, work_ns=600, drop_expired=1)],
    )
    story = play(plan, 4000)
    # At 1600 the second expired 50 ago; the third has 50 left. At 2200 the fourth is long gone.
    assert story.served(layout.DROPPED) == [1600, 2200]
    assert story.served(layout.STARTED) == [1000, 1600]


def test_drop_expired_skips_what_expires_at_this_very_instant() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1100], timeout_ns=500)],
        services=[service(per_zone=ONE, work_ns=600, drop_expired=1)],
    )
    assert play(plan, 4000).served(layout.DROPPED) == [1600]


def test_the_error_share_fails_jobs_without_work() -> None:
    plan = make_plan(populations=[population(arrivals_ns=[1000, 2000])], services=[service(per_zone=ONE, work_ns=500)])
    story = play(
        plan, 4000, {500: lambda plane: plane.set_error_share(0, 1.0), 1500: lambda p: p.set_error_share(0, 0.0)}
    )
    assert story.ends() == [(1000, ERROR), (2500, OK)]
    assert story.amounts(layout.USEFUL) == {2500: 500}


def test_added_latency_counts_on_the_way_in_only() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000])], services=[service(per_zone=ONE, work_ns=500)], same_zone_ns=100
    )
    assert play(plan, 4000, {500: lambda plane: plane.set_latency(0, 200)}).ends() == [(1900, OK)]


# Lost packets and connect timeouts (D5-D7, D11, D26).


@pytest.mark.parametrize(("connect_timeout_ns", "end_ns"), [(300, 1300), (900, 1900), (1000, 2000), (INFINITE, 2000)])
def test_a_dead_target_is_noticed_at_the_connect_timeout_or_at_the_timeout(
    connect_timeout_ns: int, end_ns: int
) -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], timeout_ns=1000, connect_timeout_ns=connect_timeout_ns)],
        services=[service(per_zone=ONE, work_ns=500)],
        same_zone_ns=100,
    )
    assert play(plan, 4000, {500: state(DEAD)}).ends() == [(end_ns, TIMEOUT)]


def test_a_connect_takes_at_most_the_connect_timeout() -> None:
    for delay_ns, end in ((200, (1900, OK)), (210, (1200, TIMEOUT))):
        plan = make_plan(
            populations=[population(arrivals_ns=[1000], timeout_ns=2000, connect_timeout_ns=200)],
            services=[service(per_zone=ONE, work_ns=500)],
            same_zone_ns=delay_ns,
        )
        assert play(plan, 4000).ends() == [end]


def test_a_loss_noticed_after_the_connect_timeout_tells_at_once() -> None:
    # Sent at 1000, lost on arrival at 1200, and the first dispatch's send + 150 is over by then.
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], timeout_ns=2000, connect_timeout_ns=150)],
        services=[
            service(
                per_zone={"a": 1, "b": 1}, work_ns=500, redispatch_attempts=2, redispatch_on=[REFUSED], cross_zone=1
            )
        ],
        delay_ns=[[0, 0, 100], [0, 0, 100], [100, 100, 0]],
    )
    story = play(plan, 4000, {500: both(state(CRASHED, 0), state(DEAD, 1))})
    # Refused by the first at 1100, known at 1200, dispatched again, lost at the second at 1300: told at 1300.
    assert story.ends() == [(1300, TIMEOUT)]
    assert story.served(layout.DISPATCHED) == [1000, 1200]


@pytest.mark.parametrize(
    ("cut_ns", "mend_ns", "end", "wasted"),
    [
        (1050, 1650, (2000, TIMEOUT), {}),  # lost on the way in, at 1100
        (1150, 1650, (2000, TIMEOUT), {1600: 500}),  # the answer is lost at its send
        (1650, 1800, (2000, TIMEOUT), {1700: 500}),  # the answer is lost on arrival
        (1110, 1590, (1700, OK), {}),  # between the two nothing is under way
    ],
)
def test_a_cut_link_loses_what_is_sent_or_arrives_then(
    cut_ns: int, mend_ns: int, end: tuple[int, Outcome], wasted: dict[int, float]
) -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], timeout_ns=1000)],
        services=[service(per_zone=ONE, work_ns=500)],
        same_zone_ns=100,
    )
    story = play(plan, 4000, {cut_ns: cut(0, 2), mend_ns: cut(0, 2, False)})
    assert story.ends() == [end]
    assert story.amounts(layout.WASTED) == wasted


# Cancel (D13, D27).


@pytest.mark.parametrize(("cancel", "second_starts"), [(1, 1400), (0, 1600)])
def test_a_cancel_frees_the_slot_of_an_orphan(cancel: int, second_starts: int) -> None:
    plan = make_plan(
        populations=[
            population(arrivals_ns=[1000], timeout_ns=300, cancel=cancel),
            population(arrivals_ns=[1200], name="other"),
        ],
        services=[service(per_zone=ONE, work_ns=500)],
        same_zone_ns=100,
    )
    story = play(plan, 4000)
    assert story.served(layout.STARTED) == [1100, second_starts]
    assert story.ends(0) == [(1300, TIMEOUT)]
    assert story.ends(1) == [(second_starts + 600, OK)]
    # It had worked from 1100 until the cancel, at 1400; uncancelled, to its end and back.
    assert story.amounts(layout.WASTED) == ({1400: 300} if cancel else {1700: 500})


def test_a_cancel_of_work_lets_nobody_look_for_a_target() -> None:
    """Those who wait in proxies look again when calls have been given up (D106), and here there are none."""
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], timeout_ns=300, cancel=1)],
        services=[service(per_zone=ONE, work_ns=500)],
        same_zone_ns=100,
    )
    plane, looks = Reference(plan), []
    plane._instances[0].pump = lambda: looks.append(1)
    plane.advance(4000)
    assert looks == []
    assert plane.finish().services[..., layout.WASTED].sum() == 300 * VIRTUAL_PER_NS


@pytest.mark.parametrize(("cut_ns", "mend_ns"), [(1290, 1310), (1390, 1410)])
def test_a_cancel_is_lost_if_the_link_is_cut_when_it_is_sent_or_arrives(cut_ns: int, mend_ns: int) -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], timeout_ns=300, cancel=1)],
        services=[service(per_zone=ONE, work_ns=500)],
        same_zone_ns=100,
    )
    story = play(plan, 4000, {cut_ns: cut(0, 2), mend_ns: cut(0, 2, False)})
    assert story.amounts(layout.WASTED) == {1700: 500}


def test_a_cancel_removes_a_waiting_job() -> None:
    plan = make_plan(
        populations=[
            population(arrivals_ns=[1000]),
            population(arrivals_ns=[1010], timeout_ns=300, cancel=1, name="b"),
        ],
        services=[service(per_zone=ONE, work_ns=900)],
    )
    story = play(plan, 5000)
    assert story.ends(0) == [(1900, OK)]
    assert story.ends(1) == [(1310, TIMEOUT)]
    assert story.served(layout.STARTED) == [1000]


def test_a_paused_instance_ignores_cancels() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1010, 1500], timeout_ns=300, cancel=1)],
        services=[service(per_zone=ONE, work_ns=250)],
    )
    assert play(plan, 5000).ends() == [(1250, OK), (1310, TIMEOUT), (1750, OK)]
    story = play(plan, 5000, {1100: state(PAUSED), 1400: state(UP)})
    # The cancels of 1300 and 1310 came to nothing: the first works on until 1550 and the second, an orphan, until 1800.
    # The third, then started, is cancelled at that very instant.
    assert story.served(layout.STARTED) == [1000, 1550, 1800]
    assert story.ends() == [(1300, TIMEOUT), (1310, TIMEOUT), (1800, TIMEOUT)]
    assert story.amounts(layout.WASTED) == {1550: 250, 1800: 250}


# Retries and budgets (D14, D15, D33).


def test_backoff_grows_and_the_deadline_ends_it() -> None:
    def attempts(deadline_ns: int) -> tuple[list[int], list[tuple[int, Outcome]]]:
        plan = make_plan(
            populations=[
                population(
                    arrivals_ns=[1000],
                    attempts=4,
                    timeout_ns=100,
                    deadline_ns=deadline_ns,
                    retry_on=[TIMEOUT],
                    backoff=NO_JITTER,
                    backoff_base_ns=50,
                    backoff_factor=2.0,
                    backoff_cap_ns=150,
                )
            ],
            services=[service(per_zone=ONE, work_ns=5000, slots=9)],
        )
        story = play(plan, 4000)
        return story.attempts(), story.ends()

    # Waits of 50, 100 and (capped) 150 after timeouts of 100.
    assert attempts(INFINITE) == ([1000, 1150, 1350, 1600], [(1700, TIMEOUT)])
    # At 1450 a wait of 150 would end at the deadline: it fails there and then.
    assert attempts(600) == ([1000, 1150, 1350], [(1450, DEADLINE)])
    # The attempt's own timeout is cut to the deadline.
    assert attempts(420) == ([1000, 1150, 1350], [(1420, DEADLINE)])


def test_at_the_deadline_a_failure_is_a_deadline_whatever_it_was() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], deadline_ns=300)], services=[service(per_zone=ONE, work_ns=500)]
    )
    story = play(plan, 4000)
    assert story.ends() == [(1300, DEADLINE)]
    assert story.hop() == {TIMEOUT: 1}


def test_only_listed_outcomes_are_retried_and_retries_can_be_turned_off() -> None:
    def plan_with(on: Iterable[Outcome]) -> Plan:
        return make_plan(
            populations=[population(arrivals_ns=[1000], attempts=3, retry_on=tuple(on))],
            services=[service(per_zone=ONE, work_ns=500)],
            same_zone_ns=100,
        )

    crashed = {500: state(CRASHED)}
    story = play(plan_with([REFUSED]), 4000, crashed)
    assert story.attempts() == [1000, 1200, 1400]
    assert story.ends() == [(1600, REFUSED)]
    assert play(plan_with([TIMEOUT]), 4000, crashed).ends() == [(1200, REFUSED)]
    off = play(plan_with([REFUSED]), 4000, {**crashed, 1300: lambda plane: plane.set_retries(False)})
    assert off.attempts() == [1000, 1200]
    assert off.ends() == [(1400, REFUSED)]


def budgeted(**budget: Any) -> Plan:
    """Five requests, each refused at once, up to three attempts each."""
    return make_plan(
        populations=[population(arrivals_ns=[1000, 2000, 3000, 4000, 5000], attempts=3, retry_on=[REFUSED], **budget)],
        services=[service(per_zone=ONE, work_ns=50)],
    )


def test_a_budget_pays_for_retries_to_the_last_token() -> None:
    plan = budgeted(budget_capacity=1500, budget_cost=500)
    story = play(plan, 7000, {500: state(CRASHED)})
    # Two retries for the first, one for the second, none after that.
    assert story.attempts() == [1000, 1000, 1000, 2000, 2000, 3000, 4000, 5000]
    assert story.ends() == [(1000, REFUSED)] + [(t, BUDGET) for t in (2000, 3000, 4000, 5000)]


def test_a_budget_one_thousandth_short_pays_nothing() -> None:
    story = play(budgeted(budget_capacity=1499, budget_cost=500), 7000, {500: state(CRASHED)})
    assert story.attempts() == [1000, 1000, 1000, 2000, 3000, 4000, 5000]


def test_successes_refill_the_budget_and_after_a_retry_give_back_its_cost() -> None:
    # The first is refused twice and succeeds on its third attempt, when the instance is up again.
    plan = make_plan(
        populations=[
            population(
                arrivals_ns=[1000, 2000, 3000],
                attempts=4,
                retry_on=[REFUSED],
                backoff=NO_JITTER,
                backoff_base_ns=100,
                backoff_cap_ns=100,
                budget_capacity=1000,
                budget_cost=400,
                budget_deposit=10,
                budget_deposit_after_retry=-1,
            )
        ],
        services=[service(per_zone=ONE, work_ns=50)],
    )
    story = play(plan, 7000, {500: state(CRASHED), 1150: state(UP), 2500: state(CRASHED)})
    # 1000 - 400 - 400 = 200, + 400 for the success after a retry, + 10 for the next success: 610 pays one retry.
    assert story.attempts() == [1000, 1100, 1200, 2000, 3000, 3100]
    assert story.ends() == [(1250, OK), (2050, OK), (3100, BUDGET)]


def test_deposits_on_request_and_timeout_cost() -> None:
    plan = make_plan(
        populations=[
            population(
                arrivals_ns=[1000, 2000, 3000],
                attempts=2,
                timeout_ns=100,
                retry_on=[TIMEOUT],
                budget_capacity=1000,
                budget_cost=1,
                budget_timeout_cost=900,
                budget_deposit=400,
                budget_on_request=1,
            )
        ],
        services=[service(per_zone=ONE, work_ns=50, slots=9)],
    )
    story = play(plan, 7000, {500: state(DEAD)})
    # 1000 (full) - 900 = 100; + 400 = 500 < 900; + 400 = 900 pays exactly.
    assert story.attempts() == [1000, 1100, 2000, 3000, 3100]
    assert story.ends() == [(1200, TIMEOUT), (2100, BUDGET), (3200, TIMEOUT)]


def test_a_budget_that_deposits_on_request_gives_nothing_for_success() -> None:
    plan = make_plan(
        populations=[
            population(
                arrivals_ns=[1000, 2000, 3000],
                attempts=2,
                retry_on=[REFUSED],
                backoff=NO_JITTER,
                backoff_base_ns=100,
                backoff_cap_ns=100,
                budget_capacity=900,
                budget_cost=800,
                budget_deposit=10,
                budget_deposit_after_retry=-1,
                budget_on_request=1,
            )
        ],
        services=[service(per_zone=ONE, work_ns=50)],
    )
    story = play(plan, 7000, {500: state(CRASHED), 1050: state(UP), 2500: state(CRASHED)})
    # 900 (full) - 800 = 100, + 10 + 10 for the two later requests, nothing for the two successes.
    assert story.ends() == [(1150, OK), (2050, OK), (3000, BUDGET)]


def test_each_client_process_has_its_own_budget() -> None:
    times_ns = list(range(1000, 9000, 1000))
    plan = make_plan(
        populations=[
            population(
                clients=3, arrivals_ns=times_ns, attempts=2, retry_on=[REFUSED], budget_capacity=1, budget_cost=1
            )
        ],
        services=[service(per_zone=ONE)],
    )
    story = play(plan, 10000, {500: state(CRASHED)})
    clients = [index_below(key_hash(KEY, request, 0, 0, CLIENT), 3) for request in range(8)]
    first = [client not in clients[:i] for i, client in enumerate(clients)]
    expected = [(t, REFUSED if first_of_client else BUDGET) for t, first_of_client in zip(times_ns, first, strict=True)]
    assert len(set(clients)) > 1
    assert story.ends() == expected
