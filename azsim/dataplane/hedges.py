"""The kernel's hedges: attempts of one call that are open at the same time (R6, D120 to D123), in rich kernels.

A hedge is a record among the calls, with its own attempt, timer and target, that refers to the call it is for, the
lead. Whatever ends an attempt looks here for what that means to its call.

Where times teach the delay, each client process keeps so many of them: how many there are, the place of the next, then
the times as they came (a ring), then the same in ascending order.
"""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.dataplane.codes import Kind, Outcome
from azsim.dataplane.guards import stops_retry
from azsim.dataplane.layout import TIMES_HEAD
from azsim.dataplane.meters import FIRST, SECOND, clear_meter, count_now, counted
from azsim.dataplane.policy_state import extras_of, policies_of, times_of
from azsim.dataplane.program_pools import branches_of
from azsim.dataplane.proxy_pools import journeys_of
from azsim.dataplane.queues import schedule
from azsim.dataplane.state import (
    HEDGED,
    NO_TIMER,
    NONE,
    WAITING,
    calls_of,
    free_call,
    hops_of,
    new_call,
    np_int,
    tokens_of,
)
from azsim.policy.guards import ratio_allows
from azsim.policy.hedging import OF_ITS_OWN, OF_RETRIES

_OK = int(Outcome.OK)
_HEDGE = int(Kind.HEDGE)


@part
def begin_hedges(a: Any, c: int) -> None:
    """A new call, without attempts yet."""
    extra = extras_of(a)[c]
    extra.lead = NONE
    extra.first = NONE
    extra.made = 0
    extra.connection = 0
    extra.hedges = 0
    policy = policies_of(a)[calls_of(a)[c].hop]
    if policy.hedge_meters >= 0:
        count_now(a, policy.hedge_meters + extra.client, policy.hedge_part_ns, FIRST)


@part
def lead_of(a: Any, c: int) -> int:
    """The call that an attempt belongs to."""
    lead = np_int(extras_of(a)[c].lead)
    return lead if lead >= 0 else c


@part
def await_hedge(a: Any, c: int) -> None:
    """A call has just sent an attempt: a hedge follows after the delay, if it may have one more (D120)."""
    call = calls_of(a)[c]
    extra = extras_of(a)[c]
    policy = policies_of(a)[call.hop]
    if extra.hedges >= policy.hedges:
        return
    t_ns = a.now_ns + _delay_ns(a, call.hop, extra.client)
    if t_ns < call.deadline_ns:
        schedule(a, t_ns, _HEDGE, call.request, call.path, extra.made << 4, c, call.generation, 0)


@part
def hedge_stands(a: Any, c: int, generation: int, tag: int) -> bool:
    """Whether a hedge that was due after attempt `tag` still is: no attempt since, and one is open."""
    call = calls_of(a)[c]
    if call.generation != generation or extras_of(a)[c].made != tag >> 4:
        return False
    return call.state == WAITING or call.state == HEDGED


