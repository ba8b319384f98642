"""The instances of a scaling group as it believes them to be: how far each is, and how well (S1, S3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from azsim.base.seeds import key_hash
from azsim.control.loop import World
from azsim.control.router import Verdict
from azsim.control.specs import NEWEST, OLDEST, GroupSpec
from azsim.policy.scaling import replaced_at_once

_VICTIM = 7  # purpose of the draw of who goes


class Checked(NamedTuple):
    """How a group's instances were found: those whose machines do not run."""

    stopped: frozenset[int]


class Stage(IntEnum):
    """How far an instance is on its way, as the group believes."""

    STARTED = 0  # it runs, and is not a target yet
    IN_SERVICE = 1
    LEAVING = 2
    DONE = 3  # drained


@dataclass(slots=True)
class Member:
    """An instance of a group."""

    zone: int
    since_ns: int  # it is in service
    stage: Stage = Stage.IN_SERVICE
    warms: bool = False  # it was launched during the run
    runs: bool = True
    in_rotation: bool = True
    doomed: bool = False  # it is unwell, and to be replaced
    replaced: bool = False  # it leaves because it was


class Members:
    """All of them."""

    def __init__(self, world: World, spec: GroupSpec, key: int) -> None:
        self._world = world
        self._spec = spec
        self._key = key
        self._all: dict[int, Member] = {}

    @property
    def instances(self) -> list[int]:
        """Those that exist, as the group believes."""
        return list(self._all)

    @property
    def stages(self) -> Counter[Stage]:
        """How many are how far."""
        return Counter(member.stage for member in self._all.values())

    def at(self, stage: Stage) -> list[int]:
        """Those that are so far."""
        return [i for i, member in self._all.items() if member.stage is stage]

    def counts(self) -> Counter[int]:
        """By zone, those that count towards what is desired: not those that leave, except to make room for another, nor
        those that stay only until another has come.
        """
        present = (Stage.STARTED, Stage.IN_SERVICE)
        return Counter(
            member.zone
            for member in self._all.values()
            if (member.stage in present and not (member.doomed and self._spec.health.launches_first))
            or (member.stage is Stage.LEAVING and member.replaced and not self._spec.health.launches_first)
        )

    def warming(self) -> Collection[int]:
        """Instances that still warm up; telemetry leaves them out."""
        warmup_ns = self._spec.launch.warmup_ns
        return [i for i, one in self._all.items() if one.warms and self._world.now_ns < one.since_ns + warmup_ns]

    def begin(self, instance: int, zone: int) -> None:
        """An instance that is there from the start."""
        self._all[instance] = Member(zone, 0)

    def started(self, instance: int, zone: int) -> None:
        """A new one runs."""
        self._all[instance] = Member(zone, self._world.now_ns, Stage.STARTED, warms=True)

    def enlisted(self, instance: int) -> None:
        """A new one is a target."""
        member = self._all[instance]
        member.stage, member.since_ns = Stage.IN_SERVICE, self._world.now_ns
        member.in_rotation = not self._spec.health.by_balancer

    def leaves(self, instance: int, *, replaced: bool) -> bool:
        """One is dismissed; whether it still runs."""
        member = self._all[instance]
        member.stage, member.replaced = Stage.LEAVING, replaced
        return member.runs

    def done(self, instance: int) -> None:
        """One has had its time."""
        self._all[instance].stage = Stage.DONE

    def remove(self, instance: int) -> int:
        """One is gone; its zone."""
        return self._all.pop(instance).zone

    def view(self, verdict: Verdict) -> None:
        """The balancer's view of one has changed."""
        if verdict.instance in self._all:
            self._all[verdict.instance].in_rotation = verdict.healthy

    def check(self, checked: Checked, desired: int, pending: int, avoided: Collection[int]) -> None:
        """Find out who is unwell and to be replaced: at once whose machine does not run, else so many at a time, and
        only after its grace.
        """
        health = self._spec.health
        serving = {i: one for i, one in self._all.items() if one.stage is Stage.IN_SERVICE}
        for i, member in serving.items():
            member.runs = i not in checked.stopped
        if not health.replaces:
            return
        ignored = avoided if health.ignores_avoided else ()
        now_ns = self._world.now_ns
        sick = []
        for i, member in serving.items():
            if member.doomed or member.zone in ignored:
                continue
            if not member.runs:
                member.doomed = True
            elif health.by_balancer and not member.in_rotation and now_ns >= member.since_ns + health.grace_ns:
                sick.append(i)
        under_way = pending + len(self.warming()) + sum(one.doomed or one.replaced for one in self._all.values())
        for i in sick[: replaced_at_once(desired, under_way, health.share)]:
            self._all[i].doomed = True

    def to_replace(self, desired: int) -> list[int]:
        """Those to be dismissed because they are unwell: at once, or when as many others serve as are desired."""
        doomed = [i for i, one in self._all.items() if one.doomed and one.stage is Stage.IN_SERVICE]
        if not self._spec.health.launches_first:
            return doomed
        excess = self.stages[Stage.IN_SERVICE] - desired
        return doomed[: max(0, excess)]

    def to_dismiss(self, zone: int, spared: Collection[int]) -> int | None:
        """Who goes when a zone has too many; None where nobody may."""
        found = [
            (member.since_ns, i)
            for i, member in self._all.items()
            if member.zone == zone and member.stage is Stage.IN_SERVICE and i not in spared
            if not (self._spec.protects_new and member.warms)
        ]
        if not found:
            return None
        if self._spec.termination == NEWEST:
            return max(found)[1]
        if self._spec.termination == OLDEST:
            return min(found)[1]
        return min(found, key=lambda one: key_hash(self._key, self._world.now_ns, one[1], 0, _VICTIM))[1]
