"""Presets: what products do unless they are told otherwise, each value with its source (data in `presets/`).

A block of a scenario starts from one with `preset: NAME`; its own keys override. A file in `presets/` is one product
or one version of it, with the blocks it has something to say about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final, NamedTuple

from pydantic import Field

from azsim.base.errors import ScenarioError
from azsim.scenario.fields import Flag, Model, Name
from azsim.scenario.loader import read_text
from azsim.scenario.paths import nearest
from azsim.scenario.tree import Node, Origin, from_plain, mapping, merged, plain, shown

BLOCKS: Final = ("retry", "breaker", "limit", "balancer", "health", "outliers")
"""The blocks that a product can have values for."""
PARTS: Final = {"backoff": "retry", "budget": "retry"}
"""Blocks within those, which can be taken by themselves."""


class Source(Model):
    """Where a value is documented."""

    document: str
    url: str
    date: str  # of the document's version, or when it was read


class Value(Model):
    """What a key is set to and who says so; `verified` is no where sources conflict or stay silent."""

    value: Any
    source: str
    verified: Flag = True
    note: str = ""


class Block(Model):
    """A product's values for one block.

    `values` are by dotted path below the block; `beside` by path from what the block stands in: what the product also
    does, which belongs to other keys. `off_by_default` is what it can do and azsim can, too; `not_modelled` what azsim
    cannot.
    """

    summary: str
    values: Mapping[str, Value] = Field(min_length=1)
    beside: Mapping[str, Value] = Field(default={})
    off_by_default: tuple[str, ...] = ()
    not_modelled: tuple[str, ...] = ()


class Product(Model):
    """One product, or one version of it. `as_of` says when its values were looked up."""

    product: str
    as_of: str
    sources: Mapping[Name, Source]
    retry: Block | None = None
    breaker: Block | None = None
    limit: Block | None = None
    balancer: Block | None = None
    health: Block | None = None
    outliers: Block | None = None

    @property
    def blocks(self) -> dict[str, Block]:
        """Its blocks by name."""
        found = {name: getattr(self, name) for name in BLOCKS}
        return {name: block for name, block in found.items() if block is not None}


class Setting(NamedTuple):
    """One value of a preset, as a block that asks for it gets it."""

    path: tuple[str, ...]
    value: Value
    source: Source


@cache
def products() -> Mapping[str, Product]:
    """All presets by name, in the order of their names."""
    files = resources.files("azsim.scenario").joinpath("presets").iterdir()
    texts = {file.name.removesuffix(".yaml"): file.read_text("utf-8") for file in files if file.name.endswith(".yaml")}
    return {name: Product.model_validate(plain(read_text(texts[name], f"{name}.yaml"))) for name in sorted(texts)}


def names(block: str) -> list[str]:
    """The presets that can stand in a block."""
    return [name for name, product in products().items() if any(_settings(product, block))]


def _settings(product: Product, block: str) -> Iterator[Setting]:
    """The values of a product for a block, or for a part of one."""
    whole = product.blocks.get(PARTS.get(block, block))
    for dotted, value in whole.values.items() if whole is not None else ():
        path = tuple(dotted.split("."))
        if block in PARTS:
            if path[0] != block or len(path) == 1:
                continue
            path = path[1:]
        yield Setting(path, value, product.sources[value.source])


def started(block: str, node: Node, key: str) -> Node:
    """A block of the scenario, at the dotted path `key`, laid over the preset it names; ScenarioError if there is none.

    The preset's values say where they were asked for, and by which document they are what they are.
    """
    if not isinstance(node.value, dict) or "preset" not in node.value:
        return node
    own = {name: child for name, child in node.value.items() if name != "preset"}
    over = mapping(own, node.origin, node.key_origin)
    asked = node.value["preset"]
    if asked.is_nothing:
        return over
    product = products().get(asked.value) if isinstance(asked.value, str) else None
    settings = list(_settings(product, block)) if product is not None else []
    if not settings:
        raise _unknown(block, asked, key)
    base = mapping({}, asked.origin)
    for setting in settings:
        base = merged(base, _placed(setting, str(asked.value), asked.origin))
    return merged(base, over)


def _placed(setting: Setting, name: str, asked: Origin) -> Node:
    """One value of a preset within the mappings it stands in."""
    doubt = "" if setting.value.verified else " (unverified)"
    origin = Origin(asked.file, asked.line, asked.column, f"preset {name}: {setting.source.document}{doubt}")
    node = from_plain(setting.value.value, origin)
    for part in reversed(setting.path):
        node = mapping({part: node}, origin)
    return node


def _unknown(block: str, asked: Node, key: str) -> ScenarioError:
    known = names(block)
    word = asked.value
    if isinstance(word, str) and word in products():
        others = _listed(name for name in (*BLOCKS, *PARTS) if word in names(name))
        rule = f"preset {word} is for {others}, not for {block}; for {block} there are {_listed(known)}"
    elif isinstance(word, str):
        near = nearest(word, known)
        rule = f"there is no preset {shown(word)} for {block}; " + (
            f"the nearest is {near}" if near else f"there are {_listed(known)}"
        )
    else:
        rule = "a preset is a name"
    example = nearest(word, known) or known[0]
    origin = asked.origin
    return ScenarioError(
        rule,
        file=origin.file,
        line=origin.line,
        column=origin.column,
        key=f"{key}.preset",
        value=shown(asked),
        example=f"preset: {example}",
    )


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def explained(name: str) -> Product:
    """A preset by name; ScenarioError names the nearest where there is none."""
    product = products().get(name)
    if product is None:
        near = nearest(name, products())
        hint = f"the nearest is {near}" if near else f"there are {_listed(products())}"
        raise ScenarioError(f"there is no preset {shown(name)}; {hint}", example=f"azsim presets {near or 'envoy'}")
    return product
