"""Two scenarios on common random numbers: replicate by replicate, what the second does differently."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from azsim.base.errors import ScenarioError
from azsim.scenario import Scenario
from azsim.study import intervals
from azsim.study.collector import Collector, Told
from azsim.study.intervals import Interval
from azsim.study.row import Row
from azsim.study.sampling import Sampler, Sampling, settled
from azsim.study.task import Task

MEASURES: Final[Mapping[str, Callable[[Row], float | None]]] = {
    "success": lambda row: row.success,
    "goodput_per_s": lambda row: row.goodput_per_s,
    "amplification": lambda row: row.amplification,
    "wasted_share": lambda row: row.wasted_share,
    "latency_p99_s": lambda row: row.latency_p99_s,
    "headroom_min": lambda row: row.headroom_min,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of second minus first over the pairs that have both. `reduction`: how many times fewer replicates pairs
    need than independent runs would, for the same error; None where pairs do not differ among each other at all.
    """

    first: float
    second: float
    difference: Interval
    pairs: int
    reduction: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two scenarios and their rows, pair by pair."""

    names: tuple[str, str]
    rows: tuple[tuple[Row, ...], tuple[Row, ...]]
    confidence: float

    @property
    def down(self) -> tuple[Interval, Interval]:
        """P(down) of each."""
        first, second = (
            intervals.share(sum(row.down for row in rows), len(rows), self.confidence) for rows in self.rows
        )
        return first, second

    @property
    def down_difference(self) -> Interval:
        """How much likelier the second goes down; from the pairs in which one does and the other does not."""
        first, second = ([row.down for row in rows] for rows in self.rows)
        return intervals.share_difference(first, second, self.confidence)

    @property
    def disagreements(self) -> tuple[int, int]:
        """In how many pairs only the first went down, and only the second."""
        pairs = [(a.down, b.down) for a, b in zip(*self.rows, strict=True)]
        return pairs.count((True, False)), pairs.count((False, True))

    @property
    def differences(self) -> dict[str, Difference]:
        """Of each measure that some pair has."""
        found = {}
        for name, read in MEASURES.items():
            pairs = [
                (a, b)
                for a, b in ((read(a), read(b)) for a, b in zip(*self.rows, strict=True))
                if a is not None and b is not None
            ]
            if pairs:
                found[name] = difference(pairs, self.confidence, self.rows[0][0].seed)
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "scenarios": list(self.names),
            "digests": [rows[0].digest for rows in self.rows],
            "pairs": len(self.rows[0]),
            "confidence": self.confidence,
            "down": [one.to_dict() for one in self.down],
            "down_difference": self.down_difference.to_dict(),
            "only_one_down": list(self.disagreements),
            "differences": {
                name: {
                    "first": one.first,
                    "second": one.second,
                    "difference": one.difference.to_dict(),
                    "pairs": one.pairs,
                    "variance_reduction": one.reduction,
                }
                for name, one in self.differences.items()
            },
        }


def difference(pairs: Sequence[tuple[float, float]], confidence: float, seed: int) -> Difference:
    """The mean difference of pairs, and what pairing them was worth."""
    first, second = np.array(pairs).T
    between = second - first
    paired = float(between.var(ddof=1)) if len(pairs) > 1 else 0.0
    apart = float(first.var(ddof=1) + second.var(ddof=1)) if len(pairs) > 1 else 0.0
    # Rounding leaves a trace of a variance where there is none.
    return Difference(
        first=float(first.mean()),
        second=float(second.mean()),
        difference=intervals.mean(between.tolist(), confidence, seed),
        pairs=len(pairs),
        reduction=apart / paired if paired > 1e-18 and math.isfinite(apart) else None,
    )


def compare(
    first: Scenario,
    second: Scenario,
    collector: Collector,
    *,
    replicates: int = 100,
    confidence: float = 0.95,
    sampling: Sampling = "random",
    told: Told | None = None,
) -> Comparison:
    """Run both scenarios on the same replicates. Both draw from the first one's seed; ScenarioError where they vary
    over a grid, as that is many scenarios.
    """
    if second.seed != first.seed:
        second = second.with_({"seed": first.seed})
    for scenario in (first, second):
        grids = [path for path, one in scenario.vary.items() if one.kind == "grid"]
        if grids:
            raise ScenarioError(
                "a comparison is of two scenarios, and a grid is many",
                key=f"vary.{grids[0]}",
                value="grid",
                example="azsim study FILE",
            )
    samplers = [Sampler(scenario, sampling) for scenario in (first, second)]
    tasks = [
        Task.of(settled(scenario, sampler.values(k)), k)
        for scenario, sampler in zip((first, second), samplers, strict=True)
        for k in range(replicates)
    ]
    rows = collector.rows(tasks, told)
    return Comparison((first.name, second.name), (tuple(rows[:replicates]), tuple(rows[replicates:])), confidence)
