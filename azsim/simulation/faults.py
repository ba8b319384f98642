"""The fault schedule: which faults are active when, and what the data plane is told of them (F, O6).

Active faults are a set. At each edge the state of everything a fault acts on is computed anew from that set and handed
to the data plane where it differs from what it was told last; nothing is saved and put back, so overlaps end exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from azsim.dataplane.codes import InstanceState
from azsim.dataplane.protocol import DataPlane
from azsim.simulation.effects import Effect, Fault, Lever, effective
from azsim.simulation.environment import ControlProcess, Environment, Rank
from azsim.simulation.segments import is_loss
from azsim.simulation.trace import FaultSpan


class Faults:
    """The faults of a run: one process each, and the set of those that are active now."""

    def __init__(
        self,
        env: Environment,
        plane: DataPlane,
        faults: Sequence[Fault],
        set_control: Callable[[int, bool], None] = lambda zone, lost: None,
    ) -> None:
        """`set_control(zone, lost)` stops the controllers in a zone, and lets them go on."""
        self._env = env
        self._faults = faults
        self._active: list[int] = []  # numbers of faults, ascending: products and sums have one order
        self._values: dict[tuple[Lever, Any], dict[int, Any]] = {}  # by what is acted on, then by fault
        self._acting: dict[int, Sequence[Effect]] = {}  # what each fault does now
        self._told: dict[tuple[Lever, Any], Any] = {}  # what the data plane holds, where not the default
        self._spans: dict[int, FaultSpan] = {}
        self._undetected: set[int] = set()
        self._aborted = False
        self.up = len(plane.plan.instances)  # instances in state UP
        self._tell: dict[Lever, Callable[[Any, Any], None]] = {
            Lever.STATE: lambda i, value: plane.set_instance_state(i, *value),
            Lever.STRESS: lambda i, value: plane.set_stress(i, *value),
            Lever.LINK: lambda places, cut: plane.set_link(places[0], places[1], cut),
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
        }
        for number, fault in enumerate(faults):
            env.process(self._process(number, fault))

    @property
    def active(self) -> tuple[str, ...]:
        """Ids of the faults that are active now."""
        return tuple(self._faults[number].id for number in self._active)

    @property
    def spans(self) -> tuple[FaultSpan, ...]:
        """When the faults were active so far, by start."""
        return tuple(self._spans[number] for number in sorted(self._spans, key=lambda n: (self._spans[n].start_ns, n)))

    @property
    def taken(self) -> set[int]:
        """Instances that active faults have taken away: their zone lost, crashed, paused."""
        return {i for number in self._active if is_loss(self._spans[number]) for i in self._faults[number].instances}

    def detects(self, instance: int) -> bool:
        """Whether an instance leaving rotation is the first answer to a fault; asked when it happens.

        A short fault may be over by then: probes take their time, and the view follows them later.
        """
        found = {number for number in self._undetected if instance in self._faults[number].instances}
        self._undetected -= found
        return bool(found)

    def abort(self) -> None:
        """End all active faults now; those that have not started never will (J6)."""
        self._aborted = True
        for number in tuple(self._active):
            self._end(number)

    def _process(self, number: int, fault: Fault) -> ControlProcess:
        yield self._env.until(fault.start_ns, (Rank.FAULT_START, "", number))
        if self._aborted:
            return
        self._start(number)
        if fault.stages:
            self._env.process(self._go_through_stages(number, fault))
        if fault.end_ns is None:
            return
        yield self._env.until(fault.end_ns, (Rank.FAULT_END, "", number))
        if number in self._active:
            self._end(number)

    def _go_through_stages(self, number: int, fault: Fault) -> ControlProcess:
        """Cycle after cycle, until the fault ends."""
        cycle_ns = fault.start_ns
        while True:
            for after_ns, effects in (*fault.stages, (fault.cycle_ns, fault.effects)):
                at_ns = cycle_ns + after_ns
                if fault.end_ns is not None and at_ns >= fault.end_ns:
                    return
                yield self._env.until(at_ns, (Rank.FAULT_START, "", number))
                if number not in self._active:
                    return
                self._act(number, effects)
            cycle_ns += fault.cycle_ns

    def _act(self, number: int, effects: Sequence[Effect]) -> None:
        """What a fault does now, in place of what it did; of what stays the same nobody is told."""
        before, self._acting[number] = self._acting.get(number, ()), effects
        touched = dict.fromkeys((lever, target) for lever, target, _ in (*before, *effects))
        for lever, target, _ in before:
            del self._values[lever, target][number]
        for lever, target, value in effects:
            self._values.setdefault((lever, target), {})[number] = value
        for lever, target in touched:
            self._push(lever, target)

    def _start(self, number: int) -> None:
        fault = self._faults[number]
        now_ns = int(self._env.now)
        self._env.cut()
        self._env.log("fault", fault.started)
        self._active = sorted([*self._active, number])
        self._undetected.add(number)
        self._spans[number] = FaultSpan(fault.id, fault.kind, fault.what, now_ns, None, fault.instances)
        self._act(number, fault.effects)

    def _end(self, number: int) -> None:
        fault = self._faults[number]
        now_ns = int(self._env.now)
        self._env.cut()
        self._env.log("fault", fault.ended)
        self._active.remove(number)
        span = self._spans[number]
        self._spans[number] = FaultSpan(span.id, span.kind, span.what, span.start_ns, now_ns, span.instances)
        self._act(number, ())

    def _push(self, lever: Lever, target: int | tuple[int, int]) -> None:
        values = self._values[lever, target]
        now = effective(lever, [values[number] for number in sorted(values)])
        before = self._told.get((lever, target))
        if before is None:
            before = effective(lever, ())
        if now == before:
            return
        if lever == Lever.STATE:
            self.up += (now[0] == InstanceState.UP) - (before[0] == InstanceState.UP)
        self._told[lever, target] = now
        self._tell[lever](target, now)
