"""Consecutive thresholds of health sensing (H2)."""

from __future__ import annotations

from azsim.base.jit import rule

# What a target is to its checker.
NOT_PROBED = 0
PROBED = 1
NEW = 2  # a single pass suffices, until it has failed as often in a row as puts another one out


@rule
def streak_after(streak: int, passed: bool) -> int:
    """Consecutive passes (positive) or failures (negative) after one more probe."""
    if passed:
        return streak + 1 if streak > 0 else 1
    return streak - 1 if streak < 0 else -1


@rule
def enough_hold_it_healthy(healthy: int, checkers: int, need: float) -> bool:
    """Whether a target counts as healthy: more than a share of its checkers say so (Route 53: 18%)."""
    return float(healthy) > need * float(checkers)


@rule
def healthy_after_streak(healthy: bool, streak: int, unhealthy_after: int, healthy_after: int) -> bool:
    """The sensed health, given the streak that ends with the newest probe."""
    if healthy:
        return -streak < unhealthy_after
    return streak >= healthy_after


@rule
def passes_needed(probing: int, healthy_after: int) -> int:
    """How many passes in a row put a target that is held unhealthy in rotation."""
    return 1 if probing == NEW else healthy_after


@rule
def probing_after(probing: int, streak: int, unhealthy_after: int) -> int:
    """What a target is after a probe with which `streak` ends."""
    if probing == NEW and (streak > 0 or -streak >= unhealthy_after):
        return PROBED
    return probing
