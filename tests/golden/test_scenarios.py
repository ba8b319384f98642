"""Every shipped scenario shows what it says it shows, over several seeds."""

from __future__ import annotations

import pytest

from azsim import load
from tests.golden.expectations import (
    NAMES,
    PLAIN_SEEDS,
    SCENARIOS,
    agrees,
    differences,
    expectation,
    header,
    header_figures,
    path_of,
    result,
    source_value,
    variant_result,
)
from tests.golden.table import DOCUMENT, document

HEADER_WORDS_MIN = 25
SEEDS = [
    pytest.param(name, seed, marks=[pytest.mark.long] if seed > PLAIN_SEEDS else [])
    for name in NAMES
    for seed in range(2, expectation(name).seeds + 1)
]


def test_every_scenario_has_an_expectation_and_every_expectation_a_scenario() -> None:
    assert len(NAMES) >= 13
    assert sorted(path.stem for path in (SCENARIOS / "expected").glob("*.yaml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_introduces_itself(name: str) -> None:
    scenario = load(path_of(name))
    assert scenario.name == name.replace("_", "-")
    assert scenario.description
    assert len(header(name).split()) >= HEADER_WORDS_MIN, "the comment at the top says what it teaches"
    assert expectation(name).seeds >= PLAIN_SEEDS
    assert "verdict" in expectation(name).every_seed


@pytest.mark.parametrize("name", NAMES)
def test_seed_1_and_what_the_header_says_of_it(name: str) -> None:
    wanted = expectation(name)
    assert not differences(wanted.every_seed | wanted.seed_1, result(name, 1))
    for number, variant in enumerate(wanted.variants, 1):
        assert not differences(variant.expect, variant_result(name, number)), f"variant {number}: {variant.set}"
    assert sorted(set(header_figures(name))) == sorted(wanted.header), "a figure in the header that nothing checks"
    values = {figure: source_value(name, source) for figure, source in wanted.header.items()}
    assert {figure: value for figure, value in values.items() if not agrees(figure, value)} == {}


@pytest.mark.parametrize(("name", "seed"), SEEDS)
def test_every_seed(name: str, seed: int) -> None:
    assert not differences(expectation(name).every_seed, result(name, seed))


def test_the_table_of_scenarios_is_that_of_the_files() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run: python -m tests.golden.table"


@pytest.mark.parametrize(
    ("figure", "value", "same"),
    [
        ("0.5%", 0.0048, True),
        ("0.5%", 0.0056, False),
        ("60%", 0.6, True),
        ("17 s", 17.2, True),
        ("17 s", 17.6, False),
        ("250 ms", 0.2503, True),
        ("09:02", 542.0, True),
        ("09:02", 543.0, False),
        ("2.99", 2.987, True),
        ("3", 2.4, False),
        ("1 s", "1s", True),
        ("5 min", "300s", True),
    ],
)
def test_a_figure_agrees_with_what_rounds_to_it(figure: str, value: float | str, same: bool) -> None:
    assert agrees(figure, value) is same
