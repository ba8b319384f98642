"""What of the data plane is moved, and by whom (O6).

Who moves something are the faults, by their numbers, and the machines that come and go. Whatever several of them do to
one thing is computed anew from all of it at each change, and handed on where it differs from what was told last;
nothing is saved and put back, so overlaps end exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from azsim.dataplane.codes import InstanceState
from azsim.dataplane.protocol import DataPlane
from azsim.simulation.effects import Effect, Lever, effective

MACHINES: Final = -1
"""The owner of what happens to instances because they exist or not."""
SHIFTS: Final = -2
"""The owner of what zonal shifts do."""


class Levers:
    """All that can be moved on one data plane. `set_control(zone, lost)` stops controllers and lets them go on,
    `set_capacity(zone, refused)` says whether a zone gives instances, `see_nodes(zone, why, lost)` whether those
    outside have lost the balancers' nodes in it, `set_hazard(number, on)` lets hazards begin and end.
    """

    def __init__(
        self,
        plane: DataPlane,
        set_control: Callable[[int, bool], None] = lambda zone, lost: None,
        set_capacity: Callable[[int, bool], None] = lambda zone, refused: None,
        see_nodes: Callable[[int, str, bool], None] = lambda zone, why, lost: None,
        set_hazard: Callable[[int, bool], None] = lambda number, on: None,
    ) -> None:
        self._values: dict[tuple[Lever, Any], dict[int, Any]] = {}  # by what is acted on, then by who acts
        self._told: dict[tuple[Lever, Any], Any] = {}  # what the data plane holds, where not the default
        self.up = len(plane.plan.instances)  # instances in state UP
        self._tell: dict[Lever, Callable[[Any, Any], None]] = {
            Lever.STATE: lambda i, value: plane.set_instance_state(i, *value),
            Lever.STRESS: lambda i, value: plane.set_stress(i, *value),
            Lever.LINK: self._set_link,
            Lever.LATENCY: plane.set_latency,
            Lever.ERROR_SHARE: plane.set_error_share,
            Lever.RATE: plane.set_rate_factor,
            Lever.CONTROL: set_control,
            Lever.LOSS: lambda places, share: plane.set_loss(places[0], places[1], share),
            Lever.INSTANCE_LOSS: plane.set_instance_loss,
            Lever.MALFORMED: plane.set_malformed_share,
            Lever.WORK: plane.set_work_factor,
            Lever.MEMBER: plane.set_member,
            Lever.HOP: plane.set_hop,
            Lever.INSTANCE: plane.set_instance,
            Lever.CAPACITY: set_capacity,
            Lever.NODES: self._set_nodes,
            Lever.NAME: lambda service, fails: plane.set_resolves(service, not fails),
            Lever.HAZARD: set_hazard,
        }
        self._plane = plane
        self._see_nodes = see_nodes

    def _set_link(self, places: tuple[int, int], cut: bool) -> None:
        self._plane.set_link(places[0], places[1], cut)
        if places[1] == len(self._plane.plan.zones):
            self._see_nodes(places[0], "unreachable", cut)

    def _set_nodes(self, zone: int, state: InstanceState) -> None:
        self._plane.set_nodes(zone, state)
        self._see_nodes(zone, "lost", state != InstanceState.UP)

    def now(self, lever: Lever, target: Any) -> Any:
        """What something is now."""
        found = self._told.get((lever, target))
        return effective(lever, ()) if found is None else found

    def change(self, owner: int, before: Iterable[Effect], after: Iterable[Effect]) -> None:
        """What an owner does now, in place of what it did; of what stays the same nobody is told."""
        before, after = tuple(before), tuple(after)
        touched = dict.fromkeys((lever, target) for lever, target, _ in (*before, *after))
        for lever, target, _ in before:
            del self._values[lever, target][owner]
        for lever, target, value in after:
            self._values.setdefault((lever, target), {})[owner] = value
        for lever, target in touched:
            self._push(lever, target)

    def _push(self, lever: Lever, target: int | tuple[int, int]) -> None:
        values = self._values[lever, target]
        # Owners in ascending order: products and sums have one order.
        now, before = effective(lever, [values[owner] for owner in sorted(values)]), self.now(lever, target)
        if now == before:
            return
        if lever == Lever.STATE:
            self.up += (now[0] == InstanceState.UP) - (before[0] == InstanceState.UP)
        self._told[lever, target] = now
        self._tell[lever](target, now)
