"""Pairs on common random numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from azsim.base.errors import ScenarioError
from azsim.study.collector import Collector
from azsim.study.compare import Comparison, compare, difference
from azsim.study.executors import workers
from azsim.study.store import Store
from tests.small import scenario
from tests.study.storm import storm


def compared(first: object, second: object, replicates: int) -> Comparison:
    with Collector(Store(), workers(1)) as collector:
        return compare(first, second, collector, replicates=replicates)  # type: ignore[arg-type]


def test_a_scenario_does_not_differ_from_itself() -> None:
    found = compared(scenario(), scenario(seed=9), 6)
    assert found.disagreements == (0, 0)
    for one in found.differences.values():
        assert one.difference.best == 0.0
        assert one.reduction is None


def test_retries_are_what_brings_the_storm_down() -> None:
    found = compared(storm(), storm(**{"traffic.shoppers.retry": "none"}), 12)
    only_first, only_second = found.disagreements
    assert only_first >= 8
    assert only_second == 0
    assert found.down_difference.high is not None
    assert found.down_difference.high < 0


def test_pairs_save_replicates() -> None:
    """The same arrivals and the same work: 2% more of it shows with far fewer runs."""
    slower = {"services.web.work.mean": "51ms"}
    found = compared(storm(faults=[]), storm(faults=[], **slower), 24)
    p99 = found.differences["latency_p99_s"]
    assert p99.reduction is not None
    assert p99.reduction > 2
    assert found.differences["amplification"].pairs == 24


@pytest.mark.parametrize("repetitions", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_the_difference_is_covered_and_the_reduction_is_that_of_the_law(repetitions: int) -> None:
    """Pairs with correlation 0.9 and equal variances: a reduction by 1 / (1 - 0.9) = 10. BCa may miss 8% instead of 5%
    at 40 pairs; alarm rate 1e-6.
    """
    missed, reductions = 0, []
    for number in range(repetitions):
        pairs = stats.multivariate_normal([1, 1.5], [[1, 0.9], [0.9, 1]]).rvs(40, random_state=number)
        found = difference([(a, b) for a, b in pairs], 0.95, number)
        assert found.difference.low is not None
        assert found.difference.high is not None
        missed += not found.difference.low <= 0.5 <= found.difference.high
        reductions.append(found.reduction)
    assert missed <= stats.binom.isf(1e-6, repetitions, 0.08)
    assert np.median(np.array(reductions, float)) == pytest.approx(10, rel=0.1)


def test_a_grid_is_no_pair() -> None:
    varied = scenario(vary={"services.web.queue": {"grid": [10, 20]}})
    with pytest.raises(ScenarioError, match="a grid is many"):
        compared(varied, scenario(), 3)
