"""Connections (R9, D124-D126), reckoned by hand. Times in ns; 50 ns of work, 10 ns to everywhere."""

from __future__ import annotations

from typing import Any

from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.dataplane.layout import Plan
from azsim.policy.balancing import LEAST_OUTSTANDING
from tests.plans import call, make_plan, population, service
from tests.story import ONE, play, state

OK, TIMEOUT, RESET, REFUSED = Outcome.OK, Outcome.TIMEOUT, Outcome.RESET, Outcome.REFUSED
UP, CRASHED, DEAD = InstanceState.UP, InstanceState.CRASHED, InstanceState.DEAD


def pooled(arrivals_ns: list[int], work_ns: int = 50, **hop: Any) -> Plan:
    given = {"pool_max": 1, "handshake_trips": 2, "handshake_ns": 30} | hop
    return make_plan(
        populations=[population(arrivals_ns=arrivals_ns, **given)],
        services=[service(per_zone=ONE, slots=8, work_ns=work_ns)],
        same_zone_ns=10,
    )


def test_a_new_connection_costs_round_trips_and_work_and_the_next_request_neither() -> None:
    plan = pooled([1000, 2000])
    assert plan.rich
    story = play(plan, 3000)
    # Two round trips of 20, the way there of 10, 30 + 50 of work, the way back of 10.
    assert story.latencies() == {1000: 140, 2000: 70}
    assert story.amounts(layout.USEFUL) == {1140: 80.0, 2070: 50.0}


def test_who_finds_none_free_waits_in_line() -> None:
    story = play(pooled([1000, 1010, 1020]), 3000)
    assert story.latencies() == {1000: 140, 1010: 200, 1020: 260}


def test_there_are_as_many_as_may_be() -> None:
    story = play(pooled([1000, 1010, 1020], pool_max=2), 3000)
    assert story.latencies() == {1000: 140, 1010: 140, 1020: 190}


def test_the_wait_is_bounded() -> None:
    story = play(pooled([1000, 1010], work_ns=500, pool_acquire_ns=200), 3000)
    assert story.ends() == [(1210, TIMEOUT), (1590, OK)]
    # At the very instant at which one gets free: the answer goes first.
    assert play(pooled([1000, 1010], pool_acquire_ns=130), 3000).hop() == {OK: 2}


def test_a_timeout_closes_the_connection() -> None:
    story = play(pooled([1000, 2000, 3000], timeout_ns=130), 4000)
    # 140 with a handshake, always: each of them times out, and none leaves a connection behind.
    assert story.hop() == {TIMEOUT: 3}


def test_who_waits_makes_a_new_one_in_place_of_one_that_was_closed() -> None:
    story = play(pooled([1000, 1020], timeout_ns=130), 3000)
    # The first is given up at 1130; the second, which has waited since 1020, has 20 left.
    assert story.ends() == [(1130, TIMEOUT), (1150, TIMEOUT)]
    assert story.amounts(layout.WASTED) == {1140: 80.0, 1270: 80.0}


def test_an_error_leaves_the_connection_open() -> None:
    story = play(pooled([1000, 2000]), 3000, {500: lambda plane: plane.set_malformed_share(0, 1.0)})
    assert [t for t, _ in story.ends()] == [1140, 2070]


def test_an_idle_connection_is_closed_after_its_time() -> None:
    assert play(pooled([1000, 2000], pool_idle_ns=860), 3000).latencies() == {1000: 140, 2000: 140}
    assert play(pooled([1000, 2000], pool_idle_ns=861), 3000).latencies() == {1000: 140, 2000: 70}


def test_the_one_used_last_is_used_first_so_that_the_others_grow_old() -> None:
    """Two are made at 1000; from 2000 on one suffices, and at 3000 the other has been idle for 1860."""
    plan = pooled([1000, 1000, 2000, 3000, 3000], pool_max=2, pool_idle_ns=1000)
    latencies = play(plan, 4000).recording.populations[:, 0, layout.STARTED_LATENCY]
    assert sorted(int(n) for n in latencies if n) == [70, 70 + 140, 2 * 140]


def test_a_crash_breaks_connections_idle_or_not() -> None:
    control = {1500: state(CRASHED), 1700: state(UP)}
    assert play(pooled([1000, 2000]), 3000, control).latencies() == {1000: 140, 2000: 140}
    story = play(pooled([1000, 2000], pool_max=1), 3000, {1100: state(CRASHED), 1300: state(UP)})
    assert story.hop() == {RESET: 1, OK: 1}
    assert story.latencies() == {2000: 140}


def test_who_waits_for_a_connection_that_breaks_makes_a_new_one_at_once() -> None:
    story = play(pooled([1000, 1010]), 3000, {1100: state(CRASHED)})
    # The second goes on its way at 1100: two round trips, there, and the refusal back.
    assert story.ends() == [(1110, RESET), (1160, REFUSED)]


def test_an_answer_from_before_a_crash_brings_no_connection_back() -> None:
    """Answered at 1130, crashed at 1135, up again at 1137, heard at 1140."""
    story = play(pooled([1000, 2000]), 3000, {1135: state(CRASHED), 1137: state(UP)})
    assert story.latencies() == {1000: 140, 2000: 140}


def test_a_handshake_takes_longer_than_the_connect_timeout_allows() -> None:
    story = play(pooled([1000], connect_timeout_ns=49, timeout_ns=500), 3000)
    assert story.ends() == [(1040, TIMEOUT)]  # there in 50
    assert play(pooled([1000], connect_timeout_ns=50, timeout_ns=500), 3000).ends() == [(1140, OK)]


def test_each_client_process_has_connections_of_its_own() -> None:
    plan = pooled([1000 * k for k in range(1, 21)], clients=2)
    latencies = list(play(plan, 22_000).latencies().values())
    assert sorted(latencies) == [70] * 18 + [140] * 2


def test_a_calling_instance_that_restarts_connects_anew() -> None:
    plan = make_plan(
        populations=[population("web", arrivals_ns=[1000, 2000, 4000])],
        services=[
            service("web", per_zone=ONE, work_ns=10, calls=[call("db", pool_max=1, handshake_ns=30)]),
            service("db", per_zone=ONE, work_ns=50),
        ],
    )
    story = play(plan, 5000, {3000: state(CRASHED), 3500: state(UP)})
    assert story.latencies() == {1000: 90, 2000: 60, 4000: 90}


def test_a_reset_leaves_connections_open() -> None:
    story = play(pooled([1000, 2000]), 3000, {1050: lambda plane: plane.reset()})
    assert story.latencies() == {2000: 70}


def test_a_dispatch_that_waits_counts_as_outstanding() -> None:
    """Two are served and two wait, one at each instance: the fourth goes where the third does not."""
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1010, 1020, 1030], pool_max=1)],
        services=[service(per_zone={"a": 2}, slots=8, work_ns=500, algorithm=LEAST_OUTSTANDING)],
    )
    story = play(plan, 4000, {1100: lambda plane: None})  # where conservation is checked, too
    assert sorted(story.latencies().values()) == [500, 500, 970, 990]
