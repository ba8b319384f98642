"""The kernel as a data plane: it owns the memory that the compiled loop works on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from azsim.base.errors import InternalError, LimitError
from azsim.base.sums import exact_sum
from azsim.dataplane import layout, loop
from azsim.dataplane.codes import INFINITE, OUTCOMES, InstanceState, Reason
from azsim.dataplane.layout import Int64s, Plan, Recording
from azsim.dataplane.memory import Memory
from azsim.dataplane.meters import METER_WORDS
from azsim.dataplane.protocol import Notice
from azsim.dataplane.proxy_pools import count_checks, proxy_lengths, start_proxies
from azsim.dataplane.state import (
    ACTED,
    BATCH,
    BUCKETS,
    CALLING,
    FREE,
    NONE,
    ON_CPU,
    POOLS,
    STATE,
    WAITING,
)
from azsim.dataplane.store_state import start_stores
from azsim.policy.cpu import VIRTUAL_PER_NS, virtual_progress
from azsim.policy.histogram import BINS
from azsim.policy.shedding import CLASSES

_GROWING = {
    "calls": "requests and calls in progress",
    "jobs": "attempts queued, in service or answered",
    "nodes": "timers",
    "writes": "writes on their way",
}


def _ns_shift(plan: Plan) -> int:
    """Bucket width of the event wheel, as a power of two of nanoseconds: about the spacing of events."""
    slots = float(plan.instances["slots"].sum())
    work = float(plan.instances["work_mean_ns"].max(initial=1.0))
    # Full slots complete slots / work jobs a nanosecond, and each brings a few events.
    spacing = work / max(1.0, 3.0 * slots)
    return int(np.clip(np.log2(max(1.0, spacing)), 7, 20))


def _progress(dt_ns: Int64s, rate: Any) -> Int64s:
    """`policy.cpu.virtual_progress` of many instances at once."""
    return np.where(rate == 1.0, dt_ns * VIRTUAL_PER_NS, np.floor(dt_ns.astype(np.float64) * rate * 1024.0)).astype(
        np.int64
    )


VARIANTS = ("lean", "tiers", "full")
# What `shared`, `calls` and `rich` are in each variant (loop.py).
MARKS = {"lean": (None, None, None), "tiers": (1, 1, None), "full": (1, 1, 1)}


def needed_variant(plan: Plan) -> str:
    """The smallest kernel variant that has all a plan asks for."""
    if plan.rich:
        return "full"
    if plan.shared_cpu or bool((plan.hops["caller"] >= 0).any()):
        return "tiers"
    return "lean"


class Kernel:
    """The compiled data plane. `memory_limit_bytes` bounds its pools and series; None: no bound."""

    def __init__(self, plan: Plan, memory_limit_bytes: int | None = None, variant: str | None = None) -> None:
        """`variant`: one of VARIANTS; by default the smallest that can run the plan."""
        self._plan = plan
        self._limit = memory_limit_bytes
        needed = needed_variant(plan)
        self.variant = variant or needed
        if self.variant not in VARIANTS or VARIANTS.index(self.variant) < VARIANTS.index(needed):
            raise ValueError(f"kernel variant {variant!r} cannot run this plan: it takes {needed!r}")
        self._marks = MARKS[self.variant]
        self._record = np.zeros(1, STATE)
        self._memory: dict[str, Memory] = {}
        self._pools: dict[str, Any] = {}
        self._rows = 0
        self._starts = np.zeros(0, np.int64)
        self._notices: list[Notice] = []
        self._sent = np.zeros(len(plan.services), np.int64)  # up to row _sent_row
        self._sent_row = 0
        self._build()

    # --- memory ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        plan = self._plan
        p, h, s, i = len(plan.populations), len(plan.hops), len(plan.services), len(plan.instances)
        places = len(plan.zones) + 1
        lengths = {
            "populations": p,
            "hops": h,
            "services": s,
            "shelves": s * len(plan.zones),
            "instances": i,
            "targets": i,
            "cuts": places * places,
            "losses": places * places,
            "arrivals": p * BATCH,
            "tokens": plan.buckets,
            "meters": plan.meters * METER_WORDS,
            "breakers": plan.breakers,
            "rings": plan.ring_places,
            "times": plan.times,
            "pools": plan.pools,
            "idle_since": plan.pool_places,
            "calls": 1024,
            "extras": 1024 if self.variant == "full" else 0,
            "jobs": 1024,
            "nodes": 2048,
            "near": 2048,
            "far": 2048,
            "wheel": BUCKETS,
            "bits": BUCKETS // 64,
            "running": int(plan.instances["slots"].sum()) if self.variant != "lean" else 0,
            "order": i,
            "notices": max(i, count_checks(plan)),
            "traits": i if self.variant == "full" else 0,
            "lines": CLASSES * i if self.variant == "full" else 0,
            "visits": 1024 if self.variant == "full" else 0,
            "branches": 1024 if self.variant == "full" else 0,
            "programs": 1024 if self.variant == "full" else 0,
            "errands": 1024 if self.variant == "full" else 0,
            "writes": 64 if self.variant == "full" else 0,
            "caches": i if self.variant == "full" else 0,
            "stores": s,
            "replicas": s * len(plan.zones),
            **(proxy_lengths(plan) if self.variant == "full" else {}),
            "hop_attempts": h,
            "hop_outcomes": h * OUTCOMES,
        }
        given = {
            "places": plan.places,
            "segments": plan.segments,
            "policies": plan.policies,
            "work_table": plan.work_table,
            "recorded": plan.recorded,
            "delays": plan.delay_ns.reshape(-1),
            "operations": plan.operations,
            "steps": plan.steps,
            "mix": plan.mix,
        }
        for name, (dtype, _) in POOLS.items():
            self._memory[name] = Memory(len(given[name]) if name in given else lengths.get(name, 0), dtype)
            self._pools[name] = self._memory[name].items()
            if name in given:
                self._pools[name][:] = given[name]
        if self.variant == "full":
            start_proxies(plan, self._pools)
        for name in ("populations", "hops", "services", "instances"):
            for field in getattr(plan, name).dtype.names:
                self._pools[name][field] = getattr(plan, name)[field]
        if self.variant == "full" and len(plan.traits):
            for field in layout.TRAIT.names or ():
                self._pools["traits"][field] = plan.traits[field]
            self._pools["traits"]["limit_now"] = plan.traits["limit_start"]
            self._pools["caches"][:] = plan.traits["cache_filled"]
        self._start_tables()
        self._room(64)
        for name in POOLS:
            self._point(name)
        a = self._record[0]
        a["key"], a["epoch"], a["zones"] = plan.key, plan.epoch, len(plan.zones)
        for name in ("arrival_ns", "timeout_ns", "queue_ns", "completion_ns"):
            a[name] = INFINITE
        for name in ("free_call", "free_job", "free_node", "free_write", "slot_kind", "ended_job"):
            a[name] = NONE
        for name in _GROWING:
            a[f"{name}_left"] = len(self._pools[name])
        a["shift"] = _ns_shift(plan)
        self._make_room(extra=self._reborn())
        self._control(loop.BEGIN)

    def _start_tables(self) -> None:
        """Initial values that are not zero."""
        plan = self._plan
        populations, hops = self._pools["populations"], self._pools["hops"]
        populations["next_request"] = np.arange(len(populations), dtype=np.int64) << 44
        populations["factor"] = 1.0
        hops["head"] = hops["tail"] = NONE
        for hop in plan.hops:
            if hop["buckets_first"] >= 0:
                first = int(hop["buckets_first"])
                self._pools["tokens"][first : first + self._owners(hop)] = hop["budget_capacity"]
        services, shelves, instances = (self._pools[n] for n in ("services", "shelves", "instances"))
        services["targets_first"] = services["instances_first"]
        start_stores(self._pools, plan)
        places = instances["service"].astype(np.int64) * len(plan.zones) + instances["zone"]
        shelves["present"] = np.bincount(places, minlength=len(shelves))
        for table in (services, shelves):
            table["last"] = table["position"] = NONE
        instances["in_view"] = instances["sensed"] = instances["member"] = instances["probing"] = 1
        instances["work_factor"] = 1.0
        for field in ("head", "tail", "backlog_head", "backlog_tail", "parked", "place_in_order"):
            instances[field] = NONE
        instances["rate"] = 0.0
        instances["next_ns"] = INFINITE
        instances["heap_first"] = np.concatenate(([0], np.cumsum(instances["slots"], dtype=np.int64)[:-1]))
        self._pools["wheel"][:] = NONE
        self._pools["pools"]["head"] = self._pools["pools"]["tail"] = NONE
        self._pools["lines"]["head"] = self._pools["lines"]["tail"] = NONE

    def _reborn(self) -> int:
        """How many timers a start or a reset sets at once: a probe of each check, a thought of each user."""
        return max(len(self._plan.instances), count_checks(self._plan)) + int(self._plan.populations["users"].sum())

    def _owners(self, hop: Any) -> int:
        """How many client processes call over a hop: each has a bucket of its own, if there are any."""
        if hop["population"] >= 0:
            return int(self._plan.populations["clients"][hop["population"]])
        return int(self._plan.services["instances_count"][hop["caller"]])

    def _point(self, name: str) -> None:
        pool = self._pools[name]
        self._record[0][f"{name}_at"] = pool.ctypes.data
        self._record[0][f"{name}_length"] = pool.size

    def _resize(self, name: str, length: int) -> None:
        self._memory[name].grow(length)
        self._pools[name] = self._memory[name].items()
        self._point(name)

    def _bound(self, more: int) -> None:
        if self._limit is None:
            return
        used = {name: pool.nbytes for name, pool in self._pools.items()}
        if sum(used.values()) + more > self._limit:
            worst = max(used, key=lambda name: used[name])
            a = self._record[0]
            held = {n: len(self._pools[n]) - int(a[f"{n}_left"]) for n in _GROWING}
            filled = ", ".join(f"{held[n]:,} {what}" for n, what in _GROWING.items())
            raise LimitError(
                f"the simulation needs more than its memory limit of {self._limit / 2**20:.0f} MiB at "
                f"{self.now_ns / 1e9:.3f} s of simulated time (largest: {worst}, {used[worst] / 2**20:.0f} MiB; "
                f"held: {filled}). "
                "Bound the queues (queue: 1000), add a deadline, or give a larger --memory"
            )

    def _room(self, rows: int) -> None:
        """Make room for so many rows of the recording."""
        plan = self._plan
        p, s, z = len(plan.populations), len(plan.services), len(plan.zones)
        widths = {
            "population_rows": p * layout.POPULATION_COLUMNS,
            "service_rows": s * layout.SERVICE_COLUMNS,
            "zone_rows": s * z * layout.ZONE_COLUMNS,
            "latency_rows": BINS,
            "mix_rows": len(plan.mix) * layout.MIX_COLUMNS,
        }
        self._bound(8 * (rows - self._rows) * sum(widths.values()))
        for name, width in widths.items():
            self._resize(name, rows * width)
        starts = np.zeros(rows, np.int64)
        starts[: self._rows] = self._starts
        self._starts = starts
        self._rows = rows

    def _make_room(self, extra: int = 0) -> None:
        """Double the pools that are nearly full; or see to `extra` free event nodes."""
        a = self._record[0]
        spares = {"calls": loop.SPARE_CALLS, "jobs": loop.SPARE_JOBS, "nodes": loop.SPARE_NODES}
        if self.variant == "full":
            spares = {"calls": loop.FULL_SPARE_CALLS, "jobs": loop.FULL_SPARE_JOBS, "nodes": loop.FULL_SPARE_NODES}
            spares["writes"] = loop.SPARE_WRITES
        waiting, awaiting = int(a["waiting"]), int(a["awaiting"])
        spares["jobs"] += waiting + awaiting
        spares["nodes"] += extra + int(a["queued"]) + 3 * waiting + 2 * awaiting
        for name, spare in spares.items():
            left = int(a[f"{name}_left"])
            if left < spare:
                before = len(self._pools[name])
                length = max(2 * before, before + spare)
                width = sum(self._pools[pool].itemsize for pool in (name, *self._beside(name)))
                self._bound((length - before) * width)
                self._resize(name, length)
                a[f"{name}_left"] += length - before
                for beside in self._beside(name):
                    self._resize(beside, length)

    def _beside(self, name: str) -> tuple[str, ...]:
        """The pools that hold as many items as another one."""
        if name == "nodes":
            return ("near", "far")
        beside = {"calls": ("branches", "extras", "journeys"), "jobs": ("programs", "visits", "errands")}
        return beside.get(name, ()) if self.variant == "full" else ()

    # --- DataPlane -------------------------------------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """The tables this data plane runs on."""
        return self._plan

    @property
    def now_ns(self) -> int:
        """The instant reached: every event before it has happened."""
        # After a notice control acts 1 ns later, but the instant reached is the notice's (D23).
        return int(self._record["now_ns"][0]) - int(self._record["settled"][0] == ACTED)

    def advance(self, until_ns: int) -> Reason:
        """See `DataPlane.advance`."""
        while True:
            reason = loop.advance(self._record, until_ns, *self._marks)
            if reason == Reason.GROW:
                self._make_room()
                continue
            if reason == Reason.NOTICE:
                self._collect_notices()
            return Reason(reason)

    def _collect_notices(self) -> None:
        a = self._record[0]
        for notice in self._pools["notices"][: int(a["notice_count"])]:
            self._notices.append(Notice(int(notice["t_ns"]), int(notice["instance"]), bool(notice["healthy"])))
        a["notice_count"] = 0

    def take_notices(self) -> list[Notice]:
        """See `DataPlane.take_notices`."""
        notices, self._notices = self._notices, []
        return notices

    def _control(
        self, what: int, subject: int = 0, number: int = 0, extra: int = 0, x: float = 0.0, y: float = 0.0
    ) -> None:
        loop.control(self._record, what, subject, number, extra, x, y, *self._marks)

    def cut_row(self) -> int:
        """See `DataPlane.cut_row`."""
        self._control(loop.CUT)
        a = self._record[0]
        row = int(a["row"]) + 1
        if row >= self._rows:
            self._room(self._rows * 2)
        a["row"] = row
        self._starts[row] = a["now_ns"]
        return row

    def ended(self) -> tuple[int, int]:
        """See `DataPlane.ended`."""
        return int(self._record["successes"][0]), int(self._record["failures"][0])

    def lost_writes(self) -> int:
        """See `DataPlane.lost_writes`."""
        return int(self._record["lost_writes"][0])

    def set_view(self, instance: int, healthy: bool) -> None:
        """See `DataPlane.set_view`."""
        self._make_room()
        self._control(loop.SET_VIEW, instance, int(healthy))

    def set_instance_state(self, instance: int, state: InstanceState, backlog: int) -> None:
        """See `DataPlane.set_instance_state`."""
        # Each job may need an answer: as many event nodes as there are jobs.
        self._make_room(extra=len(self._pools["jobs"]) - int(self._record["jobs_left"][0]))
        self._control(loop.SET_STATE, instance, int(state), backlog)

    def set_stress(self, instance: int, threads: float, load: float, competition: int) -> None:
        """See `DataPlane.set_stress`."""
        if self.variant == "lean":
            raise InternalError("CPU stress on a plan whose instances were said to run at full speed")
        self._control(loop.SET_STRESS, instance, competition, 0, threads, load)

    def set_link(self, place_a: int, place_b: int, cut: bool) -> None:
        """See `DataPlane.set_link`."""
        places = len(self._plan.zones) + 1
        for link in (place_a * places + place_b, place_b * places + place_a):
            self._pools["cuts"][link] = int(cut)

    def set_latency(self, instance: int, add_ns: int) -> None:
        """See `DataPlane.set_latency`."""
        self._pools["instances"]["latency_ns"][instance] = add_ns

    def set_error_share(self, instance: int, share: float) -> None:
        """See `DataPlane.set_error_share`."""
        self._pools["instances"]["error_share"][instance] = share

    def _rich(self, what: str) -> None:
        if self.variant != "full":
            raise InternalError(f"{what} on a plan that was not said to need it (Plan.rich)")

    def set_loss(self, place_a: int, place_b: int, share: float) -> None:
        """See `DataPlane.set_loss`."""
        self._rich("packet loss")
        places = len(self._plan.zones) + 1
        for link in (place_a * places + place_b, place_b * places + place_a):
            self._pools["losses"][link] = share

    def set_instance_loss(self, instance: int, share: float) -> None:
        """See `DataPlane.set_instance_loss`."""
        self._rich("packet loss")
        self._pools["instances"]["loss"][instance] = share

    def set_malformed_share(self, instance: int, share: float) -> None:
        """See `DataPlane.set_malformed_share`."""
        self._rich("malformed answers")
        self._pools["instances"]["malformed"][instance] = share

    def set_work_factor(self, instance: int, factor: float) -> None:
        """See `DataPlane.set_work_factor`."""
        self._rich("slower work")
        self._pools["instances"]["work_factor"][instance] = factor

    def set_member(self, instance: int, member: bool) -> None:
        """See `DataPlane.set_member`."""
        self._make_room()
        self._control(loop.SET_MEMBER, instance, int(member))

    def set_probing(self, instance: int, on: bool) -> None:
        """See `DataPlane.set_probing`."""
        self._make_room(extra=int(self._plan.services["checkers"].max()))
        self._control(loop.SET_PROBING, instance, int(on))

    def readings(self) -> Int64s:
        """See `DataPlane.readings`."""
        self._control(loop.READ)
        instances, now_ns = self._pools["instances"], int(self._record["now_ns"][0])
        found = np.zeros((len(instances), layout.READING_COLUMNS), np.int64)
        dt_ns = now_ns - instances["clock_ns"]
        found[:, layout.CPU_USED] = instances["cpu"]
        if self.variant == "lean":
            found[:, layout.CPU_USED] += dt_ns * instances["on_cpu"] * VIRTUAL_PER_NS
        else:
            found[:, layout.CPU_USED] += _progress(dt_ns, instances["rate"]) * instances["on_cpu"]
            found[:, layout.STRESS_USED] = instances["stress"] + _progress(dt_ns, instances["stress_rate"])
        found[:, layout.WAITING_NOW] = instances["queued"] + instances["backlogged"]
        found[:, layout.SERVED_NOW] = instances["busy"]
        return found

    def sent(self) -> Int64s:
        """See `DataPlane.sent`."""
        width, row = len(self._plan.services) * layout.SERVICE_COLUMNS, int(self._record["row"][0])
        rows = self._pools["service_rows"][: (row + 1) * width].reshape(row + 1, -1, layout.SERVICE_COLUMNS)
        self._sent += rows[self._sent_row : row, :, layout.SENT].sum(axis=0)
        self._sent_row = row
        return self._sent + rows[row, :, layout.SENT]

    def set_nodes(self, zone: int, state: InstanceState) -> None:
        """See `DataPlane.set_nodes`."""
        self._rich("nodes in zones")
        self._control(loop.SET_NODES, zone, int(state))

    def set_listed(self, service: int, zone: int, listed: bool) -> None:
        """See `DataPlane.set_listed`."""
        self._rich("names")
        self._pools["listed"][service * len(self._plan.zones) + zone] = int(listed)

    def set_resolves(self, service: int, resolves: bool) -> None:
        """See `DataPlane.set_resolves`."""
        self._rich("names")
        self._pools["unresolved"][service] = int(not resolves)

    def _change(self, table: str, number: int, fields: tuple[str, ...], changes: Mapping[str, float]) -> None:
        planned = getattr(self._plan, table)[number]
        for field in fields:
            self._pools[table][field][number] = changes.get(field, planned[field])

    def set_hop(self, hop: int, changes: Mapping[str, float]) -> None:
        """See `DataPlane.set_hop`."""
        self._change("hops", hop, layout.HOP_CHANGEABLE, changes)
        self._change("policies", hop, layout.POLICY_CHANGEABLE, changes)
        first, owners = int(self._plan.hops[hop]["buckets_first"]), self._owners(self._plan.hops[hop])
        if first >= 0:
            tokens = self._pools["tokens"][first : first + owners]
            np.minimum(tokens, self._pools["hops"]["budget_capacity"][hop], out=tokens)

    def set_instance(self, instance: int, changes: Mapping[str, float]) -> None:
        """See `DataPlane.set_instance`."""
        self._change("instances", instance, layout.INSTANCE_CHANGEABLE, changes)

    def set_rate_factor(self, population: int, factor: float) -> None:
        """See `DataPlane.set_rate_factor`."""
        self._control(loop.SET_FACTOR, population, x=factor)

    def reset(self) -> None:
        """See `DataPlane.reset`."""
        self._make_room(extra=self._reborn())
        self._control(loop.RESET)

    def refill_caches(self) -> None:
        """See `DataPlane.refill_caches`."""
        if len(self._pools["caches"]) and len(self._plan.traits):
            self._pools["caches"][:] = self._plan.traits["cache_filled"]

    def set_retries(self, on: bool) -> None:
        """See `DataPlane.set_retries`."""
        self._record["retries_off"] = int(not on)

    def finish(self) -> Recording:
        """See `DataPlane.finish`."""
        self._control(loop.CUT)
        plan, a = self._plan, self._record[0]
        p, s, z = len(plan.populations), len(plan.services), len(plan.zones)
        rows = int(a["row"]) + 1

        def table(name: str, *dims: int) -> Any:
            size = rows * int(np.prod(dims))
            return self._pools[name][:size].reshape(rows, *dims).copy()

        return Recording(
            start_ns=self._starts[:rows].copy(),
            end_ns=int(a["now_ns"]),
            populations=table("population_rows", p, layout.POPULATION_COLUMNS),
            services=table("service_rows", s, layout.SERVICE_COLUMNS),
            zones=table("zone_rows", s, z, layout.ZONE_COLUMNS),
            latency=table("latency_rows", BINS),
            mix=table("mix_rows", len(plan.mix), layout.MIX_COLUMNS),
            hop_attempts=self._pools["hop_attempts"].copy(),
            hop_outcomes=self._pools["hop_outcomes"].reshape(-1, OUTCOMES).copy(),
            in_flight=self._pools["populations"]["in_flight"].copy(),
            attempts_in_flight=self._pools["hops"]["in_flight"].copy(),
            cpu_in_progress=self._cpu_in_progress(),
        )

    def _cpu_in_progress(self) -> int:
        """Core time spent on jobs that are still there, 2^-10 ns."""
        jobs = self._pools["jobs"][: int(self._record["fresh_job"][0])]
        earlier = 0  # in steps before the one at which a job is on the CPU
        if self.variant == "full":
            earlier = exact_sum(self._pools["programs"]["cpu"][np.flatnonzero(jobs["state"] == ON_CPU)])
        jobs = jobs[jobs["state"] != FREE]
        on_cpu = jobs["state"] == ON_CPU
        # For a job on the CPU: what its instance's clock, or time itself, has gained since it joined.
        clocks = self._clocks()[jobs["instance"][on_cpu]] if self.variant != "lean" else self._record["now_ns"][0]
        since = (clocks - jobs["expiry_or_joined"][on_cpu]) * (1024 if self.variant == "lean" else 1)
        return earlier + exact_sum(since) + exact_sum(jobs["finish_or_cpu"][~on_cpu])

    def _clocks(self) -> Any:
        """The virtual clocks of all instances, now."""
        instances = self._pools["instances"]
        clocks = instances["clock"].copy()
        for i in np.flatnonzero(instances["on_cpu"]):
            dt_ns = int(self._record["now_ns"][0]) - int(instances["clock_ns"][i])
            clocks[i] += virtual_progress(dt_ns, float(instances["rate"][i]))
        return clocks

    def check(self) -> None:
        """See `DataPlane.check`."""
        a = self._record[0]
        calls = self._pools["calls"][: int(a["fresh_call"])]
        jobs = self._pools["jobs"][: int(a["fresh_job"])]
        hops = self._pools["hops"]
        instances = self._pools["instances"]
        plan = self._plan
        rows = int(a["row"]) + 1
        p = len(plan.populations)
        width = layout.POPULATION_COLUMNS
        series = self._pools["population_rows"][: rows * p * width].reshape(rows, p, width).sum(axis=0)
        failed = series[:, layout.FAILED : layout.FAILED + OUTCOMES].sum(axis=1)
        live = calls[calls["state"] != FREE]
        leads = live
        if self.variant == "full":  # a hedge is no call
            extras = self._pools["extras"][: len(calls)]
            leads = calls[(calls["state"] != FREE) & (extras["lead"] == NONE)]
        for k, name in enumerate(plan.population_names):
            hop = int(plan.populations["hop"][k])
            held = int((leads["hop"] == hop).sum())
            offered, succeeded = int(series[k, layout.OFFERED]), int(series[k, layout.SUCCEEDED])
            _same(f"C1 {name}: offered = succeeded + failed + in flight", offered, succeeded + int(failed[k]) + held)
            _same(f"C1 {name}: in flight", int(self._pools["populations"]["in_flight"][k]), held)
        outcomes = self._pools["hop_outcomes"].reshape(-1, OUTCOMES).sum(axis=1)
        for h in range(len(hops)):
            waiting = int(((live["hop"] == h) & (live["state"] == WAITING)).sum())
            _same(f"C2 hop {h}: attempts", int(self._pools["hop_attempts"][h]), int(outcomes[h]) + waiting)
        busy = np.bincount(
            jobs["instance"][(jobs["state"] == ON_CPU) | (jobs["state"] == CALLING)], minlength=len(instances)
        )
        targets = np.bincount(live["target"][live["target"] >= 0], minlength=len(instances))
        for i, name in enumerate(plan.instance_names):
            _same(f"{name}: slots taken", int(instances["busy"][i]), int(busy[i]))
            _same(f"{name}: outstanding", int(instances["outstanding"][i]), int(targets[i]))
        spent = int(instances["cpu"].sum())
        if self.variant != "lean":
            spent += exact_sum((self._clocks() - instances["clock"]) * instances["on_cpu"])
        else:
            spent += int(((int(a["now_ns"]) - instances["clock_ns"]) * instances["on_cpu"]).sum()) * 1024
        s = len(plan.services)
        work = self._pools["service_rows"][: rows * s * layout.SERVICE_COLUMNS].reshape(rows, s, -1).sum(axis=(0, 1))
        judged = int(work[layout.USEFUL]) + int(work[layout.WASTED])
        # The accounts are right modulo 2^64: a large instance's own passes 2^63 in days.
        settled = judged + self._cpu_in_progress()
        _same("C3 CPU time = useful + wasted + in progress", spent % (1 << 64), settled % (1 << 64))


def _same(what: str, left: int, right: int) -> None:
    if left != right:
        raise InternalError(f"conservation broken: {what}: {left} against {right}")
