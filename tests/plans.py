"""Builds Plans for tests, straight from tables: every field has a default, every default is the simplest there is.

Times are nanoseconds unless a name says otherwise. `plan(...)` takes what `population`, `service` and `call` describe:

    plan = make_plan(
        populations=[population("web", arrivals_ns=[1000, 2000], timeout_ns=500)],
        services=[service("web", per_zone={"a": 1}, work_ns=100)],
    )
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from azsim.base.seeds import run_key
from azsim.dataplane.codes import INFINITE, Outcome
from azsim.dataplane.layout import (
    BALANCING,
    CALLS_STEP,
    HOP,
    INSTANCE,
    OPERATION,
    PLACE,
    POLICY,
    POPULATION,
    QUORUM_STEP,
    RECORDED,
    SEGMENT,
    SERVICE,
    SHARE,
    STEP,
    TRAIT,
    WORK_STEP,
    Plan,
    times_words,
)
from azsim.policy import breakers, guards, hedging, limits
from azsim.policy.arrivals import UNITS_PER_NS, increment
from azsim.policy.balancing import ROUND_ROBIN, WEIGHTED_RANDOM
from azsim.policy.distributions import CONSTANT
from azsim.policy.retry import AT_ONCE
from azsim.policy.shedding import FIFO, LIFO
from tests.balancing_plans import BALANCING_DEFAULTS, address_rows, balancing_rows

KEY = run_key(1)
US = 1_000
MS = 1_000_000
S = 1_000_000_000

Fields = dict[str, Any]

HOP_DEFAULTS: Fields = {
    "attempts": 1,
    "timeout_ns": INFINITE,
    "connect_timeout_ns": INFINITE,
    "deadline_ns": INFINITE,
    "retry_on": (),  # outcomes
    "backoff": AT_ONCE,
    "backoff_base_ns": 0,
    "backoff_cap_ns": 0,
    "backoff_factor": 1.0,
    "cancel": 0,
    "same_zone": 0,
    "budget_capacity": None,  # thousandths of a token; None: no budget
    "budget_cost": 0,
    "budget_timeout_cost": 0,
    "budget_deposit": 0,
    "budget_deposit_after_retry": -1,
    "budget_on_request": 0,
    "operation": -1,
    "optional": 0,
    "prefer_zone": 0,
    "spill_below": 0.0,
    "propagate_deadline": 0,
}
POLICY_DEFAULTS: Fields = {  # given among the fields of a hop
    "backoff_spread": 0.0,
    "avoid_previous": 0,
    "budget": guards.TOKEN_BUCKET,
    "retry_after_ns": -1,
    "budget_part_ns": 1,
    "budget_ratio": 0,
    "budget_reserve": 0,
    "throttle_k": 0.0,
    "breaker": breakers.NO_BREAKER,
    "breaker_on": 0,  # or outcomes
    "breaker_probes": 1,
    "breaker_volume": 0,
    "breaker_rate": 0,
    "breaker_open_ns": 0,
    "breaker_window": 1,
    "breaker_part_ns": 1,
    "cached": 0,
    "hedges": 0,
    "hedge_budget": hedging.FREE,
    "hedge_delay_ns": 0,
    "hedge_samples": 0,  # 0: the delay is fixed
    "hedge_place": 0,
    "hedge_part_ns": 1,
    "hedge_ratio": 0,
    "hedge_reserve": 0,
    "pool_max": 0,
    "pool_acquire_ns": INFINITE,
    "pool_idle_ns": INFINITE,
    "handshake_trips": 0,
    "handshake_ns": 0,
}
METERED = (guards.RATIO, guards.CLIENT_THROTTLING)
SERVICE_DEFAULTS: Fields = {
    "algorithm": ROUND_ROBIN,
    "cross_zone": 1,
    "fail_open_below": 0.0,
    "fail_open_fewer": 0,
    "balancer_timeout_ns": INFINITE,
    "redispatch_attempts": 1,
    "redispatch_on": (),  # outcomes
    "health": 0,
    "unhealthy_after": 1,
    "healthy_after": 1,
    "checkers": 1,
    "checkers_need": 0.0,
    "probe_queue": 0,
    "after_answer": 0,
    "interval_ns": INFINITE,
    "probe_timeout_ns": INFINITE,
    "phase_ns": 0,
    "propagation_ns": 0,
    "control_zone": -1,
    "replication_ns": -1,
}
INSTANCE_DEFAULTS: Fields = {
    "slots": 1,
    "discipline": FIFO,
    "drop_expired": 0,
    "work": CONSTANT,
    "work_a": 0.0,
    "work_b": 0.0,
    "table_first": 0,
    "table_count": 0,
    "work_mean_ns": 0.0,
    "queue": INFINITE,
    "cores": None,  # None: as many as slots
    "weight": 1,  # of a weighted-random balancer
}
TRAIT_DEFAULTS: Fields = {
    "newest_beyond": INFINITE,
    "codel_interval_ns": 100 * MS,
    "codel_target_ns": 5 * MS,
    "contention": 0.0,
    "coherency": 0.0,
    "limit": limits.NONE,
    "limit_start": 20.0,
    "limit_least": 20.0,
    "limit_most": 200.0,
    "limit_ratio": 0.9,
    "limit_timeout_ns": 5 * S,
    "limit_queue": 4.0,
    "limit_tolerance": 1.5,
    "limit_window": 600.0,
    "token_interval": 0,
    "token_burst": 1,
    "boot_ns": 0,
    "warm_slowdown": 1.0,
    "warm_ns": 0,
    "warm_requests": 0,
    "cache_entries": 0,
    "cache_filled": 0,
    "cache_hit_ratio": 0.0,
    "cache_kept": 0.0,
}


def outcomes(*words: Outcome) -> int:
    """A set of outcomes as the bits of `retry_on` and `redispatch_on`."""
    return sum(1 << outcome for outcome in set(words))


def _with(defaults: Fields, given: Fields) -> Fields:
    unknown = set(given) - set(defaults)
    assert not unknown, f"no such field: {', '.join(sorted(unknown))}"
    return defaults | given


def _hop(given: Fields) -> Fields:
    hop = _with(HOP_DEFAULTS | POLICY_DEFAULTS, given)
    if not isinstance(hop["retry_on"], int):
        hop["retry_on"] = outcomes(*hop["retry_on"])
    if not isinstance(hop["breaker_on"], int):
        hop["breaker_on"] = outcomes(*hop["breaker_on"])
    return hop


@dataclass(frozen=True)
class PopulationSpec:
    """What `population` returns."""

    to: str
    name: str
    clients: int
    rate_per_s: float
    arrivals_ns: Sequence[int] | None
    segments: Sequence[tuple[int, float, float]] | None
    places: Mapping[str, float]
    priority: int
    users: tuple[int, int, int]
    recorded_ns: Sequence[int]
    recorded_asks: Sequence[str]
    hop: Fields
    mix: Mapping[str, float]


@dataclass(frozen=True)
class ServiceSpec:
    """What `service` returns."""

    name: str
    per_zone: Mapping[str, int] | int
    fields: Fields
    instance: Fields
    overrides: Mapping[str, Fields]  # by zone
    balancing: Fields  # with `proxied`
    calls: Sequence[CallSpec]
    operations: Mapping[str, Sequence[StepSpec]]
    default: str | None
    writes: Collection[str]


@dataclass(frozen=True)
class StepSpec:
    """What `work_step`, `calls_step` and `quorum_step` return."""

    fields: Fields
    calls: Sequence[CallSpec] = ()


@dataclass(frozen=True)
class CallSpec:
    """What `call` returns."""

    to: str
    hop: Fields = field(default_factory=dict)
    asks: str | None = None


def population(
    to: str = "web",
    *,
    name: str = "clients",
    clients: int = 1,
    rate_per_s: float = 0.0,
    arrivals_ns: Sequence[int] | None = None,
    segments: Sequence[tuple[int, float, float]] | None = None,
    places: Mapping[str, float] | None = None,
    priority: int = 0,
    mix: Mapping[str, float] | None = None,
    users: tuple[int, int, int] = (0, 0, 0),
    recorded_ns: Sequence[int] = (),
    recorded_asks: Sequence[str] = (),
    **hop: Any,
) -> PopulationSpec:
    """Clients of service `to`.

    They come at `rate_per_s`, or exactly at the instants `arrivals_ns` (> 0, ascending, several at one instant are
    fine), or by `segments`: (start_ns, requests per s, change of that per s). `places`: shares by zone name or
    "outside"; `mix`: shares by operation of `to`; `users`: how many, kind of think time (policy/users.py) and its mean;
    `recorded_ns`: a trace; `recorded_asks`: what each of its requests asks for, of the mix, or "". Everything else is a
    field of HOP.
    """
    where = places or {"outside": 1.0}
    return PopulationSpec(
        to,
        name,
        clients,
        rate_per_s,
        arrivals_ns,
        segments,
        where,
        priority,
        users,
        recorded_ns,
        recorded_asks,
        _hop(hop),
        mix or {},
    )


def call(to: str, asks: str | None = None, **hop: Any) -> CallSpec:
    """A call of a service's operation to service `to`; `asks`: for which operation; the rest are fields of HOP."""
    return CallSpec(to, _hop(hop), asks)


