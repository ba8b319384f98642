"""`azsim study`: many replicates of a scenario, and what is likely."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from azsim.base.errors import ExitCode
from azsim.cli.files import write_files
from azsim.cli.options import json_option, set_option
from azsim.cli.study_options import Counted, Means, confidence, duration_s, means_options, share
from azsim.cli.terminal import put, say, show

if TYPE_CHECKING:
    from azsim.study.collector import Collector
    from azsim.study.sampling import Sampling
    from azsim.study.study import Case, Study

_SEED_MAX = 2**63 - 1


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--replicates", type=click.IntRange(1, 10**7), default=100, show_default=True, help="Most runs a case.")
@click.option("--events", type=click.IntRange(1), help="Enough when so many runs went down.")
@click.option("--width", callback=share, metavar="SHARE", help="Enough when P(down) is known within this, such as 5%.")
@click.option("--for", "wall_s", callback=duration_s, metavar="TIME", help="Enough after this time, such as 10min.")
@click.option(
    "--sampling",
    type=click.Choice(["random", "lhs", "sobol"]),
    default="random",
    show_default=True,
    help="How values are drawn for what varies.",
)
@click.option("--confidence", default="95%", show_default=True, callback=confidence, help="Of each interval.")
@click.option("--seed", type=click.IntRange(0, _SEED_MAX), help="Draw all chance from this instead of the scenario's.")
@set_option
@click.option(
    "--rare", "is_rare", is_flag=True, help="P(down) where it is small: draw what varies where it goes wrong."
)
@means_options
@click.option(
    "--export",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Write every run as a row of this .csv or .parquet file. May come again.",
)
@click.option(
    "--merge",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="First take over the runs in this other store. May come again.",
)
@json_option
@click.option("--quiet", is_flag=True, help="Only errors, and with --json the result.")
def command(
    files: tuple[Path, ...],
    replicates: int,
    events: int | None,
    width: float | None,
    wall_s: float | None,
    sampling: Sampling,
    confidence: float,
    seed: int | None,
    changes: dict[str, str],
    is_rare: bool,
    means: Means,
    export: tuple[Path, ...],
    merge: tuple[Path, ...],
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Run the scenario in each FILE many times, each time with chance of its own, and say what is likely.

    What the scenario lists under `vary` takes another value in each run; a grid, or a loss of `zone: each`, makes
    several cases. With --store, runs that are there are not made again.

    \b
      azsim study scenarios/zone_loss_survives.yaml --replicates 200 --store runs.sqlite
      azsim study FILE --events 20 --width 5% --for 10min --export runs.csv
      azsim study --store all.sqlite --merge monday.sqlite --merge tuesday.sqlite
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    from azsim.study.study import Until, carry_out, cases_of

    for path in export:
        if path.suffix not in (".csv", ".parquet"):
            raise click.BadParameter(f"{path}: a table ends in .csv or .parquet", param_hint="--export")
    if merge and means.store is None:
        raise click.UsageError("--merge takes runs over into a store: name it with --store")
    if not files and not merge:
        raise click.UsageError("name a scenario FILE, or stores to --merge")
    if is_rare and (events or width or wall_s or export or sampling != "random"):
        raise click.UsageError(
            "--rare has a plan of its own: it goes with --replicates, not with other rules or tables"
        )
    cases = cases_of(files, sampling, seed, changes)
    with means.collector() as collector:
        for path in merge:
            say(f"{path}: {collector.store.merge(path)} new runs")
        if not cases:
            return ExitCode.OK
        if is_rare:
            return _rare(cases, collector, replicates, confidence, as_json=as_json, quiet=quiet)
        if not quiet:
            for case in cases:
                say(f"seed {case.scenario.seed}, scenario {case.scenario.digest}")
        until = Until(replicates, events, width, wall_s)
        with Counted("study", quiet=quiet) as told:
            study = carry_out(cases, collector, until, confidence, sampling, told)
    for path in export:
        _export(study, path)
    if as_json:
        put(json.dumps(study.to_dict(), indent=2, allow_nan=False) + "\n")
    elif not quiet:
        from azsim.report.study import sheet

        show(sheet(study))
    return ExitCode.OK


def _rare(
    cases: Sequence[Case], collector: Collector, replicates: int, confidence: float, *, as_json: bool, quiet: bool
) -> ExitCode:
    """P(down) of each case, by importance sampling."""
    from azsim.report.study import rare_sheet
    from azsim.study.rare import rare
    from azsim.study.sampling import pinned

    with Counted("rare", quiet=quiet) as counted:
        found = [
            rare(
                pinned(case.scenario, case.settings),
                collector,
                replicates=replicates,
                confidence=confidence,
                counted=counted.runs,
            )
            for case in cases
        ]
    if as_json:
        put(json.dumps({"cases": [one.to_dict() for one in found]}, indent=2, allow_nan=False) + "\n")
    elif not quiet:
        for one in found:
            show(rare_sheet(one))
    return ExitCode.OK


def _export(study: Study, path: Path) -> None:
    from azsim.study.export import as_csv, as_parquet

    content = as_csv(study.table) if path.suffix == ".csv" else as_parquet(study.table)
    write_files(path.parent, {path.name: content})
