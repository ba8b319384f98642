"""Limited processor sharing in the kernel (I2, I3, O3, D16).

Each instance has a virtual clock that runs at the rate at which one of its jobs proceeds; the jobs on its CPU form a
heap by virtual finish. The instances form a heap by the time of their next completion, `order`.
"""

from __future__ import annotations

import math
from typing import Any

from azsim.base.jit import part
from azsim.dataplane.codes import INFINITE, InstanceState
from azsim.dataplane.state import NONE, instances_of, jobs_of, order_of, running_of, traits_of
from azsim.policy.cpu import (
    application_cores,
    lost_cores,
    overload_slowdown,
    stress_cores,
    time_to_finish,
    virtual_progress,
    warmup_slowdown,
)

_DEAD = int(InstanceState.DEAD)
_PAUSED = int(InstanceState.PAUSED)


# --- the heap of instances -----------------------------------------------------------------------------------------


@part
def _job_before(a: Any, j: int, k: int) -> bool:
    """Order of two jobs that complete at one instant (O1)."""
    x = jobs_of(a)[j]
    y = jobs_of(a)[k]
    if x.request != y.request:
        return x.request < y.request
    if x.path != y.path:
        return x.path < y.path
    return x.tag < y.tag


@part
def _instance_before(a: Any, i: int, k: int) -> bool:
    instances = instances_of(a)
    x = instances[i]
    y = instances[k]
    if x.next_ns != y.next_ns:
        return x.next_ns < y.next_ns
    running = running_of(a)
    return _job_before(a, running[x.heap_first], running[y.heap_first])


@part
def _settle_order(a: Any, position: int) -> None:
    """Restore the heap of instances around one whose next completion has changed."""
    instances = instances_of(a)
    order = order_of(a)
    i = order[position]
    k = position
    while k > 0:
        above = (k - 1) >> 1
        if not _instance_before(a, i, order[above]):
            break
        order[k] = order[above]
        instances[order[k]].place_in_order = k
        k = above
    if k == position:
        count = a.order_count
        while True:
            below = 2 * k + 1
            if below >= count:
                break
            if below + 1 < count and _instance_before(a, order[below + 1], order[below]):
                below += 1
            if not _instance_before(a, order[below], i):
                break
            order[k] = order[below]
            instances[order[k]].place_in_order = k
            k = below
    order[k] = i
    instances[i].place_in_order = k


@part
def _set_next(a: Any, i: int, t_ns: int) -> None:
    """Note an instance's next completion."""
    instance = instances_of(a)[i]
    order = order_of(a)
    k = instance.place_in_order
    instance.next_ns = t_ns
    if t_ns >= INFINITE:
        if k >= 0:
            a.order_count -= 1
            last = order[a.order_count]
            instance.place_in_order = NONE
            if last != i:
                order[k] = last
                instances_of(a)[last].place_in_order = k
                _settle_order(a, k)
    else:
        if k < 0:
            k = a.order_count
            a.order_count += 1
            order[k] = i
            instance.place_in_order = k
        _settle_order(a, k)
    a.completion_ns = INFINITE
    if a.order_count > 0:
        a.completion_ns = instances_of(a)[order[0]].next_ns


@part
def first_completion(a: Any) -> int:
    """The job that completes next; there is one."""
    instance = instances_of(a)[order_of(a)[0]]
    return running_of(a)[instance.heap_first]


# --- the heap of an instance's jobs --------------------------------------------------------------------------------


@part
def _finishes_before(a: Any, j: int, k: int) -> bool:
    x = jobs_of(a)[j].finish_or_cpu
    y = jobs_of(a)[k].finish_or_cpu
    if x != y:
        return x < y
    return _job_before(a, j, k)


@part
def _settle_running(a: Any, first: int, count: int, position: int) -> None:
    """Restore an instance's heap around a job put at `position`."""
    running = running_of(a)
    jobs = jobs_of(a)
    j = running[first + position]
    k = position
    while k > 0:
        above = (k - 1) >> 1
        if not _finishes_before(a, j, running[first + above]):
            break
        running[first + k] = running[first + above]
        jobs[running[first + k]].previous = k
        k = above
    if k == position:
        while True:
            below = 2 * k + 1
            if below >= count:
                break
            if below + 1 < count and _finishes_before(a, running[first + below + 1], running[first + below]):
                below += 1
            if not _finishes_before(a, running[first + below], j):
                break
            running[first + k] = running[first + below]
            jobs[running[first + k]].previous = k
            k = below
    running[first + k] = j
    jobs[j].previous = k


# --- clocks and rates ----------------------------------------------------------------------------------------------