STEP_DEFAULTS: Fields = {"hop": -1, "calls": 0, "need": 0, "zones": 0, "work": -1, "work_a": 0.0, "work_b": 0.0}
STEP_DEFAULTS |= {"table_first": 0, "table_count": 0}


def work_step(work_ns: float | None = None, **fields: Any) -> StepSpec:
    """A step of constant work, of work as the fields of STEP say, or (nothing given) of the instance's own."""
    if work_ns is not None:
        fields |= {"work": CONSTANT, "work_a": float(work_ns)}
    return StepSpec(_with(STEP_DEFAULTS, fields) | {"kind": WORK_STEP})


def calls_step(*calls: CallSpec) -> StepSpec:
    """A step of calls made at once."""
    return StepSpec(STEP_DEFAULTS | {"kind": CALLS_STEP, "calls": len(calls), "need": len(calls)}, calls)


def quorum_step(made: CallSpec, calls: int, need: int) -> StepSpec:
    """A step of so many calls to zones of their own, of which `need` must succeed."""
    return StepSpec(STEP_DEFAULTS | {"kind": QUORUM_STEP, "calls": calls, "need": need}, [made])


def service(
    name: str = "web",
    *,
    per_zone: Mapping[str, int] | int = 1,
    work_ns: float | None = None,
    calls: Sequence[CallSpec] = (),
    overrides: Mapping[str, Fields] | None = None,
    operations: Mapping[str, Sequence[StepSpec]] | None = None,
    default: str | None = None,
    writes: Collection[str] = (),
    **fields: Any,
) -> ServiceSpec:
    """A service with so many instances per zone; `work_ns` is constant work; `default`: the operation for callers
    that ask for none (None: work, then calls); `writes`: the operations that write its data.

    The rest are fields of SERVICE, BALANCING, INSTANCE and TRAIT; `overrides` gives fields of the last two by zone.
    """
    if work_ns is not None:
        fields |= {"work": CONSTANT, "work_a": float(work_ns), "work_mean_ns": float(work_ns)}
    given = {key: fields.pop(key) for key in list(fields) if key in BALANCING_DEFAULTS}
    balancing = BALANCING_DEFAULTS | given
    balancing["proxied"] = int(bool(given) or fields.get("algorithm", 0) >= WEIGHTED_RANDOM)
    if not isinstance(balancing["outlier_on"], int):
        balancing["outlier_on"] = outcomes(*balancing["outlier_on"])
    of_instances = INSTANCE_DEFAULTS | TRAIT_DEFAULTS
    own = _with(SERVICE_DEFAULTS, {key: value for key, value in fields.items() if key not in of_instances})
    if not isinstance(own["redispatch_on"], int):
        own["redispatch_on"] = outcomes(*own["redispatch_on"])
    instance = of_instances | {key: value for key, value in fields.items() if key in of_instances}
    return ServiceSpec(
        name, per_zone, own, instance, overrides or {}, balancing, calls, operations or {}, default, writes
    )


