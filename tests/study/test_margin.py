"""The margin: found where it is known, with the error it states."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from azsim.base.errors import ScenarioError
from azsim.study.collector import Collector
from azsim.study.executors import workers
from azsim.study.knob import knob, value_at
from azsim.study.margin import Finder, MarginError, knobs_of, within_reach
from azsim.study.search import Search
from azsim.study.store import Store
from tests.small import scenario

LAW = stats.lognorm(0.1, scale=300.0)  # of the level from which on a replicate fails


def searched(repetition: int, replicates: int = 100, levels: int = 600) -> tuple[Search, np.ndarray]:
    fails_from = LAW.rvs(replicates, random_state=repetition)

    def evaluate(pairs: Sequence[tuple[int, int]]) -> list[bool]:
        return [bool(level > fails_from[k]) for level, k in pairs]

    return Search(levels, replicates, evaluate), fails_from


@pytest.mark.parametrize("p", [0.05, 0.2, 0.5])
def test_a_known_threshold_is_within_the_stated_bounds(p: float) -> None:
    """100 searches at 95%: 89 or more hold the true one but for a chance of 0.4% (binomial; the searches are fixed)."""
    true = float(LAW.ppf(p))
    held = 0
    for repetition in range(100):
        found = searched(repetition)[0].find(p, 0.95)
        held += found.low <= true <= found.high
    assert held >= 89


def test_the_best_level_is_the_highest_at_which_few_enough_fail() -> None:
    for repetition in range(20):
        search, fails_from = searched(repetition)
        found = search.find(0.1, 0.9)
        failing = [int((level > fails_from).sum()) for level in range(600)]
        assert found.best == max(level for level, n in enumerate(failing) if n <= 10)
        assert found.low <= found.best < found.high


def test_most_replicates_are_settled_by_few_runs() -> None:
    """Ten levels of bisection for each of 100 replicates would be 1000 runs."""
    search, _ = searched(0)
    search.find(0.05, 0.95)
    assert search.runs < 350


def test_the_ends_are_told() -> None:
    never = Search(50, 100, lambda pairs: [False] * len(pairs))
    assert never.find(0.05, 0.95).best == 49
    assert never.find(0.05, 0.95).high == 50
    always = Search(50, 100, lambda pairs: [True] * len(pairs))
    assert (always.find(0.05, 0.95).low, always.find(0.05, 0.95).best) == (-1, -1)


def test_an_audit_finds_what_fails_at_a_safer_level() -> None:
    def island(pairs: Sequence[tuple[int, int]]) -> list[bool]:
        return [level >= 80 or 10 <= level < 40 for level, _ in pairs]

    search = Search(100, 80, island)
    found = search.find(0.05, 0.95)
    assert found.best == 79
    contradictions, audited = search.audit(found.low)
    assert audited == 20
    assert 0 < contradictions < 20
    sound, _ = searched(1)
    assert sound.audit(sound.find(0.05, 0.95).low)[0] == 0


def overload(**changes: object) -> Finder:
    """Six servers of constant work, no faults, no retries: 100/s is all they can do."""
    one = scenario(
        **{
            "services.web.work": {"distribution": "constant", "mean": "60ms"},
            "traffic.shoppers.retry": "none",
            "faults": [],
            "duration": "20s",
            **changes,
        }
    )
    return Finder(one, Collector(Store(), workers(1)), replicates=73)


def test_the_capacity_of_a_system_is_its_margin_of_load() -> None:
    """Work arrives by chance, so a little less than capacity already breaks a level now and then; above it, always."""
    finder = overload()
    found = finder.margin(knob(finder.scenario, "traffic.shoppers.rate=50/s..150/s"))
    assert found.rising
    assert found.bounds.best == pytest.approx(97, abs=5)
    assert found.bounds.low is not None
    assert found.bounds.high is not None
    assert found.bounds.low < found.bounds.best < found.bounds.high <= 106
    assert found.fresh is not None
    assert (found.fresh.low or 0) <= 0.05
    assert found.share == pytest.approx(found.bounds.best / 45 - 1)
    assert finder.band(found) is None


def test_fewer_servers_are_found_to_be_less_safe() -> None:
    """45/s of 60 ms keep 2.7 servers busy: one in each of three zones is a queue, none of it is known to be down."""
    finder = overload()
    found = finder.margin(knob(finder.scenario, "services.web.work.mean=30ms..240ms"))
    assert found.rising
    slots = finder.margin(
        knob(finder.scenario, "services.web.instances_per_zone=1..4"), {"traffic.shoppers.rate": "150/s"}
    )
    assert not slots.rising
    assert slots.bounds.best == 2.0


def test_a_fault_makes_a_band_in_which_it_decides() -> None:
    loss = {"id": "loss", "at": "6s", "for": "20s", "zone_loss": {"zone": "c"}}
    finder = overload(faults=[loss], duration="40s")
    given = finder.margin(knob(finder.scenario, "traffic.shoppers.rate=40/s..150/s"))
    calm = finder.band(given)
    assert calm is not None
    assert given.bounds.best is not None
    assert calm.bounds.best is not None
    # Two of three zones are left while the fault lasts.
    assert given.bounds.best == pytest.approx(66, abs=5)
    assert calm.bounds.best == pytest.approx(97, abs=6)


def test_a_map_is_a_margin_at_each_level_of_another_knob() -> None:
    finder = overload()
    across = knob(finder.scenario, "services.web.instances_per_zone=1..3")
    drawn = finder.map(across, knob(finder.scenario, "traffic.shoppers.rate=50/s..400/s", step=0.1))
    assert [level for level, _ in drawn] == [1.0, 2.0, 3.0]
    best = [one.bounds.best or 0 for _, one in drawn]
    assert all(later > 1.2 * earlier for earlier, later in pairwise(best))
    from azsim.report.boundary import boundary
    from azsim.report.figures import image

    assert image(boundary("small", across, drawn), "svg") == image(boundary("small", across, drawn), "svg")


def test_knobs_stand_where_the_scenario_has_them() -> None:
    small = scenario()
    rate = knob(small, "traffic.shoppers.rate")
    assert rate.written(rate.value) == "45/s"
    assert 45.0 in rate.levels
    assert all(1.01 < later / earlier < 1.03 for earlier, later in list(pairwise(rate.levels))[1:-1])
    assert rate.written(rate.levels[-2]) == f"{rate.levels[-2]:.4g}/s"
    assert knob(small, "faults.loss.for").written(12e9) == "12s"
    assert knob(small, "services.web.queue").levels[0] == 15
    assert all(level == int(level) for level in knob(small, "services.web.queue").levels)
    assert value_at(small, "services.web.work.mean") == "60ms"
    assert knobs_of(small) == ["traffic.shoppers.rate", "faults.loss.for"]


def test_levels_at_which_the_run_ends_too_soon_are_left_out() -> None:
    small = scenario()
    longest = within_reach(small, knob(small, "faults.loss.for")).levels[-1]
    # It starts at 12 s, recovers within 8 s, and the run ends at 45 s.
    assert 24e9 < longest <= 25e9


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("traffic.shoppers.rat", "has nothing at 'rat'"),
        ("traffic.shoppers.to", "a knob is a duration, a rate"),
        ("traffic.shoppers.rate=5..6", "a range is LOW..HIGH, each a rate"),
        ("traffic.shoppers.rate=50/s..40/s", "no range"),
        ("services.web.slots=2..2", "no range"),
    ],
)
def test_what_is_no_knob_is_told(text: str, told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        knob(scenario(), text)


def test_too_few_replicates_are_told_and_how_many_it_takes() -> None:
    with pytest.raises(MarginError, match="at least 72"):
        Finder(scenario(), Collector(Store(), workers(1)), replicates=50)
