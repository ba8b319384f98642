"""From a scenario to tables: the one crossing between what users write and what the data plane reads.

Nothing here depends on anything but the scenario, the seed and the replicate: the same input gives the same tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from azsim.base.seeds import run_key
from azsim.base.units import SECOND_NS
from azsim.dataplane.codes import INFINITE
from azsim.dataplane.layout import (
    HOP,
    HOP_CHANGEABLE,
    INSTANCE,
    INSTANCE_CHANGEABLE,
    OPERATION,
    PLACE,
    POLICY,
    POLICY_CHANGEABLE,
    POPULATION,
    RECORDED,
    SEGMENT,
    SERVICE,
    SHARE,
    STEP,
    TRAIT,
    Int64s,
    Plan,
    Records,
    Standby,
)
from azsim.policy import balancing, limits, retry, shedding, users
from azsim.policy.arrivals import UNITS_PER_NS
from azsim.scenario import Scenario
from azsim.scenario.arithmetic import mixes_at
from azsim.scenario.operation import Call
from azsim.scenario.overload import AimdLimit, FixedLimit, Gradient2Limit, VegasLimit, discipline_kind
from azsim.scenario.programs import mean_work_ns
from azsim.scenario.retry import Budget, Grpc, Retry, TokenBucket
from azsim.scenario.service import FailOpenBelow, Health, Instance, Service
from azsim.scenario.traffic import Population, RatePoint
from azsim.simulation.lower_balancing import addresses, balancing_tables, name_rules
from azsim.simulation.lower_policies import Policies, mask
from azsim.simulation.lower_programs import Programs, cumulated
from azsim.simulation.lower_work import WorkTable, work_parameters

# Scenario stands here for those above who need the types of both sides: this module and its parts alone import both.
__all__ = ["Scenario", "changed_rows", "instance_numbers", "lower", "work_parameters"]

Row = dict[str, Any]

_ALGORITHMS = {
    "random": balancing.RANDOM,
    "round-robin": balancing.ROUND_ROBIN,
    "least-outstanding": balancing.LEAST_OUTSTANDING,
    "two-choices": balancing.TWO_CHOICES,
    "weighted-random": balancing.WEIGHTED_RANDOM,
    "peak-ewma": balancing.PEAK_EWMA,
}
_JITTERS = {
    "none": retry.NO_JITTER,
    "full": retry.FULL,
    "equal": retry.EQUAL,
    "decorrelated": retry.DECORRELATED,
    "proportional": retry.PROPORTIONAL,
}
_DISCIPLINES = {
    "fifo": shedding.FIFO,
    "lifo": shedding.LIFO,
    "adaptive-lifo": shedding.ADAPTIVE_LIFO,
    "codel": shedding.CODEL,
}
# The traits of an instance that has none: CoDel's times are those of its authors, and used by its disciplines alone.
_PLAIN: Row = {
    "newest_beyond": INFINITE,
    "codel_interval_ns": 100_000_000,
    "codel_target_ns": 5_000_000,
    "contention": 0.0,
    "coherency": 0.0,
    "limit": limits.NONE,
    "limit_start": 0.0,
    "limit_least": 0.0,
    "limit_most": 0.0,
    "limit_ratio": 0.0,
    "limit_timeout_ns": INFINITE,
    "limit_queue": 0.0,
    "limit_tolerance": 0.0,
    "limit_window": 0.0,
    "token_interval": 0,
    "token_burst": 0,
    "boot_ns": 0,
    "warm_slowdown": 1.0,
    "warm_ns": 0,
    "warm_requests": 0,
    "cache_entries": 0,
    "cache_filled": 0,
    "cache_hit_ratio": 0.0,
    "cache_kept": 0.0,
}
_RICH_FAULTS = {"packet_loss", "malformed", "slow_dependency", "memory_leak", "bad_deploy"}
_NO_RATE: list[Row] = [{"start_ns": 0, "rate": 0.0, "slope": 0.0}]
_NO_HEALTH: Row = {
    "fail_open_below": 0.0,
    "fail_open_fewer": 0,
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
}


def lower(scenario: Scenario, seed: int, replicate: int = 0) -> Plan:
    """The tables of one run."""
    services = {name: number for number, name in enumerate(scenario.services)}
    numbers = instance_numbers(scenario)
    counts = {name: sum(len(numbers[name, zone]) for zone in scenario.zones) for name in services}
    work_table = WorkTable()
    programs = Programs(scenario, work_table)
    instances, traits, names = _instances(scenario, numbers, work_table)
    hops = _Hops(scenario, programs, counts)
    populations: list[Row] = []
    places: list[Row] = []
    segments: list[Row] = []
    recorded: list[tuple[int, int]] = []
    mix: list[Row] = []
    for number, population in enumerate(scenario.traffic.values()):
        own_places = _places(population, scenario.zones)
        own_segments = _segments(population.profile) if population.has_rate else _NO_RATE
        own_mix = programs.mix(population)
        populations.append(
            {
                "hop": hops.add(population, population.clients, population=number),
                "clients": population.clients,
                "places_first": len(places),
                "places_count": len(own_places),
                "segments_first": len(segments),
                "segments_count": len(own_segments),
                "priority": population.priority,
                "mix_first": len(mix),
                "mix_count": len(own_mix),
                "recorded_first": len(recorded),
                "recorded_count": len(population.recorded),
            }
            | _users(population)
        )
        mix += own_mix
        places += own_places
        segments += own_segments
        rows = {name: row for row, name in enumerate(population.mix)}
        asked = [rows[name] for name in population.recorded_operations] or [-1] * len(population.recorded)
        recorded += zip(population.recorded, asked, strict=True)
    service_rows = []
    for name, service in scenario.services.items():
        row = _service(service)
        row |= {"instances_first": numbers[name, scenario.zones[0]].start, "instances_count": counts[name]}
        row |= {"calls_first": len(hops.rows), "calls_count": len(service.calls)}
        control_zone = service.balancer.control_zone
        row["control_zone"] = -1 if control_zone is None else scenario.zones.index(control_zone)
        numbers_of_hops = [hops.add(one.call, counts[name], caller=services[name]) for one in service.every_call]
        row |= {"hops_count": len(numbers_of_hops), "operation": programs.default(name)}
        programs.add(name, numbers_of_hops)
        service_rows.append(row)
    balancers = [service.balancer for service in scenario.services.values()]
    balancing_table, hop_proxies = balancing_tables(balancers, hops.rows, hops.clients, len(scenario.zones))
    hop_addresses, address_count = addresses(balancers, hops.rows, hops.clients)
    return Plan(
        key=run_key(seed, replicate),
        epoch=0,
        zones=scenario.zones,
        population_names=tuple(scenario.traffic),
        service_names=tuple(scenario.services),
        instance_names=names,
        populations=_table(POPULATION, populations),
        places=_table(PLACE, places),
        segments=_table(SEGMENT, segments),
        hops=_table(HOP, hops.rows),
        policies=_table(POLICY, hops.policies.rows),
        services=_table(SERVICE, service_rows),
        instances=instances,
        traits=traits,
        work_table=work_table.table,
        delay_ns=_delays(scenario),
        buckets=hops.buckets,
        meters=hops.policies.meters,
        breakers=hops.policies.breakers,
        ring_places=hops.policies.ring_places,
        times=hops.policies.times,
        pools=hops.policies.pools,
        pool_places=hops.policies.pool_places,
        shared_cpu=bool(np.any(instances["cores"] < instances["slots"]))
        or any(fault.kind in ("cpu_stress", "pause") for fault in scenario.faults),
        rich=_is_rich(scenario) or programs.used or hops.rich or hops.policies.used,
        operation_names=programs.names,
        operations=_table(OPERATION, programs.operations),
        steps=_table(STEP, programs.steps),
        mix=_table(SHARE, mix),
        recorded=np.array(recorded, RECORDED),
        standbys=tuple(
            Standby(services[name], tuple(map(scenario.zones.index, service.standby.zones)), service.standby.promotion)
            for name, service in scenario.services.items()
            if service.standby is not None
        ),
        balancing=balancing_table,
        weights=_weights(scenario, numbers),
        hop_proxies=hop_proxies,
        hop_addresses=hop_addresses,
        addresses=address_count,
        dns=name_rules(balancers),
    )


def _is_rich(scenario: Scenario) -> bool:
    """Whether something is used that only the full kernel has."""
    services = scenario.services.values()
    instances = [service.instance(zone) for service in services for zone in scenario.zones]
    return (
        any(population.priority or population.users is not None for population in scenario.traffic.values())
        or any(map(_has_traits, instances))
        or any(fault.kind in _RICH_FAULTS for fault in scenario.faults)
        or any(service.balancer.is_proxied for service in services)
        or any(health.checkers.count > 1 for service in services if (health := service.balancer.health) is not None)
        or any(
            lower(scenario.changed_by(fault).with_({"faults": []}), 0).rich
            for fault in scenario.faults
            if fault.kind == "change"
        )
    )


def _weights(scenario: Scenario, numbers: Mapping[tuple[str, str], range]) -> Int64s:
    """The weight of each instance."""
    weights = [[scenario.services[name].instance(zone).weight] * len(own) for (name, zone), own in numbers.items()]
    return np.array([weight for own in weights for weight in own], np.int64)


def changed_rows(before: Scenario, after: Scenario) -> tuple[dict[int, Row], dict[int, Row]]:
    """By number, the fields of hops and of instances that differ and may change while a plan runs (D57)."""
    old, new = lower(before, 0), lower(after, 0)
    hops = _differing(old.hops, new.hops, HOP_CHANGEABLE)
    for number, fields in _differing(old.policies, new.policies, POLICY_CHANGEABLE).items():
        hops.setdefault(number, {}).update(fields)
    return dict(sorted(hops.items())), _differing(old.instances, new.instances, INSTANCE_CHANGEABLE)


def _differing(rows: Records, others: Records, names: tuple[str, ...]) -> dict[int, Row]:
    pairs = enumerate(zip(rows, others, strict=True))
    found = {i: {name: y[name].item() for name in names if y[name] != x[name]} for i, (x, y) in pairs}
    return {number: fields for number, fields in found.items() if fields}


def instance_numbers(scenario: Scenario) -> dict[tuple[str, str], range]:
    """The numbers of the instances of each (service, zone): service by service, in each zone by zone."""
    numbers = {}
    first = 0
    for name, service in scenario.services.items():
        for zone in scenario.zones:
            after = first + service.instances_most(zone)
            numbers[name, zone] = range(first, after)
            first = after
    return numbers


def _table(dtype: np.dtype[Any], rows: Sequence[Row]) -> Records:
    """Rows as a structured array; a row that lacks a field is an error, whatever else it has."""
    assert dtype.names is not None
    return np.array([tuple(row[name] for name in dtype.names) for row in rows], dtype)


def _or_infinite(time_ns: int | None) -> int:
    return INFINITE if time_ns is None else time_ns


def _tokens(tokens: float) -> int:
    """Tokens in thousandths (O2)."""
    return round(tokens * 1000)


def _delays(scenario: Scenario) -> Int64s:
    """One-way delays, ns: zones, then outside, which is as far from each zone as the zone from itself (O8)."""
    zones = scenario.zones
    delay_ns = np.full((len(zones) + 1, len(zones) + 1), scenario.network.same_zone, np.int64)
    for i, zone in enumerate(zones):
        for j, other in enumerate(zones):
            delay_ns[i, j] = scenario.network.delay_ns(zone, other)
    return delay_ns


def _places(population: Population, zones: tuple[str, ...]) -> list[Row]:
    """Where callers are, by cumulative shares of 2^32."""
    if not isinstance(population.from_, Mapping):
        return [{"place": len(zones), "upto": 1 << 32}]
    shares = [(place, population.from_[zone]) for place, zone in enumerate(zones) if population.from_.get(zone)]
    return [{"place": place, "upto": upto} for place, upto in cumulated(shares)]


def _users(population: Population) -> Row:
    if population.users is None:
        return {"users": 0, "think": 0, "think_ns": 0}
    kind = users.EXPONENTIAL if population.users.distribution == "exponential" else users.CONSTANT
    return {"users": population.users.count, "think": kind, "think_ns": population.users.think}


def _segments(profile: Sequence[RatePoint]) -> list[Row]:
    """The rate in constant and linear pieces. A profile begins at 0, and a ramp ends by the next point."""
    rows: list[Row] = []
    rate = 0.0
    for point, after in zip_longest(profile, profile[1:]):
        before, rate = rate, point.rate * UNITS_PER_NS
        if point.ramp:
            rows.append({"start_ns": point.at, "rate": before, "slope": (rate - before) / point.ramp})
        ramp_end_ns = point.at + point.ramp
        if after is None or ramp_end_ns < after.at:
            rows.append({"start_ns": ramp_end_ns, "rate": rate, "slope": 0.0})
    return rows


class _Hops:
    """Collects the hops, and numbers the token buckets that their budgets need."""

    def __init__(self, scenario: Scenario, programs: Programs, counts: Mapping[str, int]) -> None:
        """counts: instances of each service."""
        self._counts = counts
        self.rows: list[Row] = []
        self.policies = Policies()
        self.clients: list[int] = []  # client processes of each
        self.buckets = 0
        self._numbers = {name: number for number, name in enumerate(scenario.services)}
        self._services = scenario.services
        self._programs = programs

    @property
    def rich(self) -> bool:
        """Whether a hop uses what only the full kernel has."""
        return any(row["prefer_zone"] or row["propagate_deadline"] for row in self.rows)

    def add(self, hop: Population | Call, clients: int, *, caller: int = -1, population: int = -1) -> int:
        """Adds the hop of a population or a call that so many client processes make (O7); its row."""
        row: Row = {
            "service": self._numbers[hop.to],
            "caller": caller,
            "population": population,
            "timeout_ns": _or_infinite(hop.timeout),
            "connect_timeout_ns": _or_infinite(hop.connect_timeout),
            "deadline_ns": _or_infinite(hop.deadline),
            "cancel": int(hop.cancel),
            "same_zone": int(isinstance(hop, Call) and hop.route == "same-zone"),
            "prefer_zone": int(isinstance(hop, Call) and hop.route == "prefer-zone"),
            "spill_below": hop.spill_below if isinstance(hop, Call) else 0.0,
            "propagate_deadline": int(hop.propagate_deadline),
            "operation": self._programs.asked(hop),
            "optional": int(isinstance(hop, Call) and hop.optional),
        }
        row |= _retry(hop.retry)
        budget = hop.retry.budget if hop.retry else None
        row |= _bucket(budget, self.buckets)
        if row["buckets_first"] >= 0:
            self.buckets += clients
        self.rows.append(row)
        self.clients.append(clients)
        cached = (
            caller >= 0 and isinstance(hop, Call) and hop.cached and list(self._services.values())[caller].has_cache
        )
        self.policies.add(
            hop, self._services[hop.to].overload_retry_after, clients, self._counts[hop.to], cached=cached
        )
        return len(self.rows) - 1


def _retry(policy: Retry | None) -> Row:
    row: Row = {"attempts": 1, "retry_on": 0, "backoff": retry.AT_ONCE}
    row |= {"backoff_base_ns": 0, "backoff_cap_ns": 0, "backoff_factor": 1.0}
    if policy is None:
        return row
    row |= {"attempts": policy.attempts, "retry_on": mask(policy.on)}
    if policy.backoff is not None:
        row |= {
            "backoff": _JITTERS[policy.backoff.jitter],
            "backoff_base_ns": policy.backoff.base,
            "backoff_cap_ns": policy.backoff.cap,
            "backoff_factor": policy.backoff.factor,
        }
    return row


def _bucket(budget: Budget | None, buckets_first: int) -> Row:
    """The token bucket of a budget that has one."""
    if isinstance(budget, Grpc):
        budget = TokenBucket(capacity=budget.max_tokens, cost=0, timeout_cost=0, deposit=budget.ratio)
    if not isinstance(budget, TokenBucket):
        names = ("capacity", "cost", "timeout_cost", "deposit", "deposit_after_retry", "on_request")
        return {"buckets_first": -1} | {f"budget_{name}": 0 for name in names}
    after_retry = budget.deposit_after_retry
    return {
        "buckets_first": buckets_first,
        "budget_capacity": _tokens(budget.capacity),
        "budget_cost": _tokens(budget.cost),
        "budget_timeout_cost": _tokens(budget.timeout_cost),
        "budget_deposit": _tokens(budget.deposit),
        "budget_deposit_after_retry": -1 if isinstance(after_retry, str) else _tokens(after_retry),
        "budget_on_request": int(budget.deposit_on == "request"),
    }


def _service(service: Service) -> Row:
    """A service's balancer and health checks."""
    balancer = service.balancer
    return {
        "replication_ns": -1 if service.replication is None else service.replication.lag,
        "algorithm": _ALGORITHMS[balancer.algorithm],
        "cross_zone": int(balancer.cross_zone),
        "balancer_timeout_ns": _or_infinite(balancer.timeout),
        "redispatch_attempts": balancer.retry.attempts if balancer.retry else 1,
        "redispatch_on": mask(balancer.retry.on) if balancer.retry else 0,
    } | (_NO_HEALTH if balancer.health is None else _health(balancer.health))


