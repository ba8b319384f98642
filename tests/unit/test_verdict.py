"""Deadlines and verdicts (J1-J11) from hand-made series of seconds: every verdict, every edge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azsim.base.units import SECOND_NS, Comparison
from azsim.simulation.series import Windows
from azsim.simulation.verdict import (
    WORST_FIRST,
    Judgement,
    State,
    judge,
    level_states,
    rule_states,
    status_of,
    streaks,
    verdict_of,
)

RUN_S = 300
WINDOW_S = 10
WITHIN_S = 60


@dataclass(frozen=True)
class Fault:
    id: str
    start_ns: int
    end_ns: int | None


def fault(start_s: float, end_s: float | None, name: str = "loss") -> Fault:
    return Fault(name, round(start_s * SECOND_NS), None if end_s is None else round(end_s * SECOND_NS))


def judged(
    bad: Iterable[int],
    *faults: Fault,
    run_s: int = RUN_S,
    warmup_s: int = 20,
    unresolved: Iterable[int] = (),
    lead_s: float = 1.0,
) -> Judgement:
    """Judge a run whose seconds are good but for `bad` ones, and those that are not known yet (`unresolved`)."""
    seconds = np.zeros(run_s, np.int8)
    seconds[list(unresolved)] = State.UNJUDGED
    seconds[list(bad)] = State.BROKEN
    end_s = np.arange(warmup_s + WINDOW_S, run_s + 1)
    states = np.zeros(len(end_s), np.int8)
    for i, end in enumerate(end_s):
        window = seconds[end - WINDOW_S : end]
        if (window == State.BROKEN).any():
            states[i] = State.BROKEN
        elif (window == State.UNJUDGED).any():
            states[i] = State.UNJUDGED
    return judge(
        end_s,
        states,
        faults,
        recover_within_ns=WITHIN_S * SECOND_NS,
        window_ns=WINDOW_S * SECOND_NS,
        lead_ns=round(lead_s * SECOND_NS),
        run_end_ns=run_s * SECOND_NS,
    )


def verdict(judgement: Judgement, suffices: bool | None = True, faster_by: float | None = None) -> str:
    return verdict_of(judgement, capacity_suffices=suffices, faster_by=faster_by)


SHORT = fault(100, 130)  # deadline 190
LASTING = fault(100, 200)  # deadlines 160 and 260


@pytest.mark.parametrize(
    ("bad", "faults", "expected"),
    [
        ((), (SHORT,), "no-impact"),
        (range(100, 140), (SHORT,), "degraded"),
        (range(100, 180), (SHORT,), "degraded"),  # the last broken window ends at 189
        (range(100, 181), (SHORT,), "collapse"),  # and here at the deadline itself
        (range(100, 300), (SHORT,), "collapse"),
        (range(100, 150), (LASTING,), "degraded"),
        (range(100, 151), (LASTING,), "collapse"),
        (range(100, 200), (LASTING,), "collapse"),  # the return of the zone heals it too late
        (range(200, 250), (LASTING,), "degraded"),  # only the return breaks it
        (range(200, 251), (LASTING,), "collapse"),
        (range(40, 41), (SHORT,), "invalid"),
        ((), (), "no-impact"),
        (range(40, 41), (), "invalid"),  # without a fault nothing excuses it
    ],
)
def test_one_fault(bad: Iterable[int], faults: tuple[Fault, ...], expected: str) -> None:
    assert verdict(judged(bad, *faults)) == expected


def test_capacity_tells_outage_from_collapse() -> None:
    down = judged(range(100, 300), SHORT)
    assert [verdict(down, suffices) for suffices in (True, False, None)] == ["collapse", "outage", "collapse"]


def test_improved_needs_a_tenth() -> None:
    held = judged((), SHORT)
    assert [verdict(held, faster_by=share) for share in (None, -0.5, 0.099, 0.10)] == [*["no-impact"] * 3, "improved"]
    assert verdict(judged(range(100, 105), SHORT), faster_by=0.5) == "degraded"


def test_every_deadline_of_a_lasting_fault_is_judged() -> None:
    deadlines = judged(range(100, 165), LASTING).deadlines
    assert [(one.t_ns // SECOND_NS, one.since, one.state) for one in deadlines] == [
        (160, "start", State.BROKEN),
        (260, "end", State.HELD),
    ]


def test_a_fault_to_the_end_of_the_run_is_lasting() -> None:
    endless = fault(100, None)
    assert [one.t_ns // SECOND_NS for one in judged((), endless).deadlines] == [160]
    assert verdict(judged(range(100, 300), endless)) == "collapse"
    assert verdict(judged(range(100, 140), endless)) == "degraded"
    assert verdict(judged((), endless, run_s=159)) == "undecided"
    assert verdict(judged((), endless, run_s=160)) == "no-impact"


def test_a_fault_as_long_as_recover_within_is_not_lasting() -> None:
    assert [one.t_ns // SECOND_NS for one in judged((), fault(100, 160)).deadlines] == [220]
    assert [one.t_ns // SECOND_NS for one in judged((), fault(100, 161)).deadlines] == [160, 221]


def test_excused_from_the_lead_to_the_deadline_itself() -> None:
    def excused(judgement: Judgement) -> list[int]:
        return (np.flatnonzero(judgement.excused) + 30).tolist()  # the first window ends at 30

    assert excused(judged((), SHORT, lead_s=1.0)) == [*range(100, 190)]
    assert excused(judged((), LASTING, lead_s=1.0)) == [*range(100, 160), *range(200, 260)]
    assert excused(judged(())) == []


def test_a_run_that_ends_before_a_deadline_is_undecided_unless_it_failed_already() -> None:
    assert verdict(judged((), SHORT, run_s=189)) == "undecided"
    assert verdict(judged(range(100, 189), SHORT, run_s=189)) == "undecided"
    assert verdict(judged(range(100, 151), LASTING, run_s=170)) == "collapse"


def test_what_is_unresolved_at_the_end_leaves_the_deadline_open() -> None:
    # The deadline is the end of the run: 190 s.
    assert verdict(judged((), SHORT, run_s=190, unresolved=range(185, 190))) == "no-impact"  # 185 was judged
    assert verdict(judged((), SHORT, run_s=190, unresolved=range(180, 190))) == "undecided"
    assert verdict(judged(range(180, 181), SHORT, run_s=190, unresolved=range(181, 190))) == "collapse"


def test_a_request_under_way_when_the_fault_strikes_belongs_to_the_fault() -> None:
    assert verdict(judged((99,), SHORT, lead_s=1.0)) == "degraded"
    assert verdict(judged((89,), SHORT, lead_s=10.0)) == "invalid"  # ends at 90: before any lead
    assert verdict(judged((90,), SHORT, lead_s=10.0)) == "degraded"
    assert verdict(judged((90,), SHORT, lead_s=1.0)) == "invalid"


def test_the_warm_up_is_not_judged() -> None:
    assert verdict(judged(range(20), SHORT, warmup_s=20)) == "no-impact"
    assert verdict(judged((20,), SHORT, warmup_s=20)) == "invalid"


def test_a_break_belongs_to_the_fault_that_began_it() -> None:
    spike = fault(155, 157, "spike")  # deadline 217
    # A spike just before the deadline of the loss (160): gone in time, the loss is not to blame.
    assert verdict(judged(range(156, 190), fault(100, None), spike)) == "degraded"
    # It may begin with requests that were under way when the spike came (J8).
    assert verdict(judged(range(154, 190), fault(100, None), spike)) == "degraded"
    assert verdict(judged(range(153, 190), fault(100, None), spike)) == "collapse"
    # It never ends: the spike's deadline sees it.
    down = judged(range(156, 300), fault(100, None), spike)
    assert [(one.fault, one.t_ns // SECOND_NS) for one in down.broken] == [("spike", 217)]
    # Broken since the loss began: the spike is no excuse.
    down = judged(range(100, 162), fault(100, None), spike)
    assert [(one.fault, one.t_ns // SECOND_NS) for one in down.broken] == [("loss", 160)]


def test_the_return_of_a_zone_must_not_heal_what_a_spike_began() -> None:
    spike = fault(155, 157, "spike")
    # The zone is back at 200, before the spike's deadline (217): down all the time in between.
    down = judged(range(156, 200), LASTING, spike)
    assert [(one.fault, one.since, one.t_ns // SECOND_NS) for one in down.broken] == [("loss", "start", 200)]
    # Recovered before the return.
    assert verdict(judged(range(156, 180), LASTING, spike)) == "degraded"


def test_the_worst_of_two_deadlines_wins() -> None:
    first, second = fault(100, 130, "first"), fault(200, 210, "second")
    one = judged([*range(100, 185)], first, second)
    assert verdict(one) == "collapse"
    assert [(d.fault, d.state) for d in one.deadlines] == [("first", State.BROKEN), ("second", State.HELD)]
    assert verdict(judged(range(200, 300), first, second)) == "collapse"
    assert verdict(judged([*range(100, 150), *range(200, 250)], first, second)) == "degraded"


def test_overlapping_faults_have_their_own_deadlines() -> None:
    outer, inner = fault(100, 150, "outer"), fault(110, 120, "inner")
    deadlines = judged((), outer, inner).deadlines
    assert [(one.fault, one.t_ns // SECOND_NS) for one in deadlines] == [("inner", 180), ("outer", 210)]
    assert verdict(judged(range(100, 195), outer, inner)) == "collapse"  # at 180
    assert verdict(judged(range(100, 170), outer, inner)) == "degraded"


def test_a_relapse_far_from_any_edge_is_not_excused() -> None:
    relapsed = judged(range(220, 225), SHORT)
    assert [(one.since, one.t_ns // SECOND_NS, one.state) for one in relapsed.deadlines] == [
        ("end", 190, State.HELD),
        ("relapse", 281, State.HELD),
    ]
    assert relapsed.relapsed
    assert not relapsed.excused[-40:].any()
    assert verdict(relapsed) == "degraded"
    assert verdict(judged(range(220, 300), SHORT)) == "collapse"
    assert verdict(judged(range(250, 255), SHORT)) == "undecided"  # what becomes of it is not seen
    assert not judged(range(100, 180), SHORT).relapsed
    # Each one has its own deadline, and covers what breaks before that.
    again = judged([200, 230, 280], SHORT, run_s=400)
    assert [one.t_ns // SECOND_NS for one in again.deadlines if one.since == "relapse"] == [261, 341]


def test_time_to_recover() -> None:
    def seconds(judgement: Judgement) -> float | None:
        return None if judgement.time_to_recover_ns is None else judgement.time_to_recover_ns / SECOND_NS

    assert seconds(judged((), SHORT)) == 0
    assert seconds(judged(range(100, 110), SHORT)) == 0  # back before the fault ended
    assert seconds(judged(range(100, 140), SHORT)) == 19  # the last broken window ends at 149
    assert seconds(judged(range(100, 140), LASTING)) == 49  # from the start of a lasting one
    assert seconds(judged([*range(100, 105), *range(200, 230)], LASTING)) == 39
    assert seconds(judged(range(100, 300), SHORT)) is None
    # What breaks in the middle of a lasting fault because of a second one is no late recovery from the first one.
    second = fault(150, 152, "second")
    assert seconds(judged([*range(100, 105), *range(150, 160)], LASTING, second)) == 17  # 152 to 169; 100 to 114
    assert seconds(judged([*range(100, 120), *range(150, 151)], LASTING, second)) == 29  # 100 to 129; 152 to 160
    assert seconds(judged(range(100, 160), LASTING, second)) == 52  # broken already when the second one came


def windows(succeeded: list[int], failed: list[int], unresolved: list[int]) -> Windows:
    numbers = [np.array(values, dtype=np.int64) for values in (succeeded, failed, unresolved)]
    latency = (np.array([1e6] * len(succeeded)), np.array([1e6] * len(succeeded)))
    return Windows(np.arange(len(succeeded)), numbers[0], numbers[1], numbers[2], {990: latency})


def test_the_success_share_of_a_window() -> None:
    bound = {"success": Comparison(">=", 0.999, "share")}
    view = windows([999, 998, 0, 0, 999, 500], [1, 2, 0, 3, 0, 0], [0, 0, 0, 0, 2, 500])
    expected = [State.HELD, State.BROKEN, State.HELD, State.BROKEN, State.UNJUDGED, State.UNJUDGED]
    assert rule_states(bound, view)["success"].tolist() == expected


@pytest.mark.parametrize(
    ("lowest_ms", "highest_ms", "expected"),
    [
        (100, 500, State.HELD),
        (100, 501, State.UNJUDGED),
        (501, 900, State.BROKEN),
        (0, float("inf"), State.UNJUDGED),
        (float("inf"), float("inf"), State.BROKEN),
    ],
)
def test_the_latency_of_a_window(lowest_ms: float, highest_ms: float, expected: State) -> None:
    one = np.array([1])
    view = Windows(one, one, one, one, {990: (np.array([lowest_ms * 1e6]), np.array([highest_ms * 1e6]))})
    states = rule_states({"latency_p99": Comparison("<=", 500e6, "duration")}, view)
    assert states["latency_p99"].tolist() == [expected]


def test_the_level_is_broken_by_any_rule_and_held_by_all() -> None:
    held, broken, open_ = State.HELD, State.BROKEN, State.UNJUDGED
    first = np.array([held, held, broken, open_, open_], np.int8)
    second = np.array([held, broken, open_, held, open_], np.int8)
    assert level_states([first, second]).tolist() == [held, broken, broken, open_, open_]


def test_streaks_bridge_what_is_unjudged() -> None:
    assert streaks(np.array([0, 1, 1, 0, 1, 2, 1, 2, 0, 2], np.int8)) == [(1, 2), (4, 6)]
    assert streaks(np.array([0, 2, 0], np.int8)) == []


@pytest.mark.parametrize(
    ("verdict", "allow", "rules", "aborted", "expected"),
    [
        ("degraded", "degraded", (), False, "held"),
        ("degraded", "no-impact", (), False, "falsified"),
        ("improved", "no-impact", (), False, "held"),
        ("collapse", "degraded", (), False, "falsified"),
        ("outage", "degraded", (), False, "falsified"),
        ("no-impact", "degraded", (True, False), False, "falsified"),
        ("no-impact", "degraded", (True, None), False, "undecided"),
        ("no-impact", "degraded", (True,), True, "falsified"),
        ("undecided", "degraded", (True,), False, "undecided"),
        ("undecided", "degraded", (False,), False, "falsified"),
        ("invalid", "degraded", (False,), True, "invalid"),
    ],
)
def test_the_hypothesis(verdict: str, allow: str, rules: tuple[bool | None, ...], aborted: bool, expected: str) -> None:
    assert status_of(verdict, allow, rules, aborted) == expected  # type: ignore[arg-type]


seconds = st.integers(100, RUN_S - 1)
spans = st.tuples(st.integers(100, 250), st.one_of(st.none(), st.integers(1, 100))).map(
    lambda one: fault(one[0], None if one[1] is None else min(one[0] + one[1], RUN_S), f"f{one[0]}-{one[1]}")
)


@given(st.lists(spans, min_size=1, max_size=3), st.lists(st.tuples(seconds, st.integers(1, 90)), max_size=4), seconds)
def test_one_more_bad_second_never_improves_the_verdict(
    faults: list[Fault], stretches: list[tuple[int, int]], worse_s: int
) -> None:
    first_s = min(fault.start_ns for fault in faults) // SECOND_NS
    bad = {s for start, length in stretches for s in range(start, min(start + length, RUN_S))}
    bad = {s for s in bad if s >= first_s}
    # From worst to best; what is undecided may still turn out to be anything that is no collapse yet.
    order = [*WORST_FIRST[:2], "undecided", *WORST_FIRST[2:]]
    before, after = (verdict(judged(some, *faults)) for some in (bad, bad | {max(worse_s, first_s)}))
    assert order.index(after) <= order.index(before)


@given(st.lists(spans, min_size=1, max_size=3), st.sets(seconds, max_size=60))
def test_a_broken_window_is_excused_or_the_run_failed(faults: list[Fault], bad: set[int]) -> None:
    """What no edge excuses is a relapse, if no deadline is broken."""
    first_s = min(fault.start_ns for fault in faults) // SECOND_NS
    found = judged({s for s in bad if s >= first_s}, *faults)
    broken_ends = np.array([s for s in range(30, RUN_S + 1) if {*range(s - WINDOW_S, s)} & bad and s > first_s])
    if len(broken_ends) and not found.invalid and not found.excused[broken_ends - 30].all():
        assert found.broken or found.relapsed
    assert found.invalid is False


@given(spans)
def test_down_to_the_end_is_never_called_recovered(one: Fault) -> None:
    start_s = one.start_ns // SECOND_NS
    found = judged(range(start_s, RUN_S), one)
    assert verdict(found) in ("collapse", "undecided")
    assert found.time_to_recover_ns is None
