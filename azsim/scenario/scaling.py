"""Instances that come and go (S1 to S3): alarms, what they make a group do, and how its instances are launched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from azsim.base.units import SECOND_NS, UnitError, format_rate, format_share, parse_rate, parse_share
from azsim.scenario.fields import (
    COUNT_MAX,
    Count,
    CountOrZero,
    Duration,
    Flag,
    Model,
    Name,
    Names,
    OrNoEntries,
    OrNone,
    PositiveDuration,
    PositiveNumber,
    Share,
    key,
    refuse,
    refuse_quantity,
)

Metric = Literal["cpu", "requests", "queue"]
_DIMENSIONS: Final[Mapping[str, str]] = {"cpu": "share", "requests": "rate", "queue": "number"}
EXAMPLES: Final[Mapping[str, str]] = {"share": "50%", "rate": "100/s", "number": "20"}


class Amount(NamedTuple):
    """A value that a metric may have: a share, a rate per second or a plain number."""

    dimension: str
    value: float

    def __str__(self) -> str:
        if self.dimension == "share":
            return format_share(self.value)
        return format_rate(self.value) if self.dimension == "rate" else f"{self.value:g}"


def _amount(value: object) -> Amount:
    if isinstance(value, Amount):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e9:
        return Amount("number", float(value))
    for dimension, parse in (("share", parse_share), ("rate", parse_rate)):
        try:
            return Amount(dimension, parse(value))
        except UnitError:
            continue
    refuse_quantity("must be a share for cpu, a rate for requests, a plain number for queue", "50%")


MetricValue = Annotated[
    Amount,
    PlainValidator(_amount),
    PlainSerializer(lambda amount: amount.value if amount.dimension == "number" else str(amount)),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0}], "examples": ["50%"]}),
]

_METRIC: Final = (
    "What is watched: `cpu` (utilisation, stress included), `requests` (attempts per second and instance) or `queue` "
    "(requests that wait at an instance)."
)


def refuse_dimension(metric: str, amount: Amount, where: str) -> None:
    """Refuses an amount that its metric cannot have."""
    wanted = _DIMENSIONS[metric]
    if amount.dimension != wanted:
        refuse(f"{metric} is a {wanted}, not {amount}", EXAMPLES[wanted], where)


class Alarm(Model):
    """An alarm on a metric of a group's instances, judged as CloudWatch judges (S2)."""

    metric: Metric = key(_METRIC, default="cpu", example="cpu")
    statistic: Literal["average", "maximum", "minimum"] = key(
        "What is made of the values of all instances.", default="average", example="average"
    )
    above: MetricValue | None = key("It breaches above this value.", default=None, example="50%")
    at_least: MetricValue | None = key("It breaches from this value on.", default=None, example="50%")
    below: MetricValue | None = key("It breaches below this value.", default=None, example="30%")
    at_most: MetricValue | None = key("It breaches up to this value.", default=None, example="30%")
    period: PositiveDuration = key(
        "The length of a data point: 10s, 20s, 30s or whole minutes.", default="60s", example="60s"
    )
    count: Count = key("How many points must breach.", default=1, example=3)
    of: Count = key("Of how many, the last ones.", follows="count", example=5)
    missing: Literal["missing", "ignore", "breaching", "not-breaching"] = key(
        "What a missing point counts as, where there are too few others: nothing, no change, a breach, or none.",
        default="missing",
        example="breaching",
    )

    @property
    def relation(self) -> str:
        """How a value that breaches stands to the threshold."""
        return next(sign for sign, name in _RELATIONS.items() if getattr(self, name) is not None)

    @property
    def threshold(self) -> Amount:
        """The value it breaches at."""
        found: Amount = getattr(self, _RELATIONS[self.relation])
        return found

    @model_validator(mode="after")
    def _is_judgeable(self) -> Alarm:
        given = [name for name in _RELATIONS.values() if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            rule = f"an alarm has one threshold: above, at_least, below or at_most; found {found}"
            refuse(rule, "{metric: cpu, above: 50%}")
        refuse_dimension(self.metric, getattr(self, given[0]), given[0])
        if self.of < self.count:
            refuse(f"{self.count} points cannot breach of {self.of}", str(self.count), "of")
        seconds, rest = divmod(self.period, SECOND_NS)
        if rest or (seconds not in (10, 20, 30) and seconds % 60):
            refuse("a period is 10s, 20s, 30s or whole minutes", "60s", "period")
        return self


_RELATIONS: Final = {">": "above", ">=": "at_least", "<": "below", "<=": "at_most"}


class Policy(Model):
    """What a group does when an alarm says so: one adjustment, then a wait (simple scaling, S1)."""

    on: Name = key("The alarm.", example="hot")
    add: Count | None = key("Instances added.", default=None, example=1)
    remove: Count | None = key("Instances taken away.", default=None, example=1)
    set: CountOrZero | None = key("Instances desired from then on.", default=None, example=3)
    add_share: PositiveNumber | None = key(
        "Instances added, as a share of those desired: 0.5 adds half, cut to a whole number, but one at least.",
        default=None,
        example=0.5,
    )
    remove_share: Share | None = key("The same, taken away.", default=None, example="50%")
    cooldown: Duration = key(
        "How long all such policies of the group wait, from when the last instance of it has come or gone.",
        default="300s",
        example="300s",
    )

    @model_validator(mode="after")
    def _one_change(self) -> Policy:
        given = [name for name in _CHANGES if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            rule = f"a policy has one change ({', '.join(_CHANGES)}); found {found}"
            refuse(rule, "{on: hot, add: 1, cooldown: 300s}")
        return self


_CHANGES: Final = ("add", "remove", "set", "add_share", "remove_share")


class Launch(Model):
    """How instances come (S3)."""

    delay: Duration = key(
        "From the decision to a running machine, which then boots as the service's `boot` says.",
        default="60s",
        example="60s",
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


class Scaling(Model):
    """A scaling group: how many instances a service has, from when to when (S1)."""

    min: CountOrZero = key("The least desired.", default=1, example=3)
    max: Annotated[int, Field(ge=1, le=COUNT_MAX)] = key("The most desired.", example=12)
    alarms: Names[Alarm] = key("Alarms by name.", default={}, example={"hot": {"metric": "cpu", "above": "50%"}})
    policies: OrNoEntries[Policy] = key("What they make the group do.", default=(), example=[{"on": "hot", "add": 1}])
    launch: Launch = key("How instances come.", default={}, example={"delay": "60s", "warmup": "60s"})
    drain: Duration = key(
        "How long an instance that is taken away still works on what it has; the rest gets a reset.",
        default="30s",
        example="30s",
    )
    per_zone: Flag = key(
        "Whether each zone has a group of its own, with these bounds each, or one group balances the zones.",
        default=False,
        example=False,
    )
    control_zone: OrNone[Name] = key(
        "The zone that the group and its alarms live in, and stop acting with; `none` is outside all zones.",
        default="none",
        example="a",
    )

    @model_validator(mode="after")
    def _is_possible(self) -> Scaling:
        if self.max < self.min:
            refuse(f"max must be at least min, {self.min}", str(self.min), "max")
        return self
