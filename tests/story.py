"""Runs a plan on the reference and dates everything that was counted; for expectations reckoned by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome, Reason
from azsim.dataplane.layout import Plan, Recording
from azsim.dataplane.protocol import Notice
from azsim.dataplane.reference import Reference

ONE = {"a": 1}  # one instance, in zone a

Control = Callable[[Reference], object]


@dataclass
class Story:
    """A run, cut into rows of `tick` ns, so that everything counted can be dated."""

    recording: Recording
    notices: list[Notice]

    def dated(self, table: str, column: int, number: int = 0) -> list[int]:
        """When something was counted, as often as it was: `number` is the population or service."""
        counts = getattr(self.recording, table)[:, number, column]
        return [int(t) for t, n in zip(self.recording.start_ns, counts, strict=True) for _ in range(n)]

    def ends(self, population: int = 0) -> list[tuple[int, Outcome]]:
        """When requests ended, and how."""
        found = [(t, Outcome.OK) for t in self.dated("populations", layout.SUCCEEDED, population)]
        for outcome in Outcome:
            found += [(t, outcome) for t in self.dated("populations", layout.FAILED + outcome, population)]
        return sorted(found)

    def latencies(self, population: int = 0) -> dict[int, int]:
        """How long the successful requests took, by when they came (one in each tick)."""
        column = self.recording.populations[:, population, layout.STARTED_LATENCY]
        return {int(t): int(n) for t, n in zip(self.recording.start_ns, column, strict=True) if n}

    def attempts(self) -> list[int]:
        """When the first population sent attempts."""
        return self.dated("populations", layout.ATTEMPTS)

    def served(self, column: int, number: int = 0) -> list[int]:
        """When a service counted something."""
        return self.dated("services", column, number)

    def amounts(self, column: int, number: int = 0) -> dict[int, float]:
        """CPU time in ns that a service counted, by instant."""
        counts = self.recording.services[:, number, column]
        return {int(t): n / 1024 for t, n in zip(self.recording.start_ns, counts, strict=True) if n}

    def hop(self, number: int = 0) -> dict[Outcome, int]:
        """Outcomes of a hop's attempts."""
        return {outcome: int(n) for outcome, n in zip(Outcome, self.recording.hop_outcomes[number], strict=True) if n}


def play(plan: Plan, until_ns: int, control: Mapping[int, Control] | None = None, tick_ns: int = 10) -> Story:
    """Run a plan, acting at the given instants; conservation is checked after every one of them."""
    plane = Reference(plan)
    control = dict(control or {})
    notices: list[Notice] = []
    for t_ns in sorted({*range(tick_ns, until_ns, tick_ns), *control, until_ns}):
        while plane.advance(t_ns) is Reason.NOTICE:
            notices += plane.take_notices()
        if t_ns % tick_ns == 0 and t_ns < until_ns:
            plane.cut_row()
        if t_ns in control:
            control[t_ns](plane)
            plane.check()
    plane.check()
    return Story(plane.finish(), notices)


def state(to: InstanceState, instance: int = 0, backlog: int = 100) -> Control:
    """Control that changes an instance's state."""
    return lambda plane: plane.set_instance_state(instance, to, backlog)


def cut(a: int, b: int, on: bool = True) -> Control:
    """Control that cuts or mends a link."""
    return lambda plane: plane.set_link(a, b, on)


def both(*controls: Control) -> Control:
    """Several controls at one instant, in this order."""
    return lambda plane: [control(plane) for control in controls]
