"""Options that several verbs share."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from azsim.cli import options


@click.command()
@click.option("--memory", callback=options.size)
@options.set_option
def command(memory: int | None, changes: dict[str, str]) -> None:
    click.echo(f"{memory} {changes}")


def said(*arguments: str) -> str:
    return CliRunner().invoke(command, arguments).output.strip()


@pytest.mark.parametrize(
    ("text", "in_bytes"),
    [
        ("4GiB", 4 * 2**30),
        ("1.5 GiB", 3 * 2**29),
        ("512MiB", 2**29),
        ("2048KiB", 2**21),
        ("1TB", 10**12),
        ("10MB", 10**7),
    ],
)
def test_a_size_is_a_number_and_a_unit(text: str, in_bytes: int) -> None:
    assert said("--memory", text) == f"{in_bytes} {{}}"


@pytest.mark.parametrize("text", ["4", "4G", "-4GiB", "GiB", "4 gib", "1e9GiB", "0GiB", "1KiB", "٤GiB"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    assert "4GiB" in said("--memory", text)
    assert "Error" in said("--memory", text)


def test_changes_are_taken_in_turn_and_the_last_counts() -> None:
    told = said("--set", "a.b=1", "--set", "c = x=y ", "--set", "a.b=2")
    assert told == "None {'a.b': '2', 'c': 'x=y'}"


def test_a_change_may_be_empty_but_not_nameless() -> None:
    assert said("--set", "description=") == "None {'description': ''}"
    assert "is not PATH=VALUE" in said("--set", "=3")
