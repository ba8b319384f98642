"""Tuning finds what keeps a system up, and does not pay for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azsim.base.errors import ExitCode, ScenarioError
from azsim.cli.main import outcome
from azsim.scenario import Scenario, load
from azsim.study.collector import Collector
from azsim.study.executors import workers
from azsim.study.row import Row
from azsim.study.store import Store
from azsim.study.task import Task, run_task, scenario_of
from azsim.study.tuning import Algorithm, Trial, Tuning, TuningError, choices_of, cost, front_of, tune
from tests.small import scenario
from tests.study.fake import row
from tests.study.storm import storm

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def tuned(
    one: Scenario, *knobs: str, run: object = run_task, algorithm: Algorithm = "nsga2", trials: int = 20
) -> Tuning:
    with Collector(Store(), workers(1), run) as collector:  # type: ignore[arg-type]
        return tune(one, choices_of(one, knobs), collector, trials=trials, replicates=2, algorithm=algorithm)


def test_a_retry_storm_is_survived_at_no_more_cost() -> None:
    found = tuned(storm())
    assert found.trials[0].down == 1.0
    assert found.chosen.down == 0.0
    assert found.chosen.cost <= found.trials[0].cost
    assert (found.fresh.best or 0.0) <= 0.1
    assert found.fresh_before.best == 1.0
    assert cost(found.tuned) == cost(storm()) == 24.0


def run_bought(task: Task) -> Row:
    """A system that needs four slots in each zone."""
    down = scenario_of(task.text).services["web"].slots < 4
    return row(task.digest, task.replicate, code_version=task.key[2], verdict="collapse" if down else "no-impact")


def run_up(task: Task) -> Row:
    return row(task.digest, task.replicate, code_version=task.key[2], verdict="no-impact")


@pytest.mark.parametrize("algorithm", ["nsga2", "tpe"])
def test_the_cheapest_that_stays_up_is_chosen(algorithm: Algorithm) -> None:
    one = scenario(**{"services.web.cores": 1})
    found = tuned(one, "services.web.slots=1..6", "services.web.cores=[1, 2, 4]", run=run_bought, algorithm=algorithm)
    assert found.chosen.down == 0.0
    assert found.chosen.settings["services.web.cores"] == 1
    assert found.tuned.services["web"].slots >= 4


def test_a_search_is_the_same_again() -> None:
    one = scenario()
    assert tuned(one, run=run_bought).trials == tuned(one, run=run_bought).trials


def test_a_front_is_what_nothing_beats() -> None:
    def trial(cost: float, down: float) -> Trial:
        return Trial({}, cost, down, 0.0)

    front = front_of([trial(3, 0.5), trial(1, 0.9), trial(2, 0.9), trial(4, 0.0), trial(4, 0.1), trial(5, 0.0)])
    assert [(one.cost, one.down) for one in front] == [(1, 0.9), (3, 0.5), (4, 0.0)]


def test_settings_that_cannot_be_are_no_choice() -> None:
    """A probe has to end before the next one begins. Values are refused by themselves, pairs count as down."""
    health = "services.web.balancer.health"
    found = tuned(
        scenario(), f"{health}.interval=[700ms, 1s]", f"{health}.timeout=[500ms, 900ms]", run=run_up, trials=12
    )
    downs = {tuple(one.settings.values()): one.down for one in found.trials}
    assert downs == {("700ms", "500ms"): 0, ("1s", "500ms"): 0, ("1s", "900ms"): 0, ("700ms", "900ms"): 1}
    with pytest.raises(ScenarioError, match="a probe ends before the next"):
        choices_of(scenario(), [f"{health}.timeout=[500ms, 60s]"])


def test_what_may_change_is_asked_for_where_nothing_is_free() -> None:
    bare = scenario(**{"traffic.shoppers.retry": "none", "services.web.queue": "unbounded"})
    with pytest.raises(TuningError, match="say what may change"):
        tuned(bare)
    with pytest.raises(TuningError, match="between two values"):
        choices_of(scenario(), ["services.web.slots=[3]"])


def test_the_chosen_scenario_is_left_ready_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    file = tmp_path / "storm.yaml"
    file.write_text(yaml.safe_dump(storm().to_dict()))
    monkeypatch.chdir(tmp_path)
    arguments = ["tune", str(file), "--trials", "10", "--replicates", "1", "--workers", "1", "--json"]
    assert outcome(arguments) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    left = load(tmp_path / "out" / "small-storm" / "tuned.yaml")
    assert left == storm(**found["chosen"]["settings"])
    assert "<svg" in (tmp_path / "out" / "small-storm" / "tuning.svg").read_text()
