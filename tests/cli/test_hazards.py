"""`azsim hazards`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from azsim.base.errors import ExitCode
from azsim.cli.main import outcome
from azsim.policy.hazards import CATALOGUE
from azsim.scenario import Scenario
from azsim.study.collector import Collector
from azsim.study.executors import workers
from azsim.study.hazards import Surveyor, table
from azsim.study.row import Row
from azsim.study.store import Store
from azsim.study.task import Task, scenario_of
from tests.study.fake import row

WORK = {"distribution": "constant", "mean": "20ms"}


def small() -> Scenario:
    return Scenario.from_dict(
        {
            "azsim": 1,
            "name": "small",
            "duration": "2min",
            "zones": ["a", "b"],
            "traffic": {"shoppers": {"to": "web", "rate": "10/s", "timeout": "1s"}},
            "services": {"web": {"work": WORK, "balancer": {"health": {"interval": "5s", "timeout": "1s"}}}},
            "faults": [{"at": "30s", "for": "20s", "zone_loss": {"zone": "b"}}],
            "hypothesis": {"recover_within": "30s"},
        }
    )


def ruled(task: Task) -> Row:
    """A run whose outcome is what its hazards are: zeroed sensors are a collapse, a late action costs a tenth."""
    names = [one.kind.name for one in scenario_of(task.text).hazards]
    down = "zeroed" in names or ("too-late" in names and "delayed" in names)
    made = row(task.digest, task.replicate, code_version=task.key[2])
    verdict = "collapse" if down else "degraded"
    goodput = 100.0 + task.replicate - (50.0 if down else 0.0) - (10.0 if "too-late" in names else 0.0)
    return Row(
        **{name: getattr(made, name) for name in made.__slots__} | {"verdict": verdict, "goodput_per_s": goodput}
    )


def test_the_worst_comes_first_and_pairs_are_of_the_worst() -> None:
    with Collector(Store(), workers(1, "threads"), ruled) as collector:
        surveyor = Surveyor(small(), collector, replicates=4, confidence=0.95, at_ns=30 * 10**9, for_ns=None)
        survey = surveyor.survey(3)
    assert len(survey.singles) == 2 * len(CATALOGUE)
    first = [(one.spots[0].controller, one.spots[0].hazard, one.verdict) for one in survey.singles[:3]]
    assert first[:2] == [("health.web", "zeroed", "collapse"), ("router.web", "zeroed", "collapse")]
    assert first[2] == ("health.web", "too-late", "degraded")
    assert survey.singles[0].down.best == 1.0
    change = survey.singles[2].goodput_change.best
    assert change == pytest.approx(sum(-10 / (100 + k) for k in range(4)) / 4), "replicate by replicate"
    assert len(survey.pairs) == 3
    assert survey.without.goodput_change.best == 0.0
    assert [one["verdict"] for one in table(survey.singles)][:3] == ["collapse", "collapse", "degraded"]


def test_the_table_as_json_csv_and_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "small.json"
    file.write_text(json.dumps(small().to_dict()))
    arguments = ["hazards", str(file), "--replicates", "2", "--workers", "1", "--store", str(tmp_path / "runs.sqlite")]
    more = ["--csv", str(tmp_path / "t.csv"), "--map", str(tmp_path / "map.svg")]
    assert outcome([*arguments, *more, "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["at"], found["for"], len(found["singles"])) == ("30s", "none", 56)
    by_name = {tuple(one["hazards"][0].values()): one for one in found["singles"]}
    assert by_name["router.web", "sensor", "too-rapid"]["goodput_change"]["best"] == 0.0, "on common random numbers"
    assert by_name["router.web", "sensor", "zeroed"]["goodput_change"]["best"] != 0.0
    assert len(list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))) == 56
    assert "<svg" in (tmp_path / "map.svg").read_text()
    assert outcome(arguments) == ExitCode.OK
    shown = " ".join(capsys.readouterr().out.split())
    assert "controller wire hazard verdict goodput P(collapse) P(down)" in shown
    assert "Each hazard lasts from 30s to the end" in shown


def test_bad_input_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "small.json"
    file.write_text(json.dumps(small().with_({"services.web.balancer.health": "none"}).to_dict()))
    assert outcome(["hazards", str(file), "--workers", "1"]) == ExitCode.BAD_INPUT
    assert "has no controllers" in capsys.readouterr().err
    assert outcome(["hazards", str(file), "--map", "m.gif"]) == ExitCode.BAD_INPUT
    assert ".svg or .png" in capsys.readouterr().err
