"""What callers heed beyond attempts, back-off and token buckets: other budgets, breakers, asked waits (R6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from azsim.base.units import SECOND_NS
from azsim.dataplane.codes import INFINITE, Outcome
from azsim.dataplane.layout import times_words
from azsim.policy import breakers, guards, hedging
from azsim.scenario.breaker import Breaker, Consecutive, CountWindow, Cumulative
from azsim.scenario.hedge import Hedge, Percentile
from azsim.scenario.operation import Call
from azsim.scenario.pool import Pool
from azsim.scenario.retry import Budget, ClientThrottling, Grpc, Ratio, Retry
from azsim.scenario.traffic import Population

Row = dict[str, Any]

_OUTCOMES = {outcome.word: outcome for outcome in Outcome}


def mask(words: Iterable[str]) -> int:
    """The set of outcomes as bits."""
    mask = 0
    for word in words:
        mask |= 1 << _OUTCOMES[word]
    return mask


# A hop that asks nothing of a rich kernel.
_PLAIN: Row = {
    "backoff_spread": 0.0,
    "avoid_previous": 0,
    "budget": guards.TOKEN_BUCKET,
    "retry_after_ns": -1,
    "budget_meters": -1,
    "budget_part_ns": 1,
    "budget_ratio": 0,
    "budget_reserve": 0,
    "throttle_k": 0.0,
    "breaker": breakers.NO_BREAKER,
    "breaker_on": 0,
    "breaker_probes": 1,
    "breakers_first": -1,
    "breaker_volume": 0,
    "breaker_rate": 0,
    "breaker_open_ns": 0,
    "breaker_window": 1,
    "breaker_rings": -1,
    "breaker_meters": -1,
    "breaker_part_ns": 1,
    "cached": 0,
    "hedges": 0,
    "hedge_budget": hedging.FREE,
    "hedge_delay_ns": 0,
    "hedge_times": -1,
    "hedge_samples": 1,
    "hedge_place": 0,
    "hedge_meters": -1,
    "hedge_part_ns": 1,
    "hedge_ratio": 0,
    "hedge_reserve": 0,
    "pool_max": 0,
    "pool_clients": 0,
    "pools_first": 0,
    "pool_offset": 0,
    "pool_acquire_ns": INFINITE,
    "pool_idle_ns": INFINITE,
    "handshake_trips": 0,
    "handshake_ns": 0,
}


def _retry(policy: Retry | None) -> Row:
    """What a retry policy asks of a rich kernel, its budget aside."""
    row = dict(_PLAIN)
    if policy is not None:
        row["avoid_previous"] = int(policy.avoid_previous)
        if policy.backoff is not None and policy.backoff.jitter == "proportional":
            row["backoff_spread"] = policy.backoff.spread
    return row


def _part_ns(window_ns: int) -> int:
    """A tenth of a sliding window, rounded up."""
    return -(-window_ns // guards.WINDOW_PARTS)


def _millionths(number: float) -> int:
    return round(number * guards.MILLION)


def _budget(budget: Budget | None, meters_first: int) -> Row:
    """A budget that is more than a token bucket."""
    match budget:
        case Grpc():
            return {"budget": guards.GRPC}
        case Ratio():
            return {
                "budget": guards.RATIO,
                "budget_meters": meters_first,
                "budget_part_ns": _part_ns(budget.window),
                "budget_ratio": _millionths(budget.ratio),
                "budget_reserve": _millionths(budget.floor * budget.window / SECOND_NS),
            }
        case ClientThrottling():
            return {
                "budget": guards.CLIENT_THROTTLING,
                "budget_meters": meters_first,
                "budget_part_ns": _part_ns(budget.window),
                "throttle_k": budget.k,
            }
    return {}


def _breaker(breaker: Breaker | None) -> Row:
    """A circuit breaker."""
    if breaker is None:
        return {}
    row: Row = {"breaker_on": mask(breaker.on)}
    if isinstance(breaker, Cumulative):
        return row | {"breaker": breakers.CUMULATIVE, "breaker_rate": _millionths(breaker.rate)}
    row |= {"breaker_open_ns": breaker.open, "breaker_probes": breaker.probes}
    if isinstance(breaker, Consecutive):
        return row | {"breaker": breakers.CONSECUTIVE, "breaker_volume": breaker.failures}
    row |= {"breaker_rate": _millionths(breaker.rate), "breaker_volume": breaker.volume}
    if isinstance(breaker, CountWindow):
        return row | {"breaker": breakers.COUNT_WINDOW, "breaker_window": breaker.window}
    return row | {"breaker": breakers.TIME_WINDOW, "breaker_part_ns": _part_ns(breaker.window)}


def _hedge(hedge: Hedge | None, meters_first: int) -> Row:
    if hedge is None:
        return {}
    row: Row = {"hedges": hedge.max}
    if isinstance(hedge.delay, Percentile):
        row |= {
            "hedge_delay_ns": hedge.delay.start,
            "hedge_samples": hedge.delay.samples,
            "hedge_place": hedging.percentile_place(_millionths(hedge.delay.percentile), hedge.delay.samples),
        }
    else:
        row["hedge_delay_ns"] = hedge.delay
    if hedge.budget == "retry":
        row["hedge_budget"] = hedging.OF_RETRIES
    elif hedge.budget is not None:
        ratio = _budget(hedge.budget, meters_first)
        row |= {"hedge_budget": hedging.OF_ITS_OWN}
        row |= {f"hedge_{name}": ratio[f"budget_{name}"] for name in ("meters", "part_ns", "ratio", "reserve")}
    return row


class Policies:
    """Collects the rows of POLICY, hop by hop, and numbers what they need for each client process."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.meters = self.breakers = self.ring_places = self.times = 0
        self.pools = self.pool_places = 0

    @property
    def used(self) -> bool:
        """Whether any hop asks for something that only a rich kernel has."""
        return any(row != _PLAIN for row in self.rows)

    def add(
        self, hop: Population | Call, retry_after_ns: int | None, clients: int, targets: int, *, cached: bool
    ) -> None:
        """Adds the policy of a hop over which so many client processes call so many instances; the callee may ask them
        to wait. `cached`: a hit in the caller's cache spares the call.
        """
        row = _retry(hop.retry) | _budget(hop.retry.budget if hop.retry else None, self.meters)
        if row["budget_meters"] >= 0:
            self.meters += clients
        row |= _breaker(hop.breaker) | {"cached": int(cached)}
        if row["breaker"] != breakers.NO_BREAKER:
            row["breakers_first"] = self.breakers
            self.breakers += clients
        if row["breaker"] == breakers.COUNT_WINDOW:
            row["breaker_rings"] = self.ring_places
            self.ring_places += clients * int(row["breaker_window"])
        elif row["breaker"] == breakers.TIME_WINDOW:
            row["breaker_meters"] = self.meters
            self.meters += clients
        row |= _hedge(hop.hedge, self.meters)
        if row["hedge_meters"] >= 0:
            self.meters += clients
        if hop.hedge is not None and isinstance(hop.hedge.delay, Percentile):
            row["hedge_times"] = self.times
            self.times += clients * times_words(hop.hedge.delay.samples)
        row |= self._pool(hop.pool, clients, targets)
        if retry_after_ns is not None:
            row["retry_after_ns"] = retry_after_ns
        self.rows.append(row)

    def _pool(self, pool: Pool | None, clients: int, targets: int) -> Row:
        """The connections of each client process to each instance."""
        if pool is None:
            return {}
        row: Row = {
            "pool_max": pool.max,
            "pool_clients": clients,
            "pools_first": self.pools,
            "pool_offset": self.pool_places - self.pools * pool.max,
            "pool_acquire_ns": INFINITE if pool.acquire is None else pool.acquire,
            "pool_idle_ns": INFINITE if pool.idle is None else pool.idle,
        }
        if pool.handshake is not None:
            row |= {"handshake_trips": pool.handshake.round_trips, "handshake_ns": pool.handshake.work}
        self.pools += clients * targets
        self.pool_places += clients * targets * pool.max
        return row
