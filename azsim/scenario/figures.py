"""The figures of a scenario's arithmetic (A1 to A5), as plain numbers. Times are in seconds, rates per second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What arrives at a service and what it can take (A1), in one state of the zones.

    `rate_per_s` is first attempts; `utilisation` is work arriving per second over all its cores in use;
    `busiest` is the same in the zone where it is highest. Both are infinite where nothing is left to serve.
    `full_per_s` is the capacity when all slots are in service, which is less where much at once slows work (I4);
    `let_in_per_s` what rate limits let in, infinite without.
    """

    rate_per_s: float
    capacity_per_s: float
    utilisation: float
    busiest: float
    full_per_s: float
    let_in_per_s: float


@dataclass(frozen=True, slots=True)
class Detection:
    """From a target's failure to the balancer acting on it (A2): at best and at worst.

    A refused target says no at once; a silent one lets every probe run into its timeout.
    """

    refused_s_min: float
    refused_s_max: float
    silent_s_min: float
    silent_s_max: float


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """One service.

    `without` holds the load with each zone gone, `uncached` that with all caches empty (None where there is no cache).
    `queue_wait_s` is how long a full queue of pure work takes to
    drain (infinite where it is unbounded), `slot_s_max` the longest a request may hold a slot: its work and all
    attempts and back-offs of its calls; `wait_s_max` the wait for a slot when every request before takes that
    long (A3). `attempts_product` is the most attempts that one request of a client can become here (A4). `work_s` is
    the mean work of a request in each zone, whatever operation it asks for. `cold` is how busy the busiest zone is when
    a zone's instances are all back and not warm yet, for zones where they warm up (I5). `writes_at_risk` is how many
    acknowledged writes one zone alone holds at an instant (R11).
    """

    load: Load
    without: Mapping[str, Load]
    uncached: Load | None
    queue_wait_s: float
    work_s: Mapping[str, float]
    slot_s_max: float
    wait_s_max: float
    attempts_product: float
    cold: Mapping[str, float]
    detection: Detection | None
    writes_at_risk: float


@dataclass(frozen=True, slots=True)
class HopFigures:
    """One hop: a population's requests or a service's calls.

    `timeout_s` is None where there is none. `burst` is the retries that all budgets of the hop pay for at once
    when they are full (A5), `burst_timeouts` the same when every attempt times out; both are infinite without a
    budget and 0 without retries. `throttled`: the clients hold back what is refused too often, retries or not.
    `unlimited_hedges`: the hedges of a request that no budget limits.
    """

    path: str
    to: str
    attempts: int
    timeout_s: float | None
    processes: int
    burst: float
    burst_timeouts: float
    throttled: bool = False
    unlimited_hedges: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """The arithmetic of a scenario at the instant when its traffic asks for most work, `peak_at_s`."""

    peak_at_s: float
    services: Mapping[str, ServiceFigures]
    hops: tuple[HopFigures, ...]
    findings: tuple[str, ...] = ()
