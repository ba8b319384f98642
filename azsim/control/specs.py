"""What the control plane is made of, in raw numbers: the part of a scenario that the data plane does not read."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Spread:
    """A time with a distribution (policy/distributions.py), ns."""

    kind: int
    a: float
    b: float = 0.0
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Threshold:
    """What counts as breaching: `value` beyond `limit`, or outside what was usual (`width` > 0, policy/alarms.py)."""

    relation: str  # ">", ">=", "<", "<="
    limit: float
    width: float = 0.0  # of the band, in standard deviations; 0: a fixed limit
    learns: int = 0  # points that the band is made of

    @property
    def is_low(self) -> bool:
        """Whether it looks for values that are too low."""
        return self.relation.startswith("<")

    def breached(self, value: float, limit: float) -> bool:
        """Whether a value is beyond a limit."""
        if self.relation == ">":
            return value > limit
        if self.relation == ">=":
            return value >= limit
        return value < limit if self.relation == "<" else value <= limit


@dataclass(frozen=True, slots=True)
class AlarmSpec:
    """An alarm on a metric of a group's instances (S2)."""

    name: str
    metric: str  # "cpu" (share), "requests" (per second and instance), "queue" (waiting at an instance)
    statistic: str  # over instances: "average", "maximum", "minimum"
    period_ns: int
    threshold: Threshold
    count: int
    of: int
    treatment: int  # policy/alarms.py
    what: str  # "cpu > 50%"


@dataclass(frozen=True, slots=True)
class SimpleSpec:
    """One adjustment when an alarm says so, then a wait."""

    on: str
    kind: int  # policy/scaling.py
    amount: float
    cooldown_ns: int
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class StepRange:
    """An adjustment from a breach of `lower` on."""

    lower: float
    kind: int  # policy/scaling.py
    amount: float


@dataclass(frozen=True, slots=True)
class StepSpec:
    """An adjustment by how far an alarm's metric is beyond its threshold; steps by ascending bounds."""

    on: str
    steps: tuple[StepRange, ...]
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """Target tracking: two alarms that say when the metric is off its target."""

    target: float
    high: str
    low: str
    scales_in: bool


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """From `at_ns` on, and again every `every_ns` (0: once), other bounds and another number; None: as it is."""

    at_ns: int
    every_ns: int
    least: int | None
    most: int | None
    desired: int | None


PolicySpec = SimpleSpec | StepSpec | TargetSpec | ScheduleSpec


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """How instances come (S3)."""

    delay: Spread  # from the request to a running machine
    warmup_ns: int  # from then on it counts as warming
    refusal_ns: int  # until a zone without capacity says so
    retry_ns: int  # after every zone has refused
    balanced_only: bool = False  # a zone that refuses is asked again, instead of another one
    throttle_ns: int = 0  # a token's time; 0: no limit
    burst: int = 1


NEWEST, OLDEST, RANDOM = range(3)
"""Who goes first."""


@dataclass(frozen=True, slots=True)
class HealthSpec:
    """How a group finds unwell instances and replaces them (S3)."""

    interval_ns: int
    replaces: bool
    by_balancer: bool  # what the balancer holds unhealthy is unwell, too
    grace_ns: int
    share: float  # of those desired, that are replaced at a time
    launches_first: bool  # another one runs before the unwell one goes
    ignores_avoided: bool  # in a zone that is shifted away nothing is replaced


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """A scaling group: some or all zones of a service."""

    name: str  # "web", or "web.a" where each zone has a group of its own
    service: int
    zones: tuple[int, ...]
    least: int
    most: int
    initial: tuple[tuple[int, int], ...]  # (zone, instances at the start)
    launch: LaunchSpec
    drain_ns: int
    control_zone: int  # -1: outside all zones
    health: HealthSpec
    termination: int
    protects_new: bool  # what was launched is never scaled in
    rebalances: bool
    alarms: tuple[AlarmSpec, ...] = ()
    policies: tuple[PolicySpec, ...] = ()

    @property
    def desired(self) -> int:
        """Instances at the start."""
        return sum(count for _, count in self.initial)


@dataclass(frozen=True, slots=True)
class TelemetrySpec:
    """The way from instances to those who watch them (T1)."""

    delay_ns: int = 0
    from_inside: bool = False  # an agent in the instance reports, over the network
    rate_per_s: float = 0.0  # points and lines that it carries; 0: everything
    buffer: int = 0  # how many may wait
    lines_per_failure: float = 0.0


@dataclass(frozen=True, slots=True)
class ShiftSpec:
    """A zone is shifted away from some services for a while (T4). `rank`: of two at once, the higher one counts."""

    name: str
    zone: int
    services: tuple[int, ...]
    start_ns: int
    end_ns: int
    rank: int


@dataclass(frozen=True, slots=True)
class HazardSpec:
    """A hazard on a wire of a controller (T2)."""

    number: int  # among all hazards
    controller: str
    wire: str
    name: str
    size: float  # ns, or a plain number (policy/hazards.py)
    probability: float
    zone: int = -1  # only what is about it; -1: all


@dataclass(frozen=True, slots=True)
class ControlSpec:
    """All of it."""

    shifts: tuple[ShiftSpec, ...] = ()
    groups: tuple[GroupSpec, ...] = ()
    telemetry: TelemetrySpec = field(default_factory=TelemetrySpec)
    hazards: tuple[HazardSpec, ...] = ()
