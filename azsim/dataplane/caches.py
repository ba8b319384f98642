"""Caches of the full kernel: what a job finds in its instance's, and what that spares it (I6, D90, D91)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.base.seeds import LOOKUP, key_hash
from azsim.dataplane.layout import HITS, MISSES, SERVICE_COLUMNS
from azsim.dataplane.policy_state import policies_of
from azsim.dataplane.program_pools import steps_of
from azsim.dataplane.state import instances_of, jobs_of, service_rows_of, traits_of
from azsim.dataplane.store_state import caches_of, errands_of
from azsim.policy.caches import FILLS, HIT, kept, looked_up
from azsim.policy.distributions import unit


@part
def spared(a: Any, j: int, k: int) -> int:
    """How many calls of step k a hit spares a job; the first step with cached calls looks it up."""
    step = steps_of(a)[k]
    hops = step.calls
    if step.zones != 0:
        hops = 1
    cached = 0
    for h in range(step.hop, step.hop + hops):
        cached += policies_of(a)[h].cached
    if cached == 0 or not _hits(a, j):
        return 0
    if step.zones != 0:
        return step.calls + 0
    return cached


@part
def _hits(a: Any, j: int) -> bool:
    job = jobs_of(a)[j]
    errand = errands_of(a)[j]
    trait = traits_of(a)[job.instance]
    if trait.cache_entries == 0:
        return False
    if errand.found == 0:
        draw = unit(key_hash(a.key, job.request, job.path, 0, LOOKUP))
        errand.found = looked_up(draw, trait.cache_hit_ratio, caches_of(a)[job.instance], trait.cache_entries)
        at = (a.row * a.services_length + instances_of(a)[job.instance].service) * SERVICE_COLUMNS
        if errand.found == HIT:
            service_rows_of(a)[at + HITS] += 1
        else:
            service_rows_of(a)[at + MISSES] += 1
    return errand.found == HIT


@part
def fill(a: Any, j: int) -> None:
    """A job of a call has ended well: what it missed is in the cache now (D91)."""
    i = jobs_of(a)[j].instance
    if errands_of(a)[j].found == FILLS and caches_of(a)[i] < traits_of(a)[i].cache_entries:
        caches_of(a)[i] += 1


@part
def forget_entries(a: Any, i: int) -> None:
    """An instance has died or crashed."""
    caches_of(a)[i] = kept(caches_of(a)[i], traits_of(a)[i].cache_kept)
