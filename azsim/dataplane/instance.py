"""The kernel's instances: deliveries, queues, slots, work, answers (I1-I5, D7-D11, D13, D17, D18).

`shared` is None in kernels where every job has a core of its own, `calls` is None where no service calls another: the
compiler then leaves out what they guard.
"""

from __future__ import annotations

from typing import Any

from azsim.base.jit import hot, part
from azsim.base.seeds import ERROR, LOSS_BACK, MALFORMED, key_hash
from azsim.dataplane.backlog import join_backlog, unbacklog
from azsim.dataplane.caches import fill, spared
from azsim.dataplane.caller import (
    attempt_failed,
    give_up_calls,
    let_go_after,
    redispatches,
    start_child,
    succeeded,
)
from azsim.dataplane.codes import InstanceState, Kind, Outcome
from azsim.dataplane.dispatches import lose, pump_all
from azsim.dataplane.layout import DROPPED, OVERLOADED, REFUSED, SERVICE_COLUMNS, STARTED, USEFUL, WASTED, WORK_STEP
from azsim.dataplane.limiter import admits, learn
from azsim.dataplane.network import is_cut, packet_lost, way_ns
from azsim.dataplane.policy_state import policies_of
from azsim.dataplane.probes import probe_answered
from azsim.dataplane.program_pools import operations_of, programs_of, steps_of
from azsim.dataplane.programs import begin_calls, first_work, step_failed, step_over, work_of
from azsim.dataplane.queues import new_node, schedule_here
from azsim.dataplane.shared_cpu import change_rate, join_cpu, leave_cpu
from azsim.dataplane.state import (
    ANSWERED,
    BACKLOGGED,
    CALLING,
    NONE,
    ON_CPU,
    QUEUED,
    WAITING,
    calls_of,
    free_job,
    instances_of,
    jobs_of,
    nodes_of,
    np_int,
    service_rows_of,
    services_of,
    traits_of,
    visits_of,
    work_table_of,
)
from azsim.dataplane.stores import accepted, quorum_met
from azsim.dataplane.waiting import codel_drops, displace, leave_line, line_up, next_in_line, note_no_wait
from azsim.policy.distributions import sample_work, unit
from azsim.policy.shedding import LIFO

_UP = int(InstanceState.UP)
_PAUSED = int(InstanceState.PAUSED)
_CRASHED = int(InstanceState.CRASHED)
_DEAD = int(InstanceState.DEAD)
_OK = int(Outcome.OK)
_ERROR = int(Outcome.ERROR)
_REFUSED = int(Outcome.REFUSED)
_OVERLOAD = int(Outcome.OVERLOAD)
_COMPLETION = int(Kind.COMPLETION)
_RESPONSE = int(Kind.RESPONSE)


@part
def count(a: Any, s: int, column: int, amount: int) -> None:
    """Add to a column of a service's current row."""
    service_rows_of(a)[(a.row * a.services_length + s) * SERVICE_COLUMNS + column] += amount


@part
def waste(a: Any, j: int, rich: Any) -> None:
    """A job ends without use to anyone (D21)."""
    job = jobs_of(a)[j]
    if job.finish_or_cpu > 0:
        count(a, instances_of(a)[job.instance].service, WASTED, job.finish_or_cpu)
    free_job(a, j)


# --- in ------------------------------------------------------------------------------------------------------------


@hot
def deliver(a: Any, j: int, shared: Any, calls: Any, rich: Any) -> None:
    """A job reaches its instance (D7)."""
    job = jobs_of(a)[j]
    i = job.instance
    instance = instances_of(a)[i]
    state = instance.state
    if is_cut(a, j, rich) or state == _DEAD:
        _lost(a, j, rich)
    elif state == _UP:
        arrive(a, j, shared, calls, rich)
    elif state == _CRASHED:
        count(a, instance.service, REFUSED, 1)
        answer(a, j, _REFUSED, rich)
    elif instance.backlogged < instance.backlog_places:
        join_backlog(a, j)
    else:
        _lost(a, j, rich)


