"""What to run next: one command that follows from a verdict."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from azsim.base.units import format_rate

if TYPE_CHECKING:
    from azsim.scenario import Scenario

MORE_LOAD: Final = 1.1


def next_step(facts: Mapping[str, Any], scenario: Scenario, file: str) -> tuple[str, str]:
    """A question and the command that answers it; `file` is the scenario's file as the reader would name it."""
    match facts["verdict"]:
        case "collapse":
            retrying = [name for name, population in scenario.traffic.items() if population.retry is not None]
            if retrying:
                return _run(file, {f"traffic.{name}.retry": "none" for name in retrying}, "is it the retries?")
            return _validate(file, "which wait passes which timeout?")
        case "outage":
            service = facts["headroom"]["service"]
            each = scenario.services[service].instances_per_zone if service is not None else None
            if isinstance(each, int):
                change = {f"services.{service}.instances_per_zone": str(each + 1)}
                return _run(file, change, "is one more instance a zone enough?")
            return _validate(file, "how much is missing with a zone gone?")
        case "undecided":
            last_s = max((float(deadline["t_s"]) for deadline in facts["deadlines"]), default=0.0)
            window_s = scenario.hypothesis.window / 1e9
            return _run(
                file,
                {"duration": f"{math.ceil(last_s + window_s)}s"},
                "how does it end, in a run long enough to judge?",
            )
        case "invalid":
            return _validate(file, "what breaks it before any fault?")
    rates = {name: population.rate for name, population in scenario.traffic.items()}
    constant = {name: rate for name, rate in rates.items() if isinstance(rate, float)}
    if len(constant) < len(rates):
        return "was it luck?", f"azsim run {shlex.quote(file)} --seed {facts['seed'] + 1}"
    more = {f"traffic.{name}.rate": format_rate(round(rate * MORE_LOAD, 6)) for name, rate in constant.items()}
    return _run(file, more, "does it hold with 10% more?")


def _run(file: str, changes: Mapping[str, str], asks: str) -> tuple[str, str]:
    sets = "".join(f" --set {shlex.quote(f'{path}={value}')}" for path, value in changes.items())
    return asks, f"azsim run {shlex.quote(file)}{sets}"


def _validate(file: str, asks: str) -> tuple[str, str]:
    return asks, f"azsim validate {shlex.quote(file)}"
