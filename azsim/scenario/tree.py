"""A scenario as it was written: plain values that know which file, line and column they came from.

Everything before validation works on this tree: reading YAML, `extends`, `--set`, CSV files, overrides.
Nodes are immutable and may be shared, so an alias costs nothing until it is expanded.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from azsim.base.errors import ScenarioError

Scalar: TypeAlias = str | int | float | bool | None
Key: TypeAlias = str | int
Path: TypeAlias = tuple[Key, ...]

DEPTH_MAX: Final = 32
NODES_MAX: Final = 100_000
_SHOWN_CHARACTERS: Final = 60


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was written: a file with line and column from 1, or only a name (`--set ...`) with line 0.

    `via` is what stands between that place and the value: the preset that was asked for there.
    """

    file: str
    line: int = 0
    column: int = 0
    via: str = ""

    def __str__(self) -> str:
        return self.via or (f"{self.file}:{self.line}" if self.line else self.file)


@dataclass(frozen=True, slots=True)
class Node:
    """One value: a scalar, a mapping of nodes or a list of nodes.

    `origin` is where the value starts, `key_origin` where its key does (the same for list entries);
    `size` counts the scalars, mappings and lists it expands to, itself included.
    """

    value: Scalar | dict[str, Node] | list[Node]
    origin: Origin
    key_origin: Origin
    size: int = 1

    def under(self, key_origin: Origin) -> Node:
        """The same value below another key."""
        return replace(self, key_origin=key_origin)

    @property
    def is_nothing(self) -> bool:
        """Whether the value is `none` (or null)."""
        return self.value is None or self.value == "none"


def scalar(value: Scalar, origin: Origin) -> Node:
    """A node of one plain value."""
    return Node(value, origin, origin)


def mapping(children: dict[str, Node], origin: Origin, key_origin: Origin | None = None) -> Node:
    """A node of named nodes."""
    size = 1 + sum(child.size for child in children.values())
    return Node(children, origin, key_origin or origin, size)


def sequence(children: list[Node], origin: Origin, key_origin: Origin | None = None) -> Node:
    """A node of a list of nodes."""
    return Node(children, origin, key_origin or origin, 1 + sum(child.size for child in children))


def shown(value: object) -> str:
    """A value as an error message shows it: on one line and short."""
    if isinstance(value, Node):
        if isinstance(value.value, dict):
            return "{" + _shortened(", ".join(value.value), _SHOWN_CHARACTERS - 2) + "}"
        if isinstance(value.value, list):
            return f"a list of {len(value.value)}"
        value = value.value
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**_SHOWN_CHARACTERS:
        return "a huge number"
    if isinstance(value, str):
        text = "".join(letter if letter.isprintable() else " " for letter in value)
        return _shortened(text, _SHOWN_CHARACTERS) or '""'
    return _shortened(str(value), _SHOWN_CHARACTERS)


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 3] + "..."


def plain(node: Node) -> object:
    """The value without its origins: dicts, lists and scalars."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def from_plain(value: object, origin: Origin, path: Path = ()) -> Node:
    """A tree of Python values, all written at `origin`; ScenarioError for what a scenario cannot hold."""
    return _Importer(origin).node(value, path)


class _Importer:
    """Turns Python values into nodes, counting them so that a value that contains itself is refused."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.count = 0

    def node(self, value: object, path: Path) -> Node:
        self.count += 1
        if len(path) > DEPTH_MAX:
            raise self.error(path, f"a scenario nests at most {DEPTH_MAX} deep")
        if self.count > NODES_MAX:
            raise self.error(path, f"a scenario holds at most {NODES_MAX} values")
        if value is None or isinstance(value, str | bool):
            return scalar(value, self.origin)
        if isinstance(value, numbers.Integral):
            return scalar(int(value), self.origin)
        if isinstance(value, numbers.Real):
            number = float(value)
            return scalar(int(number) if number.is_integer() and math.isfinite(number) else number, self.origin)
        if isinstance(value, Mapping):
            children: dict[str, Node] = {}
            for key, child in value.items():
                if not isinstance(key, str):
                    raise self.error(path, f"a key is a text, not {shown(key)} ({type(key).__name__})")
                children[key] = self.node(child, (*path, key))
            return mapping(children, self.origin)
        if isinstance(value, list | tuple):
            return sequence([self.node(child, (*path, i)) for i, child in enumerate(value)], self.origin)
        rule = f"a value is a text, number, boolean, none, mapping or list, not a Python {type(value).__name__}"
        raise self.error(path, rule)

    def error(self, path: Path, rule: str) -> ScenarioError:
        key = ".".join(str(part) for part in path[:6])
        return ScenarioError(rule, file=self.origin.file, key=key, example="services: {web: {...}}")


def merged(base: Node, over: Node) -> Node:
    """`over` laid upon `base`: mappings merge, lists and scalars replace.

    A mapping that names another `distribution` or `kind` is another thing, and replaces too: its keys would
    not fit the old ones. One that names another `preset`, or none, starts from there.
    """
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    for tag in ("distribution", "kind"):
        if tag in base.value and tag in over.value and base.value[tag].value != over.value[tag].value:
            return over
    if "preset" in over.value and _preset(over.value) != _preset(base.value):
        return over
    children = dict(base.value)
    for key, child in over.value.items():
        children[key] = merged(children[key], child) if key in children else child
    return mapping(children, over.origin, over.key_origin)


def _preset(block: dict[str, Node]) -> object:
    """What a block says about its preset: nothing at all is something else than `none`."""
    return block["preset"].value if "preset" in block else ...
