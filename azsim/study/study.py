"""Monte Carlo: many replicates of one scenario or several, and what they say together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from azsim.scenario import Scenario, load_each
from azsim.simulation.run import code_version
from azsim.simulation.verdict import WORST_FIRST
from azsim.study import intervals
from azsim.study.collector import Collector, Told
from azsim.study.executors import Kind
from azsim.study.export import table
from azsim.study.intervals import Interval
from azsim.study.means import Kept, collector_of
from azsim.study.row import Row
from azsim.study.sampling import Sampler, Sampling, Values, grid, settled
from azsim.study.task import Task

if TYPE_CHECKING:
    from pandas import DataFrame

QUANTILES: Final = (0.05, 0.5, 0.95)
BATCH: Final = 16
MEASURES: Final[Mapping[str, Callable[[Row], float]]] = {
    "goodput_per_s": lambda row: _number(row.goodput_per_s, math.nan),
    # Who never recovered is infinitely late; where attempts met no capacity at all, no number says how much was short.
    "time_to_recover_s": lambda row: math.inf if row.down else _number(row.time_to_recover_s, math.nan),
    "headroom_min": lambda row: _number(row.headroom_min, -math.inf),
}
"""What a study gives quantiles of, and how a row is read for it; not a number: the row has nothing to say."""


@dataclass(frozen=True, slots=True)
class Until:
    """When a study has seen enough. Rules look at whole batches in the order of the replicates, never at who was
    faster; `replicates` is the most in any case.
    """

    replicates: int = 100
    events: int | None = None  # systems that went down
    width: float | None = None  # of the interval of the probability to go down
    wall_s: float | None = None
    batch: int = BATCH

    def __post_init__(self) -> None:
        for name in ("replicates", "batch", "events", "width", "wall_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be more than 0, not {value}")

    @property
    def sequential(self) -> bool:
        """Whether results or the clock decide when to stop."""
        return self.events is not None or self.width is not None or self.wall_s is not None


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario of a study, with the settings that tell it from the others. Its replicates are counted together."""

    scenario: Scenario
    labels: dict[str, str]  # which scenario, which zone: empty where there is no other
    settings: Values  # of its grid: dotted paths and values
    sampler: Sampler

    def values(self, replicate: int) -> Values:
        """What varies in a replicate, and the value it takes."""
        return self.sampler.values(replicate)

    def task(self, replicate: int) -> Task:
        """The replicate to run."""
        return Task.of(settled(self.scenario, {**self.settings, **self.values(replicate)}), replicate)


@dataclass(frozen=True)
class Summary:
    """What the replicates of one case say. Each interval holds with the study's confidence by itself."""

    labels: dict[str, str]
    settings: Values
    replicates: int
    verdicts: dict[str, Interval]  # the probability of each verdict that came up, and of a collapse and degraded anyway
    down: Interval  # the probability to be still broken at a deadline
    held: Interval  # the probability that the hypothesis holds
    quantiles: dict[str, dict[float, Interval]]  # of each measure
    silent: dict[str, int]  # replicates that have nothing to say about a measure

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **self.labels,
            "settings": self.settings,
            "replicates": self.replicates,
            "down": self.down.to_dict(),
            "held": self.held.to_dict(),
            "verdicts": {name: one.to_dict() for name, one in self.verdicts.items()},
            "quantiles": {
                name: {f"{q:g}": one.to_dict() for q, one in by.items()} for name, by in self.quantiles.items()
            },
            "silent": self.silent,
        }


