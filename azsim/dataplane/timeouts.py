"""The kernel's timeouts of constant length: a list per hop, in the order in which they fall due (D4)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import hot, part
from azsim.dataplane.codes import INFINITE
from azsim.dataplane.state import LISTED, NO_TIMER, NONE, calls_of, hops_of


@part
def _timeout_before(a: Any, c: int, d: int) -> bool:
    """Whether call c's timeout comes before d's."""
    calls = calls_of(a)
    x = calls[c]
    y = calls[d]
    if x.expiry_ns != y.expiry_ns:
        return x.expiry_ns < y.expiry_ns
    if x.request != y.request:
        return x.request < y.request
    if x.path != y.path:
        return x.path < y.path
    return x.tag < y.tag


@part
def find_first_timeout(a: Any) -> None:
    """Set timeout_ns and timeout_hop from the heads of the lists."""
    hops = hops_of(a)
    calls = calls_of(a)
    best = INFINITE
    hop = NONE
    for h in range(a.hops_length):
        c = hops[h].head
        if c < 0:
            continue
        t_ns = calls[c].expiry_ns
        if t_ns < best or (t_ns == best and _timeout_before(a, c, hops[hop].head)):
            best = t_ns
            hop = h
    a.timeout_ns = best
    a.timeout_hop = hop


@hot
def list_timeout(a: Any, c: int) -> None:
    calls = calls_of(a)
    call = calls[c]
    h = call.hop
    hop = hops_of(a)[h]
    call.timer = LISTED
    before = hop.tail
    # Sends come in the order of time; those of one instant may not come in the order of keys, and a hop's timeout may
    # have become shorter (D57).
    while before >= 0 and calls[before].expiry_ns >= call.expiry_ns and _timeout_before(a, c, before):
        before = calls[before].previous
    call.previous = before
    if before >= 0:
        call.next = calls[before].next
        calls[before].next = c
    else:
        call.next = hop.head
        hop.head = c
    if call.next >= 0:
        calls[call.next].previous = c
    else:
        hop.tail = c
    if before < 0 and call.expiry_ns <= a.timeout_ns:
        find_first_timeout(a)


@part
def drop_timer(a: Any, c: int) -> None:
    """A call's timeout no longer matters. (One in the queue stays there and finds that out.)"""
    calls = calls_of(a)
    call = calls[c]
    if call.timer == LISTED:
        hop = hops_of(a)[call.hop]
        if call.next >= 0:
            calls[call.next].previous = call.previous
        else:
            hop.tail = call.previous
        if call.previous >= 0:
            calls[call.previous].next = call.next
        else:
            hop.head = call.next
            if a.timeout_hop == call.hop:
                find_first_timeout(a)
    call.timer = NO_TIMER
