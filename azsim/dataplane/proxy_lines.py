"""Who waits in the kernel's proxies: for the node's own slots, or for a target to get free (B1, B5, D106, D109)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.base.seeds import NODE_WORK, key_hash
from azsim.dataplane.proxy_pools import balancing_of, journeys_of, node_slots_of, node_starts_of, proxies_of
from azsim.dataplane.state import NONE, calls_of, work_table_of
from azsim.policy.distributions import sample_work


@part
def node_done_ns(a: Any, c: int) -> int:
    """When a call's proxy is done with its attempt, which comes to it now; NONE if it has no place for it (D109).

    The order is fifo and the work is known, so each attempt's turn is known when it comes: no event need mark it.
    """
    call = calls_of(a)[c]
    proxy = proxies_of(a)[journeys_of(a)[c].proxy]
    b = balancing_of(a)[proxy.service]
    slots = node_slots_of(a)
    starts = node_starts_of(a)
    while proxy.behind > 0 and starts[proxy.starts_first + proxy.oldest] <= a.now_ns:
        proxy.behind -= 1
        proxy.oldest += 1
        if proxy.oldest == b.node_queue:
            proxy.oldest = 0
    first = 0
    for k in range(1, b.node_slots):
        if slots[proxy.slots_first + k] < slots[proxy.slots_first + first]:
            first = k
    start = max(a.now_ns, slots[proxy.slots_first + first])
    if start > a.now_ns:
        if proxy.behind >= b.node_queue:
            return NONE
        at = proxy.oldest + proxy.behind
        if at >= b.node_queue:
            at -= b.node_queue
        starts[proxy.starts_first + at] = start
        proxy.behind += 1
    path = key_hash(a.key, call.request, call.path, call.tag, NODE_WORK)
    work = sample_work(
        b.node_work, b.node_work_a, b.node_work_b, work_table_of(a), 0, 0, a.key, call.request, path, call.tag
    )
    slots[proxy.slots_first + first] = start + work
    return start + work


@part
def empty_node(a: Any, p: int) -> None:
    """A proxy drops the attempts that it works on or that wait for it to (D22)."""
    proxy = proxies_of(a)[p]
    proxy.behind = 0
    for k in range(balancing_of(a)[proxy.service].node_slots):
        node_slots_of(a)[proxy.slots_first + k] = 0


@part
def join_waiting(a: Any, c: int) -> bool:
    """A call waits in its proxy for a target to get free (D106); False: there is no place for it."""
    journeys = journeys_of(a)
    journey = journeys[c]
    proxy = proxies_of(a)[journey.proxy]
    if proxy.waiting >= balancing_of(a)[proxy.service].wait_places:
        return False
    proxy.waiting += 1
    a.waiting += 1
    journey.waits = 1
    journey.next = NONE
    journey.previous = proxy.tail
    if proxy.tail >= 0:
        journeys[proxy.tail].next = c
    else:
        proxy.head = c
    proxy.tail = c
    return True


@part
def leave_waiting(a: Any, c: int) -> None:
    """A call waits no longer, if it did."""
    journeys = journeys_of(a)
    journey = journeys[c]
    if journey.waits == 0:
        return
    proxy = proxies_of(a)[journey.proxy]
    journey.waits = 0
    proxy.waiting -= 1
    a.waiting -= 1
    if journey.previous >= 0:
        journeys[journey.previous].next = journey.next
    else:
        proxy.head = journey.next
    if journey.next >= 0:
        journeys[journey.next].previous = journey.previous
    else:
        proxy.tail = journey.previous
