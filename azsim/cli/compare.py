"""`azsim compare`: two scenarios on the same random numbers, two results, or a run and what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from azsim.base.errors import ExitCode
from azsim.cli.options import json_option, set_option
from azsim.cli.pictured import PAGE, beside, columns, instant, is_result, observed
from azsim.cli.study_options import Counted, Means, confidence, means_options
from azsim.cli.terminal import put, say, show

if TYPE_CHECKING:
    from azsim.study.sampling import Sampling


@click.command()
@click.argument("first", type=click.Path())
@click.argument("second", type=click.Path(), required=False)
@click.option("--replicates", type=click.IntRange(2, 10**7), default=100, show_default=True, help="Pairs of runs.")
@click.option(
    "--sampling",
    type=click.Choice(["random", "lhs", "sobol"]),
    default="random",
    show_default=True,
    help="How values are drawn for what varies.",
)
@click.option("--confidence", default="95%", show_default=True, callback=confidence, help="Of each interval.")
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write both side by side as an HTML page.  [default for results and --observed: out/comparison.html]",
)
@click.option(
    "--observed",
    "metrics",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Compare FIRST with the measured curves in this CSV file, such as an export of a dashboard.",
)
@click.option(
    "--zero",
    metavar="TIME",
    callback=instant,
    help="When the measured run began, such as 2026-03-01T08:00:00Z.  [default: the first row]",
)
@click.option(
    "--column",
    "names",
    metavar="COLUMN=SERIES",
    multiple=True,
    callback=columns,
    help="What a column is, such as p99=latency_p99_s:ms. May come again.",
)
@set_option
@means_options
@json_option
@click.option("--quiet", is_flag=True, help="Only errors, and with --json the result.")
def command(
    first: str,
    second: str | None,
    replicates: int,
    sampling: Sampling,
    confidence: float,
    page: Path | None,
    metrics: Path | None,
    zero: str | None,
    names: dict[str, str],
    changes: dict[str, str],
    means: Means,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Run FIRST and SECOND, two scenario files, on the same random numbers, and say how they differ.

    Replicate k of both meets the same arrivals and the same work; what varies in both takes the same values. --set is
    laid over SECOND alone, so that a file can be compared with a change of it.

    FIRST and SECOND may also be what `azsim run` left (a folder, or result.json): these are shown side by side. With
    --observed there is no SECOND: the run of FIRST is laid beside what was measured, and its misfit told.

    \b
      azsim compare scenarios/zone_loss_retry_storm.yaml scenarios/zone_loss_budgeted.yaml
      azsim compare FILE FILE --set traffic.shoppers.retry.attempts=2 --page both.html
      azsim compare out/before out/after
      azsim compare FILE --observed cloudwatch.csv --zero 2026-03-01T08:00:00Z
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    if metrics is not None:
        if second is not None:
            raise click.UsageError("--observed compares FIRST with what was measured; leave SECOND out")
        return observed(first, changes, metrics, names, zero, page or PAGE, as_json=as_json, quiet=quiet)
    if second is None:
        raise click.UsageError("SECOND is missing: another scenario or result, or --observed metrics.csv")
    if is_result(first) or is_result(second):
        if as_json:
            raise click.UsageError("--json is for scenarios, which are compared over many runs, and for --observed")
        return beside(first, second, changes, page or PAGE, quiet=quiet)
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
    return ExitCode.OK if page is None else beside(first, second, changes, page, quiet=True)
