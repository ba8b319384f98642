"""Names and what they resolve to: sets of zones, bit 1 << zone (B2)."""

from __future__ import annotations

from azsim.base.jit import rule


@rule
def zones_in(answer: int, zones: int) -> int:
    """How many of so many zones an answer holds."""
    count = 0
    for zone in range(zones):
        count += (answer >> zone) & 1
    return count


@rule
def nth_zone(answer: int, n: int, zones: int) -> int:
    """The n-th zone of an answer, from 0, by number; it holds more than n."""
    for zone in range(zones):
        if (answer >> zone) & 1 == 1:
            if n == 0:
                return zone
            n -= 1
    return -1
