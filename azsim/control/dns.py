"""Which zones the name of a zonal balancer resolves to (B2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from azsim.control.loop import Controller, World
from azsim.control.router import Verdict
from azsim.dataplane.layout import Dns
from azsim.policy.balancing import fails_open


class Seen(NamedTuple):
    """What is seen of the nodes in a zone from outside: whether, for some reason, they are lost."""

    zone: int
    why: str
    lost: bool


class Listing(NamedTuple):
    """Whether a zone is to be in the answers, or is from now on (`due`)."""

    zone: int
    listed: bool
    due: bool = False


class NameServer(Controller[Verdict | Seen | Listing, Listing]):
    """Takes zones out of the answers whose nodes are lost or whose targets are too few, and puts them back.

    Each change takes effect `delay_ns` after its reason. If no zone is fit all are listed. `targets` are the instances
    of each zone, as far as they are targets.
    """

    def __init__(
        self,
        world: World,
        service: str,
        names: Sequence[str],
        rule: Dns,
        targets: Mapping[int, Sequence[int]],
        set_listed: Callable[[int, int, bool], None],
    ) -> None:
        super().__init__(f"dns.{service}", world)
        self._names = names
        self._rule = rule
        self._targets = targets
        self._set_listed = set_listed
        self._lost: set[tuple[int, str]] = set()
        self._out: set[int] = set()  # targets out of rotation
        self._listed = dict.fromkeys(targets, True)  # as it will be
        self._due: list[Listing] = []

    def hear(self, verdict: Verdict) -> None:
        """Be told of a change of the router's view, at this controller's turn in this instant."""
        self.world.post(0, self.name, verdict.instance, self.receive, verdict)

    def see(self, zone: int, why: str, lost: bool) -> None:
        """Be told of a zone's nodes, at this controller's turn in this instant."""
        self.world.post(0, self.name, -1 - zone, self.receive, Seen(zone, why, lost))

    def sense(self, reading: Verdict | Seen | Listing) -> None:
        """Take in a change of rotation, a change of the nodes, or that an answer is due."""
        if isinstance(reading, Listing):
            self._due.append(reading)
        elif isinstance(reading, Seen):
            (self._lost.add if reading.lost else self._lost.discard)((reading.zone, reading.why))
        elif reading.healthy:
            self._out.discard(reading.instance)
        else:
            self._out.add(reading.instance)

    def decide(self) -> Iterable[Listing]:
        """What is due, and what is to follow from what was sensed."""
        due, self._due = self._due, []
        fit = {zone: self._is_fit(zone) for zone in self._targets}
        if not any(fit.values()):
            fit = dict.fromkeys(fit, True)
        return [*due, *(Listing(zone, listed) for zone, listed in fit.items() if listed != self._listed[zone])]

    def _is_fit(self, zone: int) -> bool:
        rule = self._rule
        judged = self._targets[zone] if rule.per_zone else [i for own in self._targets.values() for i in own]
        healthy = sum(instance not in self._out for instance in judged)
        nodes_lost = any(lost == zone for lost, _ in self._lost)
        return not nodes_lost and not fails_open(healthy, len(judged), rule.below, rule.fewer_than)

    def act(self, action: Listing) -> None:
        """Let an answer change after its delay; or now, if it is due."""
        if not action.due:
            self._listed[action.zone] = action.listed
            due = action._replace(due=True)
            self.world.post(self._rule.delay_ns, self.name, action.zone, self.receive, due)
            return
        self._set_listed(self._rule.service, action.zone, action.listed)
        place = "back in" if action.listed else "out of"
        self.world.log(self.name, f"zone {self._names[action.zone]} {place} the answers")
