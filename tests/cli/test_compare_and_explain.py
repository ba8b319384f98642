"""`azsim compare` and `azsim explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azsim.base.errors import ExitCode
from azsim.cli.main import outcome


def test_a_comparison_is_a_table_and_json(scenario_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compare", str(scenario_file), str(scenario_file), "--set", "services.web.work.mean=12ms"]
    arguments += ["--workers", "1", "--replicates", "5"]
    assert outcome(arguments) == ExitCode.OK
    assert "5 pairs on the same random numbers" in capsys.readouterr().out
    assert outcome([*arguments, "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert found["differences"]["latency_p99_s"]["difference"]["best"] > 0
    assert found["digests"][0] != found["digests"][1]


def test_an_explanation_is_a_table_a_picture_and_json(
    scenario_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "why.svg"
    # 300/s into the 200/s of one zone: nothing that the system does is to blame.
    arguments = ["explain", str(scenario_file), "--set", "traffic.shoppers.rate=300/s", "--set", "faults.loss.for=28s"]
    arguments += ["--set", "hypothesis.recover_within=2s", "--replicates", "2", "--workers", "1"]
    assert outcome([*arguments, "--picture", str(picture)]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "fault loss" in shown
    assert "<svg" in picture.read_text()
    assert outcome([*arguments, "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert {part["name"] for part in found["parts"]} >= {"retries of shoppers", "fault loss"}


def test_what_stays_up_is_told(scenario_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["explain", str(scenario_file), "--workers", "1"]) == ExitCode.BAD_INPUT
    assert "nothing to explain" in capsys.readouterr().err