def arrival_segments(key: int, number: int, arrivals_ns: Sequence[int]) -> list[tuple[int, float, float]]:
    """A rate profile under which population `number` gets its requests exactly at these instants.

    In the nanosecond before each one the rate is just what the thresholds of the requests due then ask for.
    """
    segments = [(0, 0.0, 0.0)]
    request = number << 44
    for t_ns in sorted(set(arrivals_ns)):
        assert t_ns > 0
        units = 0
        for _ in range(arrivals_ns.count(t_ns)):
            units += increment(key, request)
            request += 1
        pulse = (t_ns - 1, float(units), 0.0)
        if segments[-1][0] == pulse[0]:
            segments[-1] = pulse
        else:
            segments.append(pulse)
        segments.append((t_ns, 0.0, 0.0))
    return segments


def _segments(spec: PopulationSpec, key: int, number: int) -> list[tuple[int, float, float]]:
    if spec.arrivals_ns is not None:
        return arrival_segments(key, number, list(spec.arrivals_ns))
    given = spec.segments or [(0, spec.rate_per_s, 0.0)]
    return [(start_ns, rate * UNITS_PER_NS, slope * UNITS_PER_NS / 1e9) for start_ns, rate, slope in given]


def _places(spec: PopulationSpec, zones: Sequence[str]) -> list[Fields]:
    rows: list[Fields] = []
    total = sum(spec.places.values())
    reached = 0.0
    for name, share in spec.places.items():
        reached += share
        place = len(zones) if name == "outside" else zones.index(name)
        rows.append({"place": place, "upto": round(reached / total * (1 << 32))})
    return rows


