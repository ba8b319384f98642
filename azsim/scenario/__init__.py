"""The scenario format: read it, check it, change it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from azsim.base.errors import ScenarioError
from azsim.scenario.loader import read_file, read_text
from azsim.scenario.paths import child, entry_names, placed
from azsim.scenario.schema import Scenario
from azsim.scenario.tree import Node, Origin

__all__ = ["Scenario", "ScenarioError", "load", "load_each"]

EACH: Final = "each"


def load(path: str | Path, set_: Mapping[str, str] | None = None) -> Scenario:
    """The scenario in a file, with the values at dotted paths in `set_` read as YAML and laid over it.

    ScenarioError names the place, the key, the value, the rule and a valid example.
    """
    return Scenario.from_tree(_tree(path, set_), Path(path).parent)


def load_each(path: str | Path, set_: Mapping[str, str] | None = None) -> dict[str, Scenario]:
    """The scenarios in a file that loses `zone: each`, by the zone that each of them loses; "" is the name of the only
    one of a file that names its zones. Raises ScenarioError, as `load` does.
    """
    tree = _tree(path, set_)
    faults = child(tree, "faults")
    entries = faults.value if faults is not None and isinstance(faults.value, list) else []
    lost = [
        i
        for i, entry in enumerate(entries)
        if (zone := child(child(entry, "zone_loss"), "zone")) is not None and zone.value == EACH
    ]
    zones = child(tree, "zones")
    if not lost or zones is None or not isinstance(zones.value, list):
        return {"": Scenario.from_tree(tree, Path(path).parent)}
    names = entry_names(entries)
    found = {}
    for zone in zones.value:
        changed = tree
        for i in lost:
            changed = placed(Scenario, changed, f"faults.{names[i]}.zone_loss.zone", zone)
        found[str(zone.value)] = Scenario.from_tree(changed, Path(path).parent)
    return found


def _tree(path: str | Path, set_: Mapping[str, str] | None) -> Node:
    """What is written in a file, and laid over it."""
    tree = read_file(path)
    for key, text in (set_ or {}).items():
        origin = Origin(f"--set {key}={text}")
        tree = placed(Scenario, tree, key, read_text(text, origin.file, origin))
    return tree
