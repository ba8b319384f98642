"""How proxies choose, what they learn and who waits in them (D100-D106; B3, B5)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from azsim.base.seeds import CHOICE, LOCALITY, key_hash
from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE, InstanceState, Outcome
from azsim.dataplane.reference.clock import Kind
from azsim.policy import balancing, locality, outliers, retry
from azsim.policy.distributions import exponential_function, unit
from tests.plans import BALANCING_DEFAULTS, KEY, MS, S, call, make_plan, population, service
from tests.proxy_world import ERRORS, OUTSIDE, World, envoy, keys
from tests.story import ONE, play, state


def draws(purpose: int, n: int) -> list[float]:
    return [unit(key_hash(KEY, *key, purpose)) for key in keys(n)]


# --- algorithms ----------------------------------------------------------------------------------------------------


def test_weights_are_shares() -> None:
    world = World((2, 2, 0), algorithm=balancing.WEIGHTED_RANDOM, weights=[0, 1, 2, 5])
    n = 8000
    chosen = Counter(world.choose(key) for key in keys(n))
    # By the key's own draw: target 1 below 1/8, 2 below 3/8, 3 above.
    bits = [key_hash(KEY, *key, CHOICE) >> 31 for key in keys(n)]
    assert chosen[1] == sum(b * 8 < 1 << 32 for b in bits)
    assert chosen[2] == sum(1 << 32 <= b * 8 < 3 << 32 for b in bits)
    assert chosen[3] == sum(b * 8 >= 3 << 32 for b in bits)
    assert chosen[0] == 0


def test_weights_of_nothing_leave_plain_chance() -> None:
    world = World((2, 0, 0), algorithm=balancing.WEIGHTED_RANDOM, weights=[0, 0])
    assert {world.choose(key) for key in keys(50)} == {0, 1}


def test_peak_ewma_jumps_to_a_peak_and_forgets_it_slowly() -> None:
    decay = 10 * S
    assert balancing.cost_after(30.0 * MS, 0, decay, 200 * MS) == 200.0 * MS
    faded = 200.0 * MS * exponential_function(-1.0)
    assert balancing.decayed_cost(200.0 * MS, decay, decay) == faded
    expected = faded + 20.0 * MS * (1.0 - exponential_function(-1.0))
    assert balancing.cost_after(200.0 * MS, decay, decay, 20 * MS) == expected
    assert expected / MS == pytest.approx(200 * 0.367879 + 20 * 0.632121, abs=1e-3)


def test_peak_ewma_takes_the_cheaper_of_two_by_cost_and_pending() -> None:
    world = World((2, 0, 0), algorithm=balancing.PEAK_EWMA)
    world.answer(0, Outcome.OK, latency_ns=100 * MS)  # 1 has its 30 ms
    assert {world.choose(key) for key in keys(50)} == {1}
    for _ in range(3):  # 30 ms x (3 + 1) is more than 100 ms x 1
        world.proxy.dispatched(world.targets[1])
    assert {world.choose(key) for key in keys(50)} == {0}


def test_what_is_given_up_teaches_nothing() -> None:
    world = World((2, 0, 0), algorithm=balancing.PEAK_EWMA)
    world.proxy.dispatched(world.targets[0])
    world.proxy.ended(world.targets[0], -500 * MS, None, False)
    assert world.proxy.standings[world.targets[0]].cost == 30.0 * MS
    assert world.proxy.standings[world.targets[0]].pending == 0


def test_round_robin_remembers_a_turn_for_each_zone_and_one_for_all() -> None:
    world = World(algorithm=balancing.ROUND_ROBIN)
    chosen = [world.choose(key, place, same_zone=1) for key, place in zip(keys(6), [0, 1, 0, 1, 0, 2], strict=True)]
    assert chosen == [0, 2, 1, 3, 0, 4]
    assert [world.choose(key) for key in keys(3)] == [0, 1, 2]


# --- zones ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eligible", "total", "spill_below", "share"),
    [
        (10, 10, 1 / 1.4, 1.0),
        (8, 10, 1 / 1.4, 1.0),  # Envoy: no shift until less than 71.4% are healthy
        (5, 10, 1 / 1.4, 0.7),  # 50% healthy: 70% of the weight
        (1, 10, 0.0, 1.0),  # Kubernetes PreferSameZone: all stay while there is one
        (0, 10, 0.0, 0.0),
        (1, 4, 0.5, 0.5),
    ],
)
def test_what_stays_in_a_zone_by_preference(eligible: int, total: int, spill_below: float, share: float) -> None:
    assert locality.share_that_stays(eligible, total, spill_below) == pytest.approx(share, rel=1e-12)


def test_preference_spills_what_the_zone_cannot_take() -> None:
    world = World((4, 2, 2), locality=locality.PREFER, spill_below=1.0)
    for number in (0, 1, 2):
        world.view[world.targets[number]] = False
    chosen = [world.choose(key, 0) for key in keys(400)]
    stay = [u < 0.25 for u in draws(LOCALITY, 400)]
    assert [number == 3 for number in chosen] == stay
    assert set(chosen) == {3, 4, 5, 6, 7}
    assert {world.choose(key, OUTSIDE) for key in keys(400)} == {3, 4, 5, 6, 7}


def test_preference_without_targets_at_home_goes_anywhere() -> None:
    world = World((1, 1, 1), locality=locality.PREFER)
    world.view[world.targets[0]] = False
    assert {world.choose(key, 0) for key in keys(60)} == {1, 2}


@pytest.mark.parametrize(
    ("callers", "hosts", "stays", "rest"),
    [
        # as many of the targets as of the callers, or more: all stay
        ((4, 4, 4), (3, 3, 3), 1.0, None),
        ((1, 4, 4), (3, 3, 3), 1.0, None),
        # L = 1/2, U = 1/3: two thirds stay; b and c have U - L = 1/12 each
        ((6, 3, 3), (3, 3, 3), 2 / 3, (1, 1)),
        # L = 1/3, U = 1/9; b has 4/9 - 1/3, c too
        ((4, 4, 4), (1, 4, 4), 1 / 3, (1, 1)),
        # L = 1/2, U = 1/4; b has 3/4 - 1/2, c nothing to give
        ((2, 2, 0), (2, 6, 0), 1 / 2, (1, 0)),
    ],
)
def test_envoys_zone_aware_shares(
    callers: tuple[int, ...], hosts: tuple[int, ...], stays: float, rest: tuple[int, int] | None
) -> None:
    total = sum(hosts)
    assert locality.zone_aware_share(callers[0], sum(callers), hosts[0], total) == pytest.approx(stays, rel=1e-12)
    world = World(hosts, locality=locality.ZONE_AWARE, locality_targets=6)
    world.callers = list(callers)
    n = 3000
    zones = Counter(world.targets[number].zone for key in keys(n) if (number := world.choose(key, 0)) is not None)
    assert zones[0] == sum(u < stays for u in draws(LOCALITY, n))
    if rest is None:
        assert zones == {0: n}
    else:
        away = n - zones[0]
        # A binomial share within five standard deviations: false alarm below 1e-6.
        assert abs(zones[1] - away * rest[0] / sum(rest)) <= 5 * (away * 0.25) ** 0.5 * (rest[1] > 0)
        assert zones[1] + zones[2] == away


def test_zone_aware_needs_six_targets_and_callers_in_the_zone() -> None:
    world = World((1, 2, 2), locality=locality.ZONE_AWARE, locality_targets=6)
    assert {world.choose(key, 0) for key in keys(200)} == {0, 1, 2, 3, 4}
    world = World((2, 2, 2), locality=locality.ZONE_AWARE, locality_targets=6)
    world.callers = [0, 1, 1]
    assert {world.choose(key, 0) for key in keys(200)} == {0, 1, 2, 3, 4, 5}


def test_envoys_panic_at_half_counts_what_is_ejected() -> None:
    """Below 50% healthy all are used; at 50% health counts. Ejected targets are not healthy."""
    world = World(outliers=outliers.CONSECUTIVE, outlier_on=ERRORS, fail_open_below=0.5)
    for number in (0, 1, 2):
        world.view[world.targets[number]] = False
    assert {world.choose(key) for key in keys(200)} == {3, 4, 5}
    world.answer(3, Outcome.ERROR)
    assert {world.choose(key) for key in keys(300)} == set(range(6))


# --- members, and the target tried last ----------------------------------------------------------------------------


def test_who_is_no_member_is_neither_chosen_nor_counted() -> None:
    world = World((2, 2, 0), fail_open_below=0.6)
    world.members[world.targets[0]] = world.members[world.targets[1]] = False
    assert {world.choose(key) for key in keys(50)} == {2, 3}
    world.view[world.targets[2]] = False
    # One of two members is healthy: less than 60%, and open means to the members.
    assert {world.choose(key) for key in keys(50)} == {2, 3}


def avoiding(**given: Any) -> Any:
    """Two targets behind a proxy with one place to wait; the first crashes at 500."""
    return make_plan(
        populations=[
            population(
                arrivals_ns=[1000, 1010],
                attempts=2,
                retry_on=[Outcome.REFUSED],
                backoff=retry.NO_JITTER,
                backoff_base_ns=20,
                backoff_cap_ns=20,
                avoid_previous=1,
                **given,
            )
        ],
        services=[service(per_zone={"a": 1, "b": 1}, work_ns=100, per_target=1, wait_places=1)],
    )


def test_a_retry_by_way_of_a_proxy_waits_for_another_target_rather_than_the_one_tried() -> None:
    story = play(avoiding(), 2000, {500: state(InstanceState.CRASHED)})
    # The second request holds target 2 until 1110; the first one's retry, at 1020, does not go to target 1 again.
    assert story.ends() == [(1110, Outcome.OK), (1210, Outcome.OK)]
    assert story.served(layout.DISPATCHED) == [1000, 1010, 1110]


def test_a_retry_goes_to_the_target_tried_where_there_is_no_other() -> None:
    control = {500: state(InstanceState.CRASHED), 1005: lambda plane: plane.set_view(1, False)}
    story = play(avoiding(), 2000, control)
    assert story.ends() == [(1020, Outcome.REFUSED), (1030, Outcome.REFUSED)]
    assert story.served(layout.DISPATCHED) == [1000, 1010, 1020, 1030]


# --- slow start ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elapsed", "aggression", "part"),
    [(0, 1.0, 0.1), (1, 1.0, 0.1), (5, 1.0, 0.5), (10, 1.0, 1.0), (2.5, 2.0, 0.5), (1, 0.5, 0.1), (5, 0.5, 0.25)],
)
def test_a_returning_target_gets_a_growing_part(elapsed: float, aggression: float, part: float) -> None:
    assert balancing.warmth(int(elapsed * S), 10 * S, aggression, 0.1) == pytest.approx(part, rel=1e-12)


def test_slow_start_gives_the_rest_to_the_others() -> None:
    world = World((2, 2, 0), slow_start_ns=10 * S, slow_start_least=0.0)
    world.at(100 * S).proxy.back_in_view(world.targets[0])
    world.at(105 * S)
    n = 4000
    share = sum(world.choose(key) == 0 for key in keys(n)) / n
    # 1/4 x 1/2 within five standard deviations: false alarm below 1e-6.
    assert abs(share - 0.125) < 5 * (0.125 * 0.875 / n) ** 0.5
    world.at(110 * S)
    assert abs(sum(world.choose(key) == 0 for key in keys(n)) / n - 0.25) < 5 * (0.25 * 0.75 / n) ** 0.5


def test_slow_start_does_not_apply_where_all_return() -> None:
    world = World((1, 1, 0), slow_start_ns=10 * S, slow_start_least=0.0)
    for target in world.targets:
        world.proxy.back_in_view(target)
    assert {world.choose(key) for key in keys(50)} == {0, 1}


def test_slow_start_follows_an_ejection() -> None:
    world = envoy(outlier_errors=1, slow_start_ns=100 * S, slow_start_least=0.0)
    world.at(1 * S).answer(0, Outcome.ERROR)
    world.at(40 * S)  # back just now
    assert world.out(0)
    world.at(140 * S)
    assert not world.out(0)


# --- waiting, in whole runs ----------------------------------------------------------------------------------------


def test_a_target_at_its_limit_lets_the_next_wait_in_the_order_of_arrival() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1010, 1020, 1030])],
        services=[service(per_zone=ONE, slots=4, work_ns=100, per_target=1, wait_places=2)],
    )
    story = play(plan, 2000)
    # The fourth finds both places taken; the others are served one after the other, though there are four slots.
    assert story.ends() == [(1030, Outcome.OVERLOAD), (1100, Outcome.OK), (1200, Outcome.OK), (1300, Outcome.OK)]
    assert story.served(layout.DISPATCHED) == [1000, 1100, 1200]


def test_who_waits_too_long_gets_the_overload_answer() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1010, 1020], timeout_ns=85)],
        services=[service(per_zone=ONE, work_ns=80, per_target=1, wait_places=9, wait_ns=30)],
    )
    assert play(plan, 2000).ends() == [(1040, Outcome.OVERLOAD), (1050, Outcome.OVERLOAD), (1080, Outcome.OK)]


def test_who_times_out_waits_no_longer() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1010, 1020], timeout_ns=100)],
        services=[service(per_zone=ONE, work_ns=110, per_target=1, wait_places=9)],
    )
    story = play(plan, 2000)
    # The first leaves at 1100 and frees the target, where its work goes on until 1110; the second starts then.
    assert story.ends() == [(1100, Outcome.TIMEOUT), (1110, Outcome.TIMEOUT), (1120, Outcome.TIMEOUT)]
    assert story.served(layout.DISPATCHED) == [1000, 1100, 1110]


def test_a_target_that_enters_the_view_takes_those_who_wait() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1010])],
        services=[service(per_zone={"a": 1, "b": 1}, work_ns=500, per_target=1, wait_places=9)],
    )
    story = play(plan, 3000, {500: lambda plane: plane.set_view(1, False), 1200: lambda plane: plane.set_view(1, True)})
    assert story.served(layout.DISPATCHED) == [1000, 1200]
    assert story.ends() == [(1500, Outcome.OK), (1700, Outcome.OK)]


def test_no_target_is_not_a_busy_one() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000])],
        services=[service(per_zone=ONE, per_target=1, wait_places=9, fail_open_below=balancing.NEVER_OPEN)],
    )
    assert play(plan, 2000, {500: lambda plane: plane.set_view(0, False)}).ends() == [(1000, Outcome.NO_TARGET)]


def test_calls_that_a_dead_caller_gave_up_leave_their_places() -> None:
    plan = make_plan(
        populations=[
            population("front", name="inside", arrivals_ns=[1000]),
            population("store", name="direct", arrivals_ns=[1010]),
        ],
        services=[
            service("front", per_zone=ONE, calls=[call("store")]),
            service("store", per_zone={"b": 1}, work_ns=500, per_target=1, wait_places=9),
        ],
    )
    story = play(plan, 3000, {1200: state(InstanceState.DEAD)})
    assert story.served(layout.DISPATCHED, 1) == [1000, 1200]  # the place is free; the orphan keeps the slot till 1500
    assert story.ends(1) == [(2000, Outcome.OK)]


# --- callers that are proxies --------------------------------------------------------------------------------------


def test_each_calling_instance_keeps_its_own_turn_and_its_own_ejections() -> None:
    """Two instances of front call four targets in turn: each begins with the first."""
    plan = make_plan(
        populations=[population("front", arrivals_ns=[1000, 1100, 1200, 1300])],
        services=[
            service("front", per_zone={"a": 2}, calls=[call("store")]),
            service("store", per_zone={"a": 2, "b": 2}, work_ns=10, placement=balancing.CALLER),
        ],
    )
    story = play(plan, 2000)
    started = story.recording.zones[:, 1, :, layout.CPU].sum(axis=0) / 1024
    assert started.tolist() == [40, 0]  # targets 1 and 2, of each caller; both in zone a
    regional = make_plan(
        populations=[population("front", arrivals_ns=[1000, 1100, 1200, 1300])],
        services=[
            service("front", per_zone={"a": 2}, calls=[call("store")]),
            service("store", per_zone={"a": 2, "b": 2}, work_ns=10, slow_start_ns=1),
        ],
    )
    zones = play(regional, 2000).recording.zones[:, 1, :, layout.CPU].sum(axis=0) / 1024
    assert zones.tolist() == [20, 20]


@pytest.mark.parametrize(("placement", "later"), [(balancing.CALLER, 1), (balancing.REGIONAL, 0)])
def test_a_callers_timeout_is_held_against_the_target_by_the_caller_alone(placement: int, later: int) -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 2000], timeout_ns=100)],
        services=[
            service(
                per_zone={"a": 1, "b": 1},
                work_ns=500,
                algorithm=balancing.ROUND_ROBIN,
                placement=placement,
                outliers=outliers.CONSECUTIVE,
                outlier_on=(Outcome.TIMEOUT,),
                outlier_share=0.5,
                locality_targets=1,
            )
        ],
    )
    seen: list[bool] = []

    def look(plane: Any) -> None:
        standings = plane._balancers[0].proxies[0].standings.values()
        seen.append(any(standing.ejected_until_ns > 0 for standing in standings))

    play(plan, 3000, {1500: look})
    assert seen == [later == 1]


def test_a_restarted_caller_knows_nothing() -> None:
    world = envoy(outlier_errors=1)
    world.at(1 * S).answer(0, Outcome.ERROR)
    world.proxy.dispatched(world.targets[0])
    world.proxy.forget()
    assert not world.out(0)
    assert world.proxy.standings[world.targets[0]].pending == 1


def test_the_clock_of_a_world_moves() -> None:
    """The helper above would hide a proxy that ignores time."""
    world = World()
    assert (world.clock.now_ns, world.at(5).clock.now_ns) == (0, 5)
    assert Kind.WAIT_TIMEOUT > Kind.DELIVERY
    assert BALANCING_DEFAULTS["per_target"] == INFINITE
