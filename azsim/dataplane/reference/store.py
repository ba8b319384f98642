"""A replicated store: which zones hold its acknowledged writes, and what is lost with them (R11, D92-D94)."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from azsim.dataplane import layout
from azsim.dataplane.reference.clock import Clock
from azsim.dataplane.reference.ledger import Ledger


@dataclass(slots=True)
class Write:
    """An acknowledged write that is not everywhere yet."""

    due_ns: int
    holders: set[int]


class Store:
    """The data of one service.

    zones: where it has replicas at first; lag_ns: how long a write takes to all of them; default: the operation done
    for callers that ask for none; writes: the operations of the plan that write.
    """

    def __init__(
        self,
        service: int,
        zones: Collection[int],
        lag_ns: int,
        default: int,
        writes: Collection[int],
        clock: Clock,
        ledger: Ledger,
    ) -> None:
        self._service = service
        self._lag_ns = lag_ns
        self._default = default
        self._writes = writes
        self._clock = clock
        self._ledger = ledger
        self._complete_ns = dict.fromkeys(zones, 0)  # of each zone with a replica: since when that holds everything
        self._recent: deque[Write] = deque()
        self._older = 0

    def acknowledge(self, operation: int, holders: Collection[int]) -> None:
        """A caller has been told that what it asked for is done; these zones hold it, if it is a write (D92)."""
        if (operation if operation >= 0 else self._default) not in self._writes:
            return
        self._ledger.count(self._service, layout.WRITES)
        surviving = {zone for zone in holders if zone in self._complete_ns}
        if surviving:
            self._recent.append(Write(self._clock.now_ns + self._lag_ns, surviving))
        else:
            self._lose(1)

    def replicas(self, zones: Collection[int]) -> None:
        """Which zones have a replica now; one that has come back is complete after the lag (D93, D94)."""
        now_ns = self._clock.now_ns
        for zone in zones:
            self._complete_ns.setdefault(zone, now_ns + self._lag_ns)
        for zone in self._complete_ns.keys() - set(zones):
            del self._complete_ns[zone]
            self._gone(zone, now_ns)

    def _gone(self, zone: int, now_ns: int) -> None:
        while self._recent and self._recent[0].due_ns <= now_ns:
            self._recent.popleft()
            self._older += 1
        if all(since_ns > now_ns for since_ns in self._complete_ns.values()):
            self._lose(self._older)
            self._older = 0
        for write in self._recent:
            write.holders.discard(zone)
        lost = sum(not write.holders for write in self._recent)
        self._recent = deque(write for write in self._recent if write.holders)
        self._lose(lost)

    def _lose(self, writes: int) -> None:
        self._ledger.lost(self._service, writes)
