"""What studies take from a scenario is there for every scenario that is shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from azsim.scenario import load
from azsim.study.knob import knob
from azsim.study.margin import knobs_of, within_reach
from azsim.study.switches import mechanisms, triggers, without
from azsim.study.task import Task, scenario_of
from azsim.study.tuning import choices_of, cost

SCENARIOS = sorted((Path(__file__).resolve().parents[2] / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_it_can_be_studied(path: Path) -> None:
    scenario = load(path)
    # A worker gets the same scenario as the one who asks.
    task = Task.of(scenario, 0)
    assert scenario_of(task.text).digest == task.digest == scenario.digest
    # Every mechanism and every fault can be switched off, alone and all together, and each makes a difference.
    switches = [*mechanisms(scenario), *triggers(scenario)]
    assert len({one.name for one in switches}) == len(switches)
    digests = {without(scenario, [one]).digest for one in switches}
    assert len(digests | {scenario.digest}) == len(switches) + 1
    assert not without(scenario, switches).faults
    # What margin and tune turn unless told otherwise is there, and holds what the scenario has.
    for text in knobs_of(scenario):
        turned = within_reach(scenario, knob(scenario, text))
        assert turned.levels[0] <= turned.value <= turned.levels[-1] * 1.0001
    for choice in choices_of(scenario, []):
        assert len(choice.values) > 1
    assert cost(scenario) > 0
