"""The scenario reference, written from the schema: docs/scenario-reference.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from azsim.scenario.contents import Contents
from azsim.scenario.paths import Spot, below
from azsim.scenario.problems import written
from azsim.scenario.service import Instance

_HEAD = """# Scenario reference

Written from the schema of the program; the suite compares the two.

A scenario is a YAML file. Quantities carry units: durations `250ms 10s 5min 1h` (also `us` and `ns`), rates
`1200/s 90/min 5/h`, shares `80%`. A bare number for one of them is refused, and so is a key that is not listed here.
`none` says that there is nothing. `extends: base.yaml`, relative to the file it stands in, takes another file first:
mappings merge, lists and scalars replace; a mapping that names another `distribution`, `kind` or `preset` replaces
too.

A mapping that takes `preset` starts from what a product does: `retry: {preset: aws-sdk-standard-2026, attempts: 2}`.
Its other keys override; a mapping inside merges with the preset's. `azsim presets` lists them, and so does the page
about [presets](features/presets.md).

Paths in `--set`, `vary` and `Scenario.with_` use names and ids, not positions: `services.web.calls.catalog.timeout`,
`faults.loss.for`. A call without an id is named by whom it calls, a fault by its kind.

R, I, F, B, H and J with a number are rules of the [model](model.md).
"""


def reference_markdown() -> str:
    """The whole reference: a table of keys for every mapping of the format, from the top downwards."""
    parts = [_HEAD]
    for model, path in _models():
        parts.append("\n".join(_section(model, path)))
    return "\n".join(parts)


def _models() -> Iterator[tuple[type[BaseModel], str]]:
    """Every mapping with fixed keys and the first path it stands at, `*` for a name or id."""
    waiting: list[tuple[Spot, str]] = [(Spot((Contents,), None), "")]
    seen: set[type[BaseModel]] = set()
    while waiting:
        spot, path = waiting.pop(0)
        for model in spot.models:
            if model in seen or model is Instance:  # a service has all keys of an instance
                continue
            seen.add(model)
            yield model, path
            only = Spot((model,), None)
            inside = [(below(only, key), f"{path}.{key}".lstrip(".")) for key in only.keys]
            waiting[:0] = [(under, place) for under, place in inside if under is not None]
        many = Spot(tuple(kind for kind in spot.types if kind not in spot.models), spot.field)
        entries = [below(many, "*"), below(many, 0)]
        waiting[:0] = [(under, f"{path}.*") for under in entries if under is not None]


def _section(model: type[BaseModel], path: str) -> Iterator[str]:
    discriminator = model.model_fields.get("distribution") or model.model_fields.get("kind")
    title = path or "The file"
    if discriminator is not None and discriminator.examples and _extra(discriminator).get("x-choices"):
        title = f"{path}: {discriminator.examples[0]}"
    yield f"## {title}\n"
    yield f"{(model.__doc__ or '').strip().splitlines()[0]}\n"
    keys = [(declared.alias or field, declared) for field, declared in model.model_fields.items()]
    built = [(key, declared) for key, declared in keys if "x-instead" not in _extra(declared)]
    if built:
        yield "| key | what it is | default | example |\n|---|---|---|---|"
    for name, declared in built:
        yield f"| `{name}` | {_description(declared)} | {_default(declared)} | {_example(declared)} |"
    later = [(key, declared) for key, declared in keys if "x-instead" in _extra(declared)]
    if later:
        yield "\nIn the format but not built yet, so that only `none` is taken:\n"
    for name, declared in later:
        yield f"- `{name}`: {_lower(declared.description or '')} What works is `{_extra(declared)['x-instead']}`."
    yield ""


def _extra(declared: FieldInfo) -> dict[str, Any]:
    extra = declared.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _description(declared: FieldInfo) -> str:
    text = declared.description or ""
    later = _extra(declared).get("x-unbuilt")
    if isinstance(later, dict) and later:
        text += f" Not built yet: {', '.join(f'`{word}`' for word in later)}."
    words = _words(declared.annotation)
    if words and not all(f"`{word}`" in text for word in words):
        text += f" One of {', '.join(f'`{word}`' for word in words)}."
    return text


def _words(annotation: Any) -> list[str]:
    """The words a key takes, where it takes nothing else."""
    words = list(get_args(annotation)) if get_origin(annotation) is Literal else []
    return words if len(words) > 1 else []


def _default(declared: FieldInfo) -> str:
    follows = _extra(declared).get("x-follows")
    if follows:
        return f"as `{follows}`"
    if "x-default" in _extra(declared):
        return str(_extra(declared)["x-default"])
    if declared.is_required():
        return "required"
    default = declared.default
    if default is PydanticUndefined or default is None:
        return "`none`"
    if isinstance(declared.annotation, type) and issubclass(declared.annotation, BaseModel):
        return "its defaults"
    if default in ("", (), {}):
        return "empty"
    return f"`{written(list(default) if isinstance(default, tuple) else default)}`"


def _example(declared: FieldInfo) -> str:
    example = (declared.examples or [""])[0]
    return f"`{written(example).replace('|', chr(92) + '|')}`"
