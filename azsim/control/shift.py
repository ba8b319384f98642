"""Zonal shifts (T4): a balancer sends nothing new to a zone for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from azsim.control.loop import Controller, World
from azsim.control.specs import ShiftSpec


class Begin(NamedTuple):
    """A shift begins."""

    shift: ShiftSpec


class Expire(NamedTuple):
    """A shift has come to its end; every shift has one."""

    shift: ShiftSpec


class SetZone(NamedTuple):
    """Send nothing to a zone, or send to it again."""

    zone: int
    away: bool


class Shift(Controller[Begin | Expire, SetZone]):
    """The shifts of one service. One zone at a time is shifted away: of two shifts the one of higher rank counts, which
    is who ordered it before what the provider does by itself, and of two alike the one that came first.

    `set_shifted(zone, away)` does it; `is_served(without)` says whether the service would have healthy targets.
    """

    def __init__(
        self,
        world: World,
        service: str,
        shifts: Sequence[ShiftSpec],
        zones: Sequence[str],
        set_shifted: Callable[[int, bool], None],
        is_served: Callable[[int], bool],
    ) -> None:
        super().__init__(f"shift.{service}", world)
        self._zones = zones
        self._set_shifted = set_shifted
        self._is_served = is_served
        self._wanted: list[ShiftSpec] = []
        self._away: int | None = None
        for number, shift in enumerate(shifts):
            world.post(shift.start_ns, self.name, 2 * number + 1, self.receive, Begin(shift))
            world.post(shift.end_ns, self.name, 2 * number, self.receive, Expire(shift))

    def sense(self, reading: Begin | Expire) -> None:
        """Take in that a shift begins or ends."""
        if isinstance(reading, Begin):
            self.world.log(self.name, f"{reading.shift.name} away from zone {self._zones[reading.shift.zone]}")
            self._wanted.append(reading.shift)
        else:
            self._wanted.remove(reading.shift)

    def decide(self) -> Iterable[SetZone]:
        """Shift to what counts now. Where no other zone has a healthy target a shift is ignored."""
        best = max(self._wanted, key=lambda shift: shift.rank, default=None)
        wanted = None if best is None else best.zone
        if wanted is not None and wanted != self._away and not self._is_served(wanted):
            self.world.log(self.name, f"no other zone is healthy: zone {self._zones[wanted]} stays in use")
            return []
        if wanted == self._away:
            return []
        back = [] if self._away is None else [SetZone(self._away, False)]
        return back if wanted is None else [*back, SetZone(wanted, True)]

    def act(self, action: SetZone) -> None:
        """Shift away, or back."""
        self._away = action.zone if action.away else None
        self._set_shifted(action.zone, action.away)
        what = "gets no new requests" if action.away else "is in use again"
        self.world.log(self.name, f"zone {self._zones[action.zone]} {what}")
