"""`azsim run`: one run of a scenario; its card, its picture, its result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from azsim.base.errors import ExitCode
from azsim.base.units import SECOND_NS
from azsim.cli.files import write_files
from azsim.cli.options import engine_option, file_argument, json_option, seed_option, set_option, size
from azsim.cli.progress import Progress, explain_compilation
from azsim.cli.runs import RESULT, SCENARIO
from azsim.cli.terminal import put, say, show

if TYPE_CHECKING:
    from azsim.scenario import Scenario
    from azsim.simulation.result import Result


@click.command()
@file_argument
@seed_option
@set_option
@engine_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for picture, result and resolved scenario.  [default: out/ and the scenario's name; with --json none]",
)
@json_option
@click.option("--strict", is_flag=True, help="Exit 1 unless the hypothesis held.")
@click.option("--quiet", is_flag=True, help="Only errors, and with --json the result: no card, no progress.")
@click.option(
    "--paranoid", is_flag=True, help="Check conservation all along, and that the chunks of the run do not matter."
)
@click.option("--memory", metavar="SIZE", callback=size, help="Most memory the simulation may take, such as 4GiB.")
@click.option("--no-replays", is_flag=True, help="Skip the further runs that find out why a run collapsed.")
def command(
    file: str,
    seed: int | None,
    changes: dict[str, str],
    engine: str,
    out: Path | None,
    as_json: bool,
    strict: bool,
    quiet: bool,
    paranoid: bool,
    memory: int | None,
    no_replays: bool,
) -> ExitCode:
    """Replay the scenario in FILE once, request by request, and judge it.

    Prints the card of the run and leaves timeline.svg, result.json and the
    resolved scenario.json in a folder. Exits 0 whatever the verdict,
    unless --strict.

    \b
      azsim run scenarios/zone_loss_retry_storm.yaml
      azsim run FILE --set traffic.shoppers.retry=none --seed 7
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    from azsim.scenario import load

    scenario = load(file, changes)
    if not quiet:
        announced = f"seed {scenario.seed if seed is None else seed}, scenario {scenario.digest}"
        if as_json:
            say(announced)
        else:
            put(f"{announced}\n")
    with Progress(scenario.duration / SECOND_NS, quiet=quiet) as progress:
        if engine == "kernel":
            explain_compilation(progress)
        from azsim.simulation.replay import Interrupted
        from azsim.simulation.run import run

        interrupted = False
        try:
            result = run(
                scenario,
                seed=seed,
                engine=engine,
                replays=not no_replays,
                paranoid=paranoid,
                memory_limit=memory,
                progress=progress,
            )
        except Interrupted as stopped:
            result, interrupted = stopped.result, True
    if out is None and not as_json:
        out = Path("out", scenario.name)
    outputs = [] if out is None else _leave(result, scenario, out)
    if as_json:
        put(result.to_json() + "\n")
    elif not quiet:
        from azsim.report.card import card

        paths = [str(path) for path in outputs]
        show(card(result, scenario, file=file, changes=changes, outputs=paths))
    if interrupted:
        say("interrupted in the replays: the run was finished, and is judged without them")
        return ExitCode.INTERRUPTED
    return ExitCode.FALSIFIED if strict and result.hypothesis != "held" else ExitCode.OK


def _leave(result: Result, scenario: Scenario, folder: Path) -> list[Path]:
    """Draws the picture and leaves it in a folder together with the result and the resolved scenario."""
    from azsim.report.figures import image, timeline

    contents = {
        "timeline.svg": image(timeline(result, scenario), "svg"),
        RESULT: f"{result.to_json()}\n".encode(),
        SCENARIO: f"{json.dumps(scenario.to_dict(), indent=1, ensure_ascii=False)}\n".encode(),
    }
    return write_files(folder, contents)
