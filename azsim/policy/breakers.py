"""When a circuit breaker trips (R6): kinds, states, and the decisions that are pure numbers."""

from __future__ import annotations

from azsim.base.jit import rule
from azsim.policy.guards import MILLION

# Kinds.
NO_BREAKER = 0
CONSECUTIVE = 1
COUNT_WINDOW = 2
TIME_WINDOW = 3
CUMULATIVE = 4

# States.
CLOSED = 0
OPEN = 1
HALF_OPEN = 2


@rule
def rate_reached(failures: int, attempts: int, rate: int, volume: int) -> bool:
    """Whether of enough attempts (`volume`) at least the share `rate` (millionths) has failed."""
    return attempts >= volume and failures * MILLION >= attempts * rate


@rule
def rate_exceeded(failures: int, calls: int, rate: int) -> bool:
    """Whether there are more failures than the share `rate` (millionths) of the calls."""
    return failures * MILLION > calls * rate
