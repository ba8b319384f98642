"""The promotion of a standby (R10): one zone of a service serves, and another takes over when it is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from azsim.control.loop import Controller, World
from azsim.control.router import Verdict


class Ready(NamedTuple):
    """A standby is ready to serve."""

    zone: int


class Promote(NamedTuple):
    """Begin to make a standby ready."""

    zone: int


class TakeOver(NamedTuple):
    """Let a standby that is ready serve instead."""

    zone: int


class Promotion(Controller[Verdict | Ready, Promote | TakeOver]):
    """Lets the targets of one zone at a time be members of a service, at first of the first one in `zones`.

    Once none of them is in rotation, the next zone that has a target in rotation is promoted. That takes
    `promotion_ns`, is not called off, and is not undone when the old zone returns: that one is the standby then.
    `targets` are the instances of each zone; `names` the zones' names.
    """

    def __init__(
        self,
        world: World,
        service: str,
        zones: Sequence[int],
        names: Sequence[str],
        targets: Mapping[int, Sequence[int]],
        promotion_ns: int,
        set_member: Callable[[int, bool], None],
    ) -> None:
        super().__init__(f"standby.{service}", world)
        self._zones = zones
        self._names = names
        self._targets = targets
        self._promotion_ns = promotion_ns
        self._set_member = set_member
        self._serving = zones[0]
        self._out: set[int] = set()  # targets out of rotation, standbys among them
        self._is_promoting = False
        self._ready: Ready | None = None
        for zone in zones[1:]:
            self._join(zone, False)

    def _join(self, zone: int, member: bool) -> None:
        for instance in self._targets[zone]:
            self._set_member(instance, member)

    def hear(self, verdict: Verdict) -> None:
        """Be told of a change of the router's view, at this controller's turn in this instant."""
        self.world.post(0, self.name, verdict.instance, self.receive, verdict)

    def sense(self, reading: Verdict | Ready) -> None:
        """Take in a change of rotation, or that the standby is ready."""
        if isinstance(reading, Ready):
            self._ready = reading
        elif reading.healthy:
            self._out.discard(reading.instance)
        else:
            self._out.add(reading.instance)

    def decide(self) -> Iterable[Promote | TakeOver]:
        """Take over when ready; promote when the zone that serves is lost."""
        if self._ready is not None:
            return [TakeOver(self._ready.zone)]
        if self._is_promoting or not self._is_lost(self._serving):
            return []
        place = self._zones.index(self._serving)
        others = [*self._zones[place + 1 :], *self._zones[:place]]
        return [Promote(zone) for zone in others if not self._is_lost(zone)][:1]

    def _is_lost(self, zone: int) -> bool:
        return self._out.issuperset(self._targets[zone])

    def act(self, action: Promote | TakeOver) -> None:
        """Begin a promotion, or end it."""
        zone = self._names[action.zone]
        if isinstance(action, Promote):
            self._is_promoting = True
            self.world.log(self.name, f"zone {self._names[self._serving]} is lost: zone {zone} is being promoted")
            self.world.post(self._promotion_ns, self.name, -1, self.receive, Ready(action.zone))
            return
        self._join(self._serving, False)
        self._join(action.zone, True)
        self._serving, self._is_promoting, self._ready = action.zone, False, None
        self.world.log(self.name, f"zone {zone} has taken over")
        for following in self.decide():  # it may have been lost meanwhile
            self.act(following)
