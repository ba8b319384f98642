"""The health checker of a service (H): hears when the sensed health of a target flips and tells the router.

Probes and thresholds run in the data plane, because probes are requests like any other (O9).
"""

from __future__ import annotations

from collections.abc import Iterable

from azsim.control.loop import Controller, World
from azsim.control.router import Router, Verdict
from azsim.dataplane.protocol import Notice


class HealthChecker(Controller[Notice | Verdict, Verdict]):
    """Publishes a verdict for each target whose sensed health differs from the last one published."""

    def __init__(self, world: World, router: Router, propagation_ns: int) -> None:
        super().__init__(f"health.{router.service}", world)
        self._router = router
        self._propagation_ns = propagation_ns
        self._sensed: dict[int, bool] = {}  # where not healthy from the start on
        self._published: dict[int, bool] = {}
        self._doubtful: list[int] = []

    def add(self, instance: int) -> None:
        """A new target, unhealthy until it has passed a probe."""
        self._sensed[instance] = self._published[instance] = False
        if self.wires is not None:
            self.wires.state(Verdict(instance, False))

    def remove(self, instance: int) -> None:
        """A target is one no more."""
        self._doubtful = [other for other in self._doubtful if other != instance]

    def sense(self, reading: Notice | Verdict) -> None:
        """Take in what the probes of one target say."""
        self._sensed[reading.instance] = reading.healthy
        self._doubtful.append(reading.instance)

    def decide(self) -> Iterable[Verdict]:
        """Verdicts on the targets heard of whose health is news."""
        doubtful, self._doubtful = dict.fromkeys(self._doubtful), []
        return [
            Verdict(instance, self._sensed[instance])
            for instance in doubtful
            if self._sensed[instance] != self._published.get(instance, True)
        ]

    def can(self, action: Verdict) -> bool:
        """Whether it is news about a target."""
        published = self._published.get(action.instance, True)
        return action.instance in self._router.members and action.healthy != published

    def act(self, action: Verdict) -> None:
        """Publish; the router hears of it after the propagation (D19)."""
        self._published[action.instance] = action.healthy
        health = "healthy" if action.healthy else "unhealthy"
        self.world.log(self.name, f"{self._router.target(action.instance)} {health}")
        self.world.post(self._propagation_ns, self._router.name, action.instance, self._router.receive, action)
