"""The kernel's connections: what each client process keeps open to each instance it calls (R9, D124-D126), if rich.

A pool knows how many connections are in use and since when each of the others is idle, the longest first. Calls that
wait for one stand in a line of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from azsim.base.jit import memory, part
from azsim.dataplane.policy_state import POOL, extras_of, policies_of
from azsim.dataplane.state import NONE, calls_of, hops_of, np_int, services_of

_INT64 = np.dtype("i8")

# What a call has of a connection.
NO_CONNECTION, AWAITED, HELD = 0, 1, 2


@part
def pools_of(a: Any) -> Any:
    return memory(a.pools_at, POOL)


@part
def idle_since_of(a: Any) -> Any:
    return memory(a.idle_since_at, _INT64)


@part
def is_pooled(a: Any, h: int) -> bool:
    """Whether callers over hop h keep connections."""
    return policies_of(a)[h].pool_max > 0


@part
def pool_of(a: Any, c: int) -> int:
    """The pool of a call's client process to the call's target."""
    call = calls_of(a)[c]
    service = services_of(a)[hops_of(a)[call.hop].service]
    first = policies_of(a)[call.hop].pools_first
    return first + extras_of(a)[c].client * service.instances_count + call.target - service.instances_first


@part
def acquire(a: Any, c: int) -> bool:
    """Take a connection to the call's target: an idle one, else a new one; False: the call waits for one (D124)."""
    h = np_int(calls_of(a)[c].hop)
    policy = policies_of(a)[h]
    extra = extras_of(a)[c]
    p = pool_of(a, c)
    pool = pools_of(a)[p]
    extra.period_of_pool = pool.period
    if pool.idle > 0:
        newest = idle_since_of(a)[p * policy.pool_max + policy.pool_offset + pool.idle - 1]
        if a.now_ns - newest >= policy.pool_idle_ns:
            pool.idle = 0  # the others are idle for longer still
    extra.fresh = 0
    if pool.idle > 0:
        pool.idle -= 1
    elif pool.used < policy.pool_max:
        extra.fresh = 1
    else:
        _wait(a, c, p)
        return False
    pool.used += 1
    extra.connection = HELD
    return True


@part
def _wait(a: Any, c: int, p: int) -> None:
    pool = pools_of(a)[p]
    extras = extras_of(a)
    extras[c].connection = AWAITED
    extras[c].behind = NONE
    extras[c].before = pool.tail
    if pool.tail >= 0:
        extras[pool.tail].behind = c
    else:
        pool.head = c
    pool.tail = c
    a.awaiting += 1


@part
def _leave(a: Any, c: int, p: int) -> None:
    pool = pools_of(a)[p]
    extras = extras_of(a)
    extra = extras[c]
    if extra.before >= 0:
        extras[extra.before].behind = extra.behind
    else:
        pool.head = extra.behind
    if extra.behind >= 0:
        extras[extra.behind].before = extra.before
    else:
        pool.tail = extra.before
    extra.connection = NO_CONNECTION
    a.awaiting -= 1


@part
def release(a: Any, c: int, kept: bool) -> None:
    """The dispatch of a call is over: its connection is idle from now on, or closed; who waits waits no more (D125)."""
    extra = extras_of(a)[c]
    if extra.connection == NO_CONNECTION:
        return
    p = pool_of(a, c)
    if extra.connection == AWAITED:
        _leave(a, c, p)
        return
    extra.connection = NO_CONNECTION
    pool = pools_of(a)[p]
    if extra.period_of_pool != pool.period:
        return
    pool.used -= 1
    if kept:
        policy = policies_of(a)[calls_of(a)[c].hop]
        idle_since_of(a)[p * policy.pool_max + policy.pool_offset + pool.idle] = a.now_ns
        pool.idle += 1


@part
def next_in_pool(a: Any, p: int) -> int:
    """The first call that waits in a pool, if there is a connection for it, which it takes; else NONE (D125)."""
    pool = pools_of(a)[p]
    c = np_int(pool.head)
    if c < 0 or pool.used >= policies_of(a)[calls_of(a)[c].hop].pool_max:
        return NONE
    _leave(a, c, p)
    acquire(a, c)
    return c


@part
def _close(a: Any, p: int) -> None:
    """All connections of a pool are gone."""
    pool = pools_of(a)[p]
    pool.used = 0
    pool.idle = 0
    pool.period += 1


@part
def close_to(a: Any, s: int, k: int) -> None:
    """Instance k of service s, counted within it, is dead or crashed: all connections to it are gone (D126)."""
    count = services_of(a)[s].instances_count
    for h in range(a.hops_length):
        if hops_of(a)[h].service == s and is_pooled(a, h):
            policy = policies_of(a)[h]
            for client in range(policy.pool_clients):
                _close(a, policy.pools_first + client * count + k)


@part
def close_of(a: Any, h: int, client: int) -> None:
    """A client process starts anew: its connections over hop h are gone (D33)."""
    if is_pooled(a, h):
        count = services_of(a)[hops_of(a)[h].service].instances_count
        first = policies_of(a)[h].pools_first + client * count
        for p in range(first, first + count):
            _close(a, p)


@part
def rest_all(a: Any) -> None:
    """A reset: what is in use is idle from now on (D126)."""
    for h in range(a.hops_length):
        if is_pooled(a, h):
            policy = policies_of(a)[h]
            count = policy.pool_clients * services_of(a)[hops_of(a)[h].service].instances_count
            for p in range(policy.pools_first, policy.pools_first + count):
                pool = pools_of(a)[p]
                while pool.used > 0:
                    idle_since_of(a)[p * policy.pool_max + policy.pool_offset + pool.idle] = a.now_ns
                    pool.idle += 1
                    pool.used -= 1
                pool.period += 1
