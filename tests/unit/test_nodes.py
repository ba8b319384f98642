"""Nodes of a balancer that have work of their own (D109; B1)."""

from __future__ import annotations

import pytest

from azsim.base.errors import ScenarioError
from azsim.base.seeds import NODE, key_hash
from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE, Outcome
from azsim.policy import balancing, distributions
from azsim.policy.distributions import index_below
from azsim.simulation.lower import lower
from tests.plans import KEY, make_plan, population, service
from tests.story import ONE, Story, play
from tests.unit.test_lower import MS, scenario_of


def story_of(arrivals: list[int], timeout_ns: int = INFINITE, nodes: int = 1, queue: int = 9, slots: int = 1) -> Story:
    """Requests through nodes that work 100 ns on each, to a target that takes 10 ns."""
    web = service(per_zone=ONE, slots=9, work_ns=10, nodes=nodes, node_slots=slots, node_work_a=100.0, node_queue=queue)
    return play(make_plan(populations=[population(arrivals_ns=arrivals, timeout_ns=timeout_ns)], services=[web]), 3000)


def test_a_node_serves_one_after_the_other() -> None:
    story = story_of([1000, 1010, 1020])
    assert story.served(layout.DISPATCHED) == [1100, 1200, 1300]
    assert story.ends() == [(1110, Outcome.OK), (1210, Outcome.OK), (1310, Outcome.OK)]


def test_two_slots_serve_two_at_once() -> None:
    assert story_of([1000, 1010, 1020, 1030], slots=2).served(layout.DISPATCHED) == [1100, 1110, 1200, 1210]


def test_a_full_queue_of_a_node_answers_overload_at_once() -> None:
    story = story_of([1000, 1010, 1020, 1110], queue=1)
    # One works, one waits, the third is turned away; at 1100 the second's turn comes, so there is room again.
    assert story.ends() == [(1020, Outcome.OVERLOAD), (1110, Outcome.OK), (1210, Outcome.OK), (1310, Outcome.OK)]


def test_a_node_works_on_for_those_who_have_gone() -> None:
    """The second's caller leaves at 1140, before its turn is over; the third still has to wait for it."""
    story = story_of([1000, 1010, 1180], timeout_ns=130)
    assert story.ends() == [(1110, Outcome.OK), (1140, Outcome.TIMEOUT), (1310, Outcome.OK)]
    # Dispatched are the first, and the third when its turn is over at 1300; not the one that had gone.
    assert story.served(layout.DISPATCHED) == [1100, 1300]


def test_several_nodes_share_the_requests_by_key() -> None:
    arrivals = [1000] * 8
    drawn = [index_below(key_hash(KEY, request, 0, 16, NODE), 2) for request in range(8)]
    expected = sorted(1000 + 100 * k for node in (0, 1) for k in range(1, drawn.count(node) + 1))
    assert 0 < sum(drawn) < 8
    assert story_of(arrivals, nodes=2).served(layout.DISPATCHED) == expected


def test_a_reset_empties_the_nodes() -> None:
    web = service(per_zone=ONE, work_ns=10, node_slots=1, node_work_a=1000.0, node_queue=9)
    plan = make_plan(populations=[population(arrivals_ns=[1000, 1010, 1500])], services=[web])
    story = play(plan, 4000, {1200: lambda plane: plane.reset()})
    assert story.ends() == [(1200, Outcome.CANCELLED), (1200, Outcome.CANCELLED), (2510, Outcome.OK)]


def test_every_node_keeps_its_own_turn() -> None:
    """Two nodes in turn over two targets: each begins with the first."""
    web = service(per_zone={"a": 1, "b": 1}, work_ns=10, nodes=2, algorithm=balancing.ROUND_ROBIN)
    arrivals = [1000 + 100 * k for k in range(6)]
    drawn = [index_below(key_hash(KEY, request, 0, 16, NODE), 2) for request in range(6)]
    seen = [0, 0]
    expected = [0, 0]
    for node in drawn:
        expected[seen[node] % 2] += 10
        seen[node] += 1
    recording = play(make_plan(populations=[population(arrivals_ns=arrivals)], services=[web]), 3000).recording
    assert (recording.zones[:, 0, :, layout.CPU].sum(axis=0) / 1024).tolist() == expected


def test_nodes_are_lowered() -> None:
    node = {"slots": 4, "work": {"distribution": "exponential", "mean": "2ms"}, "queue": 7}
    plan = lower(scenario_of(**{"services.front.balancer.node": node, "services.front.balancer.nodes": 3}), 1)
    assert plan.rich
    row = plan.balancing[0]
    assert (row["proxied"], row["proxies_count"]) == (1, 3)
    assert (row["node_slots"], row["node_queue"], row["node_work"]) == (4, 7, distributions.EXPONENTIAL)
    assert row["node_work_a"] == 2 * MS


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"placement": "caller", "nodes": 2}, "part of its callers"),
        (
            {"node": {"work": {"distribution": "empirical", "values": ["1ms"]}}},
            "not measured values",
        ),
        ({"node": {"work": {"distribution": "constant", "mean": "0s"}}}, "more than 0"),
    ],
)
def test_nodes_that_cannot_be_are_refused(changes: dict[str, object], rule: str) -> None:
    with pytest.raises(ScenarioError, match=rule):
        scenario_of(**{"services.front.balancer": changes})
