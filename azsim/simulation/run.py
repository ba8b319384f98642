"""Runs a scenario: tables, both planes, then the judging. The only place that knows this order."""

from __future__ import annotations

import functools
import shlex
from pathlib import Path
from typing import Any

from azsim.base.errors import InternalError
from azsim.base.version import __version__
from azsim.scenario import Scenario, load
from azsim.simulation.lower import lower
from azsim.simulation.lower_control import lower_control
from azsim.simulation.lower_faults import lower_abort, lower_faults
from azsim.simulation.planes import ENGINES, Course, Pass, Progress, assert_same, data_plane
from azsim.simulation.replay import investigate
from azsim.simulation.result import Result, build
from azsim.simulation.trace import Trace


def run(
    scenario: Scenario | str | Path,
    *,
    seed: int | None = None,
    engine: str = "kernel",
    replays: bool = True,
    paranoid: bool = False,
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Simulate a scenario, or the one in a file, and judge it.

    `seed` replaces the scenario's own. `replays` allows the further runs that say why it went as it did (J4).
    `paranoid` checks conservation all along and that the run does not depend on its chunks. `memory_limit` is in bytes
    (4 GiB unless said). `progress` is told the simulated share of each run. Raises ScenarioError, LimitError,
    InternalError (its `replay_command` repeats the run), ValueError where there is no such engine, and where Ctrl-C
    stops the further runs a KeyboardInterrupt (`azsim.simulation.replay.Interrupted`) that has the finished run as its
    `result`.
    """
    given = scenario
    if not isinstance(scenario, Scenario):
        scenario = load(scenario)
    bounds: dict[str, Any] = {"engine": engine, "memory_limit_bytes": memory_limit, "progress": progress}
    try:
        trace = simulate(scenario, seed=seed, paranoid=paranoid, **bounds)
        return investigate(build(trace), trace, functools.partial(simulate, **bounds), replays=replays)
    except InternalError as error:
        if error.replay_command:
            raise
        again = {"seed": seed, "engine": engine, "replays": replays, "paranoid": paranoid}
        raise InternalError(error.message, replay_command(given, **again)) from error


def replay_command(scenario: Scenario | str | Path, **arguments: Any) -> str:
    """A command line that runs a scenario again with these arguments of `run`, from the same folder.

    A scenario that was built in Python is written out in it, with every value it resolved to.
    """
    whole = (
        f"azsim.Scenario.from_dict({scenario.to_dict()!r})" if isinstance(scenario, Scenario) else repr(str(scenario))
    )
    told = "".join(f", {name}={value!r}" for name, value in arguments.items() if value is not None)
    return shlex.join(["python", "-c", f"import azsim; azsim.run({whole}{told})"])


def simulate(
    scenario: Scenario,
    *,
    seed: int | None = None,
    replicate: int = 0,
    engine: str = "kernel",
    until_ns: int | None = None,
    reset_at_ns: int | None = None,
    retries_off_from_ns: int | None = None,
    rejoin_at_ns: int | None = None,
    refill_at_ns: int | None = None,
    paranoid: bool = False,
    memory_limit_bytes: int | None = None,
    progress: Progress | None = None,
) -> Trace:
    """Simulate a scenario once, without judging it.

    `until_ns` may lie beyond the scenario's duration: everything goes on as it stands. `reset_at_ns` empties queues,
    slots and pending retries once (D22), `retries_off_from_ns` switches retries off from then on, `rejoin_at_ns` puts
    every target that no fault has taken back in rotation once, `refill_at_ns` fills caches once as they were at the
    start; these are for replays.
    """
    if engine not in ENGINES:
        raise ValueError(f"no engine is called {engine!r}; there are {' and '.join(ENGINES)}")
    seed = scenario.seed if seed is None else seed
    course = Course(
        end_ns=scenario.duration if until_ns is None else until_ns,
        faults=lower_faults(scenario),
        abort=lower_abort(scenario),
        reset_at_ns=reset_at_ns,
        retries_off_from_ns=retries_off_from_ns,
        rejoin_at_ns=rejoin_at_ns,
        refill_at_ns=refill_at_ns,
        control=lower_control(scenario),
    )
    if course.end_ns <= 0:
        raise ValueError(f"until_ns must be more than 0, not {course.end_ns}")
    plan = lower(scenario, seed, replicate)
    done = Pass(data_plane(plan, engine, memory_limit_bytes), course, paranoid=False, progress=progress)
    if paranoid:
        again = data_plane(plan, engine, memory_limit_bytes)
        assert_same(done, Pass(again, course, paranoid=True, progress=progress))
    return Trace(
        scenario=scenario,
        plan=plan,
        recording=done.recording,
        events=tuple(done.env.events),
        faults=done.faults.spans,
        view_changes=tuple(done.view_changes),
        scaling=done.scaling,
        aborted_at_ns=done.abort.aborted_at_ns,
        end_ns=course.end_ns,
        engine=engine,
        seed=seed,
        replicate=replicate,
        wall_s=done.wall_s,
        code_version=code_version(),
    )


@functools.cache
def code_version() -> str:
    """The version of azsim and a hash of the sources that a data plane is made from."""
    from azsim.base.jit import sources_digest

    return f"{__version__}+{sources_digest()}"
