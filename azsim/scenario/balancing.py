"""How a balancer that keeps count of its targets chooses among them (B3, B5)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Strict, Tag, model_validator

from azsim.scenario.fields import (
    COUNT_MAX,
    QUEUE_MAX,
    Count,
    Duration,
    Flag,
    Model,
    OrNone,
    PositiveDuration,
    PositiveNumber,
    PresetName,
    Share,
    key,
    preset_key,
    refuse,
)
from azsim.scenario.retry import Outcome
from azsim.scenario.work import Work

NODE_SLOTS_MAX: Final = 1024
LOCALITIES: Final = ("prefer", "zone-aware")
EJECTIONS: Final = ("consecutive", "max-fails")


class Ewma(Model):
    """What `algorithm: peak-ewma` reckons with (Finagle, Linkerd)."""

    decay: PositiveDuration = key(
        "How fast a past latency is forgotten: after this time 37% of it is left.", default="10s", example="10s"
    )
    default_latency: PositiveDuration = key(
        "The latency of a target that has not answered yet.", default="30ms", example="30ms"
    )


class Prefer(Model):
    """Requests from a zone stay in it while its targets are there."""

    kind: Literal["prefer"] = key("The kind of locality.", example="prefer", choices=LOCALITIES)
    spill_below: Share = key(
        "The share of the zone's targets in rotation below which some requests go to the other zones: what stays is "
        "that share over this. `0%`: all stay while there is one. Envoy's overprovisioning of 140% is `71.4%`.",
        default="0%",
        example="71.4%",
    )


class ZoneAware(Model):
    """Envoy's zone-aware routing: a zone keeps what its share of the targets can take, by counts of hosts."""

    kind: Literal["zone-aware"] = key("The kind of locality.", example="zone-aware", choices=LOCALITIES)
    min_targets: Count = key("Targets in rotation below which zones do not matter.", default=6, example=6)


class SlowStart(Model):
    """A target that returns to rotation gets a growing part of its share."""

    window: PositiveDuration = key("How long until it gets all of its share.", example="30s")
    aggression: PositiveNumber = key(
        "1 grows in a straight line, more grows faster at first: (t / window)^(1 / aggression).", default=1, example=1
    )
    least: Share = key("The part it gets at least.", default="10%", example="10%")


class SuccessRate(Model):
    """A sweep ejects targets whose success rate lies far below the others' (Envoy)."""

    factor: PositiveNumber = key(
        "How many standard deviations below the mean. One bad target of n lies sqrt(n - 1) below, a bad third 1.41.",
        default=1.9,
        example=1.9,
    )
    min_targets: Count = key("Targets with enough requests that it takes to compare.", default=5, example=5)
    volume: Count = key("Requests that a target needs to have answered since the last sweep.", default=100, example=100)


class FailureShare(Model):
    """A sweep ejects targets of whose requests too many fail (Envoy's failure percentage)."""

    share: Share = key("The share of failures that ejects.", default="85%", example="85%")
    min_targets: Count = key("Targets with enough requests that it takes to judge.", default=5, example=5)
    volume: Count = key("Requests that a target needs to have answered since the last sweep.", default=50, example=50)

    @model_validator(mode="after")
    def _spares_the_good(self) -> FailureShare:
        if self.share <= 0:
            refuse("share must be more than 0%: at 0% every target is ejected", "85%", "share")
        return self


class _Outliers(Model):
    preset: PresetName = preset_key("outliers", "envoy")


class Consecutive(_Outliers):
    """Errors in a row eject a target for a while, or a sweep does that compares rates (Envoy)."""

    kind: Literal["consecutive"] = key("The kind of ejection.", example="consecutive", choices=EJECTIONS)
    errors: OrNone[Count] = key("Errors in a row that eject; `none`: they do not.", default=5, example=5)
    success_rate: OrNone[SuccessRate] = key(
        "How far below the others' success rate a target is ejected.",
        default="none",
        example={"factor": 1.9, "min_targets": 5, "volume": 100},
    )
    failure_share: OrNone[FailureShare] = key(
        "Which share of failures ejects.",
        default="none",
        example={"share": "85%", "min_targets": 5, "volume": 50},
    )
    on: Annotated[tuple[Outcome, ...], Field(min_length=1)] = key(
        "The outcomes that are errors; any other one starts the count anew.",
        default=("error", "refused", "reset", "overload", "timeout"),
        example=["error", "timeout"],
    )
    base: PositiveDuration = key(
        "How long the first ejection lasts; the n-th in a row lasts n times as long.", default="30s", example="30s"
    )
    longest: PositiveDuration = key("How long one lasts at most.", default="5min", example="5min")
    interval: PositiveDuration = key(
        "Time between sweeps: ejections end at one, and with each one without an ejection n falls by 1.",
        default="10s",
        example="10s",
    )
    max_share: Share = key("The share of the targets that may be ejected at once.", default="10%", example="50%")
    at_least_one: Flag = key("Whether one may be ejected whatever `max_share` says.", default=False, example=True)
    uneject_on_check: Flag = key("Whether a passed health check ends an ejection at once.", default=True, example=False)


