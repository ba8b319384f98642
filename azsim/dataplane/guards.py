"""What the kernel's callers heed beyond a token bucket: windows and throttles (R6, D60 to D63), in rich kernels."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.base.seeds import THROTTLE, key_hash
from azsim.dataplane.breakers import (
    breaker_counts_call,
    breaker_hears,
    breaker_refuses,
    breaker_stops_retry,
    new_breaker,
)
from azsim.dataplane.codes import Outcome
from azsim.dataplane.meters import FIRST, SECOND, clear_meter, count_now, counted
from azsim.dataplane.policy_state import extras_of, policies_of
from azsim.dataplane.state import (
    calls_of,
    hops_of,
    tokens_of,
)
from azsim.policy.distributions import unit
from azsim.policy.guards import (
    CLIENT_THROTTLING,
    GRPC,
    RATIO,
    grpc_allows,
    ratio_allows,
    share_held_back,
)

_OK = int(Outcome.OK)
_ERROR = int(Outcome.ERROR)
_BREAKER_OPEN = int(Outcome.BREAKER_OPEN)
_BUDGET_EXHAUSTED = int(Outcome.BUDGET_EXHAUSTED)


# --- what a call asks and tells ------------------------------------------------------------------------------------


@part
def call_begins(a: Any, c: int) -> None:
    """A new call: ratios count it (D61, D67)."""
    breaker_counts_call(a, c)
    policy = policies_of(a)[calls_of(a)[c].hop]
    if policy.budget == RATIO:
        count_now(a, policy.budget_meters + extras_of(a)[c].client, policy.budget_part_ns, FIRST)


@part
def refusal(a: Any, c: int) -> int:
    """The outcome of an attempt that is not sent at all; OK: it is (D63, D67)."""
    if breaker_refuses(a, c):
        return _BREAKER_OPEN
    call = calls_of(a)[c]
    policy = policies_of(a)[call.hop]
    if policy.budget == CLIENT_THROTTLING:
        m = policy.budget_meters + extras_of(a)[c].client
        requests = counted(a, m, policy.budget_part_ns, FIRST)
        accepts = counted(a, m, policy.budget_part_ns, SECOND)
        count_now(a, m, policy.budget_part_ns, FIRST)
        share = share_held_back(requests, accepts, policy.throttle_k)
        if share > 0.0 and unit(key_hash(a.key, call.request, call.path, call.tag, THROTTLE)) < share:
            return _BUDGET_EXHAUSTED
    return _OK


@part
def heard(a: Any, c: int, outcome: int) -> None:
    """An attempt's outcome is known (D62, D63, D68)."""
    breaker_hears(a, c, outcome)
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    policy = policies_of(a)[call.hop]
    if policy.budget == GRPC:
        if (hop.retry_on >> outcome) & 1 == 1:
            tokens_of(a)[call.bucket] = max(0, tokens_of(a)[call.bucket] - 1000)
    elif policy.budget == CLIENT_THROTTLING and outcome <= _ERROR:  # ok or error
        count_now(a, policy.budget_meters + extras_of(a)[c].client, policy.budget_part_ns, SECOND)


@part
def stops_retry(a: Any, c: int) -> int:
    """The outcome of a call that may not be retried; OK: it may, and that is counted (D61, D62, D68)."""
    if breaker_stops_retry(a, c):
        return _BREAKER_OPEN
    call = calls_of(a)[c]
    policy = policies_of(a)[call.hop]
    if policy.budget == GRPC and not grpc_allows(tokens_of(a)[call.bucket], hops_of(a)[call.hop].budget_capacity):
        return _BUDGET_EXHAUSTED
    if policy.budget == RATIO:
        m = policy.budget_meters + extras_of(a)[c].client
        requests = counted(a, m, policy.budget_part_ns, FIRST)
        retries = counted(a, m, policy.budget_part_ns, SECOND)
        if not ratio_allows(retries, requests, policy.budget_ratio, policy.budget_reserve):
            return _BUDGET_EXHAUSTED
        count_now(a, m, policy.budget_part_ns, SECOND)
    return _OK


@part
def forget(a: Any, h: int, client: int) -> None:
    """A client process starts anew (D33)."""
    policy = policies_of(a)[h]
    new_breaker(a, h, client)
    if policy.budget_meters >= 0:
        clear_meter(a, policy.budget_meters + client)
