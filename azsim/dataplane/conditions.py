"""What control changes in the kernel: states, stress, views, rates, resets (D17, D19, D20, D22), and the cut."""

from __future__ import annotations

import math
from typing import Any

from azsim.base.jit import part
from azsim.dataplane.arrivals import plan_arrivals, rebase
from azsim.dataplane.backlog import unbacklog
from azsim.dataplane.balancer import list_targets
from azsim.dataplane.caches import forget_entries
from azsim.dataplane.caller import failed, give_up, give_up_attempts, give_up_calls
from azsim.dataplane.codes import InstanceState, Kind, Outcome
from azsim.dataplane.connections import close_of, close_to, rest_all
from azsim.dataplane.dispatches import lose_nodes, pump_all, pump_service
from azsim.dataplane.guards import forget
from azsim.dataplane.hedges import forget_hedges
from azsim.dataplane.instance import answer, arrive, waste
from azsim.dataplane.layout import (
    CAPACITY,
    CPU,
    IN_SERVICE,
    IN_VIEW,
    MEMBERS,
    QUEUED,
    STRESS,
    UP,
    ZONE_COLUMNS,
)
from azsim.dataplane.names import forget_address
from azsim.dataplane.policy_state import extras_of
from azsim.dataplane.probes import drop_probe
from azsim.dataplane.program_pools import programs_of
from azsim.dataplane.proxy_lines import empty_node
from azsim.dataplane.proxy_pools import hop_proxies_of, node_states_of
from azsim.dataplane.queues import free_node, put_node
from azsim.dataplane.shared_cpu import advance_clock, change_rate, slowdown, stress_progress
from azsim.dataplane.standings import back_in_view, forget_targets, is_proxied
from azsim.dataplane.state import (
    ACTED,
    ANSWERED,
    CALLING,
    FREE,
    IN_NETWORK,
    NONE,
    ON_CPU,
    SETTLED,
    calls_of,
    hops_of,
    instances_of,
    jobs_of,
    nodes_of,
    np_int,
    populations_of,
    services_of,
    tokens_of,
    traits_of,
    zone_rows_of,
)
from azsim.dataplane.stores import state_changed
from azsim.dataplane.timeouts import find_first_timeout
from azsim.dataplane.waiting import clear_lines, restart
from azsim.policy.cpu import application_cores, virtual_progress

_UP = int(InstanceState.UP)
_PAUSED = int(InstanceState.PAUSED)
_CRASHED = int(InstanceState.CRASHED)
_DEAD = int(InstanceState.DEAD)
_RESET = int(Outcome.RESET)
_CANCELLED = int(Outcome.CANCELLED)
_RESPONSE = int(Kind.RESPONSE)


@part
def act(a: Any) -> None:
    """Control acts: at the instant reached, or 1 ns later where all data of that instant has happened (O1, D23)."""
    if a.settled == SETTLED:
        a.now_ns += 1
        a.settled = ACTED


@part
def set_view(a: Any, i: int, healthy: int, rich: Any) -> None:
    instance = instances_of(a)[i]
    if instance.in_view != healthy:
        instance.in_view = healthy
        list_targets(a, instance.service, rich)
        if rich is not None and is_proxied(a, instance.service):
            if healthy == 1:
                back_in_view(a, i)
            pump_service(a, instance.service, rich)


@part
def set_member(a: Any, i: int, member: int, rich: Any) -> None:
    """D52."""
    instance = instances_of(a)[i]
    if instance.member != member:
        instance.member = member
        list_targets(a, instance.service, rich)
        if rich is not None and is_proxied(a, instance.service):
            pump_service(a, instance.service, rich)


@part
def set_nodes(a: Any, zone: int, state: int) -> None:
    """D111."""
    states = node_states_of(a)
    if states[zone] == _UP and state != _UP:
        lose_nodes(a, zone)
    states[zone] = state


