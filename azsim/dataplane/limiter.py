"""Limits on what an instance lets in, in the full kernel (I1, D46, D47). `rich` guards every use of this module."""

from __future__ import annotations

import math
from typing import Any

from azsim.base.jit import part
from azsim.base.seeds import LIMIT_PROBE, key_hash
from azsim.dataplane.state import instances_of, jobs_of, traits_of, visits_of
from azsim.policy.limits import (
    AIMD,
    GRADIENT2,
    NONE,
    VEGAS,
    aimd_after,
    average_after,
    gradient2_after,
    gradient2_average_after,
    token_after,
    vegas_after,
    vegas_probes,
)


@part
def forget_limits(a: Any, i: int) -> None:
    """Know nothing, as a new process does."""
    trait = traits_of(a)[i]
    trait.limit_now = trait.limit_start
    trait.limit_samples = 0
    trait.limit_probes = 0
    trait.limit_rtt = 0.0
    trait.full_at = 0


@part
def admits(a: Any, j: int) -> bool:
    """Whether a job is let in: the rate limit first, then the other (D46). What it found is noted."""
    i = jobs_of(a)[j].instance
    instance = instances_of(a)[i]
    trait = traits_of(a)[i]
    held = instance.queued + instance.busy
    visit = visits_of(a)[j]
    visit.arrived_ns = a.now_ns
    visit.held = held + 1
    if trait.token_interval > 0:
        full_at, given = token_after(a.now_ns, trait.full_at, trait.token_interval, trait.token_burst)
        trait.full_at = full_at
        if given == 0:
            return False
    return trait.limit == NONE or held < int(math.floor(trait.limit_now))


@part
def learn(a: Any, j: int, dropped: int) -> None:
    """A job has ended well, or was dropped (D47). A probe teaches nothing."""
    job = jobs_of(a)[j]
    i = job.instance
    trait = traits_of(a)[i]
    kind = trait.limit
    if job.call < 0 or kind < AIMD:
        return
    visit = visits_of(a)[j]
    rtt_ns = max(1, a.now_ns - visit.arrived_ns)
    held = visit.held
    if kind == AIMD:
        trait.limit_now = aimd_after(
            trait.limit_now,
            rtt_ns,
            held,
            dropped,
            trait.limit_least,
            trait.limit_most,
            trait.limit_ratio,
            trait.limit_timeout_ns,
        )
    elif kind == GRADIENT2:
        long_rtt = average_after(trait.limit_rtt, trait.limit_samples, float(rtt_ns), trait.limit_window)
        trait.limit_samples += 1
        trait.limit_now = gradient2_after(
            trait.limit_now,
            rtt_ns,
            held,
            long_rtt,
            trait.limit_least,
            trait.limit_most,
            trait.limit_ratio,
            trait.limit_queue,
            trait.limit_tolerance,
        )
        trait.limit_rtt = gradient2_average_after(long_rtt, rtt_ns)
    elif kind == VEGAS:
        _learn_as_vegas(a, i, rtt_ns, held, dropped)


@part
def _learn_as_vegas(a: Any, i: int, rtt_ns: int, held: int, dropped: int) -> None:
    trait = traits_of(a)[i]
    trait.limit_samples += 1
    bits = key_hash(a.key, -(i + 1), 0, trait.limit_probes, LIMIT_PROBE)
    if vegas_probes(trait.limit_now, trait.limit_samples, bits):
        trait.limit_probes += 1
        trait.limit_samples = 0
        trait.limit_rtt = float(rtt_ns)
    elif trait.limit_rtt == 0.0 or float(rtt_ns) < trait.limit_rtt:
        trait.limit_rtt = float(rtt_ns)
    else:
        unloaded_ns = int(trait.limit_rtt)
        trait.limit_now = vegas_after(trait.limit_now, rtt_ns, held, dropped, unloaded_ns, trait.limit_most)
