"""The kernel's event loop, compiled.

`advance` takes the next event from four sources - the next arrival, the first timeout, the first completion of a shared
CPU, the event queue - by time and, at one instant, by key (O1); and lets it happen. Three variants are compiled, each
holding the one before: `lean` (every job has a core of its own and no service calls another), `tiers` (both) and `full`
(all the rest). The arguments `shared`, `calls` and `rich` are None where a variant lacks something, and the compiler
drops what they guard.
"""

from __future__ import annotations

from typing import Any

from azsim.base.jit import compiled, hot, part
from azsim.base.seeds import PHASE, key_hash
from azsim.dataplane import conditions, state
from azsim.dataplane.arrivals import plan_arrivals
from azsim.dataplane.balancer import list_targets
from azsim.dataplane.caller import (
    attempt_failed,
    hedge,
    let_go,
    let_go_after,
    redispatches,
    send,
    timed_out,
)
from azsim.dataplane.clients import request_arrives, user_asks
from azsim.dataplane.codes import Kind, Outcome, Reason
from azsim.dataplane.connections import AWAITED
from azsim.dataplane.dispatches import pass_on
from azsim.dataplane.hedges import hedge_stands
from azsim.dataplane.instance import cancel, child_ended, complete, deliver, is_parked, respond
from azsim.dataplane.layout import CALLS_MAX
from azsim.dataplane.policy_state import extras_of
from azsim.dataplane.probes import probe_answered, send_probe, set_probing
from azsim.dataplane.proxy_pools import journeys_of
from azsim.dataplane.queues import empty_slot, first_node, key_before, schedule, take_node
from azsim.dataplane.shared_cpu import first_completion
from azsim.dataplane.standings import forget_targets
from azsim.dataplane.state import (
    BACKING_OFF,
    NONE,
    ON_CPU,
    SETTLED,
    UNSETTLED,
    WAITING,
    calls_of,
    hops_of,
    instances_of,
    jobs_of,
    nodes_of,
    notices_of,
    np_int,
    populations_of,
)
from azsim.dataplane.timeouts import drop_timer
from azsim.policy.distributions import unit
from azsim.policy.users import think_ns

_COMPLETION = int(Kind.COMPLETION)
_RESPONSE = int(Kind.RESPONSE)
_TIMEOUT = int(Kind.TIMEOUT)
_CONNECT_TIMEOUT = int(Kind.CONNECT_TIMEOUT)
_BALANCER_TIMEOUT = int(Kind.BALANCER_TIMEOUT)
_PROBE_TIMEOUT = int(Kind.PROBE_TIMEOUT)
_CANCEL = int(Kind.CANCEL)
_BACKOFF_END = int(Kind.BACKOFF_END)
_PROBE_SEND = int(Kind.PROBE_SEND)
_REQUEST_ARRIVAL = int(Kind.REQUEST_ARRIVAL)
_DELIVERY = int(Kind.DELIVERY)
_WAIT_TIMEOUT = int(Kind.WAIT_TIMEOUT)
_ROUTED = int(Kind.ROUTED)
_OVERLOAD = int(Outcome.OVERLOAD)
_HEDGE = int(Kind.HEDGE)
_ACQUIRE_TIMEOUT = int(Kind.ACQUIRE_TIMEOUT)
_TIMED_OUT = int(Outcome.TIMEOUT)
_REACHED = int(Reason.REACHED)
_NOTICE = int(Reason.NOTICE)
_GROW = int(Reason.GROW)

_ARRIVALS, _TIMEOUTS, _QUEUE, _COMPLETIONS, _SLOT = range(5)

# What one event may need of each pool at most.
SPARE_CALLS, SPARE_JOBS, SPARE_NODES = 4, 4, 16
# And in the full kernel, where one event may make all calls of a step.
FULL_SPARE_CALLS, FULL_SPARE_JOBS, FULL_SPARE_NODES = 4 + CALLS_MAX, 4 + CALLS_MAX, 16 + 5 * CALLS_MAX
SPARE_WRITES = 4


