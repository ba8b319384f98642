"""`azsim explain`: which mechanisms bring a system down."""

from __future__ import annotations

import json
from pathlib import Path

import click

from azsim.base.errors import ExitCode
from azsim.cli.files import check_picture, write_picture
from azsim.cli.options import file_argument, json_option, set_option
from azsim.cli.study_options import Counted, Means, confidence, means_options
from azsim.cli.terminal import put, say, show


@click.command()
@file_argument
@click.option("--replicates", type=click.IntRange(1, 10**5), default=5, show_default=True, help="Of each experiment.")
@click.option("--confidence", default="95%", show_default=True, callback=confidence, help="Of the bounds.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw the shares, as .svg or .png.")
@set_option
@means_options
@json_option
@click.option("--quiet", is_flag=True, help="Only errors, and with --json the result.")
def command(
    file: str,
    replicates: int,
    confidence: float,
    picture: Path | None,
    changes: dict[str, str],
    means: Means,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Say what brings the scenario in FILE down, by switching mechanisms off on the same random numbers.

    Retries by tier, hedges, breakers, queues, health and outlier ejection, cross-zone sending, autoscaling and cold
    starts, and each fault: without which does it stay up, which alone brings it down, what is the smallest cure.

    \b
      azsim explain scenarios/zone_loss_retry_storm.yaml --picture why.svg
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    from azsim.scenario import load
    from azsim.study.explain import explain

    check_picture(picture, "--picture")
    scenario = load(file, changes)
    if not quiet:
        say(f"seed {scenario.seed}, scenario {scenario.digest}")
    with means.collector() as collector, Counted("explain", quiet=quiet) as counted:
        found = explain(scenario, collector, replicates=replicates, confidence=confidence, counted=counted.runs)
    if picture is not None:
        from azsim.report import explanation

        write_picture(picture, explanation.picture(found))
    if as_json:
        put(json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n")
    elif not quiet:
        from azsim.report.explanation import table

        show(table(found))
    return ExitCode.OK