@part
def _lost(a: Any, j: int, rich: Any) -> None:
    job = jobs_of(a)[j]
    c = job.call
    if c >= 0:
        call = calls_of(a)[c]
        if call.generation == job.call_generation and call.state == WAITING and call.tag == job.tag:
            lose(a, c, rich)
    free_job(a, j)


@hot
def arrive(a: Any, j: int, shared: Any, calls: Any, rich: Any) -> None:
    """At a running instance: a probe may be answered from the side, all else is admitted (D8, D18)."""
    job = jobs_of(a)[j]
    i = job.instance
    instance = instances_of(a)[i]
    if rich is not None:  # noqa: SIM102 - apart, so that the compiler drops it
        if a.now_ns < traits_of(a)[i].ready_ns:  # it boots (D58)
            count(a, instance.service, REFUSED, 1)
            answer(a, j, _REFUSED, rich)
            return
    if job.call < 0 and services_of(a)[instance.service].probe_queue == 0:
        if fails(a, j):
            answer(a, j, _ERROR, rich)
        else:
            answer(a, j, _OK, rich)
    elif rich is not None:
        _admit(a, j, shared, rich)
    elif instance.busy < instance.slots:
        start(a, j, shared, rich)
    elif instance.queued < instance.queue:
        _enqueue(a, j)
    else:
        count(a, instance.service, OVERLOADED, 1)
        answer(a, j, _OVERLOAD, rich)


@part
def _admit(a: Any, j: int, shared: Any, rich: Any) -> None:
    """D8 where there are limits, classes and disciplines (D40, D41, D46, D47)."""
    i = jobs_of(a)[j].instance
    instance = instances_of(a)[i]
    out = NONE
    if not admits(a, j):
        out = j
    elif instance.busy < instance.slots:
        note_no_wait(a, i)
        start(a, j, shared, rich)
    elif instance.queued < instance.queue:
        line_up(a, j)
    else:
        out = displace(a, j)
        if out != j:
            learn(a, out, 1)
    if out >= 0:
        count(a, instance.service, OVERLOADED, 1)
        answer(a, out, _OVERLOAD, rich)


@part
def _enqueue(a: Any, j: int) -> None:
    jobs = jobs_of(a)
    job = jobs[j]
    instance = instances_of(a)[job.instance]
    job.state = QUEUED
    instance.queued += 1
    if instance.discipline == LIFO:
        job.previous = NONE
        job.next = instance.head
        if instance.head >= 0:
            jobs[instance.head].previous = j
        else:
            instance.tail = j
        instance.head = j
    else:
        job.next = NONE
        job.previous = instance.tail
        if instance.tail >= 0:
            jobs[instance.tail].next = j
        else:
            instance.head = j
        instance.tail = j


@part
def unqueue(a: Any, j: int, rich: Any) -> None:
    """Take a job out of its queue."""
    if rich is not None:
        leave_line(a, j)
        return
    jobs = jobs_of(a)
    job = jobs[j]
    instance = instances_of(a)[job.instance]
    instance.queued -= 1
    if job.previous >= 0:
        jobs[job.previous].next = job.next
    else:
        instance.head = job.next
    if job.next >= 0:
        jobs[job.next].previous = job.previous
    else:
        instance.tail = job.previous


@part
def fails(a: Any, j: int) -> bool:
    """Whether the instance's error share hits this job (D9)."""
    job = jobs_of(a)[j]
    share = instances_of(a)[job.instance].error_share
    return share > 0.0 and unit(key_hash(a.key, job.request, job.path, job.tag, ERROR)) < share


@part
def _malformed(a: Any, j: int) -> bool:
    """Whether a job's answer, all its work done, is an error (D51)."""
    job = jobs_of(a)[j]
    share = instances_of(a)[job.instance].malformed
    if share <= 0.0 or job.call < 0:
        return False
    return unit(key_hash(a.key, job.request, job.path, job.tag, MALFORMED)) < share


# --- work ----------------------------------------------------------------------------------------------------------


