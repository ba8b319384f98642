"""Runs that a command line names: a scenario, which is simulated, or what an earlier `azsim run` left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from azsim.base.errors import AzsimError, ExitCode
from azsim.base.units import SECOND_NS
from azsim.cli.progress import Progress, explain_compilation

if TYPE_CHECKING:
    from azsim.scenario import Scenario
    from azsim.simulation.result import Result

RESULT: Final = "result.json"
SCENARIO: Final = "scenario.json"
"""What `azsim run` leaves in its folder: the result, and the scenario with every value it resolved to."""


class RunError(AzsimError):
    """A file or folder that holds no result that can be read."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Run:
    """A judged run, the scenario it is of, and the scenario's file as the reader would name it."""

    result: Result
    scenario: Scenario
    file: str
    changes: Mapping[str, str]
    fresh: bool = False  # simulated just now, from a file that says where each value is written
    interrupted: bool = False  # in the replays


def run_of(
    source: str,
    *,
    changes: Mapping[str, str],
    seed: int | None = None,
    replays: bool = True,
    engine: str = "kernel",
    quiet: bool = False,
) -> Run:
    """The run that `source` names: a result that an earlier run left (its folder, or the file in it), or a scenario
    file, which is simulated. RunError, ScenarioError where it is neither; what changes a scenario is refused for a
    result.
    """
    path = Path(source)
    folder = path if path.is_dir() else path.parent
    given = None if path.is_dir() else _result_in(path)
    if path.is_dir():
        given = _result_in(folder / RESULT)
        if given is None:
            raise RunError(f"{folder / RESULT}: not there, or no result; `azsim run --out {source}` leaves one")
    if given is None:
        return _simulated(source, changes, seed, replays, engine, quiet)
    if changes or seed is not None:
        raise RunError(f"{source}: a result cannot be changed; give --set and --seed with the scenario's file")
    return _left(given, folder / RESULT if path.is_dir() else path, folder / SCENARIO)


def _result_in(path: Path) -> dict[str, Any] | None:
    """The mapping in a JSON file, None where the file is no result (a scenario may be written in JSON, too)."""
    if path.suffix != ".json":
        return None
    try:
        found = json.loads(path.read_bytes())
    except OSError:
        return None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: not JSON: {error}") from None
    return found if isinstance(found, dict) and "verdict" in found else None


def _left(given: Mapping[str, Any], path: Path, beside: Path) -> Run:
    from azsim.scenario import load
    from azsim.simulation.result import Result

    try:
        result = Result.from_dict(given)
    except ValueError as error:
        raise RunError(f"{path}: {error}") from None
    if not beside.is_file():
        raise RunError(f"{beside}: not there; `azsim run` leaves it beside {path.name}, and both are needed")
    scenario = load(beside)
    if scenario.digest != result.digest:
        raise RunError(
            f"{beside}: another scenario than that of {path.name}, or completed by another version of azsim with other "
            "defaults; run the scenario again"
        )
    return Run(result, scenario, str(beside), {})


def _simulated(file: str, changes: Mapping[str, str], seed: int | None, replays: bool, engine: str, quiet: bool) -> Run:
    from azsim.scenario import load

    scenario = load(file, dict(changes))
    with Progress(scenario.duration / SECOND_NS, quiet=quiet) as progress:
        if engine == "kernel":
            explain_compilation(progress)
        from azsim.simulation.replay import Interrupted
        from azsim.simulation.run import run

        try:
            result = run(scenario, seed=seed, engine=engine, replays=replays, progress=progress)
        except Interrupted as stopped:
            return Run(stopped.result, scenario, file, changes, fresh=True, interrupted=True)
    return Run(result, scenario, file, changes, fresh=True)
