"""Closed-loop users and recorded traces (R1, D54, D55). Times are nanoseconds."""

from __future__ import annotations

import math

import pytest

from azsim.base.seeds import CLIENT, PLACE, THINK, key_hash
from azsim.dataplane import layout
from azsim.dataplane.codes import Outcome
from azsim.dataplane.layout import MIX_OFFERED, Plan
from azsim.dataplane.reference import Reference
from azsim.policy import users
from azsim.policy.distributions import index_below, standard_exponential, unit
from tests.plans import KEY, MS, S, make_plan, population, service, work_step
from tests.story import ONE, cut, play

OK, TIMEOUT, CANCELLED, BUDGET = Outcome.OK, Outcome.TIMEOUT, Outcome.CANCELLED, Outcome.BUDGET_EXHAUSTED


def loop(count: int, kind: int, think_ns: int, *, work_ns: int = 100, slots: int = 99, **hop: object) -> Plan:
    return make_plan(
        populations=[population(users=(count, kind, think_ns), **hop)],  # type: ignore[arg-type]
        services=[service(per_zone=ONE, work_ns=work_ns, slots=slots)],
        rich=True,
    )


def first_thought(user: int, think_ns: int) -> int:
    return math.ceil(unit(key_hash(KEY, user, 0, 0, THINK)) * think_ns)


def thought(request: int, think_ns: int) -> int:
    return max(1, math.ceil(standard_exponential(key_hash(KEY, request, 0, 0, THINK)) * think_ns))


def test_a_user_with_constant_thoughts_asks_once_a_round() -> None:
    """Starts within the first thought; then a round is 1000 of thought and 100 of service."""
    start = first_thought(0, 1000)
    story = play(loop(1, users.CONSTANT, 1000), 6000, tick_ns=1)
    assert story.attempts() == list(range(start, 6000, 1100))
    assert story.ends() == [(t_ns + 100, OK) for t_ns in range(start, 5900, 1100)]


def test_exponential_thoughts_are_drawn_by_user_and_round() -> None:
    """User u's n-th request is number u + 3 n; each follows a thought of its own after the last one's outcome."""
    expected = []
    for user in range(3):
        request, t_ns = user, thought(user, 700)
        while t_ns < 9000:
            expected.append(t_ns)
            request += 3
            t_ns += 100 + thought(request, 700)
    assert play(loop(3, users.EXPONENTIAL, 700), 9000, tick_ns=1).attempts() == sorted(expected)
    assert len(expected) > 20


def test_a_slow_server_is_asked_less() -> None:
    """One slot, 100 of work, 10 users who think 1: the server is never idle, and nobody asks twice at once."""
    plan = loop(10, users.CONSTANT, 1, slots=1)
    story = play(plan, 10_000)
    assert len(story.ends()) == 99  # the first starts at 1
    assert int(story.recording.in_flight[0]) == 10


def test_a_user_thinks_after_a_failure_too() -> None:
    start = first_thought(0, 1000)
    story = play(loop(1, users.CONSTANT, 1000, work_ns=10_000, timeout_ns=200), 5000, tick_ns=1)
    assert story.ends() == [(t_ns + 200, TIMEOUT) for t_ns in range(start, 4800, 1200)]


