"""Caches and replicated stores, reckoned by hand. Work takes 100 ns, packets no time unless said."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.policy.caches import FILLS, HIT, PASSES, kept, looked_up
from tests.plans import call, calls_step, make_plan, population, quorum_step, service, work_step
from tests.story import ONE, Control, Story, both, play, state

WEB, DB = 0, 1
ALL = {"a": 1, "b": 1, "c": 1}
ZONES = ("a", "b", "c")
DEAD, UP, CRASHED, PAUSED = InstanceState.DEAD, InstanceState.UP, InstanceState.CRASHED, InstanceState.PAUSED


def cached(arrivals_ns: list[int], steps: Any = None, db: Any = None, **cache: Any) -> Any:
    """Clients ask web, which asks db unless its cache knows; every lookup of a full cache hits."""
    fields = {"cache_entries": 2, "cache_filled": 2, "cache_hit_ratio": 1.0, "cache_kept": 0.0} | cache
    steps = steps or [work_step(), calls_step(call("db", cached=1))]
    return make_plan(
        populations=[population(arrivals_ns=arrivals_ns)],
        services=[
            service(per_zone=ONE, slots=9, work_ns=100, operations={"get": steps}, default="get", **fields),
            service("db", per_zone=ONE, slots=9, work_ns=100, **(db or {})),
        ],
    )


def lookups(story: Story) -> tuple[list[int], list[int]]:
    """When the cache hit and when it missed."""
    return story.served(layout.HITS), story.served(layout.MISSES)


def test_a_hit_spares_the_call() -> None:
    story = play(cached([10, 20]), 1000)
    assert story.latencies() == {10: 100, 20: 100}
    assert lookups(story) == ([110, 120], [])
    assert story.served(layout.SENT, DB) == []


def test_successful_misses_fill_the_cache_and_hits_do_not_depend_on_luck_then() -> None:
    """Empty, each thing missed is there for the next request: two misses fill both entries."""
    arrivals = list(range(10, 4010, 250))
    story = play(cached(arrivals, cache_filled=0), 5000)
    hits, misses = lookups(story)
    assert len(misses) == 2
    assert misses[0] == 110
    assert sorted(hits + misses) == [t + 100 for t in arrivals]
    assert story.served(layout.SENT, DB) == misses
    assert set(story.latencies().values()) == {100, 200}


def test_a_miss_that_fails_leaves_nothing_behind() -> None:
    story = play(cached([10, 300, 600], cache_filled=0), 2000, {1: lambda plane: plane.set_error_share(1, 1.0)})
    assert lookups(story) == ([], [110, 400, 700])


def test_an_answer_that_is_malformed_leaves_nothing_behind() -> None:
    story = play(cached([10, 300, 600], cache_filled=0), 2000, {1: lambda plane: plane.set_malformed_share(0, 1.0)})
    assert lookups(story) == ([], [110, 400, 700])


@pytest.mark.parametrize(("to", "share", "hits"), [(CRASHED, 0.0, 0), (DEAD, 0.0, 0), (PAUSED, 0.0, 2), (DEAD, 1.0, 2)])
def test_what_outlives_a_restart(to: InstanceState, share: float, hits: int) -> None:
    control: dict[int, Control] = {10: state(to), 20: state(UP)}
    story = play(cached([100, 110], cache_kept=share), 1000, control)
    assert [len(found) for found in lookups(story)] == [hits, 2 - hits]


def test_what_is_never_asked_for_again_is_not_kept() -> None:
    assert looked_up(0.4, 0.5, 8, 10) == FILLS
    assert looked_up(0.4, 0.5, 9, 10) == HIT
    assert looked_up(0.5, 0.5, 10, 10) == PASSES
    assert looked_up(0.0, 0.5, 0, 10) == FILLS
    assert [kept(5, 0.0), kept(5, 0.5), kept(5, 1.0)] == [0, 2, 5]


def test_one_lookup_decides_for_all_calls_and_those_not_cached_are_made() -> None:
    """Of two calls at once one is spared; then a step is passed over whole, then work, then a call that is made."""
    steps = [
        calls_step(call("db", cached=1), call("db", cached=0)),
        calls_step(call("db", cached=1)),
        work_step(),
        calls_step(call("db", cached=0)),
    ]
    story = play(cached([10], steps), 1000)
    assert lookups(story) == ([10], [])
    assert story.served(layout.SENT, DB) == [10, 210]
    assert story.latencies() == {10: 300}


def test_a_spared_call_keeps_its_number() -> None:
    """The second call draws the same work whether or not the first one is made (D90)."""
    steps = [calls_step(call("db", cached=1)), calls_step(call("db", cached=0))]
    db = {"work": 1, "work_a": 100.0}
    hit = play(cached([10], steps, db), 5000).amounts(layout.USEFUL, DB)
    both_made = play(cached([10], steps, db, cache_filled=0), 5000).amounts(layout.USEFUL, DB)
    assert list(hit.values()) == list(both_made.values())[1:]


def store(arrivals_ns: list[int], *, lag_ns: int, per_zone: Any = None, writes: bool = True, **population_: Any) -> Any:
    """Clients write straight to a store; who comes from a zone stays there."""
    return make_plan(
        populations=[population("db", arrivals_ns=arrivals_ns, same_zone=1, **population_)],
        services=[
            service(
                "db",
                per_zone=per_zone or ALL,
                slots=9,
                work_ns=100,
                operations={"put": [work_step()]},
                default="put",
                writes=["put"] if writes else [],
                replication_ns=lag_ns,
            )
        ],
        zones=ZONES,
    )


def lost(story: Story) -> list[int]:
    return story.served(layout.LOST)


def test_a_zone_takes_what_it_alone_holds() -> None:
    """Acknowledged at 110, 210, 310, 410; the lag is 150: at 420 those of 310 and 410 are in zone a alone."""
    plan = store([10, 110, 210, 310], lag_ns=150, places={"a": 1.0})
    story = play(plan, 1000, {420: state(DEAD)})
    assert story.served(layout.WRITES) == [110, 210, 310, 410]
    assert lost(story) == [420, 420]


def test_what_is_due_at_that_very_instant_is_safe() -> None:
    plan = store([10], lag_ns=150, places={"a": 1.0})
    assert lost(play(plan, 1000, {260: state(DEAD)})) == []
    assert lost(play(plan, 1000, {259: state(DEAD)})) == [250]


def test_another_zone_s_loss_takes_nothing() -> None:
    plan = store([10, 110], lag_ns=500, places={"a": 1.0})
    assert lost(play(plan, 1000, {300: both(state(DEAD, 1), state(DEAD, 2))})) == []


def test_a_zone_is_lost_with_its_last_instance() -> None:
    plan = store([10], lag_ns=500, per_zone={"a": 2, "b": 1}, places={"a": 1.0})
    story = play(plan, 1000, {200: state(DEAD, 0), 300: state(DEAD, 1)})
    assert lost(story) == [300]


@pytest.mark.parametrize("to", [CRASHED, PAUSED])
def test_a_crash_or_a_pause_loses_nothing(to: InstanceState) -> None:
    assert lost(play(store([10], lag_ns=500, places={"a": 1.0}), 1000, {200: state(to)})) == []


def test_reads_cannot_be_lost() -> None:
    story = play(store([10], lag_ns=500, writes=False, places={"a": 1.0}), 1000, {200: state(DEAD)})
    assert (story.served(layout.WRITES), lost(story)) == ([], [])


def test_with_the_last_zone_all_is_lost() -> None:
    """Both writes are everywhere at 400; b and c go, and then a."""
    control: dict[int, Control] = {400: both(state(DEAD, 1), state(DEAD, 2)), 500: state(DEAD, 0)}
    assert lost(play(store([10, 20], lag_ns=50, places={"a": 1.0}), 1000, control)) == [500, 500]


@pytest.mark.parametrize(("second_ns", "expected"), [(449, [440]), (450, [])])
def test_a_zone_that_is_back_holds_everything_a_lag_later(second_ns: int, expected: list[int]) -> None:
    """b is gone for good; a comes back at 400, and 50 later it has copied all from c, which is lost then."""
    control: dict[int, Control] = {
        300: both(state(DEAD, 0), state(DEAD, 1)),
        400: state(UP, 0),
        second_ns: state(DEAD, 2),
    }
    assert lost(play(store([10], lag_ns=50, places={"a": 1.0}), 1000, control)) == expected


def test_an_acknowledgement_from_the_dead_is_lost_at_once() -> None:
    """The answer of 110 is under way for 50 when zone a dies."""
    plan = make_plan(
        populations=[population("db", arrivals_ns=[10])],
        services=[
            service(
                "db",
                per_zone={"a": 1},
                work_ns=100,
                operations={"put": [work_step()]},
                default="put",
                writes=["put"],
                replication_ns=500,
            )
        ],
        same_zone_ns=50,
    )
    story = play(plan, 1000, {180: state(DEAD)})
    assert story.ends() == [(210, Outcome.OK)]
    assert lost(story) == [210]


def quorum(need: int, **hop: Any) -> Any:
    """web in zone a writes to three zones; db in b takes 200, in c 300."""
    return make_plan(
        populations=[population(arrivals_ns=[10])],
        services=[
            service(
                per_zone=ONE,
                work_ns=0,
                operations={"buy": [quorum_step(call("db", "put", **hop), 3, need)]},
                default="buy",
            ),
            service(
                "db",
                per_zone=ALL,
                work_ns=100,
                overrides={"b": {"work_a": 200.0}, "c": {"work_a": 300.0}},
                operations={"put": [work_step()]},
                writes=["put"],
                replication_ns=500,
            ),
        ],
        zones=ZONES,
    )


@pytest.mark.parametrize(("need", "acknowledged", "expected"), [(1, 110, 1), (2, 210, 0), (3, 310, 0)])
def test_a_quorum_is_one_write_held_by_who_has_answered(need: int, acknowledged: int, expected: int) -> None:
    """Zone a is lost just after the quorum is met: with one answer it alone held the write."""
    story = play(quorum(need), 1000, {acknowledged + 10: state(DEAD, 1)})
    assert story.served(layout.WRITES, DB) == [acknowledged]
    assert len(story.served(layout.LOST, DB)) == expected


def test_a_quorum_that_is_missed_acknowledges_nothing() -> None:
    story = play(quorum(3, timeout_ns=250), 1000)
    assert story.ends() == [(260, Outcome.ERROR)]
    assert story.served(layout.WRITES, DB) == []


def test_an_optional_quorum_that_is_missed_acknowledges_nothing_either() -> None:
    story = play(quorum(3, timeout_ns=250, optional=1), 1000)
    assert story.ends() == [(260, Outcome.OK)]
    assert story.served(layout.WRITES, DB) == []