@part
def _clear_cpu(a: Any, i: int, shared: Any, rich: Any) -> None:
    """Take all jobs off an instance's CPU at once, noting what they used."""
    instance = instances_of(a)[i]
    jobs = jobs_of(a)
    if instance.on_cpu == 0:
        return
    if shared is not None:
        advance_clock(a, i)
    else:
        instance.cpu += instance.on_cpu * (a.now_ns - instance.clock_ns) * 1024
        instance.clock_ns = a.now_ns
    for j in range(a.fresh_job):
        job = jobs[j]
        if job.state == ON_CPU and job.instance == i:
            if shared is not None:
                job.finish_or_cpu = instance.clock - job.expiry_or_joined
            else:
                job.finish_or_cpu = (a.now_ns - job.expiry_or_joined) * 1024
            if rich is not None:
                job.finish_or_cpu += programs_of(a)[j].cpu
    instance.on_cpu = 0


@part
def _forget_parked(a: Any, i: int, rich: Any) -> None:
    instance = instances_of(a)[i]
    while instance.parked >= 0:
        n = instance.parked
        node = nodes_of(a)[n]
        instance.parked = node.next
        if node.kind == _RESPONSE and jobs_of(a)[node.subject].generation == node.generation:
            waste(a, node.subject, rich)
        free_node(a, n)


@part
def _empty(a: Any, i: int, shared: Any, answered: bool, rich: Any) -> None:
    """An instance loses all that it holds, silently or with a reset to each caller (D17)."""
    instance = instances_of(a)[i]
    jobs = jobs_of(a)
    _clear_cpu(a, i, shared, rich)
    if rich is not None:
        clear_lines(a, i)
    instance.busy = 0
    instance.queued = 0
    instance.head = NONE
    instance.tail = NONE
    instance.backlogged = 0
    instance.backlog_head = NONE
    instance.backlog_tail = NONE
    for j in range(a.fresh_job):
        job = jobs[j]
        if job.instance != i or job.state == FREE or job.state == IN_NETWORK or job.state == ANSWERED:
            continue
        if job.state == CALLING:
            give_up_calls(a, j, 0, rich)
        if answered:
            answer(a, j, _RESET, rich)
        else:
            waste(a, j, rich)
    if rich is not None:
        restart(a, i)
        forget_entries(a, i)
    _forget_parked(a, i, rich)
    service = services_of(a)[instance.service]
    if rich is not None:
        close_to(a, instance.service, i - service.instances_first)
    hops = hops_of(a)
    for h in range(service.calls_first, service.calls_first + service.hops_count):
        if hops[h].buckets_first >= 0:
            tokens_of(a)[hops[h].buckets_first + i - service.instances_first] = hops[h].budget_capacity
        if rich is not None:
            forget(a, h, i - service.instances_first)
            forget_address(a, h, i - service.instances_first)
            if hop_proxies_of(a)[h] >= 0:
                forget_targets(a, hop_proxies_of(a)[h] + i - service.instances_first)
            forget_hedges(a, h, i - service.instances_first)
            close_of(a, h, i - service.instances_first)


@part
def set_instance_state(a: Any, i: int, state: int, backlog: int, shared: Any, calls: Any, rich: Any) -> None:
    """D17."""
    instance = instances_of(a)[i]
    before = instance.state
    if before == state:
        return
    if state == _DEAD or state == _CRASHED:  # noqa: SIM109 - compiled: two tests, not a search
        _empty(a, i, shared, state == _CRASHED, rich)
    instance.state = state
    instance.backlog_places = backlog
    if rich is not None:
        state_changed(a, i)
        if (before == _DEAD or before == _CRASHED) and (state == _UP or state == _PAUSED):  # noqa: SIM109 - compiled
            traits_of(a)[i].ready_ns = a.now_ns + traits_of(a)[i].boot_ns
    if shared is not None:
        change_rate(a, i, rich)
    if before == _PAUSED and state == _UP:
        _resume(a, i, shared, calls, rich)
    if rich is not None:
        pump_all(a, rich)


