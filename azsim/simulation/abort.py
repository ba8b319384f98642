"""Abort conditions: what a chaos tool watches in order to halt its faults (J6)."""

from __future__ import annotations

from azsim.base.units import SECOND_NS
from azsim.dataplane.protocol import DataPlane
from azsim.simulation.effects import AbortCondition
from azsim.simulation.environment import ControlProcess, Environment, Rank
from azsim.simulation.faults import Faults


class Abort:
    """Watches the conditions of a run; `aborted_at_ns` says when the first one was met."""

    def __init__(
        self, env: Environment, plane: DataPlane, faults: Faults, conditions: tuple[AbortCondition, ...]
    ) -> None:
        self.aborted_at_ns: int | None = None
        self._env = env
        self._plane = plane
        self._faults = faults
        if conditions:
            env.process(self._watch(conditions))

    def _watch(self, conditions: tuple[AbortCondition, ...]) -> ControlProcess:
        since_ns: list[int | None] = [None] * len(conditions)  # since when each has held
        succeeded_before, failed_before = self._plane.ended()
        for second in self._env.every_second((Rank.EXPERIMENTER, "abort", 0)):
            yield second
            now_ns = int(self._env.now)
            succeeded, failed = self._plane.ended()
            new_failed = failed - failed_before
            new_ended = succeeded - succeeded_before + new_failed
            succeeded_before, failed_before = succeeded, failed
            for i, abort in enumerate(conditions):
                if abort.measure == "error_rate":
                    holds = new_ended > 0 and abort.condition.holds(new_failed / new_ended)
                    started_ns = now_ns - SECOND_NS
                else:
                    number = self._faults.up if abort.measure == "instances" else self._plane.lost_writes()
                    holds = abort.condition.holds(number)
                    started_ns = now_ns
                held_since_ns = since_ns[i]
                since_ns[i] = (started_ns if held_since_ns is None else held_since_ns) if holds else None
                held_since_ns = since_ns[i]
                if held_since_ns is not None and now_ns - held_since_ns >= abort.for_ns:
                    self._halt(now_ns, abort)
                    return

    def _halt(self, now_ns: int, abort: AbortCondition) -> None:
        self.aborted_at_ns = now_ns
        self._env.cut()
        words = abort.measure.replace("_", " ")
        self._env.log("abort", f"{words} {abort.condition}: all faults end")
        self._faults.abort()
