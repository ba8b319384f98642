"""The queue of one instance: priority classes, disciplines, and CoDel's judgement (I1, D40, D41)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from azsim.policy.shedding import ADAPTIVE_LIFO, CLASSES, CODEL, LIFO, codel_step

T = TypeVar("T")


class Codel:
    """CoDel for service queues: is there a standing queue?"""

    def __init__(self, interval_ns: int, target_ns: int) -> None:
        self._interval_ns = interval_ns
        self._target_ns = target_ns
        self.restart()

    def restart(self) -> None:
        """Know nothing, as a new process does."""
        self._end_ns = 0
        self._least_ns = 0
        self._overloaded = 0

    @property
    def overloaded(self) -> bool:
        """Whether the last interval had a standing queue."""
        return self._overloaded == 1

    def drops(self, now_ns: int, delay_ns: int) -> bool:
        """Note that a job has waited so long; whether it is dropped."""
        self._end_ns, self._least_ns, self._overloaded, drop = codel_step(
            now_ns, delay_ns, self._end_ns, self._least_ns, self._overloaded, self._interval_ns, self._target_ns
        )
        return drop == 1


class WaitingLine(Generic[T]):
    """Jobs of type T that wait for a slot, each with its priority class and the time it came."""

    def __init__(self, discipline: int, newest_beyond: int, codel: Codel) -> None:
        self._discipline = discipline
        self._newest_beyond = newest_beyond
        self._codel = codel
        self._classes: list[deque[tuple[T, int]]] = [deque() for _ in range(CLASSES)]  # the left end came first

    def __len__(self) -> int:
        return sum(map(len, self._classes))

    def __iter__(self) -> Iterator[T]:
        return (job for line in self._classes for job, _ in line)

    def put(self, job: T, priority: int, now_ns: int) -> None:
        """A job begins to wait."""
        self._classes[priority].append((job, now_ns))

    def displace(self, priority: int) -> T | None:
        """Take out the job of the lowest class below `priority` whose turn would come last; None: there is none."""
        for line in self._classes[:priority]:
            if line:
                return (line.popleft() if self._discipline == LIFO else line.pop())[0]
        return None

    def note_no_wait(self, now_ns: int) -> None:
        """A job starts as it comes."""
        if self._discipline in (CODEL, ADAPTIVE_LIFO):
            self._codel.drops(now_ns, 0)

    def take(self, now_ns: int) -> tuple[T, int]:
        """The job whose turn it is, and when it came."""
        line = next(line for line in reversed(self._classes) if line)
        if self._discipline == ADAPTIVE_LIFO:
            longest_ns = max(now_ns - line[0][1] for line in self._classes if line)
            self._codel.drops(now_ns, longest_ns)
        newest = self._discipline == ADAPTIVE_LIFO and (self._codel.overloaded or len(self) > self._newest_beyond)
        return line.pop() if newest or self._discipline == LIFO else line.popleft()

    def codel_drops(self, now_ns: int, came_ns: int) -> bool:
        """Whether CoDel drops the job whose turn it is."""
        return self._discipline == CODEL and self._codel.drops(now_ns, now_ns - came_ns)

    def remove(self, job: T) -> None:
        """Take a job out wherever it stands."""
        for line in self._classes:
            for place, (waiting, _) in enumerate(line):
                if waiting is job:
                    del line[place]
                    return

    def clear(self) -> None:
        """Nobody waits any more."""
        for line in self._classes:
            line.clear()

    def restart(self) -> None:
        """Forget what was learnt of the load."""
        self._codel.restart()
