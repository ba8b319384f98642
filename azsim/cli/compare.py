"""`azsim compare`: two scenarios on the same random numbers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from azsim.base.errors import ExitCode
from azsim.cli.options import json_option, set_option
from azsim.cli.study_options import Counted, Means, confidence, means_options
from azsim.cli.terminal import put, say, show

if TYPE_CHECKING:
    from azsim.study.sampling import Sampling


@click.command()
@click.argument("first", type=click.Path())
@click.argument("second", type=click.Path())
@click.option("--replicates", type=click.IntRange(2, 10**7), default=100, show_default=True, help="Pairs of runs.")
@click.option(
    "--sampling",
    type=click.Choice(["random", "lhs", "sobol"]),
    default="random",
    show_default=True,
    help="How values are drawn for what varies.",
)
@click.option("--confidence", default="95%", show_default=True, callback=confidence, help="Of each interval.")
@set_option
@means_options
@json_option
@click.option("--quiet", is_flag=True, help="Only errors, and with --json the result.")
def command(
    first: str,
    second: str,
    replicates: int,
    sampling: Sampling,
    confidence: float,
    changes: dict[str, str],
    means: Means,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Run FIRST and SECOND, two scenario files, on the same random numbers, and say how they differ.

    Replicate k of both meets the same arrivals and the same work; what varies in both takes the same values. --set is
    laid over SECOND alone, so that a file can be compared with a change of it.

    \b
      azsim compare scenarios/zone_loss_retry_storm.yaml scenarios/zone_loss_budgeted.yaml
      azsim compare FILE FILE --set traffic.shoppers.retry.attempts=2
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    from azsim.scenario import load
    from azsim.study.compare import compare

    one, other = load(first), load(second, changes)
    if not quiet:
        say(f"seed {one.seed}, scenarios {one.digest} and {other.digest}")
    with means.collector() as collector, Counted("compare", quiet=quiet) as told:
        found = compare(
            one, other, collector, replicates=replicates, confidence=confidence, sampling=sampling, told=told
        )
    if as_json:
        put(json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n")
    elif not quiet:
        from azsim.report.comparison import table

        show(table(found))
    return ExitCode.OK
