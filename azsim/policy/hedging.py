"""Hedging (R6): a second attempt while the first is still open. What pays for it, and the delay that times teach."""

from __future__ import annotations

from azsim.base.jit import rule
from azsim.policy.guards import MILLION

# What a hedge takes from.
FREE = 0
OF_RETRIES = 1  # the hop's retry budget, at the cost of a retry
OF_ITS_OWN = 2  # a ratio of its own


@rule
def percentile_place(share: int, samples: int) -> int:
    """The place, from 0, of a percentile (`share` in millionths) among so many values in ascending order.

    The least value that at least this share of the values does not exceed.
    """
    return max(0, -(-share * samples // MILLION) - 1)
