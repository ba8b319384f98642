"""The scenario format: read it, check it, change it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from azsim.base.errors import ScenarioError
from azsim.scenario.loader import read_file, read_text
from azsim.scenario.paths import placed
from azsim.scenario.schema import Scenario
from azsim.scenario.tree import Origin

__all__ = ["Scenario", "ScenarioError", "load"]


def load(path: str | Path, set_: Mapping[str, str] | None = None) -> Scenario:
    """The scenario in a file, with the values at dotted paths in `set_` read as YAML and laid over it.

    ScenarioError names the place, the key, the value, the rule and a valid example.
    """
    tree = read_file(path)
    for key, text in (set_ or {}).items():
        origin = Origin(f"--set {key}={text}")
        tree = placed(Scenario, tree, key, read_text(text, origin.file, origin))
    return Scenario.from_tree(tree, Path(path).parent)
