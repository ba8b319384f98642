"""The books: what is counted, in which row (layout.Recording)."""

from __future__ import annotations

import numpy as np

from azsim.dataplane import layout
from azsim.dataplane.codes import OUTCOMES, Outcome
from azsim.dataplane.layout import Int64s, Plan, Recording
from azsim.policy.histogram import BINS, bin_of


class Ledger:
    """Counts of the run so far. `row` is the number of the open row.

    CPU time (2^-10 ns) is `spent` on a job when it leaves the CPU and stays unsettled until its answer is accepted or
    comes to nothing (D21, D24).
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.row = -1
        self.populations: list[Int64s] = []
        self.services: list[Int64s] = []
        self.latency: list[Int64s] = []
        self.mix: list[Int64s] = []
        self.hop_attempts = [0] * len(plan.hops)
        self.hop_outcomes = [[0] * OUTCOMES for _ in plan.hops]
        self.unsettled = [0] * len(plan.services)
        self.succeeded = 0
        self.failed = 0
        self.lost_writes = 0
        self.open_row()

    def open_row(self) -> int:
        """Begin the next row; its number."""
        self.row += 1
        self.populations.append(np.zeros((len(self._plan.populations), layout.POPULATION_COLUMNS), np.int64))
        self.services.append(np.zeros((len(self._plan.services), layout.SERVICE_COLUMNS), np.int64))
        self.latency.append(np.zeros(BINS, np.int64))
        self.mix.append(np.zeros((len(self._plan.mix), layout.MIX_COLUMNS), np.int64))
        return self.row

    def request_started(self, population: int) -> None:
        """A client's request arrived."""
        self.populations[self.row][population, layout.OFFERED] += 1

    def operation_asked(self, mix: int) -> None:
        """A request was of this row of Plan.mix."""
        self.mix[self.row][mix, layout.MIX_OFFERED] += 1

    def operation_succeeded(self, mix: int, start_row: int, degraded: bool) -> None:
        """A request of this row of Plan.mix succeeded."""
        self.mix[start_row][mix, layout.MIX_SUCCEEDED] += 1
        self.mix[start_row][mix, layout.MIX_DEGRADED] += degraded

    def request_ended(
        self, population: int, start_row: int, outcome: Outcome, latency_ns: int, degraded: bool = False
    ) -> None:
        """A client's request has its outcome; latency and `degraded` count for successes only."""
        now, start = self.populations[self.row][population], self.populations[start_row][population]
        if outcome is Outcome.OK:
            self.succeeded += 1
            now[layout.SUCCEEDED] += 1
            start[layout.STARTED_SUCCEEDED] += 1
            start[layout.STARTED_LATENCY] += latency_ns
            start[layout.STARTED_DEGRADED] += degraded
            self.latency[start_row][bin_of(latency_ns)] += 1
        else:
            self.failed += 1
            now[layout.FAILED + outcome] += 1
            start[layout.STARTED_FAILED + outcome] += 1

    def attempt_made(self, hop: int) -> None:
        """An attempt begins; it may be refused before it is sent (D63)."""
        self.hop_attempts[hop] += 1

    def attempt_sent(self, service: int, population: int, start_row: int) -> None:
        """An attempt was sent (D4); population -1: by a job."""
        self.count(service, layout.SENT)
        if population >= 0:
            self.populations[self.row][population, layout.ATTEMPTS] += 1
            self.populations[start_row][population, layout.STARTED_ATTEMPTS] += 1

    def attempt_ended(self, hop: int, population: int, outcome: Outcome) -> None:
        """An attempt has its outcome."""
        self.hop_outcomes[hop][outcome] += 1
        if population >= 0 and outcome is Outcome.TIMEOUT:
            self.populations[self.row][population, layout.TIMEOUTS] += 1

    def count(self, service: int, column: int) -> None:
        """One more in a column of Recording.services."""
        self.services[self.row][service, column] += 1

    def lost(self, service: int, writes: int) -> None:
        """Acknowledged writes of a service are lost."""
        self.lost_writes += writes
        self.services[self.row][service, layout.LOST] += writes

    def spent(self, service: int, cpu: int) -> None:
        """A job left the CPU after so much CPU time."""
        self.unsettled[service] += cpu

    def settle(self, service: int, cpu: int, useful: bool) -> None:
        """It is known what a job's CPU time was good for."""
        self.unsettled[service] -= cpu
        self.services[self.row][service, layout.USEFUL if useful else layout.WASTED] += cpu

    def waste_unsettled(self) -> None:
        """Every answer under way is gone (D22)."""
        for service, cpu in enumerate(self.unsettled):
            self.settle(service, cpu, useful=False)

    def recording(self) -> Recording:
        """The rows as one recording; what the engine alone knows is left at zero."""
        recording = Recording.empty(self._plan, self.row + 1)
        recording.populations[:] = self.populations
        recording.services[:] = self.services
        recording.latency[:] = self.latency
        recording.hop_attempts[:] = self.hop_attempts
        recording.hop_outcomes[:] = self.hop_outcomes
        recording.mix[:] = self.mix
        return recording
