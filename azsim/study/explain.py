"""Which mechanisms bring a system down: replays on the same random numbers, with mechanisms switched off.

A run does not say what caused its end; another run that differs in one thing, and in no draw of chance, does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any, Final

import numpy as np

from azsim.base.errors import AzsimError, ExitCode
from azsim.base.seeds import key_hash, run_key
from azsim.scenario import Scenario
from azsim.study import intervals
from azsim.study.collector import Collector
from azsim.study.intervals import Interval
from azsim.study.sampling import Sampler, settled
from azsim.study.switches import Switch, mechanisms, triggers, without
from azsim.study.task import Task

EXACT_MAX: Final = 6  # mechanisms of which every subset is run; of more, orders are drawn
ORDERS: Final = 12  # drawn, each of them forwards and backwards
CURE_MAX: Final = 3  # mechanisms that a cure may switch off
_ORDER: Final = 514  # purpose of the draws of orders

Set = frozenset[str]


class ExplainError(AzsimError):
    """There is nothing to explain."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Part:
    """A mechanism or a fault, and its part in the system going down; shares are of the replicates."""

    name: str
    trigger: bool
    down_without: float  # it alone switched off
    down_alone: float | None  # every other mechanism switched off, the faults as they are; None for a fault
    shapley: Interval | None  # its part of P(down); below 0: it keeps the system up
    sufficient: bool  # with it alone every replicate goes down, with no mechanism at all some stay up

    @property
    def necessary(self) -> bool:
        """Whether without it no replicate goes down."""
        return self.down_without == 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """What brings a system down. `cures` are the smallest sets of mechanisms without which no replicate goes down."""

    scenario: str
    digest: str
    replicates: int
    down: float
    down_bare: float  # every mechanism switched off
    parts: tuple[Part, ...]
    cures: tuple[tuple[str, ...], ...]
    exact: bool  # whether every subset was run
    confidence: float
    runs: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "scenario": self.scenario,
            "digest": self.digest,
            "replicates": self.replicates,
            "down": self.down,
            "down_without_all": self.down_bare,
            "parts": [
                {
                    "name": part.name,
                    "fault": part.trigger,
                    "down_without": part.down_without,
                    "down_alone": part.down_alone,
                    "necessary": part.necessary,
                    "sufficient": part.sufficient,
                    "shapley": None if part.shapley is None else part.shapley.to_dict(),
                }
                for part in self.parts
            ],
            "cures": [list(cure) for cure in self.cures],
            "exact": self.exact,
            "confidence": self.confidence,
            "runs": self.runs,
        }


def explain(
    scenario: Scenario,
    collector: Collector,
    *,
    replicates: int = 5,
    confidence: float = 0.95,
    counted: Callable[[int], None] | None = None,
) -> Explanation:
    """Switch mechanisms off and see. ExplainError where no replicate goes down as things are."""
    laboratory = _Laboratory(scenario, collector, replicates, counted)
    switches = mechanisms(scenario)
    names = [one.name for one in switches]
    everything: Set = frozenset()
    if not laboratory.share(everything):
        raise ExplainError(
            f"{scenario.name} stays up in all of {replicates} replicates: there is nothing to explain; "
            "azsim margin says how far it is from going down"
        )
    laboratory.prepare([everything, frozenset(names), *(frozenset({one}) for one in names)])
    laboratory.prepare([frozenset(names) - {one} for one in names])
    happened = triggers(scenario)
    laboratory.prepare([frozenset({one.name}) for one in happened])
    exact = len(names) <= EXACT_MAX
    shares = _exact(laboratory, names) if exact else _sampled(laboratory, names, scenario.seed)
    bare = laboratory.share(frozenset(names))
    parts = [
        Part(
            name=name,
            trigger=False,
            down_without=laboratory.share(frozenset({name})),
            down_alone=laboratory.share(frozenset(names) - {name}),
            sufficient=bare < 1 == laboratory.share(frozenset(names) - {name}),
            shapley=_interval(shares[name], confidence, scenario.seed),
        )
        for name in names
    ]
    parts.sort(key=lambda part: -_best(part))
    parts += [Part(one.name, True, laboratory.share(frozenset({one.name})), None, None, False) for one in happened]
    return Explanation(
        scenario=scenario.name,
        digest=scenario.digest,
        replicates=replicates,
        down=laboratory.share(everything),
        down_bare=bare,
        parts=tuple(parts),
        cures=tuple(_cures(laboratory, names)),
        exact=exact,
        confidence=confidence,
        runs=laboratory.runs,
    )