@hot
def _happen(
    a: Any,
    kind: int,
    request: int,
    path: int,
    tag: int,
    subject: int,
    generation: int,
    dispatched: int,
    shared: Any,
    calls: Any,
    rich: Any,
) -> None:
    """Let one event happen, unless what it is about has gone."""
    if rich is not None and kind == _REQUEST_ARRIVAL:
        user_asks(a, subject, request, rich)
        return
    if kind == _COMPLETION:
        job = jobs_of(a)[subject]
        # Work that a crash has answered with a reset is still a job, but not on the CPU.
        if job.generation == generation and job.state == ON_CPU:
            complete(a, subject, shared, calls, rich)
    elif kind == _RESPONSE:
        if jobs_of(a)[subject].generation == generation:
            respond(a, subject, calls, rich)
    elif kind == _DELIVERY:
        if jobs_of(a)[subject].generation == generation:
            deliver(a, subject, shared, calls, rich)
    elif kind == _CANCEL:
        if jobs_of(a)[subject].generation == generation:
            cancel(a, subject, shared, calls, rich)
    elif kind == _PROBE_SEND:
        send_probe(a, subject, path, tag, rich)
    elif kind == _PROBE_TIMEOUT:
        probe_answered(a, subject, path, tag, False, rich)
    elif kind == _HEDGE:
        # Its call may have made other attempts since, or have nothing open: the tag tells, not the call's own.
        if rich is not None and hedge_stands(a, subject, generation, tag):
            if calls is not None and is_parked(a, subject, kind, request, path, tag, subject, generation, dispatched):
                return
            hedge(a, subject, rich)
    else:
        call = calls_of(a)[subject]
        if call.generation != generation or call.tag >> 4 != tag >> 4:
            return
        if kind == _BACKOFF_END:
            if call.state != BACKING_OFF:
                return
        elif call.state != WAITING or (kind != _TIMEOUT and call.tag != dispatched):
            return
        if calls is not None and is_parked(a, subject, kind, request, path, tag, subject, generation, dispatched):
            return
        if kind == _BACKOFF_END:
            send(a, subject, rich)
        elif kind == _BALANCER_TIMEOUT:
            if not redispatches(a, subject, _TIMED_OUT, rich):
                let_go_after(a, subject, _TIMED_OUT, True, rich)
                attempt_failed(a, subject, _TIMED_OUT, rich)
        elif rich is not None and kind == _ACQUIRE_TIMEOUT:
            if extras_of(a)[subject].connection == AWAITED:
                timed_out(a, subject, 0, rich)
        elif rich is not None and kind == _WAIT_TIMEOUT:
            if journeys_of(a)[subject].waits == 1:
                let_go(a, subject, rich)
                attempt_failed(a, subject, _OVERLOAD, rich)
        elif rich is not None and kind == _ROUTED:
            outcome = pass_on(a, subject, rich)
            if outcome >= 0:
                attempt_failed(a, subject, outcome, rich)
        else:
            timed_out(a, subject, 1 if kind == _CONNECT_TIMEOUT else 0, rich)


@part
def _first_source(a: Any, t_ns: int, shared: Any) -> int:
    """Which source holds the first of several events at t_ns."""
    source = NONE
    kind = 0
    request = 0
    path = 0
    tag = 0
    if a.timeout_ns == t_ns:
        call = calls_of(a)[hops_of(a)[a.timeout_hop].head]
        source = _TIMEOUTS
        kind = _TIMEOUT
        request = call.request
        path = call.path
        tag = (call.tag >> 4) << 4
    if a.queue_ns == t_ns:
        node = nodes_of(a)[first_node(a)]
        if source < 0 or key_before(node.kind, node.request, node.path, node.tag, kind, request, path, tag):
            source = _QUEUE
            kind = node.kind
            request = node.request
            path = node.path
            tag = node.tag
    if shared is not None and a.completion_ns == t_ns:
        job = jobs_of(a)[first_completion(a)]
        if source < 0 or key_before(_COMPLETION, job.request, job.path, job.tag, kind, request, path, tag):
            source = _COMPLETIONS
            kind = _COMPLETION
            request = job.request
            path = job.path
            tag = job.tag
    if a.arrival_ns == t_ns:
        arriving = populations_of(a)[a.arrival_population].next_request
        if source < 0 or key_before(_REQUEST_ARRIVAL, arriving, a.epoch, 0, kind, request, path, tag):
            source = _ARRIVALS
    return source


