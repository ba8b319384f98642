"""The kernel's dispatches: attempts on their way to targets, by way of a proxy where there is one (D5, D6)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import hot, part
from azsim.base.seeds import LOSS_THERE
from azsim.dataplane.balancer import choose, spills
from azsim.dataplane.codes import INFINITE, InstanceState, Kind, Outcome
from azsim.dataplane.connections import HELD, NO_CONNECTION, acquire, is_pooled, next_in_pool, pool_of, release
from azsim.dataplane.hedges import lead_of
from azsim.dataplane.layout import (
    DISPATCHED,
    SERVICE_COLUMNS,
)
from azsim.dataplane.network import packet_lost, way_is_cut, way_ns
from azsim.dataplane.policy_state import extras_of, policies_of
from azsim.dataplane.program_pools import branches_of
from azsim.dataplane.programs import begin_program
from azsim.dataplane.proxies import FULL, choose_at, is_split, origin, proxy_of
from azsim.dataplane.proxy_lines import empty_node, join_waiting, leave_waiting, node_done_ns
from azsim.dataplane.proxy_pools import (
    balancing_of,
    journeys_of,
    node_states_of,
    proxies_of,
)
from azsim.dataplane.queues import schedule, schedule_here
from azsim.dataplane.standings import forget_targets, is_proxied, note_dispatch
from azsim.dataplane.state import (
    IN_NETWORK,
    NONE,
    calls_of,
    cuts_of,
    delays_of,
    hops_of,
    instances_of,
    jobs_of,
    new_job,
    np_int,
    service_rows_of,
    services_of,
    visits_of,
)
from azsim.policy.balancing import ZONAL

_OK = int(Outcome.OK)
_OVERLOAD = int(Outcome.OVERLOAD)
_NO_TARGET = int(Outcome.NO_TARGET)
_REFUSED = int(Outcome.REFUSED)
_CRASHED = int(InstanceState.CRASHED)
_DEAD = int(InstanceState.DEAD)
_CONNECT_TIMEOUT = int(Kind.CONNECT_TIMEOUT)
_BALANCER_TIMEOUT = int(Kind.BALANCER_TIMEOUT)
_DELIVERY = int(Kind.DELIVERY)
_WAIT_TIMEOUT = int(Kind.WAIT_TIMEOUT)
_ROUTED = int(Kind.ROUTED)
_ACQUIRE_TIMEOUT = int(Kind.ACQUIRE_TIMEOUT)
# After these answers a connection stays open (D125).
_KEPT = 1 << Outcome.OK | 1 << Outcome.ERROR | 1 << Outcome.OVERLOAD


@hot
def dispatch(a: Any, c: int, excluded: int, rich: Any) -> bool:
    """Send the current attempt to a target, the excluded one only if there is no other (D5); False if there is none."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    i = NONE
    if rich is not None:
        i = choose_for(a, c, excluded, call.tag, rich)
        if i < 0 and excluded >= 0:
            i = choose_for(a, c, NONE, call.tag, rich)
    else:
        i = choose(a, hop.service, call.place, hop.same_zone, excluded, call.request, call.path, call.tag, rich)
    if i < 0:
        return False
    dispatch_to(a, c, i, rich)
    return True


