"""`azsim tune`: settings that keep a system up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from azsim.base.errors import ExitCode
from azsim.cli.files import write_files
from azsim.cli.options import file_argument, json_option, set_option
from azsim.cli.study_options import Counted, Means, confidence, means_options
from azsim.cli.terminal import put, say, show

if TYPE_CHECKING:
    from azsim.study.tuning import Algorithm


@click.command()
@file_argument
@click.option(
    "--knob",
    "knobs",
    multiple=True,
    metavar="PATH=VALUES",
    help="What may change: PATH=LOW..HIGH or PATH=[one, another].  [default: attempts and queues, which cost nothing]",
)
@click.option("--trials", type=click.IntRange(1, 10**6), default=60, show_default=True, help="Settings to try.")
@click.option("--replicates", type=click.IntRange(1, 10**5), default=5, show_default=True, help="Runs of each setting.")
@click.option(
    "--algorithm",
    type=click.Choice(["nsga2", "tpe"]),
    default="nsga2",
    show_default=True,
    help="Loss against cost, or the loss alone.",
)
@click.option("--confidence", default="95%", show_default=True, callback=confidence, help="Of the confirmation.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the chosen scenario and the picture.  [default: out/ and the scenario's name]",
)
@set_option
@means_options
@json_option
@click.option("--quiet", is_flag=True, help="Only errors, and with --json the result.")
def command(
    file: str,
    knobs: tuple[str, ...],
    trials: int,
    replicates: int,
    algorithm: Algorithm,
    confidence: float,
    out: Path | None,
    changes: dict[str, str],
    means: Means,
    as_json: bool,
    quiet: bool,
) -> ExitCode:
    """Look for settings of the scenario in FILE that keep it up at the least cost.

    Every setting is tried on the same replicates; the cost is the cores of all instances. The choice is confirmed on
    fresh replicates and left as tuned.yaml, the front as tuning.svg.

    \b
      azsim tune scenarios/zone_loss_retry_storm.yaml
      azsim tune FILE --knob services.web.instances_per_zone=2..6 --knob "traffic.shoppers.retry=[none, {attempts: 2}]"
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    import yaml

    from azsim.report import tuning
    from azsim.report.figures import image
    from azsim.scenario import load
    from azsim.study.tuning import choices_of, tune

    scenario = load(file, changes)
    if not quiet:
        say(f"seed {scenario.seed}, scenario {scenario.digest}")
    choices = choices_of(scenario, knobs)
    with means.collector() as collector, Counted("tune", quiet=quiet) as counted:
        found = tune(
            scenario,
            choices,
            collector,
            trials=trials,
            replicates=replicates,
            confidence=confidence,
            algorithm=algorithm,
            counted=counted.runs,
        )
    folder = out or Path("out", scenario.name)
    tuned = yaml.safe_dump(found.tuned.to_dict(), sort_keys=False, allow_unicode=True)
    paths = write_files(
        folder,
        {
            "tuned.yaml": f"# {file}, tuned by azsim: {found.chosen.settings}\n{tuned}".encode(),
            "tuning.svg": image(tuning.picture(found), "svg"),
        },
    )
    if as_json:
        put(json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n")
    elif not quiet:
        show(tuning.table(found, [str(path) for path in paths]))
    return ExitCode.OK
