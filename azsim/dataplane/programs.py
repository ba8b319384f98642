"""Operations as programs (R8, D42-D45): what a call asks for, how far each job is, and when a step is over.

Only the full kernel has them. Per call there is a branch, per job a program, in pools beside those of calls and jobs.
"""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.base.seeds import OPERATION, STEP, key_hash
from azsim.dataplane.layout import MIX_COLUMNS, MIX_OFFERED, WORK_STEP
from azsim.dataplane.program_pools import branches_of, mix_of, mix_rows_of, operations_of, programs_of, steps_of
from azsim.dataplane.state import (
    NONE,
    calls_of,
    hops_of,
    instances_of,
    jobs_of,
    np_int,
    populations_of,
    recorded_of,
    services_of,
    work_table_of,
)
from azsim.dataplane.store_state import errands_of
from azsim.policy.distributions import sample_work
from azsim.policy.faults import slowed


@part
def ask(a: Any, c: int) -> None:
    """Settle which operation a new call asks for (D42)."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    branch = branches_of(a)[c]
    branch.mix = NONE
    branch.operation = hop.operation
    if hop.population >= 0:
        population = populations_of(a)[hop.population]
        if population.mix_count > 0:
            mix = mix_of(a)
            k = population.mix_first + 0
            known = NONE
            if population.recorded_count > 0:
                number = call.request - (np_int(hop.population) << 44)
                known = np_int(recorded_of(a)[population.recorded_first + number].mix)
            if known >= 0:
                k += known
            else:
                u = key_hash(a.key, call.request, a.epoch, 0, OPERATION) >> 31
                while u >= mix[k].upto:
                    k += 1
            branch.operation = mix[k].operation
            branch.mix = k
            mix_rows_of(a)[(call.row * a.mix_length + k) * MIX_COLUMNS + MIX_OFFERED] += 1
    if branch.operation < 0:
        branch.operation = services_of(a)[hop.service].operation


@part
def begin_program(a: Any, j: int, operation: int, deadline_ns: int, handshake_ns: int) -> None:
    """A new job, which will do `operation` (NONE: its work, then the calls of its service), its calls by a deadline.

    handshake_ns: work that comes before all else (D124).
    """
    program = programs_of(a)[j]
    program.cpu = 0
    program.handshake_ns = handshake_ns
    program.deadline_ns = deadline_ns
    program.operation = operation
    program.step = 0
    program.first = NONE
    program.pending = 0
    program.degraded = 0
    errands_of(a)[j].found = 0


@part
def first_work(a: Any, j: int) -> int:
    """Work to do before anything else, ns; a program that begins with calls has none (D43)."""
    program = programs_of(a)[j]
    work = 0
    if program.handshake_ns > 0:
        work = slowed(program.handshake_ns, instances_of(a)[jobs_of(a)[j].instance].work_factor)
    if program.operation < 0:
        return work + work_of(a, j, NONE)
    k = operations_of(a)[program.operation].steps_first
    if steps_of(a)[k].kind != WORK_STEP:
        return work
    program.step = 1
    return work + work_of(a, j, k)


@part
def work_of(a: Any, j: int, k: int) -> int:
    """Work of step k of a job's program, ns; NONE: the instance's own (D9, D43)."""
    job = jobs_of(a)[j]
    instance = instances_of(a)[job.instance]
    kind = instance.work
    x = instance.work_a
    y = instance.work_b
    first = instance.table_first
    count = instance.table_count
    path = job.path
    if k >= 0:
        step = steps_of(a)[k]
        if step.work >= 0:
            kind = step.work
            x = step.work_a
            y = step.work_b
            first = step.table_first
            count = step.table_count
        place = k - operations_of(a)[programs_of(a)[j].operation].steps_first
        if place > 0:
            path = key_hash(a.key, job.request, job.path, job.tag * 64 + place, STEP)
    work = sample_work(kind, x, y, work_table_of(a), first, count, a.key, job.request, path, job.tag)
    return slowed(work, instance.work_factor)


@part
def begin_calls(a: Any, j: int, k: int, made: int) -> None:
    """Step k makes so many of its calls now: count what it waits for (D44)."""
    program = programs_of(a)[j]
    step = steps_of(a)[k]
    program.pending = made
    errands_of(a)[j].holders = 0
    program.short = step.need
    program.spare = step.calls - step.need


@part
def link(a: Any, j: int, c: int) -> None:
    """A job of a program makes call c."""
    program = programs_of(a)[j]
    branches = branches_of(a)
    branches[c].next = program.first
    branches[c].previous = NONE
    if program.first >= 0:
        branches[program.first].previous = c
    program.first = c


@part
def unlink(a: Any, j: int, c: int) -> None:
    """A job of a program is done with call c."""
    program = programs_of(a)[j]
    branches = branches_of(a)
    branch = branches[c]
    if branch.next >= 0:
        branches[branch.next].previous = branch.previous
    if branch.previous >= 0:
        branches[branch.previous].next = branch.next
    else:
        program.first = branch.next


@part
def branch_ended(a: Any, c: int, well: int) -> None:
    """A call has ended: what that means for the step that made it (D44, D45)."""
    call = calls_of(a)[c]
    j = call.parent
    program = programs_of(a)[j]
    if program.operation < 0:
        return
    unlink(a, j, c)
    program.pending -= 1
    if well == 1:
        program.short -= 1
    elif hops_of(a)[call.hop].optional == 1 and not _is_quorum(a, j):
        program.degraded = 1
    else:
        program.spare -= 1


@part
def _is_quorum(a: Any, j: int) -> bool:
    return steps_of(a)[_step(a, j)].zones != 0


@part
def _step(a: Any, j: int) -> int:
    """The step of a job's program that is under way."""
    program = programs_of(a)[j]
    return operations_of(a)[program.operation].steps_first + program.step - 1


@part
def step_over(a: Any, j: int) -> bool:
    """Whether the calls of the step under way are decided (D44)."""
    program = programs_of(a)[j]
    if _is_quorum(a, j):
        return program.short <= 0 or program.spare < 0
    return program.pending == 0


@part
def step_failed(a: Any, j: int) -> bool:
    """Whether a step that is over ends its job; an optional quorum degrades it instead (D45)."""
    program = programs_of(a)[j]
    if program.spare >= 0:
        return False
    k = _step(a, j)
    if steps_of(a)[k].zones != 0 and hops_of(a)[steps_of(a)[k].hop].optional == 1:
        program.degraded = 1
        return False
    return True
