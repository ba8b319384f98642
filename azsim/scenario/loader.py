"""YAML text to a tree of plain values with their positions.

YAML is read from its events, never through constructors: nothing in a file can run, nest without end or expand
without end. Only what JSON has is kept (texts, numbers, true, false, null); the guesses of YAML 1.1
(`on` as true, `1:30` as 90, dates) are not made.
"""

from __future__ import annotations

import os
import re
from pathlib import Path as FilePath
from typing import Any, Final

import yaml

from azsim.base.errors import ScenarioError
from azsim.scenario.tree import DEPTH_MAX, NODES_MAX, Node, Origin, Scalar, mapping, merged, scalar, sequence, shown

FILE_BYTES_MAX: Final = 4 * 1024 * 1024
EXTENDS_MAX: Final = 16
_NUMBER_CHARACTERS_MAX: Final = 40

# Without libyaml PyYAML reads the same events, some ten times slower.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)", re.ASCII)
_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_UNPRINTABLE: Final = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_EXAMPLE: Final = "azsim: 1"
_ALIAS: Final = "{a: &wait 1s, b: *wait}"
_EXAMPLES: Final = {"extends": "extends: base.yaml", "csv": "csv: load.csv", "trace": "trace: requests.csv"}


def read_file(path: str | FilePath) -> Node:
    """The tree of a scenario file, with the files it `extends` laid below it; ScenarioError says what is wrong."""
    return _read(FilePath(path), [], None)


def read_bytes(file: FilePath, asked: Origin | None = None, key: str = "") -> bytes:
    """The bytes of a file of at most 4 MiB; errors name `asked`, where the file was asked for, and its `key`."""
    where = asked or Origin(str(file))
    try:
        with file.open("rb") as handle:
            content = handle.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _error(where, f"the file cannot be read ({reason})", key=key, value=str(file)) from None
    if len(content) > FILE_BYTES_MAX:
        raise _error(where, "a file holds at most 4 MiB", key=key, value=str(file))
    return content


def decode(content: bytes, file: str) -> str:
    """The text in a file's bytes; ScenarioError where they are not UTF-8 or not text."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        origin = _origin_at(content[: error.start].decode("utf-8", "replace"), file)
        raise _error(origin, "a file is UTF-8 text; this byte is not", value=f"0x{content[error.start]:02x}") from None
    _check_printable(text, file)
    return text


def read_text(text: str, file: str, fixed: Origin | None = None) -> Node:
    """The tree of one YAML document; with `fixed`, every node claims to come from there (a `--set`)."""
    _check_printable(text, file, fixed)
    return _Builder(text, file, fixed).document()


def _check_printable(text: str, file: str, fixed: Origin | None = None) -> None:
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        origin = fixed or _origin_at(text[: unprintable.start()], file)
        rule = "a file is plain text; it holds a control character"
        raise _error(origin, rule, value=f"U+{ord(unprintable[0]):04X}")


def _read(path: FilePath, above: list[FilePath], asked: Origin | None) -> Node:
    """The tree of `path`, which the files `above` extend, in turn; `asked` is where the last one says so."""
    file = str(path)
    text = decode(read_bytes(path, asked, "extends" if asked else ""), file)
    top = read_text(text, file)
    if not isinstance(top.value, dict):
        if top.value is None:
            raise _error(Origin(file, 1, 1), "the file is empty; a scenario is a mapping of keys")
        raise _error(top.origin, "a scenario is a mapping of keys", value=shown(top))
    if "extends" not in top.value:
        return top
    children = dict(top.value)
    extends = children.pop("extends")
    own = mapping(children, top.origin)
    if extends.is_nothing:
        return own
    if not isinstance(extends.value, str):
        raise _error(extends.origin, "extends takes one file name", key="extends", value=shown(extends))
    base = path.parent / extends.value
    chain = [*above, _real(path)]
    if _real(base) in chain:
        around = " -> ".join(link.name for link in [*chain[chain.index(_real(base)) :], base])
        raise _error(extends.origin, f"extends must not go in a circle: {around}", key="extends", value=shown(extends))
    if len(chain) > EXTENDS_MAX:
        rule = f"at most {EXTENDS_MAX} files extend one another"
        raise _error(extends.origin, rule, key="extends", value=shown(extends))
    return merged(_read(base, chain, extends.origin), own)


def _real(path: FilePath) -> FilePath:
    """The file a path leads to; itself where it leads nowhere, which reading it will say."""
    try:
        return FilePath(os.path.realpath(path))
    except (OSError, ValueError):
        return path


def _error(origin: Origin, rule: str, *, key: str = "", value: str = "", example: str = "") -> ScenarioError:
    example = example or _EXAMPLES.get(key.rpartition(".")[2], _EXAMPLE)
    return ScenarioError(
        rule, file=origin.file, line=origin.line, column=origin.column, key=key, value=value, example=example
    )


def _origin_at(before: str, file: str) -> Origin:
    """The position after the text `before`."""
    line_start = before.rfind("\n") + 1
    return Origin(file, before.count("\n") + 1, len(before) - line_start + 1)


def _plain_scalar(text: str) -> Scalar:
    """What an unquoted scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _NUMBER_CHARACTERS_MAX:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


