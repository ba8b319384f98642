"""The kernel's memory: one state record and the pools it points to.

Compiled functions take the record `a` alone; a pool is reached through its address in the record, so a call passes one
pointer however many pools there are, and growing a pool only changes an address. `POOLS` is the whole list; Python owns
the memory (kernel.py). Config fields of populations, hops, services and instances are copied from the Plan's tables of
the same names; the fields added here are written by the compiled code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from azsim.base.jit import memory, part
from azsim.dataplane import layout
from azsim.dataplane.policy_state import POLICY_POOLS
from azsim.dataplane.program_pools import PROGRAM_POOLS
from azsim.dataplane.proxy_pools import PROXY_POOLS
from azsim.dataplane.store_state import STORE_POOLS, STORE_SCALARS

NONE = -1
BATCH = 256  # arrivals reckoned at once: independent of each other, they overlap in the processor
BUCKETS = 8192  # of the event wheel

_INT32, _INT64, _UINT64, _FLOAT = np.dtype("i4"), np.dtype("i8"), np.dtype("u8"), np.dtype("f8")

# What a call waits for.
FREE, WAITING, BACKING_OFF = 0, 1, 2
HEDGED = 3  # its own attempt has failed, a hedge has not
# Where a job is.
IN_NETWORK, QUEUED, BACKLOGGED, ON_CPU, CALLING, ANSWERED = 1, 2, 3, 4, 5, 6
# How a call's timeout is kept.
NO_TIMER, LISTED, SCHEDULED = 0, 1, 2
# After a notice: all data of the instant has happened; and control has acted, 1 ns later (D23).
UNSETTLED, SETTLED, ACTED = 0, 1, 2


def _with(config: np.dtype[Any], added: list[tuple[str, str]]) -> np.dtype[Any]:
    fields = [(name, config.fields[name][0]) for name in config.names]  # type: ignore[index,union-attr]
    return np.dtype(fields + added, align=True)


POPULATION = _with(
    layout.POPULATION,
    [
        ("segment", "i4"),
        ("next_ns", "i8"),  # next arrival
        ("next_request", "i8"),
        ("threshold", "i8"),  # E of the last arrival (O5)
        ("upcoming", "i4"),  # the next one's place in the population's batch
        ("batched", "i4"),  # how many the batch holds
        ("base_ns", "i8"),
        ("base_units", "i8"),
        ("factor", "f8"),
        ("in_flight", "i8"),
    ],
)

# An arrival to come: its time and its E.
ARRIVAL = np.dtype([("t_ns", "i8"), ("threshold", "i8")], align=True)

HOP = _with(
    layout.HOP,
    [
        ("head", "i4"),  # calls whose timeout is send + timeout_ns, in the order of those times
        ("tail", "i4"),
        ("in_flight", "i8"),  # attempts
    ],
)

SERVICE = _with(
    layout.SERVICE,
    [
        ("targets_first", "i8"),  # its eligible targets: targets[targets_first : targets_first + targets_count]
        ("targets_count", "i4"),
        ("last", "i4"),  # round-robin: last used instance
        ("position", "i4"),  # its place among the targets, or NONE when they have changed
        ("checks_first", "i8"),  # with several checkers: checks of its first target
    ],
)

# One per (service, zone): the zone's part of the service's targets.
SHELF = np.dtype([("first", "i4"), ("count", "i4"), ("last", "i4"), ("position", "i4"), ("present", "i4")], align=True)

INSTANCE = _with(
    layout.INSTANCE,
    [
        ("state", "i4"),
        ("busy", "i4"),  # slots taken
        ("on_cpu", "i4"),  # of them, those not waiting for a call
        ("queued", "i4"),
        ("head", "i4"),  # next job to take a slot
        ("tail", "i4"),
        ("backlog_head", "i4"),
        ("backlog_tail", "i4"),
        ("backlogged", "i4"),
        ("backlog_places", "i4"),
        ("parked", "i4"),  # event nodes that wait for the end of a pause
        ("outstanding", "i4"),
        ("in_view", "i4"),
        ("sensed", "i4"),
        ("streak", "i4"),
        ("probing", "i4"),  # policy/thresholds.py
        ("probe", "i4"),  # tag of the probe in flight, 0: none
        ("competition", "i4"),
        ("latency_ns", "i8"),
        ("error_share", "f8"),
        ("member", "i4"),
        ("loss", "f8"),
        ("malformed", "f8"),
        ("work_factor", "f8"),
        ("threads", "f8"),
        ("load", "f8"),
        ("clock", "i8"),  # virtual clock, 2^-10 ns (O3)
        ("clock_ns", "i8"),
        ("rate", "f8"),
        ("cpu", "i8"),  # core time used by the application, 2^-10 ns, up to clock_ns
        ("cpu_cut", "i8"),  # its reading at the last cut
        ("stress", "i8"),
        ("stress_rate", "f8"),
        ("stress_cut", "i8"),
        ("heap_first", "i8"),  # jobs on CPU, a heap: running[heap_first : heap_first + on_cpu]
        ("next_ns", "i8"),  # next completion, INFINITE: none
        ("place_in_order", "i4"),  # position in the heap of instances, NONE: not in it
    ],
)

TRAIT = _with(
    layout.TRAIT,
    [
        ("codel_end_ns", "i8"),  # of the current interval (policy/shedding.py)
        ("codel_least_ns", "i8"),
        ("overloaded", "i4"),  # as CoDel judged the last interval
        ("limit_now", "f8"),
        ("limit_samples", "i8"),  # gradient2: in the average; vegas: since the last probe
        ("limit_probes", "i8"),  # vegas
        ("limit_rtt", "f8"),  # gradient2: the long-term average; vegas: the unloaded time
        ("full_at", "i8"),  # of the token bucket (policy/limits.py)
        ("ready_ns", "i8"),  # when it has booted
        ("cold", "i4"),  # 1: it has been dead or crashed
        ("served", "i8"),  # requests since then
    ],
)

# The queue of one priority class of an instance: lines[CLASSES * instance + class].
LINE = np.dtype([("head", "i4"), ("tail", "i4")], align=True)

# What rich plans keep of a job beside JOB, under its number.
VISIT = np.dtype(
    [
        ("arrived_ns", "i8"),  # when it was let in
        ("held", "i8"),  # requests that the instance held then, itself included
        ("via", "i4"),  # zone of the balancer's node between it and its caller, NONE: none that can be lost
    ],
    align=True,
)

CALL = np.dtype(
    [
        ("request", "i8"),
        ("path", "i8"),
        ("start_ns", "i8"),
        ("sent_ns", "i8"),
        ("expiry_ns", "i8"),
        ("deadline_ns", "i8"),
        ("backoff_ns", "i8"),
        ("delay_ns", "i8"),  # of the current dispatch on its way in
        ("bucket", "i8"),
        ("paid", "i8"),
        ("row", "i4"),
        ("hop", "i4"),
        ("generation", "i4"),
        ("tag", "i4"),
        ("target", "i4"),
        ("job", "i4"),
        ("job_generation", "i4"),
        ("parent", "i4"),
        ("next", "i4"),
        ("previous", "i4"),
        ("place", "i2"),
        ("state", "i1"),
        ("timer", "i1"),
    ],
    align=True,
)

# One cache line: in a collapse it is memory that sets the pace. Some fields mean one thing while a job waits and
# another once it is served.
JOB = np.dtype(
    [
        ("request", "i8"),
        ("path", "i8"),
        ("expiry_or_joined", "i8"),  # waiting: its caller's expiry; on CPU: virtual clock (shared) or ns when it came
        ("finish_or_cpu", "i8"),  # on a shared CPU: virtual finish; otherwise CPU time used, 2^-10 ns
        ("tag", "i4"),
        ("call", "i4"),  # NONE: a probe
        ("call_generation", "i4"),
        ("instance", "i4"),
        ("generation", "i4"),
        ("next", "i4"),  # in a queue or the free list; while it waits for a call of its own: that call
        ("previous", "i4"),  # in a queue; on a shared CPU: position in the heap
        ("place", "i1"),
        ("calls_made", "i1"),
        ("state", "i1"),
        ("outcome", "i1"),
    ],
    align=True,
)

NODE = np.dtype(
    [
        ("t_ns", "i8"),
        ("request", "i8"),
        ("path", "i8"),
        ("tag", "i4"),
        ("kind", "i4"),
        ("subject", "i4"),  # call, job or instance, by kind
        ("generation", "i4"),
        ("dispatched", "i4"),  # tag of the dispatch a connect or balancer timeout is about
        ("next", "i4"),
    ],
    align=True,
)

ENTRY = np.dtype([("t_ns", "i8"), ("node", "i8")], align=True)

NOTICE = np.dtype([("t_ns", "i8"), ("instance", "i4"), ("healthy", "i4")], align=True)

# name: (dtype, what it holds)
POOLS: dict[str, tuple[Any, str]] = POLICY_POOLS | {
    "populations": (POPULATION, "(P,)"),
    "places": (layout.PLACE, "Plan.places"),
    "segments": (layout.SEGMENT, "Plan.segments"),
    "hops": (HOP, "(H,)"),
    "services": (SERVICE, "(S,)"),
    "shelves": (SHELF, "(S * Z,)"),
    "instances": (INSTANCE, "(I,)"),
    "traits": (TRAIT, "(I,) in the full kernel only, as are the next two"),
    "lines": (LINE, "(CLASSES * I,)"),
    "visits": (VISIT, "grows with jobs"),
    "targets": (np.dtype("i4"), "(I,) eligible targets by service"),
    "work_table": (np.dtype("i8"), "Plan.work_table"),
    "delays": (np.dtype("i8"), "((Z + 1) ** 2,) ns"),
    "cuts": (np.dtype("i4"), "((Z + 1) ** 2,) how many cuts a link has"),
    "losses": (np.dtype("f8"), "((Z + 1) ** 2,) shares of packets lost; rich plans only"),
    "recorded": (layout.RECORDED, "Plan.recorded"),
    "arrivals": (ARRIVAL, "(P * BATCH,)"),
    "tokens": (np.dtype("i8"), "(buckets,) thousandths"),
    "calls": (CALL, "grows"),
    "jobs": (JOB, "grows"),
    "nodes": (NODE, "grows"),
    "near": (ENTRY, "grows with nodes: heap of events up to the wheel's cursor"),
    "far": (ENTRY, "grows with nodes: heap of events past the wheel's horizon"),
    "wheel": (np.dtype("i4"), "(BUCKETS,) first node, NONE: empty"),
    "bits": (np.dtype("u8"), "(BUCKETS / 64,) which buckets hold nodes"),
    "running": (np.dtype("i4"), "(sum of slots,) heaps of jobs on CPU"),
    "order": (np.dtype("i4"), "(I,) heap of instances by next completion"),
    "notices": (NOTICE, "(I,) or more: one per check"),
    "population_rows": (np.dtype("i8"), "Recording.populations, flat; grows"),
    "service_rows": (np.dtype("i8"), "Recording.services, flat; grows"),
    "zone_rows": (np.dtype("i8"), "Recording.zones, flat; grows"),
    "latency_rows": (np.dtype("i8"), "Recording.latency, flat; grows"),
    "hop_attempts": (np.dtype("i8"), "Recording.hop_attempts"),
    "hop_outcomes": (np.dtype("i8"), "Recording.hop_outcomes, flat"),
    **PROGRAM_POOLS,
    **PROXY_POOLS,
}
POOLS |= STORE_POOLS

_SCALARS = [
    "now_ns",
    "settled",  # UNSETTLED, SETTLED, ACTED
    "key",
    "epoch",
    "zones",
    "retries_off",
    "row",
    "arrival_ns",  # next of each source
    "arrival_population",
    "timeout_ns",
    "timeout_hop",
    "queue_ns",
    "completion_ns",  # of the heap of instances
    # an event at this very instant, kept out of the queue while nothing else happens at it
    "slot_kind",
    "slot_request",
    "slot_path",
    "slot_tag",
    "slot_subject",
    "slot_generation",
    # event queue
    "shift",
    "cursor",
    "wheel_count",
    "near_count",
    "far_count",
    "order_count",
    # free lists: first free record, records never used yet, how many are free in all
    "free_call",
    "fresh_call",
    "calls_left",
    "free_job",
    "fresh_job",
    "jobs_left",
    "free_node",
    "fresh_node",
    "nodes_left",
    # a job whose own call has just ended
    "ended_job",
    "ended_well",
    "answer_degraded",  # whether the answer that is being accepted is
    "notice_count",
    "awaiting",  # calls that wait for a connection
    "queued",  # jobs in all queues, kept by the full kernel only: a queue may answer all that it holds at one event
    "waiting",  # calls that wait in proxies
    "successes",  # requests that have ended so far
    "failures",
    *STORE_SCALARS,
]

STATE = np.dtype(
    [(name, "i8") for name in _SCALARS] + [(f"{name}_{end}", "i8") for name in POOLS for end in ("at", "length")],
    align=True,
)


@part
def np_int(x: Any) -> int:
    """Widen a field to int64, so that a variable has one type on all branches."""
    return x + 0


@part
def populations_of(a: Any) -> Any:
    return memory(a.populations_at, POPULATION)


@part
def places_of(a: Any) -> Any:
    return memory(a.places_at, layout.PLACE)


@part
def segments_of(a: Any) -> Any:
    return memory(a.segments_at, layout.SEGMENT)


@part
def hops_of(a: Any) -> Any:
    return memory(a.hops_at, HOP)


@part
def services_of(a: Any) -> Any:
    return memory(a.services_at, SERVICE)


@part
def shelves_of(a: Any) -> Any:
    return memory(a.shelves_at, SHELF)


@part
def instances_of(a: Any) -> Any:
    return memory(a.instances_at, INSTANCE)


@part
def traits_of(a: Any) -> Any:
    return memory(a.traits_at, TRAIT)


@part
def lines_of(a: Any) -> Any:
    return memory(a.lines_at, LINE)


@part
def visits_of(a: Any) -> Any:
    return memory(a.visits_at, VISIT)


@part
def targets_of(a: Any) -> Any:
    return memory(a.targets_at, _INT32)


@part
def work_table_of(a: Any) -> Any:
    return memory(a.work_table_at, _INT64)


@part
def delays_of(a: Any) -> Any:
    return memory(a.delays_at, _INT64)


@part
def cuts_of(a: Any) -> Any:
    return memory(a.cuts_at, _INT32)


@part
def losses_of(a: Any) -> Any:
    return memory(a.losses_at, _FLOAT)


@part
def recorded_of(a: Any) -> Any:
    return memory(a.recorded_at, layout.RECORDED)


@part
def arrivals_of(a: Any) -> Any:
    return memory(a.arrivals_at, ARRIVAL)


@part
def tokens_of(a: Any) -> Any:
    return memory(a.tokens_at, _INT64)


@part
def calls_of(a: Any) -> Any:
    return memory(a.calls_at, CALL)


@part
def jobs_of(a: Any) -> Any:
    return memory(a.jobs_at, JOB)


@part
def nodes_of(a: Any) -> Any:
    return memory(a.nodes_at, NODE)


@part
def near_of(a: Any) -> Any:
    return memory(a.near_at, ENTRY)


@part
def far_of(a: Any) -> Any:
    return memory(a.far_at, ENTRY)


@part
def wheel_of(a: Any) -> Any:
    return memory(a.wheel_at, _INT32)


@part
def bits_of(a: Any) -> Any:
    return memory(a.bits_at, _UINT64)


@part
def running_of(a: Any) -> Any:
    return memory(a.running_at, _INT32)


@part
def order_of(a: Any) -> Any:
    return memory(a.order_at, _INT32)


@part
def notices_of(a: Any) -> Any:
    return memory(a.notices_at, NOTICE)


@part
def population_rows_of(a: Any) -> Any:
    return memory(a.population_rows_at, _INT64)


@part
def service_rows_of(a: Any) -> Any:
    return memory(a.service_rows_at, _INT64)


@part
def zone_rows_of(a: Any) -> Any:
    return memory(a.zone_rows_at, _INT64)


@part
def latency_rows_of(a: Any) -> Any:
    return memory(a.latency_rows_at, _INT64)


@part
def hop_attempts_of(a: Any) -> Any:
    return memory(a.hop_attempts_at, _INT64)


@part
def hop_outcomes_of(a: Any) -> Any:
    return memory(a.hop_outcomes_at, _INT64)


@part
def new_call(a: Any) -> int:
    """A free call record; the caller has seen to it that one is left."""
    a.calls_left -= 1
    c = a.free_call
    if c >= 0:
        a.free_call = calls_of(a)[c].next
    else:
        c = a.fresh_call
        a.fresh_call += 1
    return c


@part
def free_call(a: Any, c: int) -> None:
    call = calls_of(a)[c]
    call.state = FREE
    call.generation += 1
    call.next = a.free_call
    a.free_call = c
    a.calls_left += 1


@part
def new_job(a: Any) -> int:
    """A free job record; the caller has seen to it that one is left."""
    a.jobs_left -= 1
    j = a.free_job
    if j >= 0:
        a.free_job = jobs_of(a)[j].next
    else:
        j = a.fresh_job
        a.fresh_job += 1
    return j


@part
def free_job(a: Any, j: int) -> None:
    job = jobs_of(a)[j]
    job.state = FREE
    job.generation += 1
    job.next = a.free_job
    a.free_job = j
    a.jobs_left += 1
