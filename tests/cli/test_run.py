"""`azsim run`, on the reference engine, which needs no compilation."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from azsim.base.errors import ExitCode
from azsim.cli.main import outcome
from azsim.scenario import load
from azsim.simulation.run import simulate

Azsim = Callable[..., "subprocess.Popen[str]"]
REFERENCE = ("--engine", "reference")


def test_it_prints_a_card_and_leaves_picture_and_result(
    scenario_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert outcome(["run", str(scenario_file), *REFERENCE, "--seed", "7"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(Path("out/small/result.json").read_text())
    assert lines[0] == f"seed 7, scenario {result['digest']}"
    assert any(line.startswith("OUTCOME     DEGRADED") for line in lines)
    assert [line.split()[-1] for line in lines[-2:]] == ["out/small/result.json", "out/small/scenario.json"]
    assert lines[-2].startswith("FILES       out/small/timeline.svg  ")
    assert load("out/small/scenario.json").digest == result["digest"]
    assert result["seed"] == 7
    assert result["verdict"] == "degraded"
    picture = xml.etree.ElementTree.parse("out/small/timeline.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"


def test_json_stands_alone_on_stdout(scenario_file: Path, azsim: Azsim, tmp_path: Path) -> None:
    started = azsim("run", scenario_file, *REFERENCE, "--json")
    out, err = started.communicate(timeout=120)
    assert started.returncode == 0
    result = json.loads(out)
    assert err.startswith(f"seed 1, scenario {result['digest']}\n")
    assert not (tmp_path / "out").exists()


def test_json_and_files_go_together(scenario_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", str(scenario_file), *REFERENCE, "--json", "--quiet", "--out", str(tmp_path / "kept")]
    assert outcome(arguments) == ExitCode.OK
    captured = capsys.readouterr()
    assert captured.out == (tmp_path / "kept" / "result.json").read_text()
    assert captured.err == ""


def test_quiet_says_nothing(scenario_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["run", str(scenario_file), *REFERENCE, "--quiet", "--out", str(tmp_path / "kept")]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert (tmp_path / "kept" / "timeline.svg").exists()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ([], "held", 0),
        (["hypothesis.allow=no-impact"], "falsified", 1),
        (["duration=20s"], "undecided", 1),
        (["hypothesis.latency_p99=<= 1ms"], "invalid", 1),
    ],
)
def test_strict_turns_what_did_not_hold_into_an_exit_code(
    changes: list[str], status: str, code: int, scenario_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [argument for change in changes for argument in ("--set", change)]
    arguments = ["run", str(scenario_file), *REFERENCE, "--json", *sets]
    assert outcome([*arguments, "--strict"]) == code
    assert json.loads(capsys.readouterr().out)["hypothesis"] == status
    assert outcome(arguments) == ExitCode.OK


def test_the_command_under_next_runs(
    scenario_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert outcome(["run", str(scenario_file), *REFERENCE]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    suggested = shlex.split(next(line for line in lines if line.strip().startswith("azsim ")))
    assert outcome([*suggested[1:], *REFERENCE]) == ExitCode.OK


def test_paranoid_changes_nothing(scenario_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for more in ([], ["--paranoid"]):
        assert outcome(["run", str(scenario_file), *REFERENCE, "--json", *more]) == ExitCode.OK
        told.append(json.loads(capsys.readouterr().out))
        del told[-1]["wall_s"], told[-1]["requests_per_wall_s"]
    assert told[0] == told[1]


def test_a_folder_that_cannot_be_made_is_told_and_exits_2(
    scenario_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("mine")
    arguments = ["run", str(scenario_file), *REFERENCE, "--out", str(tmp_path / "taken" / "deeper")]
    assert outcome(arguments) == ExitCode.BAD_INPUT
    assert "cannot be written" in capsys.readouterr().err


def test_a_reader_that_goes_away_still_gets_its_files(scenario_file: Path, azsim: Azsim, tmp_path: Path) -> None:
    with azsim("run", scenario_file, *REFERENCE, PYTHONUNBUFFERED="1") as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        assert writer.stdout.readline().startswith("seed 1, ")
        writer.stdout.close()
        assert writer.stderr.read() == ""
    assert writer.returncode == 0
    assert json.loads((tmp_path / "out" / "small" / "result.json").read_text())["scenario"] == "small"


def test_an_interrupt_exits_130_with_one_line_and_no_half_files(
    scenario_file: Path, azsim: Azsim, tmp_path: Path
) -> None:
    endless = ("--set", "traffic.shoppers.rate=150/s", "--set", "duration=100h")
    with azsim("run", scenario_file, *REFERENCE, *endless) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stderr.readline().startswith("simulating: ")
        running.send_signal(signal.SIGINT)
        said = running.stderr.read().splitlines()
    assert running.returncode == ExitCode.INTERRUPTED
    assert said[-1] == "interrupted; files that were finished are whole"
    assert "Traceback" not in "".join(said)
    assert not (tmp_path / "out").exists()


def test_an_interrupt_in_the_replays_keeps_the_finished_run(
    scenario_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs: list[object] = []

    def stopped(*given: Any, **asked: Any) -> Any:
        runs.append(given)
        if len(runs) > 1:
            raise KeyboardInterrupt
        return simulate(*given, **asked)

    monkeypatch.setattr("azsim.simulation.run.simulate", stopped)
    # Nobody checks health, so the loss is still felt when its 10 s are over.
    broken = ("--set", "services.web.balancer.health=none", "--set", "faults.loss.for=25s")
    folder = tmp_path / "kept"
    arguments = ["run", str(scenario_file), *REFERENCE, *broken, "--out", str(folder)]
    assert outcome(arguments) == ExitCode.INTERRUPTED
    assert len(runs) == 2
    captured = capsys.readouterr()
    assert "OUTCOME     COLLAPSE (whether capacity was enough is not shown)" in captured.out
    assert "WHY         interrupted before it was found out" in captured.out
    assert captured.err.splitlines()[-1].startswith("interrupted in the replays")
    result = json.loads((folder / "result.json").read_text())
    assert (result["verdict"], result["metastable"]) == ("collapse", None)
    assert result["replays"][-1]["skipped"] == "interrupted"
    assert (folder / "timeline.svg").exists()
