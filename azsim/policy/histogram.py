"""The one latency histogram (O2): log-linear, 32 bins an octave, from 1.024 microseconds to 78 hours.

A value in bin b is reported as the bin's midpoint, so a percentile is off by at most 1.6 percent.
"""

from __future__ import annotations

from azsim.base.jit import float_bits, rule

BINS = 1088


@rule
def bin_of(latency_ns: int) -> int:
    """The bin of a latency in nanoseconds (>= 0)."""
    v = latency_ns >> 10
    if v < 32:
        return v
    b = (float_bits(float(v)) >> 47) - 32864
    return b if b < 1087 else 1087


def bin_bounds_ns(b: int) -> tuple[int, int]:
    """Lowest and first-too-high latency of bin b, in nanoseconds."""
    if b < 32:
        return b << 10, (b + 1) << 10
    octave, sub = divmod(b, 32)
    return (32 + sub) << (octave + 9), (33 + sub) << (octave + 9)
