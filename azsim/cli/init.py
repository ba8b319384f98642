"""`azsim init`: a first scenario, from a few answers; what it writes is checked and says what it is for."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from azsim.base.errors import ExitCode
from azsim.base.units import SECOND_NS, UnitError, parse_duration, parse_rate
from azsim.cli.files import OutputError, write_files
from azsim.cli.terminal import put

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
_BUSY_MAX: Final = 0.8  # with a zone gone, in the number of instances that is proposed
_COUNT_MAX: Final = 10_000

# Marks in angle brackets are replaced; a comment says why a key is there, not what its word means.
_SCENARIO: Final = """\
# Does failing over make <service> fall over? Ask with:  azsim run <file>
# Every key, its default and an example: `azsim schema`, or docs/scenario-reference.md.
azsim: 1
name: <name>
description: One of <zone_count> zones is lost at the usual load, and comes back.
seed: 1                  # the same seed meets the same requests, whatever else changes
duration: 20min          # of simulated time; long enough to see whether it recovers
warmup: 1min             # simulated, but not judged
zones: [<zones>]
network: {same_zone: 0.25ms, cross_zone: 1ms}      # one way

traffic:
  users:
    to: <service>
    rate: <rate>         # over all zones, at the hour you fear; also a profile or a CSV file: `azsim calibrate`
    clients: 100         # client processes; a retry budget or a breaker is per process
    timeout: <timeout>   # of one attempt
    deadline: <deadline> # of a whole request, retries and all
    retry:
      attempts: <attempts>        # the first one included; 1 is none
      backoff: {base: 50ms, factor: 2, cap: 20s, jitter: full}
      on: [timeout, error, refused, reset, overload, no-target]
      # budget: {kind: token-bucket, capacity: 500, cost: 5, deposit: 1}    # bounds a retry storm: try it

services:
  <service>:
    instances_per_zone: <instances>       # <capacity> in all; <busy> busy, <busy_without> with a zone gone
    slots: <slots>                # requests that an instance serves at a time
    queue: <queue>            # full, it waits <wait>: shorter than the timeout, or its work is for nobody
    work: {distribution: lognormal, mean: <work>, cv: 0.7}    # CPU time of a request
    balancer:
      algorithm: round-robin
      health: {interval: 10s, timeout: 5s, unhealthy_after: 2, healthy_after: 5, probe: bypass, propagation: 1s}

faults:
  - {id: loss, at: 5min, for: 10min, zone_loss: {zone: <lost>, mode: power}}

hypothesis:              # what must hold
  success: ">= 99.9%"
  window: 10s
  recover_within: 5min   # how long after a fault begins or ends the level may be broken
