"""What answers: services, their instances (I1, I2), balancers with health checks (B, H) and calls (R8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Discriminator, Field, Strict, Tag, model_validator

from azsim.scenario.balancing import Dns, Ewma, Locality, Node, Outliers, SlowStart, WaitQueue
from azsim.scenario.data import Cache, Replication
from azsim.scenario.fields import (
    BALANCER_ATTEMPTS_MAX,
    CHECKERS_MAX,
    NODES_MAX,
    QUEUE_MAX,
    SLOTS_MAX,
    WEIGHT_MAX,
    Count,
    CountOrZero,
    Duration,
    Flag,
    Model,
    Name,
    Names,
    OrNoEntries,
    OrNoNames,
    OrNone,
    PositiveDuration,
    PositiveNumber,
    PresetName,
    Share,
    Unbuilt,
    key,
    preset_key,
    refuse,
    unbuilt,
)
from azsim.scenario.operation import Call, Step
from azsim.scenario.overload import DISCIPLINES, Discipline, Limit, OverloadOrNone, RateLimit, Warmup
from azsim.scenario.retry import Outcome
from azsim.scenario.scaling import Scaling
from azsim.scenario.tree import Path
from azsim.scenario.work import Work

Algorithm = Literal["random", "round-robin", "least-outstanding", "two-choices", "weighted-random", "peak-ewma"]


class Instance(Model):
    """One instance of a service: what it can hold and how long its work takes."""

    slots: Annotated[int, Strict(), Field(ge=1, le=SLOTS_MAX)] = key(
        "Requests in service at once (I1).", default=8, example=8
    )
    cores: PositiveNumber = key("CPUs that the busy slots share; may be a fraction (I2).", follows="slots", example=8)
    queue: Annotated[
        Annotated[Annotated[int, Strict(), Field(ge=0, le=QUEUE_MAX)], Tag("<places>")]
        | Annotated[Literal["unbounded"], Tag("<word>")],
        Discriminator(lambda value: "<word>" if isinstance(value, str) else "<places>"),
    ] = key(
        "Requests that may wait for a slot, or `unbounded`.",
        default=1000,
        example=1000,
        rule="must be a whole number or `unbounded`",
    )
    discipline: Discipline = key(
        "Who is served next: `fifo`, `lifo`, `adaptive-lifo` (newest first while a queue stands) or `codel` (drops the "
        "old while a queue stands); the last two also as a mapping.",
        default="fifo",
        example="fifo",
        choices=DISCIPLINES,
    )
    work: Work = key("CPU time of one request on one core.", example={"distribution": "exponential", "mean": "20ms"})
    weight: Annotated[int, Strict(), Field(ge=0, le=WEIGHT_MAX)] = key(
        "Its share of requests beside others' where the algorithm is `weighted-random`.", default=100, example=50
    )
    drop_expired: Flag = key(
        "Whether work whose caller cannot use it any more is dropped when its turn comes (R7).",
        default=False,
        example=False,
    )
    limit: OrNone[Limit] = key(
        "How many requests the instance holds at most, waiting ones included; the rest is answered `overload` (I1).",
        default="none",
        example={"kind": "gradient2"},
    )
    rate_limit: OrNone[RateLimit] = key(
        "How many requests a second the instance lets in (I1).", default="none", example={"rate": "100/s", "burst": 20}
    )
    boot: Duration = key(
        "After a loss or a crash: how long it refuses before it accepts again (I5).", default="0s", example="30s"
    )
    warmup: OrNone[Warmup] = key(
        "After a loss or a crash: how work is slow at first (I5).",
        default="none",
        example={"for": "60s", "slowdown": 3},
    )
    cache: OrNone[Cache] = key(
        "A cache in front of the services it calls: a hit spares the calls that are `cached` (I6).",
        default="none",
        example={"hit_ratio": "90%", "entries": 50000},
    )
    overload: OverloadOrNone = key(
        "How work slows when much is in service (I4).",
        default="none",
        example={"contention": 0.02, "coherency": 0.001},
    )


class FailOpenBelow(Model):
    """Ignore health when too few targets are healthy, by share, by count, or by whichever comes first."""

    below: Share | None = key(
        "The share of healthy targets under which all are used.", default=None, default_text="`none`", example="50%"
    )
    fewer_than: Count | None = key(
        "The number of healthy targets under which all are used.", default=None, default_text="`none`", example=3
    )

    @model_validator(mode="after")
    def _one_at_least(self) -> FailOpenBelow:
        if self.below is None and self.fewer_than is None:
            refuse("says below which share or number of healthy targets health is ignored", "{below: 50%}")
        return self


class Checkers(Model):
    """Several checkers that probe every target, each for itself (H2)."""

    count: Annotated[int, Strict(), Field(ge=1, le=CHECKERS_MAX)] = key("How many there are.", default=1, example=15)
    need: Share = key(
        "A target is healthy while more than this share of them hold it so (Route 53: 18%).",
        default="0%",
        example="18%",
    )


class Health(Model):
    """A balancer's health checks (H1, H2)."""

    preset: PresetName = preset_key("health", "aws-alb")
    interval: PositiveDuration = key("Time between two probes of a target.", default="10s", example="10s")
    timeout: PositiveDuration = key("How long a probe waits for its answer.", default="5s", example="5s")
    unhealthy_after: Count = key("Failed probes in a row that put a target out of rotation.", default=2, example=2)
    healthy_after: Count = key("Passed probes in a row that put it back.", default=5, example=5)
    checkers: Checkers = key(
        "Who probes: one checker, or several with a rule that counts them.",
        default={},
        example={"count": 15, "need": "18%"},
    )
    probe: Literal["queue", "bypass"] = key(
        "Whether a probe waits in the instance's queue like a request, or is answered from the side.",
        default="queue",
        example="queue",
    )
    schedule: Literal["fixed", "after-answer"] = key(
        "Whether probes keep a steady beat, or start `interval` after the last one ended.",
        default="fixed",
        example="fixed",
    )
    phase: Annotated[
        Annotated[Literal["spread"], Tag("<word>")] | Annotated[Duration, Tag("<time>")],
        Discriminator(lambda value: "<word>" if value == "spread" else "<time>"),
    ] = key(
        "When the first probe of a target starts: `spread` over the interval, or at a time.",
        default="spread",
        example="spread",
        rule="must be `spread` or a duration",
    )
    fail_open: Annotated[
        Annotated[Literal["all-unhealthy", "never"], Tag("<word>")] | Annotated[FailOpenBelow, Tag("<below>")],
        Discriminator(lambda value: "<below>" if isinstance(value, dict | FailOpenBelow) else "<word>"),
    ] = key(
        "When health is ignored and every target is used: `all-unhealthy`, `never`, or below a healthy share (B4).",
        default="all-unhealthy",
        example="all-unhealthy",
        rule="must be `all-unhealthy`, `never` or {below: a share, fewer_than: a number}",
    )
    propagation: Duration = key("Time from a changed verdict to the balancer acting on it.", default="1s", example="1s")


