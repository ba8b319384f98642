"""Closed-loop users: how long each thinks between two requests (R1)."""

from __future__ import annotations

import math

from azsim.base.jit import rule
from azsim.base.seeds import THINK, key_hash
from azsim.policy.distributions import standard_exponential, unit

CONSTANT = 0
EXPONENTIAL = 1


@rule
def think_ns(kind: int, mean_ns: int, key: int, request: int, epoch: int, first: bool) -> int:
    """How long a user thinks before `request`, ns, at least 1 and rounded up.

    Users who always think equally long start anywhere in their first thought, or they would all come at once.
    """
    if kind == CONSTANT and not first:
        return mean_ns
    bits = key_hash(key, request, epoch, 0, THINK)
    if kind == CONSTANT:
        return int(math.ceil(unit(bits) * float(mean_ns)))
    return max(1, int(math.ceil(standard_exponential(bits) * float(mean_ns))))