def _health(health: Health) -> Row:
    below, fewer_than = (balancing.NEVER_OPEN if health.fail_open == "never" else 0.0), 0
    if isinstance(health.fail_open, FailOpenBelow):
        below, fewer_than = health.fail_open.below or 0.0, health.fail_open.fewer_than or 0
    return {
        "fail_open_below": below,
        "fail_open_fewer": fewer_than,
        "health": 1,
        "unhealthy_after": health.unhealthy_after,
        "healthy_after": health.healthy_after,
        "checkers": health.checkers.count,
        "checkers_need": health.checkers.need,
        "probe_queue": int(health.probe == "queue"),
        "after_answer": int(health.schedule == "after-answer"),
        "interval_ns": health.interval,
        "probe_timeout_ns": health.timeout,
        "phase_ns": -1 if isinstance(health.phase, str) else health.phase,
        "propagation_ns": health.propagation,
    }


def _instances(
    scenario: Scenario, numbers: Mapping[tuple[str, str], range], work_table: WorkTable
) -> tuple[Records, Records, tuple[str, ...]]:
    """All instances and their traits, service by service and zone by zone, and their names."""
    blocks: list[Records] = []
    traits: list[Records] = []
    names: list[str] = []
    mixes = mixes_at(scenario, 0)
    for number, (name, service) in enumerate(scenario.services.items()):
        for place, zone in enumerate(scenario.zones):
            instance = service.instance(zone)
            row = _instance(instance) | {"service": number, "zone": place} | work_table.row(instance.work)
            row["work_mean_ns"] = mean_work_ns(service, instance, mixes[name])
            count = len(numbers[name, zone])
            blocks.append(np.repeat(_table(INSTANCE, [row]), count))
            traits.append(np.repeat(_table(TRAIT, [_trait(service.instance(zone))]), count))
            names += [f"{name}-{zone}-{k}" for k in range(1, count + 1)]
    return np.concatenate(blocks), np.concatenate(traits), tuple(names)


