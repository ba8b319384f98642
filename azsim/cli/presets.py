"""`azsim presets`: the products whose values a scenario can start from, and where those values come from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from azsim.base.errors import ExitCode
from azsim.cli.options import json_option
from azsim.cli.terminal import put, show

if TYPE_CHECKING:
    from azsim.scenario.preset import Product


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The presets that a shell offers."""
    from azsim.scenario.preset import products

    return [name for name in products() if name.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, shell_complete=_names)
@json_option
def command(name: str | None, as_json: bool) -> ExitCode:
    """List the presets, or explain the one called NAME.

    A block of a scenario (retry, breaker, limit ...) starts from a product's values with `preset: NAME`; its own keys
    override them. The explanation shows every value with its source, and what the product has that azsim does not.
    """
    from azsim.scenario.preset import explained, products

    chosen = dict(products()) if name is None else {name: explained(name)}
    if as_json:
        told = [_as_data(name, product, whole=len(chosen) == 1) for name, product in chosen.items()]
        put(json.dumps({"presets": told} if name is None else told[0], indent=2) + "\n")
        return ExitCode.OK
    from azsim.report.catalog import catalog, explanation

    show(catalog(chosen) if name is None else explanation(name, chosen[name]))
    return ExitCode.OK


def _as_data(name: str, product: Product, *, whole: bool) -> dict[str, Any]:
    """A preset as JSON values: all of it, or what a list says of it."""
    if whole:
        return {"name": name, **product.model_dump(mode="json", exclude_none=True)}
    return {"name": name, "product": product.product, "as_of": product.as_of, "blocks": list(product.blocks)}
