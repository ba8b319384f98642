"""`azsim validate`: what a scenario says and what follows from it, without a run."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

import click

from azsim.base.errors import ExitCode
from azsim.cli.options import file_argument, json_option, set_option
from azsim.cli.terminal import put, show

if TYPE_CHECKING:
    from azsim.scenario import Scenario
    from azsim.scenario.figures import Figures


@click.command()
@file_argument
@set_option
@json_option
def command(file: str, changes: dict[str, str], as_json: bool) -> ExitCode:
    """Check the scenario in FILE and say what follows from it without a run.

    Shows every value with its source (a line of the file, or the default), then the arithmetic: how busy each service
    is, and with any zone gone; how soon a lost target is noticed; the longest waits; the most attempts a request can
    become; the retries that the budgets pay for at once. Then what of that should worry.
    """
    from azsim.scenario import load
    from azsim.scenario.arithmetic import arithmetic

    scenario = load(file, changes)
    figures = arithmetic(scenario)
    if as_json:
        put(json.dumps(as_data(scenario, figures), indent=2, allow_nan=False) + "\n")
    else:
        from azsim.report.sheet import sheet

        show(sheet(scenario, figures, file))
    return ExitCode.OK


def as_data(scenario: Scenario, figures: Figures) -> dict[str, Any]:
    """The sheet as JSON values; what has no end (a wait in an unbounded queue) is null."""
    from azsim.base.version import __version__

    arithmetic = dataclasses.asdict(figures)
    findings = arithmetic.pop("findings")
    return {
        "azsim": __version__,
        "scenario": scenario.name,
        "digest": scenario.digest,
        "resolved": scenario.to_dict(),
        "sources": dict(scenario.sources),
        "arithmetic": _finite(arithmetic),
        "findings": list(findings),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and math.isinf(value) else value