@hot
def start(a: Any, j: int, shared: Any, rich: Any) -> None:
    """A job takes a slot (D9)."""
    job = jobs_of(a)[j]
    i = job.instance
    instance = instances_of(a)[i]
    instance.busy += 1
    count(a, instance.service, STARTED, 1)
    work = 0
    if fails(a, j):
        job.outcome = _ERROR
    elif job.call >= 0:
        if rich is not None:
            work = first_work(a, j)
        else:
            work = sample_work(
                instance.work,
                instance.work_a,
                instance.work_b,
                work_table_of(a),
                instance.table_first,
                instance.table_count,
                a.key,
                job.request,
                job.path,
                job.tag,
            )
    _onto_cpu(a, j, work, shared, rich)


@hot
def _onto_cpu(a: Any, j: int, work: int, shared: Any, rich: Any) -> None:
    job = jobs_of(a)[j]
    i = job.instance
    instance = instances_of(a)[i]
    job.state = ON_CPU
    if shared is not None:
        join_cpu(a, i, j, work, rich)
    else:
        t_ns = a.now_ns
        instance.cpu += instance.on_cpu * (t_ns - instance.clock_ns) * 1024
        instance.clock_ns = t_ns
        instance.on_cpu += 1
        job.expiry_or_joined = t_ns
        schedule_here(a, t_ns + work, _COMPLETION, job.request, job.path, job.tag, j, job.generation, 0)


@hot
def off_cpu(a: Any, j: int, completed: int, shared: Any, rich: Any) -> None:
    """A job leaves the CPU; its core time is noted."""
    job = jobs_of(a)[j]
    i = job.instance
    if shared is not None:
        leave_cpu(a, i, j, completed, rich)
    else:
        instance = instances_of(a)[i]
        t_ns = a.now_ns
        instance.cpu += instance.on_cpu * (t_ns - instance.clock_ns) * 1024
        instance.clock_ns = t_ns
        instance.on_cpu -= 1
        job.finish_or_cpu = (t_ns - job.expiry_or_joined) * 1024
    if rich is not None:
        job.finish_or_cpu += programs_of(a)[j].cpu


@hot
def complete(a: Any, j: int, shared: Any, calls: Any, rich: Any) -> None:
    """A job's work is done (D10)."""
    off_cpu(a, j, 1, shared, rich)
    if calls is not None:
        go_on(a, j, shared, rich)
    else:
        finish(a, j, jobs_of(a)[j].outcome, shared, rich)


@part
def go_on(a: Any, j: int, shared: Any, rich: Any) -> None:
    """Make a job's next call, or end it (D10); where its operation is a program, take the next step (D43)."""
    job = jobs_of(a)[j]
    if rich is not None and programs_of(a)[j].operation >= 0:
        _take_step(a, j, shared, rich)
        return
    service = services_of(a)[instances_of(a)[job.instance].service]
    if job.call >= 0 and job.outcome == _OK and job.calls_made < service.calls_count:
        job.state = CALLING
        start_child(a, j, service.calls_first + job.calls_made, NONE, rich)
    else:
        finish(a, j, job.outcome, shared, rich)


@part
def _take_step(a: Any, j: int, shared: Any, rich: Any) -> None:
    job = jobs_of(a)[j]
    program = programs_of(a)[j]
    operation = operations_of(a)[program.operation]
    while job.outcome == _OK and program.step < operation.steps_count:
        k = operation.steps_first + program.step
        program.step += 1
        if steps_of(a)[k].kind == WORK_STEP:
            program.cpu = job.finish_or_cpu
            _onto_cpu(a, j, work_of(a, j, k), shared, rich)
            return
        without = spared(a, j, k)
        if without < steps_of(a)[k].calls:
            job.state = CALLING
            _make_calls(a, j, k, without, rich)
            return
        job.calls_made += without
    finish(a, j, job.outcome, shared, rich)


