"""Every table the data plane reads and every series it writes: dims, dtype, unit, writer.

A `Plan` is a scenario lowered to numbers. `azsim.simulation.lower` writes it once; both engines only read it. Times are
int64 nanoseconds, `INFINITE` where none; tokens are thousandths; places are zone numbers, and `len(zones)` is outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from azsim.dataplane.codes import OUTCOMES
from azsim.policy.histogram import BINS

Int64s = npt.NDArray[np.int64]
Records = npt.NDArray[Any]

POPULATION = np.dtype(
    [
        ("hop", "i4"),  # hops[hop] is the population's own hop
        ("clients", "i4"),  # client processes
        ("places_first", "i4"),
        ("places_count", "i4"),
        ("segments_first", "i4"),
        ("segments_count", "i4"),
        ("priority", "i4"),  # class of its requests and of all calls made for them, 0 to CLASSES - 1 (I1)
        ("mix_first", "i4"),  # what its requests ask for: mix[mix_first : mix_first + mix_count]; none: hop.operation
        ("mix_count", "i4"),
        ("users", "i4"),  # closed-loop users (D54); 0: none, arrivals are open-loop
        ("think", "i4"),  # policy/users.py kinds
        ("think_ns", "i8"),  # on average
        ("recorded_first", "i8"),  # a trace: arrivals at recorded[recorded_first : recorded_first + recorded_count]
        ("recorded_count", "i8"),  # 0: no trace
    ],
    align=True,
)

# Where a population's callers are: the first row with draw < upto, draw = 32 bits.
PLACE = np.dtype([("place", "i8"), ("upto", "i8")], align=True)

# What share of a population's requests ask for an operation: the first row with draw < upto, draw = 32 bits.
SHARE = np.dtype([("operation", "i8"), ("upto", "i8")], align=True)

# An arrival of a trace: when, and which row of its population's mix it asks for; -1: as it would without the trace.
RECORDED = np.dtype([("t_ns", "i8"), ("mix", "i8")], align=True)

# The rate profile: from start_ns on, rate + slope * (t - start_ns), in 2^-30 requests per ns (policy/arrivals.py).
SEGMENT = np.dtype([("start_ns", "i8"), ("rate", "f8"), ("slope", "f8")], align=True)

HOP = np.dtype(
    [
        ("service", "i4"),  # the callee
        ("caller", "i4"),  # the calling service, -1 for a population's hop
        ("population", "i4"),  # the calling population, -1 for a service's hop
        ("attempts", "i4"),  # at most, the first included
        ("timeout_ns", "i8"),
        ("connect_timeout_ns", "i8"),
        ("deadline_ns", "i8"),  # of the whole call, from its start
        ("retry_on", "i4"),  # bit 1 << outcome
        ("backoff", "i4"),  # policy/retry.py kinds
        ("backoff_base_ns", "i8"),
        ("backoff_cap_ns", "i8"),
        ("backoff_factor", "f8"),
        ("cancel", "i4"),  # 0 or 1
        ("same_zone", "i4"),  # 1: route only to targets in the caller's zone
        ("prefer_zone", "i4"),  # 1: to them while enough of them are eligible (policy/balancing.py stays_in_zone)
        ("spill_below", "f8"),  # share of them
        ("propagate_deadline", "i4"),  # 1: what is left of an attempt's time bounds the calls made for it (R7)
        ("buckets_first", "i8"),  # token buckets of this hop: one per client process or calling instance; -1: no budget
        ("budget_capacity", "i8"),  # thousandths of a token, as are the four below
        ("budget_cost", "i8"),
        ("budget_timeout_cost", "i8"),
        ("budget_deposit", "i8"),
        ("budget_deposit_after_retry", "i8"),  # -1: gives back what the call's last retry cost
        ("budget_on_request", "i4"),  # 1: deposits (budget_deposit) at the call's start instead of at success
        ("operation", "i4"),  # what is asked of the callee; -1: the callee's own default
        ("optional", "i4"),  # 1: its failure degrades the calling job instead of failing it
    ],
    align=True,
)

# What hop h's callers do beyond the fields of HOP; read by rich kernels only (Plan.rich). Shares are in millionths.
POLICY = np.dtype(
    [
        ("backoff_spread", "f8"),  # proportional jitter
        ("avoid_previous", "i4"),  # 1: a retry goes to another target than the attempt before it
        ("budget", "i4"),  # policy/guards.py kinds
        ("retry_after_ns", "i8"),  # the wait that the callee's `overload` answers ask for; -1: none
        ("budget_meters", "i8"),  # meters of the budget: one per client process or calling instance; -1: none
        ("budget_part_ns", "i8"),  # a tenth of its window
        ("budget_ratio", "i8"),
        ("budget_reserve", "i8"),  # millionths of a retry
        ("throttle_k", "f8"),
        ("breaker", "i4"),  # policy/breakers.py kinds
        ("breaker_on", "i4"),  # bit 1 << outcome: what counts as a failure
        ("breaker_probes", "i4"),
        ("breakers_first", "i8"),  # breakers: one per client process or calling instance; -1: none
        ("breaker_volume", "i8"),  # attempts it takes to judge a rate; consecutive: failures in a row
        ("breaker_rate", "i8"),
        ("breaker_open_ns", "i8"),
        ("breaker_window", "i8"),  # attempts in a count window
        ("breaker_rings", "i8"),  # where the count windows of the hop's breakers begin
        ("breaker_meters", "i8"),  # meters of its time windows
        ("breaker_part_ns", "i8"),
        ("cached", "i4"),  # 1: a hit in the calling instance's cache spares it (I6); calls of operations only
        ("hedges", "i4"),  # of one call, at most; 0: none
        ("hedge_budget", "i4"),  # policy/hedging.py
        ("hedge_delay_ns", "i8"),  # after an attempt; where times teach it, until there are enough of them
        ("hedge_times", "i8"),  # where the times of the hop's callers begin; -1: the delay is fixed
        ("hedge_samples", "i8"),  # how many a caller keeps
        ("hedge_place", "i8"),  # of the delay among them, in ascending order
        ("hedge_meters", "i8"),  # meters of the hedges' own budget; -1: none
        ("hedge_part_ns", "i8"),
        ("hedge_ratio", "i8"),
        ("hedge_reserve", "i8"),  # millionths of a hedge
        ("pool_max", "i8"),  # connections of a client process to an instance; 0: they are free and without limit
        ("pool_clients", "i8"),  # how many client processes there are
        ("pools_first", "i8"),  # their pools: one for each of them and each instance of the callee
        ("pool_offset", "i8"),  # of a pool's idle connections in Plan.pool_places, beyond its number x pool_max
        ("pool_acquire_ns", "i8"),  # how long a dispatch waits for a connection
        ("pool_idle_ns", "i8"),  # how long one stays open unused
        ("handshake_trips", "i8"),  # round trips of a new one
        ("handshake_ns", "i8"),  # and its work at the callee
    ],
    align=True,
)

TIMES_HEAD = 2


def times_words(samples: int) -> int:
    """How many words of Plan.times a client process takes that keeps so many times (hedges.py)."""
    return TIMES_HEAD + 2 * samples


SERVICE = np.dtype(
    [
        ("instances_first", "i4"),  # instances of a service are contiguous, zone by zone
        ("instances_count", "i4"),
        ("calls_first", "i4"),  # its calls, in order, are hops[calls_first : calls_first + calls_count]
        ("calls_count", "i4"),
        ("hops_count", "i4"),  # those and the calls of its operations: hops[calls_first : calls_first + hops_count]
        ("operation", "i4"),  # done for callers that ask for none; -1: its work, then its calls in order
        ("algorithm", "i4"),  # policy/balancing.py kinds
        ("cross_zone", "i4"),
        ("fail_open_below", "f8"),  # policy/balancing.py fails_open
        ("fail_open_fewer", "i4"),  # the same
        ("balancer_timeout_ns", "i8"),
        ("redispatch_attempts", "i4"),  # 1: none; at most 16
        ("redispatch_on", "i4"),  # bit 1 << outcome
        ("health", "i4"),  # 1: targets are probed
        ("unhealthy_after", "i4"),
        ("healthy_after", "i4"),
        ("checkers", "i4"),  # that probe each target, independently
        ("checkers_need", "f8"),  # a target is healthy while more than this share of them hold it so
        ("probe_queue", "i4"),  # 1: probes wait in the queue, 0: answered from the side
        ("after_answer", "i4"),  # 1: the next probe follows `interval` after the last one ended
        ("interval_ns", "i8"),
        ("probe_timeout_ns", "i8"),
        ("phase_ns", "i8"),  # of the first probe; -1: keyed per target in [0, interval)
        ("propagation_ns", "i8"),  # from a notice to the view: read by the control plane only
        ("replication_ns", "i8"),  # from an acknowledged write to its being in all zones (R11); -1: it keeps no data
        ("control_zone", "i4"),  # where its controllers live, -1: outside all zones; read by the control plane only
    ],
    align=True,
)

INSTANCE = np.dtype(
    [
        ("service", "i4"),
        ("zone", "i4"),
        ("slots", "i4"),
        ("discipline", "i4"),  # policy/shedding.py
        ("drop_expired", "i4"),
        ("work", "i4"),  # policy/distributions.py kinds
        ("work_a", "f8"),
        ("work_b", "f8"),
        ("table_first", "i8"),  # empirical work: work_table[table_first : table_first + table_count]
        ("table_count", "i8"),
        ("work_mean_ns", "f8"),  # read by results only
        ("queue", "i8"),  # places; INFINITE: unbounded
        ("cores", "f8"),
    ],
    align=True,
)

# What few instances have, apart so that the others' rows stay short. Read by rich plans only.
TRAIT = np.dtype(
    [
        (
            "newest_beyond",
            "i8",
        ),  # adaptive-lifo: newest first when more wait; INFINITE: CoDel alone decides
        ("codel_interval_ns", "i8"),
        ("codel_target_ns", "i8"),
        ("contention", "f8"),  # policy/cpu.py overload_slowdown
        ("coherency", "f8"),
        ("limit", "i4"),  # policy/limits.py kinds
        ("limit_start", "f8"),
        ("limit_least", "f8"),
        ("limit_most", "f8"),
        ("limit_ratio", "f8"),  # aimd: back-off; gradient2: smoothing
        ("limit_timeout_ns", "i8"),  # aimd
        ("limit_queue", "f8"),  # gradient2, as are the two below
        ("limit_tolerance", "f8"),
        ("limit_window", "f8"),  # samples
        ("token_interval", "i8"),  # rate limit: a token's time, 2^-10 ns; 0: none
        ("token_burst", "i8"),
        ("boot_ns", "i8"),  # from the end of a death or crash until it accepts
        ("warm_slowdown", "f8"),  # how many times longer work takes when cold; at most 1: no warm-up
        ("warm_ns", "i8"),  # until it is warm; 0: by requests
        ("warm_requests", "i8"),
        ("cache_entries", "i8"),  # 0: no cache (I6)
        ("cache_filled", "i8"),  # of them at the start
        ("cache_hit_ratio", "f8"),  # of a full cache
        ("cache_kept", "f8"),  # share of its entries that outlives a death or crash
    ],
    align=True,
)

# How a service is balanced that needs more than SERVICE says (D100 on).
BALANCING = np.dtype(
    [
        ("proxied", "i4"),  # 1: its balancer keeps state in proxies
        ("placement", "i4"),  # policy/balancing.py placements
        ("proxies_first", "i4"),
        ("proxies_count", "i4"),
        ("locality", "i4"),  # policy/locality.py kinds
        ("locality_targets", "i4"),  # zone-aware: eligible targets that it needs
        ("spill_below", "f8"),
        ("slow_start_ns", "i8"),  # 0: none
        ("slow_start_aggression", "f8"),
        ("slow_start_least", "f8"),
        ("ewma_decay_ns", "i8"),
        ("ewma_default_ns", "i8"),
        ("outliers", "i4"),  # policy/outliers.py kinds
        ("outlier_on", "i4"),  # bit 1 << outcome
        ("outlier_errors", "i4"),  # in a row (consecutive; NO_ERRORS: none), or within the window (max-fails)
        ("outlier_at_least_one", "i4"),
        ("outlier_uneject_on_check", "i4"),
        ("outlier_window_ns", "i8"),  # consecutive: between sweeps; max-fails: counting window and time on the bench
        ("outlier_base_ns", "i8"),
        ("outlier_longest_ns", "i8"),
        ("outlier_share", "f8"),
        ("outlier_factor", "f8"),  # success rates: so many standard deviations below the mean eject; 0: none do
        ("outlier_factor_targets", "i4"),  # that it takes to compare
        ("outlier_factor_volume", "i4"),  # outcomes that it takes of each
        ("outlier_failures", "i4"),  # millionths of outcomes that are errors eject; 0: none do
        ("outlier_failures_targets", "i4"),
        ("outlier_failures_volume", "i4"),
        ("per_target", "i8"),  # dispatches of a proxy to one target at once; INFINITE: no limit
        ("wait_places", "i8"),  # attempts that wait in a proxy
        ("wait_ns", "i8"),  # how long; INFINITE: as long as their callers
        ("node_slots", "i4"),  # attempts that a proxy works on at once; 0: it costs nothing and takes no time
        ("node_work", "i4"),  # policy/distributions.py kinds, empirical excepted
        ("node_work_a", "f8"),
        ("node_work_b", "f8"),
        ("node_queue", "i8"),  # attempts that wait for such a slot
        ("nodes_per_zone", "i4"),  # zonal: zone z has the proxies from proxies_first + z * nodes_per_zone on
        ("dns_ttl_ns", "i8"),
        ("dns_keep_ns", "i8"),  # how long a client keeps a connection at most; 0: it makes one for each attempt
        ("dns_own_zone", "f8"),  # share of lookups from inside a zone that are answered with it alone
        ("dns_stale", "i4"),  # 1: while the name does not resolve, the last answer goes on being used
    ],
    align=True,
)


# An operation is steps[steps_first : steps_first + steps_count], one after the other.
OPERATION = np.dtype(
    [
        ("steps_first", "i4"),
        ("steps_count", "i4"),
        ("writes", "i4"),  # 1: an ok answer acknowledges a write of the service's data (R11)
    ],
    align=True,
)

CALLS_MAX = 63  # of one operation: their numbers stand in the low six bits of a key (D1)

# What a step is.
WORK_STEP, CALLS_STEP, QUORUM_STEP = 0, 1, 2

STEP = np.dtype(
    [
        ("kind", "i4"),
        ("hop", "i4"),  # calls: hops[hop : hop + calls], all at once; quorum: hops[hop] for each of its calls
        ("calls", "i4"),  # how many are made
        ("need", "i4"),  # quorum: how many must succeed
        ("zones", "i8"),  # quorum: bit 1 << zone for each zone in which the callee has instances
        ("work", "i4"),  # policy/distributions.py kinds; -1: the instance's own work
        ("work_a", "f8"),
        ("work_b", "f8"),
        ("table_first", "i8"),
        ("table_count", "i8"),
    ],
    align=True,
)


# What may change while a plan runs (D57). A hop's fields stand in two tables, of which POLICY is for rich plans.
HOP_CHANGEABLE = (
    "attempts",
    "timeout_ns",
    "connect_timeout_ns",
    "deadline_ns",
    "retry_on",
    "backoff",
    "backoff_base_ns",
    "backoff_cap_ns",
    "backoff_factor",
    "cancel",
    "budget_capacity",
    "budget_cost",
    "budget_timeout_cost",
    "budget_deposit",
    "budget_deposit_after_retry",
)
POLICY_CHANGEABLE = (
    "backoff_spread",
    "avoid_previous",
    "budget_ratio",
    "budget_reserve",
    "throttle_k",
    "breaker_on",
    "breaker_volume",
    "breaker_rate",
    "breaker_open_ns",
)
INSTANCE_CHANGEABLE = ("queue", "drop_expired")


@dataclass(frozen=True, slots=True)
class Standby:
    """A service of which one zone serves at a time, the first of `zones` at first; read by the control plane only."""

    service: int
    zones: tuple[int, ...]
    promotion_ns: int


@dataclass(frozen=True, slots=True)
class Dns:
    """The rule by which zones leave the DNS name of a zonal balancer; read by the control plane only."""

    service: int
    delay_ns: int  # from a reason to the answers that follow it
    per_zone: bool  # whether a zone is judged by its own targets, or by all of the service's
    below: float  # policy/balancing.py fails_open: where that is true a zone leaves
    fewer_than: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario as the data plane sees it. Row i of a table is the thing with id i."""

    key: int  # seeds.run_key(seed, replicate)
    epoch: int  # path of every client's call (D1)
    zones: tuple[str, ...]
    population_names: tuple[str, ...]
    service_names: tuple[str, ...]
    instance_names: tuple[str, ...]  # "web-a-1"
    populations: Records  # (P,) POPULATION
    places: Records  # PLACE
    segments: Records  # SEGMENT; each population's first one starts at 0
    hops: Records  # (H,) HOP; population p's hop first, then each service's calls in order
    policies: Records  # (H,) POLICY
    services: Records  # (S,) SERVICE
    instances: Records  # (I,) INSTANCE
    work_table: Int64s  # ns
    delay_ns: Int64s  # (Z + 1, Z + 1), one way
    buckets: int  # how many token buckets the hops use in all
    meters: int  # and how many sliding windows,
    breakers: int  # circuit breakers
    ring_places: int  # and results in their count windows
    shared_cpu: bool  # some instance may run at a rate other than 1 (fewer cores than slots, stress, pause)
    rich: bool = False  # something is used that only the full kernel has
    traits: Records = field(default_factory=lambda: np.zeros(0, TRAIT))  # (I,) TRAIT; may be empty if not rich
    operation_names: tuple[str, ...] = ()  # "web.buy"
    operations: Records = field(default_factory=lambda: np.zeros(0, OPERATION))
    steps: Records = field(default_factory=lambda: np.zeros(0, STEP))
    mix: Records = field(default_factory=lambda: np.zeros(0, SHARE))  # by population
    recorded: Records = field(default_factory=lambda: np.zeros(0, RECORDED))  # by population, ascending times in each
    standbys: tuple[Standby, ...] = ()
    balancing: Records = field(default_factory=lambda: np.zeros(0, BALANCING))  # (S,), or empty: no service is proxied
    weights: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))  # (I,), or empty
    hop_proxies: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))  # (H,): first of the hop's proxies
    hop_addresses: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))  # (H,): its clients' first
    addresses: int = 0  # how many there are in all: one for each client process of a zonal balancer
    dns: tuple[Dns, ...] = ()
    pools: int = 0  # of connections (dataplane/connections.py),
    pool_places: int = 0  # and what they hold at most in all
    times: int = 0  # words that callers keep of how long their attempts took (dataplane/hedges.py)


