"""How many instances a group should have, where they start and which one goes (S1, S3): rules of plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

# What an adjustment does with the present capacity.
ADD, SET, ADD_SHARE = range(3)

_EXACT = 1e-9  # a quotient this close to a whole number is one


def adjusted(capacity: int, kind: int, amount: float, at_least: int = 1) -> int:
    """The capacity after an adjustment. A share of it is cut to a whole number, but never to less than `at_least`
    instances either way (1 unless said, so that a small group moves at all); a share of nothing is nothing.
    """
    if kind == SET:
        return int(amount)
    if kind == ADD:
        return capacity + int(amount)
    change = capacity * amount
    if change == 0.0:
        return capacity
    whole = math.floor(abs(change) + _EXACT)
    return capacity + int(math.copysign(max(whole, at_least, 1), change))


def within(capacity: int, least: int, most: int) -> int:
    """The capacity that a group's bounds allow."""
    return max(least, min(most, capacity))


def step_of(breach: float, lower_bounds: Sequence[float]) -> int | None:
    """Which step a breach falls into, by their ascending lower bounds, each step reaching to the next one's; None below
    the first. The breach is metric - threshold, negated for alarms that look for low values.
    """
    found = [number for number, lower in enumerate(lower_bounds) if breach >= lower - _EXACT]
    return found[-1] if found else None


def proportional(capacity: int, metric: float, target: float) -> int:
    """The capacity that brings a metric which it shares out to its target: rounded up, so that what is added is
    rounded up and what is taken away is rounded down.
    """
    return math.ceil(capacity * metric / target - _EXACT)


def replaced_at_once(desired: int, under_way: int, share: float) -> int:
    """How many more sick instances may be replaced now: a share of those desired, one at the least, less those whose
    replacement has begun and is not warm yet.
    """
    return max(0, max(1, math.floor(desired * share + _EXACT)) - under_way)


def zone_to_launch(counts: Mapping[int, int], zones: Sequence[int]) -> int:
    """Of the zones allowed, the first of those with the fewest instances; `counts` by zone, pending ones included."""
    return min(zones, key=lambda zone: (counts.get(zone, 0), zones.index(zone)))


def zone_to_shrink(counts: Mapping[int, int], zones: Sequence[int]) -> int:
    """The last of the zones with the most instances."""
    return max(zones, key=lambda zone: (counts.get(zone, 0), zones.index(zone)))
