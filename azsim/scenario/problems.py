"""What is wrong with a scenario, and the one message that says it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from azsim.base.errors import ScenarioError
from azsim.scenario import faults
from azsim.scenario.paths import Spot, below, child, dotted, nearest, spot_at
from azsim.scenario.tree import Node, Path, shown

_TYPE_RULES: Final = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "tuple_type": "must be a list",
    "string_pattern_mismatch": "must be a name: lower-case letters, digits and -, starting with a letter",
    "string_too_long": "is too long",
    "string_too_short": "must not be empty",
}
_UNQUOTED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.%/-]*")
_BRANCH: Final = re.compile(r"<[a-z-]+>")
_IGNORED: Final = "default_factory_not_called"  # follows from another error, which is reported itself


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule that a value breaks. `path` uses positions in lists; `at_key` blames the key, not its value.

    `urgency` orders problems of which one may cause another: the lowest is told first.
    """

    path: Path
    rule: str
    example: str = ""
    at_key: bool = False
    urgency: int = 2


def unknown(path: Path, what: str, word: str, known: Iterable[str], at_key: bool = False) -> Problem:
    """A name that nothing has; `known` are those that something has."""
    known = list(known)
    near = nearest(word, known)
    hint = f"the nearest is {near}" if near else f"known are {', '.join(known[:12])}"
    example = "" if at_key else near or known[0]
    return Problem(path, f"there is no {what} {word}; {hint}", example, at_key=at_key, urgency=1)


def first_error(root: type[BaseModel], tree: Node, problems: list[Problem]) -> ScenarioError:
    """The error for the problem to solve first."""
    errors = [(problem.urgency, _located(root, tree, problem)) for problem in problems]
    return min(errors, key=lambda pair: (pair[0], pair[1].line, pair[1].column))[1]


def _located(root: type[BaseModel], tree: Node, problem: Problem) -> ScenarioError:
    """The problem with its place in the files."""
    node: Node = tree
    missing = False
    for part in problem.path:
        found = child(node, part)
        if found is None:
            missing = True
            break
        node = found
    origin = node.key_origin if problem.at_key and not missing else node.origin
    example = problem.example or _example(root, problem.path[: -1 if problem.at_key else None])
    value = (
        "" if missing or problem.at_key else shown(node) + (f" of {origin.via.partition(':')[0]}" if origin.via else "")
    )
    last = next((part for part in reversed(problem.path) if isinstance(part, str)), "")
    if problem.example and not problem.at_key and last:
        example = f"{last}: {example}"
    return ScenarioError(
        problem.rule,
        file=origin.file,
        line=origin.line,
        column=origin.column,
        key=dotted(tree, problem.path),
        value=value,
        example=example,
    )