# Columns of Recording.populations. "At": counted when it happens. "By start": in the row in which the request started.
OFFERED = 0
ATTEMPTS = 1  # at
SUCCEEDED = 2  # at
TIMEOUTS = 3  # at; attempts whose outcome was a timeout
STARTED_ATTEMPTS = 4  # by start
STARTED_SUCCEEDED = 5  # by start
STARTED_LATENCY = 6  # by start; ns, successes only
STARTED_DEGRADED = 7  # by start; successes for which an optional call failed
FAILED = 8  # at; + outcome
STARTED_FAILED = FAILED + OUTCOMES  # by start; + outcome
POPULATION_COLUMNS = STARTED_FAILED + OUTCOMES

# Columns of Recording.mix, by start.
MIX_OFFERED = 0
MIX_SUCCEEDED = 1
MIX_DEGRADED = 2  # of those
MIX_COLUMNS = 4

# Columns of Recording.services.
SENT = 0  # attempts that callers made to the service (D4), redispatches not counted
DISPATCHED = 1  # attempts that got a target (D5), redispatches counted
STARTED = 2  # jobs that took a slot, probes included
OVERLOADED = 3  # answers `overload`, probes included
REFUSED = 4  # answers `refused`, probes included
DROPPED = 5  # jobs dropped at dequeue (drop_expired)
USEFUL = 6  # CPU time, 2^-10 ns (D21)
WASTED = 7  # CPU time, 2^-10 ns
HITS = 8  # lookups in caches (I6)
MISSES = 9
WRITES = 10  # acknowledged ones (R11)
LOST = 11  # of those
SERVICE_COLUMNS = 12

