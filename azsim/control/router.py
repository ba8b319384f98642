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

    `targets` are their names, the first being instance `first`, `absent` those that are none at first; `set_view`
    hands a change to the balancer, and `show` how a new target is held to be. `fail_open`: the share and the number of
    healthy ones below which all are used.
    """

    def __init__(
        self,
        world: World,
        service: str,
        first: int,
        targets: Sequence[str],
        fail_open: tuple[float, int],
        set_view: Callable[[int, bool], None],
        absent: Collection[int] = (),
        show: Callable[[int, bool], None] | None = None,
    ) -> None:
        super().__init__(f"router.{service}", world)
        self.service = service
        self._first = first
        self._targets = targets
        self._fail_open = fail_open
        self._set_view = set_view
        self._show = show or set_view
        self._members = set(range(first, first + len(targets))).difference(absent)
        self._out: set[int] = set()  # the view: targets out of rotation
        self._new: set[int] = set()  # targets that have not been in rotation yet
        self._due: dict[int, Verdict] = {}  # the last one on each target
        self.listeners: list[Callable[[Verdict], None]] = []  # told of every change of the view

    def target(self, instance: int) -> str:
        """The name of a target."""
        return self._targets[instance - self._first]

    def holds_healthy(self, instance: int) -> bool:
        """Whether an instance is a target in rotation."""
        return instance in self._members and instance not in self._out

    @property
    def members(self) -> Collection[int]:
        """The instances that are targets."""
        return self._members

    @property
    def fails_open(self) -> bool:
        """Whether the nodes, by this view, ignore health and use every target."""
        total = len(self._members)
        return fails_open(total - len(self._out), total, *self._fail_open)

    def add(self, instance: int) -> None:
        """A new target, out of rotation until it is found healthy."""
        self._members.add(instance)
        self._out.add(instance)
        self._new.add(instance)
        self._show(instance, False)
        if self.wires is not None:
            self.wires.state(Verdict(instance, False))

    def take_out(self, instance: int) -> None:
        """A target is known to be gone, whatever its probes say."""
        if self.holds_healthy(instance):
            self.act(Verdict(instance, False))

    def remove(self, instance: int) -> None:
        """A target is one no more; verdicts on it that are still under way mean nothing."""
        self._members.discard(instance)
        self._out.discard(instance)
        self._new.discard(instance)
        self._due.pop(instance, None)

    def rejoin(self, without: Collection[int]) -> None:
        """Put every target back in rotation but those `without`, whatever their health is held to be."""
        for instance in sorted(self._out.difference(without)):
            self.act(Verdict(instance, True))

    def sense(self, reading: Verdict) -> None:
        """Take in a verdict."""
        if reading.instance in self._members:
            self._due[reading.instance] = reading

    def decide(self) -> Iterable[Verdict]:
        """Changes of the view that bring it in line with the verdicts."""
        due, self._due = self._due, {}
        return [verdict for verdict in due.values() if verdict.healthy == (verdict.instance in self._out)]

    def can(self, action: Verdict) -> bool:
        """Whether it changes the view of a target."""
        return action.instance in self._members and action.healthy == (action.instance in self._out)

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
        back = "in rotation" if action.instance in self._new else "back in rotation"
        self._new.discard(action.instance)
        what = back if action.healthy else "out of rotation"
        self.world.log(self.name, f"{self.target(action.instance)} {what}")
        if self.fails_open != open_before:
            words = "too few healthy targets, all are used" if self.fails_open else "health counts again"
            self.world.log(self.name, words)
