"""Kernel and reference agree event for event: equal counts, rows and latencies on generated worlds (C6)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azsim.dataplane.codes import InstanceState, Outcome
from azsim.dataplane.kernel import Kernel
from azsim.dataplane.reference import Reference
from azsim.policy import balancing, retry
from tests.plans import MS, make_plan, population, service
from tests.twin.drawing import FEATURES
from tests.twin.worlds import END_NS, Action, World, differences, note_what_happened, run_world, worlds

FEATURE_DRAWS_MIN = 20  # of each, in the long run
RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def agree(world: World) -> None:
    """The reference and the kernel, on the world's smallest variant and on the largest, tell the same story."""
    expected, expected_notices = run_world(world, Reference(world.plan))
    note_what_happened(expected)
    recording, notices = run_world(world, Kernel(world.plan))
    assert notices == expected_notices
    assert differences(recording, expected) == []
    largest, largest_notices = run_world(world, Kernel(world.plan, variant="full"))
    assert largest_notices == expected_notices
    assert differences(largest, expected) == []


@settings(max_examples=220, deadline=None, suppress_health_check=RELAXED)
@given(worlds())
def test_full_kernel_equals_reference(world: World) -> None:
    agree(world)


@settings(max_examples=80, deadline=None, suppress_health_check=RELAXED)
@given(worlds(full=False))
def test_lean_kernel_equals_reference(world: World) -> None:
    agree(world)


@settings(max_examples=60, deadline=None, suppress_health_check=RELAXED)
@given(worlds(), st.lists(st.integers(1, END_NS - 1), max_size=20))
def test_chunks_do_not_matter(world: World, chunks: list[int]) -> None:
    """C5: advancing to a and then to b equals advancing to b."""
    whole = run_world(world, Kernel(world.plan))
    pieces = run_world(world, Kernel(world.plan), tuple(chunks))
    assert whole[1] == pieces[1]
    assert differences(whole[0], pieces[0]) == []


@pytest.mark.long
def test_full_kernel_equals_reference_on_thousands() -> None:
    """And these have everything in them, each thing often enough that its disagreement would have shown."""

    @settings(max_examples=4000, deadline=None, suppress_health_check=RELAXED)
    @given(worlds())
    def all_agree(world: World) -> None:
        agree(world)

    before = FEATURES.copy()
    all_agree()
    drawn = {name: count - before[name] for name, count in FEATURES.items()}
    rare = {name: count for name, count in drawn.items() if count < FEATURE_DRAWS_MIN}
    assert rare == {}, "make them likelier in worlds.py"


def test_work_that_a_crash_has_answered_does_not_complete() -> None:
    """The reset is still under way when the work would have been done: 1 ms + 0.5 ms + 1.5 ms."""
    plan = make_plan(
        populations=[population(arrivals_ns=[MS], places={"a": 1.0})],
        services=[service(per_zone={"b": 1}, work_ns=1.5 * MS)],
        cross_zone_ns=MS // 2,
        shared_cpu=False,
    )
    crash = Action(2_900_000, "set_instance_state", (0, InstanceState.CRASHED, 0))
    agree(World(plan, (crash,), ()))


def test_a_call_knows_nothing_of_the_targets_of_calls_before_it() -> None:
    """Its first attempt has found no target; the second avoids none, though the record was another call's."""
    refused = [Outcome.NO_TARGET]
    clients = {"attempts": 2, "retry_on": refused, "backoff": retry.NO_JITTER}
    clients |= {"backoff_base_ns": 2 * MS, "backoff_cap_ns": 2 * MS}
    plan = make_plan(
        populations=[population(arrivals_ns=[MS, 2 * MS, 20 * MS], avoid_previous=1, **clients)],
        services=[service(per_zone={"a": 1, "b": 1}, work_ns=4 * MS, fail_open_below=balancing.NEVER_OPEN)],
    )
    gone = [Action(19 * MS, "set_view", (i, False)) for i in (0, 1)]
    back = [Action(21 * MS, "set_view", (i, True)) for i in (0, 1)]
    # The first call, on target 1, ends last, so that its record is the first to be used again.
    slow = [Action(MS // 2, "set_latency", (0, MS))]
    agree(World(plan, (*slow, *gone, *back), ()))


def test_features_were_drawn() -> None:
    """The table of what the worlds above contained (run with -s to read it)."""
    if not FEATURES:
        pytest.skip("no twin test ran in this process")
    print()
    for name, count in sorted(FEATURES.items()):
        print(f"{name:<32}{count:>8}")
