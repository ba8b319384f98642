"""Budgets that are no token buckets, asked waits, other targets (D60-D65), reckoned by hand. Times in ns."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.base.seeds import JITTER, THROTTLE, key_hash
from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.dataplane.layout import Plan
from azsim.policy import guards, retry
from azsim.policy.balancing import ROUND_ROBIN
from azsim.policy.distributions import unit
from azsim.policy.guards import share_held_back
from azsim.policy.retry import backoff
from tests.plans import KEY, call, make_plan, population, service
from tests.story import ONE, play, state

UP, CRASHED, DEAD = InstanceState.UP, InstanceState.CRASHED, InstanceState.DEAD
OK, ERROR, REFUSED, OVERLOAD, BUDGET = (
    Outcome.OK,
    Outcome.ERROR,
    Outcome.REFUSED,
    Outcome.OVERLOAD,
    Outcome.BUDGET_EXHAUSTED,
)
SECONDS = [1000 * k for k in range(1, 11)]


def retried(arrivals_ns: list[int], **hop: Any) -> Plan:
    given = {"attempts": 2, "retry_on": [REFUSED, OVERLOAD]} | hop
    return make_plan(
        populations=[population(arrivals_ns=arrivals_ns, **given)], services=[service(per_zone=ONE, work_ns=50)]
    )


# Ratio (D60, D61).


def test_a_ratio_of_retries_to_requests() -> None:
    plan = retried(SECONDS, budget=guards.RATIO, budget_part_ns=10_000, budget_ratio=250_000)
    assert plan.rich
    story = play(plan, 12_000, {500: state(CRASHED)})
    # A quarter of the requests so far: the fourth and the eighth.
    assert [t for t, outcome in story.ends() if outcome is REFUSED] == [4000, 8000]
    assert [t for t, outcome in story.ends() if outcome is BUDGET] == [t for t in SECONDS if t not in (4000, 8000)]


def test_a_ratio_budget_has_a_reserve_for_every_window() -> None:
    """Two retries in any case. Tenths of 100: the window at t begins at the tenth that is nine before t's."""
    arrivals_ns = [1000, 1010, 1020, 1950, 1990, 2000, 2100]
    plan = retried(arrivals_ns, budget=guards.RATIO, budget_part_ns=100, budget_reserve=2_000_000)
    story = play(plan, 4000, {500: state(CRASHED)})
    # The two of 1000 count until 1999 and not at 2000; those of 2000 and 2100 are the next two.
    assert [t for t, outcome in story.ends() if outcome is REFUSED] == [1000, 1010, 2000, 2100]


def test_a_request_that_leaves_the_window_earns_nothing_more() -> None:
    plan = retried([1000, 1500, 2100], budget=guards.RATIO, budget_part_ns=100, budget_ratio=500_000)
    # At 2100 the window holds the requests of 1500 and 2100: one retry. At 1500 it held two as well: one.
    story = play(plan, 4000, {500: state(CRASHED)})
    assert [outcome for _, outcome in story.ends()] == [BUDGET, REFUSED, BUDGET]
    later = retried([1000, 1500, 2500], budget=guards.RATIO, budget_part_ns=100, budget_ratio=500_000)
    assert [outcome for _, outcome in play(later, 4000, {500: state(CRASHED)}).ends()] == [BUDGET, REFUSED, BUDGET]


def test_an_instance_that_restarts_has_an_empty_window() -> None:
    """The web instance's one retry in any case is spent at 1000; after its own crash it has one again."""
    plan = make_plan(
        populations=[population("web", arrivals_ns=[1000, 2000, 4000])],
        services=[
            service(
                "web",
                per_zone=ONE,
                calls=[
                    call(
                        "db",
                        attempts=2,
                        retry_on=[REFUSED],
                        budget=guards.RATIO,
                        budget_part_ns=10_000,
                        budget_reserve=1_000_000,
                    )
                ],
            ),
            service("db", per_zone=ONE),
        ],
    )
    control = {500: state(CRASHED, instance=1), 3000: state(CRASHED), 3100: state(UP)}
    story = play(plan, 6000, control)
    assert story.served(layout.SENT, 1) == [1000, 1000, 2000, 4000, 4000]


# gRPC (D62).


