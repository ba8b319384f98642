"""W1, "retrying multi-server queues with one zone lost", as one would write it by hand with SimPy.

The same world as `w1_event.c`, which describes it. Run: `python w1_simpy.py a|b DURATION_S SEED`; prints one JSON
object, in which `wall_s` is the simulation alone.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import cycle

import simpy

ZONES, PER_ZONE, SLOTS, ATTEMPTS = 3, 4, 8, 3
WORK_S, TIMEOUT_S, BACKOFF_S, LOAD, DETECTION_S = 0.020, 0.200, 0.050, 0.7, 10.0
RATE_PER_S = LOAD * ZONES * PER_ZONE * SLOTS / WORK_S

Process = Generator[simpy.Event, object, None]


@dataclass
class Totals:
    """What happened in one run."""

    requests: int = 0
    attempts: int = 0
    succeeded: int = 0
    failed: int = 0
    timeouts: int = 0
    completions: int = 0
    orphans: int = 0
    latency_sum_s: float = 0.0


class Instance:
    """One server: slots, and the FIFO that `simpy.Resource` keeps before them."""

    def __init__(self, env: simpy.Environment) -> None:
        self.slots = simpy.Resource(env, capacity=SLOTS)
        self.alive = True


class Attempt(simpy.Event):
    """Succeeds when the answer reaches a client that still waits."""

    abandoned = False


@dataclass
class World:
    """The instances, the rotation over them, and the processes that use them."""

    env: simpy.Environment
    rng: random.Random
    totals: Totals = field(default_factory=Totals)

    def __post_init__(self) -> None:
        self.instances = [Instance(self.env) for _ in range(ZONES * PER_ZONE)]
        self.rotation = cycle(self.instances)

    def serve(self, instance: Instance, attempt: Attempt) -> Process:
        """Work for an attempt, also when its client has left. A dead instance never answers."""
        with instance.slots.request() as slot:
            yield slot
            if not instance.alive:
                return
            yield self.env.timeout(self.rng.expovariate(1 / WORK_S))
            if not instance.alive:
                return
        self.totals.completions += 1
        if attempt.abandoned:
            self.totals.orphans += 1
        else:
            attempt.succeed()

    def request(self) -> Process:
        """One client request: attempts with a timeout each, back-offs between them."""
        started_s = self.env.now
        for made in range(ATTEMPTS):
            instance = next(self.rotation)
            attempt = Attempt(self.env)
            self.totals.attempts += 1
            if instance.alive:
                self.env.process(self.serve(instance, attempt))
            yield attempt | self.env.timeout(TIMEOUT_S)
            if attempt.triggered:
                self.totals.succeeded += 1
                self.totals.latency_sum_s += self.env.now - started_s
                return
            attempt.abandoned = True
            self.totals.timeouts += 1
            if made < ATTEMPTS - 1:
                yield self.env.timeout(self.rng.random() * BACKOFF_S * 2**made)
        self.totals.failed += 1

    def arrivals(self) -> Process:
        """Poisson requests."""
        while True:
            yield self.env.timeout(self.rng.expovariate(RATE_PER_S))
            self.totals.requests += 1
            self.env.process(self.request())

    def lose_zone(self, at_s: float) -> Process:
        """The first zone falls silent, and leaves the rotation after `DETECTION_S`."""
        yield self.env.timeout(at_s)
        for instance in self.instances[:PER_ZONE]:
            instance.alive = False
        yield self.env.timeout(DETECTION_S)
        self.rotation = cycle(self.instances[PER_ZONE:])


def simulate(zone_lost: bool, duration_s: float, seed: int) -> tuple[Totals, float]:
    """Run W1 once; returns what happened and the wall-clock seconds of the simulation."""
    world = World(simpy.Environment(), random.Random(seed))
    world.env.process(world.arrivals())
    if zone_lost:
        world.env.process(world.lose_zone(duration_s / 3))
    begin_s = time.perf_counter()
    world.env.run(until=duration_s)
    return world.totals, time.perf_counter() - begin_s


def main(mode: str, duration_s: float, seed: int) -> None:
    """Run once and print the JSON object."""
    totals, wall_s = simulate(mode == "b", duration_s, seed)
    figures = {
        "wall_s": wall_s,
        **{name: value for name, value in vars(totals).items() if name != "latency_sum_s"},
        "goodput_per_s": totals.succeeded / duration_s,
        "latency_s_mean": totals.latency_sum_s / max(1, totals.succeeded),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("a", "b"):
        sys.exit("usage: w1_simpy.py a|b DURATION_S SEED")
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
