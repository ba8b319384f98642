"""A scenario's hypothesis applied to a run: violations, further rules, improvement (J3, J7, J9-J11).

A calm run is simulated once; each test then rewrites what was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from azsim.dataplane.codes import INFINITE, Outcome
from azsim.dataplane.layout import STARTED_FAILED, STARTED_SUCCEEDED
from azsim.simulation.judging import Judged, judged
from azsim.simulation.metrics import COVERING_ZONE_COLUMNS
from azsim.simulation.run import simulate
from azsim.simulation.series import per_second
from azsim.simulation.trace import FaultSpan, Trace
from tests.small import scenario

S = 1_000_000_000
CALM = {"traffic.shoppers.rate": "20/s", "duration": "60s", "faults": [], "hypothesis.detect_within": "none"}


@pytest.fixture(scope="module")
def calm() -> Trace:
    """60 s without a fault, 3 s of them warm-up; windows of 3 s, recovery within 8 s, success >= 99%."""
    return simulate(scenario(**CALM), engine="reference")


def rewritten(
    trace: Trace, *, failed_s: Iterable[int] = (), faults: tuple[FaultSpan, ...] = (), **changes: Any
) -> Trace:
    """The trace with every request of some seconds failed, with these faults, and judged by a changed scenario."""
    recording = deepcopy(trace.recording)
    for s in failed_s:
        rows = (recording.start_ns >= s * S) & (recording.start_ns < (s + 1) * S)
        recording.populations[rows, :, STARTED_FAILED + Outcome.TIMEOUT] += recording.populations[
            rows, :, STARTED_SUCCEEDED
        ]
        recording.populations[rows, :, STARTED_SUCCEEDED] = 0
        recording.latency[rows] = 0
    return replace(trace, recording=recording, faults=faults, scenario=trace.scenario.with_(changes))


def view(trace: Trace) -> Judged:
    return judged(trace, per_second(trace.recording, COVERING_ZONE_COLUMNS))


def loss(start_s: float, end_s: float | None, *instances: int) -> FaultSpan:
    return FaultSpan(
        "loss",
        "crash",
        "crash of web",
        round(start_s * S),
        None if end_s is None else round(end_s * S),
        instances or (2,),
    )


def test_breaks_less_than_a_window_apart_are_one_violation(calm: Trace) -> None:
    # Broken windows end at 21..23 and 26..28: two held ones between them. Then at 41..43.
    found = view(rewritten(calm, failed_s=(20, 25, 40), faults=(loss(20, 26),)))
    spans = [(one["rule"], one["first_s"], one["last_s"], one["windows"]) for one in found.violations]
    assert spans == [("success", 21, 28, 6), ("success", 41, 43, 3)]
    assert [one["excused"] for one in found.violations] == [True, False]
    assert 0.5 < found.violations[0]["worst"] < 0.8  # a second of three
    assert found.violations[0]["bound"] == ">= 99%"


def test_a_relapse_falsifies_what_would_be_degraded(calm: Trace) -> None:
    near = view(rewritten(calm, failed_s=(20,), faults=(loss(20, 26),)))
    assert (near.verdict(), near.status(near.verdict())) == ("degraded", "held")
    far = view(rewritten(calm, failed_s=(20, 40), faults=(loss(20, 26),)))
    assert (far.verdict(), far.status(far.verdict())) == ("degraded", "falsified")


@pytest.mark.parametrize(
    ("end_s", "detected_s", "run_end_s", "kept"),
    [
        (30, 25.9, 60, True),
        (30, 26.1, 60, False),
        (30, None, 60, False),
        (25, None, 60, True),  # over before it had to be seen
        (None, None, 60, False),
        (None, None, 25, None),  # the run is over first
    ],
)
def test_detection_in_time(
    calm: Trace, end_s: float | None, detected_s: float | None, run_end_s: int, kept: bool | None
) -> None:
    changes = () if detected_s is None else ((round(detected_s * S), 2, False),)
    trace = rewritten(calm, faults=(loss(20, end_s),), **{"hypothesis.detect_within": "6s"})
    trace = replace(trace, view_changes=changes)
    if run_end_s < 60:
        short = simulate(scenario(**CALM), engine="reference", until_ns=run_end_s * S)
        trace = replace(trace, recording=short.recording, end_ns=run_end_s * S)
    found = view(trace)
    assert found.other_rules == (kept,)
    assert [one["rule"] for one in found.violations] == (["detect_within"] if kept is False else [])
    expected_ns = None if detected_s is None else round(detected_s * S) - 20 * S
    assert found.time_to_detect_ns == expected_ns


def test_what_takes_nothing_away_need_not_be_detected(calm: Trace) -> None:
    slow = replace(loss(20, 30), kind="latency")
    assert view(rewritten(calm, faults=(slow,), **{"hypothesis.detect_within": "6s"})).other_rules == ()


def hanging(trace: Trace, seconds: range) -> Trace:
    """The trace with clients that wait for ever, and no answer for those who started in some seconds."""
    found = rewritten(trace)
    rows = np.isin(found.recording.start_ns // S, list(seconds))
    found.recording.populations[rows, :, STARTED_SUCCEEDED] = 0
    found.recording.latency[rows] = 0
    hops = found.plan.hops.copy()
    hops["timeout_ns"] = hops["deadline_ns"] = INFINITE
    return replace(found, plan=replace(found.plan, hops=hops))


def test_who_waits_for_ever_is_judged_at_the_end(calm: Trace) -> None:
    changes = {"hypothesis.during": {"success": ">= 50%"}, "hypothesis.after": {"success": ">= 50%"}}
    trace = replace(hanging(calm, range(20, 30)), faults=(loss(20, 30),), scenario=calm.scenario.with_(changes))
    assert view(trace).other_rules == (False, True)
    # Younger than a window when the run ends: nobody knows.
    late = replace(hanging(calm, range(57, 60)), faults=(loss(50, 57),), scenario=calm.scenario.with_(changes))
    assert view(late).other_rules == (True, None)


def test_during_and_after_need_their_time(calm: Trace) -> None:
    changes = {"hypothesis.during": {"success": ">= 50%"}, "hypothesis.after": {"success": ">= 50%"}}
    assert view(rewritten(calm, **changes)).other_rules == (True, None)
    assert view(rewritten(calm, faults=(loss(20, None),), **changes)).other_rules == (True, None)


@pytest.mark.parametrize(("bins_down", "expected"), [(0, "no-impact"), (-40, "no-impact"), (40, "improved")])
def test_faster_by_a_tenth_is_improved(calm: Trace, bins_down: int, expected: str) -> None:
    # 32 bins of latency are a factor of two.
    found = rewritten(calm, faults=(loss(30, 35),))
    since = found.recording.start_ns >= 30 * S
    found.recording.latency[since] = np.roll(found.recording.latency[since], -bins_down, axis=1)
    assert view(found).verdict() == expected


def test_an_aborted_run_says_so(calm: Trace) -> None:
    found = view(replace(rewritten(calm, faults=(loss(20, 25),)), aborted_at_ns=25 * S))
    assert found.status(found.verdict()) == "falsified"
    assert found.violations == [{"rule": "abort", "first_s": 25.0, "last_s": 25.0}]
