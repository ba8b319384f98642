"""A proxy over targets, a clock that can be set, and callers by zone: for expectations about one proxy."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from azsim.dataplane.codes import Outcome
from azsim.dataplane.reference.clock import Clock, Key
from azsim.dataplane.reference.proxy import Proxy
from azsim.policy import balancing, outliers
from tests.plans import BALANCING_DEFAULTS, KEY, outcomes
from tests.unit.test_reference_balancer import Target

OUTSIDE = 3
ERRORS = outcomes(Outcome.ERROR, Outcome.TIMEOUT)


class World:
    """A proxy over targets 0 to n - 1, `per_zone` in each zone, a clock that can be set, and callers by zone."""

    def __init__(self, per_zone: tuple[int, ...] = (2, 2, 2), **given: Any) -> None:
        self.callers = [1, 1, 1]
        self.clock = Clock()
        zones = [zone for zone, count in enumerate(per_zone) for _ in range(count)]
        self.targets = [Target(number, zone) for number, zone in enumerate(zones)]
        self.view: Any = dict.fromkeys(self.targets, True)
        self.members: Any = dict.fromkeys(self.targets, True)
        row = SimpleNamespace(
            algorithm=given.pop("algorithm", balancing.RANDOM),
            cross_zone=given.pop("cross_zone", 1),
            fail_open_below=given.pop("fail_open_below", 0.0),
            fail_open_fewer=given.pop("fail_open_fewer", 0),
        )
        weights = given.pop("weights", [1] * len(zones))
        self.proxy = Proxy(
            KEY,
            row,
            SimpleNamespace(**(BALANCING_DEFAULTS | {"outlier_on": 0} | given)),
            self.targets,
            weights,
            self.view,
            self.members,
            OUTSIDE,
            lambda hop, zone: self.callers[zone],
            self.clock,
        )

    def choose(self, key: Key, place: int = OUTSIDE, same_zone: int = 0, excluded: int | None = None) -> int | None:
        hop = SimpleNamespace(row=SimpleNamespace(same_zone=same_zone, prefer_zone=0), number=0)
        host = self.proxy.choose(hop, place, key, None if excluded is None else self.targets[excluded])
        return None if host is None else host.number

    def answer(self, target: int, outcome: Outcome, judged: bool = True, latency_ns: int = 0) -> None:
        host = self.targets[target]
        self.proxy.dispatched(host)
        self.proxy.ended(host, self.clock.now_ns - latency_ns, outcome, judged)

    def out(self, target: int) -> bool:
        return target not in {self.choose(key) for key in keys(200)}

    def at(self, t_ns: int) -> World:
        self.clock.pass_to(t_ns)
        return self


def keys(n: int) -> Iterator[Key]:
    return (Key(request, 7, 16) for request in range(n))


def envoy(**given: Any) -> World:
    rules: dict[str, Any] = {"outliers": outliers.CONSECUTIVE, "outlier_on": ERRORS, "outlier_errors": 3}
    return World(**(rules | given))