@part
def _make_calls(a: Any, j: int, k: int, without: int, rich: Any) -> None:
    """The calls of a step, in order, but for those that a hit spares; a quorum's go to one zone each, the caller's own
    first (D44, D90).
    """
    step = steps_of(a)[k]
    begin_calls(a, j, k, step.calls - without)
    if step.zones == 0:
        for h in range(step.hop, step.hop + step.calls):
            if without > 0 and policies_of(a)[h].cached == 1:
                jobs_of(a)[j].calls_made += 1
            else:
                start_child(a, j, h, NONE, rich)
        return
    z = np_int(instances_of(a)[jobs_of(a)[j].instance].zone)
    left = np_int(step.calls)
    while left > 0:
        if (step.zones >> z) & 1 == 1:
            start_child(a, j, step.hop, z, rich)
            left -= 1
        z += 1
        if z == a.zones:
            z = 0


@part
def child_ended(a: Any, shared: Any, rich: Any) -> None:
    """A job's call has ended; the job goes on with the next, or ends (D14, D15)."""
    j = a.ended_job
    a.ended_job = NONE
    job = jobs_of(a)[j]
    if rich is not None and programs_of(a)[j].operation >= 0:
        if not step_over(a, j):
            return
        if programs_of(a)[j].first >= 0:
            give_up_calls(a, j, 1, rich)
            pump_all(a, rich)
        quorum_met(a, j)
        if step_failed(a, j):
            job.outcome = _ERROR
        _take_step(a, j, shared, rich)
        return
    job.next = NONE
    if a.ended_well == 0:
        job.outcome = _ERROR
    go_on(a, j, shared, rich)


@hot
def finish(a: Any, j: int, outcome: int, shared: Any, rich: Any) -> None:
    """A job frees its slot, the next one starts, the answer is sent (D10)."""
    i = jobs_of(a)[j].instance
    if rich is not None and outcome == _OK and _malformed(a, j):
        outcome = _ERROR
    instances_of(a)[i].busy -= 1
    if rich is not None:
        if outcome == _OK and jobs_of(a)[j].call >= 0:
            traits_of(a)[i].served += 1
            fill(a, j)
        change_rate(a, i, rich)
        if outcome == _OK:
            learn(a, j, 0)
    start_waiting(a, i, shared, rich)
    answer(a, j, outcome, rich)


@hot
def start_waiting(a: Any, i: int, shared: Any, rich: Any) -> None:
    """Give free slots to those who wait, passing over the expired where the instance does so (R7)."""
    instance = instances_of(a)[i]
    if rich is not None:
        _call_up(a, i, shared, rich)
        return
    while instance.busy < instance.slots and instance.head >= 0:
        j = instance.head
        unqueue(a, j, rich)
        if instance.drop_expired == 1 and jobs_of(a)[j].expiry_or_joined <= a.now_ns:
            count(a, instance.service, DROPPED, 1)
            free_job(a, j)
        else:
            start(a, j, shared, rich)


@part
def _call_up(a: Any, i: int, shared: Any, rich: Any) -> None:
    """`start_waiting` where there are classes and disciplines (D40, D41)."""
    instance = instances_of(a)[i]
    while instance.busy < instance.slots and instance.queued > 0:
        j = next_in_line(a, i)
        leave_line(a, j)
        if instance.drop_expired == 1 and jobs_of(a)[j].expiry_or_joined <= a.now_ns:
            count(a, instance.service, DROPPED, 1)
            learn(a, j, 1)
            free_job(a, j)
        elif codel_drops(a, i, j):
            count(a, instance.service, OVERLOADED, 1)
            learn(a, j, 1)
            answer(a, j, _OVERLOAD, rich)
        else:
            start(a, j, shared, rich)


# --- out -----------------------------------------------------------------------------------------------------------