def written(value: Any) -> str:
    """A value on one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(below) for below in value) + "]"
    if isinstance(value, str) and not _UNQUOTED.fullmatch(value):
        return json.dumps(value, ensure_ascii=False)
    return shown(value)


def _example(root: type[BaseModel], path: Path) -> str:
    """A line that declares what stands at `path`, or what is around it."""
    for length in range(len(path), 0, -1):
        spot = spot_at(root, path[:length])
        if spot is None or spot.field is None:
            continue
        if spot.field.examples:
            # Within a list or a mapping of names the declaration is that of the whole: show it whole.
            example: Any = spot.field.examples[0]
            return f"{_declared_at(root, path[:length])}: {written(example)}"
    return "see the scenario reference"


def _declared_at(root: type[BaseModel], path: Path) -> str | int:
    """The key whose declaration holds at `path`: itself, or the list or mapping of names around it."""
    spot = spot_at(root, path)
    length = len(path)
    while length > 1:
        above = spot_at(root, path[: length - 1])
        if spot is None or above is None or above.field is not spot.field:
            break
        length -= 1
    return path[length - 1]


def problems_of(root: type[BaseModel], tree: Node, error: ValidationError) -> list[Problem]:
    """What validation found, with paths that lead through the tree."""
    found = [_problem(root, tree, dict(item)) for item in error.errors(include_url=False, include_input=False)]
    return [problem for problem in found if problem is not None]


def _problem(root: type[BaseModel], tree: Node, item: dict[str, Any]) -> Problem | None:
    kind, context = item["type"], item.get("ctx", {})
    if kind == _IGNORED:
        return None
    path, is_key = _path(tree, item["loc"])
    if kind == "rule":
        path = (*path, context["key"]) if context.get("key") else path
        return Problem(path, context["rule"], context["example"])
    above = spot_at(root, path[:-1]) or Spot((), None)
    spot = below(above, path[-1]) if path else None
    field = spot.field if spot else None
    if kind == "quantity":
        own = field.examples[0] if field is not None and field.examples else None
        example = context["example"] if isinstance(own, list | dict | None) else written(own)
        return Problem(path, context["rule"], example)
    if is_key:
        return Problem(path, _TYPE_RULES.get(kind, item["msg"]), at_key=True)
    if kind == "extra_forbidden":
        return _unknown_key(root, path, _keys_around(root, tree, path))
    if kind == "missing":
        return Problem(path, "is required")
    if kind == "unbuilt":
        instead = _extra(field, "x-instead") or "none"
        return Problem(path, f"is in the format but not built yet; what works is {instead}", "none")
    node = _node(tree, path)
    if kind == "literal_error" or _extra(field, "x-unbuilt"):
        return _word(path, node, field, context.get("expected", ""), kind)
    return Problem(path, _extra(field, "x-rule") or _type_rule(kind, context) or item["msg"].lower())


def _path(tree: Node, location: Path) -> tuple[Path, bool]:
    """Where a location of pydantic leads in the tree, and whether it means the key there.

    A location also names the branch of a union (`<word>`) and marks a key (`[key]`): those are no keys of the file.
    """
    path: list[str | int] = []
    node: Node | None = tree
    for part in location:
        found = child(node, part)
        if found is None and isinstance(part, str) and (_BRANCH.fullmatch(part) or part == "[key]"):
            continue
        path.append(part)
        node = found
    return tuple(path), bool(location) and location[-1] == "[key]" and path[-1] != "[key]"


def _node(tree: Node, path: Path) -> Node | None:
    node: Node | None = tree
    for part in path:
        node = child(node, part)
    return node


def _extra(field: FieldInfo | None, name: str) -> Any:
    extra = field.json_schema_extra if field is not None else None
    return extra.get(name) if isinstance(extra, dict) else None


def _type_rule(kind: str, context: dict[str, Any]) -> str:
    if kind == "greater_than_equal":
        return f"must be at least {context['ge']}"
    if kind == "less_than_equal":
        return f"must be at most {context['le']}"
    if kind == "too_short":
        return f"must hold at least {context['min_length']}"
    if kind == "too_long":
        return f"must hold at most {context['max_length']}"
    return _TYPE_RULES.get(kind, "")


def _keys_around(root: type[BaseModel], tree: Node, path: Path) -> list[str]:
    """The keys that may stand beside the one at `path`, of the one model meant where several could be."""
    above = spot_at(root, path[:-1]) or Spot((), None)
    node = _node(tree, path[:-1])
    for tag in ("distribution", "kind"):
        word = child(node, tag)
        for model in above.models:
            declared = model.model_fields.get(tag)
            wanted = word.value if word is not None else declared.default if declared is not None else None
            if declared is not None and declared.examples == [wanted]:
                return sorted(model.model_fields, key=lambda name: name == "preset")  # last: few need it
    return above.keys


def _unknown_key(root: type[BaseModel], path: Path, known: list[str]) -> Problem:
    word = str(path[-1])
    if len(path) == 3 and path[0] == "faults" and word in faults.UNBUILT_KINDS:
        instead = faults.UNBUILT_KINDS[word]
        return Problem(
            path, f"is in the format but not built yet; what works is {instead}", instead, at_key=True, urgency=0
        )
    near = nearest(word, known)
    rule = f"unknown key; the nearest is {near}" if near else f"unknown key; known here are {', '.join(known)}"
    example = _example(root, (*path[:-1], near or known[0])) if near or known else ""
    return Problem(path, rule, example, at_key=True, urgency=1)


def _word(path: Path, node: Node | None, field: FieldInfo | None, expected: str, kind: str) -> Problem:
    """A value that is not among the words a key takes."""
    word = node.value if node is not None else None
    later: dict[str, str] = _extra(field, "x-unbuilt") or {}
    if isinstance(word, str) and word in later:
        rule = f"{word} is in the format but not built yet; what works is {later[word]}"
        return Problem(path, rule, later[word].rpartition(": ")[2])
    choices: list[str] = _extra(field, "x-choices") or []
    if choices:
        expected = f"{', '.join(choices[:-1])} or {choices[-1]}"
    rule = _extra(field, "x-rule") or (f"must be {expected.replace(chr(39), '')}" if expected else "") or kind
    near = nearest(word, choices or expected.replace("'", "").replace(" or ", ", ").split(", "))
    return Problem(path, rule + (f"; the nearest is {near}" if near else ""), near, urgency=0 if choices else 2)


def repeated(words: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Position and word of every word that stood before."""
    seen: set[str] = set()
    for position, word in enumerate(words):
        if word in seen:
            yield position, word
        seen.add(word)
