"""How much of a zone's requests its own targets get (B3)."""

from __future__ import annotations

from azsim.base.jit import rule

ANYWHERE = 0
PREFER = 1
ZONE_AWARE = 2


@rule
def share_that_stays(eligible: int, total: int, spill_below: float) -> float:
    """The share of requests that stay in a zone of `total` targets of which `eligible` are.

    All of them while the eligible share is at least `spill_below`, in proportion below that: Envoy's overprovisioning
    factor of 140% is a `spill_below` of 1 / 1.4. With 0 all stay as long as there is one target.
    """
    if eligible == 0:
        return 0.0
    if spill_below == 0.0:
        return 1.0
    return min(1.0, float(eligible) / (spill_below * float(total)))


@rule
def zone_aware_share(callers_here: int, callers: int, eligible_here: int, eligible: int) -> float:
    """Envoy's rule: a zone with a smaller share U of the targets than L of the callers keeps U / L of its requests."""
    if eligible_here * callers >= callers_here * eligible:
        return 1.0
    return float(eligible_here * callers) / float(callers_here * eligible)


@rule
def residual(callers_here: int, callers: int, eligible_here: int, eligible: int) -> int:
    """What another zone can take of the rest: max(0, U - L) times `callers` times `eligible`."""
    return max(0, eligible_here * callers - callers_here * eligible)
