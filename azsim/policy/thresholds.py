"""Consecutive thresholds of health sensing (H2)."""

from __future__ import annotations

from azsim.base.jit import rule


@rule
def streak_after(streak: int, passed: bool) -> int:
    """Consecutive passes (positive) or failures (negative) after one more probe."""
    if passed:
        return streak + 1 if streak > 0 else 1
    return streak - 1 if streak < 0 else -1


@rule
def healthy_after_streak(healthy: bool, streak: int, unhealthy_after: int, healthy_after: int) -> bool:
    """The sensed health, given the streak that ends with the newest probe."""
    if healthy:
        return -streak < unhealthy_after
    return streak >= healthy_after
