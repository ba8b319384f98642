"""What replays are made, and what is read from them (J4, J13). The runs themselves are faked or tiny."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from azsim.dataplane.codes import Outcome
from azsim.dataplane.layout import STARTED_FAILED, STARTED_SUCCEEDED
from azsim.scenario import Scenario
from azsim.simulation import replay, result
from azsim.simulation.mechanisms import caller_timeout_ns, mechanisms, place_time_ns, slot_time_ns
from azsim.simulation.replay import REPLAYS_MAX, ResetSpan, holds_within, reset_span
from azsim.simulation.run import simulate
from azsim.simulation.trace import Trace
from azsim.simulation.verdict import State

S = 1_000_000_000


def span(reset_s: float, edges_s: tuple[float, ...] = (), within_s: float = 60, window_s: float = 10) -> ResetSpan:
    return reset_span(
        round(reset_s * S),
        [round(edge * S) for edge in edges_s],
        recover_within_ns=round(within_s * S),
        window_ns=round(window_s * S),
        lead_ns=2 * S,
    )


def test_the_level_is_judged_in_the_second_half() -> None:
    assert span(100) == ResetSpan(130 * S, 160 * S)
    assert span(100, (90, 100, 200)) == ResetSpan(130 * S, 160 * S)  # edges that are over, or later


def test_a_fault_edge_cuts_it_short_unless_nothing_is_left() -> None:
    assert span(100, (150, 155)) == ResetSpan(124 * S, 148 * S)
    assert span(100, (142,)) == ResetSpan(120 * S, 140 * S)
    assert span(100, (141,)) == ResetSpan(130 * S, 160 * S)  # less than four windows


def test_no_window_reaches_back_before_the_reset() -> None:
    # recover_within of a window and a half is too short for its second half.
    assert span(100, within_s=15) == ResetSpan(110 * S, 120 * S)


@pytest.mark.parametrize(
    ("states", "holds"),
    [
        ([1, 1, 1, 0, 0, 0], True),
        ([0, 0, 0, 0, 1, 0], False),
        ([1, 1, 1, 2, 0, 2], True),
        ([0, 0, 0, 2, 2, 2], False),  # nothing is shown
    ],
)
def test_holding_means_no_broken_window(states: list[int], holds: bool) -> None:
    level = np.array(states, np.int8)
    assert holds_within(np.arange(10, 16), level, ResetSpan(12 * S, 15 * S)) is holds
    assert State.BROKEN == 1


def scenario(**changes: Any) -> Scenario:
    """Two tiers, calm: 10 requests a second into room for 100."""
    base = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "two-tiers",
            "duration": "20s",
            "zones": ["a", "b"],
            "traffic": {
                "shoppers": {"to": "web", "rate": "10/s", "clients": 4, "timeout": "2s", "retry": {"attempts": 3}}
            },
            "services": {
                "web": {
                    "slots": 4,
                    "cores": 2,
                    "queue": 1000,
                    "work": {"distribution": "constant", "mean": "10ms"},
                    "overrides": {"b": {"queue": 4, "drop_expired": True}},
                    "balancer": {"health": {"interval": "1s", "timeout": "500ms"}},
                    "calls": [{"to": "stock", "timeout": "1s", "retry": {"attempts": 2}}],
                },
                "stock": {"slots": 2, "queue": "unbounded", "work": {"distribution": "constant", "mean": "50ms"}},
            },
            "faults": [{"id": "loss", "at": "10s", "for": "5s", "zone_loss": {"zone": "b"}}],
            "hypothesis": {"window": "2s", "recover_within": "4s"},
        }
    )
    return base.with_(changes) if changes else base


def trace_of(given: Scenario, **more: Any) -> Trace:
    return simulate(given, engine="reference", **more)


def test_the_mechanisms_of_a_scenario() -> None:
    found = {mechanism.name: mechanism.changes for mechanism in mechanisms(trace_of(scenario()))}
    assert list(found) == [
        "retries off",
        "retry budget 10%",
        "orphans dropped",
        "queues shorter than the timeout",
        "health ejection off",
    ]
    assert found["retries off"] == {"traffic.shoppers.retry": "none", "services.web.calls.stock.retry": "none"}
    budget = found["retry budget 10%"]["traffic.shoppers.retry.budget"]
    assert (budget["cost"], budget["deposit"], budget["deposit_on"]) == (1, 0.1, "request")
    assert budget["capacity"] == 1.0  # a tenth of 2.5 requests a second and client, but at least one retry
    assert found["orphans dropped"] == {"services.web.drop_expired": True, "services.stock.drop_expired": True}
    # web: 10 ms of work on 2 cores, but 60 ms of a slot of 4: 15 ms a place, 1 s allowed. stock: 25 ms, 0.5 s.
    assert found["queues shorter than the timeout"] == {"services.web.queue": 66, "services.stock.queue": 20}
    assert found["health ejection off"] == {"services.web.balancer.health": "none"}


def test_a_budget_saves_up_a_tenth_of_a_second() -> None:
    busy = scenario(**{"traffic.shoppers.rate": "100/s", "traffic.shoppers.clients": 1})
    budget = mechanisms(trace_of(busy))[1].changes["traffic.shoppers.retry.budget"]
    assert budget["capacity"] == 10.0


def test_only_what_would_change_something_is_a_mechanism() -> None:
    calm = scenario(
        **{
            "traffic.shoppers.retry": "none",
            "services.web.calls.stock.retry": "none",
            "services.web.drop_expired": True,
            "services.stock.drop_expired": True,
            "services.web.queue": 3,
            "services.stock.queue": 3,
            "services.web.balancer.health": "none",
        }
    )
    assert mechanisms(trace_of(calm)) == []


def test_every_mechanism_makes_a_valid_scenario() -> None:
    given = scenario()
    for mechanism in mechanisms(trace_of(given)):
        assert given.with_(mechanism.changes).digest != given.digest, mechanism.name


def test_the_wait_behind_a_place() -> None:
    plan = trace_of(scenario()).plan
    web, stock = (plan.service_names.index(name) for name in ("web", "stock"))
    assert caller_timeout_ns(plan, web) == 2 * S
    assert caller_timeout_ns(plan, stock) == 1 * S
    assert slot_time_ns(plan, web) == pytest.approx(60e6)
    assert place_time_ns(plan, stock, slots=2, cores=2.0) == pytest.approx(25e6)
    assert place_time_ns(plan, web, slots=100, cores=2.0) == pytest.approx(5e6)  # here the cores are what is short


class Fake:
    """`simulate` that gives the healthy trace where a reset or a change helps, and remembers what it was asked for."""

    def __init__(
        self, healthy: Trace, broken: Trace, *, reset_helps: tuple[float, ...] = (), cure: dict[str, Any] | None = None
    ) -> None:
        self.healthy, self.broken = healthy, broken
        self.reset_helps_ns = [round(t * S) for t in reset_helps]
        self.cured = None if cure is None else healthy.scenario.with_(cure)
        self.asked: list[dict[str, Any]] = []

    def __call__(self, given: Scenario, **asked: Any) -> Trace:
        self.asked.append(asked)
        helps = asked["reset_at_ns"] in self.reset_helps_ns if "reset_at_ns" in asked else given == self.cured
        return self.healthy if helps else self.broken


HEALTH_OFF = {"services.web.balancer.health": "none"}


@pytest.fixture(scope="module")
def healthy() -> Trace:
    """A run long enough for every replay, with nothing wrong in it."""
    return trace_of(scenario(), until_ns=40 * S)


@pytest.fixture(scope="module")
def broken(healthy: Trace) -> Trace:
    """The same, but every request from 10 s on has failed."""
    recording = trace_of(scenario(), until_ns=40 * S).recording
    late = recording.start_ns >= 10 * S
    rows = recording.populations[late]
    rows[..., STARTED_FAILED + Outcome.TIMEOUT] += rows[..., STARTED_SUCCEEDED]
    rows[..., STARTED_SUCCEEDED] = 0
    recording.populations[late] = rows
    recording.latency[late] = 0
    return replace(healthy, recording=recording)


def test_collapse_is_proven_by_a_reset(healthy: Trace, broken: Trace) -> None:
    # The fault ends at 15 s and is lasting (over 4 s): deadlines at 14 s and 19 s.
    fake = Fake(healthy, broken, reset_helps=(19.0,), cure=HEALTH_OFF)
    judged = result.build(broken)
    assert (judged.verdict, judged.metastable, judged.hypothesis) == ("collapse", None, "falsified")
    found = replay.investigate(judged, broken, fake)
    assert (found.verdict, found.metastable, found.hypothesis) == ("collapse", True, "falsified")
    assert [one["mechanism"] for one in found.sustained_by] == ["health ejection off"]
    assert [one["change"] for one in found.replays if one["skipped"] is None] == [
        "reset, retries off",
        "reset, retries on",
        "retries off",
        "retry budget 10%",
        "orphans dropped",
        "queues shorter than the timeout",
        "health ejection off",
    ]
    assert len(fake.asked) == REPLAYS_MAX
    assert (fake.asked[0]["retries_off_from_ns"], fake.asked[1]["retries_off_from_ns"]) == (19 * S, None)
    assert fake.asked[0]["until_ns"] > 23 * S, "judged until 19 + 4 s, and until those requests have ended"
    assert {one["seed"] for one in fake.asked} == {1}


def test_without_replays_only_the_verdict_is_settled(healthy: Trace, broken: Trace) -> None:
    fake = Fake(healthy, broken, reset_helps=(19.0,))
    found = replay.investigate(result.build(broken), broken, fake, replays=False)
    assert (found.verdict, found.metastable, found.sustained_by, len(fake.asked)) == ("collapse", None, [], 1)


@pytest.mark.parametrize(
    ("after", "metastable", "cures", "told"),
    [
        (0, None, [], "whether capacity was enough is not shown"),
        (1, None, [], "emptied once, the same load is served"),
        (2, True, [], "two states under one load"),
        (3, True, ["retries off"], "two states under one load"),
    ],
)
def test_an_interrupt_keeps_what_is_known(
    after: int, metastable: bool | None, cures: list[str], told: str, healthy: Trace, broken: Trace
) -> None:
    class Stopped(Fake):
        def __call__(self, given: Scenario, **asked: Any) -> Trace:
            if len(self.asked) == after:
                raise KeyboardInterrupt
            return super().__call__(given, **asked)

    retries_off = {"traffic.shoppers.retry": "none", "services.web.calls.stock.retry": "none"}
    fake = Stopped(healthy, broken, reset_helps=(19.0,), cure=retries_off)
    judged = result.build(broken)
    with pytest.raises(replay.Interrupted) as stopped:
        replay.investigate(judged, broken, fake)
    found = stopped.value.result
    assert (found.verdict, found.metastable, found.hypothesis) == ("collapse", metastable, "falsified")
    assert [one["mechanism"] for one in found.sustained_by] == cures
    assert [one["skipped"] for one in found.replays] == [None] * after + ["interrupted"]
    assert any(told in one["text"] for one in found.conclusions)
    assert found.timeline_lists == judged.timeline_lists


def test_an_outage_is_what_no_reset_helps(healthy: Trace, broken: Trace) -> None:
    fake = Fake(healthy, broken)
    found = replay.investigate(result.build(broken), broken, fake)
    assert (found.verdict, found.metastable, found.sustained_by) == ("outage", False, [])
    assert [(one["change"], one["reset_at_s"]) for one in found.replays] == [
        ("reset, retries off", 19.0),
        ("reset, retries off", 14.0),
        ("reset, retries off, all in rotation", 19.0),  # the zone is back at 15 s, its instance in rotation only later
    ]
    assert any("which can serve" in one["text"] for one in found.conclusions)


def test_targets_that_checks_ejected_are_capacity(healthy: Trace, broken: Trace) -> None:
    web_a = broken.plan.instance_names.index("web-a-1")
    web_b = broken.plan.instance_names.index("web-b-1")

    def asked_with(*changes: tuple[int, int, bool]) -> list[int | None]:
        fake = Fake(healthy, broken)
        run = replace(broken, view_changes=changes)
        assert replay.investigate(result.build(run), run, fake).verdict == "outage"
        return [one.get("rejoin_at_ns") for one in fake.asked]

    assert asked_with((18 * S, web_a, False)) == [None, None, 19 * S]
    assert asked_with((12 * S, web_a, False)) == [None, None, 19 * S, 14 * S]
    assert asked_with((12 * S, web_a, False), (13 * S, web_a, True)) == [None, None]
    assert asked_with((11 * S, web_b, False), (15 * S, web_b, True)) == [None, None]  # its zone is lost

    class Rejoining(Fake):
        def __call__(self, given: Scenario, **asked: Any) -> Trace:
            self.asked.append(asked)
            return self.healthy if "rejoin_at_ns" in asked else self.broken

    run = replace(broken, view_changes=((18 * S, web_a, False),))
    found = replay.investigate(result.build(run), run, Rejoining(healthy, broken))
    assert (found.verdict, found.metastable) == ("collapse", True)
    assert [one["change"] for one in found.replays if one["recovers"]] == [
        "reset, retries off, all in rotation",
        "reset, retries on, all in rotation",
    ]
    assert any("all in rotation, the same load is served" in one["text"] for one in found.conclusions)


def test_rejoining_in_a_run(healthy: Trace) -> None:
    def back_ns(**more: Any) -> int:
        run = trace_of(scenario(), until_ns=40 * S, **more)
        return next(t_ns for t_ns, _, healthy in run.view_changes if healthy)

    by_itself_ns = next(t_ns for t_ns, _, healthy in healthy.view_changes if healthy)
    assert back_ns(rejoin_at_ns=round(15.2 * S)) == round(15.2 * S) < by_itself_ns
    assert back_ns(rejoin_at_ns=13 * S) == by_itself_ns, "what a fault has taken does not rejoin"


def test_a_collapse_at_the_first_deadline_alone_counts(healthy: Trace, broken: Trace) -> None:
    fake = Fake(healthy, broken, reset_helps=(14.0,))
    found = replay.investigate(result.build(broken), broken, fake)
    assert found.verdict == "collapse"
    skipped = [one for one in found.replays if one["skipped"] is not None]
    assert [one["change"] for one in skipped] == ["health ejection off"], "the eighth replay is left out, and said so"
    assert len(fake.asked) == REPLAYS_MAX


def test_a_run_that_holds_needs_no_replay(healthy: Trace, broken: Trace) -> None:
    calm = result.build(healthy)
    fake = Fake(healthy, broken)
    assert replay.investigate(calm, healthy, fake) is calm
    assert fake.asked == []


def test_a_fault_that_would_end_after_the_run_does_not_end_inside_the_judged_time(
    healthy: Trace, broken: Trace
) -> None:
    longer = {
        "faults.loss.for": "20s",
        "hypothesis.recover_within": "12s",
        "hypothesis.window": "1s",
        "duration": "24s",
    }
    given = scenario(**longer, **{"services.web.balancer.health": "none"})
    down = replace(broken, scenario=given, faults=(replace(broken.faults[0], end_ns=None),))
    fake = Fake(healthy, broken)
    replay.investigate(result.build(down), down, fake)
    # Reset at 22 s; the zone is back at 30 s, which requests of 29 s may meet already; these take 6 s at most.
    assert fake.asked[0] == {
        "seed": 1,
        "replicate": 0,
        "until_ns": 35 * S,
        "reset_at_ns": 22 * S,
        "retries_off_from_ns": 22 * S,
    }
