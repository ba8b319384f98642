"""Judging (J1-J13): from windows and fault edges to deadlines kept or broken, and to a verdict. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from azsim.base.units import SECOND_NS, Comparison
from azsim.simulation.series import PERMILLES, Windows

Int64s = npt.NDArray[np.int64]
States = npt.NDArray[np.int8]

Verdict = Literal["collapse", "outage", "degraded", "no-impact", "improved", "invalid", "undecided"]
Status = Literal["held", "falsified", "undecided", "invalid"]
Since = Literal["start", "end", "relapse"]
WORST_FIRST: Final[tuple[Verdict, ...]] = ("collapse", "outage", "degraded", "no-impact", "improved")
IMPROVED_BY: Final = 0.10


class State(IntEnum):
    """What a window, or the level at an instant, turned out to be."""

    HELD = 0
    BROKEN = 1
    UNJUDGED = 2

    @property
    def word(self) -> str:
        """The name in results: `held`."""
        return self.name.lower()


class Span(Protocol):
    """When a fault was active; `end_ns` is None where it was to the end of the run."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def start_ns(self) -> int:
        """When it started."""
        ...

    @property
    def end_ns(self) -> int | None:
        """When it ended."""
        ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant at which the level must hold (J3).

    `since` says what set it: `start` of a lasting fault, `end` of a fault, or `relapse`: no fault did, the level broke
    away from every fault edge.
    """

    t_ns: int
    fault: str
    since: Since
    state: State


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the windows of a run say. `excused`: which of them lie near a fault edge, where they may be broken."""

    deadlines: tuple[Deadline, ...]
    excused: npt.NDArray[np.bool_]  # (W,)
    invalid: bool
    ever_broken: bool
    time_to_recover_ns: int | None

    @property
    def broken(self) -> tuple[Deadline, ...]:
        """The broken deadlines, by time."""
        return tuple(deadline for deadline in self.deadlines if deadline.state is State.BROKEN)

    @property
    def relapsed(self) -> bool:
        """Whether the level broke where no fault edge excuses it, although every fault's deadline held."""
        return any(deadline.since == "relapse" for deadline in self.deadlines)

    @property
    def undecided(self) -> bool:
        """Whether the run ends before it shows how the level stands at some deadline."""
        return any(deadline.state is State.UNJUDGED for deadline in self.deadlines)


def rule_states(bounds: Mapping[str, Comparison], windows: Windows) -> dict[str, States]:
    """The state of every window by each bound (`success`, `latency_p99` ...): (W,) each.

    A window whose unresolved requests could turn it either way is unjudged (J2); an empty one holds: its share is 1
    and its latency 0.
    """
    judged = windows.succeeded + windows.failed + windows.unresolved
    states: dict[str, States] = {}
    for name, bound in bounds.items():
        if name == "success":
            best = _share(windows.succeeded + windows.unresolved, judged)
            worst = _share(windows.succeeded, judged)
        else:
            best, worst = windows.latency_ns[PERMILLES[name.removeprefix("latency_")]]
        state = np.full(len(judged), State.UNJUDGED, np.int8)
        state[~_holds(bound, best)] = State.BROKEN
        state[_holds(bound, worst)] = State.HELD
        states[name] = state
    return states


def _share(part: Int64s, whole: Int64s) -> npt.NDArray[np.float64]:
    return np.divide(part, whole, out=np.ones(len(whole)), where=whole > 0)