"""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a first scenario is made from; `instances` is per zone."""

    service: str
    zones: tuple[str, ...]
    rate: str
    work: str
    slots: int
    instances: int
    timeout: str
    attempts: int
    lost: str


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to know: its option, what to ask, the answer that is proposed, and what reads an answer."""

    name: str
    text: str
    proposed: Callable[[dict[str, Any]], Any]
    read: Callable[[str, dict[str, Any]], Any]


def _word(text: str, _: dict[str, Any]) -> str:
    if not _NAME.fullmatch(text):
        raise click.BadParameter(f"{text!r}: a name has small letters, digits and -, and begins with a letter: web")
    return text


def _zones(text: str, known: dict[str, Any]) -> tuple[str, ...]:
    zones = tuple(_word(one.strip(), known) for one in text.split(","))
    if len(set(zones)) != len(zones) or not 2 <= len(zones) <= 64:
        raise click.BadParameter(f"{text!r}: two to 64 different zones, such as a,b,c")
    return zones


def _quantity(parse: Callable[[object], float]) -> Callable[[str, dict[str, Any]], str]:
    def read(text: str, _: dict[str, Any]) -> str:
        try:
            number = parse(text)
        except UnitError as error:
            raise click.BadParameter(f"{text!r}: {error.rule}, such as {error.example}") from None
        if number <= 0:
            raise click.BadParameter(f"{text!r}: must be more than 0")
        return text

    return read


def _count(text: str, _: dict[str, Any]) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _COUNT_MAX:
        raise click.BadParameter(f"{text!r}: a whole number from 1 to {_COUNT_MAX}, such as 3")
    return int(text)


def _lost(text: str, known: dict[str, Any]) -> str:
    if text not in known["zones"]:
        raise click.BadParameter(f"{text!r} is no zone; there are {', '.join(known['zones'])}")
    return text


def _enough(known: dict[str, Any]) -> int:
    """The fewest instances a zone with which the loss of any zone leaves the rest at most `_BUSY_MAX` busy."""
    cores = parse_rate(known["rate"]) * parse_duration(known["work"]) / SECOND_NS / _BUSY_MAX
    enough: int = math.ceil(cores / known["slots"] / (len(known["zones"]) - 1) - 1e-9)
    return min(_COUNT_MAX, max(1, enough))


QUESTIONS: Final = (
    Question("service", "Name of the service that the traffic goes to", lambda _: "web", _word),
    Question("zones", "Availability zones, with commas between", lambda _: "a,b,c", _zones),
    Question("rate", "Requests at the busiest hour, over all zones", lambda _: "600/s", _quantity(parse_rate)),
    Question("work", "CPU time of a request, on average", lambda _: "20ms", _quantity(parse_duration)),
    Question("slots", "Requests that an instance serves at a time", lambda _: "8", _count),
    Question("instances", "Instances in each zone", _enough, _count),
    Question("timeout", "How long a client waits for an answer", lambda _: "1s", _quantity(parse_duration)),
    Question("attempts", "Attempts of a client, the first one included", lambda _: "3", _count),
    Question("lost", "Zone that is lost", lambda known: known["zones"][-1], _lost),
)


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each question; their order on the command line does not matter."""
    for question in reversed(QUESTIONS):
        function = click.option(f"--{question.name}", metavar="TEXT", help=f"{question.text}.")(function)
    return function


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="scenario.yaml")
@_options
@click.option("--yes", is_flag=True, help="Ask nothing: take what is proposed for all that no option gives.")
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
def command(file: Path, yes: bool, force: bool, **given: str | None) -> ExitCode:
    """Write a first scenario into FILE  [default: scenario.yaml].

    Asks what no option has answered; without a terminal to ask on it takes what it would propose. What it writes is
    checked, runs as it is, and is commented.

    \b
      azsim init
      azsim init shop.yaml --rate 2880/s --work 20ms --zones a,b,c --yes
    """  # noqa: D301 - \b is the backspace by which click keeps lines as they are
    from azsim.scenario import load

    if file.exists() and not force:
        raise OutputError(f"{file} is there already; --force overwrites it")
    text = scenario_text(file, answers(given, ask=not yes and sys.stdin.isatty()))
    (aside,) = write_files(file.parent, {f".{file.stem}.{os.getpid()}.yaml": text.encode()})
    try:
        load(aside)
        write_files(file.parent, {file.name: text.encode()})
    finally:
        aside.unlink(missing_ok=True)
    put(f"{file} is written. Next:\n  azsim validate {file}\n  azsim run {file}\n")
    return ExitCode.OK


def answers(given: dict[str, str | None], *, ask: bool) -> Answers:
    """The answers: those given, those asked for, and otherwise what is proposed. BadParameter says what is wrong."""
    known: dict[str, Any] = {}
    for question in QUESTIONS:

        def read(text: str, question: Question = question) -> Any:
            return question.read(text, known)

        answer = given.get(question.name)
        if answer is not None:
            try:
                known[question.name] = read(answer)
            except click.BadParameter as error:
                raise click.BadParameter(error.message, param_hint=f"--{question.name}") from None
        elif ask:
            proposed = str(question.proposed(known))
            known[question.name] = click.prompt(question.text, default=proposed, value_proc=read, err=True)
        else:
            known[question.name] = read(str(question.proposed(known)))
    return Answers(**known)


def scenario_text(file: Path, given: Answers) -> str:
    """The commented scenario of some answers."""
    work_s = parse_duration(given.work) / SECOND_NS
    instances = given.instances * len(given.zones)
    capacity_per_s = instances * given.slots / work_s
    busy = parse_rate(given.rate) / capacity_per_s
    timeout_s = parse_duration(given.timeout) / SECOND_NS
    # Half of what a client waits; the other half is for being served.
    queue = max(1, min(100_000, math.floor(timeout_s / 2 / work_s * given.slots)))
    name = re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-")
    marks = {
        "file": str(file),
        "name": name if _NAME.fullmatch(name) else "first",
        "service": given.service,
        "zone_count": str(len(given.zones)),
        "zones": ", ".join(given.zones),
        "rate": given.rate,
        "timeout": given.timeout,
        "deadline": f"{max(5.0, 5 * timeout_s):.9g}s",
        "attempts": str(given.attempts),
        "instances": str(given.instances),
        "capacity": f"{capacity_per_s:.0f}/s",
        "busy": f"{100 * busy:.0f}%",
        "busy_without": f"{100 * busy * len(given.zones) / (len(given.zones) - 1):.0f}%",
        "slots": str(given.slots),
        "queue": str(queue),
        "wait": f"{1000 * queue * work_s / given.slots:.0f} ms",
        "work": given.work,
        "lost": given.lost,
    }
    return re.sub(r"<(\w+)>", lambda mark: marks[mark[1]], _SCENARIO)
