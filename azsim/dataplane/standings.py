"""What the kernel's proxies hold of their targets, and learn of them (B5, D103-D105, D110); in rich kernels."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.dataplane.codes import INFINITE
from azsim.dataplane.proxy_pools import balancing_of, journeys_of, proxies_of, standings_of, turns_of
from azsim.dataplane.state import NONE, calls_of, instances_of, np_int, services_of
from azsim.policy.balancing import PEAK_EWMA, cost_after
from azsim.policy.outliers import (
    CONSECUTIVE,
    MAX_FAILS,
    NO_OUTLIERS,
    ejected_until,
    ejections_now,
    fails_too_often,
    is_below_the_others,
    is_benched,
    may_eject,
    success_rate,
)


@part
def is_proxied(a: Any, s: int) -> bool:
    return balancing_of(a)[s].proxied == 1


@part
def standing_of(a: Any, p: int, i: int) -> int:
    """Number of the standing of target i at proxy p."""
    proxy = proxies_of(a)[p]
    return proxy.standings_first + i - services_of(a)[proxy.service].instances_first


@part
def is_out(a: Any, s: int, k: int) -> bool:
    """Whether the target of standing k is ejected now (D104)."""
    b = balancing_of(a)[s]
    standing = standings_of(a)[k]
    if b.outliers == CONSECUTIVE:
        return a.now_ns < standing.ejected_until_ns
    if b.outliers == MAX_FAILS and services_of(a)[s].instances_count > 1:
        return is_benched(standing.errors, b.outlier_errors, a.now_ns, standing.checked_ns, b.outlier_window_ns)
    return False


@part
def note_dispatch(a: Any, c: int, i: int) -> None:
    """A call's dispatch to target i is pending."""
    journey = journeys_of(a)[c]
    journey.dispatched_ns = a.now_ns
    standings_of(a)[standing_of(a, journey.proxy, i)].pending += 1


@part
def note_end(a: Any, c: int, outcome: int, judged: bool) -> None:
    """A call's dispatch is not pending any more (D103, D104).

    `outcome`: of the dispatch, NONE: it was cancelled, and says nothing; `judged`: it tells of the target.
    """
    call = calls_of(a)[c]
    journey = journeys_of(a)[c]
    p = np_int(journey.proxy)
    s = proxies_of(a)[p].service
    b = balancing_of(a)[s]
    standing = standings_of(a)[standing_of(a, p, call.target)]
    standing.pending -= 1
    if outcome < 0:
        return
    if services_of(a)[s].algorithm == PEAK_EWMA:
        elapsed = a.now_ns - standing.stamp_ns
        standing.cost = cost_after(standing.cost, elapsed, b.ewma_decay_ns, a.now_ns - journey.dispatched_ns)
        standing.stamp_ns = a.now_ns
    if b.outliers == NO_OUTLIERS or not judged:
        return
    bad = (b.outlier_on >> outcome) & 1 == 1
    if b.outliers == MAX_FAILS:
        _count_fail(a, p, call.target, bad)
    else:
        sweep(a, p)
        standing.outcomes += 1
        if bad:
            standing.bad += 1
        _count_error(a, p, call.target, bad)


@part
def _count_fail(a: Any, p: int, i: int, bad: bool) -> None:
    standing = standings_of(a)[standing_of(a, p, i)]
    if bad:
        standing.errors += 1
        standing.accessed_ns = a.now_ns
        standing.checked_ns = a.now_ns
    elif standing.accessed_ns < standing.checked_ns:
        standing.errors = 0


@part
def _count_error(a: Any, p: int, i: int, bad: bool) -> None:
    proxy = proxies_of(a)[p]
    s = proxy.service
    b = balancing_of(a)[s]
    standings = standings_of(a)
    standing = standings[standing_of(a, p, i)]
    if is_out(a, s, standing_of(a, p, i)):
        return
    if not bad:
        standing.errors = 0
        return
    standing.errors += 1
    if standing.errors < b.outlier_errors:
        return
    standing.errors = 0
    _eject(a, p, standing_of(a, p, i), a.now_ns)


@part
def _eject(a: Any, p: int, k: int, t_ns: int) -> None:
    """Eject the target of standing k at t_ns, if so many may be (D104)."""
    proxy = proxies_of(a)[p]
    b = balancing_of(a)[proxy.service]
    standings = standings_of(a)
    standing = standings[k]
    ejected = 0
    count = services_of(a)[proxy.service].instances_count
    for other in range(proxy.standings_first, proxy.standings_first + count):
        if t_ns < standings[other].ejected_until_ns:
            ejected += 1
    if may_eject(ejected, count, b.outlier_share, b.outlier_at_least_one):
        before = ejections_now(standing.ejections, standing.ejected_until_ns, t_ns, b.outlier_window_ns)
        standing.ejections = before + 1
        standing.ejected_until_ns = ejected_until(
            t_ns, standing.ejections, b.outlier_base_ns, b.outlier_longest_ns, b.outlier_window_ns
        )


