"""Queues of the full kernel: by priority class, and in the order of any discipline (I1, D40, D41).

A queue of the smaller kernels is one list in the order of turns; here each class has a list, in the order of arrival
(lifo: the other way round). `rich` guards every use of this module.
"""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.dataplane.limiter import forget_limits
from azsim.dataplane.state import (
    NONE,
    QUEUED,
    instances_of,
    jobs_of,
    lines_of,
    np_int,
    populations_of,
    traits_of,
    visits_of,
)
from azsim.policy.shedding import ADAPTIVE_LIFO, CLASSES, CODEL, LIFO, codel_step

_POPULATION_SHIFT = 44  # of a request's number (D1)


@part
def class_of(a: Any, j: int) -> int:
    """A job's priority class: its population's; a probe has the lowest."""
    request = jobs_of(a)[j].request
    if request < 0:
        return 0
    return populations_of(a)[request >> _POPULATION_SHIFT].priority


@part
def line_up(a: Any, j: int) -> None:
    """Into the queue of its class."""
    jobs = jobs_of(a)
    job = jobs[j]
    i = job.instance
    line = lines_of(a)[CLASSES * i + class_of(a, j)]
    job.state = QUEUED
    instances_of(a)[i].queued += 1
    a.queued += 1
    if instances_of(a)[i].discipline == LIFO:
        job.previous = NONE
        job.next = line.head
        if line.head >= 0:
            jobs[line.head].previous = j
        else:
            line.tail = j
        line.head = j
    else:
        job.next = NONE
        job.previous = line.tail
        if line.tail >= 0:
            jobs[line.tail].next = j
        else:
            line.head = j
        line.tail = j


@part
def leave_line(a: Any, j: int) -> None:
    """Out of its queue."""
    jobs = jobs_of(a)
    job = jobs[j]
    i = job.instance
    line = lines_of(a)[CLASSES * i + class_of(a, j)]
    instances_of(a)[i].queued -= 1
    a.queued -= 1
    if job.previous >= 0:
        jobs[job.previous].next = job.next
    else:
        line.head = job.next
    if job.next >= 0:
        jobs[job.next].previous = job.previous
    else:
        line.tail = job.previous


@part
def clear_lines(a: Any, i: int) -> None:
    """All that wait at an instance are gone."""
    a.queued -= instances_of(a)[i].queued
    for k in range(CLASSES * i, CLASSES * i + CLASSES):
        lines_of(a)[k].head = NONE
        lines_of(a)[k].tail = NONE


@part
def restart(a: Any, i: int) -> None:
    """What an instance knew of its load is gone with it (D41)."""
    trait = traits_of(a)[i]
    trait.codel_end_ns = 0
    trait.codel_least_ns = 0
    trait.overloaded = 0
    forget_limits(a, i)
    trait.cold = 1
    trait.served = 0


@part
def displace(a: Any, j: int) -> int:
    """A job finds the queue full: the job that is turned away, itself or one of a lower class (D40)."""
    i = jobs_of(a)[j].instance
    for k in range(class_of(a, j)):
        last = lines_of(a)[CLASSES * i + k].tail
        if last >= 0:
            # A copy: the field changes below.
            out = np_int(last)
            leave_line(a, out)
            line_up(a, j)
            return out
    return j


@part
def _longest_wait(a: Any, i: int) -> int:
    """How long the job has waited that has waited longest, of all classes."""
    longest = 0
    for k in range(CLASSES * i, CLASSES * i + CLASSES):
        j = lines_of(a)[k].head
        if j >= 0:
            longest = max(longest, a.now_ns - visits_of(a)[j].arrived_ns)
    return longest


@part
def next_in_line(a: Any, i: int) -> int:
    """Whose turn it is; somebody waits."""
    instance = instances_of(a)[i]
    k = CLASSES * i + CLASSES - 1
    while lines_of(a)[k].head < 0:
        k -= 1
    if instance.discipline == ADAPTIVE_LIFO:
        _codel(a, i, _longest_wait(a, i))
        trait = traits_of(a)[i]
        if trait.overloaded == 1 or instance.queued > trait.newest_beyond:
            return np_int(lines_of(a)[k].tail)
    return np_int(lines_of(a)[k].head)


@part
def note_no_wait(a: Any, i: int) -> None:
    """A job starts as it comes: to CoDel, one that has not waited (D41)."""
    discipline = instances_of(a)[i].discipline
    if discipline == CODEL or discipline == ADAPTIVE_LIFO:  # noqa: SIM109 - compiled: two tests, not a search
        _codel(a, i, 0)


@part
def codel_drops(a: Any, i: int, j: int) -> bool:
    """Whether CoDel drops job j, whose turn it is (D41)."""
    if instances_of(a)[i].discipline != CODEL:
        return False
    return _codel(a, i, a.now_ns - visits_of(a)[j].arrived_ns) == 1


@part
def _codel(a: Any, i: int, delay_ns: int) -> int:
    trait = traits_of(a)[i]
    end_ns, least_ns, overloaded, drop = codel_step(
        a.now_ns,
        delay_ns,
        trait.codel_end_ns,
        trait.codel_least_ns,
        trait.overloaded,
        trait.codel_interval_ns,
        trait.codel_target_ns,
    )
    trait.codel_end_ns = end_ns
    trait.codel_least_ns = least_ns
    trait.overloaded = overloaded
    return drop
