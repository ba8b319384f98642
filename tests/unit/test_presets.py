"""Presets: every one can be asked for, own keys override, every value says where it is from."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from azsim import run
from azsim.base.errors import ScenarioError
from azsim.scenario import Scenario, load
from azsim.scenario.json_schema import json_schema
from azsim.scenario.paths import spot_at
from azsim.scenario.preset import BLOCKS, PARTS, explained, names, products
from tests.golden import presets_page
from tests.golden.test_engines import told
from tests.small import scenario

PATHS = {
    "retry": "traffic.shoppers.retry",
    "breaker": "traffic.shoppers.breaker",
    "limit": "services.web.limit",
    "balancer": "services.web.balancer",
    "health": "services.web.balancer.health",
    "outliers": "services.web.balancer.outliers",
    "backoff": "traffic.shoppers.retry.backoff",
    "budget": "traffic.shoppers.retry.budget",
}
ASKED = [(block, name) for block in (*BLOCKS, *PARTS) for name in names(block)]


def value_at(tree: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        tree = tree[part]
    return tree


def test_there_is_one_for_every_block() -> None:
    assert set(PATHS) == {*BLOCKS, *PARTS}
    for block in (*BLOCKS, *PARTS):
        assert names(block), block
    assert len(products()) >= 16


@pytest.mark.parametrize("name", products())
def test_every_preset_is_documented(name: str) -> None:
    product = explained(name)
    used = {
        value.source for block in product.blocks.values() for value in (*block.values.values(), *block.beside.values())
    }
    assert used == set(product.sources), "sources that no value names, or the other way round"
    for source in product.sources.values():
        assert source.url.startswith("https://")
    for block in product.blocks.values():
        for value in (*block.values.values(), *block.beside.values()):
            assert value.verified or value.note, "what is not verified says why"


@pytest.mark.parametrize(("block", "name"), ASKED)
def test_a_block_gets_the_values_of_its_preset(block: str, name: str) -> None:
    asked = scenario(**{PATHS[block]: {"preset": name}})
    assert "preset" not in value_at(asked.to_dict(), PATHS[block])
    prefix = f"{block}." if block in PARTS else ""
    values = products()[name].blocks[PARTS.get(block, block)].values
    in_full: dict[str, Any] = {}
    for path, value in values.items():
        if path.startswith(prefix) and path != block:
            own = path.removeprefix(prefix)
            *above, last = own.split(".")
            place = in_full
            for part in above:
                place = place.setdefault(part, {})
            place[last] = value.value
            found = [
                source for path, source in asked.sources.items() if f"{path}.".startswith(f"{PATHS[block]}.{own}.")
            ]
            assert found
            nested = isinstance(value.value, dict)  # a preset of a part, or a mapping that holds its defaults
            assert all(source.startswith(f"preset {name}: ") or nested for source in found)
    assert in_full
    assert scenario(**{PATHS[block]: in_full}) == asked


@pytest.mark.parametrize(
    ("block", "name"), [(block, name) for block, name in ASKED if block in BLOCKS], ids=lambda word: word
)
def test_both_engines_run_with_it(block: str, name: str) -> None:
    beside = products()[name].blocks[block].beside
    keys = {f"traffic.shoppers.{path}": value.value for path, value in beside.items() if path != "connect_timeout"}
    asked = scenario(**keys | {PATHS[block]: {"preset": name}, "duration": "30s", "traffic.shoppers.rate": "60/s"})
    kernel, reference = (run(asked, engine=engine, replays=False) for engine in ("kernel", "reference"))
    assert told(kernel) == told(reference)


@pytest.mark.parametrize("name", products())
def test_what_it_does_beside_are_keys_of_who_uses_it(name: str) -> None:
    for block, content in products()[name].blocks.items():
        above = PATHS[block].rpartition(".")[0]
        written = {f"{above}.{path}": value.value for path, value in content.beside.items()}
        assert value_at(scenario(**written).to_dict(), above)


def test_own_keys_override_and_what_lies_deeper_merges() -> None:
    own = {"preset": "aws-sdk-standard-2026", "attempts": 2, "backoff": {"cap": "1s"}, "budget": {"capacity": 50}}
    retry = scenario(**{"traffic.shoppers.retry": own}).traffic["shoppers"].retry
    assert retry is not None
    assert retry.backoff is not None
    assert (retry.attempts, retry.backoff.cap, retry.backoff.base) == (2, 10**9, 50_000_000)
    assert (retry.budget.capacity, retry.budget.cost) == (50, 14)  # type: ignore[union-attr]


def test_a_part_of_another_kind_replaces_and_so_does_none() -> None:
    own = {"preset": "aws-sdk-standard-2026", "backoff": "none", "budget": {"kind": "ratio"}}
    written = scenario(**{"traffic.shoppers.retry": own}).to_dict()["traffic"]["shoppers"]["retry"]
    assert written["backoff"] == "none"
    assert written["budget"] == {"kind": "ratio", "ratio": "20%", "floor": "10/s", "window": "10s"}


def test_a_part_may_come_from_another_product() -> None:
    own = {"preset": "aws-sdk-standard-2026", "budget": {"preset": "aws-sdk-standard-2023", "cost": 7}}
    asked = scenario(**{"traffic.shoppers.retry": own})
    budget = asked.to_dict()["traffic"]["shoppers"]["retry"]["budget"]
    assert (budget["capacity"], budget["cost"], budget["timeout_cost"]) == (500, 7, 10)


def test_it_is_the_values_that_count() -> None:
    asked = scenario(**{"traffic.shoppers.retry": {"preset": "aws-sdk-standard-2023"}})
    in_full = scenario(**{"traffic.shoppers.retry": asked.to_dict()["traffic"]["shoppers"]["retry"]})
    assert asked == in_full
    assert asked.digest == in_full.digest
    assert Scenario.from_dict(asked.to_dict()) == asked


def test_a_changed_scenario_keeps_its_preset_and_a_replaced_block_does_not() -> None:
    asked = scenario(**{"traffic.shoppers.retry": {"preset": "aws-sdk-standard-2026"}})
    fewer = asked.with_({"traffic.shoppers.retry.attempts": 2}).traffic["shoppers"].retry
    assert fewer is not None
    assert (fewer.attempts, fewer.budget.cost) == (2, 14)  # type: ignore[union-attr]
    budget = {"kind": "token-bucket", "capacity": 10, "cost": 1}
    replaced = asked.with_({"traffic.shoppers.retry.budget": budget}).traffic["shoppers"].retry
    assert replaced is not None
    assert replaced.budget.timeout_cost == 1  # type: ignore[union-attr] - not the 14 of the preset
    other = asked.with_({"traffic.shoppers.retry.preset": "envoy"}).traffic["shoppers"].retry
    assert other is not None
    assert (other.attempts, other.budget) == (2, None)


@pytest.mark.parametrize(
    ("over", "attempts", "budget"),
    [
        ("{attempts: 2}", 2, 14),  # of the preset below
        ("{preset: aws-sdk-standard-2026}", 7, 14),  # the same one
        ("{preset: aws-sdk-standard-2023}", 3, 5),  # another one starts anew
        ("{preset: none}", 3, None),
    ],
)
def test_a_file_that_extends_another_goes_on_from_its_preset(
    tmp_path: Path, over: str, attempts: int, budget: int | None
) -> None:
    base = Path(__file__).parents[1] / "faults" / "base.yaml"
    middle = "extends: {}\ntraffic: {{shoppers: {{retry: {{preset: aws-sdk-standard-2026, attempts: 7}}}}}}\n"
    (tmp_path / "middle.yaml").write_text(middle.format(base), encoding="utf-8")
    top = tmp_path / "top.yaml"
    top.write_text(f"extends: middle.yaml\ntraffic: {{shoppers: {{retry: {over}}}}}\n", encoding="utf-8")
    retry = load(top).traffic["shoppers"].retry
    assert retry is not None
    assert retry.attempts == attempts
    assert (None if retry.budget is None else retry.budget.cost) == budget  # type: ignore[union-attr]


def test_every_place_a_block_can_stand_takes_one() -> None:
    call = {"to": "web", "retry": {"preset": "grpc"}, "breaker": {"preset": "hystrix"}}
    changes = {
        "services": {
            "web": {"work": {"distribution": "constant", "mean": "1ms"}},
            "front": {
                "work": {"distribution": "constant", "mean": "1ms"},
                "limit": {"preset": "netflix-aimd"},
                "overrides": {"c": {"limit": {"preset": "netflix-vegas", "max": 50}}},
                "calls": [call],
                "operations": {
                    "one": [{"call": call}],
                    "two": [{"parallel": [call]}],
                    "three": [{"quorum": {**call, "zones": 3, "need": 2}}],
                },
            },
        }
    }
    front = scenario(**changes).services["front"]
    assert [placed.call.retry.budget.kind for placed in front.every_call] == ["grpc"] * 4  # type: ignore[union-attr]
    assert [placed.call.breaker.kind for placed in front.every_call] == ["time-window"] * 4  # type: ignore[union-attr]
    assert (front.limit.kind, front.overrides["c"].limit.max) == ("aimd", 50)  # type: ignore[union-attr]


def test_a_retry_without_presets_reads_no_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise AssertionError("the presets were read")

    monkeypatch.setattr("azsim.scenario.preset.products", fail)
    assert scenario().traffic["shoppers"].retry is not None


def test_every_name_is_one_that_a_scenario_can_write() -> None:
    for name in products():
        assert spot_at(Scenario, ("traffic", name)) is not None
        assert name.replace("-", "").isalnum()
        assert name.islower()


def test_editors_know_the_names() -> None:
    declared = json_schema()["$defs"]["Retry"]["properties"]["preset"]["anyOf"][0]["enum"]
    assert declared == [*names("retry"), "none", None]


def test_editors_take_a_block_that_says_nothing_but_its_preset() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    whole = scenario().to_dict()
    for block, name in ASKED:
        *above, last = PATHS[block].split(".")
        changed = copy.deepcopy(whole)
        changed["traffic"]["shoppers"]["retry"] = {"attempts": 3}
        value_at(changed, ".".join(above))[last] = {"preset": name}
        validator.validate(changed)
        value_at(changed, ".".join(above))[last] = {"preset": "nobody"}
        assert not validator.is_valid(changed), block


def test_the_example_on_the_page_is_taken() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", presets_page.DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    changes = yaml.safe_load(block)
    whole = scenario().to_dict()
    whole["services"]["web"]["balancer"] = changes["services"]["web"]["balancer"]
    taken = Scenario.from_dict(whole | {"traffic": changes["traffic"]})
    retry, health = taken.traffic["shoppers"].retry, taken.services["web"].balancer.health
    assert retry is not None
    assert health is not None
    assert (retry.attempts, retry.budget.capacity, retry.budget.cost) == (2, 100, 14)  # type: ignore[union-attr]
    assert (health.unhealthy_after, health.interval) == (3, 30 * 10**9)


def test_an_unknown_one_is_told_with_the_nearest() -> None:
    with pytest.raises(ScenarioError, match="the nearest is resilience4j"):
        explained("resilence4j")


def test_the_page_lists_them_all() -> None:
    there = presets_page.DOCUMENT.read_text(encoding="utf-8")
    assert there == presets_page.document(), "the presets have changed: python -m tests.golden.presets_page"
