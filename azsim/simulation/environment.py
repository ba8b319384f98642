"""The clock that joins both planes: SimPy for control, the data plane between two control events (O1).

There is no tick. The data plane runs freely up to the next control event, or stops early at a notice; then control
acts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from enum import IntEnum
from heapq import heappush
from typing import Any, TypeAlias, TypeVar

import simpy
from simpy.core import EmptySchedule
from simpy.events import URGENT

from azsim.base.seeds import key_hash
from azsim.base.units import SECOND_NS
from azsim.dataplane.codes import INFINITE, Reason
from azsim.dataplane.protocol import DataPlane, Notice
from azsim.simulation.trace import Event

M = TypeVar("M")

ControlProcess: TypeAlias = Generator[simpy.Event, Any, None]
"""What a SimPy process of the control plane is written as."""


class Rank(IntEnum):
    """Order of control events at one instant (O1)."""

    AT_ONCE = 0  # SimPy's own: the start and end of a process, the end of the run
    FAULT_END = 2
    FAULT_START = 3
    CONTROLLER = 4
    EXPERIMENTER = 5  # aborts, and what replays change by hand


Key: TypeAlias = tuple[int, str, int]
"""(rank, name, number): settles which of two control events at one instant comes first."""

_AT_ONCE: Key = (Rank.AT_ONCE, "", 0)
_CHUNK = 0  # purpose of the draws of `in_chunks`, which are no part of the model


class Environment(simpy.Environment):
    """A SimPy environment over a data plane. Times are int nanoseconds; waits carry a key, so that order never
    depends on the order in which events were made.

    `advance` replaces the data plane's own, for instance to go there in other chunks.
    """

    def __init__(self, plane: DataPlane, advance: Callable[[int], Reason] | None = None) -> None:
        super().__init__(initial_time=0)
        self.events: list[Event] = []
        self._plane = plane
        self._advance = advance or plane.advance
        self._listener: Callable[[Notice], None] | None = None
        self._notice_ns = -1  # the last instant at which the data plane stopped for a notice
        self._row_ns = 0  # where the current row of the recording begins
        self._end_ns = INFINITE
        self._second_ns = SECOND_NS  # the next whole second, at which a row ends whatever else happens

    def run_to(self, end_ns: int) -> None:
        """Let everything before `end_ns` happen."""
        self._end_ns = end_ns
        self.run(until=end_ns)

    def listen(self, listener: Callable[[Notice], None]) -> None:
        """Who is told of every notice, at its instant, after all data of that instant."""
        self._listener = listener

    @property
    def now_ns(self) -> int:
        """The time, in whole nanoseconds."""
        return int(self._now)

    def until(self, t_ns: int, key: Key) -> simpy.Event:
        """An event that happens at `t_ns`, for a process to wait for."""
        if t_ns < self._now:
            raise ValueError(f"{t_ns} ns is before now ({self._now} ns)")
        event = simpy.Event(self)
        event._ok = True
        event._value = None
        heappush(self._queue, (t_ns, key, next(self._eid), event))  # type: ignore[misc]
        return event

    def call_at(self, t_ns: int, key: Key, act: Callable[[], None]) -> None:
        """Do something at `t_ns`."""
        self.until(t_ns, key).callbacks.append(lambda _: act())

    def every_second(self, key: Key) -> Iterator[simpy.Event]:
        """The whole seconds from the next one on, one after the other, for a process to wait for."""
        t_ns = int(self._now) // SECOND_NS * SECOND_NS
        while True:
            t_ns += SECOND_NS
            yield self.until(t_ns, key)

    def post(self, delay_ns: int, controller: str, number: int, receive: Callable[[M], None], message: M) -> None:
        """Hand `message` to a controller after a delay. `number` orders what one controller gets at one instant."""
        event = self.until(int(self._now) + delay_ns, (Rank.CONTROLLER, controller, number))
        event.callbacks.append(lambda _: receive(message))

    def log(self, source: str, what: str) -> None:
        """Note something worth telling, now."""
        self.events.append(Event(int(self._now), source, what))

    def cut(self) -> None:
        """Begin a new row of the recording at the instant control acts at (D23), unless one begins there already."""
        acting_ns = int(self._now) + (self._notice_ns == self._now)
        if self._row_ns < acting_ns < self._end_ns:
            self._plane.cut_row()
            self._row_ns = acting_ns

    def schedule(self, event: simpy.Event, priority: int = 1, delay: Any = 0) -> None:
        """What SimPy schedules on its own: at once, or the end of the run. Anything else needs a key."""
        if delay and priority != URGENT:
            raise RuntimeError("a control process waits with Environment.until, which takes a key")
        heappush(self._queue, (self._now + delay, _AT_ONCE, next(self._eid), event))  # type: ignore[misc]

    def step(self) -> None:
        """Go on to the next control event or notice, whichever comes first."""
        if not self._queue:
            raise EmptySchedule
        t_ns = int(self._queue[0][0])
        # Rows end first of all at an instant, so that they show what was, not what comes. They are no control events:
        # one a second through SimPy's queue would be most of what a quiet run costs.
        while self._second_ns <= t_ns:
            if self._noticed(self._second_ns):
                return
            self._now = self._second_ns
            self.cut()
            self._second_ns += SECOND_NS
        if not self._noticed(t_ns):
            super().step()

    def _noticed(self, t_ns: int) -> bool:
        """Let the data plane go on to an instant; whether it stopped for a notice, which the listener has been told."""
        if self._plane.now_ns >= t_ns or self._advance(t_ns) != Reason.NOTICE:
            return False
        self._now = self._notice_ns = self._plane.now_ns
        notices = self._plane.take_notices()
        if self._listener is not None:
            for notice in notices:
                self._listener(notice)
        return True


def in_chunks(plane: DataPlane, key: int) -> Callable[[int], Reason]:
    """An `advance` that gets there in pieces of keyed random length; no result may depend on it (C5)."""

    def advance(until_ns: int) -> Reason:
        number = 0
        while plane.now_ns < until_ns:
            now_ns = plane.now_ns
            draw = key_hash(key, now_ns, number, 0, _CHUNK)
            reason = plane.advance(now_ns + 1 + draw % (until_ns - now_ns))
            if reason != Reason.REACHED:
                return reason
            number += 1
        return Reason.REACHED

    return advance
