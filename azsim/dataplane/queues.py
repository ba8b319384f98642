"""The event queue of the kernel: a wheel of unsorted buckets between two small heaps.

Events up to the wheel's cursor lie in the `near` heap, in order; those within its horizon in buckets, unsorted until
the cursor gets there; those beyond it in the `far` heap. With a bucket width near the spacing of events, putting and
taking cost a few nanoseconds whatever the number of events. Full ties are settled by key (O1).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from azsim.base.jit import float_bits, hot, part
from azsim.dataplane.codes import INFINITE, RANKS
from azsim.dataplane.state import BUCKETS, NONE, bits_of, far_of, near_of, nodes_of, np_int, wheel_of

_RANKS = RANKS
_WORDS = BUCKETS // 64


@part
def key_before(
    kind: int, request: int, path: int, tag: int, other_kind: int, other_request: int, other_path: int, other_tag: int
) -> bool:
    """Order of two events at one instant: (rank, request, path, tag, kind) (O1, D2)."""
    rank = _RANKS[kind]
    other_rank = _RANKS[other_kind]
    if rank != other_rank:
        return rank < other_rank
    if request != other_request:
        return request < other_request
    if path != other_path:
        return path < other_path
    if tag != other_tag:
        return tag < other_tag
    return kind < other_kind


@part
def entry_before(a: Any, t_ns: int, n: int, other_t_ns: int, other: int) -> bool:
    if t_ns != other_t_ns:
        return t_ns < other_t_ns
    nodes = nodes_of(a)
    x = nodes[n]
    y = nodes[other]
    return key_before(x.kind, x.request, x.path, x.tag, y.kind, y.request, y.path, y.tag)


@hot
def heap_put(a: Any, heap: Any, count: int, t_ns: int, n: int) -> None:
    """Add to a heap that holds `count` entries."""
    i = count
    if i == 0:
        heap[0].t_ns = t_ns
        heap[0].node = n
        return
    while i > 0:
        above = (i - 1) >> 1
        if not entry_before(a, t_ns, n, heap[above].t_ns, heap[above].node):
            break
        heap[i].t_ns = heap[above].t_ns
        heap[i].node = heap[above].node
        i = above
    heap[i].t_ns = t_ns
    heap[i].node = n


@part
def heap_take(a: Any, heap: Any, count: int) -> None:
    """Remove the first of a heap's `count` entries."""
    last = count - 1
    if last == 0:
        return
    t_ns = heap[last].t_ns
    n = heap[last].node
    i = 0
    while True:
        below = 2 * i + 1
        if below >= last:
            break
        if below + 1 < last and entry_before(
            a, heap[below + 1].t_ns, heap[below + 1].node, heap[below].t_ns, heap[below].node
        ):
            below += 1
        if not entry_before(a, heap[below].t_ns, heap[below].node, t_ns, n):
            break
        heap[i].t_ns = heap[below].t_ns
        heap[i].node = heap[below].node
        i = below
    heap[i].t_ns = t_ns
    heap[i].node = n


@part
def new_node(a: Any) -> int:
    """A free event node; the caller has seen to it that one is left."""
    a.nodes_left -= 1
    n = a.free_node
    if n >= 0:
        a.free_node = nodes_of(a)[n].next
    else:
        n = a.fresh_node
        a.fresh_node += 1
    return n


@part
def free_node(a: Any, n: int) -> None:
    nodes_of(a)[n].next = a.free_node
    a.free_node = n
    a.nodes_left += 1


@part
def _lowest_bit(word: Any) -> int:
    """Index of the lowest set bit of a non-zero word."""
    low = word & (~word + np.uint64(1))
    return (float_bits(float(low)) >> 52) - 1023


@part
def _next_bucket(a: Any) -> int:
    """The first bucket after the cursor that holds nodes; at least one does."""
    bits = bits_of(a)
    start = (a.cursor + 1) & (BUCKETS - 1)
    w = start >> 6
    word = (bits[w] >> np.uint64(start & 63)) << np.uint64(start & 63)
    while word == 0:
        w = (w + 1) & (_WORDS - 1)
        word = bits[w]
    slot = (w << 6) | _lowest_bit(word)
    return a.cursor + 1 + ((slot - start) & (BUCKETS - 1))


