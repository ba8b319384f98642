"""From the tree as written to the tree that stands by itself: files read, presets taken, overrides completed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Final

from azsim.scenario.paths import child, entry_names
from azsim.scenario.preset import started
from azsim.scenario.service import Instance
from azsim.scenario.tables import AT, OPERATION, RATE, WORK, read_rows
from azsim.scenario.tree import Node, Origin, mapping, merged, scalar, sequence

# Where calls stand in a service, `*` for names and positions.
_CALLS: Final = (
    ("calls", "*"),
    ("operations", "*", "*", "call"),
    ("operations", "*", "*", "parallel", "*"),
    ("operations", "*", "*", "quorum"),
)
# Where a block may name a preset: the outer ones first, as what they say may name another for a part.
_HOPS: Final = (("traffic", "*"), *(("services", "*", *path) for path in _CALLS))
_PRESET_BLOCKS: Final = (
    *((*hop, block) for hop in _HOPS for block in ("retry", "breaker")),
    *((*hop, "retry", part) for hop in _HOPS for part in ("backoff", "budget")),
    ("services", "*", "balancer"),
    ("services", "*", "balancer", "health"),
    ("services", "*", "balancer", "outliers"),
    ("services", "*", "limit"),
    ("services", "*", "overrides", "*", "limit"),
)
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
        ("services", "*", "scaling", "launch", "delay"),
    ):
        tree = _changed(tree, path, lambda node, key: _work(node, key, folder))
    return tree


def completed(tree: Node) -> Node:
    """The tree with presets and `retries` carried out, with overrides that hold every key of an instance and an id on
    every fault and hazard.
    """
    for path in _PRESET_BLOCKS:
        tree = _changed(tree, path, lambda node, key, block=path[-1]: started(block, node, key))  # type: ignore[misc]
    tree = _changed(tree, ("services", "*"), lambda node, _: _with_whole_overrides(node))
    retries = child(tree, "retries")
    if retries is not None and retries.value == "edges-only":
        callers = _callers(child(tree, "services"))
        for path in _CALLS:
            tree = _changed(tree, ("services", "*", *path), lambda node, _: _without_inner_retry(node, callers))
    for listed in ("faults", "hazards"):
        tree = _changed(tree, (listed,), lambda node, _: _with_ids(node))
    return tree


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


def _callers(services: Node | None) -> set[str]:
    """The services that call others."""
    found: set[str] = set()

    def note(name: str, node: Node) -> Node:
        found.add(name)
        return node

    for name, service in (services.value if services is not None and isinstance(services.value, dict) else {}).items():
        for path in _CALLS:
            _changed(service, path, lambda node, _, name=name: note(name, node))  # type: ignore[misc]
    return found


def _without_inner_retry(call: Node, callers: set[str]) -> Node:
    """A call without retries, unless its callee calls nobody."""
    callee = child(call, "to")
    if not isinstance(call.value, dict) or "retry" not in call.value or callee is None or callee.value not in callers:
        return call
    retry = call.value["retry"]
    return mapping({**call.value, "retry": scalar("none", retry.origin)}, call.origin, call.key_origin)


def _file_name(node: Node, word: str) -> Node | None:
    """The node of a file's name in `{word: name}`."""
    name = node.value.get(word) if isinstance(node.value, dict) else None
    return name if name is not None and isinstance(name.value, str) and not name.is_nothing else None


def _rate(node: Node, key: str, folder: FilePath) -> Node:
    trace = _file_name(node, "trace")
    if trace is not None and isinstance(node.value, dict) and len(node.value) == 1:
        rows = read_rows(trace, f"{key}.trace", folder, (AT,), (OPERATION,))
        columns = dict(zip(("times", "operations"), zip(*rows, strict=True), strict=False))
        lists = {name: sequence(list(cells), trace.origin, trace.key_origin) for name, cells in columns.items()}
        return mapping(lists, node.origin, node.key_origin)
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
