"""`azsim hazards`: what every hazard on every controller's wire does."""

from __future__ import annotations

import json
from pathlib import Path

import click

from azsim.base.errors import ExitCode
from azsim.cli.files import check_picture, write_files, write_picture
from azsim.cli.options import file_argument, json_option, set_option
from azsim.cli.study_options import Counted, Means, confidence, duration_s, means_options
from azsim.cli.terminal import put, say, show


@click.command()
@file_argument
@click.option("--replicates", type=click.IntRange(2, 10**5), default=10, show_default=True, help="Runs of each hazard.")
@click.option("--at", "at_s", callback=duration_s, metavar="TIME", help="When hazards begin.  [default: first fault]")
@click.option("--for", "for_s", callback=duration_s, metavar="TIME", help="How long they last.  [default: to the end]")
@click.option("--pairs", "worst", type=click.IntRange(2, 50), help="Try all pairs of so many of the worst, too.")
@click.option("--confidence", default="95%", show_default=True, callback=confidence, help="Of each interval.")
@click.option("--csv", "table_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the table here.")
@click.option("--map", "picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw the heat-map here.")
@set_option
@means_options
@json_option
@click.option("--quiet", is_flag=True, help="Only errors, and with --json the result.")
def command(
    file: str,
    replicates: int,
    at_s: float | None,
    for_s: float | None,
    worst: int | None,
    confidence: float,
    table_path: Path | None,
    picture: Path | None,
    changes: dict[str, str],
    means: Means,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Put every hazard on the wires of every controller of the scenario in FILE, one at a time, and say what it does.

    Controllers are health checkers, routers, alarms and scaling groups; each hazard has its default size. All runs meet
    the same chance. With --store, runs that are there are not made again.

    \b
      azsim hazards scenarios/zone_loss_survives.yaml
      azsim hazards FILE --pairs 5 --store runs.sqlite --csv hazards.csv --map hazards.svg
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    from azsim.base.units import SECOND_NS
    from azsim.scenario import load
    from azsim.study.hazards import Surveyor, begin_ns, table

    check_picture(picture, "--map")
    scenario = load(file, changes)
    if not quiet:
        say(f"seed {scenario.seed}, scenario {scenario.digest}")
    with means.collector() as collector, Counted("hazards", quiet=quiet) as told:
        surveyor = Surveyor(
            scenario,
            collector,
            replicates=replicates,
            confidence=confidence,
            at_ns=begin_ns(scenario) if at_s is None else round(at_s * SECOND_NS),
            for_ns=None if for_s is None else round(for_s * SECOND_NS),
            told=told,
        )
        survey = surveyor.survey(worst or 0)
    if table_path is not None:
        import pandas

        from azsim.study.export import as_csv

        frame = pandas.DataFrame(table([*survey.singles, *survey.pairs]))
        write_files(table_path.parent, {table_path.name: as_csv(frame)})
    if picture is not None:
        from azsim.report.hazards import heat_map

        write_picture(picture, heat_map(survey))
    if as_json:
        put(json.dumps(survey.to_dict(), indent=2, allow_nan=False) + "\n")
    elif not quiet:
        from azsim.report.hazards import sheet

        show(sheet(survey))
    return ExitCode.OK
