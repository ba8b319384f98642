"""The largest level that few enough replicates fail at, by bisection on common random numbers.

Chance is keyed, so a replicate is the same world at every level, and has a level of its own from which on it fails. The
margin at a probability p is the p-quantile of these levels: how many lie below it is binomial, so its bounds are two of
them in order, whatever their law. To find the r-th lowest, only replicates that are not settled by what is known of
them need be run; most are, after one or two levels.

That rests on one assumption: who fails at a level fails at all higher ones. `audit` looks for what contradicts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from azsim.base.seeds import key_hash
from azsim.study.intervals import quantile_ranks

Evaluate = Callable[[Sequence[tuple[int, int]]], Sequence[bool]]
"""Whether each (level, replicate) fails; levels are numbered from the safest."""

_AUDIT = 513  # purpose of the draws of `audit`


@dataclass(frozen=True, slots=True)
class Found:
    """Levels by number: the p-quantile is above `low` and not above `high`; `best` is the highest level at which no
    more than a share p fails. -1: not even the safest; `high` is the number of levels where nothing bounds it.
    """

    low: int
    best: int
    high: int


@dataclass
class Search:
    """A search over `levels` levels with `replicates` replicates."""

    levels: int
    replicates: int
    evaluate: Evaluate
    runs: int = 0
    _good: list[int] = field(default_factory=list)  # for each replicate the highest level known to be good
    _bad: list[int] = field(default_factory=list)  # and the lowest known to be bad

    def __post_init__(self) -> None:
        self._good = [-1] * self.replicates
        self._bad = [self.levels] * self.replicates

    def find(self, p: float, confidence: float) -> Found:
        """The margin at probability p."""
        low_rank, high_rank = quantile_ranks(self.replicates, p, confidence)
        best_rank = int(p * self.replicates + 1e-9) + 1  # the first failure that is one too many
        best = self.rank(best_rank) - 1
        low = self.rank(low_rank) - 1 if low_rank else -1
        high = self.rank(high_rank) if high_rank <= self.replicates else self.levels
        return Found(low, best, high)

    def rank(self, rank: int) -> int:
        """The lowest level at which `rank` replicates fail; the number of levels where there is none."""
        lowest, highest = -1, self.levels
        while highest - lowest > 1:
            middle = (lowest + highest) // 2
            if self.failing(middle) >= rank:
                highest = middle
            else:
                lowest = middle
        return highest

    def failing(self, level: int) -> int:
        """How many replicates fail at a level."""
        self._settle((level, k) for k in range(self.replicates) if self._good[k] < level < self._bad[k])
        return sum(bad <= level for bad in self._bad)

    def audit(self, level: int, share: float = 0.25) -> tuple[int, int]:
        """(contradictions, looked at): runs some replicates at levels below this one at which they ought to be good."""
        pairs = []
        for k in range(int(share * self.replicates)):
            draw = key_hash(level, k, 0, 0, _AUDIT)
            below = min(level, self._good[k])
            if below > 0:
                pairs.append((draw % below, k))
        failed = self.evaluate(pairs) if pairs else []
        self.runs += len(pairs)
        return sum(failed), len(pairs)

    def _settle(self, wanted: Iterable[tuple[int, int]]) -> None:
        pairs = list(wanted)
        if not pairs:
            return
        self.runs += len(pairs)
        for (level, k), failed in zip(pairs, self.evaluate(pairs), strict=True):
            if failed:
                self._bad[k] = min(self._bad[k], level)
            else:
                self._good[k] = max(self._good[k], level)
