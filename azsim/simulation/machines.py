"""The hands and the senses of the control plane: machines that come and go, and what can be measured of them.

The truth is kept here and in the data plane; controllers get no more of it than telemetry brings them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from azsim.dataplane.codes import InstanceState
from azsim.dataplane.protocol import DataPlane
from azsim.simulation.effects import Effect, Lever, crashed, dead
from azsim.simulation.environment import Environment
from azsim.simulation.levers import MACHINES, SHIFTS, Levers
from azsim.simulation.presence import Presence


class Machines:
    """The instances of a run (`control.plane.Hands`). `absent` are the rows of the plan that do not exist at first;
    `stopped(instance)` hears of one that has ceased to.
    """

    def __init__(
        self,
        env: Environment,
        plane: DataPlane,
        levers: Levers,
        absent: Sequence[int],
        set_view: Callable[[int, bool], None],
        stopped: Callable[[int], None],
    ) -> None:
        self.presence: list[Presence] = []
        self.set_view = set_view
        self.show = plane.set_view
        self.readings = plane.readings
        self.sent = plane.sent
        self.set_probing = plane.set_probing
        self._env = env
        self._plane = plane
        self._instances = plane.plan.instances
        self._since_ns: dict[int, int] = {}  # where later than the start of the run
        self._absent = set(absent)
        self._refusing: set[int] = set()  # zones
        self._acting: dict[int, tuple[Effect, ...]] = {}
        self._levers = levers
        self._stopped = stopped
        for instance in sorted(self._absent):
            self._act(instance, (dead(instance), Effect(Lever.MEMBER, instance, False)))
            self.set_probing(instance, False)

    def _act(self, instance: int, effects: tuple[Effect, ...]) -> None:
        self._levers.change(MACHINES, self._acting.get(instance, ()), effects)
        self._acting[instance] = effects

    def exists(self, instance: int) -> bool:
        """Whether there is such an instance now."""
        return instance not in self._absent

    def runs(self, instance: int) -> bool:
        """Whether an instance's machine runs, whatever its processes do."""
        return self.exists(instance) and self._levers.now(Lever.STATE, instance)[0] is not InstanceState.DEAD

    def set_shifted(self, service: int, zone: int, away: bool) -> None:
        """Whether a balancer sends to a zone's targets at all."""
        rows = (self._instances["service"] == service) & (self._instances["zone"] == zone)
        effects = [Effect(Lever.MEMBER, int(i), False) for i in np.flatnonzero(rows)]
        self._levers.change(SHIFTS, [] if away else effects, effects if away else [])

    def has_capacity(self, zone: int) -> bool:
        """Whether a zone gives instances now."""
        return zone not in self._refusing

    def set_capacity(self, zone: int, refused: bool) -> None:
        """Whether a zone refuses to give any."""
        (self._refusing.add if refused else self._refusing.discard)(zone)

    def start(self, instance: int) -> None:
        """Let an instance exist; it is no target yet."""
        self._absent.discard(instance)
        self._since_ns[instance] = self._env.now_ns
        self.presence.append((self._env.now_ns, instance, True))
        self._act(instance, (Effect(Lever.MEMBER, instance, False),))

    def stop(self, instance: int) -> None:
        """Let an instance exist no longer; what it holds gets a reset."""
        member = tuple(one for one in self._acting.get(instance, ()) if one.lever is Lever.MEMBER)
        self._act(instance, (*member, crashed(instance)))
        self._act(instance, (*member, dead(instance)))
        self._absent.add(instance)
        self.presence.append((self._env.now_ns, instance, False))
        self._stopped(instance)

    def set_member(self, instance: int, member: bool) -> None:
        """Whether an instance is a target, as far as control decides."""
        others = tuple(one for one in self._acting.get(instance, ()) if one.lever is not Lever.MEMBER)
        self._act(instance, others if member else (*others, Effect(Lever.MEMBER, instance, False)))

    def failed(self) -> int:
        """Requests that have failed so far."""
        return self._plane.ended()[1]

    def reporting(self, service: int, from_inside: bool) -> Sequence[int]:
        """The instances of a service whose metrics come out: those that exist and whose machine runs, and `from_inside`
        those that reach the world outside the zones, where metrics are kept.
        """
        outside = len(self._plane.plan.zones)
        row = self._plane.plan.services[service]
        first = int(row["instances_first"])
        return [
            i
            for i in range(first, first + int(row["instances_count"]))
            if self.exists(i)
            and self._levers.now(Lever.STATE, i)[0] < InstanceState.CRASHED
            and not (from_inside and self._levers.now(Lever.LINK, (int(self._instances["zone"][i]), outside)))
        ]

    def running_since_ns(self, instance: int) -> int:
        """When an instance was started."""
        return self._since_ns.get(instance, 0)

    def cores(self, instance: int) -> float:
        """How many an instance has."""
        return float(self._instances["cores"][instance])
