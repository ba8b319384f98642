"""Telemetry: how metrics get to those who watch them (T1)."""

from __future__ import annotations

from typing import Literal

from azsim.scenario.fields import Duration, Model, key


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
