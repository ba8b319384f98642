"""Telemetry (T1): what controllers get to know of the instances, period by period and late."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from azsim.base.units import SECOND_NS
from azsim.control.loop import World
from azsim.control.specs import TelemetrySpec
from azsim.dataplane.layout import CPU_USED, STRESS_USED, WAITING_NOW, Int64s
from azsim.policy.cpu import VIRTUAL_PER_NS


class Point(NamedTuple):
    """A metric over its period `number` (from 0)."""

    number: int
    value: float


class Due(NamedTuple):
    """Period `number` is over, and its point, if there is one, should have come by now."""

    number: int


class Sensors(Protocol):
    """Where telemetry comes from."""

    def readings(self) -> Int64s:
        """See `DataPlane.readings`."""
        ...

    def sent(self) -> Int64s:
        """See `DataPlane.sent`."""
        ...

    def failed(self) -> int:
        """Requests that have failed so far, of whatever kind."""
        ...

    def reporting(self, service: int, from_inside: bool) -> Sequence[int]:
        """The instances of a service whose metrics come out now, ascending."""
        ...

    def running_since_ns(self, instance: int) -> int:
        """When an instance that runs was started."""
        ...

    def cores(self, instance: int) -> float:
        """How many it has."""
        ...


class Pipeline:
    """The way that all points take, and a line of log for each request that fails: one queue, served at a rate. What
    arrives between two looks is taken to have arrived evenly.
    """

    def __init__(self, world: World, sensors: Sensors, spec: TelemetrySpec) -> None:
        self._world = world
        self._sensors = sensors
        self._spec = spec
        self._waiting = 0.0
        self._looked_ns = 0
        self._failed = 0
        self.lost = 0  # points

    def send(self, points: int) -> int | None:
        """Send the points of one reading; how long they take, ns. None: they find no room, and are lost."""
        spec = self._spec
        if not spec.rate_per_s:
            return spec.delay_ns
        now_ns, failed = self._world.now_ns, self._sensors.failed()
        lines = (failed - self._failed) * spec.lines_per_failure
        served = (now_ns - self._looked_ns) / SECOND_NS * spec.rate_per_s
        self._waiting = min(max(0.0, self._waiting + lines - served), float(spec.buffer))
        self._looked_ns, self._failed = now_ns, failed
        if self._waiting + points > spec.buffer:
            self.lost += points
            return None
        self._waiting += points
        return spec.delay_ns + math.ceil(self._waiting / spec.rate_per_s * SECOND_NS)


STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "average": lambda values: float(np.mean(values)),
    "maximum": max,
    "minimum": min,
}


class Gauge:
    """One metric of the instances of a service in some zones, read each period and sent to one controller.

    `excluded` says which instances are left out, as those are that still warm up.
    """

    def __init__(
        self,
        world: World,
        sensors: Sensors,
        spec: TelemetrySpec,
        pipeline: Pipeline,
        *,
        service: int,
        instances: Collection[int],
        metric: str,
        statistic: str,
        period_ns: int,
        excluded: Callable[[], Collection[int]],
        reader: str,
        receive: Callable[[Point | Due], None],
    ) -> None:
        self._world = world
        self._sensors = sensors
        self._spec = spec
        self._pipeline = pipeline
        self._service = service
        self._instances = frozenset(instances)
        self._metric = metric
        self._statistic = STATISTICS[statistic]
        self._period_ns = period_ns
        self._excluded = excluded
        self._reader = reader
        self._receive = receive
        self._number = 0
        self._readings = sensors.readings()
        self._sent = int(sensors.sent()[service])
        self._name = f"telemetry.{reader}"
        world.post(period_ns, self._name, 0, self._read, None)

    def _read(self, _: None) -> None:
        number, self._number = self._number, self._number + 1
        values = self._values()
        delay_ns = self._pipeline.send(len(values)) if values else None
        if delay_ns is not None:
            point = Point(number, self._statistic(values))
            self._world.post(delay_ns, self._reader, 0, self._receive, point)
        self._world.post(self._spec.delay_ns, self._reader, 1, self._receive, Due(number))
        self._world.post(self._period_ns, self._name, 0, self._read, None)

    def _values(self) -> list[float]:
        """What each instance reports over the period that ends now."""
        before, self._readings = self._readings, self._sensors.readings()
        sent_before, self._sent = self._sent, int(self._sensors.sent()[self._service])
        excluded = self._excluded()
        reporting = self._sensors.reporting(self._service, self._spec.from_inside)
        found = [i for i in reporting if i in self._instances and i not in excluded]
        if self._metric == "requests":
            # Requests per target, as a balancer counts them: one number for all.
            return [(self._sent - sent_before) * SECOND_NS / self._period_ns / len(reporting)] if found else []
        if self._metric == "queue":
            return [float(self._readings[i, WAITING_NOW]) for i in found]
        return [self._busy(i, before[i], self._readings[i]) for i in found]

    def _busy(self, instance: int, before: Int64s, now: Int64s) -> float:
        """Utilisation of an instance's CPU, stress included, since the period or the instance began."""
        ran_ns = min(self._period_ns, self._world.now_ns - self._sensors.running_since_ns(instance))
        used = int(now[CPU_USED] + now[STRESS_USED] - before[CPU_USED] - before[STRESS_USED])
        return used / (self._sensors.cores(instance) * ran_ns * VIRTUAL_PER_NS) if ran_ns else 0.0
