"""The JSON Schema of a scenario file, for editors."""

from __future__ import annotations

import copy
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from azsim.scenario.contents import Contents
from azsim.scenario.preset import names
from azsim.scenario.tree import DEPTH_MAX

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXTENDS = {
    "type": "string",
    "description": "Another scenario file beside this one, taken first: mappings merge, lists and scalars replace.",
    "examples": ["base.yaml"],
}


class _Generator(GenerateJsonSchema):
    def emit_warning(self, kind: Any, detail: str) -> None:
        """Says nothing: what has no schema of its own here is left open on purpose."""


def json_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) that takes quantities as texts with units.

    A file that `extends` another one need not hold what is required: the rest may stand there.
    """
    whole = Contents.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions: dict[str, Any] = whole.pop("$defs")
    definitions["Scenario"] = whole
    started = _name_presets(definitions)
    _tidy(definitions)
    _relax_overrides(definitions)
    parts = {f"Part{name}": _part(definition) for name, definition in definitions.items()}
    _let_presets_start(definitions, started)
    parts["PartScenario"]["properties"] = {"extends": _EXTENDS, **parts["PartScenario"]["properties"]}
    # Only the keys of the branch that is taken are known, so each branch says what else it refuses.
    return {
        "$schema": DIALECT,
        "title": "azsim scenario",
        "description": "A system, its traffic, what breaks and what must hold.",
        "type": "object",
        "if": {"required": ["extends"]},
        "then": {"$ref": "#/$defs/PartScenario"},
        "else": {"$ref": "#/$defs/Scenario"},
        "$defs": definitions | parts,
    }


def _name_presets(definitions: dict[str, Any]) -> set[str]:
    """Lists the presets that each block can start from; the names of the blocks that cannot stand without a key."""
    started = set()
    for name, definition in definitions.items():
        declared = definition.get("properties", {}).get("preset")
        if declared is not None and "x-preset" in declared:
            declared["anyOf"] = [{"enum": [*names(declared["x-preset"]), "none", None]}]
            if definition.get("required"):
                started.add(name)
    return started


def _let_presets_start(definitions: dict[str, Any], started: set[str]) -> None:
    """Wherever such a block stands, one that names a preset may stand, too, with any part of its keys."""
    for definition in definitions.values():
        for declared in definition.get("properties", {}).values():
            there = [name for name in sorted(started) if f"'#/$defs/{name}'" in str(declared)]
            if there:
                blocks = [{"$ref": f"#/$defs/Part{name}"} for name in there]
                declared["anyOf"].append({"anyOf": blocks, "required": ["preset"]})


def _tidy(value: Any, depth: int = 0) -> None:
    """Drops what only the program needs."""
    assert depth < 2 * DEPTH_MAX, "a schema is a finite tree"
    if isinstance(value, list):
        for below in value:
            _tidy(below, depth + 1)
    if not isinstance(value, dict):
        return
    if "patternProperties" in value:  # names that are no names are refused, not ignored
        value["additionalProperties"] = False
    if value.get("x-default") or ("default" in value and value["default"] is None):
        value.pop("default", None)
    for name in [name for name in value if name.startswith("x-") or (name == "title" and isinstance(value[name], str))]:
        del value[name]
    for below in value.values():
        _tidy(below, depth + 1)


def _relax_overrides(definitions: dict[str, Any]) -> None:
    """An override holds any of an instance's keys, and of its work any part."""
    override = _part(definitions["Instance"], prefix="")
    works = override["properties"]["work"]["oneOf"]
    override["properties"]["work"]["anyOf"] = [
        _part(definitions[work["$ref"].rpartition("/")[2]], prefix="") for work in works
    ]
    del override["properties"]["work"]["oneOf"]
    definitions["Override"] = override
    overrides = definitions["Service"]["properties"]["overrides"]["anyOf"][0]
    for values in overrides["patternProperties"].values():
        values["$ref"] = "#/$defs/Override"


def _part(definition: dict[str, Any], prefix: str = "Part") -> dict[str, Any]:
    """The same with nothing required, and what it refers to likewise."""
    part: dict[str, Any] = copy.deepcopy(definition)

    def relax(value: Any) -> None:
        if isinstance(value, list):
            for below in value:
                relax(below)
        if not isinstance(value, dict):
            return
        if isinstance(value.get("required"), list):
            del value["required"]
        if isinstance(value.get("$ref"), str) and prefix:
            value["$ref"] = value["$ref"].replace("#/$defs/", f"#/$defs/{prefix}")
        if "oneOf" in value and prefix:  # with nothing required, several may fit
            value["anyOf"] = value.pop("oneOf")
        for below in value.values():
            relax(below)

    relax(part)
    return part
