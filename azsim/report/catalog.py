"""Presets as people read them: the list of all, and one with its values, sources and gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from azsim.scenario.preset import Block, Product, Value

_UNVERIFIED = "unverified"


def catalog(products: Mapping[str, Product]) -> RenderableType:
    """A row for each preset: the blocks it is for, and what it is."""
    table = _grid("preset", "blocks", "as of", "product")
    for name, product in products.items():
        table.add_row(name, ", ".join(product.blocks), product.as_of, product.product)
    return Group(table, Text(), Text("azsim presets NAME explains one"))


def explanation(name: str, product: Product) -> RenderableType:
    """Every value of a preset with its source, what it does beside, and what azsim does not have."""
    parts: list[RenderableType] = [Text.assemble((product.product, "bold"), f"   as of {product.as_of}")]
    for block, content in product.blocks.items():
        parts += [Text(), Text(f"{block}: {{preset: {name}}}", style="bold"), Text(content.summary), Text()]
        parts += _block(product, content)
    parts += [Text(), Text("Sources", style="bold")]
    sources = _grid()
    for source in product.sources.values():
        sources.add_row(source.document, source.date, source.url)
    return Group(*parts, sources)


def _block(product: Product, block: Block) -> Iterator[RenderableType]:
    yield _values(product, block.values)
    if block.beside:
        yield Text("\nBeside it the product has, in keys that you set yourself:")
        yield _values(product, block.beside)
    for title, sentences in (("Off by default", block.off_by_default), ("Not modelled", block.not_modelled)):
        if sentences:
            yield Text(f"\n{title}:")
            listed = Table.grid(padding=(0, 1, 0, 0))
            for sentence in sentences:
                listed.add_row("-", Text(sentence))
            yield listed


def _values(product: Product, values: Mapping[str, Value]) -> Table:
    table = _grid("key", "value", "source", "")
    for path, value in values.items():
        doubt = "" if value.verified else _UNVERIFIED
        note = ": ".join(filter(None, (doubt, value.note)))
        table.add_row(path, written(value.value), product.sources[value.source].document, note)
    return table


def written(value: object) -> str:
    """A value on one line, as a scenario would have it."""
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {written(part)}" for name, part in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _grid(*titles: str) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in titles or range(3):
        table.add_column(overflow="fold")
    if titles:
        table.add_row(*(Text(title, style="bold") for title in titles))
    return table
