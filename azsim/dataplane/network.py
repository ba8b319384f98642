"""The kernel's links: delays, cuts and losses on the way between a caller and an instance (F2, D50, D111)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import hot, part
from azsim.base.seeds import key_hash
from azsim.dataplane.codes import InstanceState
from azsim.dataplane.proxy_pools import node_states_of
from azsim.dataplane.state import cuts_of, delays_of, instances_of, jobs_of, losses_of, visits_of
from azsim.policy.distributions import unit
from azsim.policy.faults import either

_UP = int(InstanceState.UP)


@hot
def is_cut(a: Any, j: int, rich: Any) -> bool:
    """Whether no packet gets through between a job's caller and its instance."""
    job = jobs_of(a)[j]
    zone = instances_of(a)[job.instance].zone
    if rich is not None:
        via = visits_of(a)[j].via
        if via >= 0:
            return way_is_cut(a, job.place, via, zone)
    return cuts_of(a)[job.place * (a.zones + 1) + zone] > 0


@part
def way_is_cut(a: Any, place: int, via: int, zone: int) -> bool:
    """The same by way of a node in zone `via`, which may be lost itself."""
    width = a.zones + 1
    cuts = cuts_of(a)
    return node_states_of(a)[via] != _UP or cuts[place * width + via] > 0 or cuts[via * width + zone] > 0


@hot
def way_ns(a: Any, place: int, via: int, zone: int, rich: Any) -> int:
    """How long a packet takes between a place and a zone, by way of a node in zone `via` if that is one."""
    width = a.zones + 1
    if rich is not None and via >= 0:
        return delays_of(a)[place * width + via] + delays_of(a)[via * width + zone]
    return delays_of(a)[place * width + zone]


@part
def packet_lost(a: Any, place: int, via: int, i: int, request: int, path: int, tag: int, purpose: int) -> bool:
    """Whether a packet between a place and an instance, either way, gets lost."""
    instance = instances_of(a)[i]
    width = a.zones + 1
    losses = losses_of(a)
    share = losses[place * width + instance.zone]
    if via >= 0:
        share = either(losses[place * width + via], losses[via * width + instance.zone])
    share = either(share, instance.loss)
    return share > 0.0 and unit(key_hash(a.key, request, path, tag, purpose)) < share
