"""Operations, their steps and who asks for which, as tables (R8)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from azsim.dataplane.layout import CALLS_STEP, QUORUM_STEP, WORK_STEP
from azsim.scenario import Scenario
from azsim.scenario.operation import Call, Step
from azsim.scenario.service import Service
from azsim.scenario.traffic import Population
from azsim.simulation.lower_work import Row, WorkTable

_NO_WORK: Row = {"work": -1, "work_a": 0.0, "work_b": 0.0, "table_first": 0, "table_count": 0}
_NO_CALLS: Row = {"hop": -1, "calls": 0, "need": 0, "zones": 0}


def cumulated(shares: Sequence[tuple[int, float]]) -> list[tuple[int, int]]:
    """What is drawn and the cumulative share up to it, in units of 2^-32."""
    total = math.fsum(share for _, share in shares)
    return [
        (what, round(math.fsum(share for _, share in shares[: i + 1]) / total * (1 << 32)))
        for i, (what, _) in enumerate(shares)
    ]


def _needs_program(service: Service) -> bool:
    """Whether what a service does by itself is more than its work and then its calls, all made and all required."""
    return service.has_cache or service.replication is not None or any(call.optional for call in service.calls)


class Programs:
    """The operations of all services, service by service; what a service does by itself comes first where it needs
    a program.
    """

    def __init__(self, scenario: Scenario, work_table: WorkTable) -> None:
        self.operations: list[Row] = []
        self.steps: list[Row] = []
        self._scenario = scenario
        self._work_table = work_table
        keys = [(name, operation) for name, service in scenario.services.items() for operation in _operations(service)]
        self._numbers: dict[tuple[str, str | None], int] = {key: number for number, key in enumerate(keys)}

    @property
    def used(self) -> bool:
        """Whether any program is there."""
        return bool(self._numbers)

    @property
    def names(self) -> tuple[str, ...]:
        """The operations, as `web.buy`; what a service does by itself is named by the service."""
        return tuple(name if operation is None else f"{name}.{operation}" for name, operation in self._numbers)

    def default(self, service: str) -> int:
        """What a service does for callers that ask for no operation; -1: its work, then its calls."""
        return self._numbers.get((service, None), -1)

    def asked(self, hop: Population | Call) -> int:
        """What a hop asks for; -1: the callee's default, or drawn from a mix."""
        if isinstance(hop, Population) or hop.operation is None:
            return -1
        return self._numbers[hop.to, hop.operation]

    def mix(self, population: Population) -> list[Row]:
        """The operations a population asks for, by cumulative shares of 2^32, in the order of their names."""
        shares = [(self._numbers[population.to, name], share) for name, share in population.mix.items() if share]
        return [{"operation": operation, "upto": upto} for operation, upto in cumulated(shares)]

    def add(self, name: str, hops: Sequence[int]) -> None:
        """Adds the programs of a service, whose calls (`Service.every_call`) are these hops."""
        service = self._scenario.services[name]
        hop_of = {id(placed.call): hop for placed, hop in zip(service.every_call, hops, strict=True)}
        for operation in _operations(service):
            steps = service.steps(operation)
            row = {
                "steps_first": len(self.steps),
                "steps_count": len(steps),
                "writes": int(_writes(service, operation)),
            }
            self.operations.append(row)
            self.steps += [self._step(step, hop_of) for step in steps]

    def _step(self, step: Step, hop_of: dict[int, int]) -> Row:
        if step.work is not None:
            work = {} if isinstance(step.work, str) else self._work_table.row(step.work)
            return {"kind": WORK_STEP} | _NO_CALLS | _NO_WORK | work
        hop = hop_of[id(step.calls[0])]
        if step.quorum is not None:
            row = {"calls": step.quorum.zones, "need": step.quorum.need, "zones": self._zones_with(step.quorum.to)}
            return {"kind": QUORUM_STEP, "hop": hop} | row | _NO_WORK
        return {
            "kind": CALLS_STEP,
            "hop": hop,
            "calls": len(step.calls),
            "need": len(step.calls),
            "zones": 0,
        } | _NO_WORK

    def _zones_with(self, name: str) -> int:
        """Bits of the zones in which a service has instances, as a signed 64-bit number."""
        service = self._scenario.services[name]
        bits = sum(1 << place for place, zone in enumerate(self._scenario.zones) if service.instances(zone))
        return int(np.uint64(bits).astype(np.int64))


def _writes(service: Service, operation: str | None) -> bool:
    """Whether who asks for an operation writes to the service's replicated data."""
    if service.replication is None:
        return False
    return not service.replication.writes or operation in service.replication.writes


def _operations(service: Service) -> Iterator[str | None]:
    if _needs_program(service):
        yield None
    yield from service.operations