def _instance(instance: Instance) -> Row:
    return {
        "slots": instance.slots,
        "discipline": _DISCIPLINES[discipline_kind(instance.discipline)],
        "drop_expired": int(instance.drop_expired),
        "queue": INFINITE if isinstance(instance.queue, str) else instance.queue,
        "cores": instance.cores,
    }


def _has_traits(instance: Instance) -> bool:
    """Whether an instance has what only the full kernel knows."""
    return _DISCIPLINES[discipline_kind(instance.discipline)] > shedding.LIFO or _trait(instance) != _PLAIN


def _trait(instance: Instance) -> Row:
    row = dict(_PLAIN)
    discipline = instance.discipline
    if not isinstance(discipline, str):
        row |= {"codel_interval_ns": discipline.interval, "codel_target_ns": discipline.target}
        row["newest_beyond"] = _or_infinite(discipline.beyond)
    row |= _limit(instance) | {"boot_ns": instance.boot}
    if instance.warmup is not None:
        warmup = instance.warmup
        row |= {"warm_slowdown": warmup.slowdown, "warm_ns": warmup.for_ or 0, "warm_requests": warmup.requests or 0}
    if instance.cache is not None:
        cache = instance.cache
        row |= {"cache_entries": cache.entries, "cache_filled": math.floor(cache.entries * cache.filled)}
        row |= {"cache_hit_ratio": cache.hit_ratio, "cache_kept": cache.kept}
    if instance.overload is not None:
        row |= {"contention": instance.overload.contention, "coherency": instance.overload.coherency}
    return row


def _limit(instance: Instance) -> Row:
    """What limits the requests that an instance lets in."""
    row: Row = {}
    if instance.rate_limit is not None:
        # A token's time, rounded up once; in 2^-10 ns the rate is kept to a millionth.
        row["token_interval"] = math.ceil(SECOND_NS * 1024 / instance.rate_limit.rate)
        row["token_burst"] = instance.rate_limit.burst
    match instance.limit:
        case FixedLimit(max=most):
            row |= {"limit": limits.FIXED, "limit_start": most}
        case AimdLimit() as limit:
            row |= {"limit": limits.AIMD, "limit_start": limit.start, "limit_ratio": limit.backoff}
            row |= {"limit_least": limit.min, "limit_most": limit.max, "limit_timeout_ns": limit.timeout}
        case Gradient2Limit() as limit:
            row |= {"limit": limits.GRADIENT2, "limit_start": limit.start, "limit_ratio": limit.smoothing}
            row |= {"limit_least": limit.min, "limit_most": limit.max, "limit_queue": limit.queue}
            row |= {"limit_tolerance": limit.tolerance, "limit_window": limit.window}
        case VegasLimit() as limit:
            row |= {"limit": limits.VEGAS, "limit_start": limit.start, "limit_most": limit.max}
    return row