def test_a_user_stays_where_it_is_and_with_its_client_process() -> None:
    """Two users, of whom one lives in a zone that is cut off: its requests alone fail, round after round."""
    places = {"a": 0.5, "b": 0.5}
    homes = [key_hash(KEY, user, 0, 0, PLACE) >> 31 < 1 << 31 for user in range(6)]  # True: zone a
    plan = make_plan(
        populations=[population(users=(6, users.CONSTANT, 1000), places=places, timeout_ns=50)],
        services=[service(per_zone=ONE, work_ns=10, slots=9)],
        rich=True,
    )
    story = play(plan, 20_000, {0: cut(0, 1)})
    rounds = {user: (20_000 - first_thought(user, 1000)) // 1000 for user in range(6)}
    ok = sum(1 for _, outcome in story.ends() if outcome is OK)
    lost = sum(1 for _, outcome in story.ends() if outcome is TIMEOUT)
    assert 0 < sum(homes) < 6
    assert ok == pytest.approx(sum(n for user, n in rounds.items() if homes[user]), abs=6)
    assert lost == pytest.approx(sum(n for user, n in rounds.items() if not homes[user]) / 1.05, abs=6)


def test_budgets_are_those_of_the_users_client_process() -> None:
    """Each user's every request fails; the bucket of each client process pays for two retries in all."""
    plan = make_plan(
        populations=[
            population(
                users=(8, users.CONSTANT, 1000), clients=4, timeout_ns=50, attempts=2, retry_on=(TIMEOUT,),
                budget_capacity=2000, budget_cost=1000, budget_timeout_cost=1000,
            )
        ],
        services=[service(per_zone=ONE, work_ns=500, slots=99)],
        rich=True,
    )  # fmt: skip
    story = play(plan, 10_000)
    processes = {index_below(key_hash(KEY, user, 0, 0, CLIENT), 4) for user in range(8)}
    exhausted = sum(1 for _, outcome in story.ends() if outcome is BUDGET)
    retried = sum(1 for _, outcome in story.ends() if outcome is TIMEOUT)
    assert retried == 2 * len(processes)
    assert exhausted > 50


def test_after_a_reset_users_think_and_go_on() -> None:
    start = first_thought(0, 1000)
    story = play(loop(1, users.CONSTANT, 1000, work_ns=5000), 4000, {1500: Reference.reset}, tick_ns=1)
    assert start < 1500
    assert story.ends() == [(1500, CANCELLED)]
    assert story.attempts() == [start, 2500]


def test_the_interactive_response_time_law() -> None:
    """X = N / (R + Z): throughput of 50 users who think 100 ms before a server that works 1 ms and queues."""
    plan = loop(50, users.EXPONENTIAL, 100 * MS, work_ns=MS, slots=1)
    plane = Reference(plan)
    plane.advance(20 * S)
    recording = plane.finish()
    totals = recording.populations.sum(axis=0)[0]
    succeeded = int(totals[layout.SUCCEEDED])
    response_s = int(totals[layout.STARTED_LATENCY]) / int(totals[layout.STARTED_SUCCEEDED]) / S
    throughput = succeeded / 20
    # About 9500 thoughts of 100 ms: their mean is within 4% (4 standard errors).
    assert throughput == pytest.approx(50 / (response_s + 0.1), rel=0.04)


# Traces.


def test_a_trace_is_replayed_at_its_times() -> None:
    times = [0, 500, 500, 1700]
    plan = make_plan(
        populations=[population(recorded_ns=times), population(recorded_ns=[20], name="others")],
        services=[service(per_zone=ONE, work_ns=100, slots=9)],
    )
    story = play(plan, 3000)
    assert story.attempts() == times
    assert story.ends(0) == [(t_ns + 100, OK) for t_ns in times]
    assert story.ends(1) == [(120, OK)]


def test_a_trace_may_say_what_its_requests_ask_for() -> None:
    """Work of 100, 300, 100; the last one is drawn from a mix that knows only one answer."""
    plan = make_plan(
        populations=[
            population(recorded_ns=[0, 1000, 2000, 3000], recorded_asks=["x", "y", "x", ""], mix={"x": 0.0, "y": 1.0})
        ],
        services=[service(per_zone=ONE, slots=9, operations={"x": [work_step(100)], "y": [work_step(300)]})],
    )
    story = play(plan, 5000)
    assert story.latencies() == {0: 100, 1000: 300, 2000: 100, 3000: 300}
    assert story.recording.mix[:, :, MIX_OFFERED].sum(axis=0).tolist() == [2, 2]


def test_requests_of_a_trace_have_numbers_of_their_own_and_draw_by_them() -> None:
    """The same k-th request brings the same work whenever it comes (O4)."""
    exponential = {"work": 1, "work_a": 100.0, "work_mean_ns": 100.0}

    def service_times(times: list[int]) -> list[int]:
        plan = make_plan(
            populations=[population(recorded_ns=times)], services=[service(per_zone=ONE, slots=9, **exponential)]
        )
        return [end - start for start, (end, _) in zip(times, play(plan, 9000, tick_ns=1).ends(), strict=True)]

    assert service_times([0, 2000, 4000]) == service_times([1000, 3000, 6000])


def test_think_times_are_at_least_one_nanosecond_and_rounded_up() -> None:
    drawn = [users.think_ns(users.EXPONENTIAL, 1, KEY, request, 0, False) for request in range(200)]
    assert min(drawn) == 1
    assert max(drawn) > 3
    starts = [users.think_ns(users.CONSTANT, 10, KEY, request, 0, True) for request in range(400)]
    assert set(starts) == set(range(1, 11))
