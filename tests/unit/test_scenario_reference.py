"""The scenario reference and the JSON Schema say what the program does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from azsim.base.errors import ScenarioError
from azsim.scenario import Scenario, load
from azsim.scenario.json_schema import json_schema
from azsim.scenario.loader import read_file, read_text
from azsim.scenario.problems import written
from azsim.scenario.reference import reference_markdown
from azsim.scenario.tree import plain

ROOT = Path(__file__).parents[2]
BASE = ROOT / "tests/faults/base.yaml"
BROKEN = ROOT / "tests/faults/broken"

# What a schema of one file cannot see: names that must exist elsewhere, order, sums, CSV files, and YAML itself.
SEEN_BY_THE_SCHEMA = [
    *(
        "unknown-key",
        "unknown-key-at-the-top",
        "unknown-key-in-work",
        "missing-unit",
        "missing-unit-zero",
        "unknown-unit",
    ),
    *("rate-without-unit", "share-without-percent", "negative-time", "comparison-turned-round", "text-for-number"),
    *("fraction-for-count", "boolean-for-number", "on-for-boolean", "list-for-mapping", "mapping-for-list", "no-slots"),
    *("too-many-slots", "unknown-word", "unknown-distribution", "unknown-outcome", "no-outcome", "queue-word"),
    *("hosts-word", "one-zone", "wrong-version", "bad-name", "bad-service-name", "none-for-required"),
    *("unknown-breaker", "pool-of-nothing", "discipline-word", "unknown-placement", "unbuilt-operators"),
]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_reference_is_the_one_in_the_documentation() -> None:
    there = (ROOT / "docs/scenario-reference.md").read_text(encoding="utf-8")
    cure = "write azsim.scenario.reference.reference_markdown() to docs/scenario-reference.md"
    assert there == reference_markdown(), f"the reference has changed: {cure}"


def test_the_reference_lists_every_key() -> None:
    text = reference_markdown()
    for key in ("timeout_cost", "propagation", "instances_per_zone", "detect_within", "cpu_stress", "shape", "`for`"):
        assert key in text
    for heading in (
        "## traffic.*.retry.budget: token-bucket",
        "## traffic.*.retry.budget: ratio",
        "## services.*.balancer.health",
        "## faults.*.zone_loss",
        "## abort.*",
    ):
        assert f"{heading}\n" in text


def test_the_examples_of_the_reference_are_valid() -> None:
    """Every example, put where its key stands, is taken (or refused only for names that are not there)."""
    scenario = load(BASE)
    text = reference_markdown()
    tried = 0
    for section in text.split("\n## ")[1:]:
        path = section.split("\n", 1)[0].partition(":")[0]
        place = {"traffic.*": "traffic.shoppers", "services.*": "services.catalog", "The file": ""}.get(path)
        if place is None:
            continue
        for row in section.splitlines():
            cells = row.split(" | ")
            if not row.startswith("| `") or len(cells) != 4:
                continue
            key, example = cells[0].strip("| `"), cells[3].removesuffix(" |").strip("`")
            value = plain(read_text(f"example: {example}", "example"))["example"]  # type: ignore[index]
            if key in ("zones", "traffic", "services", "calls", "operations", "overload", "users", "standby", "cache"):
                continue  # changes what other keys name
            changed = scenario.with_({f"{place}.{key}".lstrip("."): value})
            assert isinstance(changed, Scenario)
            tried += 1
    assert tried > 20


def test_the_schema_takes_what_the_program_takes(validator: jsonschema.Draft202012Validator) -> None:
    whole = yaml.load(BASE.read_text(), Loader=yaml.BaseLoader)
    assert set(whole) > {"azsim", "traffic"}
    validator.validate(plain(read_file(BASE)))
    validator.validate(load(BASE).to_dict())
    validator.validate({"extends": "base.yaml", "services": {"web": {"balancer": {"health": {"interval": "5s"}}}}})
    validator.validate({"extends": "base.yaml"})


@pytest.mark.parametrize("name", SEEN_BY_THE_SCHEMA)
def test_the_schema_refuses_what_the_program_refuses(validator: jsonschema.Draft202012Validator, name: str) -> None:
    with pytest.raises(ScenarioError):
        load(BROKEN / f"{name}.yaml")
    written_there = plain(read_text((BROKEN / f"{name}.yaml").read_text(), name))
    assert not validator.is_valid(written_there), "an editor would not mark it"


def test_the_schema_wants_what_is_required(validator: jsonschema.Draft202012Validator) -> None:
    whole: Any = plain(read_file(BASE))
    for key in ("azsim", "name", "duration", "zones", "traffic", "services"):
        assert not validator.is_valid({name: value for name, value in whole.items() if name != key}), key


def test_the_schema_describes_every_key() -> None:
    schema = json_schema()
    for name, definition in schema["$defs"].items():
        for key, declared in definition.get("properties", {}).items():
            assert declared.get("description"), f"{name}.{key}"
    assert "'x-" not in str(schema)
    assert schema["$defs"]["Health"]["properties"]["interval"]["default"] == "10s"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"on": ["timeout"], "base": "50ms"}, "{on: [timeout], base: 50ms}"),
        (">= 99.9%", '">= 99.9%"'),
        (["a", 1, True, None], "[a, 1, true, none]"),
        ("a: b", '"a: b"'),
    ],
)
def test_examples_are_written_as_one_writes_them(value: object, text: str) -> None:
    assert written(value) == text
