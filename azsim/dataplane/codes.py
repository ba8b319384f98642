"""Numbers with a name: what both engines and all who read them call the same."""

from __future__ import annotations

from enum import IntEnum

INFINITE = 1 << 62  # a time that never comes, a queue without a bound


class Outcome(IntEnum):
    """How an attempt, and in the end a request, came out (R4)."""

    OK = 0
    ERROR = 1
    REFUSED = 2
    RESET = 3
    OVERLOAD = 4
    NO_TARGET = 5
    TIMEOUT = 6
    DEADLINE = 7
    CANCELLED = 8
    BREAKER_OPEN = 9
    BUDGET_EXHAUSTED = 10

    @property
    def word(self) -> str:
        """The name in scenarios and results: `no-target`."""
        return self.name.lower().replace("_", "-")


OUTCOMES = len(Outcome)


class Kind(IntEnum):
    """What an event is, in the order that settles a full tie (D2)."""

    COMPLETION = 0
    RESPONSE = 1
    TIMEOUT = 2
    CONNECT_TIMEOUT = 3
    BALANCER_TIMEOUT = 4
    PROBE_TIMEOUT = 5
    CANCEL = 6
    BACKOFF_END = 7
    PROBE_SEND = 8
    REQUEST_ARRIVAL = 9
    DELIVERY = 10
    WAIT_TIMEOUT = 11
    ROUTED = 12
    HEDGE = 13
    ACQUIRE_TIMEOUT = 14


# Rank of each kind at one instant (O1).
RANKS = (0, 1, 2, 2, 2, 2, 3, 4, 4, 5, 5, 2, 0, 4, 2)


class InstanceState(IntEnum):
    """What an instance is to those who call it (I5, D17)."""

    UP = 0
    PAUSED = 1
    CRASHED = 2  # connects are refused
    DEAD = 3  # nothing answers


class Reason(IntEnum):
    """Why `advance` came back. Negative numbers are errors."""

    REACHED = 0
    NOTICE = 1
    GROW = 2  # inside the kernel's own driver only
    LIMIT = 3
    BROKEN = -1  # an internal contradiction, found by a check
