"""Operations as programs (R8): steps, and the calls of the step that a job is at (D43-D45)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from azsim.dataplane.codes import Outcome
from azsim.dataplane.layout import WORK_STEP
from azsim.dataplane.reference.call import Call
from azsim.dataplane.reference.hop import Hop
from azsim.dataplane.reference.store import Store


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A step of work. `row` says how much (a row of Plan.steps or Plan.instances); None: what the instance has."""

    row: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Calls made all at once, one over each of these hops, and all awaited."""

    hops: Sequence[Hop]

    def wanted(self, zone: int) -> list[tuple[Hop, int | None]]:
        """The hops of its calls, and the zone that each is bound to, made from `zone`."""
        return [(hop, None) for hop in self.hops]


@dataclass(frozen=True, slots=True, eq=False)
class Quorum:
    """Calls over one hop to `calls` of these zones; `need` successes decide it."""

    hop: Hop
    zones: Sequence[int]
    calls: int
    need: int

    def wanted(self, zone: int) -> list[tuple[Hop, int | None]]:
        """The hop and the zones called from `zone`: this one first, then the following ones, round and round (D44)."""
        around = sorted(self.zones, key=lambda other: (other < zone, other))
        return [(self.hop, other) for other in around[: self.calls]]


Operation = Sequence[Work | Calls | Quorum]


def operation_of(rows: Sequence[Any], hops: Sequence[Hop]) -> Operation:
    """The program that rows of Plan.steps describe."""
    program: list[Work | Calls | Quorum] = []
    for row in rows:
        if row.kind == WORK_STEP:
            program.append(Work(row if row.work >= 0 else None))
        elif row.zones:
            zones = [zone for zone in range(64) if row.zones >> zone & 1]
            program.append(Quorum(hops[row.hop], zones, row.calls, row.need))
        else:
            program.append(Calls(hops[row.hop : row.hop + row.calls]))
    return program


@dataclass(slots=True, eq=False)
class Fan:
    """The calls of one step under way."""

    step: Calls | Quorum
    calls: list[Call] = field(default_factory=list)  # not ended yet
    holders: set[int] = field(default_factory=set)  # zones that have answered ok
    succeeded: int = 0
    failed: int = 0  # required ones
    degraded: bool = False

    def ended(self, call: Call, outcome: Outcome) -> None:
        """A call has its outcome."""
        self.calls.remove(call)
        if outcome is Outcome.OK:
            self.succeeded += 1
            self.holders.add(call.answered_in)
        elif call.hop.row.optional and isinstance(self.step, Calls):
            self.degraded = True
        else:
            self.failed += 1

    @property
    def write(self) -> tuple[Store, int] | None:
        """The store that a quorum which is met has written to, and what was asked of it."""
        if not isinstance(self.step, Quorum) or self.succeeded < self.step.need or self.step.hop.store is None:
            return None
        return self.step.hop.store, self.step.hop.row.operation

    @property
    def is_over(self) -> bool:
        """Whether the step is decided (D44)."""
        if isinstance(self.step, Quorum):
            return self.succeeded >= self.step.need or self.failed > self.step.calls - self.step.need
        return not self.calls

    def outcome(self) -> Outcome:
        """What a decided step means for its job; an optional quorum that is missed degrades it (D45)."""
        missed = self.failed > 0
        if isinstance(self.step, Quorum):
            missed = self.succeeded < self.step.need
            if missed and self.step.hop.row.optional:
                self.degraded = True
                missed = False
        return Outcome.ERROR if missed else Outcome.OK
