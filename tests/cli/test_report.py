"""`azsim report`: from a scenario, from what a run left, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azsim.base.errors import ExitCode
from azsim.cli.main import outcome

REFERENCE = ("--engine", "reference")


@pytest.fixture
def left(scenario_file: Path, tmp_path: Path) -> Path:
    """The folder of a run."""
    folder = tmp_path / "left"
    assert outcome(["run", str(scenario_file), *REFERENCE, "--quiet", "--out", str(folder)]) == ExitCode.OK
    return folder


def test_a_scenario_is_run_first(
    scenario_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["report", str(scenario_file), *REFERENCE, "--seed", "7", "--set", "traffic.shoppers.rate=50/s"]
    assert outcome(arguments) == ExitCode.OK
    assert capsys.readouterr().out == "out/small/report.html\n"
    page = Path("out/small/report.html").read_text(encoding="utf-8")
    assert "7, replicate 0" in page
    assert "# --set traffic.shoppers.rate=50/s" in page
    assert "--set traffic.shoppers.rate=55/s" in page or "--seed 7" in page


@pytest.mark.parametrize("name", ["", "result.json"])
def test_what_a_run_left_is_read(left: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert outcome(["report", str(left / name)]) == ExitCode.OK
    assert capsys.readouterr().out == f"{left / 'report.html'}\n"
    digest = json.loads((left / "result.json").read_text())["digest"]
    assert digest in (left / "report.html").read_text(encoding="utf-8")


def test_a_scenario_written_in_json_is_a_scenario(left: Path, tmp_path: Path) -> None:
    page = tmp_path / "again.html"
    assert outcome(["report", str(left / "scenario.json"), *REFERENCE, "--out", str(page)]) == ExitCode.OK
    assert "scenario.json" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "arguments", "told"),
    [
        (lambda left: (left / "scenario.json").unlink(), [], "scenario.json: not there"),
        (lambda left: (left / "result.json").unlink(), [], "result.json: not there, or no result"),
        (lambda left: (left / "result.json").write_text("{"), [], "result.json: not JSON"),
        (lambda left: (left / "result.json").write_text('{"verdict": 1}'), [], "not a result of this version of azsim"),
        (lambda left: None, ["--seed", "3"], "a result cannot be changed"),
        (lambda left: None, ["--set", "seed=3"], "a result cannot be changed"),
        (lambda left: None, ["--out", "/proc/nothing/here.html"], "cannot be written"),
    ],
)
def test_what_is_no_run_is_refused_in_one_line(
    damage: object, arguments: list[str], told: str, left: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(damage)
    damage(left)
    capsys.readouterr()
    assert outcome(["report", str(left), *arguments]) == ExitCode.BAD_INPUT
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_the_scenario_of_another_result_is_refused(left: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = left / "scenario.json"
    path.write_text(path.read_text().replace('"60.0/s"', '"61/s"').replace('"60/s"', '"61/s"'))
    assert outcome(["report", str(left)]) == ExitCode.BAD_INPUT
    assert "another scenario than that of result.json" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["report", "nowhere.yaml"]) == ExitCode.BAD_INPUT
    assert "nowhere.yaml" in capsys.readouterr().err
