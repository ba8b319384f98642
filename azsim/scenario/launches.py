"""How a scaling group gets its instances, and replaces them (S3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Discriminator, Tag

from azsim.scenario.fields import Count, Duration, Flag, Model, OrNone, PositiveDuration, Rate, Share, key
from azsim.scenario.work import Work

Delay = Annotated[
    Annotated[Duration, Tag("<time>")] | Annotated[Work, Tag("<distribution>")],
    Discriminator(lambda value: "<distribution>" if isinstance(value, dict | BaseModel) else "<time>"),
]


class Throttle(Model):
    """How many launches a group may ask for: a bucket of tokens; what is too much waits its turn."""

    rate: Rate = key("Launches a second, in the long run.", example="2/s")
    burst: Count = key("Launches at once.", default=1, example=10)


class Launch(Model):
    """How instances come (S3)."""

    delay: Delay = key(
        "From the decision to a running machine, which then boots as the service's `boot` says; a time or a "
        "distribution, as for `work`.",
        default="60s",
        example="60s",
        rule="must be a duration or a distribution",
    )
    throttle: OrNone[Throttle] = key(
        "A limit on how fast launches are asked for.", default="none", example={"rate": "2/s", "burst": 10}
    )
    warmup: Duration = key(
        "How long a new instance, from when it runs, is left out of metrics and counts as still coming.",
        default="60s",
        example="60s",
    )
    retry: PositiveDuration = key(
        "How long a group waits to ask again after every zone has refused.", default="60s", example="60s"
    )
    refusal: Duration = key("How long a zone without capacity takes to say so.", default="5s", example="5s")
    distribution: Literal["balanced-best-effort", "balanced-only"] = key(
        "Where a launch goes that its zone refuses: to another one, or again to the same.",
        default="balanced-best-effort",
        example="balanced-only",
    )


class Replacement(Model):
    """Which instances are held unwell, and how they are replaced (S3)."""

    check: Literal["host", "balancer"] = key(
        "Whose word counts: the machine's alone, or also that of the balancer's health checks.",
        default="host",
        example="balancer",
    )
    interval: PositiveDuration = key("How often the group looks.", default="60s", example="60s")
    grace: Duration = key(
        "How long a new instance is left alone, however its health checks fail; not if its machine does not run.",
        default="300s",
        example="300s",
    )
    replace: Flag = key("Whether unwell instances are replaced at all.", default=True, example=False)
    share: Share = key(
        "The share of the instances desired that are replaced at a time, one at the least; machines that do not run "
        "are replaced at once.",
        default="10%",
        example="10%",
    )
    order: Literal["terminate-first", "launch-first"] = key(
        "What comes first: the end of the old instance or the start of the new one.",
        default="terminate-first",
        example="launch-first",
    )
    in_shifted_zone: Literal["replace", "ignore"] = key(
        "What becomes of unwell instances of a zone that is shifted away.", default="replace", example="ignore"
    )
