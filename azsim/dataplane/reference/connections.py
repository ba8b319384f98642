"""Connections of one client process to one instance: in use, idle, and waited for (R9, D124-D126)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

from azsim.dataplane.reference.clock import Clock


class Waiter(Protocol):
    """An attempt that waits for a connection."""

    def connected(self, connection: Connection) -> None:
        """Go on over this one."""


@dataclass(frozen=True, slots=True, eq=False)
class Connection:
    """One that is in use. fresh: it is new and takes a handshake; period: how often its pool had lost all before."""

    pool: Pool
    fresh: bool
    period: int

    def end(self, kept: bool) -> None:
        """Its dispatch is over: it is idle from now on, or closed."""
        pool = self.pool
        if self.period == pool.period:
            pool.used -= 1
            if kept:
                pool.idle_since_ns.append(pool.clock.now_ns)


class Pool:
    """policy: the hop's row of Plan.policies. `idle_since_ns`: of the connections that are idle, the newest last."""

    def __init__(self, policy: Any, clock: Clock) -> None:
        self.clock = clock
        self.used = 0
        self.period = 0
        self.idle_since_ns: list[int] = []
        self.waiting: deque[Waiter] = deque()
        self._policy = policy

    def take(self) -> Connection | None:
        """A connection that is idle, or a new one; None: there are as many as may be."""
        if self.idle_since_ns and self.clock.now_ns - self.idle_since_ns[-1] >= self._policy.pool_idle_ns:
            self.idle_since_ns.clear()
        fresh = not self.idle_since_ns
        if not fresh:
            self.idle_since_ns.pop()
        elif self.used >= self._policy.pool_max:
            return None
        self.used += 1
        return Connection(self, fresh, self.period)

    def fill(self) -> None:
        """Let those who wait have what is free."""
        while self.waiting and (connection := self.take()) is not None:
            self.waiting.popleft().connected(connection)

    def close(self) -> None:
        """All its connections are gone (D126)."""
        self.used = 0
        self.idle_since_ns.clear()
        self.period += 1

    def rest(self) -> None:
        """What is in use is idle from now on (D126)."""
        self.idle_since_ns += [self.clock.now_ns] * self.used
        self.used = 0
        self.period += 1
