"""Telemetry: how metrics get to those who watch them (T1)."""

from __future__ import annotations

from typing import Literal

from azsim.scenario.fields import (
    Count,
    Duration,
    Model,
    Name,
    Number,
    OrNoEntries,
    OrNone,
    PositiveDuration,
    Rate,
    key,
)


class Capacity(Model):
    """What the way can carry: metrics, and a line of log for each request that fails, wait in one queue (T1)."""

    rate: Rate = key("Points and lines a second.", example="200/s")
    buffer: Count = key("How many may wait; a point that finds it full is lost.", default=100_000, example=10_000)
    lines_per_failure: Number = key("Lines of log for each request that fails.", default=1, example=3)


class Observability(Model):
    """The way of a metric from instances to alarms (T1)."""

    source: Literal["host", "agent"] = key(
        "Who measures: the `host` around an instance, which reports whatever happens to its network, or an `agent` "
        "inside, whose reports are cut off with its zone.",
        default="host",
        example="agent",
    )
    delay: Duration = key(
        "From the end of a period until its point can be read, at the least.", default="30s", example="30s"
    )
    capacity: OrNone[Capacity] = key(
        "What it can carry; `none` is everything. A flood delays points, and loses them.",
        default="none",
        example={"rate": "200/s", "buffer": 10000},
    )


class ZonalShift(Model):
    """A zone that services send nothing new to for a while, on somebody's order (T4)."""

    zone: Name = key("The zone.", example="c")
    at: Duration = key("When it begins, from the start of the run.", example="10min")
    for_: PositiveDuration = key("When it expires, from then on; every shift does.", alias="for", example="25min")
    services: OrNoEntries[Name] = key(
        "The services that are shifted; all of them unless said.", default=(), example=["web"]
    )
    by: Literal["operator", "provider"] = key(
        "Who orders it. One zone of a service is shifted away at a time, and an operator's order comes first.",
        default="operator",
        example="provider",
    )
