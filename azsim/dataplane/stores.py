"""Replicated stores of the full kernel: which zones hold which acknowledged writes, and what is lost (R11, D92-D94)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.dataplane.codes import INFINITE, InstanceState
from azsim.dataplane.layout import LOST, QUORUM_STEP, SERVICE_COLUMNS, WRITES
from azsim.dataplane.program_pools import branches_of, operations_of, programs_of, steps_of
from azsim.dataplane.state import NONE, calls_of, hops_of, instances_of, np_int, service_rows_of, services_of
from azsim.dataplane.store_state import errands_of, replicas_of, stores_of, writes_of

_DEAD = int(InstanceState.DEAD)


@part
def accepted(a: Any, c: int, zone: int) -> None:
    """A call accepts an ok answer from a zone: a write is acknowledged, or one of its quorum's replicas is (D92)."""
    call = calls_of(a)[c]
    operation = branches_of(a)[c].operation
    if operation < 0 or operations_of(a)[operation].writes == 0:
        return
    bit = 1 << np_int(zone)
    if branches_of(a)[c].zone >= 0:
        errands_of(a)[call.parent].holders |= bit
    else:
        _acknowledged(a, hops_of(a)[call.hop].service, bit)


@part
def quorum_met(a: Any, j: int) -> None:
    """The step that a job is at is decided: if it is a quorum that is met, that may acknowledge a write (D92)."""
    program = programs_of(a)[j]
    step = steps_of(a)[operations_of(a)[program.operation].steps_first + program.step - 1]
    if step.kind != QUORUM_STEP or program.short > 0:
        return
    if errands_of(a)[j].holders != 0:
        _acknowledged(a, hops_of(a)[step.hop].service, errands_of(a)[j].holders)


@part
def _acknowledged(a: Any, s: int, holders: int) -> None:
    """A new write of a store."""
    _count(a, s, WRITES, 1)
    store = stores_of(a)[s]
    holders = holders & store.alive
    if holders == 0:
        _lose(a, s, 1)
        return
    _settle(a, s)
    w = a.free_write
    if w >= 0:
        a.free_write = writes_of(a)[w].next
    else:
        w = a.fresh_write
        a.fresh_write += 1
    a.writes_left -= 1
    write = writes_of(a)[w]
    write.due_ns = a.now_ns + services_of(a)[s].replication_ns
    write.holders = holders
    write.next = NONE
    if store.tail >= 0:
        writes_of(a)[store.tail].next = w
    else:
        store.head = w
    store.tail = w


@part
def _settle(a: Any, s: int) -> None:
    """All replicas hold the writes that are due by now (D93)."""
    store = stores_of(a)[s]
    while store.head >= 0 and writes_of(a)[store.head].due_ns <= a.now_ns:
        store.settled += 1
        _drop(a, s, NONE, np_int(store.head))


@part
def _drop(a: Any, s: int, before: int, w: int) -> None:
    """Take a write out of a store's list, where it follows `before`."""
    store = stores_of(a)[s]
    writes = writes_of(a)
    if before >= 0:
        writes[before].next = writes[w].next
    else:
        store.head = writes[w].next
    if store.tail == w:
        store.tail = before
    writes[w].next = a.free_write
    a.free_write = w
    a.writes_left += 1


@part
def _count(a: Any, s: int, column: int, amount: int) -> None:
    service_rows_of(a)[(a.row * a.services_length + s) * SERVICE_COLUMNS + column] += amount


@part
def _lose(a: Any, s: int, amount: int) -> None:
    _count(a, s, LOST, amount)
    a.lost_writes += amount


@part
def state_changed(a: Any, i: int) -> None:
    """An instance is another state now: its zone may have lost its replica, or have one again (D93, D94)."""
    instance = instances_of(a)[i]
    s = np_int(instance.service)
    service = services_of(a)[s]
    if service.replication_ns < 0:
        return
    alive = 0
    for other in range(service.instances_first, service.instances_first + service.instances_count):
        if instances_of(a)[other].zone == instance.zone and instances_of(a)[other].state != _DEAD:
            alive = 1
    store = stores_of(a)[s]
    bit = 1 << np_int(instance.zone)
    if alive == 1 and store.alive & bit == 0:
        store.alive |= bit
        replicas_of(a)[s * a.zones + instance.zone] = a.now_ns + service.replication_ns
    elif alive == 0 and store.alive & bit != 0:
        _replica_gone(a, s, np_int(instance.zone))


@part
def _replica_gone(a: Any, s: int, zone: int) -> None:
    """D94."""
    _settle(a, s)
    store = stores_of(a)[s]
    bit = 1 << zone
    store.alive &= ~bit
    replicas = replicas_of(a)
    replicas[s * a.zones + zone] = INFINITE
    complete = 0
    for z in range(a.zones):
        if replicas[s * a.zones + z] <= a.now_ns:
            complete = 1
    if complete == 0:
        _lose(a, s, np_int(store.settled))
        store.settled = 0
    before = NONE
    w = np_int(store.head)
    while w >= 0:
        write = writes_of(a)[w]
        following = np_int(write.next)
        write.holders &= ~bit
        if write.holders == 0:
            _lose(a, s, 1)
            _drop(a, s, before, w)
        else:
            before = w
        w = following