@hot
def _refill(a: Any) -> None:
    """Move the cursor to the next bucket with nodes and these nodes into the near heap."""
    bucket = _next_bucket(a)
    a.cursor = bucket
    slot = bucket & (BUCKETS - 1)
    wheel = wheel_of(a)
    nodes = nodes_of(a)
    near = near_of(a)
    n = np_int(wheel[slot])
    wheel[slot] = NONE
    bits_of(a)[slot >> 6] ^= np.uint64(1) << np.uint64(slot & 63)
    while n >= 0:
        following = nodes[n].next
        heap_put(a, near, a.near_count, nodes[n].t_ns, n)
        a.near_count += 1
        a.wheel_count -= 1
        n = np_int(following)


@hot
def _look_ahead(a: Any) -> None:
    """Set queue_ns to the time of the queue's first event."""
    if a.near_count == 0 and a.wheel_count > 0:
        _refill(a)
    t_ns = near_of(a)[0].t_ns if a.near_count > 0 else INFINITE
    if a.far_count > 0:
        t_ns = min(t_ns, far_of(a)[0].t_ns)
    a.queue_ns = t_ns


@hot
def put_node(a: Any, n: int) -> None:
    """Queue a node whose fields are set."""
    nodes = nodes_of(a)
    t_ns = nodes[n].t_ns
    bucket = t_ns >> a.shift
    if bucket <= a.cursor:
        heap_put(a, near_of(a), a.near_count, t_ns, n)
        a.near_count += 1
    elif bucket - a.cursor < BUCKETS:
        slot = bucket & (BUCKETS - 1)
        wheel = wheel_of(a)
        first = wheel[slot]
        nodes[n].next = first
        wheel[slot] = n
        if first < 0:
            bits_of(a)[slot >> 6] |= np.uint64(1) << np.uint64(slot & 63)
        a.wheel_count += 1
        if a.near_count == 0:
            _look_ahead(a)
            return
    else:
        heap_put(a, far_of(a), a.far_count, t_ns, n)
        a.far_count += 1
    a.queue_ns = min(a.queue_ns, t_ns)


@hot
def first_node(a: Any) -> int:
    """The node of the queue's first event; there is one."""
    near = near_of(a)
    far = far_of(a)
    if a.far_count == 0:
        return near[0].node
    if a.near_count == 0:
        return far[0].node
    if entry_before(a, near[0].t_ns, near[0].node, far[0].t_ns, far[0].node):
        return near[0].node
    return far[0].node


@hot
def take_node(a: Any, n: int) -> None:
    """Take `n`, the first node, out of the queue; its fields stay readable until the next node is made."""
    if a.near_count > 0 and near_of(a)[0].node == n:
        heap_take(a, near_of(a), a.near_count)
        a.near_count -= 1
    else:
        heap_take(a, far_of(a), a.far_count)
        a.far_count -= 1
    free_node(a, n)
    _look_ahead(a)


def _schedule(
    a: Any, t_ns: int, kind: int, request: int, path: int, tag: int, subject: int, generation: int, dispatched: int
) -> None:
    """Let an event happen at t_ns >= now.

    One event of the present instant waits in the slot instead: if nothing else is due, it needs no queue.
    """
    if t_ns == a.now_ns and a.slot_kind < 0 and dispatched == 0:
        a.slot_kind = kind
        a.slot_request = request
        a.slot_path = path
        a.slot_tag = tag
        a.slot_subject = subject
        a.slot_generation = generation
        return
    n = new_node(a)
    node = nodes_of(a)[n]
    node.t_ns = t_ns
    node.kind = kind
    node.request = request
    node.path = path
    node.tag = tag
    node.subject = subject
    node.generation = generation
    node.dispatched = dispatched
    put_node(a, n)


schedule = part(_schedule)
schedule_here = hot(_schedule)  # for the events of every request


@part
def empty_slot(a: Any) -> None:
    """Queue the event of the slot: something else is due at this instant."""
    kind = a.slot_kind
    a.slot_kind = -1
    n = new_node(a)
    node = nodes_of(a)[n]
    node.t_ns = a.now_ns
    node.kind = kind
    node.request = a.slot_request
    node.path = a.slot_path
    node.tag = a.slot_tag
    node.subject = a.slot_subject
    node.generation = a.slot_generation
    node.dispatched = 0
    put_node(a, n)
