"""One instance: queue, slots, the jobs in them, and what it is to its callers (D7-D10, D13, D17)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Any

from azsim.base.seeds import ERROR, LOOKUP, MALFORMED, PATH, STEP, key_hash
from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Kind, Outcome
from azsim.dataplane.layout import Plan
from azsim.dataplane.reference.call import Call
from azsim.dataplane.reference.clock import Clock, Key
from azsim.dataplane.reference.cpu import SharedCpu
from azsim.dataplane.reference.hop import Hop
from azsim.dataplane.reference.ledger import Ledger
from azsim.dataplane.reference.limiter import Limiter
from azsim.dataplane.reference.network import Action, Dispatch, Network
from azsim.dataplane.reference.program import Calls, Fan, Operation, Quorum, Work
from azsim.dataplane.reference.proxy import Proxy
from azsim.dataplane.reference.queue import Codel, WaitingLine
from azsim.policy.caches import FILLS, HIT, kept, looked_up
from azsim.policy.cpu import VIRTUAL_PER_NS, overload_slowdown, warmup_slowdown
from azsim.policy.distributions import sample_work, unit
from azsim.policy.faults import slowed


class Stage(Enum):
    """Where a job is."""

    WAITING = auto()
    ON_CPU = auto()
    CALLING = auto()


class Job:
    """What an instance does for one dispatch: the steps of an operation, one after the other."""

    def __init__(self, dispatch: Dispatch, operation: Operation) -> None:
        self.dispatch = dispatch
        self.stage = Stage.WAITING
        self.fails = False
        self.came_ns = 0
        self.held = 0  # jobs that the instance held when it came, itself included
        self.cpu = 0  # used, 2^-10 ns
        self.operation = operation
        self.steps_taken = 0
        self.calls_made = 0
        self.found: int | None = None  # what its lookup in the cache found
        self.fan: Fan | None = None  # the calls it waits for


class Instance:
    """An instance of a service. `row` is its row of Plan.instances.

    `outgoing`, the hops of its calls, `operations`, those of the plan, and `default`, what it does for callers that
    ask for none, are set later.
    """

    def __init__(
        self,
        plan: Plan,
        number: int,
        row: Any,
        trait: Any,
        service: Any,
        clock: Clock,
        network: Network,
        ledger: Ledger,
    ) -> None:
        self.number = number
        self.service: int = row.service
        self.zone: int = row.zone
        self.client: int = number - service.instances_first  # its number as a client process of its own calls
        self.latency_ns = 0
        self.error_share = 0.0
        self.loss = 0.0
        self.malformed = 0.0
        self.work_factor = 1.0
        self.state = InstanceState.UP
        self.outgoing: Sequence[Hop] = ()
        self.incoming: Sequence[Hop] = ()  # of those who call it
        self.operations: Sequence[Operation] = ()
        self.default: Operation = ()
        self.proxies: Sequence[Proxy] = ()  # those of its own calls, where callers are proxies
        self.pump: Action = lambda: None  # lets proxies use what calls that were given up have left
        self.cpu = SharedCpu(clock, row.cores, self._completed, self._slowdown)
        self.in_service = 0
        self._plan = plan
        self._row = row
        self._trait = trait
        self._most_places: int = row.queue  # that it has ever had
        self._probes_wait = bool(service.probe_queue)
        self._clock = clock
        self._network = network
        self._ledger = ledger
        self._jobs: dict[Key, Job] = {}
        self._queue: WaitingLine[Job] = WaitingLine(
            row.discipline, trait.newest_beyond, Codel(trait.codel_interval_ns, trait.codel_target_ns)
        )
        self._ready_ns = 0  # when it has booted
        self._cold = False  # whether it has been dead or crashed
        self._served = 0  # requests since then
        self._entries: int = trait.cache_filled  # of its cache
        self._limiter = Limiter(trait, plan.key, number)
        self._priorities: list[int] = plan.populations["priority"].tolist()
        self._backlog: deque[Dispatch] = deque()
        self._backlog_places = 0
        self._parked: list[tuple[Kind, Key, Action]] = []

    @property
    def paused(self) -> bool:
        """Whether its process is stopped."""
        return self.state is InstanceState.PAUSED

    @property
    def waiting(self) -> int:
        """Jobs that wait for a slot, the backlog included."""
        return len(self._queue) + len(self._backlog)

    @property
    def full_cores(self) -> float:
        """Cores that it would get with all slots busy."""
        return self.cpu.capacity(self._row.slots)

    @property
    def calls(self) -> Iterator[Call]:
        """The calls its jobs wait for."""
        return (call for job in self._jobs.values() if job.fan is not None for call in job.fan.calls)

    def check(self) -> str:
        """What does not add up here; empty: all does."""
        stages = [job.stage for job in self._jobs.values()]
        if self.in_service != len(stages) - stages.count(Stage.WAITING):
            return f"{self.in_service} slots are taken, {len(stages)} jobs are there, {len(self._queue)} of them wait"
        if len(self._queue) != stages.count(Stage.WAITING):
            return f"{len(self._queue)} queue places are taken for {stages.count(Stage.WAITING)} jobs"
        if self.in_service > self._row.slots or len(self._queue) > self._most_places:
            return f"{self.in_service} jobs in service and {len(self._queue)} waiting are too many"
        if self._queue and self.in_service < self._row.slots:
            return "jobs wait beside a free slot"
        if self.cpu.jobs != stages.count(Stage.ON_CPU):
            return f"{self.cpu.jobs} jobs are on the CPU, not {stages.count(Stage.ON_CPU)}"
        if self.state in (InstanceState.CRASHED, InstanceState.DEAD) and (stages or self._backlog or self._parked):
            return "it is gone and holds something"
        if self.state is InstanceState.UP and (self._backlog or self._parked):
            return "it is up and has a backlog"
        return ""

    def receive(self, dispatch: Dispatch) -> bool:
        """Take in what was delivered; False: it is lost (D7)."""
        if self.state is InstanceState.DEAD:
            return False
        if self.state is InstanceState.CRASHED:
            self._ledger.count(self.service, layout.REFUSED)
            self._network.answer(dispatch, Outcome.REFUSED)
        elif self.state is InstanceState.PAUSED:
            if len(self._backlog) >= self._backlog_places:
                return False
            self._backlog.append(dispatch)
        else:
            self._admit(dispatch)
        return True

    def _admit(self, dispatch: Dispatch) -> None:
        """A free slot, else a queue place, else the answer `overload` (D8)."""
        if self.boots:
            self._ledger.count(self.service, layout.REFUSED)
            self._network.answer(dispatch, Outcome.REFUSED)
            return
        if dispatch.is_probe and not self._probes_wait:
            self._network.answer(dispatch, Outcome.ERROR if self._draws_error(dispatch.key) else Outcome.OK)
            return
        asked = dispatch.operation
        job = Job(dispatch, () if dispatch.is_probe else self.operations[asked] if asked >= 0 else self.default)
        held = self.in_service + len(self._queue)
        job.came_ns, job.held = self._clock.now_ns, held + 1
        if not self._limiter.admits(self._clock.now_ns, held):
            self._turn_away(job)
        elif self.in_service < self._row.slots:
            self._queue.note_no_wait(self._clock.now_ns)
            self._start(job)
        elif len(self._queue) < self._row.queue:
            self._wait(job)
        else:
            displaced = self._queue.displace(self._priority(dispatch))
            if displaced is not None:
                del self._jobs[displaced.dispatch.key]
                self._learn(displaced, dropped=True)
                self._wait(job)
            self._turn_away(displaced or job)

    def _wait(self, job: Job) -> None:
        self._jobs[job.dispatch.key] = job
        self._queue.put(job, self._priority(job.dispatch), self._clock.now_ns)

    def _turn_away(self, job: Job) -> None:
        self._ledger.count(self.service, layout.OVERLOADED)
        self._network.answer(job.dispatch, Outcome.OVERLOAD)

    def _learn(self, job: Job, dropped: bool) -> None:
        if not job.dispatch.is_probe:
            self._limiter.learn(self._clock.now_ns - job.came_ns, job.held, dropped)

    def _priority(self, dispatch: Dispatch) -> int:
        """A probe has the lowest class, all else that of its population (D40)."""
        return 0 if dispatch.is_probe else self._priorities[dispatch.key.request >> 44]

    def _slowdown(self, busy: int) -> float:
        """How many times longer work takes with so many slots in service (D39)."""
        trait = self._trait
        slower = overload_slowdown(busy, trait.contention, trait.coherency)
        if self._cold and trait.warm_slowdown > 1.0:
            elapsed_ns = max(0, self._clock.now_ns - self._ready_ns)
            slower *= warmup_slowdown(trait.warm_slowdown, elapsed_ns, trait.warm_ns, self._served, trait.warm_requests)
        return slower

    @property
    def boots(self) -> bool:
        """Whether it is up but does not accept yet (D58)."""
        return self._clock.now_ns < self._ready_ns

    def _set_in_service(self, slots: int) -> None:
        self.in_service = slots
        self.cpu.set_busy(slots)

    def _draws_error(self, key: Key) -> bool:
        return self.error_share > 0.0 and unit(key_hash(self._plan.key, *key, ERROR)) < self.error_share

    def _start(self, job: Job) -> None:
        """A job takes a slot and goes on the CPU (D9)."""
        key = job.dispatch.key
        self._set_in_service(self.in_service + 1)
        self._ledger.count(self.service, layout.STARTED)
        self._jobs[key] = job
        job.fails = self._draws_error(key)
        if not job.fails and job.operation and isinstance(job.operation[0], Work):
            self._take_step(job)
        else:
            # A failed job, a probe, and a program that begins with calls: no work (D43) but that of a handshake.
            self._go_on_cpu(job, 0 if job.fails else self._handshake_ns(job))

    def _handshake_ns(self, job: Job) -> int:
        """Work for the connection that a job came over, if that is new (D124)."""
        handshake_ns = job.dispatch.handshake_ns
        return slowed(handshake_ns, self.work_factor) if handshake_ns else 0

    def _go_on_cpu(self, job: Job, work_ns: int) -> None:
        job.stage = Stage.ON_CPU
        self.cpu.join(job.dispatch.key, work_ns * VIRTUAL_PER_NS)

    def _work_ns(self, job: Job, step: Work) -> int:
        """How much work the step that a job is at asks for (D9, D43)."""
        row = self._row if step.row is None else step.row
        request, path, tag = job.dispatch.key
        if job.steps_taken > 0:
            path = key_hash(self._plan.key, request, path, tag * 64 + job.steps_taken, STEP)
        work_ns = sample_work(
            row.work,
            row.work_a,
            row.work_b,
            self._plan.work_table,
            row.table_first,
            row.table_count,
            self._plan.key,
            request,
            path,
            tag,
        )
        return slowed(work_ns, self.work_factor)

    def _completed(self, key: Key, cpu: int) -> None:
        """A job's work is done: its next step comes (D10)."""
        job = self._jobs[key]
        job.cpu += cpu
        self._ledger.spent(self.service, cpu)
        if job.fails:
            self._end(job, Outcome.ERROR)
        else:
            self._take_step(job)

    def _take_step(self, job: Job) -> None:
        """Begin the next step of a job's operation, or end the job (D10, D43)."""
        while job.steps_taken < len(job.operation):
            step = job.operation[job.steps_taken]
            if isinstance(step, Work):
                work_ns = self._work_ns(job, step)
                if job.steps_taken == 0:
                    work_ns += self._handshake_ns(job)
                job.steps_taken += 1
                self._go_on_cpu(job, work_ns)
                return
            job.steps_taken += 1
            if self._make_calls(job, step):
                return
        self._end(job, Outcome.OK)

    def _make_calls(self, job: Job, step: Calls | Quorum) -> bool:
        """Make the calls of a step that a hit in the cache does not spare; False: there are none (D44, D90)."""
        wanted = step.wanted(self.zone)
        cached = [hop for hop, _ in wanted if hop.policy.cached]
        spared = cached if cached and self._hits(job) else []
        if len(spared) == len(wanted):
            job.calls_made += len(wanted)
            return False
        job.stage = Stage.CALLING
        job.fan = fan = Fan(step)
        for hop, zone in wanted:
            if hop in spared:
                job.calls_made += 1
            else:
                self._call(job, fan, hop, zone)
        return True

    def _hits(self, job: Job) -> bool:
        """Whether the cache has what a job needs: it is looked up once, before the first call (D90)."""
        trait = self._trait
        if not trait.cache_entries:
            return False
        if job.found is None:
            request, path, _ = job.dispatch.key
            draw = unit(key_hash(self._plan.key, request, path, 0, LOOKUP))
            job.found = looked_up(draw, trait.cache_hit_ratio, self._entries, trait.cache_entries)
            self._ledger.count(self.service, layout.HITS if job.found == HIT else layout.MISSES)
        return job.found == HIT

    def _call(self, job: Job, fan: Fan, hop: Hop, zone: int | None) -> None:
        """One call of a step (D1, D44)."""
        request, path, tag = job.dispatch.key
        child_path = key_hash(self._plan.key, request, path, tag * 64 + job.calls_made, PATH)
        job.calls_made += 1

        def ended(call: Call, outcome: Outcome) -> None:
            fan.ended(call, outcome)
            job.dispatch.degraded |= call.degraded and outcome is Outcome.OK
            # Not before all calls of the step have been made.
            self._clock.soon(lambda: self._look_at(job, fan))

        fan.calls.append(
            Call(
                hop,
                request,
                child_path,
                self.zone,
                self.client,
                self,
                ended,
                hop.row.operation,
                zone,
                job.dispatch.by_ns,
            )
        )

    def _look_at(self, job: Job, fan: Fan) -> None:
        """Go on if the step is decided: the rest of a quorum is given up (D44, D45)."""
        if job.fan is not fan or not fan.is_over:
            return
        job.fan = None
        for call in fan.calls:
            call.give_up(cancel=True)
        if fan.calls:
            self.pump()
        outcome = fan.outcome()
        if fan.write is not None:
            store, operation = fan.write
            store.acknowledge(operation, fan.holders)
        job.dispatch.degraded |= fan.degraded
        if outcome is Outcome.OK:
            self._take_step(job)
        else:
            self._end(job, outcome)  # D15

    def _malformed(self, job: Job) -> bool:
        """Whether the answer to a job is an error though all was done for it (D51)."""
        if self.malformed <= 0.0 or job.dispatch.is_probe:
            return False
        return unit(key_hash(self._plan.key, *job.dispatch.key, MALFORMED)) < self.malformed

    def _end(self, job: Job, outcome: Outcome) -> None:
        if outcome is Outcome.OK and self._malformed(job):
            outcome = Outcome.ERROR
        del self._jobs[job.dispatch.key]
        self._free_slot(job if outcome is Outcome.OK else None)
        self._network.answer(job.dispatch, outcome, job.cpu)

    def _free_slot(self, done: Job | None = None) -> None:
        """A slot is free again, after a job that is done well or another; who waits may have it."""
        if done is not None and not done.dispatch.is_probe:
            self._served += 1
            if done.found == FILLS:
                self._entries = min(self._trait.cache_entries, self._entries + 1)  # D91
        self._set_in_service(self.in_service - 1)
        if done is not None:
            self._learn(done, dropped=False)
        now_ns = self._clock.now_ns
        while self._queue:
            job, came_ns = self._queue.take(now_ns)
            if self._row.drop_expired and job.dispatch.expiry_ns <= now_ns:
                del self._jobs[job.dispatch.key]
                self._ledger.count(self.service, layout.DROPPED)
                self._learn(job, dropped=True)
            elif self._queue.codel_drops(now_ns, came_ns):
                del self._jobs[job.dispatch.key]
                self._learn(job, dropped=True)
                self._turn_away(job)
            else:
                self._start(job)
                return

    def cancel(self, dispatch: Dispatch) -> None:
        """The caller of a dispatch has gone and says so (D13)."""
        job = self._jobs.get(dispatch.key)
        if self.paused or job is None:
            return
        del self._jobs[dispatch.key]
        if job.stage is Stage.WAITING:
            self._queue.remove(job)
            return
        self._abandon(job)
        if job.stage is Stage.CALLING:
            self.pump()
        self._ledger.settle(self.service, job.cpu, useful=False)
        self._free_slot()

    def _abandon(self, job: Job) -> None:
        """Stop a job in service where it stands."""
        if job.stage is Stage.ON_CPU:
            cpu = self.cpu.leave(job.dispatch.key)
            job.cpu += cpu
            self._ledger.spent(self.service, cpu)
        elif job.fan is not None:
            for call in job.fan.calls:
                call.give_up()
            job.fan = None

    def refill_cache(self) -> None:
        """Let its cache hold what it did at the start."""
        self._entries = self._trait.cache_filled

    def change(self, fields: Mapping[str, Any]) -> None:
        """Let its bounds be others from now on; who waits already keeps the place (D57)."""
        for field, value in fields.items():
            setattr(self._row, field, value)
        self._most_places = max(self._most_places, self._row.queue)

    def set_state(self, state: InstanceState, backlog_places: int) -> None:
        """Become up, paused, crashed or dead (D17)."""
        if state is self.state:
            return
        resumes = self.paused and state is InstanceState.UP
        gone = (InstanceState.CRASHED, InstanceState.DEAD)
        if self.state in gone and state not in gone:
            self._ready_ns = self._clock.now_ns + self._trait.boot_ns
        self.state = state
        self._backlog_places = backlog_places
        if state is InstanceState.CRASHED or state is InstanceState.DEAD:
            self.empty(reset=state is InstanceState.CRASHED)
            self._queue.restart()
            self._limiter.restart()
            self._cold, self._served = True, 0
            self._entries = kept(self._entries, self._trait.cache_kept)
            for hop in self.incoming:
                hop.close(target=self)
            for hop in self.outgoing:
                hop.restart(self.client)
            for proxy in self.proxies:
                proxy.forget()
        self.cpu.set_state(paused=self.paused, dead=state is InstanceState.DEAD)
        if resumes:
            self._resume()
        self.pump()

    def _resume(self) -> None:
        backlog = list(self._backlog)
        self._backlog.clear()
        for dispatch in backlog:
            self._admit(dispatch)
        parked, self._parked = self._parked, []
        for kind, key, act in parked:
            self._clock.at(self._clock.now_ns, kind, key, act)

    def park(self, kind: Kind, key: Key, act: Action) -> None:
        """Let an event of its own calls wait for the end of the pause (D17)."""
        self._parked.append((kind, key, act))

    def empty(self, reset: bool) -> None:
        """All that it holds vanishes; with `reset` whoever waits for it gets that answer (D17)."""
        gone = list(self._backlog)
        self._backlog.clear()
        for job in self._jobs.values():
            self._abandon(job)
            gone.append(job.dispatch)
        cpu = {key: job.cpu for key, job in self._jobs.items()}
        self._jobs.clear()
        self._queue.clear()
        self._set_in_service(0)
        for dispatch in gone:
            if reset:
                self._network.answer(dispatch, Outcome.RESET, cpu.get(dispatch.key, 0))
            else:
                self._ledger.settle(self.service, cpu.get(dispatch.key, 0), useful=False)
        parked, self._parked = self._parked, []
        for _, _, act in parked:
            act()  # its calls are given up: parked answers find nobody (D25)