@part
def sweep(a: Any, p: int) -> None:
    """Let a proxy's last sweep happen, if it has not yet: it compares the rates of its targets (D110).

    What was counted came before the first sweep since then; nothing came between that and the others.
    """
    proxy = proxies_of(a)[p]
    b = balancing_of(a)[proxy.service]
    if b.outlier_factor == 0.0 and b.outlier_failures == 0:
        return
    now = a.now_ns // b.outlier_window_ns
    if now == proxy.sweep:
        return
    t_ns = (proxy.sweep + 1) * b.outlier_window_ns
    proxy.sweep = now
    first = np_int(proxy.standings_first)
    end = first + services_of(a)[proxy.service].instances_count
    if b.outlier_factor > 0.0:
        _eject_by_rate(a, p, first, end, t_ns)
    if b.outlier_failures > 0:
        _eject_by_failures(a, p, first, end, t_ns)
    for k in range(first, end):
        standings_of(a)[k].outcomes = 0
        standings_of(a)[k].bad = 0


@part
def _eject_by_rate(a: Any, p: int, first: int, end: int, t_ns: int) -> None:
    b = balancing_of(a)[proxies_of(a)[p].service]
    standings = standings_of(a)
    candidates = 0
    total = 0
    squares = 0
    for k in range(first, end):
        standing = standings[k]
        if t_ns >= standing.ejected_until_ns and standing.outcomes >= b.outlier_factor_volume:
            rate = success_rate(standing.outcomes, standing.bad)
            candidates += 1
            total += rate
            squares += rate * rate
    if candidates < b.outlier_factor_targets:
        return
    for k in range(first, end):
        standing = standings[k]
        if t_ns >= standing.ejected_until_ns and standing.outcomes >= b.outlier_factor_volume:
            rate = success_rate(standing.outcomes, standing.bad)
            if is_below_the_others(rate, total, squares, candidates, b.outlier_factor):
                _eject(a, p, k, t_ns)


@part
def _eject_by_failures(a: Any, p: int, first: int, end: int, t_ns: int) -> None:
    b = balancing_of(a)[proxies_of(a)[p].service]
    standings = standings_of(a)
    candidates = 0
    for k in range(first, end):
        if t_ns >= standings[k].ejected_until_ns and standings[k].outcomes >= b.outlier_failures_volume:
            candidates += 1
    if candidates < b.outlier_failures_targets:
        return
    for k in range(first, end):
        standing = standings[k]
        if (
            t_ns >= standing.ejected_until_ns
            and standing.outcomes >= b.outlier_failures_volume
            and fails_too_often(standing.outcomes, standing.bad, b.outlier_failures)
        ):
            _eject(a, p, k, t_ns)


@part
def check_passed(a: Any, i: int) -> None:
    """A health check of target i has passed: proxies that listen to it end its ejection (D104)."""
    s = instances_of(a)[i].service
    b = balancing_of(a)[s]
    if b.outliers != CONSECUTIVE or b.outlier_uneject_on_check == 0:
        return
    for p in range(b.proxies_first, b.proxies_first + b.proxies_count):
        sweep(a, p)
        standing = standings_of(a)[standing_of(a, p, i)]
        standing.ejected_until_ns = min(standing.ejected_until_ns, a.now_ns)


@part
def back_in_view(a: Any, i: int) -> None:
    """Target i has returned to the view: its slow start begins (D105)."""
    b = balancing_of(a)[instances_of(a)[i].service]
    for p in range(b.proxies_first, b.proxies_first + b.proxies_count):
        standings_of(a)[standing_of(a, p, i)].warm_from_ns = a.now_ns


@part
def forget_targets(a: Any, p: int) -> None:
    """A proxy starts anew: it knows nothing of its targets (O7)."""
    proxy = proxies_of(a)[p]
    b = balancing_of(a)[proxy.service]
    for k in range(services_of(a)[proxy.service].instances_count):
        standing = standings_of(a)[proxy.standings_first + k]
        standing.errors = 0
        standing.ejections = 0
        standing.ejected_until_ns = -INFINITE
        standing.warm_from_ns = -INFINITE
        standing.accessed_ns = -INFINITE
        standing.checked_ns = -INFINITE
        standing.cost = float(b.ewma_default_ns)
        standing.stamp_ns = a.now_ns
        standing.outcomes = 0
        standing.bad = 0
    proxy.sweep = a.now_ns // b.outlier_window_ns
    for z in range(a.zones + 1):
        turns_of(a)[p * (a.zones + 1) + z] = NONE
