"""The fault schedule: which faults are active when, and what the data plane is told of them (F, O6).

Active faults are a set; what they do together is up to the levers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from azsim.dataplane.protocol import DataPlane
from azsim.simulation.effects import OF_INSTANCES, Effect, Fault
from azsim.simulation.environment import ControlProcess, Environment, Rank
from azsim.simulation.levers import Levers
from azsim.simulation.segments import is_loss
from azsim.simulation.trace import FaultSpan


class Faults:
    """The faults of a run: one process each, and the set of those that are active now."""

    def __init__(
        self,
        env: Environment,
        plane: DataPlane,
        faults: Sequence[Fault],
        levers: Levers | None = None,
        exists: Callable[[int], bool] = lambda instance: True,
    ) -> None:
        """`exists` says whether there is such an instance now."""
        self._env = env
        self._levers = levers or Levers(plane)
        self._exists = exists
        self._plane = plane
        self._faults = faults
        self._active: list[int] = []  # numbers of faults, ascending: products and sums have one order
        self._acting: dict[int, tuple[Effect, ...]] = {}  # what each fault does now
        self._spared: dict[int, set[int]] = {}  # instances that a fault does not strike, though their rows are listed
        self._spans: dict[int, FaultSpan] = {}
        self._undetected: set[int] = set()
        self._aborted = False
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
    def up(self) -> int:
        """Instances in state UP."""
        return self._levers.up

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

    def _act(self, number: int, effects: Iterable[Effect]) -> None:
        """What a fault does now, in place of what it did."""
        spared = self._spared.get(number, set())
        effects = tuple(one for one in effects if not (one.lever in OF_INSTANCES and one.target in spared))
        before, self._acting[number] = self._acting.get(number, ()), effects
        lost_before = self._plane.lost_writes()
        self._levers.change(number, before, effects)
        lost = self._plane.lost_writes() - lost_before
        if lost:
            self._env.log("data-loss", f"{lost} acknowledged {'write' if lost == 1 else 'writes'} lost")

    def gone(self, instance: int) -> None:
        """An instance exists no longer: what struck its machine does not strike the next one (D71)."""
        for number in self._active:
            if self._faults[number].on_hosts:
                self._spared.setdefault(number, set()).add(instance)
                self._act(number, self._acting[number])

    def _start(self, number: int) -> None:
        fault = self._faults[number]
        now_ns = int(self._env.now)
        self._env.cut()
        self._env.log("fault", fault.started)
        self._active = sorted([*self._active, number])
        self._undetected.add(number)
        struck = tuple(i for i in fault.instances if self._exists(i))
        if fault.on_hosts:
            self._spared[number] = {i for i in fault.instances if not self._exists(i)}
        self._spans[number] = FaultSpan(fault.id, fault.kind, fault.what, now_ns, None, struck)
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