@part
def advance_clock(a: Any, i: int) -> None:
    """Bring an instance's virtual clock and its stressors' account to now, before what drives them changes (D29)."""
    instance = instances_of(a)[i]
    dt = a.now_ns - instance.clock_ns
    if dt > 0:
        progress = virtual_progress(dt, instance.rate)
        instance.clock += progress
        instance.cpu += progress * instance.on_cpu
        if instance.stress_rate > 0.0:
            instance.stress += stress_progress(dt, instance.stress_rate)
        instance.clock_ns = a.now_ns


@part
def stress_progress(dt_ns: int, cores: float) -> int:
    """Core time of stressors in dt_ns, in 2^-10 ns, rounded down."""
    return int(math.floor(float(dt_ns) * cores * 1024.0))


@part
def _cores_now(a: Any, i: int) -> float:
    """Cores that the application gets with the jobs now on the CPU."""
    instance = instances_of(a)[i]
    if instance.state == _DEAD or instance.state == _PAUSED:
        return 0.0
    return application_cores(instance.on_cpu, instance.cores, instance.threads, instance.load, instance.competition)


@part
def slowdown(a: Any, i: int, busy: int) -> float:
    """How many times longer work takes at an instance with so many slots in service (I4, I5, D39, D59)."""
    trait = traits_of(a)[i]
    slower = overload_slowdown(busy, trait.contention, trait.coherency)
    if trait.cold == 1 and trait.warm_slowdown > 1.0:
        elapsed_ns = max(0, a.now_ns - trait.ready_ns)
        slower *= warmup_slowdown(trait.warm_slowdown, elapsed_ns, trait.warm_ns, trait.served, trait.warm_requests)
    return slower


@part
def _stress_now(a: Any, i: int, cores: float, rich: Any) -> float:
    """Cores that the stressors use beside it, and those that a slowdown takes from it (D39)."""
    instance = instances_of(a)[i]
    if instance.state == _DEAD:
        return 0.0
    lost = 0.0
    if rich is not None:
        lost = lost_cores(cores, slowdown(a, i, instance.busy))
    return stress_cores(cores, instance.cores, instance.load) + lost


@part
def _rate_now(a: Any, i: int, cores: float, rich: Any) -> float:
    """Rate of the virtual clock (D16)."""
    instance = instances_of(a)[i]
    if instance.on_cpu == 0:
        return 0.0
    rate = cores / float(instance.on_cpu)
    if rich is not None:
        rate /= slowdown(a, i, instance.busy)
    return rate


@part
def set_rate(a: Any, i: int, rich: Any) -> None:
    """Compute an instance's rate anew, its clock being at now (D16)."""
    instance = instances_of(a)[i]
    cores = _cores_now(a, i)
    instance.stress_rate = _stress_now(a, i, cores, rich)
    instance.rate = _rate_now(a, i, cores, rich)
    t_ns = INFINITE
    if instance.rate > 0.0:
        j = running_of(a)[instance.heap_first]
        t_ns = instance.clock_ns + time_to_finish(jobs_of(a)[j].finish_or_cpu - instance.clock, instance.rate)
    _set_next(a, i, t_ns)


@part
def change_rate(a: Any, i: int, rich: Any) -> None:
    """Conditions of an instance have changed: if that changes its rate or its stressors' cores, from now on (D29)."""
    instance = instances_of(a)[i]
    cores = _cores_now(a, i)
    if _rate_now(a, i, cores, rich) != instance.rate or _stress_now(a, i, cores, rich) != instance.stress_rate:
        advance_clock(a, i)
        set_rate(a, i, rich)


@part
def join_cpu(a: Any, i: int, j: int, work_ns: int, rich: Any) -> None:
    """A job goes on the CPU with so much work."""
    instance = instances_of(a)[i]
    job = jobs_of(a)[j]
    advance_clock(a, i)
    job.expiry_or_joined = instance.clock
    job.finish_or_cpu = instance.clock + work_ns * 1024
    n = instance.on_cpu
    running_of(a)[instance.heap_first + n] = j
    instance.on_cpu = n + 1
    _settle_running(a, instance.heap_first, n + 1, n)
    set_rate(a, i, rich)


@part
def leave_cpu(a: Any, i: int, j: int, completed: int, rich: Any) -> None:
    """A job leaves the CPU, its work done (1) or not (0)."""
    instance = instances_of(a)[i]
    jobs = jobs_of(a)
    job = jobs[j]
    advance_clock(a, i)
    if completed == 1 and instance.clock < job.finish_or_cpu:
        # Rounding left it a few units short of its finish: the clock makes up for it, for all on the CPU.
        instance.cpu += (job.finish_or_cpu - instance.clock) * instance.on_cpu
        instance.clock = job.finish_or_cpu
    job.finish_or_cpu = instance.clock - job.expiry_or_joined
    first = instance.heap_first
    running = running_of(a)
    n = instance.on_cpu - 1
    instance.on_cpu = n
    k = job.previous
    last = running[first + n]
    if last != j:
        running[first + k] = last
        jobs[last].previous = k
        _settle_running(a, first, n, k)
    set_rate(a, i, rich)
