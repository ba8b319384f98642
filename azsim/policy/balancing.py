"""Rules of the routing service that are pure numbers (B3, B4, O4). Candidates are always sorted by permanent id."""

from __future__ import annotations

from azsim.base.jit import rule
from azsim.policy.distributions import exponential_function, natural_log

RANDOM = 0
ROUND_ROBIN = 1
LEAST_OUTSTANDING = 2
TWO_CHOICES = 3
WEIGHTED_RANDOM = 4
PEAK_EWMA = 5

# Where a balancer's state is kept.
REGIONAL = 0  # one proxy for all
CALLER = 1  # a proxy in each client process
ZONAL = 2  # proxies in each zone

NEVER_OPEN = -1.0


@rule
def fails_open(healthy: int, total: int, below: float, fewer_than: int) -> bool:
    """Whether a balancer ignores health and uses every target.

    It does when none is healthy, when their share is under `below`, or when there are `fewer_than` so many of them;
    with a `below` of NEVER_OPEN it never does.
    """
    if below < 0.0:
        return False
    return healthy == 0 or healthy < fewer_than or float(healthy) < below * float(total)


@rule
def stays_in_zone(eligible: int, present: int, spill_below: float) -> bool:
    """Whether a hop that prefers its caller's zone stays there (D48): not without a target, nor with fewer eligible
    ones than a share of those that are present.
    """
    return eligible > 0 and float(eligible) >= spill_below * float(present)


@rule
def decayed_cost(cost: float, elapsed_ns: int, decay_ns: int) -> float:
    """Peak EWMA's cost of a target, ns, that was `cost` so long ago (Finagle): cost * e^(-elapsed / decay)."""
    return cost * exponential_function(-float(elapsed_ns) / float(decay_ns))


@rule
def cost_after(cost: float, elapsed_ns: int, decay_ns: int, latency_ns: int) -> float:
    """The cost after one more latency: it jumps up to a peak at once and decays slowly towards what is lower."""
    latency = float(latency_ns)
    faded = decayed_cost(cost, elapsed_ns, decay_ns)
    if latency > faded:
        return latency
    weight = exponential_function(-float(elapsed_ns) / float(decay_ns))
    return faded + latency * (1.0 - weight)


@rule
def warmth(elapsed_ns: int, window_ns: int, aggression: float, least: float) -> float:
    """The part of its share that a target gets so long after it came back: max(least, (t / window)^(1 / aggression)).

    Envoy's slow start; linear with an aggression of 1.
    """
    if elapsed_ns >= window_ns:
        return 1.0
    if elapsed_ns <= 0:
        return least
    part = float(elapsed_ns) / float(window_ns)
    if aggression != 1.0:
        part = exponential_function(natural_log(part) / aggression)
    return max(least, min(1.0, part))
