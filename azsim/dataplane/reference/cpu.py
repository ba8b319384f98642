"""The CPU of one instance, shared by its jobs and by stressors (D16, D29; I2, I3, O3)."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from azsim.dataplane.codes import Kind
from azsim.dataplane.reference.clock import Clock, Key
from azsim.policy import cpu as policy


class SharedCpu:
    """Limited processor sharing on a virtual clock, in units of 2^-10 ns.

    While n jobs are on the CPU, each proceeds at `rate` = (the cores they get together) / n, and so does the virtual
    clock; a job that joins at V with work w leaves when the clock shows V + w. `completed(key, cpu)` is called when one
    has.
    """

    def __init__(
        self,
        clock: Clock,
        cores: float,
        completed: Callable[[Key, int], None],
        slowdown: Callable[[int], float] = lambda busy: 1.0,
    ) -> None:
        """`slowdown` tells how many times longer work takes, now, with so many slots in service."""
        self._clock = clock
        self._completed = completed
        self._cores = cores
        self._slowdown = slowdown
        self._busy = 0  # slots in service
        self._threads = self._load = 0.0
        self._competition = policy.SHARED
        self._paused = self._dead = False
        self._since_ns = 0  # the virtual clock and the three sums below are of this instant
        self._virtual = 0
        self._application = 0
        self._stress = 0
        self._rate = 0.0
        self._stress_cores = 0.0
        self._joined: dict[Key, int] = {}  # job on the CPU -> virtual clock when it joined
        self._finish: list[tuple[int, Key]] = []  # heap of virtual finishes; may hold jobs that have left
        self._next: tuple[int, Key] | None = None  # the completion that stands

    def join(self, job: Key, work: int) -> None:
        """Put a job on the CPU."""
        self._advance()
        self._joined[job] = self._virtual
        heappush(self._finish, (self._virtual + work, job))
        self._rerate()

    def leave(self, job: Key) -> int:
        """Take a job off the CPU; the CPU time it has used."""
        self._advance()
        used = self._virtual - self._joined.pop(job)
        self._rerate()
        return used

    def set_stress(self, threads: float, load: float, competition: int) -> None:
        """Stressor threads and the cores they want, all together."""
        self._threads, self._load, self._competition = threads, load, competition
        self._conditions_changed()

    def set_busy(self, busy: int) -> None:
        """How many slots are in service."""
        self._busy = busy
        self._conditions_changed()

    def set_state(self, paused: bool, dead: bool) -> None:
        """Paused: the application stands still. Dead: stressors too."""
        self._paused, self._dead = paused, dead
        self._conditions_changed()

    def reading(self) -> tuple[int, int]:
        """Core time used so far by the application and by stressors; the virtual clock is left alone."""
        dt_ns = self._clock.now_ns - self._since_ns
        application = policy.virtual_progress(dt_ns, self._rate) * len(self._joined)
        stress = policy.virtual_progress(dt_ns, self._stress_cores)
        return self._application + application, self._stress + stress

    def in_progress(self) -> int:
        """CPU time used so far by the jobs on the CPU."""
        virtual = self._virtual + policy.virtual_progress(self._clock.now_ns - self._since_ns, self._rate)
        return sum(virtual - joined for joined in self._joined.values())

    @property
    def jobs(self) -> int:
        """Jobs on the CPU."""
        return len(self._joined)

    def capacity(self, slots: int) -> float:
        """Cores that the application would get to use with all slots busy, less what a slowdown takes."""
        return self._application_cores(slots) / self._slowdown(slots)

    def _application_cores(self, jobs: int) -> float:
        return policy.application_cores(jobs, self._cores, self._threads, self._load, self._competition)

    def _advance(self) -> None:
        dt_ns = self._clock.now_ns - self._since_ns
        self._since_ns = self._clock.now_ns
        self._gain(policy.virtual_progress(dt_ns, self._rate))
        self._stress += policy.virtual_progress(dt_ns, self._stress_cores)

    def _gain(self, progress: int) -> None:
        self._virtual += progress
        self._application += progress * len(self._joined)

    def _rates(self) -> tuple[float, float]:
        """Rate of the virtual clock; cores of the stressors and those lost to a slowdown (D39)."""
        jobs, slowdown = len(self._joined), self._slowdown(self._busy)
        cores = 0.0 if self._paused else self._application_cores(jobs)
        stress = 0.0
        if not self._dead:
            stress = policy.stress_cores(cores, self._cores, self._load) + policy.lost_cores(cores, slowdown)
        return cores / jobs / slowdown if jobs else 0.0, stress

    def _conditions_changed(self) -> None:
        if self._rates() != (self._rate, self._stress_cores):
            self._advance()
            self._rerate()

    def _rerate(self) -> None:
        self._rate, self._stress_cores = self._rates()
        while self._finish and self._finish[0][1] not in self._joined:
            heappop(self._finish)
        if not self._finish or self._rate == 0.0:
            self._next = None
            return
        finish, job = self._finish[0]
        t_ns = self._since_ns + policy.time_to_finish(finish - self._virtual, self._rate)
        if self._next != (t_ns, job):
            self._next = (t_ns, job)
            self._clock.at(t_ns, Kind.COMPLETION, job, lambda: self._complete(t_ns, job))

    def _complete(self, t_ns: int, job: Key) -> None:
        if self._next != (t_ns, job):
            return  # overtaken by a later change
        self._advance()
        # The time was rounded up, the clock down: the job has done its work all the same.
        finish, _ = self._finish[0]
        self._gain(max(0, finish - self._virtual))
        self._completed(job, self.leave(job))
