"""The kernel's memory of proxies and of several checkers: part of `state.POOLS`, empty in the smaller variants."""

from __future__ import annotations

from typing import Any

import numpy as np

from azsim.base.jit import memory, part
from azsim.dataplane import layout
from azsim.policy.balancing import ZONAL

_NONE = -1  # as in state.py
_INT32, _INT64 = np.dtype("i4"), np.dtype("i8")

# What a call of a proxied service carries beside CALL: one per call record.
JOURNEY = np.dtype(
    [
        ("dispatched_ns", "i8"),  # when the current dispatch was made
        ("proxy", "i4"),
        ("waits", "i4"),  # 1: in its proxy for a target to get free
        ("next", "i4"),  # call that waits behind it, NONE: none
        ("previous", "i4"),
        ("excluded", "i4"),  # target that it must not get
        ("life", "i4"),  # its proxy's when it came there
    ],
    align=True,
)

# What one of several checkers holds of a target.
CHECK = np.dtype(
    [
        ("probe", "i4"),  # tag of the probe in flight, 0: none
        ("streak", "i4"),
        ("sensed", "i4"),
        ("probing", "i4"),  # policy/thresholds.py, PROBED or NEW
    ],
    align=True,
)

# A node of a balancer: who keeps count and chooses.
PROXY = np.dtype(
    [
        ("service", "i4"),
        ("head", "i4"),  # calls that wait, in the order in which they came
        ("tail", "i4"),
        ("waiting", "i4"),
        ("standings_first", "i8"),  # of its service's targets, in their order
        ("slots_first", "i8"),  # its slots: until when each is taken
        ("starts_first", "i8"),  # a ring: when each attempt that waits for a slot gets it
        ("oldest", "i8"),  # place of the first of them in the ring
        ("behind", "i8"),  # how many they are
        ("sweep", "i8"),  # number of the last sweep, where sweeps compare rates
        ("zone", "i4"),  # in which it is lost, NONE: outside the zones
        ("life", "i4"),  # how often that has happened
    ],
    align=True,
)

# What a proxy holds of a target.
STANDING = np.dtype(
    [
        ("pending", "i4"),  # dispatches that callers wait for
        ("errors", "i4"),  # in a row, or nginx's fails
        ("ejections", "i4"),  # multiplier of the last ejection
        ("ejected_until_ns", "i8"),
        ("warm_from_ns", "i8"),  # when it came back into the view
        ("accessed_ns", "i8"),  # nginx: last fail
        ("checked_ns", "i8"),  # nginx: last fail, or first try after the bench
        ("cost", "f8"),  # peak EWMA, ns, as of stamp_ns
        ("stamp_ns", "i8"),
        ("outcomes", "i8"),  # since the last sweep
        ("bad", "i8"),  # errors among them
    ],
    align=True,
)

# What a client process of a zonal balancer knows of its name.
ADDRESS = np.dtype(
    [
        ("answer", "i8"),  # bit 1 << zone
        ("fresh_until_ns", "i8"),  # TTL of the answer
        ("open_until_ns", "i8"),  # of the connection
        ("zone", "i8"),  # it goes to
    ],
    align=True,
)

# name: (dtype, what it holds)
PROXY_POOLS: dict[str, tuple[Any, str]] = {
    "balancing": (layout.BALANCING, "(S,)"),
    "weights": (np.dtype("i8"), "Plan.weights"),
    "hop_proxies": (np.dtype("i8"), "Plan.hop_proxies"),
    "hop_callers": (np.dtype("i8"), "(H * Z,) callers of a population's hop by zone, in 2^-32"),
    "checks": (CHECK, "(targets * checkers,) by service, where there are several checkers"),
    "journeys": (JOURNEY, "one per call"),
    "proxies": (PROXY, "all services'"),
    "standings": (STANDING, "(proxies * targets,) by service"),
    "node_slots": (np.dtype("i8"), "(proxies * slots,) by service, ns"),
    "node_starts": (np.dtype("i8"), "(proxies * queue places,) by service, ns"),
    "turns": (np.dtype("i4"), "(proxies * (Z + 1),) round-robin: last used target of each zone, and of any"),
    "node_states": (np.dtype("i4"), "(Z,) InstanceState of the nodes in each zone"),
    "listed": (np.dtype("i4"), "(S * Z,) 1: the zone is in the name's answers"),
    "unresolved": (np.dtype("i4"), "(S,) 1: the name does not resolve"),
    "hop_addresses": (np.dtype("i8"), "Plan.hop_addresses"),
    "addresses": (ADDRESS, "(addresses,)"),
    "picks": (np.dtype("i4"), "(most targets of a service,) scratch: the candidates of one choice"),
}


def count_checks(plan: layout.Plan) -> int:
    """How many checks there are of all targets together."""
    services = plan.services
    return int((services["instances_count"] * services["checkers"] * services["health"]).sum())


