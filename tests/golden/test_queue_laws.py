"""Flow conservation and Little's law on every queue of every shipped scenario, exactly, faults included.

Every line of the reference is watched: at instances and at those that are paused, of attempts that wait for a target at
a balancer, and of those that wait for a connection. Where a line is empty at first, the time integral of its length is
the sum of the times that its members have spent in it (L = lambda W, multiplied by the span): whoever is taken out
twice, left behind or dated wrongly breaks that.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

import pytest

from azsim import load
from azsim.base.units import SECOND_NS, format_duration
from azsim.dataplane.layout import Plan
from azsim.dataplane.reference import Reference, connections
from azsim.dataplane.reference import instance as instances
from azsim.dataplane.reference.queue import WaitingLine
from azsim.simulation.run import simulate
from tests.golden.expectations import NAMES, path_of

PLAIN = (
    "queue_cured_by_codel",
    "reconnect_storm",
    "routing_service_storm",
    "zone_loss_retry_storm",
)  # the others are `long`
FIRST_FAULT_NS = 2 * SECOND_NS
END_NS = 5 * SECOND_NS


class Account:
    """What went through one line, by members and by time."""

    clock: ClassVar[Any]  # of the data plane that is watched

    def __init__(self) -> None:
        self.area = self.waited = self.entered = self.left = 0
        self._since_ns = 0
        self._inside: dict[int, int] = {}  # id of a member -> when it came

    def see(self, length: int) -> int:
        """The line was so long until now; now."""
        now_ns = int(self.clock.now_ns)
        self.area += length * (now_ns - self._since_ns)
        self._since_ns = now_ns
        return now_ns

    def enter(self, member: Any) -> None:
        self.entered += 1
        assert self._inside.setdefault(id(member), self._since_ns) == self._since_ns, "it is in the line already"

    def leave(self, member: Any) -> int:
        came_ns = self._inside.pop(id(member))
        self.left += 1
        self.waited += self._since_ns - came_ns
        return came_ns

    def settle(self, length: int) -> None:
        """At the end: who came has left or is still there, and the law holds."""
        now_ns = self.see(length)
        assert self.entered == self.left + length == self.left + len(self._inside)
        assert self.area == self.waited + sum(now_ns - came_ns for came_ns in self._inside.values())


class Watched(WaitingLine[Any]):
    """The line of an instance, with an account of it."""

    def __init__(self, *of_all: Any) -> None:
        super().__init__(*of_all)
        self.account = Account()

    def put(self, job: Any, priority: int, now_ns: int) -> None:
        assert self.account.see(len(self)) == now_ns
        super().put(job, priority, now_ns)
        self.account.enter(job)

    def take(self, now_ns: int) -> tuple[Any, int]:
        assert self.account.see(len(self)) == now_ns
        job, came_ns = super().take(now_ns)
        assert self.account.leave(job) == came_ns
        return job, came_ns

    def displace(self, priority: int) -> Any:
        self.account.see(len(self))
        job = super().displace(priority)
        if job is not None:
            self.account.leave(job)
        return job

    def remove(self, job: Any) -> None:
        self.account.see(len(self))
        super().remove(job)
        self.account.leave(job)

    def clear(self) -> None:
        self.account.see(len(self))
        for job in self:
            self.account.leave(job)
        super().clear()


class Accounted:
    """What lists and deques of those who wait have in common: an account of them."""

    account: Account

    def append(self: Any, waiter: Any) -> None:
        self.account.see(len(self))
        super().append(waiter)
        self.account.enter(waiter)

    def remove(self: Any, waiter: Any) -> None:
        self.account.see(len(self))
        super().remove(waiter)
        self.account.leave(waiter)

    def clear(self: Any) -> None:
        self.account.see(len(self))
        for waiter in self:
            self.account.leave(waiter)
        super().clear()


class WatchedWaiters(Accounted, list[Any]):
    """The calls that wait at a balancer."""


class WatchedDeque(Accounted, deque[Any]):
    """Who waits for a connection, or for a paused instance."""

    all: ClassVar[list[WatchedDeque]]

    def __init__(self) -> None:
        super().__init__()
        self.account = Account()
        self.all.append(self)

    def popleft(self) -> Any:
        self.account.see(len(self))
        waiter = super().popleft()
        self.account.leave(waiter)
        return waiter


def watch(plane: Reference) -> list[tuple[Any, Account]]:
    """The lines of instances and balancers of a data plane, and their accounts."""
    lines: list[tuple[Any, Account]] = []
    for instance in plane._instances:
        line = instance._queue
        assert isinstance(line, Watched)
        lines.append((line, line.account))
    for proxy in (proxy for balancer in plane._balancers for proxy in balancer.proxies):
        proxy.waiting = waiters = WatchedWaiters(proxy.waiting)
        waiters.account = Account()
        lines.append((waiters, waiters.account))
    return lines


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in PLAIN else [pytest.mark.long]) for name in NAMES]
)
def test_every_line_obeys_littles_law(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = load(path_of(name))
    first_ns = min((fault.at for fault in scenario.faults), default=0)
    moved = {
        f"faults.{fault.id}.at": format_duration(fault.at - first_ns + FIRST_FAULT_NS)
        for fault in scenario.faults
        if fault.at - first_ns < END_NS - FIRST_FAULT_NS
    }
    lines: list[tuple[Any, Account]] = []

    def watched(plan: Plan, engine: str, memory_limit_bytes: int | None = None) -> Reference:
        plane = Reference(plan)
        monkeypatch.setattr(Account, "clock", plane._clock, raising=False)
        lines.extend(watch(plane))
        return plane

    monkeypatch.setattr(instances, "WaitingLine", Watched)
    monkeypatch.setattr(WatchedDeque, "all", [], raising=False)
    monkeypatch.setattr(instances, "deque", WatchedDeque)
    monkeypatch.setattr(connections, "deque", WatchedDeque)
    monkeypatch.setattr("azsim.simulation.run.data_plane", watched)
    simulate(scenario.with_({"warmup": "0s", **moved}), engine="reference", until_ns=END_NS)
    lines += [(line, line.account) for line in WatchedDeque.all]
    for line, account in lines:
        account.settle(len(line))
    assert name not in PLAIN or sum(account.entered for _, account in lines) > 100
