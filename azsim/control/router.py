"""The control plane of a balancer (B4): turns verdicts on health into the view that its nodes act on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from azsim.control.loop import Controller, World
from azsim.policy.balancing import fails_open


class Verdict(NamedTuple):
    """What a health checker holds of a target."""

    instance: int
    healthy: bool


class Router(Controller[Verdict, Verdict]):
    """Keeps one view of a service's targets: all healthy at first, then as the verdicts say.

    `targets` are their names, the first being instance `first`; `set_view` hands a change to the balancer.
    """

    def __init__(
        self,
        world: World,
        service: str,
        first: int,
        targets: Sequence[str],
        fail_open_below: float,
        set_view: Callable[[int, bool], None],
    ) -> None:
        super().__init__(f"router.{service}", world)
        self.service = service
        self._first = first
        self._targets = targets
        self._fail_open_below = fail_open_below
        self._set_view = set_view
        self._out: set[int] = set()  # the view: targets out of rotation
        self._due: dict[int, Verdict] = {}  # the last one on each target
        self.listeners: list[Callable[[Verdict], None]] = []  # told of every change of the view

    def target(self, instance: int) -> str:
        """The name of a target."""
        return self._targets[instance - self._first]

    @property
    def fails_open(self) -> bool:
        """Whether the nodes, by this view, ignore health and use every target."""
        total = len(self._targets)
        return fails_open(total - len(self._out), total, self._fail_open_below)

    def rejoin(self, without: Collection[int]) -> None:
        """Put every target back in rotation but those `without`, whatever their health is held to be."""
        for instance in sorted(self._out.difference(without)):
            self.act(Verdict(instance, True))

    def sense(self, reading: Verdict) -> None:
        """Take in a verdict."""
        self._due[reading.instance] = reading

    def decide(self) -> Iterable[Verdict]:
        """Changes of the view that bring it in line with the verdicts."""
        due, self._due = self._due, {}
        return [verdict for verdict in due.values() if verdict.healthy == (verdict.instance in self._out)]

    def act(self, action: Verdict) -> None:
        """Change the view."""
        open_before = self.fails_open
        if action.healthy:
            self._out.remove(action.instance)
        else:
            self._out.add(action.instance)
        self._set_view(action.instance, action.healthy)
        for listener in self.listeners:
            listener(action)
        what = "back in rotation" if action.healthy else "out of rotation"
        self.world.log(self.name, f"{self.target(action.instance)} {what}")
        if self.fails_open != open_before:
            words = "too few healthy targets, all are used" if self.fails_open else "health counts again"
            self.world.log(self.name, words)
