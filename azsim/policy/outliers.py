"""Passive ejection: what a balancer concludes from the answers of its targets (B5)."""

from __future__ import annotations

from azsim.base.jit import rule

NO_OUTLIERS = 0
NO_ERRORS = 1 << 30  # in a row: they do not eject
CONSECUTIVE = 1  # Envoy: errors in a row eject, or a sweep that compares rates
MAX_FAILS = 2  # nginx: fails within a time bench, and a live request tries the target afterwards


@rule
def may_eject(ejected: int, total: int, share_max: float, at_least_one: int) -> bool:
    """Whether one more of `total` targets may be ejected."""
    if at_least_one == 1 and ejected == 0:
        return True
    return float(ejected + 1) <= share_max * float(total)


@rule
def ejections_now(ejections: int, until_ns: int, now_ns: int, interval_ns: int) -> int:
    """The ejection multiplier, which falls by one at each sweep after the one that ended the last ejection."""
    if ejections == 0 or now_ns < until_ns:
        return ejections
    return max(0, ejections - (now_ns - until_ns) // interval_ns)


@rule
def ejected_until(now_ns: int, ejections: int, base_ns: int, longest_ns: int, interval_ns: int) -> int:
    """When the `ejections`-th ejection in a row ends: after base * ejections, at the next sweep.

    Sweeps are at the multiples of the interval; an ejection lasts at most `longest_ns`, or the base if that is longer.
    """
    end_ns = now_ns + min(base_ns * ejections, max(longest_ns, base_ns))
    return (end_ns + interval_ns - 1) // interval_ns * interval_ns


@rule
def success_rate(outcomes: int, errors: int) -> int:
    """The share of outcomes that are no errors, in ten-thousandths, rounded down."""
    return (outcomes - errors) * 10_000 // outcomes


@rule
def is_below_the_others(rate: int, total: int, squares: int, candidates: int, factor: float) -> bool:
    """Whether a success rate is less than the mean - factor x standard deviation of so many candidates' rates.

    total, squares: sums of their rates and of the squares. All in whole numbers up to the last comparison, in which
    both sides are squared and multiplied by the candidates' number.
    """
    short = total - candidates * rate
    spread = candidates * squares - total * total
    return short > 0 and float(short) * float(short) > factor * factor * float(spread)


@rule
def fails_too_often(outcomes: int, errors: int, share: int) -> bool:
    """Whether errors are at least a share (millionths) of outcomes."""
    return errors * 1_000_000 >= share * outcomes


@rule
def is_benched(fails: int, fails_max: int, now_ns: int, checked_ns: int, window_ns: int) -> bool:
    """Whether nginx passes over a peer: too many fails, and not longer ago than the window."""
    return fails >= fails_max and now_ns - checked_ns <= window_ns
