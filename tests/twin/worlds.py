"""Small worlds for the twin tests: a plan, what control does to it and when, drawn by hypothesis.

Times lie on a coarse grid and delays are often zero, so that many events meet at one instant: that is where two engines
would part. Each draw tells `FEATURES` what it contains, and the test prints how often each was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from azsim.base.seeds import run_key
from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE, InstanceState, Outcome, Reason
from azsim.dataplane.layout import POLICY_CHANGEABLE, Plan, Recording
from azsim.dataplane.protocol import DataPlane, Notice
from azsim.policy import (
    balancing,
    breakers,
    cpu,
    distributions,
    guards,
    hedging,
    limits,
    retry,
    shedding,
)
from tests.plans import (
    MS,
    CallSpec,
    PopulationSpec,
    ServiceSpec,
    StepSpec,
    call,
    calls_step,
    make_plan,
    population,
    quorum_step,
    service,
    work_step,
)
from tests.twin.balancers import proxies
from tests.twin.drawing import RETRIED, grid, note

END_NS = 400 * MS
BREAKERS = [breakers.CONSECUTIVE, breakers.COUNT_WINDOW, breakers.TIME_WINDOW, breakers.CUMULATIVE]
BUDGETS = [guards.TOKEN_BUCKET, guards.GRPC, guards.RATIO, guards.CLIENT_THROTTLING]


@dataclass(frozen=True)
class Action:
    """What control does at `at_ns`: a method of DataPlane and its arguments."""

    at_ns: int
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class World:
    """One case of the twin test."""

    plan: Plan
    actions: tuple[Action, ...]
    cuts: tuple[int, ...]


def _mostly() -> st.SearchStrategy[bool]:
    return st.sampled_from([True, True, True, False])


@st.composite
def _hops(draw: Any, deadlines: bool, rich: bool) -> dict[str, Any]:
    hop: dict[str, Any] = {
        "attempts": draw(st.integers(1, 4)),
        "timeout_ns": draw(st.one_of(grid(2, 60), st.just(INFINITE))),
        "connect_timeout_ns": draw(st.one_of(st.just(INFINITE), grid(0.5, 20))),
        "deadline_ns": draw(grid(10, 150)) if deadlines and draw(st.booleans()) else INFINITE,
        "retry_on": tuple(draw(st.sets(st.sampled_from(RETRIED), min_size=0 if draw(st.booleans()) else 6))),
        "backoff": draw(st.sampled_from([retry.AT_ONCE, retry.NO_JITTER, retry.FULL, retry.EQUAL, retry.DECORRELATED])),
        "backoff_base_ns": draw(grid(0.5, 20)),
        "backoff_factor": draw(st.sampled_from([1.0, 1.5, 2.0])),
        "backoff_cap_ns": draw(grid(20, 60)),
        "cancel": draw(st.integers(0, 1)),
        "same_zone": draw(st.integers(0, 1)),
    }
    note("retry", hop["attempts"] > 1 and len(hop["retry_on"]) > 0)
    note("no timeout", hop["timeout_ns"] == INFINITE)
    note("connect timeout", hop["connect_timeout_ns"] < INFINITE)
    note("deadline", hop["deadline_ns"] < INFINITE)
    note("cancel", hop["cancel"] == 1)
    note("same zone", hop["same_zone"] == 1)
    note(f"back-off kind {hop['backoff']}", hop["attempts"] > 1)
    if rich:
        hop["prefer_zone"] = draw(st.integers(0, 1)) if hop["same_zone"] == 0 else 0
        hop["spill_below"] = draw(st.sampled_from([0.0, 0.6, 1.0]))
        hop["propagate_deadline"] = draw(st.integers(0, 1))
        note("prefer zone", hop["prefer_zone"] == 1)
        note("deadline propagated", hop["propagate_deadline"] == 1)
    if draw(st.booleans()):
        hop |= {
            "budget_capacity": draw(st.integers(0, 20)) * 1000,
            "budget_cost": draw(st.integers(0, 5000)),
            "budget_timeout_cost": draw(st.integers(0, 8000)),
            "budget_deposit": draw(st.integers(0, 1500)),
            "budget_deposit_after_retry": draw(st.sampled_from([-1, 0, 700])),
            "budget_on_request": draw(st.integers(0, 1)),
        }
        note("budget", True)
    if rich:
        hop |= draw(_policies(hop))
    return hop


@st.composite
def _policies(draw: Any, hop: dict[str, Any]) -> dict[str, Any]:
    """What only a rich kernel has: other budgets and jitter, other targets, waits that are asked for."""
    policy: dict[str, Any] = {"avoid_previous": draw(st.integers(0, 1))}
    policy["retry_after_ns"] = draw(st.one_of(st.just(-1), grid(0, 20)))
    if draw(st.booleans()):
        policy |= {"backoff": retry.PROPORTIONAL, "backoff_spread": draw(st.sampled_from([0.2, 1.0]))}
    policy["budget"] = draw(st.sampled_from(BUDGETS))
    policy["budget_part_ns"] = draw(grid(0.5, 20))
    if policy["budget"] == guards.GRPC:
        policy |= {"budget_capacity": draw(st.integers(1, 6)) * 1000, "budget_deposit": draw(st.integers(0, 1000))}
        policy |= {"budget_cost": 0, "budget_timeout_cost": 0, "budget_deposit_after_retry": policy["budget_deposit"]}
        policy |= {"budget_on_request": 0}
    elif policy["budget"] == guards.RATIO:
        policy |= {"budget_capacity": None, "budget_ratio": draw(st.integers(0, 600_000))}
        policy |= {"budget_reserve": draw(st.integers(0, 2_500_000))}
    elif policy["budget"] == guards.CLIENT_THROTTLING:
        policy |= {"budget_capacity": None, "throttle_k": draw(st.sampled_from([1.0, 1.5, 2.0]))}
    retries = hop["attempts"] > 1 and len(hop["retry_on"]) > 0
    note("avoids the previous target", retries and policy["avoid_previous"] == 1)
    note("retry after overload", Outcome.OVERLOAD in hop["retry_on"] and retries and policy["retry_after_ns"] >= 0)
    note("proportional jitter", retries and "backoff" in policy)
    note("gRPC budget", retries and policy["budget"] == guards.GRPC)
    note("ratio budget", retries and policy["budget"] == guards.RATIO)
    kind = draw(st.sampled_from([breakers.NO_BREAKER, *BREAKERS]))
    if kind != breakers.NO_BREAKER:
        policy |= {
            "breaker": kind,
            "breaker_on": tuple(draw(st.sets(st.sampled_from(RETRIED), min_size=1))),
            "breaker_probes": draw(st.integers(1, 3)),
            "breaker_volume": draw(st.integers(1, 4)),
            "breaker_rate": draw(st.sampled_from([1, 100_000, 333_333, 500_000, 1_000_000])),
            "breaker_open_ns": draw(grid(0.5, 60)),
            "breaker_window": draw(st.integers(4, 8)),
            "breaker_part_ns": draw(grid(0.5, 20)),
        }
        if draw(st.booleans()):
            policy["retry_on"] = (*hop["retry_on"], Outcome.BREAKER_OPEN)
    if kind != breakers.NO_BREAKER:
        note(f"breaker kind {kind}", True)
    note("retried while the breaker is open", "retry_on" in policy and hop["attempts"] > 1)
    if draw(st.integers(0, 2)) == 0:
        samples = draw(st.sampled_from([0, 0, 2, 5]))
        policy |= {
            "hedges": draw(st.integers(1, 3)),
            "hedge_delay_ns": draw(st.one_of(st.just(0), grid(0.5, 20))),
            "hedge_samples": samples,
            "hedge_place": draw(st.integers(0, max(0, samples - 1))),
            "hedge_budget": draw(st.sampled_from([hedging.FREE, hedging.OF_RETRIES, hedging.OF_ITS_OWN])),
            "hedge_part_ns": draw(grid(0.5, 20)),
            "hedge_ratio": draw(st.integers(0, 1_000_000)),
            "hedge_reserve": draw(st.integers(0, 2_500_000)),
        }
        note("hedges", True)
        note("hedges after what times teach", samples > 0)
        note(f"budget of hedges: kind {policy['hedge_budget']}", True)
    if draw(st.integers(0, 2)) == 0:
        policy |= {
            "pool_max": draw(st.integers(1, 3)),
            "pool_acquire_ns": draw(st.one_of(st.just(INFINITE), grid(0, 20))),
            "pool_idle_ns": draw(st.one_of(st.just(INFINITE), grid(0.5, 40))),
            "handshake_trips": draw(st.integers(0, 2)),
            "handshake_ns": draw(grid(0, 4)),
        }
        note("connections", True)
        note("wait for a connection is bounded", policy["pool_acquire_ns"] < INFINITE)
        note("idle connections are closed", policy["pool_idle_ns"] < INFINITE)
        note("handshakes take work", policy["handshake_ns"] > 0)
    note("client throttling", policy["budget"] == guards.CLIENT_THROTTLING)
    return policy


@st.composite
def _work(draw: Any, table: list[int]) -> dict[str, Any]:
    kind = draw(st.sampled_from(range(7)))
    mean = draw(grid(0, 12))
    a, b = float(mean), 0.0
    if kind == distributions.LOGNORMAL:
        a, b = float(np.log(max(mean, 1000))), 0.5
    elif kind == distributions.GAMMA:
        a, b = draw(st.sampled_from([0.5, 4.0])), max(1.0, mean / 4.0)
    elif kind == distributions.PARETO:
        a, b = 1 / 2.5, max(1.0, mean * 0.6)
    elif kind == distributions.UNIFORM:
        b = float(mean)
    note(f"work kind {kind}", True)
    return {"work": kind, "work_a": a, "work_b": b, "work_mean_ns": float(mean), "table_count": len(table)}


@st.composite
def _traits(draw: Any) -> dict[str, Any]:
    """What only the full kernel has at an instance."""
    fields: dict[str, Any] = {}
    if draw(st.booleans()):
        fields["discipline"] = draw(st.sampled_from([shedding.ADAPTIVE_LIFO, shedding.CODEL]))
        fields["newest_beyond"] = draw(st.sampled_from([0, 2, INFINITE]))
        fields["codel_interval_ns"] = draw(grid(2, 40))
        fields["codel_target_ns"] = draw(grid(0, 6))
    if draw(st.booleans()):
        fields["contention"] = draw(st.sampled_from([0.0, 0.05, 0.5]))
        fields["coherency"] = draw(st.sampled_from([0.0, 0.01, 0.3]))
        note("overload slowdown", fields["contention"] + fields["coherency"] > 0)
    if draw(st.booleans()):
        kind = draw(st.sampled_from([limits.FIXED, limits.AIMD, limits.GRADIENT2, limits.VEGAS]))
        start = float(draw(st.integers(1, 6)))
        fields |= {"limit": kind, "limit_start": start, "limit_least": draw(st.sampled_from([1.0, start]))}
        fields |= {"limit_most": draw(st.sampled_from([start, 9.0])), "limit_timeout_ns": draw(grid(1, 40))}
        fields |= {"limit_ratio": draw(st.sampled_from([0.2, 0.9])), "limit_queue": draw(st.sampled_from([0.0, 2.0]))}
        fields |= {"limit_tolerance": draw(st.sampled_from([1.0, 1.5])), "limit_window": 20.0}
        note(f"limit kind {kind}", True)
    if draw(st.booleans()):
        fields |= {"token_interval": draw(grid(0.5, 10)) * 1024, "token_burst": draw(st.integers(1, 5))}
        note("rate limit", True)
    if draw(st.booleans()):
        fields |= {"boot_ns": draw(grid(0, 20)), "warm_slowdown": draw(st.sampled_from([1.0, 1.5, 4.0]))}
        by_time = draw(st.booleans())
        fields |= {"warm_ns": draw(grid(1, 100)) if by_time else 0, "warm_requests": 0 if by_time else 7}
        note("boot", fields["boot_ns"] > 0)
        note("warm-up by time" if by_time else "warm-up by requests", fields["warm_slowdown"] > 1)
    return fields


@st.composite
def _calls(draw: Any, below: ServiceSpec) -> CallSpec:
    """A call of a program to a service, perhaps for one of its operations."""
    asks = draw(st.sampled_from([None, *below.operations]))
    optional = draw(st.integers(0, 1))
    note("asks for an operation", asks is not None)
    hop = draw(_hops(draw(st.booleans()), draw(st.booleans())))
    hop["cached"] = draw(st.sampled_from([0, 1, 1]))
    return call(below.name, asks, **hop, optional=optional)


@st.composite
def _steps(draw: Any, table: list[int], below: ServiceSpec | None, zones: list[str]) -> StepSpec:
    kinds = ["own work", "work"] if below is None else ["own work", "work", "calls", "calls", "quorum"]
    kind = draw(st.sampled_from(kinds))
    note(f"step: {kind}", True)
    if kind == "own work":
        return work_step()
    if kind == "work":
        given = draw(_work(table))
        del given["work_mean_ns"]
        return work_step(**given)
    assert below is not None
    if kind == "calls":
        made = draw(st.lists(_calls(below), min_size=1, max_size=3))
        note("step: parallel calls", len(made) > 1)
        note("optional call", any(spec.hop["optional"] for spec in made))
        return calls_step(*made)
    assert not isinstance(below.per_zone, int)
    calls = draw(st.integers(1, sum(below.per_zone[zone] > 0 for zone in zones)))
    spec = draw(_calls(below))
    note("optional quorum", spec.hop["optional"] == 1)
    return quorum_step(spec, calls, draw(st.integers(1, calls)))


@st.composite
def _operations(draw: Any, table: list[int], below: ServiceSpec | None, zones: list[str]) -> dict[str, list[StepSpec]]:
    names = ["x", "y"][: draw(st.integers(1, 2))]
    return {name: draw(st.lists(_steps(table, below, zones), min_size=1, max_size=4)) for name in names}


@st.composite
def _services(
    draw: Any,
    name: str,
    zones: list[str],
    table: list[int],
    calls: list[CallSpec],
    shared: bool,
    rich: bool,
    operations: dict[str, list[StepSpec]] | None = None,
) -> ServiceSpec:
    slots = draw(st.integers(1, 4))
    cores = draw(st.sampled_from([0.5, 1.0, 2.0, 3.5])) if shared and draw(st.booleans()) else float(slots)
    fields: dict[str, Any] = {
        "algorithm": draw(
            st.sampled_from(
                [balancing.RANDOM, balancing.ROUND_ROBIN, balancing.LEAST_OUTSTANDING, balancing.TWO_CHOICES]
            )
        ),
        "cross_zone": draw(st.integers(0, 1)),
        "fail_open_below": draw(st.sampled_from([balancing.NEVER_OPEN, 0.0, 0.5])),
        "fail_open_fewer": draw(st.sampled_from([0, 0, 2])),
        "balancer_timeout_ns": draw(st.one_of(st.just(INFINITE), grid(1, 40))),
        "redispatch_attempts": draw(st.integers(1, 3)),
        "redispatch_on": tuple(draw(st.sets(st.sampled_from(RETRIED)))),
        "health": draw(st.integers(0, 1)),
        "unhealthy_after": draw(st.integers(1, 3)),
        "healthy_after": draw(st.integers(1, 3)),
        "probe_queue": draw(st.integers(0, 1)),
        "after_answer": draw(st.integers(0, 1)),
        "slots": slots,
        "cores": min(cores, float(slots)),
        "queue": draw(st.one_of(st.just(INFINITE), st.integers(0, 6))),
        "discipline": draw(st.sampled_from([shedding.FIFO, shedding.LIFO])),
        "drop_expired": draw(st.integers(0, 1)),
    }
    timeout = draw(grid(0.5, 20))
    fields |= {"probe_timeout_ns": timeout, "interval_ns": timeout + draw(grid(0.5, 20))}
    fields |= {"phase_ns": draw(st.one_of(st.just(-1), grid(0, 20)))}
    fields |= draw(_work(table))
    note(f"algorithm {fields['algorithm']}", True)
    note("zones apart", fields["cross_zone"] == 0)
    note("balancer timeout", fields["balancer_timeout_ns"] < INFINITE)
    note("redispatch", fields["redispatch_attempts"] > 1 and len(fields["redispatch_on"]) > 0)
    note("probes, queued" if fields["probe_queue"] else "probes, from the side", fields["health"] == 1)
    note("probes after the answer", fields["health"] == 1 and fields["after_answer"] == 1)
    note("shared CPU", fields["cores"] < slots)
    note("bounded queue", fields["queue"] < INFINITE)
    if rich:
        fields |= draw(_traits())
    note(f"discipline {fields['discipline']}", True)
    note("drops the expired", fields["drop_expired"] == 1)
    if rich and fields["health"] and draw(st.booleans()):
        fields |= {"checkers": draw(st.integers(2, 4)), "checkers_need": draw(st.sampled_from([0.0, 0.18, 0.5]))}
        note("several checkers", True)
    if rich and draw(st.booleans()):
        fields |= draw(proxies(fields["health"] == 1))
    per_zone = {zone: draw(st.integers(0, 2)) for zone in zones}
    per_zone[zones[0]] = max(1, per_zone[zones[0]])
    default = draw(st.sampled_from([None, *operations, *operations])) if operations else None
    writes: list[str] = []
    if operations and draw(_mostly()):
        writes = draw(st.lists(st.sampled_from(sorted(operations)), min_size=1, unique=True))
        fields["replication_ns"] = draw(grid(0, 60))
        note("replicated store", True)
    note("a program for those who ask for none", default is not None)
    if operations and any(made.hop["cached"] for steps in operations.values() for step in steps for made in step.calls):
        entries = draw(st.sampled_from([0, 1, 3, 8]))
        fields |= {"cache_entries": entries, "cache_filled": draw(st.integers(0, entries))}
        fields |= {"cache_hit_ratio": draw(st.sampled_from([0.5, 0.9, 1.0]))}
        fields |= {"cache_kept": draw(st.sampled_from([0.0, 0.4, 1.0]))}
        note("cache", entries > 0)
    fields |= {"operations": operations, "default": default, "writes": writes}
    return service(name, per_zone=per_zone, calls=calls, **fields)


@st.composite
def _populations(draw: Any, target: ServiceSpec, zones: list[str], rich: bool) -> PopulationSpec:
    places = {"outside": 1.0} if draw(st.booleans()) else {"outside": 0.5} | dict.fromkeys(zones, 0.25)
    rate = draw(st.sampled_from([20.0, 100.0, 400.0]))
    profile = draw(st.sampled_from(["flat", "steps", "ramp", "instants", "trace", *(["users"] if rich else [])]))
    note(f"profile {profile}", True)
    note("callers in zones", len(places) > 1)
    given: dict[str, Any] = {"rate_per_s": rate}
    if profile == "steps":
        given = {"segments": [(0, rate, 0.0), (50 * MS, rate * 3, 0.0), (120 * MS, 0.0, 0.0), (200 * MS, rate, 0.0)]}
    elif profile == "ramp":
        given = {"segments": [(0, rate, 0.0), (40 * MS, rate, rate * 10), (140 * MS, rate * 2, -rate * 4)]}
    elif profile == "trace":
        given = {"recorded_ns": sorted(draw(st.lists(grid(0, 200), min_size=1, max_size=30)))}
    elif profile == "users":
        given = {"users": (draw(st.integers(1, 12)), draw(st.integers(0, 1)), draw(grid(0.5, 40)))}
    elif profile == "instants":
        given = {"arrivals_ns": sorted(draw(st.lists(grid(0.5, 200), min_size=1, max_size=30)))}
    if rich:
        given["priority"] = draw(st.integers(0, 3))
        note("priority", given["priority"] > 0)
    mix: dict[str, float] = {}
    if target.operations and draw(st.booleans()):
        mix = dict.fromkeys(target.operations, 0.5)
        note("mix of operations", True)
        if profile == "trace" and draw(st.booleans()):
            words = st.sampled_from(["", *mix])
            given["recorded_asks"] = [draw(words) for _ in given["recorded_ns"]]
            note("trace with operations", True)
    clients, hop = draw(st.integers(1, 3)), draw(_hops(True, rich))
    return population(target.name, name="p", clients=clients, places=places, mix=mix, **given, **hop)


@st.composite
def worlds(draw: Any, full: bool = True) -> World:
    """A world; without `full` one that the lean kernel can run."""
    zones = ["a", "b", "c"][: draw(st.integers(2, 3))]
    rich = full and draw(st.booleans())
    note("rich", rich)
    table = [0, MS, 3 * MS // 2, 10 * MS]
    depth = draw(st.sampled_from([1, 2, 2, 3, 3])) if full else 1
    names = [f"s{k}" for k in range(depth)]
    programs = full and draw(st.sampled_from([True, True, False]))
    specs: list[ServiceSpec] = []
    for name in reversed(names):
        below = specs[0] if specs else None
        calls: list[CallSpec] = []
        if below is not None:
            calls = [call(below.name, **draw(_hops(draw(st.booleans()), rich))) for _ in range(draw(st.integers(1, 2)))]
        operations = draw(_operations(table, below, zones)) if programs and draw(_mostly()) else None
        specs.insert(0, draw(_services(name, zones, table, calls, full, rich, operations)))
    note("calls", depth > 1)
    note("programs", any(spec.operations for spec in specs))
    populations = [draw(_populations(specs[0], zones, rich)) for _ in range(draw(st.integers(1, 2)))]
    plan = make_plan(
        populations=populations,
        services=specs,
        zones=zones,
        key=run_key(draw(st.integers(0, 1000))),
        same_zone_ns=draw(st.sampled_from([0, 0, MS // 4, MS // 2])),
        cross_zone_ns=draw(st.sampled_from([0, MS // 2, MS])),
        work_table=table,
        shared_cpu=full,
        rich=rich,
    )
    actions = draw(st.lists(_actions(plan, full), max_size=8))
    if draw(st.booleans()):
        actions += draw(_zone_losses(plan))
    cuts = draw(st.sets(grid(1, END_NS // MS), max_size=5))
    return World(plan, tuple(sorted(actions, key=lambda action: action.at_ns)), tuple(sorted(cuts)))


@st.composite
def _changes(draw: Any, rich: bool) -> dict[str, Any]:
    """Fields of a hop that change."""
    values: dict[str, st.SearchStrategy[Any]] = {
        "attempts": st.integers(1, 4),
        "timeout_ns": grid(1, 60),
        "connect_timeout_ns": grid(0.5, 20),
        "deadline_ns": grid(10, 150),
        "retry_on": st.sampled_from([0, 1 << Outcome.TIMEOUT, 127]),
        "backoff_base_ns": grid(0.5, 20),
        "cancel": st.integers(0, 1),
        "budget_capacity": st.sampled_from([0, 2000, 30_000]),
        "budget_cost": st.sampled_from([0, 700]),
        "budget_deposit_after_retry": st.sampled_from([-1, 300]),
    }
    if rich:
        values |= {
            "backoff_spread": st.sampled_from([0.0, 0.5]),
            "avoid_previous": st.integers(0, 1),
            "budget_ratio": st.sampled_from([0, 500_000]),
            "budget_reserve": st.sampled_from([0, 3_000_000]),
            "throttle_k": st.sampled_from([1.0, 3.0]),
            "breaker_on": st.sampled_from([0, 1 << Outcome.TIMEOUT, 127]),
            "breaker_volume": st.sampled_from([1, 4]),
            "breaker_rate": st.sampled_from([1, 400_000, 1_000_000]),
            "breaker_open_ns": grid(1, 60),
        }
    names = draw(st.sets(st.sampled_from(sorted(values)), max_size=3))
    note("policy changed", bool(names & set(POLICY_CHANGEABLE)))
    return {name: draw(values[name]) for name in sorted(names)}


@st.composite
def _zone_losses(draw: Any, plan: Plan) -> list[Action]:
    """A zone, or all of them one after the other, dies with all its instances and perhaps comes back."""
    actions: list[Action] = []
    for zone in draw(st.permutations(range(len(plan.zones)))):
        at_ns, lasts_ns = draw(grid(50, 200)), draw(grid(1, 100))
        for instance in np.flatnonzero(plan.instances["zone"] == zone).tolist():
            actions.append(Action(at_ns, "set_instance_state", (instance, InstanceState.DEAD, 0)))
            actions.append(Action(at_ns + lasts_ns, "set_instance_state", (instance, InstanceState.UP, 0)))
        if draw(st.booleans()):
            break
    note("zone lost", True)
    return actions


@st.composite
def _actions(draw: Any, plan: Plan, full: bool) -> Action:
    at_ns = draw(grid(1, END_NS // MS - 50))
    instance = draw(st.integers(0, len(plan.instances) - 1))
    states = [InstanceState.UP, InstanceState.CRASHED, InstanceState.DEAD] + [InstanceState.PAUSED] * full
    places = len(plan.zones) + 1
    methods: dict[str, Callable[[], tuple[Any, ...]]] = {
        "set_instance_state": lambda: (instance, draw(st.sampled_from(states)), draw(st.integers(0, 4))),
        "set_view": lambda: (instance, draw(st.booleans())),
        "set_latency": lambda: (instance, draw(grid(0, 5))),
        "set_error_share": lambda: (instance, draw(st.sampled_from([0.0, 0.3, 1.0]))),
        "set_rate_factor": lambda: (0, draw(st.sampled_from([0.0, 0.5, 1.0, 3.0]))),
        "set_retries": lambda: (draw(st.booleans()),),
        "set_link": lambda: (
            *draw(st.permutations(range(places)).map(lambda order: tuple(order[:2]))),
            draw(st.booleans()),
        ),
        "reset": lambda: (),
        "set_hop": lambda: (draw(st.integers(0, len(plan.hops) - 1)), draw(_changes(plan.rich))),
        "set_instance": lambda: (
            instance,
            draw(st.sampled_from([{}, {"queue": 0}, {"queue": 3, "drop_expired": 1}, {"queue": INFINITE}])),
        ),
        "set_member": lambda: (instance, draw(st.booleans())),
        "set_probing": lambda: (instance, draw(st.booleans())),
    }
    if plan.rich:
        share = st.sampled_from([0.0, 0.2, 1.0])
        pair = st.tuples(st.integers(0, places - 1), st.integers(0, places - 1))
        methods |= {
            "refill_caches": lambda: (),
            "set_loss": lambda: (*draw(pair), draw(share)),
            "set_instance_loss": lambda: (instance, draw(share)),
            "set_malformed_share": lambda: (instance, draw(share)),
            "set_work_factor": lambda: (instance, draw(st.sampled_from([0.3, 1.0, 2.5]))),
        }
    zonal = np.flatnonzero(plan.balancing["placement"] == balancing.ZONAL).tolist()
    if zonal:
        zone, named = st.integers(0, len(plan.zones) - 1), st.sampled_from(zonal)
        nodes = st.sampled_from([InstanceState.UP, InstanceState.CRASHED, InstanceState.DEAD])
        methods |= {
            "set_nodes": lambda: (draw(zone), draw(nodes)),
            "set_listed": lambda: (draw(named), draw(st.integers(1, len(plan.zones) - 1)), draw(st.booleans())),
            "set_resolves": lambda: (draw(named), draw(st.booleans())),
        }
    if full:
        methods["set_stress"] = lambda: (
            instance,
            *draw(st.sampled_from([(0.0, 0.0), (1.0, 0.8), (4.0, 3.2)])),
            draw(st.sampled_from([cpu.SHARED, cpu.OWN_GROUP, cpu.STRICT])),
        )
    method = draw(st.sampled_from([*sorted(methods), *["set_instance_state"] * 3]))
    arguments = methods[method]()
    note(f"{method} {arguments[1].name.lower()}" if method == "set_instance_state" else method, True)
    return Action(at_ns, method, arguments)


def run_world(world: World, engine: DataPlane, chunks: tuple[int, ...] = ()) -> tuple[Recording, list[Notice]]:
    """Run a world to its end; notices change the view at once, as a router without propagation would.

    What control reads at the cuts stands among the notices.
    """
    notices: list[Any] = []
    stops = sorted(
        [(at_ns, 1, number) for number, at_ns in enumerate(world.cuts)]
        + [(action.at_ns, 0, number) for number, action in enumerate(world.actions)]
        + [(at_ns, 2, number) for number, at_ns in enumerate(chunks)]
    )
    for at_ns, what, number in [*stops, (END_NS, 3, 0)]:
        while engine.advance(at_ns) == Reason.NOTICE:
            for notice in engine.take_notices():
                notices.append(notice)
                engine.set_view(notice.instance, notice.healthy)
        if what == 0:
            action = world.actions[number]
            getattr(engine, action.method)(*action.arguments)
        elif what == 1:
            engine.cut_row()
            notices.append((engine.readings().tolist(), engine.sent().tolist()))
    engine.check()
    return engine.finish(), notices


def note_what_happened(recording: Recording) -> None:
    """What a run has shown, beyond what its world allowed."""
    services = recording.services.sum(axis=(0, 1))
    for name in ("HITS", "MISSES", "WRITES", "LOST", "OVERLOADED", "REFUSED", "DROPPED", "WASTED"):
        note(f"happened: {name.lower()}", services[getattr(layout, name)] > 0)
    for outcome in Outcome:
        of_requests = recording.populations[..., layout.FAILED + outcome].any()
        note(f"happened: {outcome.word}", recording.hop_outcomes[:, outcome].any() or of_requests)


def differences(one: Recording, other: Recording) -> list[str]:
    """What is not equal in two recordings, in words."""
    found = []
    for name in Recording.__slots__:
        x, y = np.asarray(getattr(one, name)), np.asarray(getattr(other, name))
        if x.shape != y.shape:
            found.append(f"{name}: shapes {x.shape} and {y.shape}")
        elif not np.array_equal(x, y):
            where = np.argwhere(x != y)[:5]
            found += [f"{name}{tuple(map(int, at))}: {x[tuple(at)]} and {y[tuple(at)]}" for at in where]
    return found
