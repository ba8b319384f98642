"""From the tree as written to the tree that stands by itself: CSV files read, overrides completed, faults named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Final

from azsim.scenario.paths import entry_names
from azsim.scenario.service import Instance
from azsim.scenario.tables import AT, RATE, WORK, read_rows
from azsim.scenario.tree import Node, Origin, mapping, merged, scalar, sequence

_INSTANCE_KEYS: Final = frozenset(Instance.model_fields)


def with_files(tree: Node, folder: FilePath) -> Node:
    """The tree with every CSV file replaced by what it holds.

    A file is looked for beside the scenario file that names it; in `folder` where no file does (`--set`).
    Anything that does not look as it should is left for validation to refuse.
    """
    tree = _changed(tree, ("traffic", "*", "rate"), lambda node, key: _rate(node, key, folder))
    for path in (
        ("services", "*", "work"),
        ("services", "*", "overrides", "*", "work"),
        ("services", "*", "operations", "*", "*", "work"),
    ):
        tree = _changed(tree, path, lambda node, key: _work(node, key, folder))
    return tree


def completed(tree: Node) -> Node:
    """The tree with overrides that hold every key of an instance, and with an id on every fault."""
    tree = _changed(tree, ("services", "*"), lambda node, _: _with_whole_overrides(node))
    return _changed(tree, ("faults",), lambda node, _: _with_ids(node))


def _changed(node: Node, path: tuple[str, ...], change: Callable[[Node, str], Node], done: str = "") -> Node:
    """The tree with `change` applied to what stands at `path`, where `*` is every key or entry, and to its dotted
    path.
    """
    if not path:
        return change(node, done)
    if isinstance(node.value, list) and path[0] == "*":
        names = entry_names(node.value)
        entries = [
            _changed(entry, path[1:], change, f"{done}.{name}") for entry, name in zip(node.value, names, strict=True)
        ]
        return sequence(entries, node.origin, node.key_origin)
    if not isinstance(node.value, dict):
        return node
    children = {
        key: _changed(child, path[1:], change, f"{done}.{key}".lstrip(".")) if path[0] in ("*", key) else child
        for key, child in node.value.items()
    }
    return mapping(children, node.origin, node.key_origin)


def _with_whole_overrides(service: Node) -> Node:
    if not isinstance(service.value, dict):
        return service
    own = {key: child for key, child in service.value.items() if key in _INSTANCE_KEYS}
    base = mapping(own, service.origin)
    return _changed(service, ("overrides", "*"), lambda override, _: _laid_over(base, override))


def _laid_over(base: Node, override: Node) -> Node:
    return merged(base, override) if isinstance(override.value, dict) else override


def _with_ids(faults: Node) -> Node:
    if not isinstance(faults.value, list):
        return faults
    entries = []
    for entry, name in zip(faults.value, entry_names(faults.value), strict=True):
        if isinstance(entry.value, dict) and "id" not in entry.value and not name.isdigit():
            children = {"id": scalar(name, Origin("default")), **entry.value}
            entry = mapping(children, entry.origin, entry.key_origin)
        entries.append(entry)
    return sequence(entries, faults.origin, faults.key_origin)


def _file_name(node: Node, word: str) -> Node | None:
    """The node of a file's name in `{word: name}`."""
    name = node.value.get(word) if isinstance(node.value, dict) else None
    return name if name is not None and isinstance(name.value, str) and not name.is_nothing else None


def _rate(node: Node, key: str, folder: FilePath) -> Node:
    trace = _file_name(node, "trace")
    if trace is not None and isinstance(node.value, dict) and len(node.value) == 1:
        times = [at for (at,) in read_rows(trace, f"{key}.trace", folder, (AT,))]
        return mapping({"times": sequence(times, trace.origin, trace.key_origin)}, node.origin, node.key_origin)
    name = _file_name(node, "csv")
    if name is None or not isinstance(node.value, dict) or len(node.value) > 1:
        return node
    points = [
        mapping({"at": at, "rate": rate}, at.origin) for at, rate in read_rows(name, f"{key}.csv", folder, (AT, RATE))
    ]
    return sequence(points, name.origin, node.key_origin)


def _work(node: Node, key: str, folder: FilePath) -> Node:
    name = _file_name(node, "csv")
    if name is None or not isinstance(node.value, dict) or "values" in node.value:
        return node
    children = {word: child for word, child in node.value.items() if word != "csv"}
    values = [work for (work,) in read_rows(name, f"{key}.csv", folder, (WORK,))]
    children["values"] = sequence(values, name.origin, name.key_origin)
    return mapping(children, node.origin, node.key_origin)
