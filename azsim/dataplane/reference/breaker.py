"""The circuit breaker of one client process over one hop (R6, D66 to D68)."""

from __future__ import annotations

from collections import deque
from typing import Any

from azsim.dataplane.codes import Outcome
from azsim.dataplane.reference.clock import Clock
from azsim.dataplane.reference.window import Window
from azsim.policy.breakers import (
    CLOSED,
    CONSECUTIVE,
    COUNT_WINDOW,
    CUMULATIVE,
    HALF_OPEN,
    NO_BREAKER,
    OPEN,
    rate_exceeded,
    rate_reached,
)


class Breaker:
    """`policy`: the hop's row of Plan.policies. Attempts carry the number of the period in which they were sent."""

    def __init__(self, policy: Any, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._calls = self._failed_attempts = 0  # cumulative
        self._period = 0
        self._become(CLOSED)

    def _become(self, state: int) -> None:
        """Change state: a new period begins, and nothing is remembered (D66)."""
        self._state = state
        self._period += 1
        self._until_ns = self._clock.now_ns + self._policy.breaker_open_ns
        self._in_a_row = 0
        self._last: deque[bool] = deque(maxlen=self._policy.breaker_window)  # True: failed
        self._attempts = Window(self._clock, self._policy.breaker_part_ns)
        self._failures = Window(self._clock, self._policy.breaker_part_ns)
        self._let = 0  # probes in flight or done
        self._probes: list[bool] = []

    def call_begins(self) -> None:
        """A new call (D68)."""
        self._calls += 1

    @property
    def stops_retries(self) -> bool:
        """Whether a cumulative breaker lets no retry pass (D68)."""
        kind, rate = self._policy.breaker, self._policy.breaker_rate
        return kind == CUMULATIVE and rate_exceeded(self._failed_attempts, self._calls, rate)

    def let_through(self) -> int | None:
        """The period of an attempt that is sent now, None: it is kept back (D67)."""
        if self._policy.breaker in (NO_BREAKER, CUMULATIVE):
            return self._period
        if self._state == OPEN:
            if self._clock.now_ns < self._until_ns:
                return None
            self._become(HALF_OPEN)
        if self._state == HALF_OPEN:
            if self._let >= self._policy.breaker_probes:
                return None
            self._let += 1
        return self._period

    def hears(self, period: int | None, outcome: Outcome) -> None:
        """An attempt sent in `period` (None: it was kept back) has its outcome (D68)."""
        failed = bool(self._policy.breaker_on >> outcome & 1)
        self._failed_attempts += failed
        if self._policy.breaker in (NO_BREAKER, CUMULATIVE) or period != self._period:
            return
        if outcome is not Outcome.OK and not failed:
            self._let -= 1  # neither a success nor a failure: another probe may take its turn
        elif self._state == HALF_OPEN:
            self._judge_probe(failed)
        elif self._trips(failed):
            self._become(OPEN)

    def _judge_probe(self, failed: bool) -> None:
        self._probes.append(failed)
        failures, probes = sum(self._probes), len(self._probes)
        if self._policy.breaker == CONSECUTIVE:
            if failed:
                self._become(OPEN)
            elif probes == self._policy.breaker_probes:
                self._become(CLOSED)
        elif probes == self._policy.breaker_probes:
            self._become(OPEN if rate_reached(failures, probes, self._policy.breaker_rate, 0) else CLOSED)

    def _trips(self, failed: bool) -> bool:
        policy = self._policy
        if policy.breaker == CONSECUTIVE:
            self._in_a_row = self._in_a_row + 1 if failed else 0
            return bool(self._in_a_row >= policy.breaker_volume)
        if policy.breaker == COUNT_WINDOW:
            self._last.append(failed)
            return bool(rate_reached(sum(self._last), len(self._last), policy.breaker_rate, policy.breaker_volume))
        self._attempts.add()
        if failed:
            self._failures.add()
        return bool(
            rate_reached(self._failures.total, self._attempts.total, policy.breaker_rate, policy.breaker_volume)
        )