@part
def may_hedge(a: Any, c: int) -> bool:
    """Whether the budget allows a hedge, which then takes its share (D121)."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    policy = policies_of(a)[call.hop]
    if a.retries_off == 1:
        return False
    if policy.hedge_budget == OF_RETRIES:
        if stops_retry(a, c) != _OK:
            return False
        if call.bucket >= 0:
            tokens = tokens_of(a)
            if tokens[call.bucket] < hop.budget_cost:
                return False
            tokens[call.bucket] -= hop.budget_cost
    elif policy.hedge_budget == OF_ITS_OWN:
        m = policy.hedge_meters + extras_of(a)[c].client
        calls = counted(a, m, policy.hedge_part_ns, FIRST)
        hedges = counted(a, m, policy.hedge_part_ns, SECOND)
        if not ratio_allows(hedges, calls, policy.hedge_ratio, policy.hedge_reserve):
            return False
        count_now(a, m, policy.hedge_part_ns, SECOND)
    return True


@part
def new_hedge(a: Any, c: int) -> int:
    """A hedge of call c, not sent yet."""
    h = new_call(a)
    calls = calls_of(a)
    call = calls[c]
    hedge = calls[h]
    hedge.request = call.request
    hedge.path = call.path
    hedge.start_ns = call.start_ns
    hedge.row = call.row
    hedge.parent = call.parent
    hedge.hop = call.hop
    hedge.place = call.place
    hedge.state = WAITING
    hedge.timer = NO_TIMER
    hedge.target = NONE
    hedge.job = NONE
    hedge.deadline_ns = call.deadline_ns
    hedge.bucket = call.bucket
    branches = branches_of(a)
    branches[h].operation = branches[c].operation
    branches[h].zone = branches[c].zone
    branches[h].mix = NONE
    journeys_of(a)[h].waits = 0
    extras = extras_of(a)
    extra = extras[c]
    extras[h].client = extra.client
    extras[h].lead = c
    extras[h].first = NONE
    extras[h].next = NONE
    extras[h].connection = 0
    extra.made += 1
    extra.hedges += 1
    hedge.tag = extra.made << 4
    if extra.first < 0:
        extra.first = h
    else:
        last = np_int(extra.first)
        while extras[last].next >= 0:
            last = np_int(extras[last].next)
        extras[last].next = h
    return h


@part
def drop_hedge(a: Any, h: int) -> None:
    """A hedge is over: its record is free again."""
    extras = extras_of(a)
    extra = extras[extras[h].lead]
    if extra.first == h:
        extra.first = extras[h].next
    else:
        before = np_int(extra.first)
        while extras[before].next != h:
            before = np_int(extras[before].next)
        extras[before].next = extras[h].next
    free_call(a, h)


@part
def last_failed(a: Any, c: int) -> int:
    """An attempt has failed: its call, whose last attempt it now is, if no other is open (D122); else NONE."""
    lead = lead_of(a, c)
    call = calls_of(a)[lead]
    if lead == c:
        call.state = HEDGED
    else:
        drop_hedge(a, c)
    if call.state == WAITING or extras_of(a)[lead].first >= 0:
        return NONE
    call.tag = extras_of(a)[lead].made << 4
    return lead


# --- times ---------------------------------------------------------------------------------------------------------


@part
def _delay_ns(a: Any, h: int, client: int) -> int:
    """How long an attempt of a client process is waited for before it is hedged (D123)."""
    policy = policies_of(a)[h]
    n = policy.hedge_samples
    if policy.hedge_times >= 0:
        words = times_of(a)
        at = policy.hedge_times + client * (TIMES_HEAD + 2 * n)
        if words[at] >= n:
            return words[at + TIMES_HEAD + n + policy.hedge_place]
    return np_int(policy.hedge_delay_ns)


@part
def note_time(a: Any, c: int) -> None:
    """Keep how long an attempt took, in place of the oldest time, if times are kept and it is no hedge (D123)."""
    call = calls_of(a)[c]
    policy = policies_of(a)[call.hop]
    if policy.hedge_times < 0 or extras_of(a)[c].lead >= 0:
        return
    n = policy.hedge_samples
    words = times_of(a)
    at = policy.hedge_times + extras_of(a)[c].client * (TIMES_HEAD + 2 * n)
    ring = at + TIMES_HEAD
    ordered = ring + n
    time_ns = a.now_ns - call.sent_ns
    held = words[at]
    place = words[at + 1]
    k = 0
    if held == n:
        oldest = words[ring + place]
        while words[ordered + k] != oldest:
            k += 1
        while k + 1 < n:  # close the gap it leaves
            words[ordered + k] = words[ordered + k + 1]
            k += 1
        held = n - 1
    k = np_int(held)
    while k > 0 and words[ordered + k - 1] > time_ns:
        words[ordered + k] = words[ordered + k - 1]
        k -= 1
    words[ordered + k] = time_ns
    words[ring + place] = time_ns
    words[at] = held + 1
    words[at + 1] = (place + 1) % n


@part
def forget_hedges(a: Any, h: int, client: int) -> None:
    """A client process starts anew (D33)."""
    policy = policies_of(a)[h]
    if policy.hedge_meters >= 0:
        clear_meter(a, policy.hedge_meters + client)
    if policy.hedge_times >= 0:
        at = policy.hedge_times + client * (TIMES_HEAD + 2 * policy.hedge_samples)
        times_of(a)[at] = 0
        times_of(a)[at + 1] = 0
