"""One pass of both planes over the simulated time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from azsim.base.errors import InternalError
from azsim.control.plane import ControlPlane, absent_at_start
from azsim.control.specs import ControlSpec
from azsim.dataplane.layout import Plan, Recording
from azsim.dataplane.protocol import DataPlane
from azsim.simulation.abort import Abort
from azsim.simulation.effects import AbortCondition, Fault
from azsim.simulation.environment import ControlProcess, Environment, Rank, in_chunks
from azsim.simulation.faults import Faults
from azsim.simulation.levers import Levers
from azsim.simulation.machines import Machines
from azsim.simulation.presence import write_core_time
from azsim.simulation.trace import Scaled

Progress = Callable[[float], None]

ENGINES = ("kernel", "reference")
MEMORY_LIMIT_BYTES = 4 << 30
_PROGRESS_WALL_S = 0.05


def data_plane(plan: Plan, engine: str, memory_limit_bytes: int | None = None) -> DataPlane:
    """A data plane at time 0, compiled and ready to go. The memory limit binds the kernel only."""
    # Imported here because who takes the reference should not wait for the compiler.
    if engine == "reference":
        from azsim.dataplane.reference import Reference

        return Reference(plan)
    if engine == "kernel":
        from azsim.dataplane.kernel import Kernel

        kernel = Kernel(plan, MEMORY_LIMIT_BYTES if memory_limit_bytes is None else memory_limit_bytes)
        kernel.advance(0)
        return kernel
    raise ValueError(f"no engine is called {engine!r}; there are {' and '.join(ENGINES)}")


@dataclass(frozen=True, slots=True)
class Course:
    """What is to happen in a run, beside what the plan says. Times None: never."""

    end_ns: int
    faults: tuple[Fault, ...]
    abort: tuple[AbortCondition, ...]
    reset_at_ns: int | None
    retries_off_from_ns: int | None
    rejoin_at_ns: int | None
    refill_at_ns: int | None = None
    control: ControlSpec = field(default_factory=ControlSpec)


class Pass:
    """The course of one run on a fresh data plane; when it is made the run is over.

    `paranoid`: checks conservation on every second and goes there in chunks of random length.
    """

    def __init__(self, plane: DataPlane, course: Course, *, paranoid: bool, progress: Progress | None) -> None:
        self.view_changes: list[tuple[int, int, bool]] = []
        self._plane = plane
        self.env = env = Environment(plane, in_chunks(plane, plane.plan.key) if paranoid else None)
        self.absent = absent_at_start(plane.plan, course.control)
        levers = Levers(
            plane,
            lambda zone, lost: control.set_zone(zone, lost),
            lambda zone, refused: self.machines.set_capacity(zone, refused),
            lambda zone, why, lost: control.see_nodes(zone, why, lost),
            lambda number, on: control.set_hazard(number, on),
        )
        self.machines = Machines(
            env, plane, levers, self.absent, self._set_view, lambda instance: self.faults.gone(instance)
        )
        self.control = control = ControlPlane(plane.plan, env, self.machines, course.control, plane.set_listed)
        self.faults = Faults(env, plane, course.faults, levers, self.machines.exists)
        self.abort = Abort(env, plane, self.faults, course.abort)
        env.listen(control.notice)
        if course.reset_at_ns is not None:
            env.call_at(course.reset_at_ns, (Rank.EXPERIMENTER, "reset", 0), plane.reset)
        if course.retries_off_from_ns is not None:
            env.call_at(course.retries_off_from_ns, (Rank.EXPERIMENTER, "retries", 0), lambda: plane.set_retries(False))
        if course.rejoin_at_ns is not None:
            env.call_at(
                course.rejoin_at_ns, (Rank.EXPERIMENTER, "rejoin", 0), lambda: control.rejoin(self.faults.taken)
            )
        if course.refill_at_ns is not None:
            env.call_at(course.refill_at_ns, (Rank.EXPERIMENTER, "refill", 0), plane.refill_caches)
        if paranoid:
            env.process(self._check())
        if progress is not None:
            env.process(self._report(progress, course.end_ns))
        started_s = time.perf_counter()
        env.run_to(course.end_ns)
        self.wall_s = time.perf_counter() - started_s
        env.log("end", "the run ends")
        if paranoid:
            plane.check()
            control.check()
        self.recording: Recording = plane.finish()
        write_core_time(self.recording, plane.plan, self.absent, self.machines.presence)
        if progress is not None:
            progress(1.0)

    @property
    def scaling(self) -> Scaled:
        """What scaling groups did."""
        groups = self.control.groups
        return Scaled(
            absent=tuple(self.absent),
            presence=tuple(self.machines.presence),
            desired={group.spec.name: tuple(group.desired_log) for group in groups},
            refusals=tuple((group.spec.name, *one) for group in groups for one in group.refusals),
        )

    def _set_view(self, instance: int, healthy: bool) -> None:
        if not healthy and self.faults.detects(instance):
            self.env.cut()
        self.view_changes.append((int(self.env.now), instance, healthy))
        self._plane.set_view(instance, healthy)

    def _check(self) -> ControlProcess:
        for second in self.env.every_second((Rank.EXPERIMENTER, "check", 0)):
            yield second
            self._plane.check()
            self.control.check()

    def _report(self, progress: Progress, end_ns: int) -> ControlProcess:
        told_s = 0.0
        for second in self.env.every_second((Rank.EXPERIMENTER, "progress", 0)):
            yield second
            now_s = time.perf_counter()
            if now_s - told_s >= _PROGRESS_WALL_S:
                told_s = now_s
                progress(int(self.env.now) / end_ns)


def assert_same(first: Pass, second: Pass) -> None:
    """Two passes that differ in their chunks alone must not differ (C5); InternalError says what does."""
    differing = [
        name
        for name in Recording.__slots__
        if not np.array_equal(getattr(first.recording, name), getattr(second.recording, name))
    ]
    if first.env.events != second.env.events or first.view_changes != second.view_changes:
        differing.append("events")
    if differing:
        raise InternalError(f"the run depends on the chunks it is simulated in: {', '.join(differing)} differ")
