"""What varies: the right laws, keyed, and the same for each replicate whatever else is run."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from azsim.study.sampling import BLOCK, Sampler, grid, settled
from tests.small import scenario

RATE = "traffic.shoppers.rate"


def drawn(kind: object, n: int = 400, path: str = RATE, sampling: str = "random") -> list[object]:
    work = {"distribution": "lognormal", "mean": "60ms", "cv": 1}
    sampler = Sampler(scenario(**{"services.web.work": work, "vary": {path: kind}}), sampling)  # type: ignore[arg-type]
    return [sampler.values(k)[path] for k in range(n)]


def numbers(values: list[object]) -> list[float]:
    return [float(str(value).removesuffix("/s").removesuffix("ms").removesuffix("%")) for value in values]


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        ({"uniform": ["40/s", "50/s"]}, stats.uniform(40, 10)),
        ({"normal": {"mean": "45/s", "sd": "3/s"}}, stats.norm(45, 3)),
        ({"normal": {"mean": "4/s", "sd": "4/s"}}, stats.truncnorm(-1, np.inf, 4, 4)),
        ({"lognormal": {"mean": "45/s", "cv": 0.5}}, stats.lognorm(np.sqrt(np.log(1.25)), scale=45 / np.sqrt(1.25))),
    ],
)
def test_draws_follow_their_law(kind: object, law: object) -> None:
    """Kolmogorov and Smirnov, 400 draws, alarm rate 1e-6 (the draws are fixed: it fails always or never)."""
    assert stats.kstest(numbers(drawn(kind)), law.cdf).pvalue > 1e-6  # type: ignore[attr-defined]


def test_choices_are_equally_likely() -> None:
    values = drawn({"choice": ["40/s", "45/s", "50/s"]}, 600)
    assert stats.chisquare([values.count(one) for one in ("40/s", "45/s", "50/s")]).pvalue > 1e-6


def test_counts_are_whole_and_each_as_likely() -> None:
    values = drawn({"uniform": [2, 5]}, 800, "services.web.slots")
    assert set(values) == {2, 3, 4, 5}
    assert stats.chisquare([values.count(k) for k in (2, 3, 4, 5)]).pvalue > 1e-6


def test_a_factor_between_whole_numbers_is_not_rounded() -> None:
    values = drawn({"uniform": [1, 3]}, 20, "services.web.work.cv")
    assert any(float(str(value)) % 1 for value in values)


def test_a_draw_depends_on_seed_path_and_replicate_alone() -> None:
    one = Sampler(scenario(vary={RATE: {"uniform": ["40/s", "50/s"]}}))
    two = Sampler(scenario(vary={RATE: {"uniform": ["40/s", "50/s"]}, "services.web.queue": {"uniform": [10, 90]}}))
    assert one.values(7)[RATE] == two.values(7)[RATE] == one.values(7)[RATE]
    other = Sampler(scenario(seed=2, vary={RATE: {"uniform": ["40/s", "50/s"]}}))
    assert one.values(7) != other.values(7)


@pytest.mark.parametrize("sampling", ["lhs", "sobol"])
def test_designs_fill_space_block_by_block(sampling: str) -> None:
    """In each block every 64th of a key's range is met once; and blocks differ."""
    values = numbers(drawn({"uniform": ["0/s", "64/s"]}, 2 * BLOCK, sampling=sampling))
    for block in (values[:BLOCK], values[BLOCK:]):
        assert sorted(int(value) for value in block) == list(range(BLOCK))
    assert values[:BLOCK] != values[BLOCK:]
    assert values[3:5] == numbers(drawn({"uniform": ["0/s", "64/s"]}, 5, sampling=sampling))[3:5]


def test_a_grid_is_every_combination() -> None:
    varied = scenario(vary={RATE: {"grid": ["40/s", "50/s"]}, "services.web.queue": {"grid": [10, 20, 30]}})
    points = grid(varied)
    assert len(points) == 6
    assert points[1] == {RATE: "40/s", "services.web.queue": 20}
    assert grid(scenario()) == [{}]


def test_settled_scenarios_vary_no_more_and_are_what_one_would_write() -> None:
    varied = scenario(vary={RATE: {"uniform": ["40/s", "50/s"]}})
    assert settled(varied, {RATE: "47/s"}) == scenario(**{RATE: "47/s"})
    assert settled(varied, {RATE: "47/s"}).digest != settled(varied, {RATE: "48/s"}).digest