# Columns of Recording.zones. The first two cover the row, the others are read at its end.
CPU = 0  # application, 2^-10 ns of core time
STRESS = 1  # stressors, 2^-10 ns of core time
QUEUED = 2  # jobs that wait for a slot, backlogs included
IN_SERVICE = 3  # slots taken
UP = 4  # instances in state UP
IN_VIEW = 5  # instances that the balancer's view holds healthy
CAPACITY = 6  # thousandths of a core that a full instance would get, over instances in view whatever their state
CORE_TIME = 7  # cores of the instances that exist x the row's length, thousandths x ns; the simulation writes it
MEMBERS = 8  # targets of the service at the row's end, healthy or not
ZONE_COLUMNS = 9

# Columns of DataPlane.readings.
CPU_USED = 0  # application, since the start, 2^-10 ns of core time
STRESS_USED = 1
WAITING_NOW = 2  # jobs that wait for a slot, the backlog included
SERVED_NOW = 3  # slots taken
READING_COLUMNS = 4


@dataclass(slots=True)
class Recording:
    """What a run leaves behind, row by row. A row ends at each `cut_row`; the last one ends at `end_ns`.

    start_ns: (R,) int64; populations: (R, P, POPULATION_COLUMNS) int64; services: (R, S, SERVICE_COLUMNS) int64;
    zones: (R, S, Z, ZONE_COLUMNS) int64; latency: (R, BINS) int64, successes of all populations by start row;
    mix: (R, M, MIX_COLUMNS) int64, requests by row of Plan.mix; hop_attempts: (H,) int64;
    hop_outcomes: (H, OUTCOMES) int64.
    """

    start_ns: Int64s
    end_ns: int
    populations: Int64s
    services: Int64s
    zones: Int64s
    latency: Int64s
    mix: Int64s
    hop_attempts: Int64s
    hop_outcomes: Int64s
    in_flight: Int64s  # (P,) requests without an outcome at the end
    attempts_in_flight: Int64s  # (H,) attempts without an outcome at the end
    cpu_in_progress: int  # 2^-10 ns spent on jobs that are still there at the end, all services

    @classmethod
    def empty(cls, plan: Plan, rows: int) -> Recording:
        """Zeroed tables for so many rows."""
        p, s, z = len(plan.populations), len(plan.services), len(plan.zones)
        h = len(plan.hops)
        return cls(
            start_ns=np.zeros(rows, np.int64),
            end_ns=0,
            populations=np.zeros((rows, p, POPULATION_COLUMNS), np.int64),
            services=np.zeros((rows, s, SERVICE_COLUMNS), np.int64),
            zones=np.zeros((rows, s, z, ZONE_COLUMNS), np.int64),
            latency=np.zeros((rows, BINS), np.int64),
            mix=np.zeros((rows, len(plan.mix), MIX_COLUMNS), np.int64),
            hop_attempts=np.zeros(h, np.int64),
            hop_outcomes=np.zeros((h, OUTCOMES), np.int64),
            in_flight=np.zeros(p, np.int64),
            attempts_in_flight=np.zeros(h, np.int64),
            cpu_in_progress=0,
        )