class BalancerRetry(Model):
    """Attempts on other targets that the client does not see (B5)."""

    attempts: Annotated[int, Strict(), Field(ge=1, le=BALANCER_ATTEMPTS_MAX)] = key(
        "The most targets tried for one attempt of the client.", default=2, example=3
    )
    on: Annotated[tuple[Outcome, ...], Field(min_length=1)] = key(
        "The outcomes after which another target is tried.", default=("refused",), example=["refused"]
    )
    backoff: Unbuilt = unbuilt("A wait before the next target.", "backoff: none")


class Balancer(Model):
    """How requests to a service are spread over its instances (B)."""

    preset: PresetName = preset_key("balancer", "aws-alb")
    placement: Literal["regional", "zonal", "caller"] = key(
        "Where it runs: `regional` stands outside the zones and does not fail; `zonal` has nodes in each zone, which "
        "are lost with it and found by DNS; `caller` is part of each calling process, which keeps its own turn, "
        "counts, latencies and ejections.",
        default="regional",
        example="regional",
    )
    nodes: Annotated[int, Strict(), Field(ge=1, le=NODES_MAX)] = key(
        "How many nodes a regional balancer has. Each keeps its own turn, counts, latencies and ejections; a request "
        "goes through any of them.",
        default=1,
        example=3,
    )
    nodes_per_zone: Annotated[int, Strict(), Field(ge=1, le=NODES_MAX)] = key(
        "How many nodes a zonal balancer has in each zone.", default=1, example=2
    )
    dns: Dns = key("The name by which clients find the nodes of a zonal balancer.", default={}, example={"ttl": "60s"})
    node: OrNone[Node] = key(
        "What one node can do; `none`: passing a request on costs nothing (B1).",
        default="none",
        example={"slots": 8, "work": {"distribution": "constant", "mean": "1ms"}, "queue": 1000},
    )
    algorithm: Algorithm = key(
        "How a target is chosen (B3).",
        default="round-robin",
        example="round-robin",
    )
    cross_zone: Flag = key(
        "Whether all targets are one pool; otherwise a zone is drawn first, then a target in it. The nodes of a zonal "
        "balancer then use the targets of their own zone alone.",
        default=True,
        example=True,
    )
    timeout: OrNone[PositiveDuration] = key(
        "How long the balancer itself waits for a target.", default="none", example="60s"
    )
    health: OrNone[Health] = key(
        "How targets are checked; `none` leaves every target in rotation.",
        default="none",
        example={"interval": "10s", "timeout": "5s", "unhealthy_after": 2, "healthy_after": 5},
    )
    control_zone: OrNone[Name] = key(
        "The zone its health checker and its control plane live in, and stop acting with; `none` is outside all zones.",
        default="none",
        example="a",
    )
    retry: OrNone[BalancerRetry] = key(
        "Attempts on other targets, unseen by the client.", default="none", example={"attempts": 3, "on": ["refused"]}
    )
    ewma: Ewma = key(
        "How `algorithm: peak-ewma` weighs latencies.", default={}, example={"decay": "10s", "default_latency": "30ms"}
    )
    locality: OrNone[Locality] = key(
        "Which requests stay in their caller's zone; those of callers outside go anywhere.",
        default="none",
        example={"kind": "prefer", "spill_below": "71.4%"},
    )
    slow_start: OrNone[SlowStart] = key(
        "How a target that returns to rotation gets its share.", default="none", example={"window": "30s"}
    )
    outliers: OrNone[Outliers] = key(
        "Ejection of targets by the answers they give (B5).",
        default="none",
        example={"kind": "consecutive", "errors": 5, "max_share": "50%"},
    )
    queue: OrNone[WaitQueue] = key(
        "A limit of each target, and what the balancer holds beyond it (B5).",
        default="none",
        example={"per_target": 4, "timeout": "500ms"},
    )

    @property
    def is_proxied(self) -> bool:
        """Whether it keeps count of its targets in proxies, one or many."""
        counts = (self.locality, self.slow_start, self.outliers, self.queue, self.node)
        return (
            self.placement != "regional"
            or self.nodes > 1
            or self.algorithm in ("weighted-random", "peak-ewma")
            or any(one is not None for one in counts)
        )


