"""From a trace to its judgement: a scenario's hypothesis applied to what a run recorded (J1-J13)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from azsim.base.units import SECOND_NS, Comparison
from azsim.dataplane.codes import INFINITE, OUTCOMES
from azsim.dataplane.layout import LOST, OFFERED, STARTED_FAILED, STARTED_SUCCEEDED
from azsim.simulation.metrics import number
from azsim.simulation.segments import detected_ns, is_loss, phases, watched
from azsim.simulation.series import (
    PERMILLES,
    Block,
    Seconds,
    Windows,
    block,
    patience_ns,
    percentile_ns,
    rank,
    snapped,
    windows,
)
from azsim.simulation.trace import FaultSpan, Trace
from azsim.simulation.verdict import (
    Int64s,
    Judgement,
    State,
    States,
    Status,
    Verdict,
    judge,
    level_states,
    rule_states,
    status_of,
    streaks,
    verdict_of,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A run as its hypothesis sees it. `end_s` and `level` are the ends and states of its windows."""

    end_s: Int64s
    level: States
    judgement: Judgement
    violations: list[dict[str, Any]]
    detections_ns: tuple[int | None, ...]  # of each fault of the trace
    time_to_detect_ns: int | None
    faster_by: float | None
    other_rules: tuple[bool | None, ...]
    allow: Verdict
    aborted: bool

    def verdict(self, capacity_suffices: bool | None = None) -> Verdict:
        """The verdict, given what the reset replay showed at a broken deadline (None: not yet known)."""
        return verdict_of(self.judgement, capacity_suffices=capacity_suffices, faster_by=self.faster_by)

    def status(self, verdict: Verdict) -> Status:
        """What became of the hypothesis under that verdict."""
        return status_of(verdict, self.allow, self.other_rules, self.aborted)


