"""What a worker is given: a resolved scenario and which replicate of it to run."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass

from azsim.base.errors import InternalError
from azsim.scenario import Scenario
from azsim.study.row import Row, replicate_row, version


@dataclass(frozen=True, slots=True)
class Task:
    """A replicate to run. `text` is the whole resolved scenario as JSON: no file is read where it runs. A `light` one
    is not replayed to tell a collapse from an outage: either is `down`.
    """

    digest: str
    replicate: int
    text: str
    light: bool = False

    @classmethod
    def of(cls, scenario: Scenario, replicate: int, *, light: bool = False) -> Task:
        """The task of one replicate; what varies must have been settled."""
        if scenario.vary:
            raise ValueError("a scenario that varies is many: settle its values first")
        return cls(scenario.digest, replicate, text_of(scenario), light)

    @property
    def key(self) -> tuple[str, int, str]:
        """The key of the row it gives, when this version of the code runs it."""
        return self.digest, self.replicate, version(light=self.light)


@functools.lru_cache(maxsize=64)
def text_of(scenario: Scenario) -> str:
    """A resolved scenario as JSON."""
    return json.dumps(scenario.to_dict(), separators=(",", ":"), ensure_ascii=True)


@functools.lru_cache(maxsize=64)
def scenario_of(text: str) -> Scenario:
    """The scenario that `text_of` gave."""
    return Scenario.from_dict(json.loads(text))


def bounded(memory_limit_bytes: int | None) -> Callable[[Task], Row]:
    """`run_task` with a bound on the memory of a run."""
    return (
        run_task if memory_limit_bytes is None else functools.partial(run_task, memory_limit_bytes=memory_limit_bytes)
    )


def run_task(task: Task, memory_limit_bytes: int | None = None) -> Row:
    """Run a task, wherever this is. InternalError where the scenario did not survive the way here."""
    scenario = scenario_of(task.text)
    if scenario.digest != task.digest:
        raise InternalError(f"a scenario changed on its way to a worker: {task.digest} became {scenario.digest}")
    return replicate_row(scenario, task.replicate, memory_limit_bytes, light=task.light)
