"""What a cache knows: how often it hits, and what it keeps (I6)."""

from __future__ import annotations

import math

from azsim.base.jit import rule

HIT = 1
FILLS = 2  # a miss that leaves an entry behind once it has been answered
PASSES = 3  # a miss of something that is not asked for again


@rule
def looked_up(draw: float, hit_ratio: float, filled: int, entries: int) -> int:
    """What a lookup finds; `draw` in [0, 1) says what is asked for.

    The share `hit_ratio` of what is asked for is one of `entries` things, each asked for as often as the others.
    """
    if draw * float(entries) < hit_ratio * float(filled):
        return HIT
    return FILLS if draw < hit_ratio else PASSES


@rule
def kept(filled: int, share: float) -> int:
    """Entries that are left of `filled`, rounded down."""
    return int(math.floor(float(filled) * share))
