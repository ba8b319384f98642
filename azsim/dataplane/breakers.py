"""The kernel's circuit breakers: one per client process and hop (R6, D66 to D68), in rich kernels."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.dataplane.codes import Outcome
from azsim.dataplane.meters import FIRST, SECOND, clear_meter, count_now, counted
from azsim.dataplane.policy_state import breakers_of, extras_of, policies_of, rings_of
from azsim.dataplane.state import (
    NONE,
    calls_of,
)
from azsim.policy.breakers import (
    CLOSED,
    CONSECUTIVE,
    COUNT_WINDOW,
    CUMULATIVE,
    HALF_OPEN,
    OPEN,
    TIME_WINDOW,
    rate_exceeded,
    rate_reached,
)

_OK = int(Outcome.OK)


@part
def _become(a: Any, h: int, client: int, state: int) -> None:
    """Change a breaker's state: a new period begins, with nothing counted."""
    policy = policies_of(a)[h]
    breaker = breakers_of(a)[policy.breakers_first + client]
    breaker.state = state
    breaker.period += 1
    breaker.attempts = 0
    breaker.failures = 0
    breaker.place = 0
    breaker.let = 0
    if policy.breaker == TIME_WINDOW:
        clear_meter(a, policy.breaker_meters + client)
    if state == OPEN:
        breaker.until_ns = a.now_ns + policy.breaker_open_ns


@part
def breaker_refuses(a: Any, c: int) -> bool:
    """Whether a breaker keeps back an attempt that is about to be sent (D67)."""
    h = calls_of(a)[c].hop
    policy = policies_of(a)[h]
    extra = extras_of(a)[c]
    extra.period = NONE
    if policy.breakers_first < 0 or policy.breaker == CUMULATIVE:
        return False
    breaker = breakers_of(a)[policy.breakers_first + extra.client]
    if breaker.state == OPEN:
        if a.now_ns < breaker.until_ns:
            return True
        _become(a, h, extra.client, HALF_OPEN)
    if breaker.state == HALF_OPEN:
        if breaker.let >= policy.breaker_probes:
            return True
        breaker.let += 1
    extra.period = breaker.period
    return False


@part
def _count_in_ring(a: Any, h: int, client: int, failed: int) -> None:
    """The newest result takes the place of the oldest of the last `breaker_window`."""
    policy = policies_of(a)[h]
    breaker = breakers_of(a)[policy.breakers_first + client]
    rings = rings_of(a)
    at = policy.breaker_rings + client * policy.breaker_window + breaker.place
    if breaker.attempts < policy.breaker_window:
        breaker.attempts += 1
    else:
        breaker.failures -= rings[at]
    breaker.failures += failed
    rings[at] = failed
    breaker.place = (breaker.place + 1) % policy.breaker_window


@part
def breaker_hears(a: Any, c: int, outcome: int) -> None:
    """An attempt's outcome is known (D68)."""
    h = calls_of(a)[c].hop
    policy = policies_of(a)[h]
    if policy.breakers_first < 0:
        return
    extra = extras_of(a)[c]
    client = extra.client
    breaker = breakers_of(a)[policy.breakers_first + client]
    failed = (policy.breaker_on >> outcome) & 1
    if policy.breaker == CUMULATIVE:
        breaker.failures += failed
        return
    if extra.period != breaker.period:
        return
    if outcome != _OK and failed == 0:
        if breaker.state == HALF_OPEN:
            breaker.let -= 1
        return
    if breaker.state == HALF_OPEN:
        breaker.attempts += 1
        breaker.failures += failed
        if policy.breaker == CONSECUTIVE and failed == 1:
            _become(a, h, client, OPEN)
        elif breaker.attempts == policy.breaker_probes:
            if rate_reached(breaker.failures, breaker.attempts, policy.breaker_rate, 0):
                _become(a, h, client, OPEN)
            else:
                _become(a, h, client, CLOSED)
        return
    trips = False
    if policy.breaker == CONSECUTIVE:
        breaker.failures = breaker.failures + 1 if failed == 1 else 0
        trips = breaker.failures >= policy.breaker_volume
    elif policy.breaker == COUNT_WINDOW:
        _count_in_ring(a, h, client, failed)
        trips = rate_reached(breaker.failures, breaker.attempts, policy.breaker_rate, policy.breaker_volume)
    else:
        m = policy.breaker_meters + client
        count_now(a, m, policy.breaker_part_ns, FIRST)
        if failed == 1:
            count_now(a, m, policy.breaker_part_ns, SECOND)
        attempts = counted(a, m, policy.breaker_part_ns, FIRST)
        failures = counted(a, m, policy.breaker_part_ns, SECOND)
        trips = rate_reached(failures, attempts, policy.breaker_rate, policy.breaker_volume)
    if trips:
        _become(a, h, client, OPEN)


@part
def breaker_counts_call(a: Any, c: int) -> None:
    """A call starts (D67, cumulative)."""
    policy = policies_of(a)[calls_of(a)[c].hop]
    if policy.breakers_first >= 0 and policy.breaker == CUMULATIVE:
        breakers_of(a)[policy.breakers_first + extras_of(a)[c].client].attempts += 1


@part
def breaker_stops_retry(a: Any, c: int) -> bool:
    """Whether a cumulative breaker keeps a call from being retried (D68)."""
    policy = policies_of(a)[calls_of(a)[c].hop]
    if policy.breakers_first < 0 or policy.breaker != CUMULATIVE:
        return False
    breaker = breakers_of(a)[policy.breakers_first + extras_of(a)[c].client]
    return rate_exceeded(breaker.failures, breaker.attempts, policy.breaker_rate)


@part
def new_breaker(a: Any, h: int, client: int) -> None:
    """A client process starts anew (D33)."""
    if policies_of(a)[h].breakers_first >= 0:
        _become(a, h, client, CLOSED)
