"""Further runs that settle a verdict and say what keeps a system down (J4, J13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from azsim.base.units import SECOND_NS
from azsim.simulation.explained import INTERRUPTED, REFILLED, REJOINED, singled_out
from azsim.simulation.judging import Judged, judged, span_block
from azsim.simulation.mechanisms import mechanisms
from azsim.simulation.metrics import COVERING_ZONE_COLUMNS, hit_ratios
from azsim.simulation.result import Result, concluded
from azsim.simulation.segments import is_loss
from azsim.simulation.series import patience_ns, per_second
from azsim.simulation.trace import Trace
from azsim.simulation.verdict import Deadline, Int64s, State, States, Verdict

if TYPE_CHECKING:
    from azsim.scenario import Scenario

REPLAYS_MAX: Final = 7
CLEARLY: Final = 0.95  # of the hit ratio before all faults, below which caches count as cold
_ALSO: Final = {REJOINED: "rejoin_at_ns", REFILLED: "refill_at_ns"}
DEADLINES_MAX: Final = 2  # broken ones that get a reset replay


class Simulate(Protocol):
    """`run.simulate` with engine, limits and progress filled in."""

    def __call__(
        self,
        scenario: Scenario,
        *,
        seed: int | None = None,
        replicate: int = 0,
        until_ns: int | None = None,
        reset_at_ns: int | None = None,
        retries_off_from_ns: int | None = None,
        rejoin_at_ns: int | None = None,
        refill_at_ns: int | None = None,
    ) -> Trace:
        """One run."""
        ...


class Interrupted(KeyboardInterrupt):
    """The further runs were stopped. `result` is that of the finished run, judged by the replays that were made."""

    def __init__(self, result: Result) -> None:
        super().__init__("interrupted in the replays; the finished run is in `result`")
        self.result = result


def investigate(result: Result, trace: Trace, simulate: Simulate, *, replays: bool = True) -> Result:
    """The result with its verdict settled where the level is broken at a deadline.

    Needs the reset replay that shows whether capacity suffices; with `replays`, those too that say whether a collapse
    is metastable and what sustains it. Raises Interrupted, with what is known by then, at a KeyboardInterrupt.
    """
    if result.verdict != "collapse":
        return result
    inquiry = _Inquiry(trace, simulate)
    try:
        inquiry.make(replays=replays)
    except KeyboardInterrupt:
        inquiry.skipped("what was left to do", None, INTERRUPTED)
        raise Interrupted(inquiry.settled(result)) from None
    return inquiry.settled(result)


def settled_verdict(trace: Trace, view: Judged, simulate: Simulate) -> Verdict:
    """The verdict of a judged run, by reset replays where the level is broken at a deadline; nothing is explained."""
    verdict = view.verdict()
    if verdict != "collapse":
        return verdict
    inquiry = _Inquiry(trace, simulate, view)
    inquiry.make(replays=False)
    return inquiry.verdict


class _Inquiry:
    """The replays of one run; `log` tells each of them, in order."""

    def __init__(self, trace: Trace, simulate: Simulate, view: Judged | None = None) -> None:
        self.trace = trace
        self.simulate = simulate
        self.original = _judged(trace) if view is None else view
        self.also = ""  # what the resets do besides: REJOINED, REFILLED
        self.log: list[dict[str, Any]] = []
        self.verdict: Verdict = "collapse"  # until a reset settles it
        self.is_metastable: bool | None = None
        self.cures: list[dict[str, Any]] = []

    def make(self, *, replays: bool) -> None:
        """Runs what settles the verdict, and with `replays` what explains it."""
        at = self.collapsed_at()
        self.verdict = self.original.verdict(capacity_suffices=at is not None)
        if at is None:
            self.is_metastable = False
        elif replays:
            self.is_metastable = self.metastable(at)
            self.find_cures(at)

    def settled(self, result: Result) -> Result:
        """The result with what is known by now."""
        settled = replace(
            result,
            verdict=self.verdict,
            metastable=self.is_metastable,
            sustained_by=self.cures,
            hypothesis=self.original.status(self.verdict),
            replays=self.log,
        )
        return concluded(settled, self.trace)

    def collapsed_at(self) -> Deadline | None:
        """The broken deadline at which capacity is shown to suffice: the last one, else the first."""
        broken = self.original.judgement.broken
        tried = [broken[-1], broken[0]][: min(DEADLINES_MAX, len(broken))]
        for deadline in broken:
            if deadline not in tried:
                self.skipped(
                    "reset, retries off", deadline.t_ns, f"only {DEADLINES_MAX} broken deadlines are looked at"
                )
        due: dict[str, Callable[[Deadline], bool]] = {REJOINED: self.ejected, REFILLED: self.cooled}
        for self.also in ("", *due):
            for deadline in tried:
                if self.also and not due[self.also](deadline):
                    continue
                if self.reset(deadline, retries=False):
                    return deadline
        return None

    def ejected(self, at: Deadline) -> bool:
        """Whether a target is out of rotation at a deadline that no fault has taken."""
        out: set[int] = set()
        for t_ns, instance, healthy in self.trace.view_changes:
            if t_ns <= at.t_ns:
                (out.discard if healthy else out.add)(instance)
        taken = (
            fault.instances
            for fault in self.trace.faults
            if is_loss(fault) and fault.start_ns <= at.t_ns and (fault.end_ns is None or at.t_ns < fault.end_ns)
        )
        return bool(out.difference(self.trace.scaling.absent_at(at.t_ns), *taken))

    def cooled(self, at: Deadline) -> bool:
        """Whether a service's caches hit clearly less often in the window before a deadline than before all faults."""
        trace = self.trace
        first_ns = min((fault.start_ns for fault in trace.faults), default=trace.end_ns)
        before = hit_ratios(span_block(trace, trace.scenario.warmup, first_ns))
        since = hit_ratios(span_block(trace, at.t_ns - trace.scenario.hypothesis.window, at.t_ns))
        return any(
            now is not None and then is not None and now < CLEARLY * then
            for then, now in zip(before, since, strict=True)
        )

    def metastable(self, at: Deadline) -> bool:
        """Whether the reset alone, retries still on, lets the level hold (two states under one load)."""
        plan = self.trace.plan
        if not (plan.hops["attempts"] > 1).any() and not (plan.policies["hedges"] > 0).any():
            self.skipped("reset, retries on", at.t_ns, "nothing retries or hedges: the same run as with retries off")
            return True
        return self.reset(at, retries=True)

    def reset(self, at: Deadline, *, retries: bool) -> bool:
        """Whether the level holds after everything in queues, slots and back-offs is dropped at a deadline, and with
        what is done `also`: every target that no fault has taken is put back in rotation, or caches are filled.
        """
        hypothesis = self.trace.scenario.hypothesis
        span = reset_span(
            at.t_ns,
            self.edges_ns,
            recover_within_ns=hypothesis.recover_within,
            window_ns=hypothesis.window,
            lead_ns=min(self.patience_ns, hypothesis.window),
        )
        again = self.again(
            self.trace.scenario,
            until_ns=span.until_ns + min(self.patience_ns, hypothesis.recover_within),
            reset_at_ns=at.t_ns,
            retries_off_from_ns=None if retries else at.t_ns,
            **({_ALSO[self.also]: at.t_ns} if self.also else {}),
        )
        view = _judged(again)
        recovers = holds_within(view.end_s, view.level, span)
        self.tell(
            f"reset, retries {'on' if retries else 'off'}{f', {self.also}' if self.also else ''}",
            at.t_ns,
            recovers,
            last_broken_s(view, at.t_ns, span.until_ns) if recovers else None,
        )
        return recovers

    def find_cures(self, at: Deadline) -> None:
        """Finds the mechanisms whose change from the start lets the run recover by a deadline, smallest first; the one
        that the resets have singled out is tried before the others.
        """
        smallest_first, leads = mechanisms(self.trace), singled_out(self.log)
        for mechanism in sorted(smallest_first, key=lambda one: one.name != leads):
            if sum(one["skipped"] is None for one in self.log) >= REPLAYS_MAX:
                self.skipped(mechanism.name, None, f"{REPLAYS_MAX} replays are the most")
                continue
            again = self.again(self.trace.scenario.with_(mechanism.changes))
            view = _judged(again)
            recovers = recovered(view, at.t_ns)
            # Broken at an earlier deadline only: nobody has shown what capacity that one needed.
            verdict = None if recovers and view.judgement.broken else view.verdict(capacity_suffices=True)
            recovered_s = last_broken_s(view, 0, again.end_ns) if recovers else None
            self.tell(mechanism.name, None, recovers, recovered_s, verdict)
            if recovers:
                self.cures.append({"mechanism": mechanism.name, "recovers": True, "recovered_at_s": recovered_s})
        order = [one.name for one in smallest_first]
        self.cures.sort(key=lambda cure: order.index(cure["mechanism"]))

    @property
    def edges_ns(self) -> list[int]:
        """When faults started and ended, and when others would in a longer run."""
        happened = [(fault.start_ns, fault.end_ns) for fault in self.trace.faults]
        scenario = self.trace.scenario
        planned = [times for fault in scenario.faults for times in fault.times]
        planned += [times for hazard in scenario.hazards for times in hazard.times]
        return [edge for edges in (*happened, *planned) for edge in edges if edge is not None]

    @property
    def patience_ns(self) -> int:
        """The longest time until a request has an outcome: how much longer than what is judged a replay goes on."""
        return max(patience_ns(self.trace.plan.hops[p["hop"]]) for p in self.trace.plan.populations)

    def again(self, scenario: Scenario, **changes: int | None) -> Trace:
        return self.simulate(scenario, seed=self.trace.seed, replicate=self.trace.replicate, **changes)

    def tell(
        self,
        change: str,
        reset_at_ns: int | None,
        recovers: bool,
        recovered_at_s: float | None,
        verdict: str | None = None,
    ) -> None:
        self.log.append(
            {
                "change": change,
                "reset_at_s": None if reset_at_ns is None else reset_at_ns / SECOND_NS,
                "recovers": recovers,
                "recovered_at_s": recovered_at_s,
                "verdict": verdict,
                "skipped": None,
            }
        )

    def skipped(self, change: str, reset_at_ns: int | None, why: str) -> None:
        self.tell(change, reset_at_ns, False, None)
        self.log[-1] |= {"recovers": None, "skipped": why}


