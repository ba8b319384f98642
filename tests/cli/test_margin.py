"""`azsim margin`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azsim.base.errors import ExitCode
from azsim.cli.main import outcome

HALF = ["--p", "50%", "--replicates", "12", "--workers", "1"]


def test_a_margin_in_words_and_as_json(scenario_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["margin", str(scenario_file), "--knob", "traffic.shoppers.rate=100/s..600/s", *HALF]
    assert outcome(arguments) == ExitCode.OK
    shown = " ".join(capsys.readouterr().out.split())
    assert "P(down) <= 50.0% up to" in shown
    assert "12 replicates" in shown
    assert "Fresh replicates at" in shown
    assert outcome([*arguments, "--json"]) == ExitCode.OK
    (found,) = json.loads(capsys.readouterr().out)["margins"]
    # One of two zones is left, 200/s; without faults 400/s.
    assert 120 < float(found["best"].removesuffix("/s")) < 210
    assert 320 < float(found["without_faults"]["best"].removesuffix("/s")) < 430


def test_two_knobs_make_a_map(scenario_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "map.svg"
    knobs = ["--knob", "services.web.slots=1..3", "--knob", "traffic.shoppers.rate=50/s..800/s", "--map", str(path)]
    assert outcome(["margin", str(scenario_file), *knobs, *HALF]) == ExitCode.OK
    assert "<svg" in path.read_text()
    assert "services.web.slots" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--map", "m.svg"], "two knobs"),
        (["--knob", "a", "--knob", "b"], "two knobs"),
        (["--knob", "a", "--knob", "b", "--map", "m.gif"], ".svg or .png"),
        (["--knob", "services.web"], "a knob is a duration"),
        (["--p", "0%"], "above 0"),
        (["--p", "1%"], "it takes at least"),
    ],
)
def test_bad_input_is_told(
    arguments: list[str], told: str, scenario_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(["margin", str(scenario_file), "--workers", "1", *arguments]) == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
