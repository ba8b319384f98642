"""What rich kernels keep of data: caches (I6) and replicated stores (R11), and the pools of state.py that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from azsim.base.jit import memory, part
from azsim.dataplane.codes import INFINITE
from azsim.dataplane.layout import Plan

_INT64 = np.dtype("i8")

# A replicated store; one per service, whether it is one or not.
STORE = np.dtype(
    [
        ("alive", "i8"),  # bit 1 << zone: a replica is there
        ("settled", "i8"),  # acknowledged writes that all complete replicas hold
        ("head", "i4"),  # younger ones, by age: writes[head] ...
        ("tail", "i4"),
    ],
    align=True,
)

# An acknowledged write on its way to the other zones.
WRITE = np.dtype(
    [
        ("due_ns", "i8"),  # when all zones hold it
        ("holders", "i8"),  # bit 1 << zone: holds it before
        ("next", "i4"),
    ],
    align=True,
)

# What a job knows of data, beside JOB.
ERRAND = np.dtype(
    [
        ("holders", "i8"),  # bit 1 << zone: has acknowledged the quorum under way
        ("found", "i4"),  # what its lookup found (policy/caches.py), 0: not looked up yet
    ],
    align=True,
)

STORE_SCALARS = ("free_write", "fresh_write", "writes_left", "lost_writes")

STORE_POOLS: dict[str, tuple[Any, str]] = {
    "caches": (np.dtype("i8"), "(I,) entries filled"),
    "stores": (STORE, "(S,)"),
    "replicas": (np.dtype("i8"), "(S * Z,) since when a zone's replica is complete, ns; INFINITE: there is none"),
    "writes": (WRITE, "grows"),
    "errands": (ERRAND, "grows with jobs, in rich kernels only"),
}


def start_stores(pools: Mapping[str, Any], plan: Plan) -> None:
    """At the start every zone in which a service has instances has a complete replica of what it keeps."""
    stores, replicas, zones = pools["stores"], pools["replicas"], len(plan.zones)
    stores["head"] = stores["tail"] = -1
    replicas[:] = INFINITE
    replicas[plan.instances["service"].astype(np.int64) * zones + plan.instances["zone"]] = 0
    for place in np.flatnonzero(replicas == 0).tolist():
        stores["alive"][place // zones] |= np.uint64(1 << place % zones).astype(np.int64)


@part
def caches_of(a: Any) -> Any:
    return memory(a.caches_at, _INT64)


@part
def stores_of(a: Any) -> Any:
    return memory(a.stores_at, STORE)


@part
def replicas_of(a: Any) -> Any:
    return memory(a.replicas_at, _INT64)


@part
def writes_of(a: Any) -> Any:
    return memory(a.writes_at, WRITE)


@part
def errands_of(a: Any) -> Any:
    return memory(a.errands_at, ERRAND)