@part
def choose_for(a: Any, c: int, excluded: int, tag: int, rich: Any) -> int:
    """The target of a call's dispatch, where a call may be bound to a zone (D44) or prefer one (D48)."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    zone = branches_of(a)[c].zone
    if zone >= 0:
        return choose(a, hop.service, zone, 1, excluded, call.request, call.path, tag, rich)
    if hop.prefer_zone == 1 and call.place < a.zones:
        stays = 1
        if spills(a, hop.service, call.place, hop.spill_below, excluded):
            stays = 0
        return choose(a, hop.service, call.place, stays, excluded, call.request, call.path, tag, rich)
    return choose(a, hop.service, call.place, hop.same_zone, excluded, call.request, call.path, tag, rich)


@hot
def dispatch_to(a: Any, c: int, i: int, rich: Any) -> None:
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    s = hop.service
    service = services_of(a)[s]
    instance = instances_of(a)[i]
    instance.outstanding += 1
    call.target = i
    call.job = NONE
    if rich is not None:
        extras_of(a)[lead_of(a, c)].tried = i
        if is_proxied(a, s):
            note_dispatch(a, c, i)
    t_ns = a.now_ns
    service_rows_of(a)[(a.row * a.services_length + s) * SERVICE_COLUMNS + DISPATCHED] += 1
    if service.balancer_timeout_ns < INFINITE:
        schedule(
            a,
            t_ns + service.balancer_timeout_ns,
            _BALANCER_TIMEOUT,
            call.request,
            call.path,
            call.tag,
            c,
            call.generation,
            call.tag,
        )
    if rich is not None and is_pooled(a, call.hop) and not acquire(a, c):
        wait_ns = policies_of(a)[call.hop].pool_acquire_ns
        if wait_ns < INFINITE:
            schedule(
                a, t_ns + wait_ns, _ACQUIRE_TIMEOUT, call.request, call.path, call.tag, c, call.generation, call.tag
            )
        return
    launch(a, c, rich)


@hot
def launch(a: Any, c: int, rich: Any) -> None:
    """Put a call's dispatch on its way, over the connection that it has, where there are any."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    i = np_int(call.target)
    instance = instances_of(a)[i]
    t_ns = a.now_ns
    via = NONE
    handshake_ns = 0
    if rich is not None and is_proxied(a, hop.service):
        via = np_int(proxies_of(a)[journeys_of(a)[c].proxy].zone)
    back = way_ns(a, call.place, via, instance.zone, rich)
    delay = back + instance.latency_ns
    if rich is not None and extras_of(a)[c].connection == HELD and extras_of(a)[c].fresh == 1:
        policy = policies_of(a)[call.hop]
        delay += policy.handshake_trips * (delay + back)
        handshake_ns = np_int(policy.handshake_ns)
    gone = cuts_of(a)[call.place * (a.zones + 1) + instance.zone] > 0 or delay > hop.connect_timeout_ns
    if rich is not None and via >= 0:
        gone = way_is_cut(a, call.place, via, instance.zone)  # the connection is to the node, and stands
    if gone:
        lose(a, c, rich)
        return
    if rich is not None and packet_lost(a, call.place, via, i, call.request, call.path, call.tag, LOSS_THERE):
        lose(a, c, rich)
        return
    j = new_job(a)
    job = jobs_of(a)[j]
    job.request = call.request
    job.path = call.path
    job.expiry_or_joined = call.expiry_ns
    job.finish_or_cpu = 0
    job.tag = call.tag
    job.call = c
    job.call_generation = call.generation
    job.instance = i
    job.next = NONE
    job.place = call.place
    job.calls_made = 0
    job.state = IN_NETWORK
    job.outcome = _OK
    if rich is not None:
        by_ns = INFINITE
        if hop.propagate_deadline == 1:
            by_ns = call.expiry_ns
        begin_program(a, j, branches_of(a)[c].operation, by_ns, handshake_ns)
        visits_of(a)[j].via = via
    call.delay_ns = delay
    call.job = j
    call.job_generation = job.generation
    schedule_here(a, t_ns + delay, _DELIVERY, job.request, job.path, job.tag, j, job.generation, 0)


@part
def lose(a: Any, c: int, rich: Any) -> None:
    """The attempt's packet is lost; only a connect timeout may tell (D6)."""
    call = calls_of(a)[c]
    call.job = NONE
    hop = hops_of(a)[call.hop]
    if hop.connect_timeout_ns >= INFINITE:
        return
    if rich is not None and call.target >= 0 and balancing_of(a)[hop.service].placement == ZONAL:
        return  # it is connected, to a node (D111)
    t_ns = call.sent_ns + hop.connect_timeout_ns
    if t_ns < call.expiry_ns:
        schedule(
            a,
            max(t_ns, a.now_ns),
            _CONNECT_TIMEOUT,
            call.request,
            call.path,
            (call.tag >> 4) << 4,
            c,
            call.generation,
            call.tag,
        )