class MaxFails(_Outliers):
    """Fails within a time bench a target, and after it one live request tries it (nginx)."""

    kind: Literal["max-fails"] = key("The kind of ejection.", example="max-fails", choices=EJECTIONS)
    fails: Count = key("Fails that bench a target.", default=1, example=3)
    window: PositiveDuration = key("In which they count, and for which it is benched.", default="10s", example="10s")
    on: Annotated[tuple[Outcome, ...], Field(min_length=1)] = key(
        "The outcomes that are fails.", default=("refused", "reset", "timeout"), example=["refused", "timeout"]
    )


class WaitQueue(Model):
    """A limit for each target, and a queue in the balancer for what exceeds it."""

    per_target: Count = key("Requests that a node of the balancer has at one target at once.", example=4)
    places: Annotated[int, Strict(), Field(ge=0, le=QUEUE_MAX)] = key(
        "Requests that may wait in a node for a target; more get the overload answer.", default=1000, example=1000
    )
    timeout: OrNone[PositiveDuration] = key(
        "How long one may wait until it gets the overload answer.", default="none", example="500ms"
    )


class Node(Model):
    """What a node of the balancer can do: passing a request on costs it work (B1)."""

    slots: Annotated[int, Strict(), Field(ge=1, le=NODE_SLOTS_MAX)] = key(
        "Requests it works on at once.", default=8, example=8
    )
    work: Work = key("Time that one request takes a node.", example={"distribution": "constant", "mean": "1ms"})
    queue: Annotated[int, Strict(), Field(ge=0, le=COUNT_MAX)] = key(
        "Requests that may wait for a slot; more get the overload answer.", default=1000, example=1000
    )


class Leaves(Model):
    """When a zone leaves the answers for want of healthy targets: by share, by count, or by whichever comes first.

    Its own targets with `cross_zone: false`, else all of the service's.
    """

    below: Share | None = key(
        "The share of healthy targets under which it leaves.", default=None, default_text="`none`", example="50%"
    )
    fewer_than: Count | None = key(
        "The number of healthy targets under which it leaves.", default=None, default_text="`none`", example=1
    )

    @model_validator(mode="after")
    def _one_at_least(self) -> Leaves:
        if self.below is None and self.fewer_than is None:
            refuse("says below which share or number of healthy targets a zone leaves", "{fewer_than: 1}")
        return self


class Dns(Model):
    """How clients find the nodes of a zonal balancer (B2)."""

    ttl: Duration = key("How long a client uses an answer before it asks again.", default="60s", example="60s")
    connections: OrNone[PositiveDuration] = key(
        "How long a client keeps its connection to a node at most; `none`: it makes one for each attempt, to any zone "
        "of its answer. A timeout, a reset or a refusal ends it.",
        default="none",
        example="1h",
    )
    own_zone: Share = key(
        "The share of lookups from inside a zone that are answered with that zone alone.", default="0%", example="85%"
    )
    stale: Flag = key(
        "Whether a client goes on with its last answer while the name does not resolve.", default=False, example=True
    )
    delay: Duration = key(
        "Time from the loss of a zone's nodes, or from a change of its targets' health, to the answers that follow it.",
        default="30s",
        example="30s",
    )
    leaves: OrNone[Leaves] = key(
        "When a zone leaves the answers for want of healthy targets; `none`: only if its nodes are lost. If all would "
        "leave, all stay.",
        default={"fewer_than": 1},
        example={"below": "50%", "fewer_than": 1},
    )


def _by_kind(kinds: tuple[str, ...]) -> Discriminator:
    """By the word of `kind`; the first kind reports what is wrong with any other word."""

    def tag(value: Any) -> str:
        word = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
        return f"<{word}>" if isinstance(word, str) and word in kinds else f"<{kinds[0]}>"

    return Discriminator(tag)


Locality = Annotated[
    Annotated[Prefer, Tag("<prefer>")] | Annotated[ZoneAware, Tag("<zone-aware>")], _by_kind(LOCALITIES)
]
Outliers = Annotated[
    Annotated[Consecutive, Tag("<consecutive>")] | Annotated[MaxFails, Tag("<max-fails>")], _by_kind(EJECTIONS)
]
