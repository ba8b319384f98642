"""What rich kernels keep for the policies of callers (R6): records, and the pools of state.py that hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

from azsim.base.jit import memory, part
from azsim.dataplane import layout

_INT8, _INT64 = np.dtype("i1"), np.dtype("i8")

# What a rich kernel knows of a call beside CALL.
EXTRA = np.dtype(
    [
        ("client", "i4"),  # number of its client process
        ("tried", "i4"),  # the instance that got its last dispatch
        ("period", "i4"),  # its breaker's, when the last attempt was sent; NONE: it was kept back
        ("lead", "i4"),  # of a hedge: the call that it is for (hedges.py); NONE: a call
        ("first", "i4"),  # the call's hedges that are open, in the order of their attempts
        ("next", "i4"),
        ("made", "i4"),  # attempts of the call, hedges included
        ("hedges", "i4"),  # of them
        ("connection", "i4"),  # connections.py
        ("fresh", "i4"),  # 1: it was made for this dispatch
        ("period_of_pool", "i4"),  # when it was taken
        ("behind", "i4"),  # calls that wait in the same pool
        ("before", "i4"),
    ],
    align=True,
)

# A circuit breaker (D66). A period lasts from one change of its state to the next.
BREAKER = np.dtype(
    [
        ("state", "i4"),  # policy/breakers.py
        ("period", "i4"),
        ("until_ns", "i8"),  # while open
        ("attempts", "i8"),  # heard of in this period, at most as many as the window; cumulative: calls begun
        ("failures", "i8"),  # of them; consecutive, closed: in a row
        ("place", "i4"),  # of the next result in its ring
        ("let", "i4"),  # half-open: probes let through
    ],
    align=True,
)

# The connections of one client process to one instance (connections.py).
POOL = np.dtype(
    [
        ("used", "i4"),
        ("idle", "i4"),
        ("head", "i4"),  # calls that wait for one
        ("tail", "i4"),
        ("period", "i4"),  # how often all of them have been lost
    ],
    align=True,
)

POLICY_POOLS: dict[str, tuple[Any, str]] = {
    "policies": (layout.POLICY, "Plan.policies"),
    "meters": (np.dtype("i8"), "(meters * METER_WORDS,) see meters.py"),
    "breakers": (BREAKER, "(breakers,)"),
    "rings": (np.dtype("i1"), "(ring_places,) 1: the attempt failed"),
    "pools": (POOL, "(pools,)"),
    "idle_since": (np.dtype("i8"), "(pool_places,) ns, by pool, the longest idle first"),
    "times": (np.dtype("i8"), "(times,) see hedges.py"),
    "extras": (EXTRA, "grows with calls, in rich kernels only"),
}


@part
def policies_of(a: Any) -> Any:
    return memory(a.policies_at, layout.POLICY)


@part
def meters_of(a: Any) -> Any:
    return memory(a.meters_at, _INT64)


@part
def breakers_of(a: Any) -> Any:
    return memory(a.breakers_at, BREAKER)


@part
def rings_of(a: Any) -> Any:
    return memory(a.rings_at, _INT8)


@part
def times_of(a: Any) -> Any:
    return memory(a.times_at, _INT64)


@part
def extras_of(a: Any) -> Any:
    return memory(a.extras_at, EXTRA)
