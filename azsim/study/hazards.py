"""What every hazard on every controller's wire does to a system (T2), on common random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from azsim.base.errors import AzsimError, ExitCode
from azsim.base.units import format_duration
from azsim.policy.hazards import CATALOGUE
from azsim.scenario import Scenario
from azsim.scenario.hazards import controllers_of
from azsim.simulation.verdict import WORST_FIRST
from azsim.study import intervals
from azsim.study.collector import Collector, Told
from azsim.study.intervals import Interval
from azsim.study.row import Row
from azsim.study.sampling import Sampler, settled
from azsim.study.task import Task

_ORDER: Final[Sequence[str]] = ("invalid", *WORST_FIRST, "undecided")


class SurveyError(AzsimError):
    """A system in which there is nothing to survey."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A hazard on a controller's wire."""

    controller: str
    wire: str
    hazard: str

    def __str__(self) -> str:
        return f"{self.controller} {self.wire} {self.hazard}"


@dataclass(frozen=True)
class Finding:
    """What some hazards together do. `goodput_change` is in parts of goodput without them, replicate by replicate."""

    spots: tuple[Spot, ...]
    verdict: str  # the worst one that came up
    goodput_change: Interval
    collapse: Interval
    down: Interval  # collapse or outage, or broken before anything had happened

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "hazards": [{"controller": one.controller, "wire": one.wire, "hazard": one.hazard} for one in self.spots],
            "verdict": self.verdict,
            "goodput_change": self.goodput_change.to_dict(),
            "p_collapse": self.collapse.to_dict(),
            "p_down": self.down.to_dict(),
        }


@dataclass(frozen=True)
class Survey:
    """What was found, worst first; `without` is the system as it stands."""

    scenario: Scenario
    replicates: int
    confidence: float
    at_ns: int
    for_ns: int | None
    without: Finding
    singles: tuple[Finding, ...]
    pairs: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "scenario": self.scenario.name,
            "digest": self.scenario.digest,
            "seed": self.scenario.seed,
            "replicates": self.replicates,
            "confidence": self.confidence,
            "at": format_duration(self.at_ns),
            "for": "none" if self.for_ns is None else format_duration(self.for_ns),
            "without": self.without.to_dict(),
            "singles": [one.to_dict() for one in self.singles],
            "pairs": [one.to_dict() for one in self.pairs],
        }


def spots_of(scenario: Scenario) -> list[Spot]:
    """Every hazard on every controller; SurveyError where there are no controllers."""
    found = [
        Spot(controller, hazard.wire, hazard.name)
        for name, service in scenario.services.items()
        for controller, _ in controllers_of(name, service, scenario.zones)
        for hazard in CATALOGUE
    ]
    if not found:
        raise SurveyError(f"{scenario.name} has no controllers: no service has health checks or scales")
    return found


def begin_ns(scenario: Scenario) -> int:
    """When hazards begin unless said: with the first fault, for that is when controllers are needed."""
    return min((fault.at for fault in scenario.faults), default=scenario.warmup)


class Surveyor:
    """Runs the replicates. Each meets the same arrivals, work and faults with and without its hazards."""

    def __init__(
        self,
        scenario: Scenario,
        collector: Collector,
        *,
        replicates: int,
        confidence: float,
        at_ns: int,
        for_ns: int | None,
        told: Told | None = None,
    ) -> None:
        self.scenario = scenario
        self._collector = collector
        self._replicates = replicates
        self._confidence = confidence
        self._at_ns = at_ns
        self._for_ns = for_ns
        self._told = told
        self._sampler = Sampler(scenario)

    def survey(self, worst: int = 0) -> Survey:
        """Every hazard by itself, and all pairs of the `worst` ones."""
        spots = [(one,) for one in spots_of(self.scenario)]
        in_pairs = worst * (worst - 1) // 2
        total = self._replicates * (1 + len(spots) + in_pairs)
        (plain, *rows) = self._rows([(), *spots], 0, total)
        singles = self._found(spots, rows, plain)
        chosen = sorted(one.spots[0] for one in singles[:worst])
        pairs = list(combinations(chosen, 2))
        done = self._replicates * (1 + len(spots))
        together = self._found(pairs, self._rows(pairs, done, total), plain) if pairs else ()
        (without,) = self._found([()], [plain], plain)
        return Survey(
            self.scenario,
            self._replicates,
            self._confidence,
            self._at_ns,
            self._for_ns,
            without,
            tuple(singles),
            tuple(together),
        )

    def _rows(self, cases: Sequence[tuple[Spot, ...]], done_before: int, total: int) -> list[list[Row]]:
        tell: Callable[[int, int], None] | None = None
        if self._told is not None:
            told = self._told
            tell = lambda done, _: told(done_before + done, total)  # noqa: E731
        tasks = [self._task(case, replicate) for case in cases for replicate in range(self._replicates)]
        rows = self._collector.rows(tasks, tell)
        n = self._replicates
        return [rows[first : first + n] for first in range(0, len(rows), n)]

    def _task(self, spots: tuple[Spot, ...], replicate: int) -> Task:
        listed = list(self.scenario.to_dict().get("hazards", ()))
        for number, one in enumerate(spots, 1):
            hazard: dict[str, Any] = {
                "id": f"surveyed-{number}",
                "on": one.controller,
                one.wire: one.hazard,
                "at": format_duration(self._at_ns),
            }
            if self._for_ns is not None:
                hazard["for"] = format_duration(self._for_ns)
            listed.append(hazard)
        values = self._sampler.values(replicate)
        return Task.of(settled(self.scenario, {**values, "hazards": listed} if spots else values), replicate)

    def _found(
        self, cases: Sequence[tuple[Spot, ...]], rows: Sequence[Sequence[Row]], plain: Sequence[Row]
    ) -> list[Finding]:
        found = [self._finding(case, own, plain) for case, own in zip(cases, rows, strict=True)]
        return sorted(found, key=_badness)

    def _finding(self, spots: tuple[Spot, ...], rows: Sequence[Row], plain: Sequence[Row]) -> Finding:
        changes = [
            (row.goodput_per_s or 0.0) / before.goodput_per_s - 1.0
            for row, before in zip(rows, plain, strict=True)
            if before.goodput_per_s
        ]
        n = len(rows)
        return Finding(
            spots=spots,
            verdict=min((row.verdict for row in rows), key=_ORDER.index),
            goodput_change=intervals.mean(changes, self._confidence, self.scenario.seed),
            collapse=intervals.share(sum(row.verdict == "collapse" for row in rows), n, self._confidence),
            down=intervals.share(sum(row.down for row in rows), n, self._confidence),
        )


def _badness(one: Finding) -> tuple[Any, ...]:
    change = one.goodput_change.best
    return -(one.down.best or 0.0), -(one.collapse.best or 0.0), 0.0 if change is None else round(change, 6), one.spots


def table(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as rows of a table; a pair's hazards stand in one cell each, with ` + ` between."""
    return [
        {
            "controller": " + ".join(spot.controller for spot in one.spots),
            "wire": " + ".join(spot.wire for spot in one.spots),
            "hazard": " + ".join(spot.hazard for spot in one.spots),
            "verdict": one.verdict,
            "goodput_change": one.goodput_change.best,
            "goodput_change_low": one.goodput_change.low,
            "goodput_change_high": one.goodput_change.high,
            "p_collapse": one.collapse.best,
            "p_collapse_low": one.collapse.low,
            "p_collapse_high": one.collapse.high,
            "p_down": one.down.best,
        }
        for one in findings
    ]
