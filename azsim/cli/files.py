"""Files that are whole or not there: written aside, then renamed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from azsim.base.errors import AzsimError, ExitCode

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class OutputError(AzsimError):
    """A file or folder that cannot be written: a full disk, a missing right, a name that is taken."""

    exit_code = ExitCode.BAD_INPUT


def write_files(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Writes files into a folder, which is made if need be, and gives their paths.

    All are written aside first, then renamed: whatever goes wrong, a name that exists holds a whole file, the old or
    the new one, and nothing else is left behind. OutputError says what cannot be written and why.
    """
    aside: dict[Path, Path] = {}
    target = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            target = folder / name
            aside[target] = _write_aside(target, content)
        for target, written in list(aside.items()):
            os.replace(written, target)
            del aside[target]
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        for written in aside.values():
            written.unlink(missing_ok=True)
    return [folder / name for name in contents]


def _write_aside(target: Path, content: bytes) -> Path:
    """The content in a new file beside the target, down on the disk; on failure no file."""
    # The process's number keeps two runs into one folder apart.
    written = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with written.open("wb") as file:
            file.write(content)
            file.flush()
            # A full disk may show only here.
            os.fsync(file.fileno())
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    return written


def check_picture(path: Path | None, option: str) -> None:
    """Refuse a path that no picture can have, before any work is done for it."""
    if path is not None and path.suffix not in (".svg", ".png"):
        raise click.BadParameter(f"{path}: a picture ends in .svg or .png", param_hint=option)


def write_picture(path: Path, figure: Figure) -> None:
    """Draw a figure as the file's name says: .svg or .png."""
    from azsim.report.figures import image

    write_files(path.parent, {path.name: image(figure, "svg" if path.suffix == ".svg" else "png")})
