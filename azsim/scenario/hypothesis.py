"""What must hold (J2, J3), and when an experiment is stopped (J6)."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from azsim.base.units import SECOND_NS, Comparison
from azsim.scenario.fields import (
    AtLeastShare,
    AtMostDuration,
    CountOrZero,
    Duration,
    Model,
    OrNone,
    OverCount,
    OverShare,
    PositiveDuration,
    UnderCount,
    key,
    refuse,
)


class Levels(Model):
    """Bounds on what users see."""

    success: OrNone[AtLeastShare] = key("The share of requests that succeed.", default="none", example=">= 99.9%")
    latency_p50: OrNone[AtMostDuration] = key("The median latency.", default="none", example="<= 50ms")
    latency_p90: OrNone[AtMostDuration] = key("The 90th percentile of latency.", default="none", example="<= 200ms")
    latency_p99: OrNone[AtMostDuration] = key("The 99th percentile of latency.", default="none", example="<= 500ms")
    latency_p999: OrNone[AtMostDuration] = key("The 99.9th percentile of latency.", default="none", example="<= 1s")

    @property
    def bounds(self) -> dict[str, Comparison]:
        """The bounds that are set, by key."""
        names = ("success", "latency_p50", "latency_p90", "latency_p99", "latency_p999")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class Hypothesis(Levels):
    """The service level, how it may be broken, and for how long (J2, J3)."""

    success: OrNone[AtLeastShare] = key(
        "The share of requests that succeed in every window.",
        default=">= 99.9%",
        example=">= 99.9%",
    )
    window: PositiveDuration = key(
        "The length of the windows it is judged over; whole seconds.", default="10s", example="10s"
    )
    recover_within: PositiveDuration = key(
        "How long it may stay broken after a fault ends, or after one that lasts starts.",
        default="5min",
        example="5min",
    )
    allow: Literal["no-impact", "degraded"] = key(
        "The worst verdict that still passes.", default="degraded", example="degraded"
    )
    detect_within: OrNone[PositiveDuration] = key(
        "How soon the first balancer must react to a lost zone or instance.", default="none", example="30s"
    )
    during: OrNone[Levels] = key(
        "Bounds over the whole time of the faults (J1).", default="none", example={"success": ">= 97%"}
    )
    after: OrNone[Levels] = key(
        "Bounds over the whole time after the faults (J1).", default="none", example={"success": ">= 99.9%"}
    )
    data_loss: OrNone[CountOrZero] = key(
        "How many acknowledged writes may be lost, over all services with `replication` (R11).",
        default="none",
        example=0,
    )

    @model_validator(mode="after")
    def _is_judgeable(self) -> Hypothesis:
        if self.window % SECOND_NS:
            refuse("window must be whole seconds: windows end each second (J2)", "10s", "window")
        if not self.bounds:
            refuse("a hypothesis bounds success or a latency", '">= 99.9%"', "success")
        return self


class Abort(Model):
    """A condition that ends all faults, as a chaos tool would (J6)."""

    error_rate: OverShare | None = key("The share of requests that fail.", default=None, example="> 20%")
    instances: UnderCount | None = key(
        "Instances that are up, over all services, in rotation or not.", default=None, example="< 3"
    )
    data_loss: OverCount | None = key(
        "Acknowledged writes that are lost, over all services with `replication` (R11).", default=None, example="> 0"
    )
    for_: Duration = key("How long the condition holds before it counts.", alias="for", default="0s", example="60s")

    @model_validator(mode="after")
    def _one_condition(self) -> Abort:
        if sum(bound is not None for bound in self._bounds.values()) != 1:
            rule = f"an abort has exactly one condition: {', '.join(self._bounds)}"
            refuse(rule, '[{error_rate: "> 20%", for: 60s}]')
        return self

    @property
    def _bounds(self) -> dict[str, Comparison | None]:
        return {"error_rate": self.error_rate, "instances": self.instances, "data_loss": self.data_loss}

    @property
    def measure(self) -> str:
        """What it watches, as its key says."""
        return next(name for name, bound in self._bounds.items() if bound is not None)

    @property
    def condition(self) -> Comparison:
        """The bound that aborts when it holds."""
        return next(bound for bound in self._bounds.values() if bound is not None)
