"""`azsim init`: what it writes is checked and runs, what it asks it understands, and nothing is overwritten."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azsim.base.errors import ExitCode
from azsim.cli.init import Answers, answers, scenario_text
from azsim.cli.main import outcome
from azsim.scenario import load
from azsim.scenario.arithmetic import arithmetic
from azsim.simulation.run import run

ROOT = Path(__file__).parents[2]


def test_without_a_terminal_it_takes_what_it_proposes_and_that_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "first.yaml"
    assert outcome(["init", str(file), "--rate", "60/s"]) == ExitCode.OK
    assert f"azsim run {file}" in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["first.yaml"]
    scenario = load(file, {"duration": "2min", "faults.loss.at": "70s", "faults.loss.for": "30s"})
    assert scenario.name == "first"
    result = run(scenario, engine="reference")
    assert result.totals["offered"] > 3000
    assert result.phases["before"] is not None
    assert result.phases["before"]["success"] > 0.99  # but for those in flight when the zone is lost
    assert outcome(["validate", str(file), "--json"]) == ExitCode.OK


def test_every_option_is_written(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    told = {"service": "shop", "zones": "x,y", "rate": "90/min", "work": "5ms", "slots": "4", "instances": "7",
            "timeout": "300ms", "attempts": "2", "lost": "x"}  # fmt: skip
    assert outcome(["init", str(file), "--yes", *(f"--{name}={value}" for name, value in told.items())]) == ExitCode.OK
    scenario = load(file)
    shop, users = scenario.services["shop"], scenario.traffic["users"]
    assert scenario.zones == ("x", "y")
    assert users.profile[0].rate == 1.5
    assert (shop.slots, shop.instances_per_zone) == (4, 7)
    assert users.timeout == 300_000_000
    assert users.retry is not None
    assert users.retry.attempts == 2
    assert scenario.faults[0].zone_loss is not None
    assert scenario.faults[0].zone_loss.zone == "x"


def test_a_file_that_is_there_stays_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine")
    assert outcome(["init", str(file)]) == ExitCode.BAD_INPUT
    assert "--force" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert outcome(["init", str(file), "--force"]) == ExitCode.OK
    assert load(file).name == "mine"


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("rate", "600", "a rate is a number per s, min or h, such as 1200/s"),
        ("rate", "0/s", "more than 0"),
        ("work", "20", "a duration is a number and a unit"),
        ("zones", "a", "two to 64 different zones"),
        ("zones", "a,a", "two to 64 different zones"),
        ("zones", "a,B", "small letters"),
        ("service", "../etc", "small letters"),
        ("slots", "0", "a whole number from 1"),
        ("instances", "-3", "a whole number from 1"),
        ("lost", "d", "there are a, b, c"),
    ],
)
def test_a_wrong_answer_is_refused_with_its_rule(
    option: str, value: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(["init", str(tmp_path / "new.yaml"), f"--{option}={value}"]) == ExitCode.BAD_INPUT
    error = " ".join(capsys.readouterr().err.split())
    assert told in error
    assert f"--{option}" in error
    assert not os.listdir(tmp_path)


def test_on_a_terminal_it_asks_and_asks_again_after_a_wrong_answer(tmp_path: Path) -> None:
    main, other = pty.openpty()
    command = [sys.executable, "-m", "azsim", "init", "asked.yaml"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    started = subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=other, stdout=pipe, stderr=pipe, text=True)
    os.close(other)
    os.write(main, b"shop\nx,y\n120\n120/s\n" + b"\n" * 6)
    out, err = started.communicate(timeout=60)
    os.close(main)
    assert started.returncode == 0, err
    assert "such as 1200/s" in err
    assert "Instances in each zone [1]" in err
    assert "azsim run asked.yaml" in out
    scenario = load(tmp_path / "asked.yaml")
    assert set(scenario.services) == {"shop"}
    assert scenario.traffic["users"].profile[0].rate == 120


@settings(max_examples=25)
@given(
    rate=st.integers(1, 10**6),
    work_us=st.integers(1, 10**7),
    slots=st.integers(1, 1000),
    zones=st.integers(2, 9),
    timeout_ms=st.integers(1, 10**6),
    attempts=st.integers(1, 20),
)
def test_any_answers_make_a_scenario_that_a_lost_zone_leaves_below_its_capacity(
    rate: int, work_us: int, slots: int, zones: int, timeout_ms: int, attempts: int
) -> None:
    told: dict[str, str | None] = {
        "rate": f"{rate}/s", "work": f"{work_us}us", "slots": str(slots), "timeout": f"{timeout_ms}ms",
        "zones": ",".join("abcdefghi"[:zones]), "attempts": str(attempts),
    }  # fmt: skip
    found = answers(told, ask=False)
    assert isinstance(found, Answers)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "any name.yaml")
        file.write_text(scenario_text(file, found), encoding="utf-8")
        scenario = load(file)
    if found.instances < 10_000:
        figures = arithmetic(scenario).services["web"]
        assert figures.without[found.lost].busiest <= 0.8 + 1e-9
        assert found.instances == 1 or figures.without[found.lost].busiest > 0.8 * (1 - 1 / found.instances) - 1e-9


@pytest.mark.parametrize(
    ("words", "expected"),
    [("azsim r", {"run", "report"}), ("azsim init --f", {"--force"}), ("azsim run x --eng", {"--engine"})],
)
def test_bash_completes_verbs_and_options(words: str, expected: set[str], tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "_AZSIM_COMPLETE": "bash_complete", "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "azsim"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert {line.partition(",")[2] for line in done.stdout.split()} == expected, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "_AZSIM_COMPLETE": f"{shell}_source"}
    done = subprocess.run([sys.executable, "-m", "azsim"], env=environment, capture_output=True, text=True)
    assert "_AZSIM_COMPLETE" in done.stdout, done.stderr