@part
def _resume(a: Any, i: int, shared: Any, calls: Any, rich: Any) -> None:
    """After a pause: what waited acts now, the backlog enters in the order of arrival (I5, D17)."""
    instance = instances_of(a)[i]
    nodes = nodes_of(a)
    n = np_int(instance.parked)
    instance.parked = NONE
    while n >= 0:
        following = np_int(nodes[n].next)
        nodes[n].t_ns = a.now_ns
        put_node(a, n)
        n = following
    while instance.backlog_head >= 0:
        j = np_int(instance.backlog_head)
        unbacklog(a, j)
        arrive(a, j, shared, calls, rich)


@part
def set_stress(a: Any, i: int, threads: float, load: float, competition: int, rich: Any) -> None:
    instance = instances_of(a)[i]
    if instance.threads == threads and instance.load == load and instance.competition == competition:
        return
    instance.threads = threads
    instance.load = load
    instance.competition = competition
    change_rate(a, i, rich)


@part
def set_rate_factor(a: Any, p: int, factor: float) -> None:
    population = populations_of(a)[p]
    if population.factor != factor:
        rebase(a, p)
        population.factor = factor
        plan_arrivals(a, p)


@part
def reset(a: Any, shared: Any, rich: Any) -> None:
    """D22."""
    instances = instances_of(a)
    jobs = jobs_of(a)
    calls = calls_of(a)
    for i in range(a.instances_length):
        _clear_cpu(a, i, shared, rich)
        if rich is not None:
            clear_lines(a, i)
        instance = instances[i]
        instance.busy = 0
        instance.queued = 0
        instance.head = NONE
        instance.tail = NONE
        instance.backlogged = 0
        instance.backlog_head = NONE
        instance.backlog_tail = NONE
        _forget_parked(a, i, rich)
        if shared is not None:
            change_rate(a, i, rich)
        drop_probe(a, i, rich)
    if rich is not None:
        rest_all(a)
        for p in range(a.proxies_length):
            empty_node(a, p)
    for j in range(a.fresh_job):
        if jobs[j].state != FREE:
            waste(a, j, rich)
    for c in range(a.fresh_call):
        call = calls[c]
        if call.state == FREE:
            continue
        if rich is not None:  # noqa: SIM102 - apart, so that the compiler drops it
            if extras_of(a)[c].lead >= 0:  # it goes with its call
                continue
        if call.parent >= 0:
            give_up(a, c, rich)
        else:
            give_up_attempts(a, c, 0, rich)
            failed(a, c, _CANCELLED, rich)
    find_first_timeout(a)


@part
def cut(a: Any, shared: Any, rich: Any) -> None:
    """Write the zone columns of the row that ends now; nothing of the simulated world changes."""
    instances = instances_of(a)
    rows = zone_rows_of(a)
    services = a.services_length
    for i in range(a.instances_length):
        instance = instances[i]
        at = ((a.row * services + instance.service) * a.zones + instance.zone) * ZONE_COLUMNS
        dt = a.now_ns - instance.clock_ns
        cpu = instance.cpu
        if shared is not None:
            if instance.on_cpu > 0:
                cpu += virtual_progress(dt, instance.rate) * instance.on_cpu
            stress = instance.stress + stress_progress(dt, instance.stress_rate)
            rows[at + STRESS] += stress - instance.stress_cut
            instance.stress_cut = stress
        else:
            cpu += dt * instance.on_cpu * 1024
        rows[at + CPU] += cpu - instance.cpu_cut
        instance.cpu_cut = cpu
        rows[at + QUEUED] += instance.queued + instance.backlogged
        rows[at + IN_SERVICE] += instance.busy
        rows[at + UP] += 1 if instance.state == _UP else 0
        if rich is not None:  # noqa: SIM102 - apart, so that the compiler drops it
            if instance.state == _UP and a.now_ns < traits_of(a)[i].ready_ns:
                rows[at + UP] -= 1
        rows[at + MEMBERS] += instance.member
        if instance.in_view == 1 and instance.member == 1:
            rows[at + IN_VIEW] += 1
            cores = application_cores(
                instance.slots, instance.cores, instance.threads, instance.load, instance.competition
            )
            if rich is not None:
                cores /= slowdown(a, i, instance.slots)
            rows[at + CAPACITY] += int(math.floor(1000.0 * cores))
