"""A sliding window over what happens (D60)."""

from __future__ import annotations

from collections import Counter

from azsim.dataplane.reference.clock import Clock
from azsim.policy.guards import WINDOW_PARTS, window_part


class Window:
    """How often something happened within a sliding window, told in tenths of it (D60)."""

    def __init__(self, clock: Clock, part_ns: int) -> None:
        self._clock = clock
        self._part_ns = part_ns
        self._counts: Counter[int] = Counter()  # by number of the tenth

    def _now(self) -> int:
        return window_part(self._clock.now_ns, self._part_ns)

    def add(self) -> None:
        """It happens now."""
        self._counts[self._now()] += 1

    @property
    def total(self) -> int:
        """How often within the window."""
        oldest = self._now() - WINDOW_PARTS + 1
        for number in [number for number in self._counts if number < oldest]:
            del self._counts[number]
        return self._counts.total()
