"""`azsim study`: many runs, killed and continued, on the command line."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from azsim.base.errors import ExitCode
from azsim.cli.main import outcome
from tests.cli.conftest import Azsim

OK = ExitCode.OK


def study(*arguments: object) -> ExitCode:
    return outcome(["study", "--workers", "1", *map(str, arguments)])


def test_probabilities_and_quantiles_come_with_intervals(
    scenario_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study(scenario_file, "--replicates", 12) == OK
    shown = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    # 12 of 12, and none of 12: the bounds are 0.025 ** (1 / 12) = 73.5% and what is left of it.
    assert "P(degraded) 100.0% 73.5% to 100.0%" in lines
    assert "P(collapse) 0.0% 0.0% to 26.5%" in lines
    assert "12 runs were made" in shown


def test_json_is_the_result_alone(scenario_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert study(scenario_file, "--replicates", 6, "--json") == OK
    found = json.loads(capsys.readouterr().out)
    (case,) = found["cases"]
    assert case["replicates"] == 6
    assert case["verdicts"]["degraded"]["best"] == 1.0
    assert case["quantiles"]["headroom_min"]["0.5"]["best"] > 0


def test_every_zone_is_a_case(scenario_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert study(scenario_file, "--replicates", 3, "--set", "faults.loss.zone_loss.zone=each", "--json") == OK
    assert [case["zone"] for case in json.loads(capsys.readouterr().out)["cases"]] == ["a", "b"]


def test_a_grid_is_as_many_cases(scenario_file: Path, tmp_path: Path) -> None:
    path, table = tmp_path / "varied.yaml", tmp_path / "rows.csv"
    path.write_text(
        f"extends: {scenario_file.name}\nvary:\n  services.web.slots: {{grid: [1, 2]}}\n"
        "  traffic.shoppers.rate: {uniform: [50/s, 60/s]}\n"
    )
    assert study(path, "--replicates", 4, "--export", table, "--quiet") == OK
    rows = [line.split(",") for line in table.read_text().splitlines()]
    assert rows[0][:3] == ["services.web.slots", "traffic.shoppers.rate", "digest"]
    assert [row[0] for row in rows[1:]] == ["1"] * 4 + ["2"] * 4
    # The same values in each case: common random numbers.
    assert [row[1] for row in rows[1:5]] == [row[1] for row in rows[5:]]
    assert len({row[1] for row in rows[1:]}) == 4


def test_a_rule_stops_at_the_end_of_a_batch(scenario_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doomed = ("--set", "services.web.work.mean=60ms", "--set", "faults=[]")
    assert study(scenario_file, *doomed, "--events", 3, "--replicates", 99, "--json") == OK
    found = json.loads(capsys.readouterr().out)
    assert found["stopped"] == "events"
    assert found["cases"][0]["replicates"] == 16
    assert found["intervals"] == "any stopping rule"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--merge", "x"], "--store"),
        ([], "scenario FILE"),
        (["FILE", "--export", "rows.xls"], ".csv or .parquet"),
        (["FILE", "--width", "wide"], "percentage"),
        (["FILE", "--for", "long"], "duration"),
        (["FILE", "--confidence", "40%"], "above 50%"),
        (["FILE", "--replicates", "0"], "not in the range"),
        (["FILE", "--store", "nowhere/s"], "is the folder there"),
        (["nothing.yaml"], "cannot be read"),
        (["FILE", "--cluster", "tcp:nothing"], "no Dask scheduler"),
    ],
)
def test_bad_input_is_told_in_one_message(
    arguments: list[str], told: str, scenario_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(scenario_file) if one == "FILE" else one for one in arguments]
    assert outcome(["study", *given]) == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_stores_merge_and_what_is_there_is_not_run_again(
    scenario_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, replicates in (("a", 4), ("b", 6)):
        assert study(scenario_file, "--replicates", replicates, "--store", tmp_path / name, "--quiet") == OK
    merges = ["--merge", tmp_path / "a", "--merge", tmp_path / "b"]
    assert study("--store", tmp_path / "all", *merges) == OK
    error = capsys.readouterr().err
    assert "4 new runs" in error
    assert "2 new runs" in error
    assert study(scenario_file, "--replicates", 6, "--store", tmp_path / "all") == OK
    assert " 0 runs were made" in capsys.readouterr().out


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.long)])
def test_a_study_killed_at_any_moment_goes_on_where_it_was(
    kills: int, scenario_file: Path, azsim: Azsim, tmp_path: Path
) -> None:
    """kill -9 at random moments (the seed is fixed, what happens by then is not); the table does not show it."""
    arguments = ("study", scenario_file, "--replicates", 240, "--set", "traffic.shoppers.rate=300/s", "--quiet")
    moments = random.Random(kills)
    for _ in range(kills):
        running = azsim(*arguments, "--store", "s", "--workers", 2)
        time.sleep(moments.uniform(1.0, 6.0))
        running.send_signal(signal.SIGKILL)
        running.communicate()
    last = azsim(*arguments, "--store", "s", "--workers", 2, "--export", "killed.csv")
    assert last.communicate()[1] == ""
    plain = azsim(*arguments, "--workers", 1, "--export", "plain.csv")
    plain.communicate()
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    assert (tmp_path / "plain.csv").read_text().count("\n") == 241


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_keeps_what_was_finished(scenario_file: Path, azsim: Azsim, tmp_path: Path) -> None:
    from azsim.study.store import Store

    running = azsim("study", scenario_file, "--replicates", 100_000, "--store", "s", "--workers", 2)
    for _ in range(300):
        time.sleep(0.1)
        if (tmp_path / "s").exists():
            with Store(tmp_path / "s") as store:
                if len(store):
                    break
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=60)
    assert running.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in error
    with Store(tmp_path / "s") as store:
        store.check()
        assert len(store)
