"""The frame around all verbs: help, version, exit codes and what is said when something goes wrong."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from azsim.base.errors import ExitCode, InternalError, LimitError, ScenarioError
from azsim.base.version import __version__
from azsim.cli import main

Azsim = Callable[..., "subprocess.Popen[str]"]
HEAVY = {"matplotlib", "numba", "numpy", "pandas", "pydantic", "rich", "simpy"}


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Makes `azsim schema` raise an error."""

    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(importlib.import_module("azsim.cli.schema"), "command", command)


@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in main.VERBS)])
def test_help_imports_nothing_that_takes_long(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom azsim.cli.main import outcome\n"
        f"code = outcome({arguments!r})\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)), int(code))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "HEAVY [] 0"
    assert done.stdout.startswith("Usage: azsim")
    assert "\\b" not in done.stdout


def test_help_lists_every_verb_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.outcome(["--help"]) == ExitCode.OK
    shown = capsys.readouterr().out
    for verb, text in main.VERBS.items():
        assert verb in shown
        assert text in shown


def test_every_verb_of_the_table_is_a_command_with_help_of_its_own() -> None:
    for verb in main.VERBS:
        command = importlib.import_module(f"azsim.cli.{verb}").command
        assert isinstance(command, click.Command)
        assert command.help
        assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


def test_the_version_is_that_of_the_package(azsim: Azsim) -> None:
    started = azsim("--version")
    assert started.communicate(timeout=60) == (f"azsim {__version__}\n", "")
    assert started.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Usage:"),
        (["fly"], "fly"),
        (["run"], "FILE"),
        (["run", "x.yaml", "--seed", "-1"], "--seed"),
        (["run", "x.yaml", "--set", "nothing"], "'nothing' is not PATH=VALUE"),
        (["run", "x.yaml", "--memory", "4"], "such as 4GiB"),
        (["run", "x.yaml", "--engine", "steam"], "kernel"),
        (["run", "absent.yaml"], "absent.yaml"),
        (["validate", "absent.yaml"], "No such file"),
    ],
)
def test_bad_input_is_told_in_one_message(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.outcome(arguments) == ExitCode.BAD_INPUT
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            ScenarioError("must not be negative", key="seed", value="-1"),
            2,
            "error: seed: value -1: must not be negative",
        ),
        (LimitError("4 GiB reached"), 3, "error: 4 GiB reached"),
        (MemoryError(), 3, "--memory"),
        (InternalError("lost a request", "python -c ..."), 4, "lost a request. Replay: AZSIM_DEBUG=1 azsim schema"),
        (
            ZeroDivisionError("division by zero"),
            4,
            "ZeroDivisionError: division by zero. Replay: AZSIM_DEBUG=1 azsim schema",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_goes_wrong_becomes_one_message_and_a_code(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing(monkeypatch, error)
    monkeypatch.delenv("AZSIM_DEBUG", raising=False)
    assert main.outcome(["schema"]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err


def test_a_traceback_comes_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, ZeroDivisionError("division by zero"))
    monkeypatch.setenv("AZSIM_DEBUG", "1")
    assert main.outcome(["schema"]) == ExitCode.INTERNAL
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_failure(azsim: Azsim) -> None:
    # The schema is longer than a pipe holds, so the writer meets the closed pipe for certain.
    with azsim("schema") as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        assert writer.stdout.readline() == "{\n"
        writer.stdout.close()
        assert writer.stderr.read() == ""
    assert writer.returncode == 0


def test_the_schema_is_the_one_that_files_are_checked_with(azsim: Azsim) -> None:
    from azsim.scenario.json_schema import json_schema

    shown, _ = azsim("schema").communicate(timeout=60)
    assert len(shown) > 65536
    assert json.loads(shown) == json_schema()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
def test_a_full_disk_behind_stdout_is_told() -> None:
    command = f"{shlex.quote(sys.executable)} -m azsim schema > /dev/full"
    package = str(Path(main.__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": package}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "error: stdout cannot be written: No space left on device\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_do_not_matter(closed: str, scenario_file: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m azsim validate {shlex.quote(str(scenario_file))} {closed}"
    package = str(Path(main.__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": package}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_letters_that_a_terminal_does_not_know_are_shown_by_number(scenario_file: Path, azsim: Azsim) -> None:
    started = azsim("validate", scenario_file, "--set", "description=café", PYTHONIOENCODING="ascii")
    out, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (0, "")
    assert "description: caf\\xe9" in out
