"""What breaks, when and for how long (F)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Discriminator, Field, Strict, StringConstraints, Tag, model_validator

from azsim.scenario.fields import (
    COUNT_MAX,
    Count,
    CountOrZero,
    Duration,
    FrozenDict,
    Model,
    Name,
    Number,
    OrNone,
    PositiveDuration,
    PositiveNumber,
    Share,
    key,
    refuse,
)

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]
Hosts = Annotated[
    Annotated[Literal["all"], Tag("<word>")] | Annotated[Count, Tag("<count>")],
    Discriminator(lambda value: "<word>" if isinstance(value, str) else "<count>"),
]
REPEATS_MAX: Final = 1000
_HOSTS: Final = "Which instances: `all`, or the k with the lowest ids."
_ZONE: Final = "Only instances in this zone; `none` takes every zone."


def _one_zone(zone: str) -> str:
    if zone == "each":
        refuse("each is a run for every zone, which azsim study makes; a single run loses one of them", "zone: c")
    return zone


class ZoneLoss(Model):
    """A zone goes away (F1)."""

    zone: Annotated[Name, AfterValidator(_one_zone)] = key(
        "The zone. `each` is a run for every zone, which `azsim study` makes.", example="c"
    )
    mode: Literal["power", "refuse", "blackhole", "control"] = key(
        "`power`: everything in it vanishes. `refuse`: it refuses fast. `blackhole`: packets from and to it are lost. "
        "`control`: only the controllers placed in it stop acting (`balancer.control_zone`).",
        default="power",
        example="power",
    )


class OnService(Model):
    """What a fault on instances of a service shares."""

    service: Name = key("The service.", example="web")
    zone: OrNone[Name] = key(_ZONE, default="none", example="a")
    hosts: Hosts = key(_HOSTS, default="all", example="all", rule="must be `all` or a whole number from 1")


class CpuStress(OnService):
    """Something else burns CPU on the same machines (I3)."""

    load: Share = key("How busy each stressing thread wants to be.", example="80%")
    threads: OrNone[Annotated[int, Strict(), Field(ge=1, le=COUNT_MAX)]] = key(
        "Stressing threads on each machine; `none` is one per core.", default="none", example=8
    )
    competition: Literal["shared", "own-group", "strict"] = key(
        "How the scheduler splits the CPU: one group for all, one for each, or the stress first.",
        default="shared",
        example="shared",
    )


class TrafficSpike(Model):
    """More requests than usual."""

    population: Name = key("Whose.", example="shoppers")
    factor: Number = key("What the rate is multiplied by.", example=1.5)


class Crash(OnService):
    """Instances die: what they hold is reset, later connects are refused; they come back empty (I5)."""


class Pause(OnService):
    """Instances stop answering while their hosts still accept connections (I5)."""

    backlog: CountOrZero = key("Connections each host holds while its instance is paused.", default=4096, example=4096)


class Latency(OnService):
    """Packets to instances take longer (D5, D11)."""

    add: PositiveDuration = key(
        "Added to each packet to the instance; answers travel as before (D11).", example="200ms"
    )


class ErrorRate(OnService):
    """Instances answer some requests with an error, as soon as they get a slot and without any work (D9)."""

    share: Share = key("The share of requests.", example="5%")


class Partition(Model):
    """Zones cannot reach each other, though each is well by itself (F2)."""

    between: Annotated[tuple[Name, ...], Field(min_length=2)] = key(
        "The zones; the links between any two of them are cut, both ways.", example=["a", "b"]
    )


class CutOff(Model):
    """A zone is cut off from outside: from customers and from health checks, but not from other zones (F3)."""

    zone: Name = key("The zone.", example="c")


class PacketLoss(Model):
    """Whole requests and answers get lost on their way (F2); what a transport repeats is latency, not loss."""

    share: Share = key("The share of packets, in each direction.", example="1%")
    zone: OrNone[Name] = key(
        "Only packets between this zone and anywhere else; of a service's, those of its instances there.",
        default="none",
        example="a",
    )
    service: OrNone[Name] = key("Only packets to and from this service's instances.", default="none", example="web")


class DnsFailure(Model):
    """The name of a zonal balancer does not resolve (F3): clients whose answer has expired find no target."""

    service: Name = key("The service behind it.", example="web")


class Malformed(OnService):
    """Instances do all the work of some requests, calls included, and then answer with an error."""

    share: Share = key("The share of requests.", example="5%")


class SlowDependency(OnService):
    """Work takes longer than it should."""

    factor: PositiveNumber = key("What the work of requests that start is multiplied by.", example=3)


class MemoryLeak(OnService):
    """Instances get slower and slower, crash, come back, and begin anew."""

    slowdown: PositiveNumber = key("What their work is multiplied by just before the crash.", default=3, example=3)
    grows: PositiveDuration = key("How long it takes from 1 to there, in a straight line.", example="10min")
    restart: PositiveDuration = key("How long the crash lasts.", default="30s", example="30s")


class BadDeploy(Model):
    """A new version that is worse, on a share of the instances, until it is rolled back."""

    service: Name = key("The service.", example="web")
    zone: OrNone[Name] = key(_ZONE, default="none", example="a")
    share: Share = key(
        "The share of instances that get it, rounded up, taken from the zones in turn: a canary, or `100%`.",
        default="10%",
        example="10%",
    )
    error_share: Share = key("The share of requests they answer at once with an error.", default="0%", example="20%")
    slowdown: PositiveNumber = key("What their work is multiplied by.", default=1, example=2)
    rollback_after: OrNone[PositiveDuration] = key(
        "When it is rolled back, from its start, instead of `for`.", default="none", example="5min"
    )


class ScalingEvent(OnService):
    """Instances are taken out on purpose, finish what they hold, and are added back at its end."""


class Change(Model):
    """The configuration changes while the system runs, and back at the end."""

    set: Annotated[Mapping[str, Any], Field(min_length=1), AfterValidator(FrozenDict)] = key(
        "New values by dotted path, as for `--set`. What can change: of a population or call, wherever it stands, "
        "`timeout`, `connect_timeout`, `deadline`, `cancel`, `retry` but for the kind and window of its budget, and of "
        "`breaker` `failures`, `rate`, `volume`, `open`, `on`; of a population a constant `rate`; of a service `queue` "
        "and `drop_expired`.",
        example={"traffic.shoppers.retry.attempts": 1},
    )


class CapacityRefused(Model):
    """A zone gives no new instances: launches there are refused."""

    zone: Name = key("The zone.", example="c")


class Repeat(Model):
    """A fault that comes again: flapping (F4)."""

    every: PositiveDuration = key("Time from one start to the next; more than `for`.", example="60s")
    times: Annotated[int, Strict(), Field(ge=2, le=REPEATS_MAX)] = key("How often in all.", example=5)


OnHosts = (
    CpuStress | Crash | Pause | Latency | ErrorRate | Malformed | SlowDependency | MemoryLeak | ScalingEvent | BadDeploy
)
FaultSpec = ZoneLoss | DnsFailure | TrafficSpike | Partition | CutOff | PacketLoss | CapacityRefused | Change | OnHosts
KINDS: Final = (
    "zone_loss",
    "cpu_stress",
    "traffic_spike",
    "crash",
    "pause",
    "latency",
    "error_rate",
    "partition",
    "cut_off",
    "packet_loss",
    "dns_failure",
    "malformed",
    "slow_dependency",
    "memory_leak",
    "bad_deploy",
    "scaling_event",
    "capacity_refused",
    "change",
)
UNBUILT_KINDS: Final = {
    "io_slowdown": "slow_dependency: {service: web, factor: 3}",
    "hang": "pause: {service: web}",
}


class Fault(Model):
    """One fault: when it starts, how long it lasts and what it does."""

    id: Id = key(
        "Its name in paths.", default="fault", default_text="its kind, with -2, -3 ... on repeats", example="loss"
    )
    at: Duration = key("When it starts, from the start of the run.", example="5min")
    for_: OrNone[PositiveDuration] = key(
        "How long it lasts; `none` lasts until the end of the run.", alias="for", default="none", example="10min"
    )
    repeat: OrNone[Repeat] = key(
        "How often it comes again; each time is a fault of its own, called `id.1`, `id.2` and so on.",
        default="none",
        example={"every": "60s", "times": 5},
    )
    zone_loss: ZoneLoss | None = key("A zone goes away.", default=None, example={"zone": "c"})
    cpu_stress: CpuStress | None = key(
        "Something else burns CPU on the same machines.", default=None, example={"service": "web", "load": "80%"}
    )
    traffic_spike: TrafficSpike | None = key(
        "More requests than usual.", default=None, example={"population": "shoppers", "factor": 1.5}
    )
    crash: Crash | None = key(
        "Instances die and come back empty.", default=None, example={"service": "web", "hosts": 1}
    )
    pause: Pause | None = key("Instances stop answering.", default=None, example={"service": "web", "zone": "a"})
    latency: Latency | None = key(
        "Packets take longer.", default=None, example={"service": "web", "zone": "a", "add": "200ms"}
    )
    error_rate: ErrorRate | None = key(
        "Instances answer with errors.", default=None, example={"service": "web", "share": "5%"}
    )
    partition: Partition | None = key("Zones cannot reach each other.", default=None, example={"between": ["a", "b"]})
    cut_off: CutOff | None = key("Customers cannot reach a zone.", default=None, example={"zone": "c"})
    packet_loss: PacketLoss | None = key("Packets get lost.", default=None, example={"share": "1%"})
    dns_failure: DnsFailure | None = key("A name does not resolve.", default=None, example={"service": "web"})
    malformed: Malformed | None = key(
        "Answers turn out to be errors.", default=None, example={"service": "web", "share": "5%"}
    )
    slow_dependency: SlowDependency | None = key(
        "Work takes longer.", default=None, example={"service": "catalog", "hosts": 1, "factor": 3}
    )
    memory_leak: MemoryLeak | None = key(
        "Instances slow down, crash and begin anew.", default=None, example={"service": "web", "grows": "10min"}
    )
    bad_deploy: BadDeploy | None = key(
        "A worse version, until it is rolled back.",
        default=None,
        example={"service": "web", "share": "10%", "error_share": "20%", "rollback_after": "5min"},
    )
    scaling_event: ScalingEvent | None = key(
        "Instances are taken out, and added back.", default=None, example={"service": "web", "zone": "a", "hosts": 1}
    )
    capacity_refused: CapacityRefused | None = key(
        "A zone gives no new instances.", default=None, example={"zone": "c"}
    )
    change: Change | None = key(
        "The configuration changes.", default=None, example={"set": {"traffic.shoppers.retry.attempts": 1}}
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Fault:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            rule = f"a fault has exactly one kind ({', '.join(KINDS)}); found {found}"
            refuse(rule, "[{at: 5min, for: 10min, zone_loss: {zone: c}}]")
        return self

    @property
    def kind(self) -> str:
        """Which kind of fault it is, as its key says."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def spec(self) -> FaultSpec:
        """What it does: the value under its kind."""
        spec: FaultSpec = getattr(self, self.kind)
        return spec

    @property
    def lasts_ns(self) -> int | None:
        """How long it lasts, ns; None: until the end of the run."""
        if self.for_ is None and self.bad_deploy is not None:
            return self.bad_deploy.rollback_after
        return self.for_

    @property
    def times(self) -> tuple[tuple[int, int | None], ...]:
        """When it starts and ends, ns, once for each time it comes; None: it stays."""
        starts, for_ns = [self.at], self.lasts_ns
        if self.repeat is not None:
            starts = [self.at + k * self.repeat.every for k in range(self.repeat.times)]
        return tuple((start_ns, None if for_ns is None else start_ns + for_ns) for start_ns in starts)

    def end_ns(self, duration_ns: int) -> int:
        """When it has ended for good in a run of the given length, ns; at the latest when the run does."""
        last_ns = self.times[-1][1]
        return duration_ns if last_ns is None else min(last_ns, duration_ns)