def _mix(spec: PopulationSpec, names_of_operations: Sequence[str]) -> list[Fields]:
    rows: list[Fields] = []
    total = sum(spec.mix.values())
    reached = 0.0
    for name, share in spec.mix.items():
        reached += share
        operation = names_of_operations.index(f"{spec.to}.{name}")
        rows.append({"operation": operation, "upto": round(reached / total * (1 << 32))})
    return rows


def _zones_with(callee: ServiceSpec, zones: Sequence[str]) -> int:
    if isinstance(callee.per_zone, int):
        return (1 << len(zones)) - 1
    return sum(1 << place for place, zone in enumerate(zones) if callee.per_zone.get(zone, 0))


def _table(dtype: np.dtype[Any], rows: Iterable[Fields]) -> np.ndarray[Any, Any]:
    names = dtype.names or ()
    return np.array([tuple(row[name] for name in names) for row in rows], dtype)


def _is_rich(instance: Fields) -> bool:
    """Whether an instance has what only the full kernel knows."""
    return instance["discipline"] > LIFO or any(instance[key] != value for key, value in TRAIT_DEFAULTS.items())


def make_plan(
    *,
    populations: Sequence[PopulationSpec],
    services: Sequence[ServiceSpec],
    zones: Sequence[str] = ("a", "b"),
    key: int = KEY,
    epoch: int = 0,
    same_zone_ns: int = 0,
    cross_zone_ns: int = 0,
    delay_ns: Sequence[Sequence[int]] | None = None,
    work_table: Sequence[int] = (),
    shared_cpu: bool = True,
    rich: bool = False,
) -> Plan:
    """The Plan of these populations and services. Outside is `same_zone_ns` from everywhere."""
    number_of = {spec.name: number for number, spec in enumerate(services)}
    names_of_operations = [f"{spec.name}.{name}" for spec in services for name in spec.operations]
    hops: list[Fields] = []
    buckets = meters = breaker_count = ring_places = times = pools = pool_places = 0

    def asked(callee: str, operation: str | None) -> int:
        return -1 if operation is None else names_of_operations.index(f"{callee}.{operation}")

    def add_hop(fields: Fields, callee: str, clients: int, caller: int = -1, population: int = -1) -> int:
        nonlocal buckets, meters, breaker_count, ring_places, times, pools, pool_places
        has_budget = fields["budget_capacity"] is not None
        hop = fields | {
            "service": number_of[callee],
            "caller": caller,
            "population": population,
            "buckets_first": buckets if has_budget else -1,
            "budget_capacity": fields["budget_capacity"] if has_budget else 0,
        }
        buckets += clients if has_budget else 0
        hop["budget_meters"] = meters if hop["budget"] in METERED else -1
        meters += clients if hop["budget"] in METERED else 0
        has_breaker = hop["breaker"] != breakers.NO_BREAKER
        hop |= {"breakers_first": breaker_count if has_breaker else -1}
        hop |= {"breaker_rings": ring_places, "breaker_meters": meters}
        breaker_count += clients if has_breaker else 0
        ring_places += clients * hop["breaker_window"] if has_breaker else 0
        meters += clients if has_breaker else 0
        hop |= {"hedge_meters": meters if hop["hedge_budget"] == hedging.OF_ITS_OWN else -1}
        meters += clients if hop["hedge_meters"] >= 0 else 0
        hop |= {"hedge_times": times if hop["hedge_samples"] > 0 else -1}
        times += clients * times_words(hop["hedge_samples"]) if hop["hedge_samples"] > 0 else 0
        called = services[number_of[callee]].per_zone
        instances = called * len(zones) if isinstance(called, int) else sum(called.values())
        hop |= {"pool_clients": clients, "pools_first": pools, "pool_offset": pool_places - pools * hop["pool_max"]}
        pools += clients * instances if hop["pool_max"] else 0
        pool_places += clients * instances * hop["pool_max"]
        hops.append(hop)
        return len(hops) - 1

    population_rows: list[Fields] = []
    place_rows: list[Fields] = []
    segment_rows: list[Fields] = []
    mix_rows: list[Fields] = []
    recorded: list[tuple[int, int]] = []
    for number, spec in enumerate(populations):
        places, segments = _places(spec, zones), _segments(spec, key, number)
        population_rows.append(
            {
                "hop": add_hop(spec.hop, spec.to, spec.clients, population=number),
                "clients": spec.clients,
                "places_first": len(place_rows),
                "places_count": len(places),
                "segments_first": len(segment_rows),
                "segments_count": len(segments),
                "priority": spec.priority,
                "mix_first": len(mix_rows),
                "mix_count": len(spec.mix),
                "users": spec.users[0],
                "think": spec.users[1],
                "think_ns": spec.users[2],
                "recorded_first": len(recorded),
                "recorded_count": len(spec.recorded_ns),
            }
        )
        asks = [list(spec.mix).index(name) if name else -1 for name in spec.recorded_asks]
        recorded += zip(spec.recorded_ns, asks or [-1] * len(spec.recorded_ns), strict=True)
        mix_rows += _mix(spec, names_of_operations)
        place_rows += places
        segment_rows += [{"start_ns": start, "rate": rate, "slope": slope} for start, rate, slope in segments]

    operation_rows: list[Fields] = []
    step_rows: list[Fields] = []
    service_rows: list[Fields] = []
    instance_rows: list[Fields] = []
    names: list[str] = []
    for number, owner in enumerate(services):
        first = len(instance_rows)
        for place, zone in enumerate(zones):
            fields = _with(INSTANCE_DEFAULTS | TRAIT_DEFAULTS, owner.instance | dict(owner.overrides.get(zone, {})))
            fields |= {"cores": float(fields["slots"]) if fields["cores"] is None else fields["cores"]}
            count = owner.per_zone if isinstance(owner.per_zone, int) else owner.per_zone.get(zone, 0)
            instance_rows += [fields | {"service": number, "zone": place}] * count
            names += [f"{owner.name}-{zone}-{i + 1}" for i in range(count)]
        count = len(instance_rows) - first
        calls_first = len(hops)
        for made in owner.calls:
            add_hop(made.hop | {"operation": asked(made.to, made.asks)}, made.to, count, caller=number)
        for operation, steps in owner.operations.items():
            row = {"steps_first": len(step_rows), "steps_count": len(steps), "writes": int(operation in owner.writes)}
            operation_rows.append(row)
            for step in steps:
                row = dict(step.fields)
                if step.calls:
                    row["hop"] = len(hops)
                for made in step.calls:
                    add_hop(made.hop | {"operation": asked(made.to, made.asks)}, made.to, count, caller=number)
                if row["kind"] == QUORUM_STEP:
                    row["zones"] = _zones_with(services[number_of[step.calls[0].to]], zones)
                step_rows.append(row)
        service_rows.append(
            owner.fields
            | {
                "instances_first": first,
                "instances_count": count,
                "calls_first": calls_first,
                "calls_count": len(owner.calls),
                "hops_count": len(hops) - calls_first,
                "operation": asked(owner.name, owner.default),
            }
        )

    balancing, hop_proxies = balancing_rows(services, populations, hops, service_rows, len(zones))
    hop_addresses, addresses = address_rows(services, populations, hops, service_rows)
    if delay_ns is None:
        delays = np.full((len(zones) + 1, len(zones) + 1), cross_zone_ns, np.int64)
        np.fill_diagonal(delays, same_zone_ns)
        delays[-1, :] = delays[:, -1] = same_zone_ns
    else:
        delays = np.array(delay_ns, np.int64)
    return Plan(
        key=key,
        epoch=epoch,
        zones=tuple(zones),
        population_names=tuple(spec.name for spec in populations),
        service_names=tuple(spec.name for spec in services),
        instance_names=tuple(names),
        populations=_table(POPULATION, population_rows),
        places=_table(PLACE, place_rows),
        segments=_table(SEGMENT, segment_rows),
        hops=_table(HOP, hops),
        policies=_table(POLICY, hops),
        services=_table(SERVICE, service_rows),
        instances=_table(INSTANCE, instance_rows),
        traits=_table(TRAIT, instance_rows),
        work_table=np.array(work_table, np.int64),
        delay_ns=delays,
        buckets=buckets,
        meters=meters,
        breakers=breaker_count,
        ring_places=ring_places,
        times=times,
        pools=pools,
        pool_places=pool_places,
        shared_cpu=shared_cpu,
        rich=rich
        or any(spec.priority for spec in populations)
        or any(_is_rich(row) for row in instance_rows)
        or any(hop[name] != value for hop in hops for name, value in POLICY_DEFAULTS.items())
        or bool(operation_rows)
        or any(hop["optional"] or hop["prefer_zone"] or hop["propagate_deadline"] for hop in hops)
        or any(row["proxied"] for row in balancing)
        or any(row["checkers"] > 1 for row in service_rows),
        operation_names=tuple(names_of_operations),
        operations=_table(OPERATION, operation_rows),
        steps=_table(STEP, step_rows),
        mix=_table(SHARE, mix_rows),
        recorded=np.array(recorded, RECORDED),
        balancing=_table(BALANCING, balancing),
        weights=np.array([row["weight"] for row in instance_rows], np.int64),
        hop_proxies=np.array(hop_proxies, np.int64),
        hop_addresses=np.array(hop_addresses, np.int64),
        addresses=addresses,
    )
