"""`azsim calibrate`: traffic and work out of access logs and tables, as scenario keys."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from azsim.base.errors import ExitCode
from azsim.base.units import SECOND_NS, UnitError, parse_duration
from azsim.cli.files import write_files
from azsim.cli.options import json_option
from azsim.cli.terminal import put, show

if TYPE_CHECKING:
    from azsim.calibration.calibrate import Calibration


def whole_seconds(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """Whole seconds of a text such as `1min`; BadParameter says the rule and a valid example."""
    try:
        window_ns = parse_duration(value)
    except UnitError as error:
        raise click.BadParameter(f"{value!r}: {error.rule}, such as 1min", ctx, param) from None
    if window_ns < SECOND_NS or window_ns % SECOND_NS:
        raise click.BadParameter(f"{value!r}: whole seconds, one or more, such as 1min", ctx, param)
    return window_ns // SECOND_NS


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("calibration"), show_default=True,
              help="Folder for calibration.yaml, the tables it names and the picture of the fits.")  # fmt: skip
@click.option("--window", default="1min", show_default=True, callback=whole_seconds, help="Shortest step of the rate.")
@click.option("--population", default="users", show_default=True, help="What the traffic is called.")
@click.option("--service", default="web", show_default=True, help="What the service is called.")
@json_option
def command(files: tuple[Path, ...], out: Path, window: int, population: str, service: str, as_json: bool) -> ExitCode:
    """Read FILES and write scenario keys for the traffic and the work in them.

    FILES are access logs of an Application Load Balancer, or CSV files with the columns at_s (or time) and latency_s,
    latency_ms or rate_per_s; plain or gzipped, and of any size. Each distribution is fitted by maximum likelihood and
    shown with its distance from what was measured; where none comes near, the measurements themselves are taken.

    \b
      azsim calibrate logs/*.log.gz
      azsim calibrate load.csv --out shop --population shoppers
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    from azsim.calibration.calibrate import calibrated
    from azsim.calibration.fragment import files as texts
    from azsim.report.figures import image
    from azsim.report.fits import quantiles, told

    found = calibrated(files, window)
    written = texts(found.profile, found.fits, found.waiting, population=population, service=service)
    contents = {name: text.encode() for name, text in written.items()}
    if found.fits is not None and found.fits.fits:
        contents["quantiles.svg"] = image(quantiles(found.fits), "svg")
    paths = write_files(out, contents)
    if as_json:
        put(json.dumps(as_data(found), allow_nan=False) + "\n")
    else:
        show(told(found))
        put("\n" + written["calibration.yaml"] + "\nFILES  " + "  ".join(map(str, paths)) + "\n")
    return ExitCode.OK


def as_data(found: Calibration) -> dict[str, Any]:
    """The calibration as JSON values; what the files say nothing of is null."""
    seen, shape, fits = found.observed, found.profile, found.fits
    return {
        "requests": seen.requests,
        "failed": seen.failed,
        "unreadable": seen.unreadable,
        "profile": None if shape is None else dataclasses.asdict(shape),
        "work": None
        if fits is None
        else {
            "sample": fits.sample,
            "mean_s": fits.mean_s,
            "cv": fits.cv,
            "best": None if fits.best is None else fits.best.distribution,
            "fits": [
                {"distribution": fit.distribution, "mean_s": fit.mean_s, **fit.parameters, "distance": fit.distance}
                for fit in fits.fits
            ],
        },
        "waiting": None if found.waiting is None else dataclasses.asdict(found.waiting),
    }
