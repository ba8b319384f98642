"""How many requests an instance lets in: adaptive limits as in Netflix's concurrency-limits, and a rate limit (I1).

A limit is a number that is compared, rounded down, with the requests that the instance holds. A sample is a request
that has ended: its time in the instance `rtt_ns`, how many there were, itself included, when it came (`held`), and
whether it was dropped. The rules are those of the library's classes AIMDLimit, Gradient2Limit and VegasLimit.
"""

from __future__ import annotations

import math

from azsim.base.jit import rule
from azsim.policy.distributions import unit

NONE = 0
FIXED = 1
AIMD = 2
GRADIENT2 = 3
VEGAS = 4

WARM_UP = 10  # samples whose plain mean begins Gradient2's long-term average
PROBE_EVERY = 30.0  # Vegas measures the unloaded time anew after about so many times its limit of samples


@rule
def aimd_after(
    limit: float,
    rtt_ns: int,
    held: int,
    dropped: int,
    least: float,
    most: float,
    backoff: float,
    timeout_ns: int,
) -> float:
    """A limit that is multiplied by `backoff` by a drop or a slow answer, and grows by one while at least half used."""
    if dropped == 1 or rtt_ns > timeout_ns:
        limit = float(math.floor(limit * backoff))
    elif 2.0 * float(held) >= limit:
        limit = limit + 1.0
    return min(most, max(least, limit))


@rule
def average_after(average: float, count: int, sample: float, window: float) -> float:
    """Gradient2's long-term average with one more sample, `count` of which it has: plain at first, then exponential."""
    if count < WARM_UP:
        return (average * float(count) + sample) / float(count + 1)
    factor = 2.0 / (window + 1.0)
    return average * (1.0 - factor) + sample * factor


@rule
def gradient2_after(
    limit: float,
    rtt_ns: int,
    held: int,
    long_rtt: float,
    least: float,
    most: float,
    smoothing: float,
    queue: float,
    tolerance: float,
) -> float:
    """A limit that follows the ratio of the long-term time, this sample included, to the sample's."""
    if float(held) < limit / 2.0:
        return limit
    gradient = max(0.5, min(1.0, tolerance * long_rtt / float(rtt_ns)))
    target = limit * gradient + queue
    return max(least, min(most, limit * (1.0 - smoothing) + target * smoothing))


@rule
def gradient2_average_after(long_rtt: float, rtt_ns: int) -> float:
    """The long-term time, made shorter where it is more than twice the sample's."""
    return long_rtt * 0.95 if long_rtt / float(rtt_ns) > 2.0 else long_rtt


@rule
def log10_of(limit: float) -> float:
    """Whole part of the decimal logarithm of a limit up to 10^6, at least 1."""
    k = 1.0
    bound = 100.0
    while limit >= bound and k < 6.0:
        bound = bound * 10.0
        k = k + 1.0
    return k


@rule
def vegas_probes(limit: float, samples: int, bits: int) -> bool:
    """Whether it is time to measure the unloaded time anew, so many samples after the last time; `bits` are drawn."""
    return (0.5 + 0.5 * unit(bits)) * PROBE_EVERY * limit <= float(samples)


@rule
def vegas_after(limit: float, rtt_ns: int, held: int, dropped: int, unloaded_ns: int, most: float) -> float:
    """A limit that keeps the estimated queue, limit x (1 - unloaded / rtt), between 3 and 6 log10(limit)."""
    step = log10_of(math.floor(limit))
    if dropped == 1:
        target = limit - step
    elif 2.0 * float(held) < limit:
        return limit
    else:
        queue = math.ceil(limit * (1.0 - float(unloaded_ns) / float(rtt_ns)))
        if queue <= step:
            target = limit + 6.0 * step
        elif queue < 3.0 * step:
            target = limit + step
        elif queue > 6.0 * step:
            target = limit - step
        else:
            return limit
    return max(1.0, min(most, target))


@rule
def token_after(now_ns: int, full_at: int, interval: int, burst: int) -> tuple[int, int]:
    """A token bucket asked for a token: when it would be full again, and 1 if it gave one.

    `full_at` and `interval`, a token's time, are in 2^-10 ns. (The generic cell rate algorithm: no rounding adds up.)
    """
    now = now_ns * 1024
    full_at = max(full_at, now)
    if full_at - now > (burst - 1) * interval:
        return full_at, 0
    return full_at + interval, 1
