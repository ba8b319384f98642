"""What faults do to numbers (F2, F3, O6)."""

from __future__ import annotations

import math

from azsim.base.jit import rule


@rule
def either(share: float, other: float) -> float:
    """The share that one of two independent chances hits; exactly the one where the other is 0."""
    return share + other * (1.0 - share)


@rule
def slowed(work_ns: int, factor: float) -> int:
    """Work that takes `factor` times as long, ns, rounded up; exactly itself with factor 1."""
    if factor == 1.0:
        return work_ns
    return int(math.ceil(float(work_ns) * factor))
