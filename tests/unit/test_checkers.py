"""Several independent checkers, and fail-open by share and by count (D107, D108; H2, B4)."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.base.errors import ScenarioError
from azsim.base.seeds import PHASE, key_hash
from azsim.dataplane.codes import InstanceState
from azsim.policy.balancing import NEVER_OPEN, fails_open
from azsim.policy.distributions import unit
from azsim.policy.thresholds import enough_hold_it_healthy
from azsim.simulation.lower import lower
from tests.plans import KEY, make_plan, population, service
from tests.story import ONE, Story, play, state
from tests.unit.test_lower import scenario_of

INTERVAL = 100


@pytest.mark.parametrize(
    ("healthy", "checkers", "need", "counts"),
    [
        (3, 15, 0.18, True),  # Route 53: 3 of 15 are 20%
        (2, 15, 0.18, False),  # 13.3%
        (18, 100, 0.18, False),  # more than, not as many as
        (19, 100, 0.18, True),
        (1, 1, 0.18, True),
        (0, 1, 0.18, False),
        (1, 3, 0.0, True),
        (2, 3, 0.5, True),
        (1, 2, 0.5, False),
    ],
)
def test_a_target_is_healthy_while_enough_checkers_say_so(
    healthy: int, checkers: int, need: float, counts: bool
) -> None:
    assert enough_hold_it_healthy(healthy, checkers, need) is counts


def checked(checkers: int, need: float, control: dict[int, Any], until_ns: int = 3000, **given: Any) -> Story:
    health: dict[str, Any] = {"health": 1, "interval_ns": INTERVAL, "probe_timeout_ns": 50, "phase_ns": -1}
    web = service(per_zone=ONE, checkers=checkers, checkers_need=need, **(health | given))
    plan = make_plan(populations=[population(arrivals_ns=[1])], services=[web], same_zone_ns=10)
    return play(plan, until_ns, control)


def phase(checker: int) -> int:
    """When a checker's first probe of instance 0 starts."""
    return int(unit(key_hash(KEY, -1, checker, 0, PHASE)) * INTERVAL)


def first_beat(checker: int, from_ns: int) -> int:
    """The first probe of a checker that is delivered, after 10 ns, at from_ns or later."""
    t_ns = phase(checker)
    while t_ns + 10 < from_ns:
        t_ns += INTERVAL
    return t_ns


def test_down_waits_for_nearly_all_checkers_and_up_for_the_first_few() -> None:
    """Ten checkers, healthy above 18%: down with the ninth to see it, up again with the second."""
    control = {1000: state(InstanceState.CRASHED), 2000: state(InstanceState.UP)}
    story = checked(10, 0.18, control)
    down = sorted(first_beat(checker, 1000) for checker in range(10))
    up = sorted(first_beat(checker, 2000) for checker in range(10))
    assert len(set(down)) > 5, "phases are spread"
    # The answer takes 10 ns there and 10 ns back.
    assert [(notice.t_ns, notice.healthy) for notice in story.notices] == [(down[8] + 20, False), (up[1] + 20, True)]


def test_each_checker_counts_for_itself() -> None:
    """With a threshold of two, both checkers must fail twice, each by its own probes."""
    story = checked(2, 0.0, {1000: state(InstanceState.CRASHED)}, unhealthy_after=2)
    last = max(first_beat(checker, 1000) for checker in range(2)) + INTERVAL + 20
    assert [(notice.t_ns, notice.healthy) for notice in story.notices] == [(last, False)]


def test_a_reset_drops_every_checkers_probe_in_flight() -> None:
    """A paused target answers nobody; the probes under way at the reset count as neither."""
    control = {1000: state(InstanceState.PAUSED), 1000 + INTERVAL // 2: lambda plane: plane.reset()}
    # Each checker's first lost probe started in (980, 1080]; a reset at 1050 takes those of up to then.
    first = [first_beat(checker, 1000) for checker in range(3)]
    kept = [t_ns if t_ns >= 1050 or t_ns + 50 < 1050 else t_ns + INTERVAL for t_ns in first]
    assert kept != first, "some are in flight"
    assert [notice.t_ns for notice in checked(3, 0.0, control).notices] == [max(kept) + 50]


@pytest.mark.parametrize(
    ("healthy", "total", "opens"),
    [
        (14, 20, False),  # ALB's example, cross-zone: 70% of the whole group
        (4, 10, True),  # the same zone by itself: 40%
        (10, 20, False),
        (9, 20, True),
    ],
)
def test_a_threshold_of_half_over_a_group_and_over_a_zone(healthy: int, total: int, opens: bool) -> None:
    assert fails_open(healthy, total, 0.5, 0) is opens


@pytest.mark.parametrize("total", [1, 3, 1000])
def test_a_count_opens_below_it_whatever_the_number_of_targets(total: int) -> None:
    for fewer_than in range(1, total + 1):
        opens = [healthy for healthy in range(total + 1) if fails_open(healthy, total, 0.0, fewer_than)]
        assert opens == list(range(fewer_than))


def test_of_share_and_count_either_breach_acts() -> None:
    assert fails_open(4, 10, 0.5, 2)  # 40%
    assert not fails_open(5, 10, 0.5, 2)
    assert fails_open(1, 2, 0.5, 2)  # 50%, but fewer than 2
    assert not fails_open(2, 2, 0.5, 2)


def test_none_healthy_opens_whatever_is_said_but_never() -> None:
    assert fails_open(0, 5, 0.0, 0)
    assert not fails_open(1, 5, 0.0, 0)
    assert not fails_open(0, 5, NEVER_OPEN, 0)


def test_checkers_are_lowered() -> None:
    health = {"interval": "30s", "timeout": "4s", "checkers": {"count": 15, "need": "18%"}}
    plan = lower(scenario_of(**{"services.front.balancer.health": health}), 1)
    assert plan.rich
    assert plan.services["checkers"].tolist() == [15, 1]
    assert plan.services["checkers_need"].tolist() == [0.18, 0.0]


@pytest.mark.parametrize(
    ("fail_open", "below", "fewer_than"),
    [
        ("all-unhealthy", 0.0, 0),
        ("never", NEVER_OPEN, 0),
        ({"below": "50%"}, 0.5, 0),
        ({"fewer_than": 2}, 0.0, 2),
        ({"below": "40%", "fewer_than": 3}, 0.4, 3),
    ],
)
def test_fail_open_is_lowered(fail_open: Any, below: float, fewer_than: int) -> None:
    plan = lower(scenario_of(**{"services.front.balancer.health": {"fail_open": fail_open}}), 1)
    row = plan.services[0]
    assert (row["fail_open_below"], row["fail_open_fewer"]) == (below, fewer_than)


def test_fail_open_below_nothing_is_refused() -> None:
    with pytest.raises(ScenarioError, match="below which share or number"):
        scenario_of(**{"services.front.balancer.health.fail_open": {}})
