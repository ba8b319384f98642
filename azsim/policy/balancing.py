"""Rules of the routing service that are pure numbers (B3, B4, O4). Candidates are always sorted by permanent id."""

from __future__ import annotations

from azsim.base.jit import rule

RANDOM = 0
ROUND_ROBIN = 1
LEAST_OUTSTANDING = 2
TWO_CHOICES = 3

NEVER_OPEN = -1.0


@rule
def fails_open(healthy: int, total: int, below: float) -> bool:
    """Whether a balancer ignores health and uses every target.

    `below` is the share of healthy targets under which it does; 0 means only when none is healthy; NEVER_OPEN never.
    """
    if below < 0.0:
        return False
    if below == 0.0:
        return healthy == 0
    return float(healthy) < below * float(total)


@rule
def stays_in_zone(eligible: int, present: int, spill_below: float) -> bool:
    """Whether a hop that prefers its caller's zone stays there (D48): not without a target, nor with fewer eligible
    ones than a share of those that are present.
    """
    return eligible > 0 and float(eligible) >= spill_below * float(present)
