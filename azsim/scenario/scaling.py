"""Instances that come and go (S1 to S3): alarms, what they make a group do, and how its instances are launched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    WithJsonSchema,
    model_validator,
)

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
from azsim.scenario.launches import Launch, Replacement

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


def dimension_of(metric: str) -> str:
    """What a metric is: a share, a rate or a number."""
    return _DIMENSIONS[metric]


def refuse_dimension(metric: str, amount: Amount, where: str) -> None:
    """Refuses an amount that its metric cannot have."""
    wanted = _DIMENSIONS[metric]
    if amount.dimension != wanted:
        refuse(f"{metric} is a {wanted}, not {amount}", EXAMPLES[wanted], where)


class Unusual(Model):
    """A threshold that goes by what was usual: a number of standard deviations off the mean of earlier points (S2)."""

    side: Literal["high", "low"] = key("Which side breaches.", default="high", example="high")
    width: PositiveNumber = key("How many standard deviations.", default=3, example=3)
    learns: Annotated[int, Strict(), Field(ge=2, le=1000)] = key(
        "How many points, older than those that are judged, tell what is usual; before there are so many the alarm "
        "knows nothing.",
        default=10,
        example=10,
    )


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
    unusual: Unusual | None = key(
        "It breaches where it is not as usual.", default=None, example={"side": "high", "width": 3}
    )
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
        if self.unusual is not None:
            return ">" if self.unusual.side == "high" else "<"
        return next(sign for sign, name in _RELATIONS.items() if getattr(self, name) is not None)

    @property
    def threshold(self) -> Amount:
        """The value it breaches at, where there is one."""
        found: Amount = getattr(self, _RELATIONS[self.relation])
        return found

    @model_validator(mode="after")
    def _is_judgeable(self) -> Alarm:
        given = [name for name in (*_RELATIONS.values(), "unusual") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            rule = f"an alarm has one threshold: above, at_least, below, at_most or unusual; found {found}"
            refuse(rule, "{metric: cpu, above: 50%}")
        if self.unusual is None:
            refuse_dimension(self.metric, self.threshold, given[0])
        if self.of < self.count:
            refuse(f"{self.count} points cannot breach of {self.of}", str(self.count), "of")
        seconds, rest = divmod(self.period, SECOND_NS)
        if rest or (seconds not in (10, 20, 30) and seconds % 60):
            refuse("a period is 10s, 20s, 30s or whole minutes", "60s", "period")
        return self


_RELATIONS: Final = {">": "above", ">=": "at_least", "<": "below", "<=": "at_most"}


class Change(Model):
    """What is changed."""

    add: Count | None = key("Instances added.", default=None, example=1)
    remove: Count | None = key("Instances taken away.", default=None, example=1)
    set: CountOrZero | None = key("Instances desired from then on.", default=None, example=3)
    add_share: PositiveNumber | None = key(
        "Instances added, as a share of those desired: 0.5 adds half, cut to a whole number, but one at least.",
        default=None,
        example=0.5,
    )
    remove_share: Share | None = key("The same, taken away.", default=None, example="50%")
    at_least: Count = key("The least that a share changes.", default=1, example=2)

    @property
    def given(self) -> list[str]:
        """The changes that are written."""
        return [name for name in CHANGES if getattr(self, name) is not None]


CHANGES: Final = ("add", "remove", "set", "add_share", "remove_share")


class Step(Change):
    """One step of step scaling: what to change from a breach of this size on, up to the next step."""

    from_: MetricValue | None = key(
        "How far beyond the threshold the step begins; `none` at the threshold itself.",
        default=None,
        alias="from",
        example="20%",
    )

    @model_validator(mode="after")
    def _one_change(self) -> Step:
        if len(self.given) != 1:
            found = " and ".join(self.given) or "none"
            refuse(f"a step has one change ({', '.join(CHANGES)}); found {found}", "{from: 20%, add: 3}")
        return self

    @property
    def lower(self) -> float:
        """Where it begins."""
        return 0.0 if self.from_ is None else self.from_.value


class Preset(NamedTuple):
    """How target tracking judges its metric."""

    period_ns: int
    out_after: int
    in_after: int


PRESETS: Final[Mapping[str, Preset]] = {
    "classic-2023": Preset(60 * SECOND_NS, 3, 15),
    "responsive-2024": Preset(10 * SECOND_NS, 3, 90),
    "proportional": Preset(60 * SECOND_NS, 1, 1),
}
"""The alarms that target tracking makes are not documented: three high points of a minute and fifteen low ones are what
is seen; `responsive-2024` assumes metrics each ten seconds; `proportional` acts on every point.
"""


class Target(Model):
    """Target tracking: as many instances as bring a metric to its target."""

    metric: Metric = key(_METRIC, default="cpu", example="cpu")
    value: MetricValue = key("The target.", example="70%")
    preset: Literal["classic-2023", "responsive-2024", "proportional"] = key(
        "How soon it acts: three points of 60s above the target and fifteen below the lower threshold; the same times "
        "with points of 10s, thus out after 30s; or at every point of 60s.",
        default="classic-2023",
        example="responsive-2024",
    )
    period: OrNone[PositiveDuration] = key(
        "The length of a data point; `none` as the preset has it.", default="none", example="60s"
    )
    out_after: OrNone[Count] = key(
        "How many points in a row above the target; `none` as the preset has it.", default="none", example=3
    )
    in_after: OrNone[Count] = key(
        "How many points in a row below the lower threshold; `none` as the preset has it.", default="none", example=15
    )
    in_below: Share = key("The lower threshold, as a share of the target.", default="90%", example="90%")
    scale_in: Flag = key("Whether it takes instances away, too.", default=True, example=False)

    @property
    def times(self) -> Preset:
        """The preset with what is written instead of it."""
        preset = PRESETS[self.preset]
        return Preset(
            self.period or preset.period_ns, self.out_after or preset.out_after, self.in_after or preset.in_after
        )

    @model_validator(mode="after")
    def _is_possible(self) -> Target:
        refuse_dimension(self.metric, self.value, "value")
        if not self.value.value:
            refuse("a target is more than 0", EXAMPLES[_DIMENSIONS[self.metric]], "value")
        return self


class Schedule(Model):
    """Other bounds at a time."""

    at: Duration = key("When, from the start of the run.", example="10min")
    every: OrNone[PositiveDuration] = key("How often it comes again; `none` is once.", default="none", example="1h")
    min: OrNone[CountOrZero] = key("The least desired, from then on.", default="none", example=6)
    max: OrNone[Count] = key("The most desired, from then on.", default="none", example=24)
    desired: OrNone[CountOrZero] = key("Instances desired, then.", default="none", example=12)


class Policy(Change):
    """What a group does when an alarm says so (S1): one change and then a wait, a step, or target tracking; or what it
    does at a time.
    """

    on: OrNone[Name] = key("The alarm that it acts on; with one change, or `steps`.", default="none", example="hot")
    cooldown: Duration = key(
        "After one change: how long all such policies of the group wait, from when the last instance has come or gone.",
        default="300s",
        example="300s",
    )
    steps: OrNoEntries[Step] = key(
        "What to change by how far the metric is beyond the threshold.",
        default=(),
        example=[{"add": 1}, {"from": "20%", "add": 3}],
    )
    target: Target | None = key("Target tracking.", default=None, example={"metric": "cpu", "value": "70%"})
    schedule: Schedule | None = key("Other bounds at a time.", default=None, example={"at": "10min", "min": 6})

    @property
    def kind(self) -> str:
        """Which kind of policy it is."""
        return next(kind for kind, given in self._kinds if given)

    @property
    def _kinds(self) -> list[tuple[str, bool]]:
        return [
            ("simple", bool(self.given)),
            ("step", bool(self.steps)),
            ("target", self.target is not None),
            ("schedule", self.schedule is not None),
        ]

    @model_validator(mode="after")
    def _one_kind(self) -> Policy:
        kinds = [kind for kind, given in self._kinds if given]
        if len(kinds) != 1 or len(self.given) > 1:
            found = " and ".join([*self.given, *(kind for kind in kinds if kind != "simple")]) or "none"
            rule = f"a policy has one change ({', '.join(CHANGES)}), or steps, or target, or schedule; found {found}"
            refuse(rule, "{on: hot, add: 1, cooldown: 300s}")
        if (self.on is None) != (kinds[0] in ("target", "schedule")):
            if self.on is None:
                refuse("acts on an alarm: name it", "{on: hot, add: 1}")
            refuse(f"a policy with {kinds[0]} needs no alarm", "none", "on")
        return self


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
    health: Replacement = key("How unwell instances are replaced.", default={}, example={"check": "balancer"})
    rebalance: Flag = key(
        "Whether an instance moves to a zone that has two fewer than another: it is launched there first.",
        default=True,
        example=False,
    )
    termination: Literal["newest", "oldest", "random"] = key(
        "Who goes, of the zone that has most.", default="newest", example="random"
    )
    protect_new: Flag = key(
        "Whether instances that were launched are never scaled in; unwell ones are replaced all the same.",
        default=False,
        example=True,
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