class _Laboratory:
    """Runs with sets of mechanisms switched off; each is made once."""

    def __init__(
        self, scenario: Scenario, collector: Collector, replicates: int, counted: Callable[[int], None] | None
    ) -> None:
        self._scenario = scenario
        self._collector = collector
        self._sampler = Sampler(scenario)
        self._switches: dict[str, Switch] = {one.name: one for one in (*mechanisms(scenario), *triggers(scenario))}
        self._counted = counted
        self._down: dict[tuple[Set, int], bool] = {}
        self.replicates = replicates

    @property
    def runs(self) -> int:
        return len(self._down)

    def prepare(self, sets: Sequence[Set], replicates: Sequence[int] | None = None) -> None:
        """Make the runs with these sets switched off, those that are not made yet, all at once."""
        wanted = [
            (off, k)
            for off in dict.fromkeys(sets)
            for k in (range(self.replicates) if replicates is None else replicates)
            if (off, k) not in self._down
        ]
        begun = self.runs
        told = None if self._counted is None else lambda done, _: self._counted(begun + done)  # type: ignore[misc]
        rows = self._collector.rows([self._task(off, k) for off, k in wanted], told)
        self._down |= {pair: row.down for pair, row in zip(wanted, rows, strict=True)}

    def _task(self, off: Set, replicate: int) -> Task:
        given = settled(self._scenario, self._sampler.values(replicate))
        return Task.of(without(given, [self._switches[name] for name in sorted(off)]), replicate, light=True)

    def down(self, off: Set, replicate: int) -> bool:
        """Whether a replicate goes down with a set switched off."""
        if (off, replicate) not in self._down:
            self.prepare([off], [replicate])
        return self._down[off, replicate]

    def share(self, off: Set) -> float:
        """Of the replicates, how many go down with a set switched off."""
        self.prepare([off])
        return sum(self._down[off, k] for k in range(self.replicates)) / self.replicates


def _exact(laboratory: _Laboratory, names: Sequence[str]) -> dict[str, list[float]]:
    """Shapley's value of each mechanism in each replicate, from all subsets (Shapley 1953)."""
    n = len(names)
    subsets = [frozenset(chosen) for size in range(n + 1) for chosen in combinations(names, size)]
    laboratory.prepare(subsets)
    found: dict[str, list[float]] = {}
    for name in names:
        values = np.zeros(laboratory.replicates)
        for off in subsets:
            if name in off:
                continue
            # Joining those that are on: all but `off` and itself.
            weight = 1 / (n * comb(n - 1, len(off)))
            for k in range(laboratory.replicates):
                values[k] += weight * (int(laboratory.down(off, k)) - int(laboratory.down(off | {name}, k)))
        found[name] = values.tolist()
    return found


def _sampled(laboratory: _Laboratory, names: Sequence[str], seed: int) -> dict[str, list[float]]:
    """The same from drawn orders in which mechanisms are switched off: each order forwards and backwards, and each on
    the replicate whose turn it is.
    """
    orders = []
    for number in range(max(ORDERS, laboratory.replicates)):
        key = run_key(seed, number)
        order = sorted(names, key=lambda name: key_hash(key, list(names).index(name), 0, 0, _ORDER))
        orders.append((number % laboratory.replicates, order))
    for k in range(laboratory.replicates):
        chains = [chain for of, order in orders if of == k for chain in (order, order[::-1])]
        laboratory.prepare([frozenset(chain[:i]) for chain in chains for i in range(len(chain) + 1)], [k])
    found: dict[str, list[float]] = {name: [] for name in names}
    for k, order in orders:
        values = dict.fromkeys(names, 0.0)
        for chain in (order, order[::-1]):
            for i, name in enumerate(chain):
                before, after = (laboratory.down(frozenset(chain[:j]), k) for j in (i, i + 1))
                values[name] += (int(before) - int(after)) / 2
        for name in names:
            found[name].append(values[name])
    return found


def _interval(values: list[float], confidence: float, seed: int) -> Interval:
    return intervals.mean(values, confidence, seed)


def _best(part: Part) -> float:
    return part.shapley.best or 0.0 if part.shapley is not None else 0.0


def _cures(laboratory: _Laboratory, names: Sequence[str]) -> list[tuple[str, ...]]:
    """The smallest sets without which no replicate goes down; none where even the largest tried do not cure."""
    for size in range(1, min(CURE_MAX, len(names)) + 1):
        sets = [frozenset(chosen) for chosen in combinations(names, size)]
        # One replicate rules most of them out.
        laboratory.prepare(sets, [0])
        left = [off for off in sets if not laboratory.down(off, 0)]
        laboratory.prepare(left)
        cures = [off for off in left if not laboratory.share(off)]
        if cures:
            return [tuple(name for name in names if name in off) for off in cures]
    return []
