"""A data plane that does nothing but remember what it was told, and notice what the test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from azsim.dataplane.codes import InstanceState, Reason
from azsim.dataplane.protocol import Notice


class FakePlane:
    """Raises the given notices at their instants; `ended_at` gives what `ended` says at an instant.

    `state` is what each lever stands at, where it differs from its beginning; `calls` is every call that changes
    something, with the instant reached and whether all data of that instant has happened.
    """

    def __init__(
        self,
        notices: list[Notice],
        instances: int,
        ended_at: Callable[[int], tuple[int, int]],
    ) -> None:
        self.plan: Any = SimpleNamespace(instances=np.zeros(instances), zones=("a", "b", "c"))
        self.now_ns = 0
        self.calls: list[tuple[Any, ...]] = []
        self.state: dict[tuple[Any, ...], Any] = {}
        self.advances: list[int] = []
        self.rows_ns: list[int] = []
        self.after_data = False
        self.views: dict[int, bool] = {}
        self._notices = sorted(notices, key=lambda notice: notice.t_ns)
        self._raised: list[Notice] = []
        self._ended_at = ended_at

    def advance(self, until_ns: int) -> Reason:
        assert until_ns > self.now_ns
        self.advances.append(until_ns)
        if self._notices and self._notices[0].t_ns < until_ns:
            self.now_ns = self._notices[0].t_ns
            while self._notices and self._notices[0].t_ns == self.now_ns:
                self._raised.append(self._notices.pop(0))
            self.after_data = True
            return Reason.NOTICE
        self.now_ns = until_ns
        self.after_data = False
        return Reason.REACHED

    def take_notices(self) -> list[Notice]:
        raised, self._raised = self._raised, []
        return raised

    def cut_row(self) -> int:
        self.rows_ns.append(self.now_ns + self.after_data)
        return len(self.rows_ns)

    def lost_writes(self) -> int:
        return 0

    def ended(self) -> tuple[int, int]:
        return self._ended_at(self.now_ns)

    def _told(self, name: str, target: Any, value: Any, beginning: Any) -> None:
        self.calls.append((self.now_ns, self.after_data, name, target, value))
        assert self.state.get((name, target), beginning) != value, f"{name} of {target} told twice"
        if value == beginning:
            del self.state[name, target]
        else:
            self.state[name, target] = value

    def set_view(self, instance: int, healthy: bool) -> None:
        self._told("view", instance, healthy, True)

    def set_instance_state(self, instance: int, state: InstanceState, backlog: int) -> None:
        self._told("state", instance, (state, backlog), (InstanceState.UP, 0))

    def set_stress(self, instance: int, threads: float, load: float, competition: int) -> None:
        self._told("stress", instance, (threads, load, competition), (0.0, 0.0, 0))

    def set_link(self, place_a: int, place_b: int, cut: bool) -> None:
        self._told("link", (place_a, place_b), cut, False)

    def set_latency(self, instance: int, add_ns: int) -> None:
        self._told("latency", instance, add_ns, 0)

    def set_error_share(self, instance: int, share: float) -> None:
        self._told("error share", instance, share, 0.0)

    def set_loss(self, place_a: int, place_b: int, share: float) -> None:
        self._told("loss", (place_a, place_b), share, 0.0)

    def set_instance_loss(self, instance: int, share: float) -> None:
        self._told("instance loss", instance, share, 0.0)

    def set_malformed_share(self, instance: int, share: float) -> None:
        self._told("malformed", instance, share, 0.0)

    def set_work_factor(self, instance: int, factor: float) -> None:
        self._told("work factor", instance, factor, 1.0)

    def set_member(self, instance: int, member: bool) -> None:
        self._told("member", instance, member, True)

    def set_hop(self, hop: int, changes: Mapping[str, float]) -> None:
        self._told("hop", hop, changes, {})

    def set_instance(self, instance: int, changes: Mapping[str, float]) -> None:
        self._told("instance", instance, changes, {})

    def set_nodes(self, zone: int, state: InstanceState) -> None:
        self._told("nodes", zone, state, InstanceState.UP)

    def set_resolves(self, service: int, resolves: bool) -> None:
        self._told("resolves", service, resolves, True)

    def set_rate_factor(self, population: int, factor: float) -> None:
        self._told("rate factor", population, factor, 1.0)


@pytest.fixture
def make_plane() -> Callable[..., FakePlane]:
    def make(
        notices: list[Notice] | None = None,
        instances: int = 4,
        ended_at: Callable[[int], tuple[int, int]] = lambda _: (0, 0),
    ) -> FakePlane:
        return FakePlane(notices or [], instances, ended_at)

    return make
