"""Dotted paths into a scenario, by names and ids: `services.web.calls.catalog.timeout`, `faults.loss.for`."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from azsim.base.errors import ScenarioError
from azsim.policy.hazards import WIRES
from azsim.scenario import faults
from azsim.scenario.operation import STEP_KINDS
from azsim.scenario.tree import Node, Origin, Path, mapping, scalar, sequence, shown

ENTRY_KINDS: Final = frozenset((*faults.KINDS, *faults.UNBUILT_KINDS, *STEP_KINDS, *WIRES, "instances"))
_PART_CHARACTERS_MAX: Final = 64  # of a key in a message
_NAMED: Final = (("traffic",), ("services",))


def entry_names(entries: list[Node]) -> list[str]:
    """The names of a list's entries: their `id`, else whom they call, else their kind, else their position.

    A kind that comes again gets -2, -3 and so on.
    """
    own = [_own_name(entry) for entry in entries]
    taken = {name for name in own if name is not None}
    names: list[str] = []
    for position, (entry, name) in enumerate(zip(entries, own, strict=True)):
        if name is None:
            written = entry.value if isinstance(entry.value, dict) else {}
            kind = next((key for key in written if key in ENTRY_KINDS), None)
            name = str(position) if kind is None else _untaken(kind, taken)
            taken.add(name)
        names.append(name)
    return names


def _own_name(entry: Node) -> str | None:
    if isinstance(entry.value, dict):
        for key in ("id", "to"):
            if key in entry.value and isinstance(entry.value[key].value, str):
                return str(entry.value[key].value)
        for key in ("call", "quorum"):
            if key in entry.value:
                return _own_name(entry.value[key])
    return None


def _untaken(kind: str, taken: set[str]) -> str:
    name, repeat = kind, 1
    while name in taken:
        repeat += 1
        name = f"{kind}-{repeat}"
    return name


def dotted(tree: Node, path: Path) -> str:
    """A path with positions in lists, written with names."""
    parts: list[str] = []
    node: Node | None = tree
    for part in path:
        text = str(part)
        if node is not None and isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
            text = entry_names(node.value)[part]
        parts.append(text)
        node = child(node, part)
    return ".".join(part[:_PART_CHARACTERS_MAX] for part in parts)


def child(node: Node | None, key: str | int) -> Node | None:
    """The node under a key or position, None where there is none."""
    if node is None:
        return None
    if isinstance(node.value, dict) and isinstance(key, str):
        return node.value.get(key)
    if isinstance(node.value, list) and isinstance(key, int) and 0 <= key < len(node.value):
        return node.value[key]
    return None


def nearest(word: object, known: Iterable[str]) -> str:
    """The known word most like `word`, or an empty text."""
    found = difflib.get_close_matches(str(word)[:64], list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Spot:
    """What the schema knows about a path: the types a value may have and the key's declaration."""

    types: tuple[Any, ...]
    field: FieldInfo | None

    @property
    def models(self) -> list[type[BaseModel]]:
        """The mappings with fixed keys that may stand here."""
        return [kind for kind in self.types if isinstance(kind, type) and issubclass(kind, BaseModel)]

    @property
    def keys(self) -> list[str]:
        """The fixed keys that may stand below."""
        found = [field.alias or name for model in self.models for name, field in model.model_fields.items()]
        return list(dict.fromkeys(found))


def _branches(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _branches(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [branch for part in get_args(annotation) for branch in _branches(part)]
    return [annotation]


def below(spot: Spot, key: str | int) -> Spot | None:
    """What the schema knows about a key or position below `spot`; None where nothing can stand there."""
    found: list[Any] = []
    field = None
    for kind in spot.types:
        origin = get_origin(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, declared in kind.model_fields.items():
                if (declared.alias or name) == key:
                    found += _branches(declared.annotation)
                    field = declared
        elif origin is not None and isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(key, str):
            found += _branches(get_args(kind)[1])
            field = field or spot.field
        elif origin is tuple and isinstance(key, int):
            found += _branches(get_args(kind)[0])
            field = field or spot.field
    return Spot(tuple(found), field) if found else None


def spot_at(root: type[BaseModel], path: Path) -> Spot | None:
    """What the schema knows about a path with positions in lists."""
    spot: Spot | None = Spot((root,), None)
    for key in path:
        if spot is None:
            return None
        spot = below(spot, key)
    return spot


def _by_itself(value: Node, spot: Spot) -> Node:
    """A value that replaces what was there: a block that names no preset has none, whatever is around it."""
    if isinstance(value.value, dict) and "preset" in spot.keys and "preset" not in value.value:
        return mapping({**value.value, "preset": scalar("none", value.origin)}, value.origin, value.key_origin)
    return value


def placed(root: type[BaseModel], tree: Node, path: str, value: Node) -> Node:
    """The tree with `value` at a dotted path, replacing what was there.

    Keys of the schema that the tree lacks are added; names and ids must exist, except a last one.
    ScenarioError, naming the origin of `value`, says what is wrong with the path.
    """
    return _Placing(path, value).put(tree, path.split("."), Spot((root,), None), ())


class _Placing:
    """One value on its way to its place."""

    def __init__(self, path: str, value: Node) -> None:
        self.path = path
        self.value = value

    def put(self, node: Node | None, parts: list[str], spot: Spot, done: tuple[str, ...]) -> Node:
        if not parts:
            value = _by_itself(self.value, spot)
            return value if node is None else value.under(node.key_origin)
        head, rest = parts[0], parts[1:]
        here = ".".join(done) or "the scenario"
        if node is not None and isinstance(node.value, list):
            names = entry_names(node.value)
            if head not in names:
                self.refuse(f"{here} has no entry {shown(head)}", head, names)
            position = names.index(head)
            under = below(spot, position) or Spot((), None)
            changed = self.put(node.value[position], rest, under, (*done, head))
            entries = [changed if i == position else entry for i, entry in enumerate(node.value)]
            return sequence(entries, node.origin, node.key_origin)
        under_key = below(spot, head)
        if under_key is None:
            self.refuse(f"{here} has no key {shown(head)}", head, spot.keys)
        if node is not None and not isinstance(node.value, dict) and not node.is_nothing:
            self.refuse(f"{here} is {shown(node)}, which has no keys; set the whole of it", head, [])
        children = dict(node.value) if node is not None and isinstance(node.value, dict) else {}
        if done in _NAMED and rest and head not in children:
            self.refuse(f"{here} has no {shown(head)}", head, children)
        children[head] = self.put(children.get(head), rest, under_key, (*done, head))
        origin: Origin = self.value.origin if node is None else node.origin
        return mapping(children, origin, node.key_origin if node is not None else origin)

    def refuse(self, rule: str, word: str, known: Iterable[str]) -> NoReturn:
        known = list(known)
        near = nearest(word, known)
        hint = f"; the nearest is {near}" if near else f"; there are {', '.join(known[:12])}" if known else ""
        raise ScenarioError(
            rule + hint,
            file=self.value.origin.file,
            line=self.value.origin.line,
            column=self.value.origin.column,
            key=self.path[:200],
            example=self.path.replace(word, near) if near else "services.web.calls.catalog.timeout",
        )