@hot
def answer(a: Any, j: int, outcome: int, rich: Any) -> None:
    """Send a job's answer (D11)."""
    job = jobs_of(a)[j]
    job.outcome = outcome
    job.state = ANSWERED
    instance = instances_of(a)[job.instance]
    if outcome != _OK and job.finish_or_cpu > 0:
        count(a, instance.service, WASTED, job.finish_or_cpu)
        job.finish_or_cpu = 0
    via = NONE
    if rich is not None:
        via = np_int(visits_of(a)[j].via)
    if is_cut(a, j, rich):
        waste(a, j, rich)
        return
    if rich is not None and packet_lost(a, job.place, via, job.instance, job.request, job.path, job.tag, LOSS_BACK):
        waste(a, j, rich)
        return
    t_ns = a.now_ns + way_ns(a, job.place, via, instance.zone, rich)
    schedule_here(a, t_ns, _RESPONSE, job.request, job.path, job.tag, j, job.generation, 0)


@hot
def respond(a: Any, j: int, calls: Any, rich: Any) -> None:
    """An answer arrives (D12)."""
    job = jobs_of(a)[j]
    i = job.instance
    instance = instances_of(a)[i]
    if is_cut(a, j, rich):
        waste(a, j, rich)
        return
    c = job.call
    if c < 0:
        probe_answered(a, i, job.path, job.tag, job.outcome == _OK, rich)
        free_job(a, j)
        return
    call = calls_of(a)[c]
    if call.generation != job.call_generation or call.state != WAITING or call.tag != job.tag:
        waste(a, j, rich)
        return
    if calls is not None and is_parked(a, c, _RESPONSE, job.request, job.path, job.tag, j, job.generation, 0):
        return
    outcome = job.outcome
    if outcome == _OK:
        if job.finish_or_cpu > 0:
            count(a, instance.service, USEFUL, job.finish_or_cpu)
        if rich is not None:
            let_go_after(a, c, _OK, True, rich)
        else:
            instance.outstanding -= 1
            call.target = NONE
        if rich is not None:
            a.answer_degraded = programs_of(a)[j].degraded
            accepted(a, c, instance.zone)
        free_job(a, j)
        succeeded(a, c, rich)
        return
    waste(a, j, rich)
    if redispatches(a, c, outcome, rich):
        return
    if rich is not None:
        let_go_after(a, c, outcome, True, rich)
    elif call.target >= 0:
        instances_of(a)[call.target].outstanding -= 1
        call.target = NONE
    attempt_failed(a, c, outcome, rich)


@part
def is_parked(
    a: Any,
    c: int,
    kind: int,
    request: int,
    path: int,
    tag: int,
    subject: int,
    generation: int,
    dispatched: int,
) -> bool:
    """Keep an event for a call whose own instance is paused until it resumes (D17)."""
    parent = calls_of(a)[c].parent
    if parent < 0:
        return False
    instance = instances_of(a)[jobs_of(a)[parent].instance]
    if instance.state != _PAUSED:
        return False
    n = new_node(a)
    node = nodes_of(a)[n]
    node.kind = kind
    node.request = request
    node.path = path
    node.tag = tag
    node.subject = subject
    node.generation = generation
    node.dispatched = dispatched
    node.next = instance.parked
    instance.parked = n
    return True


# --- taken away ----------------------------------------------------------------------------------------------------


@part
def cancel(a: Any, j: int, shared: Any, calls: Any, rich: Any) -> None:
    """A cancel reaches the instance (D13)."""
    job = jobs_of(a)[j]
    i = job.instance
    instance = instances_of(a)[i]
    if is_cut(a, j, rich) or instance.state == _PAUSED:
        return
    if job.state == QUEUED:
        unqueue(a, j, rich)
        waste(a, j, rich)
    elif job.state == BACKLOGGED:
        unbacklog(a, j)
        waste(a, j, rich)
    elif job.state == ON_CPU or job.state == CALLING:
        if job.state == ON_CPU:
            off_cpu(a, j, 0, shared, rich)
        elif calls is not None:
            give_up_calls(a, j, 0, rich)
            if rich is not None:
                pump_all(a, rich)
        instance.busy -= 1
        if rich is not None:
            change_rate(a, i, rich)
        waste(a, j, rich)
        start_waiting(a, i, shared, rich)
