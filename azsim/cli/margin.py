"""`azsim margin`: how far a knob can be turned before the system goes down too often."""

from __future__ import annotations

import json
from pathlib import Path

import click

from azsim.base.errors import ExitCode
from azsim.cli.files import check_picture, write_picture
from azsim.cli.options import file_argument, json_option, set_option
from azsim.cli.study_options import Counted, Means, confidence, means_options, share
from azsim.cli.terminal import put, say, show


@click.command()
@file_argument
@click.option(
    "--knob",
    "knobs",
    multiple=True,
    metavar="PATH[=LOW..HIGH]",
    help="What to turn. Twice with --map.  [default: the load, and each fault's length and size]",
)
@click.option("--p", default="5%", show_default=True, callback=share, help="How often it may go down.")
@click.option("--confidence", default="95%", show_default=True, callback=confidence, help="Of the bounds.")
@click.option("--replicates", type=click.IntRange(2, 10**6), default=100, show_default=True, help="Runs at a level.")
@click.option("--map", "picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw two knobs' boundary.")
@set_option
@means_options
@json_option
@click.option("--quiet", is_flag=True, help="Only errors, and with --json the result.")
def command(
    file: str,
    knobs: tuple[str, ...],
    p: float,
    confidence: float,
    replicates: int,
    picture: Path | None,
    changes: dict[str, str],
    means: Means,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Find the largest turn of a knob of the scenario in FILE at which it goes down seldom enough.

    Every level is tried on the same random numbers. The bounds state the error of the search; replicates that it had
    not seen confirm the safe one. For a load, the band in which the trigger alone decides is found, too.

    \b
      azsim margin scenarios/zone_loss_survives.yaml --knob traffic.shoppers.rate
      azsim margin FILE --knob faults.spike.for=1s..60s --knob traffic.shoppers.rate --map map.svg
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    from azsim.scenario import load
    from azsim.study.knob import knob
    from azsim.study.margin import Finder, knobs_of, within_reach

    if (picture is not None) != (len(knobs) == 2):
        raise click.UsageError(
            "a map has two knobs: --knob across --knob up --map out.svg; else give one knob, or none"
        )
    check_picture(picture, "--map")
    scenario = load(file, changes)
    if not quiet:
        say(f"seed {scenario.seed}, scenario {scenario.digest}")
    turned = [within_reach(scenario, knob(scenario, text)) for text in knobs or knobs_of(scenario)]
    if not turned:
        raise click.UsageError("nothing here is a load or a fault: say what to turn with --knob PATH")
    with means.collector() as collector, Counted("margin", quiet=quiet) as counted:
        finder = Finder(
            scenario,
            collector,
            p=p,
            confidence=confidence,
            replicates=replicates,
            counted=counted.runs,
        )
        if picture is not None:
            across, up = turned
            drawn = finder.map(across, up)
            found, bands = [margin for _, margin in drawn], {}
        else:
            found = [finder.margin(one) for one in turned]
            bands = {one.knob.path: band for one in found if (band := finder.band(one)) is not None}
    if picture is not None:
        from azsim.report.boundary import boundary

        write_picture(picture, boundary(scenario.name, across, drawn))
    if as_json:
        data = [one.to_dict() for one in found]
        for one, margin in zip(data, found, strict=True):
            band = bands.get(margin.knob.path)
            one["without_faults"] = None if band is None else band.to_dict()
        if picture is not None:
            data = [{"at": across.written(level), **one} for (level, _), one in zip(drawn, data, strict=True)]
        put(json.dumps({"scenario": scenario.name, "digest": scenario.digest, "margins": data}, indent=2) + "\n")
    elif not quiet:
        from azsim.report.margin import margins, points

        show(margins(scenario.name, found, bands) if picture is None else points(across, drawn, str(picture)))
    return ExitCode.OK
