"""stdout and stderr: who gets what, and what happens when nobody listens any more."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from azsim.cli.files import OutputError

if TYPE_CHECKING:
    from rich.console import RenderableType


def say(text: str) -> None:
    """One line to a person, on stderr; lost when nobody listens."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def put(text: str) -> None:
    """Text to stdout as it is; OutputError where that cannot be, such as a file on a full disk.

    A reader that went away is no failure: the rest is thrown away.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
    except OSError as error:
        discard_stdout()
        raise OutputError(f"stdout cannot be written: {error.strerror or error}") from error


def show(renderable: RenderableType) -> None:
    """Something drawn to stdout: in colour on a terminal (unless NO_COLOR is set), as plain text elsewhere."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    with console.capture() as drawn:
        console.print(renderable, crop=False)
    put("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))


def discard_stdout() -> None:
    """From here on stdout goes nowhere, so that the interpreter's own flush at the end cannot fail either."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
