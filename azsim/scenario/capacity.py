"""What one instance can do: how many it serves at once, how fast, and how many may wait (I1, I2, I4, I5)."""

from __future__ import annotations

import math

from azsim.scenario.overload import FixedLimit, Overload
from azsim.scenario.service import Instance


def most_held(instance: Instance) -> float:
    """Requests that its limit lets it hold, waiting ones included; of a limit that adapts, at its greatest."""
    return math.inf if instance.limit is None else float(instance.limit.max)


def is_adaptive(instance: Instance) -> bool:
    """Whether its limit moves."""
    return instance.limit is not None and not isinstance(instance.limit, FixedLimit)


def most_in_service(instance: Instance) -> int:
    """Requests that it serves at once."""
    return int(min(float(instance.slots), most_held(instance)))


def places(instance: Instance) -> float:
    """Requests that may wait: queue places, as far as the limit leaves room for them."""
    queue = math.inf if isinstance(instance.queue, str) else float(instance.queue)
    return min(queue, max(0.0, most_held(instance) - instance.slots))


def slowdown(overload: Overload | None, in_service: int) -> float:
    """How many times longer work takes with so many in service (I4)."""
    if overload is None or in_service <= 1:
        return 1.0
    others = in_service - 1
    return 1.0 + overload.contention * others + overload.coherency * in_service * others


def work_rate(instance: Instance, in_service: int) -> float:
    """Work done in a second with so many in service, in seconds of CPU time of one that is alone."""
    return min(float(in_service), instance.cores) / slowdown(instance.overload, in_service)


def full_work_rate(instance: Instance) -> float:
    """The same with all in service that can be."""
    return work_rate(instance, most_in_service(instance))


def best_work_rate(instance: Instance) -> float:
    """The same at the concurrency at which it does most."""
    most = most_in_service(instance)
    # It rises and falls once: where the law of I4 peaks, unless the cores or the slots come first.
    turns = [1.0, instance.cores, float(most)]
    if instance.overload is not None and instance.overload.coherency > 0:
        turns.append(math.sqrt(max(0.0, 1.0 - instance.overload.contention) / instance.overload.coherency))
    numbers = {round_(turn) for turn in turns if turn <= most for round_ in (math.floor, math.ceil)}
    return max(work_rate(instance, number) for number in numbers if 1 <= number <= most)