@dataclass(frozen=True)
class Study:
    """The replicates of each case, in order, and how they were decided on."""

    cases: tuple[Case, ...]
    rows: tuple[tuple[Row, ...], ...]
    until: Until
    confidence: float
    sampling: Sampling
    ran: int = 0  # replicates that were not in the store
    stopped: str = "replicates"  # what ended it
    _summaries: list[Summary] = field(default_factory=list, repr=False, compare=False)

    @property
    def summaries(self) -> list[Summary]:
        """One for each case."""
        if not self._summaries:
            self._summaries.extend(
                summary(case, rows, self.confidence, sequential=self.until.sequential)
                for case, rows in zip(self.cases, self.rows, strict=True)
            )
        return self._summaries

    @property
    def table(self) -> DataFrame:
        """Every replicate, one row each, with its settings and the values of what varies; no wall times."""
        rows = [row for of_case in self.rows for row in of_case]
        settings = [
            {
                **{name: value for name, value in case.labels.items() if name != "scenario"},
                **{name: _cell(value) for name, value in case.settings.items()},
                **{name: _cell(value) for name, value in case.values(row.replicate).items()},
            }
            for case, of_case in zip(self.cases, self.rows, strict=True)
            for row in of_case
        ]
        return table(rows, settings if any(settings) else None)

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the replicates."""
        return {
            "code_version": code_version(),
            "confidence": self.confidence,
            "sampling": self.sampling,
            "stopped": self.stopped,
            "intervals": "any stopping rule" if self.until.sequential else "fixed number of replicates",
            "cases": [
                {"scenario": case.scenario.name, "digest": case.scenario.digest, **one.to_dict()}
                for case, one in zip(self.cases, self.summaries, strict=True)
            ],
        }


def collect(
    scenarios: Scenario | str | Path | Sequence[Scenario | str | Path],
    *,
    until: Until | None = None,
    sampling: Sampling = "random",
    confidence: float = 0.95,
    seed: int | None = None,
    store: Kept = None,
    count: int | None = None,
    kind: Kind = "processes",
    cluster: str | None = None,
    memory_limit: int | None = None,
    told: Told | None = None,
) -> Study:
    """Run replicates of scenarios until enough is known, and keep them in a store (`azsim.collect`).

    A scenario that varies over a grid, or that loses `zone: each`, is as many cases. `count` workers of a `kind`, or
    those of a Dask cluster, run the replicates. Raises ScenarioError, StoreError, ClusterError and what a run raises.
    """
    given = [scenarios] if isinstance(scenarios, Scenario | str | Path) else list(scenarios)
    cases = tuple(cases_of(given, sampling, seed))
    until = until or Until()
    with collector_of(store, count, kind, cluster, memory_limit) as collector:
        return carry_out(cases, collector, until, confidence, sampling, told)


def cases_of(
    scenarios: Sequence[Scenario | str | Path],
    sampling: Sampling = "random",
    seed: int | None = None,
    changes: Mapping[str, str] | None = None,
) -> list[Case]:
    """The cases of scenarios or their files: each at each point of its grid, and where it loses `zone: each`, with each
    zone. `changes` are laid over files, as `--set` does.
    """
    found = []
    for given in scenarios:
        several = {"": given} if isinstance(given, Scenario) else load_each(given, changes)
        for zone, scenario in several.items():
            if seed is not None:
                scenario = scenario.with_({"seed": seed})
            labels = {} if len(scenarios) == 1 else {"scenario": scenario.name}
            labels |= {"zone": zone} if zone else {}
            sampler = Sampler(scenario, sampling)
            found += [Case(scenario, labels, point, sampler) for point in grid(scenario)]
    return found


def carry_out(
    cases: Sequence[Case],
    collector: Collector,
    until: Until,
    confidence: float,
    sampling: Sampling,
    told: Told | None = None,
) -> Study:
    """Run batches of replicates of every case that has not seen enough."""
    begun_s = time.monotonic()
    rows: list[list[Row]] = [[] for _ in cases]
    open_ = set(range(len(cases)))
    stopped = "replicates"
    while open_:
        # Without a rule to look at results there is no need to wait at the end of a batch.
        batch = until.batch if until.sequential else until.replicates
        wanted = [
            (number, replicate)
            for number in sorted(open_)
            for replicate in range(len(rows[number]), min(len(rows[number]) + batch, until.replicates))
        ]
        before = sum(map(len, rows))
        total = before + len(wanted) if not until.sequential else len(cases) * until.replicates
        tell = None if told is None else lambda done, _, before=before, total=total: told(before + done, total)
        got = collector.rows((cases[number].task(replicate) for number, replicate in wanted), tell)
        for (number, _), row in zip(wanted, got, strict=True):
            rows[number].append(row)
        for number in sorted(open_):
            reason = enough(rows[number], until, confidence)
            if reason is not None:
                open_.discard(number)
                stopped = reason
        if until.wall_s is not None and open_ and time.monotonic() - begun_s >= until.wall_s:
            stopped = "time"
            break
    return Study(tuple(cases), tuple(map(tuple, rows)), until, confidence, sampling, collector.ran, stopped)


def enough(rows: Sequence[Row], until: Until, confidence: float) -> str | None:
    """Which rule says that these replicates are enough; None where none does."""
    down = sum(row.down for row in rows)
    if until.events is not None and down >= until.events:
        return "events"
    if until.width is not None and intervals.share(down, len(rows), confidence, sequential=True).width <= until.width:
        return "width"
    return "replicates" if len(rows) >= until.replicates else None


def summary(case: Case, rows: Sequence[Row], confidence: float, *, sequential: bool) -> Summary:
    """What the replicates of a case say."""
    n = len(rows)

    def probability(holds: Callable[[Row], bool]) -> Interval:
        return intervals.share(sum(map(holds, rows)), n, confidence, sequential=sequential)

    seen = {row.verdict for row in rows} | {"collapse", "degraded"}
    order: list[str] = [*WORST_FIRST, "invalid", "undecided"]
    measured = {name: [value for value in map(read, rows) if not math.isnan(value)] for name, read in MEASURES.items()}
    return Summary(
        labels=case.labels,
        settings=case.settings,
        replicates=n,
        verdicts={
            verdict: probability(lambda row, verdict=verdict: row.verdict == verdict)  # type: ignore[misc]
            for verdict in sorted(seen, key=order.index)
        },
        down=probability(lambda row: row.down),
        held=probability(lambda row: row.hypothesis == "held"),
        quantiles={
            name: {q: intervals.quantile(values, q, confidence, sequential=sequential) for q in QUANTILES}
            for name, values in measured.items()
        },
        silent={name: n - len(values) for name, values in measured.items()},
    )


def _number(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _cell(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)