class PlacedCall(NamedTuple):
    """A call and where it stands below its service."""

    operation: str | None  # None: the service's own `calls`
    path: Path  # with positions in lists
    name: str  # the same with names
    call: Call


class Standby(Model):
    """One zone serves, another stands by and is promoted when that one is lost (R10)."""

    zones: Annotated[tuple[Name, ...], Field(min_length=2)] = key(
        "The zones in their order: the first one serves, the next one that is well takes over.", example=["a", "b"]
    )
    promotion: PositiveDuration = key("How long a promotion takes; until then calls fail.", example="30s")


class Service(Instance):
    """Instances that do the same work, in every zone, behind one balancer."""

    instances_per_zone: Annotated[
        Annotated[Count, Tag("<all>")] | Annotated[Names[CountOrZero], Tag("<each>")],
        Discriminator(lambda value: "<each>" if isinstance(value, dict) else "<all>"),
    ] = key(
        "Instances in each zone: one number for all, or one per zone (absent zones have none).",
        default=1,
        example=4,
        rule="must be a whole number from 1, or a mapping of zones to whole numbers",
    )
    overrides: OrNoNames[Instance] = key(
        "What is different in a zone: any key of an instance.",
        default={},
        example={"c": {"work": {"mean": "24ms"}}},
    )
    balancer: Balancer = key("How requests are spread over the instances.", default={}, example={"algorithm": "random"})
    calls: OrNoEntries[Call] = key(
        "Calls made for each request, one after the other, after its own work.",
        default=(),
        example=[{"to": "catalog", "timeout": "300ms"}],
    )
    operations: OrNoNames[Annotated[tuple[Step, ...], Field(min_length=1)]] = key(
        "What callers may ask for by name, each as steps of work and calls (R8); those who name none get the "
        "service's own work, then its calls.",
        default={},
        example={"buy": [{"work": "own"}, {"parallel": [{"to": "stock"}, {"to": "prices", "optional": True}]}]},
    )
    standby: OrNone[Standby] = key(
        "Whether one zone serves at a time; `none` lets all serve.",
        default="none",
        example={"zones": ["a", "b"], "promotion": "30s"},
    )
    replication: OrNone[Replication] = key(
        "Whether it keeps data in its zones, which can be lost with them (R11).", default="none", example={"lag": "1s"}
    )
    overload_retry_after: OrNone[Duration] = key(
        "The wait that `overload` answers ask for: a retry after one waits just that, in place of its back-off (R6).",
        default="none",
        example="1s",
    )
    scaling: OrNone[Scaling] = key(
        "Instances that come and go; `instances_per_zone` is how many there are at the start.",
        default="none",
        example={"min": 3, "max": 12},
    )

    def instance(self, zone: str) -> Instance:
        """What an instance in `zone` is like."""
        return self.overrides.get(zone, self)

    def instances(self, zone: str) -> int:
        """How many instances `zone` has."""
        if isinstance(self.instances_per_zone, Mapping):
            return self.instances_per_zone.get(zone, 0)
        return self.instances_per_zone

    def instances_most(self, zone: str) -> int:
        """How many `zone` may ever have at once, those included that are about to go."""
        if self.scaling is None:
            return self.instances(zone)
        return self.scaling.max + max(1, self.scaling.max // 10)

    @property
    def has_cache(self) -> bool:
        """Whether its instances have a cache, in some zone at least."""
        return any(instance.cache is not None for instance in (self, *self.overrides.values()))

    @property
    def every_call(self) -> list[PlacedCall]:
        """Its own calls and those of its operations, in order."""
        found = [
            PlacedCall(None, ("calls", number), f"calls.{call.id}", call) for number, call in enumerate(self.calls)
        ]
        for operation, steps in self.operations.items():
            parallels = 0
            for number, step in enumerate(steps):
                path: Path = ("operations", operation, number)
                name = f"operations.{operation}"
                if step.parallel is None:
                    kind = "call" if step.call is not None else "quorum"
                    found += [
                        PlacedCall(operation, (*path, kind), f"{name}.{call.id}.{kind}", call) for call in step.calls
                    ]
                    continue
                parallels += 1
                entry = "parallel" if parallels == 1 else f"parallel-{parallels}"
                found += [
                    PlacedCall(operation, (*path, "parallel", at), f"{name}.{entry}.parallel.{call.id}", call)
                    for at, call in enumerate(step.parallel)
                ]
        return found

    def steps(self, operation: str | None) -> tuple[Step, ...]:
        """What it does for a caller that asks for an operation, or (None) for none."""
        if operation is not None:
            return self.operations[operation]
        own = Step.model_construct(work="own", call=None, parallel=None, quorum=None)
        made = (Step.model_construct(work=None, call=call, parallel=None, quorum=None) for call in self.calls)
        return (own, *made)
