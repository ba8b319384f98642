"""What to run next: one command that follows from a verdict."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from azsim.base.units import SECOND_NS, format_rate
from azsim.simulation.explained import ejected, ill_spread, refilled

if TYPE_CHECKING:
    from azsim.scenario import Scenario

MORE_LOAD: Final = 1.1
LEAST: Final = "least-outstanding"


def next_step(facts: Mapping[str, Any], scenario: Scenario, file: str, changes: Mapping[str, str]) -> tuple[str, str]:
    """A question and the command that answers it.

    `file` is the scenario's file as the reader would name it, `changes` what `--set` had laid over it.
    """
    more: dict[str, str] = {}
    spread = ill_spread(facts["verdict"], facts["deadlines"], facts["timeline"])
    match facts["verdict"]:
        case "collapse" if ejected(facts["replays"]):
            asks = "is it the health checks?"
            checked = [name for name, service in scenario.services.items() if service.balancer.health is not None]
            more = {f"services.{name}.balancer.health": "none" for name in checked}
        case "collapse" if refilled(facts["replays"]):
            asks = "is it the cold caches?"
            caching = [name for name, service in scenario.services.items() if service.cache is not None]
            more = {f"services.{name}.cache.kept": "100%" for name in caching}
        case "collapse":
            asks = "is it the retries?"
            retrying = [name for name, population in scenario.traffic.items() if population.retry is not None]
            more = {f"traffic.{name}.retry": "none" for name in retrying}
            if not more:
                return "which wait passes which timeout?", _command("validate", file, changes)
        case "outage" if spread is not None and not scenario.services[spread].balancer.cross_zone:
            asks = "does it help to send across zones?"
            more = {f"services.{spread}.balancer.cross_zone": "true"}
        case "outage" if spread is not None and scenario.services[spread].balancer.algorithm != LEAST:
            asks = "does it help to send to whoever has least to do?"
            more = {f"services.{spread}.balancer.algorithm": LEAST}
        case "outage":
            asks = "is one more instance a zone enough?"
            service = facts["headroom"]["service"]
            each = scenario.services[service].instances_per_zone if service is not None else None
            if not isinstance(each, int):
                return "how much is missing with a zone gone?", _command("validate", file, changes)
            more = {f"services.{service}.instances_per_zone": str(each + 1)}
        case "undecided":
            asks = "how does it end, in a run long enough to judge?"
            last_s = max((float(deadline["t_s"]) for deadline in facts["deadlines"]), default=0.0)
            more = {"duration": f"{math.ceil(last_s + scenario.hypothesis.window / SECOND_NS)}s"}
        case "invalid":
            return "what breaks it before any fault?", _command("validate", file, changes)
        case _:
            rates = {name: population.rate for name, population in scenario.traffic.items()}
            constant = {name: rate for name, rate in rates.items() if isinstance(rate, float)}
            if len(constant) < len(rates):
                return "was it luck?", f"{_command('run', file, changes)} --seed {facts['seed'] + 1}"
            asks = "does it hold with 10% more?"
            more = {f"traffic.{name}.rate": format_rate(round(rate * MORE_LOAD, 6)) for name, rate in constant.items()}
    seed = "" if facts["seed"] == scenario.seed else f" --seed {facts['seed']}"
    # What is under a path that is set anew would otherwise be set below it.
    kept = {path: value for path, value in changes.items() if not path.startswith(tuple(f"{new}." for new in more))}
    return asks, _command("run", file, {**kept, **more}) + seed


def _command(verb: str, file: str, changes: Mapping[str, str]) -> str:
    sets = "".join(f" --set {shlex.quote(f'{path}={value}')}" for path, value in changes.items())
    return f"azsim {verb} {shlex.quote(file)}{sets}"
