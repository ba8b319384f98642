"""Open-loop arrivals (O5): arrival k is the first t at which the integrated rate reaches E_k.

E is a sum of unit exponentials in int64 units of 2^-30; a rate is in those units per nanosecond and may change linearly
(a ramp, slope in units per ns squared). Scaling the rate keeps the pattern: the same requests come, earlier or later.
"""

from __future__ import annotations

import math

from azsim.base.jit import rule
from azsim.base.seeds import ARRIVAL, key_hash
from azsim.policy.distributions import standard_exponential

UNITS_PER_REQUEST = 1 << 30
UNITS_PER_NS = UNITS_PER_REQUEST / 1e9  # times a rate per second
NEVER = 1 << 62


@rule
def increment(key: int, request: int) -> int:
    """E_k - E_(k-1) of the request that arrives k-th, in units of 2^-30."""
    return int(standard_exponential(key_hash(key, request, 0, 0, ARRIVAL)) * 1073741824.0)


@rule
def integral(tau_ns: int, rate: float, slope: float) -> int:
    """What a rate that starts at `rate` integrates to over `tau_ns`, in units, rounded down."""
    tau = float(tau_ns)
    return int(tau * (rate + 0.5 * slope * tau))


@rule
def time_to(units: int, rate: float, slope: float) -> int:
    """Nanoseconds until the integral reaches `units`, rounded up; NEVER if it does not within 2^53 ns."""
    if units <= 0:
        return 0
    x = float(units)
    if slope == 0.0:
        if rate <= 0.0:
            return NEVER
        tau = x / rate
    else:
        square = rate * rate + 2.0 * slope * x
        if square < 0.0:
            return NEVER
        root = rate + math.sqrt(square)
        if root <= 0.0:
            return NEVER
        tau = 2.0 * x / root
    if tau >= 9007199254740992.0:
        return NEVER
    return int(math.ceil(tau))
