"""How an alarm judges its data points (S2): M of the last N, and four ways to treat the missing ones.

A point is True (breaching), False (not breaching) or None (missing); the newest one stands last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum

MISSING, IGNORE, BREACHING, NOT_BREACHING = range(4)
TREATMENTS = ("missing", "ignore", "breaching", "not-breaching")  # what each is called, by number

EXTRA_POINTS = 2  # an alarm looks so many periods further back than it judges


class AlarmState(IntEnum):
    """What an alarm says."""

    OK = 0
    ALARM = 1
    INSUFFICIENT_DATA = 2

    @property
    def word(self) -> str:
        """As it is spoken: `insufficient data`."""
        return "OK" if self is AlarmState.OK else self.name.lower().replace("_", " ")


def judged(points: Sequence[bool | None], count: int, of: int, treatment: int, before: AlarmState) -> AlarmState:
    """The state of an alarm after `points`, its whole evaluation range: ALARM if `count` of the last `of` breach.

    Where there are enough real points in the range, the newest of them are judged and nothing else. Otherwise all of
    them are, and only as many missing ones as it takes are filled in.
    """
    real = [point for point in points if point is not None]
    if len(real) >= of:
        return AlarmState(sum(real[-of:]) >= count)
    breaching, lacking = sum(real), of - len(real)
    if treatment == BREACHING:
        return AlarmState(breaching + lacking >= count)
    if breaching >= count:
        return AlarmState.ALARM
    if treatment == NOT_BREACHING or breaching < len(real):
        return AlarmState.OK
    if treatment == IGNORE:
        return before
    # Only breaching points, too few of them: old enough they raise the alarm all the same, since nothing contradicts.
    ages = [len(points) - position for position, point in enumerate(points) if point]
    return AlarmState.ALARM if ages and ages[0] >= count else AlarmState.INSUFFICIENT_DATA


def band(values: Sequence[float], width: float) -> tuple[float, float] | None:
    """What is usual after `values`: mean -+ width x standard deviation; None where there are too few to say."""
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    spread = width * math.sqrt(math.fsum((value - mean) * (value - mean) for value in values) / len(values))
    return mean - spread, mean + spread
