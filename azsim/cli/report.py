"""`azsim report`: a run as one HTML page that needs nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from azsim.base.errors import ExitCode
from azsim.cli.files import write_files
from azsim.cli.options import engine_option, seed_option, set_option
from azsim.cli.terminal import put, say


@click.command()
@click.argument("source", type=click.Path())
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page to write.  [default: report.html in the run's folder, or in out/ and the scenario's name]",
)
@seed_option
@set_option
@engine_option
@click.option("--no-replays", is_flag=True, help="Skip the further runs that find out why a run collapsed.")
def command(
    source: str, out: Path | None, seed: int | None, changes: dict[str, str], engine: str, no_replays: bool
) -> ExitCode:
    """Write the run that SOURCE names as one HTML page.

    SOURCE is the folder that `azsim run` left, the result.json in it, or a scenario, which is then run first. The page
    needs no network and no other file: send it, print it, keep it.

    \b
      azsim report out/zone-loss-retry-storm
      azsim report scenarios/zone_loss_retry_storm.yaml --out storm.html
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    from azsim.cli.runs import run_of
    from azsim.report.document import html
    from azsim.report.run_page import run_page

    run = run_of(source, changes=changes, seed=seed, replays=not no_replays, engine=engine)
    page = run_page(run.result, run.scenario, file=run.file, changes=run.changes, sources=run.fresh)
    if out is None:
        out = (Path("out", run.scenario.name) if run.fresh else Path(run.file).parent) / "report.html"
    (written,) = write_files(out.parent, {out.name: html(page).encode()})
    put(f"{written}\n")
    if run.interrupted:
        say("interrupted in the replays: the run was finished, and is judged without them")
        return ExitCode.INTERRUPTED
    return ExitCode.OK
