"""Rare events: what varies is drawn where things go wrong, and each run is weighed by how much too often it was drawn.

Importance sampling by cross-entropy (Rubinstein 1997). Rounds of runs move a product of beta laws, one for each key
that varies, to where the system comes nearest to going down. A last round of fresh replicates is drawn from them and
weighed by the likelihood ratio, so the estimate has no bias wherever the laws ended up. A tenth of all draws comes from
the laws as they are: no weight exceeds ten, and a region that the rounds did not see is still drawn from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from azsim.base.errors import AzsimError, ExitCode
from azsim.base.seeds import run_key
from azsim.scenario import Scenario
from azsim.study import intervals
from azsim.study.collector import Collector
from azsim.study.intervals import Interval
from azsim.study.row import Row
from azsim.study.sampling import Sampler, keyed_share, settled
from azsim.study.task import Task

Floats = npt.NDArray[np.float64]

PLAIN: Final = 0.1  # of the draws come from the laws as they are
ELITE: Final = 0.1  # of a round moves the laws
ENOUGH: Final = 0.25  # of a round down: the laws are where they should be
ROUNDS_MAX: Final = 12
_STEP: Final = 0.8  # of the way to what the elite says
_CONCENTRATION_MAX: Final = 1000.0
_SHAPE_MIN: Final = 0.05


class RareError(AzsimError):
    """A rare event that cannot be looked for so."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Tilt:
    """Where a key was drawn from in the last round: the values below which 10%, 50% and 90% of the draws lay."""

    path: str
    low: Any
    middle: Any
    high: Any


@dataclass(frozen=True, slots=True)
class Rare:
    """P(down) and how it was found. `reduction`: how many times as many plain runs give the same error; None where
    nothing went down.
    """

    scenario: str
    digest: str
    down: Interval
    seen: int  # runs of the last round that went down
    replicates: int  # of the last round
    rounds: int  # before it
    runs: int
    reduction: float | None
    tilts: tuple[Tilt, ...]
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "scenario": self.scenario,
            "digest": self.digest,
            "down": self.down.to_dict(),
            "seen": self.seen,
            "replicates": self.replicates,
            "rounds": self.rounds,
            "runs": self.runs,
            "variance_reduction": self.reduction,
            "drawn": {one.path: [one.low, one.middle, one.high] for one in self.tilts},
            "confidence": self.confidence,
        }


def rare(
    scenario: Scenario,
    collector: Collector,
    *,
    replicates: int = 400,
    confidence: float = 0.95,
    counted: Callable[[int], None] | None = None,
) -> Rare:
    """P(down) where it is small. RareError where nothing varies by a law: chance alone is not steered."""
    sampler = Sampler(scenario)
    if not sampler.paths:
        raise RareError(
            "rare events are looked for among what varies: give the scenario's uncertain keys a law, such as "
            "vary: {traffic.shoppers.rate: {lognormal: {mean: 900/s, cv: 0.1}}}"
        )
    search = _Search(scenario, sampler, collector, counted)
    rounds = 0
    while rounds < ROUNDS_MAX:
        rounds += 1
        drawn, rows = search.round(max(50, replicates // 4))
        if sum(row.down for row in rows) >= ENOUGH * len(rows):
            break
        search.move(drawn, rows)
    drawn, rows = search.round(replicates)
    down = np.array([row.down for row in rows])
    weighed = np.where(down, search.weights(drawn), 0.0)
    p, variance = float(weighed.mean()), float(weighed.var(ddof=1))
    return Rare(
        scenario=scenario.name,
        digest=scenario.digest,
        down=_interval(weighed, confidence, scenario.seed),
        seen=int(down.sum()),
        replicates=replicates,
        rounds=rounds,
        runs=search.runs,
        reduction=p * (1 - p) / variance if variance > 0 else None,
        tilts=tuple(search.tilts()),
        confidence=confidence,
    )


def _interval(weighed: Floats, confidence: float, seed: int) -> Interval:
    """Bounds of a mean of weights between 0 and 10."""
    if not weighed.any():
        # Nothing was seen: no weight is more than 1 / PLAIN, so the mean is that times a share at most.
        most = intervals.share(0, len(weighed), confidence).high or 1.0
        return Interval(0.0, 0.0, min(1.0, most / PLAIN))
    found = intervals.mean(weighed.tolist(), confidence, seed)
    return Interval(max(0.0, found.low or 0.0), found.best, found.high)


class _Search:
    """The laws that are drawn from, and the runs made so far."""

    def __init__(
        self,
        scenario: Scenario,
        sampler: Sampler,
        collector: Collector,
        counted: Callable[[int], None] | None,
    ) -> None:
        self._scenario, self._sampler, self._collector, self._counted = scenario, sampler, collector, counted
        self.runs = 0
        self._shapes = np.ones((2, len(sampler.paths)))  # of the beta laws; ones are the laws as they are

    def round(self, size: int) -> tuple[Floats, list[Row]]:
        """The shares drawn for so many fresh replicates, (N, D), and their rows."""
        numbers = range(self.runs, self.runs + size)
        drawn = np.array([self._draw(k) for k in numbers])
        tasks = [
            Task.of(settled(self._scenario, self._sampler.at(shares)), k, light=True)
            for k, shares in zip(numbers, drawn.tolist(), strict=True)
        ]
        begun = self.runs
        told = None if self._counted is None else lambda done, _: self._counted(begun + done)  # type: ignore[misc]
        rows = self._collector.rows(tasks, told)
        self.runs += size
        return drawn, rows

    def _draw(self, replicate: int) -> Floats:
        key = run_key(self._scenario.seed, replicate)
        shares = np.array([keyed_share(key, path) for path in self._sampler.paths])
        if keyed_share(key, "") < PLAIN:
            return shares
        tilted: Floats = stats.beta.ppf(shares, *self._shapes)
        return np.clip(tilted, 1e-12, 1 - 1e-12)

    def weights(self, drawn: Floats) -> Floats:
        """Likelihood ratios of draws from the present laws."""
        density = stats.beta.pdf(drawn, *self._shapes).prod(axis=1)
        found: Floats = 1.0 / (PLAIN + (1 - PLAIN) * density)
        return found

    def move(self, drawn: Floats, rows: Sequence[Row]) -> None:
        """Move the laws to the runs that came nearest to going down."""
        order = sorted(range(len(rows)), key=lambda i: nearness(rows[i]), reverse=True)
        elite = order[: max(10, math.ceil(ELITE * len(rows)))]
        weights = self.weights(drawn)[elite]
        mean = np.average(drawn[elite], axis=0, weights=weights)
        variance = np.maximum(np.average((drawn[elite] - mean) ** 2, axis=0, weights=weights), 1e-12)
        concentration = np.clip(mean * (1 - mean) / variance - 1, 1.0, _CONCENTRATION_MAX)
        wanted = np.maximum(np.array([mean * concentration, (1 - mean) * concentration]), _SHAPE_MIN)
        self._shapes = np.exp(_STEP * np.log(wanted) + (1 - _STEP) * np.log(self._shapes))

    def tilts(self) -> list[Tilt]:
        """Where each key is drawn from."""
        at = [self._sampler.at(np.array(stats.beta.ppf(q, *self._shapes)).tolist()) for q in (0.1, 0.5, 0.9)]
        return [Tilt(path, *(values[path] for values in at)) for path in self._sampler.paths]


def nearness(row: Row) -> tuple[bool, float, float]:
    """How near a run came to going down; larger is nearer."""
    failed = 1.0 - (row.success or 0.0)
    return row.down, round(failed, 4), math.inf if row.headroom_min is None else -row.headroom_min