@part
def _run(a: Any, until_ns: int, shared: Any, calls: Any, rich: Any) -> int:
    if a.settled != UNSETTLED:
        # All data of the notice's instant has happened.
        if until_ns <= a.now_ns - (a.settled - SETTLED):
            return _REACHED
        conditions.act(a)
        a.settled = UNSETTLED
    if a.notice_count > 0:
        until_ns = min(until_ns, notices_of(a)[0].t_ns + 1)
    while True:
        if a.calls_left < SPARE_CALLS or a.jobs_left < SPARE_JOBS or a.nodes_left < SPARE_NODES:
            return _GROW
        # One event may drop all who wait for a slot, and dispatch all who wait in proxies, with two timers each.
        if rich is not None and (
            a.calls_left < FULL_SPARE_CALLS
            or a.jobs_left < FULL_SPARE_JOBS + a.waiting + a.awaiting
            or a.nodes_left < FULL_SPARE_NODES + a.queued + 3 * a.waiting + 2 * a.awaiting
            or a.writes_left < SPARE_WRITES
        ):
            return _GROW
        t_ns = min(min(a.arrival_ns, a.timeout_ns), a.queue_ns)
        if shared is not None:
            t_ns = min(t_ns, a.completion_ns)
        if a.slot_kind >= 0:
            if a.now_ns >= until_ns:
                break
            if t_ns == a.now_ns:
                empty_slot(a)
                continue
            source = _SLOT
        else:
            if t_ns >= until_ns:
                break
            a.now_ns = t_ns
            ties = int(a.arrival_ns == t_ns) + int(a.timeout_ns == t_ns) + int(a.queue_ns == t_ns)
            if shared is not None:
                ties += int(a.completion_ns == t_ns)
            if ties > 1:
                source = _first_source(a, t_ns, shared)
            elif a.queue_ns == t_ns:
                source = _QUEUE
            elif a.arrival_ns == t_ns:
                source = _ARRIVALS
            elif a.timeout_ns == t_ns:
                source = _TIMEOUTS
            else:
                source = _COMPLETIONS
        if source == _ARRIVALS:
            request_arrives(a, rich)
        elif source == _TIMEOUTS:
            c = hops_of(a)[a.timeout_hop].head
            if calls is not None:
                call = calls_of(a)[c]
                tag = (call.tag >> 4) << 4
                if is_parked(a, c, _TIMEOUT, call.request, call.path, tag, c, call.generation, 0):
                    drop_timer(a, c)
                else:
                    timed_out(a, c, 0, rich)
            else:
                timed_out(a, c, 0, rich)
        elif source == _COMPLETIONS:
            if shared is not None:
                complete(a, first_completion(a), shared, calls, rich)
        else:
            if source == _SLOT:
                kind = a.slot_kind
                request = a.slot_request
                path = a.slot_path
                tag = a.slot_tag
                subject = a.slot_subject
                generation = a.slot_generation
                dispatched = 0
                a.slot_kind = NONE
            else:
                n = first_node(a)
                node = nodes_of(a)[n]
                kind = np_int(node.kind)
                request = node.request
                path = node.path
                tag = np_int(node.tag)
                subject = np_int(node.subject)
                generation = np_int(node.generation)
                dispatched = np_int(node.dispatched)
                take_node(a, n)
            _happen(a, kind, request, path, tag, subject, generation, dispatched, shared, calls, rich)
        if calls is not None:
            while a.ended_job >= 0:
                child_ended(a, shared, rich)
        if a.notice_count > 0:
            until_ns = min(until_ns, a.now_ns + 1)
    if a.notice_count > 0:
        a.settled = SETTLED
        return _NOTICE
    a.now_ns = max(a.now_ns, until_ns)
    return _REACHED


@compiled
def advance(state_record: Any, until_ns: int, shared: Any, calls: Any, rich: Any) -> int:
    """Let all events before until_ns happen; a Reason."""
    return _run(state_record[0], until_ns, shared, calls, rich)


SET_VIEW, SET_STATE, SET_STRESS, SET_FACTOR, RESET, CUT, BEGIN, SET_MEMBER, SET_PROBING, READ, SET_NODES = range(11)


@compiled
def control(
    state_record: Any,
    what: int,
    subject: int,
    number: int,
    extra: int,
    x: float,
    y: float,
    shared: Any,
    calls: Any,
    rich: Any,
) -> None:
    """One action of the control plane: see the methods of Kernel for what each takes."""
    a = state_record[0]
    if what == BEGIN:
        _begin(a, rich)
        return
    conditions.act(a)
    if what == SET_VIEW:
        conditions.set_view(a, subject, number, rich)
    elif what == SET_MEMBER:
        conditions.set_member(a, subject, number, rich)
    elif what == SET_PROBING:
        set_probing(a, subject, number, rich)
    elif what == SET_STATE:
        conditions.set_instance_state(a, subject, number, extra, shared, calls, rich)
    elif rich is not None and what == SET_NODES:
        conditions.set_nodes(a, subject, number)
    elif what == SET_FACTOR:
        conditions.set_rate_factor(a, subject, x)
    elif what == RESET:
        conditions.reset(a, shared, rich)
    elif what == CUT:
        conditions.cut(a, shared, rich)
    elif shared is not None and what == SET_STRESS:
        conditions.set_stress(a, subject, x, y, number, rich)


@part
def _begin_users(a: Any, p: int) -> None:
    """Every user's first thought (D54)."""
    population = populations_of(a)[p]
    for u in range(population.users):
        request = (p << 44) + u
        wait = think_ns(population.think, population.think_ns, a.key, request, a.epoch, True)
        schedule(a, wait, _REQUEST_ARRIVAL, request, a.epoch, 0, p, 0, 0)


@part
def _begin(a: Any, rich: Any) -> None:
    """First arrivals, first probes, first lists of targets."""
    for p in range(a.populations_length):
        plan_arrivals(a, p)
        if rich is not None:
            _begin_users(a, p)
    for s in range(a.services_length):
        list_targets(a, s, rich)
    if rich is not None:
        for p in range(a.proxies_length):
            forget_targets(a, p)
    instances = instances_of(a)
    for i in range(a.instances_length):
        service = state.services_of(a)[instances[i].service]
        if service.health == 1:
            checkers = 1
            if rich is not None:
                checkers = np_int(service.checkers)
            for checker in range(checkers):
                phase = service.phase_ns
                if phase < 0:
                    u = unit(key_hash(a.key, -(i + 1), checker, 0, PHASE))
                    phase = int(u * float(service.interval_ns))
                schedule(a, phase, _PROBE_SEND, -(i + 1), checker, 16, i, 0, 0)
