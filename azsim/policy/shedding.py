"""Whose turn it is when many wait, and who is turned away (I1)."""

from __future__ import annotations

from azsim.base.jit import rule

# Disciplines of a queue.
FIFO = 0
LIFO = 1
ADAPTIVE_LIFO = 2
CODEL = 3

CLASSES = 4  # priority classes, 0 to 3; the higher go first


@rule
def codel_step(
    now_ns: int, delay_ns: int, end_ns: int, least_ns: int, overloaded: int, interval_ns: int, target_ns: int
) -> tuple[int, int, int, int]:
    """What CoDel for service queues holds after a job that waited `delay_ns`: end, least, overloaded; and: drop it?

    `end_ns` is where the current interval ends, `least_ns` the least wait seen in it. The first job after the end
    judges the interval: overloaded, if even the least wait was more than the target; it opens the next one and is kept.
    While overloaded, jobs that have waited more than twice the target are dropped. (Meta's wangle does this: Codel.cpp;
    the interval does not shrink from drop to drop as it does in routers.)
    """
    if now_ns > end_ns:
        return now_ns + interval_ns, delay_ns, 1 if least_ns > target_ns else 0, 0
    drop = 1 if overloaded == 1 and delay_ns > 2 * target_ns else 0
    return end_ns, min(least_ns, delay_ns), overloaded, drop
