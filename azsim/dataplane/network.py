"""The kernel's lossy links (F2, D50)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.base.seeds import key_hash
from azsim.dataplane.state import instances_of, losses_of
from azsim.policy.distributions import unit
from azsim.policy.faults import either


@part
def packet_lost(a: Any, place: int, i: int, request: int, path: int, tag: int, purpose: int) -> bool:
    """Whether a packet between a place and an instance, either way, gets lost."""
    instance = instances_of(a)[i]
    share = either(losses_of(a)[place * (a.zones + 1) + instance.zone], instance.loss)
    return share > 0.0 and unit(key_hash(a.key, request, path, tag, purpose)) < share
