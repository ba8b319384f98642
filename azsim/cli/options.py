"""Options that several verbs share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_SIZE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(KiB|MiB|GiB|TiB|kB|MB|GB|TB)", re.ASCII)
_UNIT_BYTES: Final = {
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_BYTES_MIN: Final = 2**20
_SEED_MAX: Final = 2**63 - 1


def size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Whole bytes of a text such as `4GiB`; BadParameter says the rule and a valid example."""
    if value is None:
        return None
    found = _SIZE.fullmatch(value)
    if found is None:
        rule = f"{value!r}: a size is a number and KiB, MiB, GiB, TiB, kB, MB, GB or TB, such as 4GiB"
        raise click.BadParameter(rule, ctx, param)
    in_bytes = int(float(found[1]) * _UNIT_BYTES[found[2]])
    if in_bytes < _BYTES_MIN:
        raise click.BadParameter(f"{value!r}: a bound on memory is at least 1MiB, such as 4GiB", ctx, param)
    return in_bytes


def changes(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Texts by dotted path of texts such as `path=value`; where a path comes again, the last one counts."""
    found: dict[str, str] = {}
    for text in value:
        path, equals, new = text.partition("=")
        if not (path.strip() and equals):
            rule = f"{text!r} is not PATH=VALUE, such as traffic.shoppers.retry.attempts=1"
            raise click.BadParameter(rule, ctx, param)
        found[path.strip()] = new.strip()
    return found


def file_argument(function: F) -> F:
    """The scenario file."""
    return click.argument("file", type=click.Path())(function)


def set_option(function: F) -> F:
    """`--set path=value`, as often as wanted."""
    text = "Give one key another value, such as traffic.shoppers.retry.attempts=1. May come again."
    option = click.option("--set", "changes", metavar="PATH=VALUE", multiple=True, callback=changes, help=text)
    return option(function)


def seed_option(function: F) -> F:
    """`--seed`: another one than the scenario's."""
    text = "Draw all chance from this instead of the scenario's."
    return click.option("--seed", type=click.IntRange(0, _SEED_MAX), help=text)(function)


def engine_option(function: F) -> F:
    """`--engine`: which of the two data planes."""
    text = "The compiled engine, or the one written to be read; they agree event for event."
    engines = click.Choice(["kernel", "reference"])
    return click.option("--engine", type=engines, default="kernel", show_default=True, help=text)(function)


def json_option(function: F) -> F:
    """`--json`: the result alone on stdout."""
    text = "Print JSON alone on stdout; everything else goes to stderr."
    return click.option("--json", "as_json", is_flag=True, help=text)(function)
