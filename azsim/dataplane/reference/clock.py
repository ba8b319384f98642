"""Time: a SimPy environment whose events of one instant happen in the order of their keys (O1, D2)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from heapq import heapify, heappush
from typing import Any, NamedTuple

import simpy

from azsim.dataplane.codes import RANKS, Kind


class Key(NamedTuple):
    """Whose event it is (D1)."""

    request: int
    path: int
    tag: int


class Moment(simpy.Event):
    """An event of the data plane, bound to happen at its time."""

    def __init__(self, clock: Clock, kind: Kind) -> None:
        self.env = clock
        self.callbacks = []
        self.kind = kind
        self._ok = True
        self._value = None


class Clock(simpy.Environment):
    """Whole nanoseconds from 0."""

    def __init__(self) -> None:
        super().__init__(initial_time=0)

    @property
    def now_ns(self) -> int:
        """The instant at which things act (D23)."""
        return self._now  # type: ignore[return-value]

    def schedule(self, event: simpy.Event, priority: Any = 1, delay: Any = 0) -> None:
        """Queue an event of SimPy's own: a process that starts, goes on or ends.

        It happens at once, ahead of all moments of this instant: it is the rest of the moment that caused it.
        """
        super().schedule(event, (-1, priority), delay)  # type: ignore[arg-type]

    def soon(self, act: Callable[[], None]) -> None:
        """Let `act` happen as the rest of the present moment, after the processes that start in it."""
        event = self.event()
        assert event.callbacks is not None
        event.callbacks.append(lambda _: act())
        event.succeed()

    def moment(self, t_ns: int, kind: Kind, key: Key) -> Moment:
        """An event at t_ns >= now_ns for a process to wait for, or to hang callbacks on."""
        moment = Moment(self, kind)
        order = (RANKS[kind], *key, kind)
        heappush(self._queue, (t_ns, order, next(self._eid), moment))  # type: ignore[misc]
        return moment

    def at(self, t_ns: int, kind: Kind, key: Key, act: Callable[[], None]) -> None:
        """Let `act` happen at t_ns >= now_ns."""
        self.moment(t_ns, kind, key).callbacks.append(lambda _: act())

    def pass_to(self, t_ns: int) -> None:
        """Move `now_ns` to an instant before which nothing is left to happen."""
        self._now = t_ns

    def keep_only(self, kinds: Collection[Kind]) -> None:
        """Strike all moments of other kinds (D22)."""
        kept = [entry for entry in self._queue if not isinstance(entry[3], Moment) or entry[3].kind in kinds]
        heapify(kept)
        self._queue = kept