def _holds(bound: Comparison, measured: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where a bound holds: its comparison, applied to each value."""
    holds: Any = bound.holds
    kept: npt.NDArray[np.bool_] = holds(measured)
    return kept


def level_states(states: Sequence[States]) -> States:
    """The level is broken where any bound is, held where all are: (W,)."""
    stacked = np.array(states)
    found = np.full(stacked.shape[1], State.UNJUDGED, np.int8)
    found[(stacked == State.HELD).all(axis=0)] = State.HELD
    found[(stacked == State.BROKEN).any(axis=0)] = State.BROKEN
    return found


def judge(
    end_s: Int64s,
    states: States,
    faults: Sequence[Span],
    *,
    recover_within_ns: int,
    window_ns: int,
    lead_ns: int,
    run_end_ns: int,
) -> Judgement:
    """Judge a run by the states of its windows, which end at `end_s` (whole seconds, ascending).

    `lead_ns`: how long before a fault a request may have started and still be under way when it strikes (J8).
    """
    court = _Court(end_s * SECOND_NS, states, faults, recover_within_ns, window_ns, lead_ns, run_end_ns)
    deadlines = court.deadlines()
    broken = court.ends_ns[states == State.BROKEN]
    first_ns = min((fault.start_ns for fault in faults), default=None)
    invalid = bool(len(broken)) and (first_ns is None or int(broken[0]) <= first_ns - lead_ns)
    return Judgement(tuple(deadlines), court.excused(), invalid, bool(len(broken)), court.time_to_recover_ns())


class _Court:
    """The windows and faults of one run."""

    def __init__(
        self,
        ends_ns: Int64s,
        states: States,
        faults: Sequence[Span],
        recover_within_ns: int,
        window_ns: int,
        lead_ns: int,
        run_end_ns: int,
    ) -> None:
        self.ends_ns = ends_ns
        self.states = states
        self.faults = faults
        self.recover_within_ns = recover_within_ns
        self.window_ns = window_ns
        self.lead_ns = lead_ns
        self.run_end_ns = run_end_ns

    def lasting(self, fault: Span) -> bool:
        return fault.end_ns is None or fault.end_ns - fault.start_ns > self.recover_within_ns

    def edges(self, fault: Span) -> Iterator[tuple[int, int, Since]]:
        """(edge, deadline, which edge set it) of a fault, in ns: a short fault has one, at its end (J3)."""
        if self.lasting(fault):
            yield fault.start_ns, fault.start_ns + self.recover_within_ns, "start"
        if fault.end_ns is not None:
            first = fault.end_ns if self.lasting(fault) else fault.start_ns
            yield first, fault.end_ns + self.recover_within_ns, "end"

    def deadlines(self) -> list[Deadline]:
        judged = (
            self.judged(fault, edge_ns, due_ns, since)
            for fault in self.faults
            for edge_ns, due_ns, since in self.edges(fault)
        )
        found = [deadline for deadline in judged if deadline is not None]
        if not any(deadline.state is State.BROKEN for deadline in found):
            found += self.relapses()
        return sorted(found, key=lambda deadline: (deadline.t_ns, deadline.fault, deadline.since))

    def judged(self, fault: Span, edge_ns: int, due_ns: int, since: Since) -> Deadline | None:
        """One deadline, and how the level stood at it; None where another fault's deadline judges that."""
        i = self.window_at(due_ns)
        if i is None or self.states[i] != State.BROKEN:
            return Deadline(due_ns, fault.id, since, self.state_at(due_ns))
        later_ns = self.later_due_ns(fault, edge_ns, i)
        if later_ns is None:
            return Deadline(due_ns, fault.id, since, State.BROKEN)
        # The break is another fault's, whose own deadline judges it; but the end of this one must not heal it
        # before that (J9).
        end_ns = fault.end_ns
        if since == "start" and end_ns is not None and end_ns < later_ns:
            j = int(np.searchsorted(self.ends_ns, end_ns, side="right")) - 1
            if (self.states[i : j + 1] != State.HELD).all() and self.states[j] == State.BROKEN:
                return Deadline(end_ns, fault.id, since, State.BROKEN)
        return None

    def window_at(self, t_ns: int) -> int | None:
        """The last judged window that ends at `t_ns` or up to one window's length before it (J7); None where there is
        none, or where the run has ended by then.
        """
        if t_ns > self.run_end_ns:
            return None
        i = int(np.searchsorted(self.ends_ns, t_ns, side="right")) - 1
        while i >= 0 and self.ends_ns[i] > t_ns - self.window_ns:
            if self.states[i] != State.UNJUDGED:
                return i
            i -= 1
        return None

    def state_at(self, t_ns: int) -> State:
        """How the level stands at an instant."""
        i = self.window_at(t_ns)
        return State.UNJUDGED if i is None else State(int(self.states[i]))

    def later_due_ns(self, fault: Span, edge_ns: int, i: int) -> int | None:
        """The deadline of another fault, whose edge came later and before the break that window `i` is in began."""
        began = i
        while began > 0 and self.states[began - 1] != State.HELD:
            began -= 1
        while self.states[began] != State.BROKEN:
            began += 1
        began_ns = int(self.ends_ns[began])
        dues = [
            due_ns
            for other in self.faults
            if other is not fault
            for other_edge_ns, due_ns, _ in self.edges(other)
            if edge_ns < other_edge_ns and other_edge_ns - self.lead_ns < began_ns < due_ns
        ]
        return max(dues, default=None)

    def relapses(self) -> Iterator[Deadline]:
        """Broken windows that no fault edge excuses: each is an edge itself, up to its own deadline (J9)."""
        first_ns = min((fault.start_ns for fault in self.faults), default=self.run_end_ns)
        done_ns = first_ns - self.lead_ns
        for t_ns in self.ends_ns[(self.states == State.BROKEN) & ~self.excused()].tolist():
            if t_ns > done_ns:
                done_ns = t_ns + self.recover_within_ns
                yield Deadline(done_ns, "", "relapse", self.state_at(done_ns))

    def excused(self) -> npt.NDArray[np.bool_]:
        """Which windows may be broken: those near a fault edge (J3): (W,)."""
        found = np.zeros(len(self.ends_ns), np.bool_)
        for fault in self.faults:
            for edge_ns, due_ns, _ in self.edges(fault):
                found |= (self.ends_ns > edge_ns - self.lead_ns) & (self.ends_ns < due_ns)
        return found

    def time_to_recover_ns(self) -> int | None:
        """The longest time from a fault's end (a lasting one's start too) to the end of the last broken window before
        the next such instant (J5), without what broke only after another fault had started. 0 where nothing was
        broken, None where the run ends broken or no fault gave it anything to recover from.
        """
        broken_ns = self.ends_ns[self.states == State.BROKEN]
        if not len(broken_ns):
            return 0
        judged = self.states[self.states != State.UNJUDGED]
        if judged[-1] == State.BROKEN:
            return None
        origins = {fault.end_ns for fault in self.faults if fault.end_ns is not None}
        origins |= {fault.start_ns for fault in self.faults if self.lasting(fault)}
        if not origins:
            return None
        edges = {fault.start_ns for fault in self.faults} | origins
        longest_ns = 0
        for origin_ns, next_ns in pairwise([*sorted(origins), self.run_end_ns + 1]):
            another_ns = min((edge for edge in edges if origin_ns < edge < next_ns), default=next_ns)
            for first, last in streaks(self.states):
                of_another = another_ns < next_ns and another_ns - self.lead_ns < int(self.ends_ns[first])
                inside = broken_ns[(broken_ns >= self.ends_ns[first]) & (broken_ns <= self.ends_ns[last])]
                inside = inside[(inside > origin_ns) & (inside <= next_ns)]
                if len(inside) and not of_another:
                    longest_ns = max(longest_ns, int(inside[-1]) - origin_ns)
        return longest_ns


def verdict_of(judgement: Judgement, *, capacity_suffices: bool | None, faster_by: float | None) -> Verdict:
    """The verdict (J3). `capacity_suffices`: what the reset replay showed at a broken deadline, None before it ran.
    `faster_by`: by which share the level's percentile fell from `before` to the time from the first fault on.
    """
    if judgement.invalid:
        return "invalid"
    if judgement.broken:
        return "outage" if capacity_suffices is False else "collapse"
    if judgement.undecided:
        return "undecided"
    if judgement.ever_broken:
        return "degraded"
    if faster_by is not None and faster_by >= IMPROVED_BY:
        return "improved"
    return "no-impact"


def status_of(verdict: Verdict, allow: Verdict, other_rules: Sequence[bool | None], aborted: bool) -> Status:
    """What became of the hypothesis: `allow` is the worst verdict that passes; `other_rules` are its further bounds,
    True where kept, False where broken, None where the run cannot tell.
    """
    if verdict == "invalid":
        return "invalid"
    if aborted or any(kept is False for kept in other_rules):
        return "falsified"
    if verdict == "undecided":
        return "undecided"
    if WORST_FIRST.index(verdict) < WORST_FIRST.index(allow):
        return "falsified"
    return "undecided" if any(kept is None for kept in other_rules) else "held"


def streaks(states: States) -> list[tuple[int, int]]:
    """(first, last) index of each run of broken windows; windows that are unjudged in between do not end one."""
    broken = np.flatnonzero(states == State.BROKEN)
    held_before = np.cumsum(states == State.HELD)[broken]
    starts = np.flatnonzero(np.diff(held_before, prepend=-1))
    lasts = np.append(starts[1:], len(broken)) - 1
    return (
        [(int(broken[first]), int(broken[last])) for first, last in zip(starts, lasts, strict=True)]
        if len(broken)
        else []
    )