@pytest.mark.parametrize(
    ("max_tokens", "retries"),
    [
        (10_000, [True, True, True, True, False, False]),  # 9, 8, 7, 6 are more than 5
        (9_000, [True, True, True, True, False, False]),  # 8, 7, 6, 5 are more than 4.5
        (2_000, [False] * 6),
        (3_000, [True, False, False, False, False, False]),
    ],
)
def test_grpc_retries_while_more_than_half_of_the_tokens_are_left(max_tokens: int, retries: list[bool]) -> None:
    """One request, whose attempts all fail: the n-th failure leaves max - n tokens (gRPC proposal A6)."""
    plan = retried([1000], attempts=7, budget=guards.GRPC, budget_capacity=max_tokens)
    story = play(plan, 3000, {500: state(CRASHED)})
    assert len(story.attempts()) == 1 + sum(retries)
    assert story.ends() == [(1000, BUDGET)]


def test_grpc_failures_take_tokens_even_when_no_retry_could_follow() -> None:
    """Without attempts left each failure still costs one: after five the next request is not retried."""
    plan = make_plan(
        populations=[
            population(
                arrivals_ns=SECONDS[:6], attempts=1, retry_on=[REFUSED], budget=guards.GRPC, budget_capacity=10_000
            )
        ],
        services=[service(per_zone=ONE)],
    )
    assert [outcome for _, outcome in play(plan, 8000, {500: state(CRASHED)}).ends()] == [REFUSED] * 6
    twice = retried(SECONDS[:6], budget=guards.GRPC, budget_capacity=10_000)
    # Failures: 1000 two (9, 8), 2000 two (7, 6), 3000 one (5: not more than half).
    story = play(twice, 8000, {500: state(CRASHED)})
    assert [outcome for _, outcome in story.ends()] == [REFUSED, REFUSED, BUDGET, BUDGET, BUDGET, BUDGET]


def test_grpc_successes_give_back_the_ratio() -> None:
    """Down to 5 tokens by 3000. Eleven successes make 6.1, and a failure leaves 5.1: a retry. After ten, 5: none."""
    failing = [1000, 2000, 3000]
    passing = [4000 + 10 * k for k in range(11)]
    plan = retried(
        [*failing, *passing, 5000],
        budget=guards.GRPC,
        budget_capacity=10_000,
        budget_deposit=100,
        budget_deposit_after_retry=100,
    )
    story = play(plan, 8000, {500: state(CRASHED), 3500: state(UP), 4900: state(CRASHED)})
    assert story.ends()[-1] == (5000, REFUSED)  # 5 + 1.1 - 1 = 5.1: retried, and refused again
    ten = retried(
        [*failing, *passing[:10], 5000],
        budget=guards.GRPC,
        budget_capacity=10_000,
        budget_deposit=100,
        budget_deposit_after_retry=100,
    )
    story = play(ten, 8000, {500: state(CRASHED), 3500: state(UP), 4900: state(CRASHED)})
    assert story.ends()[-1] == (5000, BUDGET)


# Client throttling (D63).


def test_client_throttling_refuses_by_its_draws() -> None:
    """Nothing is accepted: the n-th attempt (from 0) is refused if its draw is below n / (n + 1)."""
    plan = make_plan(
        populations=[
            population(arrivals_ns=SECONDS, budget=guards.CLIENT_THROTTLING, budget_part_ns=100_000, throttle_k=2.0)
        ],
        services=[service(per_zone=ONE)],
    )
    story = play(plan, 12_000, {500: state(CRASHED)})
    draws = [unit(key_hash(KEY, request, 0, 16, THROTTLE)) for request in range(10)]
    expected = [BUDGET if draws[n] < n / (n + 1) else REFUSED for n in range(10)]
    assert {BUDGET, REFUSED} == set(expected)
    assert story.ends() == list(zip(SECONDS, expected, strict=True))
    sent = [t for t, outcome in story.ends() if outcome is REFUSED]
    assert story.attempts() == story.served(layout.SENT) == sent
    assert story.hop() == {REFUSED: len(sent), BUDGET: 10 - len(sent)}


