"""Files are whole or not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from azsim.base.errors import ExitCode
from azsim.cli.files import OutputError, write_files

CONTENTS = {"timeline.svg": b"<svg/>", "result.json": b"{}"}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "run"
    assert write_files(folder, CONTENTS) == [folder / "timeline.svg", folder / "result.json"]
    assert {name: (folder / name).read_bytes() for name in names(folder)} == CONTENTS


def test_new_files_may_be_read_by_those_whom_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        (path,) = write_files(tmp_path, {"result.json": b"{}"})
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_old_files_are_replaced(tmp_path: Path) -> None:
    write_files(tmp_path, {"result.json": b"a much longer old result"})
    write_files(tmp_path, {"result.json": b"new"})
    assert (tmp_path / "result.json").read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_old_files_whole_and_no_new_ones(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"result.json": b"old"})

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OutputError, match=r"cannot be written: No space left on device") as caught:
        write_files(tmp_path, CONTENTS)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert names(tmp_path) == ["result.json"]
    assert (tmp_path / "result.json").read_bytes() == b"old"


def test_an_interrupt_while_writing_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_files(tmp_path, CONTENTS)
    assert names(tmp_path) == []


def test_a_name_that_is_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "result.json").mkdir()
    with pytest.raises(OutputError, match=r"result\.json cannot be written: Is a directory"):
        write_files(tmp_path, {"result.json": b"{}"})
    assert names(tmp_path) == ["result.json"]


def test_a_folder_whose_name_is_taken_by_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match=r"out cannot be written: "):
        write_files(tmp_path / "out", CONTENTS)
    assert (tmp_path / "out").read_text() == "mine"
