"""What brings a system down is found where it is known."""

from __future__ import annotations

from itertools import pairwise

import pytest

from azsim.study.collector import Collector
from azsim.study.executors import workers
from azsim.study.explain import EXACT_MAX, ExplainError, Explanation, explain
from azsim.study.row import Row
from azsim.study.store import Store
from azsim.study.switches import mechanisms, triggers, without
from azsim.study.task import Task, run_task, scenario_of
from tests.small import scenario
from tests.study.fake import row
from tests.study.storm import storm


def explained(one: object, run: object = run_task, **options: int) -> Explanation:
    with Collector(Store(), workers(1), run) as collector:  # type: ignore[arg-type]
        return explain(one, collector, **options)  # type: ignore[arg-type]


def test_retries_are_necessary_in_a_retry_storm() -> None:
    found = explained(storm(), replicates=3)
    assert found.down == 1.0
    parts = {part.name: part for part in found.parts}
    assert parts["retries of shoppers"].necessary
    assert ("retries of shoppers",) in found.cures
    assert parts["retries of shoppers"].shapley is not None
    assert (parts["retries of shoppers"].shapley.best or 0) > 0.2
    # Without either of its faults nothing would have happened.
    assert parts["fault spike"].necessary
    assert parts["fault loss"].necessary
    # Without health checks a third of the requests goes to a zone that is not there.
    assert not parts["health ejection of web"].necessary
    # Efficiency: the shares sum to what all mechanisms together do.
    total = sum(part.shapley.best or 0.0 for part in found.parts if part.shapley is not None)
    assert total == pytest.approx(found.down - found.down_bare)


def run_game(task: Task) -> Row:
    """A system that goes down if it retries and keeps long queues, or if it does not eject what is lost."""
    one = scenario_of(task.text)
    shoppers, web = one.traffic["shoppers"], one.services["web"]
    long = web.queue == "unbounded" or web.queue >= 60
    down = (shoppers.retry is not None and long) or web.balancer.health is None
    return row(task.digest, task.replicate, code_version=task.key[2], verdict="collapse" if down else "degraded")


def test_shapley_values_are_those_of_the_game() -> None:
    """With r(etries), q(ueue), e(jection): v = 1 where e is off, or r and q are on. Of six orders e joins last, after
    both, in two and gains 0, else -1; r and q gain 1 where they join last, in two orders each.
    """
    found = explained(scenario(), run_game, replicates=1)
    best = {part.name: part.shapley.best for part in found.parts if part.shapley is not None}
    assert best["retries of shoppers"] == pytest.approx(1 / 3)
    assert best["long queue of web"] == pytest.approx(1 / 3)
    assert best["health ejection of web"] == pytest.approx(-2 / 3)
    assert best["cross-zone sending to web"] == pytest.approx(0)
    assert set(found.cures) == {("retries of shoppers",), ("long queue of web",)}
    assert found.exact


def test_drawn_orders_agree_with_all_subsets(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = explained(scenario(), run_game, replicates=30)
    monkeypatch.setattr("azsim.study.explain.EXACT_MAX", 1)
    drawn = explained(scenario(), run_game, replicates=30)
    assert exact.exact
    assert not drawn.exact
    truth = {part.name: part.shapley.best for part in exact.parts if part.shapley is not None}
    for part in drawn.parts:
        if part.shapley is not None:
            # 60 orders of values in -1..1: a standard error of at most 0.13, here with a margin of five.
            assert part.shapley.best == pytest.approx(truth[part.name], abs=0.5)
    total = sum(part.shapley.best or 0.0 for part in drawn.parts if part.shapley is not None)
    assert total == pytest.approx(drawn.down - drawn.down_bare)


def test_a_system_that_stays_up_has_nothing_to_explain() -> None:
    with pytest.raises(ExplainError, match="stays up in all of 2"):
        explained(scenario(), replicates=2)


def test_where_nothing_cures_that_is_told() -> None:
    from rich.console import Console

    from azsim.report.explanation import picture, table

    def doomed(task: Task) -> Row:
        return row(task.digest, task.replicate, code_version=task.key[2], verdict="outage")

    found = explained(scenario(), doomed, replicates=2)
    assert found.cures == ()
    assert not any(part.necessary or part.sufficient for part in found.parts)
    console = Console(width=100, record=True)
    console.print(table(found))
    assert "No cure" in console.export_text()
    assert len(picture(found).axes) == 1


def test_every_switch_changes_the_scenario_and_they_go_together() -> None:
    one = storm(
        **{
            "services.web.boot": "2s",
            "services.web.warmup": {"slowdown": 2, "for": "5s"},
            "traffic.shoppers.breaker": {"kind": "consecutive", "failures": 5, "open": "5s"},
        }
    )
    switches = [*mechanisms(one), *triggers(one)]
    assert {switch.name for switch in switches} == {
        "retries of shoppers",
        "breaker of shoppers",
        "orphans kept by web",
        "long queue of web",
        "health ejection of web",
        "cross-zone sending to web",
        "cold start of web",
        "fault loss",
        "fault spike",
    }
    digests = {without(one, [switch]).digest for switch in switches}
    assert len(digests | {one.digest}) == len(switches) + 1
    chain = [without(one, switches[:i]) for i in range(len(switches) + 1)]
    assert all(later != earlier for earlier, later in pairwise(chain))
    assert not chain[-1].faults
    assert len(switches) > EXACT_MAX
