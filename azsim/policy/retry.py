"""Back-off and its jitter (R6). Times in nanoseconds."""

from __future__ import annotations

import math

from azsim.base.jit import rule
from azsim.policy.distributions import unit

AT_ONCE = 0
NO_JITTER = 1
FULL = 2
EQUAL = 3
DECORRELATED = 4
PROPORTIONAL = 5


@rule
def backoff(
    kind: int, base_ns: int, factor: float, cap_ns: int, failures: int, previous_ns: int, bits: int, spread: float
) -> int:
    """The wait after the `failures`-th failed attempt (from 1), rounded up.

    none: e; full: U(0, e); equal: e/2 + U(0, e/2), with e = min(cap, base * factor^(failures - 1));
    decorrelated: min(cap, U(base, 3 * previous)), `previous_ns` being the last wait, at first the base;
    proportional: e * U(1 - spread, 1 + spread).
    """
    if kind == AT_ONCE:
        return 0
    cap = float(cap_ns)
    base = float(base_ns)
    if kind == DECORRELATED:
        return int(math.ceil(min(cap, base + unit(bits) * max(0.0, 3.0 * float(previous_ns) - base))))
    e = base
    for _ in range(failures - 1):
        e = e * factor
        if e >= cap:
            break
    e = min(cap, e)
    if kind == FULL:
        e = e * unit(bits)
    elif kind == EQUAL:
        e = 0.5 * e + 0.5 * e * unit(bits)
    elif kind == PROPORTIONAL:
        e = e * ((1.0 - spread) + 2.0 * spread * unit(bits))
    return int(math.ceil(e))