def proxy_lengths(plan: layout.Plan) -> dict[str, int]:
    """How long these pools are for a plan."""
    balancing, counts = plan.balancing, plan.services["instances_count"]
    proxies = [int(row["proxies_count"]) for row in balancing] if len(balancing) else [0]
    return {
        "balancing": len(plan.services),
        "weights": len(plan.instances),
        "hop_proxies": len(plan.hops),
        "hop_callers": len(plan.hops) * len(plan.zones),
        "checks": count_checks(plan),
        "journeys": 1024,
        "proxies": sum(proxies),
        "standings": sum(n * int(targets) for n, targets in zip(proxies, counts, strict=False)),
        "node_slots": int((balancing["proxies_count"] * balancing["node_slots"]).sum()),
        "node_starts": int((balancing["proxies_count"] * balancing["node_queue"]).sum()),
        "turns": sum(proxies) * (len(plan.zones) + 1),
        "node_states": len(plan.zones),
        "listed": len(plan.services) * len(plan.zones),
        "unresolved": len(plan.services),
        "hop_addresses": len(plan.hops),
        "addresses": plan.addresses,
        "picks": int(counts.max(initial=0)),
    }


def start_proxies(plan: layout.Plan, pools: dict[str, Any]) -> None:
    """Fill in what a plan says of proxies and checks; the compiled code does the rest at the start."""
    pools["hop_proxies"][:] = plan.hop_proxies if len(plan.hop_proxies) else _NONE
    if len(plan.weights):
        pools["weights"][:] = plan.weights
    zones = len(plan.zones)
    for population in plan.populations:
        below = 0
        first = int(population["places_first"])
        for place in plan.places[first : first + int(population["places_count"])]:
            if place["place"] < zones:
                pools["hop_callers"][int(population["hop"]) * zones + int(place["place"])] = place["upto"] - below
            below = int(place["upto"])
    pools["hop_addresses"][:] = plan.hop_addresses if len(plan.hop_addresses) else _NONE
    pools["listed"][:] = 1
    pools["checks"]["sensed"] = pools["checks"]["probing"] = 1
    first = 0
    for number, service in enumerate(plan.services):
        pools["services"]["checks_first"][number] = first
        first += int(service["instances_count"] * service["checkers"] * service["health"])
    if not len(plan.balancing):
        return
    for field in plan.balancing.dtype.names or ():
        pools["balancing"][field] = plan.balancing[field]
    standings = slots = starts = 0
    proxies = pools["proxies"]
    proxies["head"] = proxies["tail"] = _NONE
    for number, (row, service) in enumerate(zip(plan.balancing, plan.services, strict=True)):
        for p in range(int(row["proxies_first"]), int(row["proxies_first"]) + int(row["proxies_count"])):
            proxies["service"][p] = number
            proxies["standings_first"][p] = standings
            proxies["slots_first"][p] = slots
            proxies["starts_first"][p] = starts
            proxies["zone"][p] = _NONE
            if row["placement"] == ZONAL:
                proxies["zone"][p] = (p - int(row["proxies_first"])) // int(row["nodes_per_zone"])
            standings += int(service["instances_count"])
            slots += int(row["node_slots"])
            starts += int(row["node_queue"])


@part
def balancing_of(a: Any) -> Any:
    return memory(a.balancing_at, layout.BALANCING)


@part
def weights_of(a: Any) -> Any:
    return memory(a.weights_at, _INT64)


@part
def hop_proxies_of(a: Any) -> Any:
    return memory(a.hop_proxies_at, _INT64)


@part
def hop_callers_of(a: Any) -> Any:
    return memory(a.hop_callers_at, _INT64)


@part
def journeys_of(a: Any) -> Any:
    return memory(a.journeys_at, JOURNEY)


@part
def checks_of(a: Any) -> Any:
    return memory(a.checks_at, CHECK)


@part
def proxies_of(a: Any) -> Any:
    return memory(a.proxies_at, PROXY)


@part
def standings_of(a: Any) -> Any:
    return memory(a.standings_at, STANDING)


@part
def turns_of(a: Any) -> Any:
    return memory(a.turns_at, _INT32)


@part
def picks_of(a: Any) -> Any:
    return memory(a.picks_at, _INT32)


@part
def node_slots_of(a: Any) -> Any:
    return memory(a.node_slots_at, _INT64)


@part
def node_starts_of(a: Any) -> Any:
    return memory(a.node_starts_at, _INT64)


@part
def node_states_of(a: Any) -> Any:
    return memory(a.node_states_at, _INT32)


@part
def listed_of(a: Any) -> Any:
    return memory(a.listed_at, _INT32)


@part
def unresolved_of(a: Any) -> Any:
    return memory(a.unresolved_at, _INT32)


@part
def hop_addresses_of(a: Any) -> Any:
    return memory(a.hop_addresses_at, _INT64)


@part
def addresses_of(a: Any) -> Any:
    return memory(a.addresses_at, ADDRESS)