@dataclass(frozen=True, slots=True)
class ResetSpan:
    """After a reset the level must hold in the windows that end in (from_ns, until_ns]."""

    from_ns: int
    until_ns: int


def reset_span(
    reset_ns: int, edges_ns: Sequence[int], *, recover_within_ns: int, window_ns: int, lead_ns: int
) -> ResetSpan:
    """Where the level is judged after a reset: the second half of `recover_within`, in windows that hold no request
    from before the reset.

    Where a fault edge comes sooner, it is the second half of the time to that edge, unless that leaves less than four
    windows in all (J13). `lead_ns` before an edge requests may already meet it (J8).
    """
    until_ns = reset_ns + max(recover_within_ns, 2 * window_ns)
    sooner_ns = min((edge - lead_ns for edge in edges_ns if edge > reset_ns), default=until_ns)
    if reset_ns + 4 * window_ns <= sooner_ns < until_ns:
        until_ns = sooner_ns
    # Half of it is a window at least, so that none reaches back before the reset.
    return ResetSpan(reset_ns + (until_ns - reset_ns) // 2, until_ns)


def holds_within(end_s: Int64s, level: States, span: ResetSpan) -> bool:
    """Whether no window that ends in the span is broken, and at least one is judged."""
    ends_ns = end_s * SECOND_NS
    states = level[(ends_ns > span.from_ns) & (ends_ns <= span.until_ns)]
    return bool((states != State.BROKEN).all() and (states == State.HELD).any())


def recovered(view: Judged, at_ns: int) -> bool:
    """Whether a changed run holds at a deadline and at all later ones, and did before the first fault."""
    later = [deadline for deadline in view.judgement.deadlines if deadline.t_ns >= at_ns]
    return not view.judgement.invalid and all(deadline.state is State.HELD for deadline in later)


def last_broken_s(view: Judged, from_ns: int, until_ns: int) -> float | None:
    """The end of the last broken window in (from, until], seconds; None where there is none."""
    ends_ns = view.end_s * SECOND_NS
    broken = view.end_s[(view.level == State.BROKEN) & (ends_ns > from_ns) & (ends_ns <= until_ns)]
    return float(np.max(broken)) if len(broken) else None


def _judged(trace: Trace) -> Judged:
    return judged(trace, per_second(trace.recording, COVERING_ZONE_COLUMNS))
