"""The searches as one calls them from Python: a scenario or its file, by what means, and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from azsim.scenario import Scenario, load
from azsim.study import explain as explaining
from azsim.study import tuning
from azsim.study.executors import Kind
from azsim.study.explain import Explanation
from azsim.study.knob import knob as knob_of
from azsim.study.margin import Finder, Margin, within_reach
from azsim.study.means import Kept, collector_of
from azsim.study.tuning import Algorithm, Tuning

Given = Scenario | str | Path


def find_margin(
    scenario: Given,
    knob: str,
    *,
    p: float = 0.05,
    confidence: float = 0.95,
    replicates: int = 100,
    store: Kept = None,
    count: int | None = None,
    kind: Kind = "processes",
    cluster: str | None = None,
) -> Margin:
    """How far a knob (`PATH` or `PATH=LOW..HIGH`) can be turned before P(down) exceeds p. See `azsim margin`."""
    one = _scenario(scenario)
    with collector_of(store, count, kind, cluster) as collector:
        finder = Finder(one, collector, p=p, confidence=confidence, replicates=replicates)
        return finder.margin(within_reach(one, knob_of(one, knob)))


def explain(
    scenario: Given,
    *,
    replicates: int = 5,
    confidence: float = 0.95,
    store: Kept = None,
    count: int | None = None,
    kind: Kind = "processes",
    cluster: str | None = None,
) -> Explanation:
    """Which mechanisms bring a scenario down. See `azsim explain`."""
    with collector_of(store, count, kind, cluster) as collector:
        return explaining.explain(_scenario(scenario), collector, replicates=replicates, confidence=confidence)


def tune(
    scenario: Given,
    knobs: Sequence[str] = (),
    *,
    trials: int = 60,
    replicates: int = 5,
    confidence: float = 0.95,
    algorithm: Algorithm = "nsga2",
    store: Kept = None,
    count: int | None = None,
    kind: Kind = "processes",
    cluster: str | None = None,
) -> Tuning:
    """Settings (`PATH=LOW..HIGH`, `PATH=[one, another]`) that keep a scenario up cheapest. See `azsim tune`."""
    one = _scenario(scenario)
    with collector_of(store, count, kind, cluster) as collector:
        return tuning.tune(
            one,
            tuning.choices_of(one, knobs),
            collector,
            trials=trials,
            replicates=replicates,
            confidence=confidence,
            algorithm=algorithm,
        )


def _scenario(given: Given) -> Scenario:
    return given if isinstance(given, Scenario) else load(given)