def test_client_throttling_with_half_accepted_refuses_nothing_at_k_2() -> None:
    for requests in range(200):
        assert share_held_back(2 * requests, requests, 2.0) == 0.0
    assert share_held_back(0, 0, 2.0) == 0.0
    assert share_held_back(9, 0, 2.0) == pytest.approx(0.9)
    assert share_held_back(99, 10, 2.0) == pytest.approx(0.79)


def test_errors_are_accepts_and_overload_is_not() -> None:
    """The service fails everything it takes in: nothing is held back."""
    plan = make_plan(
        populations=[
            population(arrivals_ns=SECONDS, budget=guards.CLIENT_THROTTLING, budget_part_ns=100_000, throttle_k=1.0)
        ],
        services=[service(per_zone=ONE)],
    )
    story = play(plan, 12_000, {500: lambda plane: plane.set_error_share(0, 1.0)})
    assert [outcome for _, outcome in story.ends()] == [ERROR] * 10


# Waits and targets (D64, D65).


def test_a_retry_after_overload_waits_what_the_answer_asks_for() -> None:
    plan = make_plan(
        populations=[
            population(
                arrivals_ns=[1000, 1010],
                attempts=3,
                retry_on=[OVERLOAD],
                backoff=retry.NO_JITTER,
                backoff_base_ns=100,
                backoff_cap_ns=100,
                retry_after_ns=270,
            )
        ],
        services=[service(per_zone=ONE, work_ns=500, queue=0)],
    )
    story = play(plan, 4000)
    assert story.attempts() == [1000, 1010, 1280, 1550]
    assert story.ends() == [(1500, OK), (2050, OK)]


def test_other_outcomes_wait_their_back_off() -> None:
    plan = retried([1000], backoff=retry.NO_JITTER, backoff_base_ns=100, backoff_cap_ns=100, retry_after_ns=270)
    assert play(plan, 3000, {500: state(CRASHED)}).attempts() == [1000, 1100]


def test_proportional_jitter_is_drawn_after_the_cap() -> None:
    for failures, wait in ((1, 1000), (2, 2000), (3, 3000), (9, 3000)):
        for number in range(50):
            bits = key_hash(KEY, number, 0, 16, JITTER)
            drawn = backoff(retry.PROPORTIONAL, 1000, 2.0, 3000, failures, 0, bits, 0.2)
            assert abs(drawn - wait * (0.8 + 0.4 * unit(bits))) <= 1
    assert backoff(retry.PROPORTIONAL, 1000, 2.0, 3000, 1, 0, 12345, 0.0) == 1000


def test_a_retry_avoids_the_last_target_where_there_is_another() -> None:
    """Round-robin over three instances would come back to the first for the fourth attempt; of two, it alternates."""
    given: dict[str, Any] = {"attempts": 3, "retry_on": [REFUSED], "avoid_previous": 1}
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], **given)],
        services=[service(per_zone={"a": 2}, algorithm=ROUND_ROBIN)],
    )
    # Round-robin alone alternates, too, but a view that holds one target only leaves nothing else.
    assert play(plan, 3000, {500: state(CRASHED)}).ends() == [(1000, OK)]
    alone = make_plan(
        populations=[population(arrivals_ns=[1000], **given)], services=[service(per_zone=ONE, algorithm=ROUND_ROBIN)]
    )
    story = play(alone, 3000, {500: state(CRASHED)})
    assert story.attempts() == [1000, 1000, 1000]
    assert story.ends() == [(1000, REFUSED)]


def test_a_random_retry_never_meets_the_last_target() -> None:
    """Of two random targets one refuses: with `avoid_previous` the second attempt of every request succeeds."""
    arrivals_ns = [1000 + 10 * k for k in range(100)]
    for avoid, failures in ((1, 0), (0, None)):
        plan = make_plan(
            populations=[population(arrivals_ns=arrivals_ns, attempts=2, retry_on=[REFUSED], avoid_previous=avoid)],
            services=[service(per_zone={"a": 2}, algorithm=0)],
        )
        ends = [outcome for _, outcome in play(plan, 4000, {500: state(CRASHED)}).ends()]
        if failures is None:
            assert 10 < ends.count(REFUSED) < 40  # a quarter: mean 25, deviation 4.3
        else:
            assert ends.count(REFUSED) == failures
