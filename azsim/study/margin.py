"""How far a knob can be turned before the system goes down too often; and with two knobs, where that boundary runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from azsim.base.errors import AzsimError, ExitCode, ScenarioError
from azsim.scenario import Scenario
from azsim.study import intervals
from azsim.study.collector import Collector
from azsim.study.intervals import Interval
from azsim.study.knob import Knob
from azsim.study.sampling import Sampler, settled
from azsim.study.search import Found, Search
from azsim.study.task import Task

Counted = Callable[[int], None]
"""Told how many runs have been made."""

ENDS: Final = 8  # replicates that say which end of a knob is the safer one
COLUMNS: Final = 9  # of a map


class MarginError(AzsimError):
    """A search that cannot find anything: what to ask instead."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Margin:
    """The largest turn of a knob at which P(down) <= p, towards where it is less safe.

    `bounds` are values of the knob, each None where it lies beyond the levels that were searched; `fresh` is P(down) at
    the safe bound, from replicates that the search had not seen; `contradictions` of `audited` replicates failed where
    they ought not to have, had failing been a matter of the level alone.
    """

    knob: Knob
    rising: bool  # whether higher is less safe
    p: float
    confidence: float
    replicates: int
    bounds: Interval  # from the safe side to the other one
    fresh: Interval | None
    contradictions: int
    audited: int
    runs: int

    @property
    def share(self) -> float | None:
        """How far the knob may be turned, in parts of where it stands; negative where it stands beyond."""
        best = self.bounds.best
        return None if best is None or not self.knob.value else best / self.knob.value - 1.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON; values of the knob as a scenario writes them."""
        written = {
            name: None if value is None else self.knob.written(value) for name, value in self.bounds.to_dict().items()
        }
        return {
            "knob": self.knob.path,
            "value": self.knob.written(self.knob.value),
            "less_safe": "up" if self.rising else "down",
            "p": self.p,
            "confidence": self.confidence,
            "replicates": self.replicates,
            "safe_to": written["low"],
            "best": written["best"],
            "unsafe_from": written["high"],
            "margin": self.share,
            "fresh": None if self.fresh is None else self.fresh.to_dict(),
            "contradictions": self.contradictions,
            "audited": self.audited,
            "runs": self.runs,
        }


class Finder:
    """Finds margins of one scenario. What varies in it takes the values of each replicate, as in a study."""

    def __init__(
        self,
        scenario: Scenario,
        collector: Collector,
        *,
        p: float = 0.05,
        confidence: float = 0.95,
        replicates: int = 100,
        counted: Counted | None = None,
    ) -> None:
        needed = math.ceil(math.log((1 - confidence) / 2) / math.log1p(-p)) if 0 < p < 1 else 0
        if not needed:
            raise MarginError(f"the probability to go down with is above 0 and below 100%, not {100 * p:g}%")
        if replicates < needed:
            raise MarginError(
                f"{replicates} replicates cannot tell {100 * p:g}% with {100 * confidence:g}%: "
                f"it takes at least {needed} (--replicates {needed})"
            )
        self.scenario = scenario
        self.p, self.confidence, self.replicates = p, confidence, replicates
        self._collector = collector
        self._sampler = Sampler(scenario)
        self._counted = counted
        self._made = 0

    def down(self, pairs: Sequence[tuple[dict[str, Any], int]]) -> list[bool]:
        """Whether each (changes, replicate) goes down."""
        tasks = [
            Task.of(settled(self.scenario, {**self._sampler.values(k), **changes}), k, light=True)
            for changes, k in pairs
        ]
        begun = self._made

        def told(done: int, _: int) -> None:
            if self._counted is not None:
                self._counted(begun + done)

        rows = self._collector.rows(tasks, told)
        self._made += len(rows)
        # What the run is too short to show has not been shown to be up.
        return [row.down or row.verdict == "undecided" for row in rows]

    def margin(self, turned: Knob, fixed: dict[str, Any] | None = None, *, confirm: bool = True) -> Margin:
        """The margin of a knob, with other keys `fixed`."""
        fixed = fixed or {}
        rising = self.rising(turned, fixed)
        levels = turned.levels if rising else turned.levels[::-1]

        def evaluate(pairs: Sequence[tuple[int, int]]) -> list[bool]:
            return self.down([({**fixed, turned.path: turned.written(levels[level])}, k) for level, k in pairs])

        search = Search(len(levels), self.replicates, evaluate)
        found = search.find(self.p, self.confidence)
        fresh, contradictions, audited = None, 0, 0
        if confirm and found.low >= 0:
            safe = {**fixed, turned.path: turned.written(levels[found.low])}
            failed = self.down([(safe, k) for k in range(self.replicates, 2 * self.replicates)])
            fresh = intervals.share(sum(failed), len(failed), self.confidence)
            contradictions, audited = search.audit(found.low)
        return Margin(
            knob=turned,
            rising=rising,
            p=self.p,
            confidence=self.confidence,
            replicates=self.replicates,
            bounds=_bounds(found, levels),
            fresh=fresh,
            contradictions=contradictions,
            audited=audited,
            runs=search.runs + (self.replicates if fresh is not None else 0),
        )

    def rising(self, turned: Knob, fixed: dict[str, Any]) -> bool:
        """Whether higher levels of a knob are less safe: rates are, and so is what faults do; others are tried."""
        if turned.dimension == "rate" or turned.path.startswith("faults."):
            return True
        ends = [
            self.down([({**fixed, turned.path: turned.written(level)}, k) for k in range(ENDS)])
            for level in (turned.levels[0], turned.levels[-1])
        ]
        return sum(ends[0]) <= sum(ends[1])

    def band(self, given: Margin) -> Margin | None:
        """The margin of the same knob where nothing breaks. Between both, what happened before decides whether the
        system is up or down: two states under one load. None where there are no faults, or the knob is one of them.
        """
        if not self.scenario.faults or given.knob.path.startswith("faults."):
            return None
        calm = Finder(
            self.scenario.with_({"faults": []}),
            self._collector,
            p=self.p,
            confidence=self.confidence,
            replicates=self.replicates,
            counted=self._counted,
        )
        return calm.margin(given.knob, confirm=False)

    def map(self, across: Knob, turned: Knob, columns: int = COLUMNS) -> list[tuple[float, Margin]]:
        """The margins of one knob at levels of another one, from end to end: the boundary between up and down."""
        last = len(across.levels) - 1
        picked = sorted({round(last * i / (columns - 1)) for i in range(columns)})
        return [
            (level, self.margin(turned, {across.path: across.written(level)}, confirm=False))
            for level in (across.levels[i] for i in picked)
        ]


def _bounds(found: Found, levels: Sequence[float]) -> Interval:
    low = levels[found.low] if found.low >= 0 else None
    best = levels[found.best] if found.best >= 0 else None
    high = levels[found.high] if found.high < len(levels) else None
    return Interval(low, None if found.best == len(levels) - 1 and high is None else best, high)


def knobs_of(scenario: Scenario) -> list[str]:
    """What one would turn first: the load of each population, and how long and how hard each fault is."""
    found = [
        f"traffic.{name}.rate" for name, population in scenario.traffic.items() if isinstance(population.rate, float)
    ]
    for fault in scenario.faults:
        if fault.for_ is not None:
            found.append(f"faults.{fault.id}.for")
        if fault.traffic_spike is not None:
            found.append(f"faults.{fault.id}.traffic_spike.factor")
    return found


def within_reach(scenario: Scenario, turned: Knob) -> Knob:
    """The knob without levels that the scenario cannot hold, or at which it would end before all is decided."""

    def decided(level: float) -> bool:
        try:
            turned_so = scenario.with_({"vary": {}, turned.path: turned.written(level)})
        except ScenarioError:
            return False
        dues = [
            end_ns + turned_so.hypothesis.recover_within
            for fault in turned_so.faults
            for _, end_ns in fault.times
            if end_ns is not None
        ]
        return max(dues, default=0) <= turned_so.duration

    levels = tuple(level for level in turned.levels if decided(level))
    if len(levels) < 2:
        raise MarginError(
            f"{turned.path}: the run is too short to decide anything at any level; give a longer duration"
        )
    return replace(turned, levels=levels)
