"""What faults can do to the data plane, and what several of them do together (O6)."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from typing import Any, NamedTuple

from azsim.base.units import Comparison
from azsim.dataplane.codes import InstanceState
from azsim.policy import cpu
from azsim.policy.faults import either


class Lever(IntEnum):
    """What of the data plane a fault can move. Beside each: its target, and the value one fault gives it."""

    STATE = 0  # instance; (InstanceState, backlog)
    STRESS = 1  # instance; (threads, cores wanted, competition)
    LINK = 2  # (place, place), the lower one first; True
    LATENCY = 3  # instance; ns
    ERROR_SHARE = 4  # instance; share
    RATE = 5  # population; factor
    CONTROL = 6  # zone; True: the controllers in it stop acting
    LOSS = 7  # (place, place), the lower one first, or one place twice; share
    INSTANCE_LOSS = 8  # instance; share
    MALFORMED = 9  # instance; share
    WORK = 10  # instance; factor
    MEMBER = 11  # instance; False: it is no target
    HOP = 12  # hop; its changed fields
    INSTANCE = 13  # instance; its changed fields
    CAPACITY = 14  # zone; True: it gives no new instances
    NODES = 15  # zone; InstanceState of the balancers' nodes in it
    NAME = 16  # service; True: its name does not resolve
    HAZARD = 20  # hazard; True: it is on its wire


OF_INSTANCES = {
    Lever.STATE,
    Lever.STRESS,
    Lever.LATENCY,
    Lever.ERROR_SHARE,
    Lever.INSTANCE_LOSS,
    Lever.MALFORMED,
    Lever.WORK,
    Lever.MEMBER,
    Lever.INSTANCE,
}
"""What is moved at single instances."""


_SHARES = {Lever.ERROR_SHARE, Lever.LOSS, Lever.INSTANCE_LOSS, Lever.MALFORMED}


class Effect(NamedTuple):
    """What one fault does to one thing."""

    lever: Lever
    target: int | tuple[int, int]
    value: Any


class Stage(NamedTuple):
    """What a fault does from some time after its start on, in place of what it did before."""

    after_ns: int
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault as the simulation sees it. `end_ns` None: it stays until the end of the run."""

    id: str
    kind: str
    what: str
    started: str  # the event it starts with, in words
    ended: str
    start_ns: int
    end_ns: int | None
    effects: tuple[Effect, ...]
    instances: tuple[int, ...]  # it acts on, ascending
    on_hosts: bool = False  # it strikes what exists when it starts, as a chaos tool does, and nothing later
    stages: tuple[Stage, ...] = ()  # after `effects`, one takes the place of the other
    cycle_ns: int = 0  # when, from its start, `effects` come again and the stages after them


@dataclass(frozen=True, slots=True)
class AbortCondition:
    """All faults end once `condition` has held for `for_ns` without a break (J6).

    `measure` is `error_rate` (share of the requests that ended in the past second which failed; a second in which none
    ended breaks the condition), `instances` (instances in state UP now) or `data_loss` (acknowledged writes lost so
    far). They are looked at on every whole second.
    """

    measure: str
    condition: Comparison
    for_ns: int


def dead(instance: int) -> Effect:
    """The instance vanishes with all it holds."""
    return Effect(Lever.STATE, instance, (InstanceState.DEAD, 0))


def crashed(instance: int) -> Effect:
    """The instance's process is gone: connects are refused."""
    return Effect(Lever.STATE, instance, (InstanceState.CRASHED, 0))


def nodes_lost(zone: int, refuse: bool) -> Effect:
    """The nodes of zonal balancers in a zone vanish, or refuse connections."""
    return Effect(Lever.NODES, zone, InstanceState.CRASHED if refuse else InstanceState.DEAD)


def paused(instance: int, backlog: int) -> Effect:
    """The instance's process is stopped; its host still accepts `backlog` connections."""
    return Effect(Lever.STATE, instance, (InstanceState.PAUSED, backlog))


def cut(place: int, other: int) -> Effect:
    """The link between two different places loses every packet."""
    return Effect(Lever.LINK, (min(place, other), max(place, other)), True)


def effective(lever: Lever, values: Collection[Any]) -> Any:
    """What several faults make of one thing together; of none, what it is by itself."""
    if lever == Lever.STATE:
        # States are numbered by how much they take: dead over crashed over paused over up.
        return max(values, default=(InstanceState.UP, 0))
    if lever == Lever.STRESS:
        threads = math.fsum(value[0] for value in values)
        load = math.fsum(value[1] for value in values)
        return threads, load, max((value[2] for value in values), default=cpu.SHARED)
    if lever in (Lever.LINK, Lever.NAME, Lever.CONTROL, Lever.CAPACITY, Lever.HAZARD):
        return bool(values)
    if lever == Lever.NODES:
        return max(values, default=InstanceState.UP)  # by how much they take
    if lever == Lever.LATENCY:
        return sum(values)
    if lever in _SHARES:
        return reduce(either, values, 0.0)  # 1 - prod(1 - p)
    if lever in (Lever.HOP, Lever.INSTANCE):
        return {field: value for changes in values for field, value in changes.items()}  # the last one listed counts
    if lever == Lever.MEMBER:
        return not values
    return math.prod(values, start=1.0)
