"""The backlog of a paused host in the kernel (I5)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.dataplane.state import BACKLOGGED, NONE, instances_of, jobs_of


@part
def join_backlog(a: Any, j: int) -> None:
    """Into the backlog of a paused host (I5)."""
    jobs = jobs_of(a)
    job = jobs[j]
    instance = instances_of(a)[job.instance]
    job.state = BACKLOGGED
    job.next = NONE
    job.previous = instance.backlog_tail
    if instance.backlog_tail >= 0:
        jobs[instance.backlog_tail].next = j
    else:
        instance.backlog_head = j
    instance.backlog_tail = j
    instance.backlogged += 1


@part
def unbacklog(a: Any, j: int) -> None:
    """Take a job out of its backlog."""
    jobs = jobs_of(a)
    job = jobs[j]
    instance = instances_of(a)[job.instance]
    instance.backlogged -= 1
    if job.previous >= 0:
        jobs[job.previous].next = job.next
    else:
        instance.backlog_head = job.next
    if job.next >= 0:
        jobs[job.next].previous = job.previous
    else:
        instance.backlog_tail = job.previous
