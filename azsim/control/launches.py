"""How a group gets its instances (S3): an order takes a time, and may be refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from azsim.control.loop import World
from azsim.control.specs import LaunchSpec
from azsim.policy.distributions import sample_work

KEYS_FIRST = -(1 << 50)  # requests of this number and below are launches of groups


class Running(NamedTuple):
    """An order is done: the instance runs."""

    order: int
    instance: int


class Refused(NamedTuple):
    """An order is refused: the zone has no capacity."""

    order: int


class Machines(Protocol):
    """What starts and stops instances. Those that do not exist are rows of the plan that nothing reaches."""

    def runs(self, instance: int) -> bool:
        """Whether an instance's machine runs, whatever its processes do."""
        ...

    def has_capacity(self, zone: int) -> bool:
        """Whether a zone gives instances now."""
        ...

    def start(self, instance: int) -> None:
        """Let an instance exist: it boots, cold."""
        ...

    def stop(self, instance: int) -> None:
        """Let an instance exist no longer; what it holds gets a reset."""
        ...


class Launches:
    """Orders instances for one group, whose name is `asker`: it is told at its turn. `rows` are, by zone, the plan's
    instances that it may use; `key` and `number` are what its draws are keyed by.
    """

    def __init__(
        self,
        world: World,
        key: int,
        number: int,
        spec: LaunchSpec,
        machines: Machines,
        rows: Mapping[int, Collection[int]],
        asker: str,
    ) -> None:
        self._world = world
        self._key = key
        self._number = number
        self._spec = spec
        self._machines = machines
        self._free = {zone: list(instances) for zone, instances in rows.items()}  # the one longest unused first
        self._asker = asker
        self._orders = 0
        self._full_ns = 0  # of the bucket of tokens
        self._zones: dict[int, int] = {}  # of orders under way
        self._ordered = dict.fromkeys(self._free, 0)  # how many there are in each

    def answers(self, receive: Callable[[Running | Refused], None]) -> None:
        """Who is told what became of an order."""
        self._receive = receive

    def take(self, zone: int, count: int) -> list[int]:
        """Instances of a zone that are there from the start."""
        taken, self._free[zone] = self._free[zone][:count], self._free[zone][count:]
        return taken

    def give_back(self, instance: int, zone: int) -> None:
        """An instance is gone, and its row may be used again."""
        self._free[zone].append(instance)

    def order(self, zone: int) -> int:
        """Ask for an instance in a zone; the order's number."""
        number, self._orders = self._orders, self._orders + 1
        self._zones[number] = zone
        delay, table = self._spec.delay, np.array(self._spec.delay.values, np.int64)
        request = KEYS_FIRST - self._number
        delay_ns = sample_work(delay.kind, delay.a, delay.b, table, 0, len(table), self._key, request, number, 0)
        self._ordered[zone] += 1
        if self._machines.has_capacity(zone) and self._ordered[zone] <= len(self._free[zone]):
            delay_ns += self._throttled_ns()
            self._world.post(delay_ns, f"launches.{self._asker}", number, self._run, number)
        else:
            self._world.post(self._spec.refusal_ns, self._asker, number, self._refuse, number)
        return number

    def _throttled_ns(self) -> int:
        """How long an order waits because so many have been made (a bucket of tokens that is full at first)."""
        spec, now_ns = self._spec, self._world.now_ns
        if not spec.throttle_ns:
            return 0
        # When the bucket would be full again; an order may take it that far beyond now.
        self._full_ns = max(self._full_ns, now_ns) + spec.throttle_ns
        return max(0, self._full_ns - now_ns - spec.burst * spec.throttle_ns)

    def _refuse(self, order: int) -> None:
        self._ordered[self._zones.pop(order)] -= 1
        self._receive(Refused(order))

    def _run(self, order: int) -> None:
        zone = self._zones.pop(order)
        self._ordered[zone] -= 1
        instance = self._free[zone].pop(0)
        self._machines.start(instance)
        self._receive(Running(order, instance))