class _Open:
    """A mapping or list whose end has not been read yet."""

    def __init__(self, origin: Origin, key_origin: Origin, anchor: str | None, is_mapping: bool) -> None:
        self.origin = origin
        self.key_origin = key_origin
        self.anchor = anchor
        self.is_mapping = is_mapping
        self.children: dict[str, Node] = {}
        self.entries: list[Node] = []
        self.key: tuple[str, Origin] | None = None


class _Builder:
    """Builds the tree of one document from YAML events, with its own stack: depth costs no recursion."""

    def __init__(self, text: str, file: str, fixed: Origin | None) -> None:
        self.text = text
        self.file = file
        self.fixed = fixed
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}  # None while the anchored value is still being read
        self.count = 0
        self.top: Node | None = None

    def document(self) -> Node:
        try:
            for event in yaml.parse(self.text, Loader=_Loader):
                self.take(event)
        except yaml.MarkedYAMLError as error:
            raise self.syntax_error(error) from None
        except yaml.YAMLError as error:
            raise self.error(Origin(self.file, 1, 1), f"not YAML: {' '.join(str(error).split())}") from None
        return self.top if self.top is not None else scalar(None, self.fixed or Origin(self.file, 1, 1))

    def take(self, event: yaml.Event) -> None:
        mark: Any = event.start_mark
        origin = self.fixed or Origin(self.file, mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.NodeEvent):
            self.start(event, origin)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.end()
        elif isinstance(event, yaml.DocumentStartEvent) and self.top is not None:
            raise self.error(origin, "a file holds one document; this starts a second one", example="one file for each")

    def start(self, event: yaml.NodeEvent, origin: Origin) -> None:
        anchor: str | None = event.anchor
        if isinstance(event, yaml.AliasEvent):
            self.alias(anchor or "", origin)
            return
        tag: str | None = event.tag  # type: ignore[attr-defined]
        if tag is not None:
            raise self.error(origin, f"tags are not allowed ({shown(tag)})", example='name: "!x"')
        key = self.waiting_key()
        if isinstance(event, yaml.ScalarEvent):
            if self.stack and self.stack[-1].is_mapping and key is None:
                self.open_key(event.value, origin)
                return
            node = scalar(_plain_scalar(event.value) if event.implicit[0] else event.value, origin)
            self.finish(node, anchor)
            return
        if self.stack and self.stack[-1].is_mapping and key is None:
            raise self.error(origin, "a key is a text, not a mapping or a list")
        if len(self.stack) >= DEPTH_MAX:
            raise self.error(origin, f"a scenario nests at most {DEPTH_MAX} deep")
        if anchor is not None:
            self.anchors[anchor] = None
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        self.stack.append(_Open(origin, key[1] if key else origin, anchor, is_mapping))

    def open_key(self, text: str, origin: Origin) -> None:
        opened = self.stack[-1]
        if text == "<<":
            raise self.error(
                origin, "merge keys (<<) are not read; extends merges a whole file", example="extends: base.yaml"
            )
        if not text:
            raise self.error(origin, "a key must not be empty")
        if text in opened.children:
            first = opened.children[text].key_origin
            rule = f"the key stands twice in one mapping, first at line {first.line}"
            raise self.error(origin, rule, text, f"{text}: ... in one place")
        opened.key = (text, origin)

    def waiting_key(self) -> tuple[str, Origin] | None:
        return self.stack[-1].key if self.stack else None

    def alias(self, anchor: str, origin: Origin) -> None:
        if self.stack and self.stack[-1].is_mapping and self.stack[-1].key is None:
            raise self.error(origin, "a key is a text, not an alias")
        if anchor not in self.anchors:
            raise self.error(origin, f"the alias *{shown(anchor)} names no anchor before it", example=_ALIAS)
        node = self.anchors[anchor]
        if node is None:
            raise self.error(origin, f"the alias *{shown(anchor)} contains itself", example=_ALIAS)
        if self.nested_depth(node) + len(self.stack) > DEPTH_MAX:
            raise self.error(origin, f"a scenario nests at most {DEPTH_MAX} deep, aliases expanded")
        self.finish(node, None, origin)

    def nested_depth(self, node: Node) -> int:
        """How deep a finished value nests; at most DEPTH_MAX, which held when it was built."""
        if isinstance(node.value, dict):
            return 1 + max((self.nested_depth(child) for child in node.value.values()), default=0)
        if isinstance(node.value, list):
            return 1 + max((self.nested_depth(child) for child in node.value), default=0)
        return 0

    def finish(self, node: Node, anchor: str | None, alias_origin: Origin | None = None) -> None:
        """Puts a finished value where it belongs. An aliased value keeps its origin, but not its key's."""
        # Children of an open collection are counted when they finish, so only the value itself is new here
        # unless it is an alias, which brings all of what it expands to.
        self.count += node.size if alias_origin is not None else 1
        if self.count > NODES_MAX:
            raise self.error(
                alias_origin or node.origin, f"a scenario holds at most {NODES_MAX} values, aliases expanded"
            )
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.stack:
            self.top = node
            return
        opened = self.stack[-1]
        if not opened.is_mapping:
            opened.entries.append(node.under(alias_origin or node.origin))
            return
        assert opened.key is not None, "YAML gives a key before every value"
        text, key_origin = opened.key
        opened.children[text] = node.under(key_origin)
        opened.key = None

    def end(self) -> None:
        opened = self.stack.pop()
        node = (
            mapping(opened.children, opened.origin, opened.key_origin)
            if opened.is_mapping
            else sequence(opened.entries, opened.origin, opened.key_origin)
        )
        self.finish(node, opened.anchor)

    def error(self, origin: Origin, rule: str, key: str = "", example: str = "") -> ScenarioError:
        path = [opened.key[0] for opened in self.stack if opened.key is not None]
        origin = self.fixed or origin
        return _error(origin, rule, key=".".join([*path, key] if key else path)[:200], example=example)

    def syntax_error(self, error: yaml.MarkedYAMLError) -> ScenarioError:
        mark: Any = error.problem_mark or error.context_mark
        origin = Origin(self.file, mark.line + 1, mark.column + 1) if mark else Origin(self.file, 1, 1)
        lines = self.text.splitlines()
        line = lines[origin.line - 1] if origin.line <= len(lines) else ""
        if "\t" in line[: len(line) - len(line.lstrip())] or "\t" in line[origin.column - 1 : origin.column]:
            return self.error(origin, "indentation is made of spaces, not tabs", example="two spaces, then the key")
        reason = " ".join(str(part) for part in (error.context, error.problem) if part)
        return self.error(origin, f"not YAML: {reason}")
