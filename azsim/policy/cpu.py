"""Who gets how much of an instance's CPU (I2, I3, O3)."""

from __future__ import annotations

import math

from azsim.base.jit import rule

SHARED = 0
OWN_GROUP = 1
STRICT = 2

VIRTUAL_PER_NS = 1024  # the virtual clock counts 2^-10 ns


@rule
def application_cores(jobs: int, cores: float, threads: float, load: float, competition: int) -> float:
    """Cores that `jobs` runnable threads get beside stressors (I3).

    `threads` stressor threads want `load` cores together. The scheduler shares C cores by threads, so the application
    gets its share or whatever the stressors leave, whichever is more.
    """
    m = float(jobs)
    demand = min(m, cores)
    if load <= 0.0:
        return demand
    left = max(0.0, cores - load)
    if competition == SHARED:
        return min(demand, max(cores * m / (m + threads), left))
    if competition == OWN_GROUP:
        return min(demand, max(cores / 2.0, left))
    return min(demand, left)


@rule
def stress_cores(application: float, cores: float, load: float) -> float:
    """Cores that the stressors use beside an application that uses `application`."""
    return max(0.0, min(load, cores - application))


@rule
def overload_slowdown(busy: int, contention: float, coherency: float) -> float:
    """How many times longer work takes with `busy` slots in service (universal scalability law, I4)."""
    if busy <= 1:
        return 1.0
    others = float(busy - 1)
    return 1.0 + contention * others + coherency * float(busy) * others


@rule
def warmup_slowdown(slowdown: float, elapsed_ns: int, warm_ns: int, served: int, warm_requests: int) -> float:
    """How many times longer work takes while an instance warms up: from `slowdown` to 1 in a straight line (I5).

    Over `warm_ns`, or, where that is 0, over `warm_requests`.
    """
    done = float(elapsed_ns) / float(warm_ns) if warm_ns > 0 else float(served) / float(warm_requests)
    return 1.0 + (slowdown - 1.0) * max(0.0, 1.0 - done)


@rule
def lost_cores(application: float, slowdown: float) -> float:
    """Of the cores that an application uses, those whose time a slowdown takes."""
    return application - application / slowdown


@rule
def virtual_progress(dt_ns: int, rate: float) -> int:
    """How far the virtual clock goes in `dt_ns`, rounded down (2^-10 ns)."""
    if rate == 1.0:
        return dt_ns * 1024
    return int(math.floor(float(dt_ns) * rate * 1024.0))


@rule
def time_to_finish(remaining: int, rate: float) -> int:
    """Nanoseconds until `remaining` (2^-10 ns of work) is done at `rate` > 0, rounded up."""
    if remaining <= 0:
        return 0
    if rate == 1.0:
        return (remaining + 1023) // 1024
    return int(math.ceil(float(remaining) / (rate * 1024.0)))