@part
def pass_to_proxy(a: Any, c: int, excluded: int, rich: Any) -> int:
    """A proxy sends the attempt on or lets it wait (D100, D106): NONE, or the outcome that it has at once.

    excluded: the target that it gets only if there is no other (D64), or NONE.
    """
    call = calls_of(a)[c]
    journey = journeys_of(a)[c]
    call.job = NONE
    p = proxy_of(a, c)
    if p < 0:
        return _NO_TARGET
    journey.proxy = p
    journey.excluded = excluded
    journey.life = proxies_of(a)[p].life
    zone = np_int(proxies_of(a)[p].zone)
    if zone >= 0:
        link = call.place * (a.zones + 1) + zone
        state = node_states_of(a)[zone]
        if cuts_of(a)[link] > 0 or state == _DEAD or delays_of(a)[link] > hops_of(a)[call.hop].connect_timeout_ns:
            lose(a, c, rich)
            return NONE
        if state == _CRASHED:
            return _REFUSED
    if balancing_of(a)[hops_of(a)[call.hop].service].node_slots == 0:
        return pass_on(a, c, rich)
    t_ns = node_done_ns(a, c)
    if t_ns < 0:
        return _OVERLOAD
    schedule(a, t_ns, _ROUTED, call.request, call.path, call.tag, c, call.generation, call.tag)
    return NONE


@part
def _choose_anew(a: Any, p: int, c: int) -> int:
    """The target of an attempt's first dispatch from proxy p, the excluded one only if there is no other (D64)."""
    call = calls_of(a)[c]
    zone = branches_of(a)[c].zone
    excluded = np_int(journeys_of(a)[c].excluded)
    i = choose_at(a, p, call.hop, origin(a, p, c), zone, excluded, call.request, call.path, call.tag)
    if i == NONE and excluded >= 0:
        i = choose_at(a, p, call.hop, origin(a, p, c), zone, NONE, call.request, call.path, call.tag)
    return i


@part
def pass_on(a: Any, c: int, rich: Any) -> int:
    """A proxy that is done with its own work chooses a target (D106): NONE, or the outcome that the attempt has."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    p = np_int(journeys_of(a)[c].proxy)
    if journeys_of(a)[c].life != proxies_of(a)[p].life:
        return NONE  # it was lost with the node
    pump(a, p, rich)
    i = _choose_anew(a, p, c)
    if i >= 0:
        dispatch_to(a, c, i, rich)
        return NONE
    if i != FULL:
        return _NO_TARGET
    if not join_waiting(a, c):
        return _OVERLOAD
    wait_ns = balancing_of(a)[hop.service].wait_ns
    if wait_ns < INFINITE:
        schedule(a, a.now_ns + wait_ns, _WAIT_TIMEOUT, call.request, call.path, call.tag, c, call.generation, call.tag)
    return NONE


@part
def pump(a: Any, p: int, rich: Any) -> None:
    """Give those who wait in a proxy the targets that are free for them, in the order in which they came (D106)."""
    calls = calls_of(a)
    journeys = journeys_of(a)
    c = np_int(proxies_of(a)[p].head)
    while c >= 0:
        call = calls[c]
        following = np_int(journeys[c].next)
        i = _choose_anew(a, p, c)
        if i >= 0:
            leave_waiting(a, c)
            dispatch_to(a, c, i, rich)
        elif branches_of(a)[c].zone < 0 and journeys[c].excluded < 0 and not is_split(a, p, call.hop):
            return
        c = following


@part
def pump_service(a: Any, s: int, rich: Any) -> None:
    """The same in every proxy of a service, whose targets have changed."""
    b = balancing_of(a)[s]
    for p in range(b.proxies_first, b.proxies_first + b.proxies_count):
        pump(a, p, rich)


@part
def lose_nodes(a: Any, zone: int) -> None:
    """The proxies in a zone are lost with all they hold; those that come after them know nothing (D111)."""
    for p in range(a.proxies_length):
        proxy = proxies_of(a)[p]
        if proxy.zone == zone:
            proxy.life += 1
            empty_node(a, p)
            while proxy.head >= 0:
                leave_waiting(a, np_int(proxy.head))
            forget_targets(a, p)


@part
def pass_connection(a: Any, c: int, outcome: int, rich: Any) -> None:
    """A call's dispatch has an outcome: who waits for its connection, or for its place, goes on (D125)."""
    if extras_of(a)[c].connection == NO_CONNECTION:
        return
    p = pool_of(a, c)
    release(a, c, (_KEPT >> outcome) & 1 == 1)
    _fill(a, p, rich)


@part
def _fill(a: Any, p: int, rich: Any) -> None:
    c = next_in_pool(a, p)
    while c >= 0:
        launch(a, c, rich)
        c = next_in_pool(a, p)


@part
def pump_all(a: Any, rich: Any) -> None:
    """The same in every pool of connections and every proxy, after calls have been given up."""
    if a.awaiting > 0:
        for p in range(a.pools_length):
            _fill(a, p, rich)
    for p in range(a.proxies_length):
        pump(a, p, rich)