def judged(trace: Trace, seconds: Seconds) -> Judged:
    """Judge a run by its scenario's hypothesis. `seconds` are those of its recording."""
    scenario, plan = trace.scenario, trace.plan
    hypothesis = scenario.hypothesis
    window_s = hypothesis.window // SECOND_NS
    bounds: Mapping[str, Comparison] = hypothesis.bounds
    late_ns = {_permille(name): math.ceil(bound.limit) for name, bound in bounds.items() if name != "success"}
    view = windows(trace.recording, plan, seconds, window_s, -(-scenario.warmup // SECOND_NS), late_ns)
    states = rule_states(bounds, view)
    level = level_states(list(states.values()))
    patience = max(patience_ns(plan.hops[population["hop"]]) for population in plan.populations)
    judgement = judge(
        view.end_s,
        level,
        trace.faults,
        recover_within_ns=hypothesis.recover_within,
        window_ns=hypothesis.window,
        lead_ns=min(patience, hypothesis.window),
        run_end_ns=trace.end_ns,
    )
    propagation = plan.services["propagation_ns"][plan.instances["service"]]
    propagation_ns = dict(enumerate(propagation.tolist()))
    detections = tuple(detected_ns(fault, trace.view_changes, propagation_ns) for fault in trace.faults)
    violations = _level_violations(bounds, states, view, judgement, window_s)
    kept: list[bool | None] = [False] if judgement.relapsed else []
    for name, keeps, violation in _other_rules(trace, detections):
        kept.append(keeps)
        if keeps is False:
            violations.append({"rule": name, **violation})
    if trace.aborted_at_ns is not None:
        at_s = trace.aborted_at_ns / SECOND_NS
        violations.append({"rule": "abort", "first_s": at_s, "last_s": at_s})
    main = watched(trace.faults)
    main_detected = detections[trace.faults.index(main)] if main is not None else None
    return Judged(
        end_s=view.end_s,
        level=level,
        judgement=judgement,
        violations=violations,
        detections_ns=detections,
        time_to_detect_ns=main_detected - main.start_ns if main is not None and main_detected is not None else None,
        faster_by=_faster_by(trace, late_ns),
        other_rules=tuple(kept),
        allow=hypothesis.allow,
        aborted=trace.aborted_at_ns is not None,
    )


def span_block(trace: Trace, start_ns: int, end_ns: int) -> Block:
    """A span of a run summed up, from the first row at or after its start to the first at or after its end."""
    return block(trace.recording, snapped(trace.recording, start_ns), snapped(trace.recording, end_ns))


def lost_writes(trace: Trace) -> int | None:
    """Acknowledged writes that a run lost, over all of it (R11); None where no service has replicated data."""
    if not (trace.plan.services["replication_ns"] >= 0).any():
        return None
    return int(trace.recording.services[..., LOST].sum())


def _permille(bound: str) -> int:
    return PERMILLES[bound.removeprefix("latency_")]


def _level_violations(
    bounds: Mapping[str, Comparison],
    states: Mapping[str, States],
    view: Windows,
    judgement: Judgement,
    window_s: int,
) -> list[dict[str, Any]]:
    """Where each bound of the level was broken: streaks of windows, those less than a window apart as one."""
    found: list[dict[str, Any]] = []
    for name, bound in bounds.items():
        joined: list[tuple[int, int]] = []
        for first, last in streaks(states[name]):
            if joined and first - joined[-1][1] <= window_s:
                joined[-1] = (joined[-1][0], last)
            else:
                joined.append((first, last))
        for first, last in joined:
            broken = first + np.flatnonzero(states[name][first : last + 1] == State.BROKEN)
            if name == "success":
                worst = float((view.succeeded[broken] / (view.succeeded + view.failed)[broken]).min())
            else:
                worst = float(view.latency_ns[_permille(name)][1][broken].max()) / SECOND_NS
            found.append(
                {
                    "rule": name,
                    "first_s": int(view.end_s[first]),
                    "last_s": int(view.end_s[last]),
                    "bound": str(bound),
                    "worst": number(worst),
                    "windows": len(broken),
                    "excused": bool(judgement.excused[broken].all()),
                }
            )
    return sorted(found, key=lambda violation: (violation["first_s"], violation["rule"]))


def _other_rules(trace: Trace, detections: tuple[int | None, ...]) -> Iterator[tuple[str, bool | None, dict[str, Any]]]:
    """The bounds of the hypothesis beside the level: (name, kept, where and how it was broken)."""
    hypothesis = trace.scenario.hypothesis
    if hypothesis.detect_within is not None:
        for fault, detected in zip(trace.faults, detections, strict=True):
            if is_loss(fault):
                kept, until_ns = _detected_in_time(fault, detected, hypothesis.detect_within, trace.end_ns)
                where = {"first_s": fault.start_ns / SECOND_NS, "last_s": until_ns / SECOND_NS}
                yield "detect_within", kept, {**where, "fault": fault.id}
    if hypothesis.data_loss is not None:
        yield _data_loss(trace, hypothesis.data_loss)
    spans = phases(trace.faults, trace.scenario.warmup, trace.end_ns)
    for phase, levels in (("during", hypothesis.during), ("after", hypothesis.after)):
        if levels is None:
            continue
        span = spans[phase]
        if span is None:
            # What has no faults has nothing to be judged while they last; `after` them is still to come.
            yield f"{phase}.success", True if phase == "during" else None, {}
            continue
        whole = _as_window(trace, span_block(trace, *span))
        where = {"first_s": span[0] / SECOND_NS, "last_s": span[1] / SECOND_NS}
        for name, states in rule_states(levels.bounds, whole).items():
            state = State(int(states[0]))
            kept = None if state is State.UNJUDGED else state is State.HELD
            yield f"{phase}.{name}", kept, {**where, "bound": str(levels.bounds[name])}


def _data_loss(trace: Trace, most: int) -> tuple[str, bool, dict[str, Any]]:
    """Whether no more acknowledged writes were lost than may be, and between which seconds they were."""
    rows = trace.recording.services[..., LOST].sum(axis=1)
    lost = np.flatnonzero(rows)
    if int(rows.sum()) <= most:
        return "data_loss", True, {}
    first_s, last_s = (float(trace.recording.start_ns[row]) / SECOND_NS for row in (lost[0], lost[-1]))
    return "data_loss", False, {"first_s": first_s, "last_s": last_s, "bound": f"<= {most}", "worst": int(rows.sum())}


def _detected_in_time(
    fault: FaultSpan, detected: int | None, within_ns: int, run_end_ns: int
) -> tuple[bool | None, int]:
    """Whether a loss was seen in time, and when that was settled. One that ends sooner need not be seen (J11)."""
    due_ns = fault.start_ns + within_ns
    if detected is not None:
        return detected <= due_ns, detected
    if fault.end_ns is not None and fault.end_ns < due_ns:
        return True, fault.end_ns
    return (False, due_ns) if due_ns <= run_end_ns else (None, run_end_ns)


def _as_window(trace: Trace, span: Block) -> Windows:
    """A phase as one window, so that the same rules judge it."""
    populations = span.populations
    failed = populations[:, STARTED_FAILED : STARTED_FAILED + OUTCOMES].sum(axis=1)
    succeeded = populations[:, STARTED_SUCCEEDED]
    unresolved = populations[:, OFFERED] - succeeded - failed
    endless = np.array(
        [patience_ns(trace.plan.hops[population["hop"]]) == INFINITE for population in trace.plan.populations]
    )
    # J7, as for windows.
    given_up = endless & (trace.end_ns - span.end_ns >= trace.scenario.hypothesis.window)
    failed, unresolved = failed + np.where(given_up, unresolved, 0), np.where(given_up, 0, unresolved)
    s, f, u = (int(values.sum()) for values in (succeeded, failed, unresolved))
    cumulative = np.cumsum(span.latency)
    latency = {}
    for permille in PERMILLES.values():
        place = rank(s + f + u, permille)
        latency[permille] = (
            np.array([percentile_ns(cumulative, place - u)]),
            np.array([percentile_ns(cumulative, place)]),
        )
    one = [np.array([n], dtype=np.int64) for n in (span.end_ns // SECOND_NS, s, f, u)]
    return Windows(one[0], one[1], one[2], one[3], latency)


def _faster_by(trace: Trace, late_ns: Mapping[int, int]) -> float | None:
    """By which share the level's percentile fell from before the first fault to the time from then on (J10)."""
    if not trace.faults:
        return None
    permille = max(late_ns, default=PERMILLES["p99"])
    first_ns = trace.faults[0].start_ns
    before = span_block(trace, trace.scenario.warmup, first_ns).percentile_s(permille, with_failed=True)
    since = span_block(trace, first_ns, trace.end_ns).percentile_s(permille, with_failed=True)
    return None if before is None or since is None or before == 0 else 1.0 - since / before
