"""The reference data plane: builds the world of a plan, lets it run, and acts on it (protocol.DataPlane)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from types import SimpleNamespace
from typing import Any

import numpy as np

from azsim.base.errors import InternalError
from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Kind, Reason
from azsim.dataplane.layout import Int64s, Plan, Recording, Records
from azsim.dataplane.protocol import Notice
from azsim.dataplane.reference.balancer import Balancer
from azsim.dataplane.reference.call import Call
from azsim.dataplane.reference.clock import Clock
from azsim.dataplane.reference.conservation import (
    check_attempts,
    check_budgets,
    check_cpu,
    check_instances,
    check_requests,
    check_targets,
)
from azsim.dataplane.reference.hop import Hop
from azsim.dataplane.reference.instance import Instance
from azsim.dataplane.reference.ledger import Ledger
from azsim.dataplane.reference.names import Name
from azsim.dataplane.reference.network import Host, Network
from azsim.dataplane.reference.population import OpenLoop, Population, Recorded, Users
from azsim.dataplane.reference.prober import Panel, Prober
from azsim.dataplane.reference.program import Calls, Operation, Work, operation_of
from azsim.dataplane.reference.proxy import Proxy
from azsim.dataplane.reference.store import Store
from azsim.policy.balancing import ZONAL


def _rows(table: Records) -> list[Any]:
    """The rows of a table as plain objects with plain numbers."""
    names = table.dtype.names or ()
    return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in table.tolist()]


def _changed(planned: Any, fields: tuple[str, ...], changes: Mapping[str, float]) -> dict[str, Any]:
    """What these fields of a row are with the changes: the others as planned."""
    return {field: changes.get(field, planned[field].item()) for field in fields}


class Reference:
    """The world of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._now_ns = 0
        self._notices: list[Notice] = []
        self._clock = clock = Clock()
        self._ledger = ledger = Ledger(plan)
        self._network = network = Network(plan, clock, ledger)
        services, populations = _rows(plan.services), _rows(plan.populations)
        outside = len(plan.zones)
        traits = _rows(plan.traits if len(plan.traits) else np.zeros(len(plan.instances), layout.TRAIT))
        self._instances = [
            Instance(plan, number, row, traits[number], services[row.service], clock, network, ledger)
            for number, row in enumerate(_rows(plan.instances))
        ]
        self._balancers = [Balancer(plan.key, service, self._instances_of(service), outside) for service in services]
        self._stores = [self._store(number, service) for number, service in enumerate(services)]
        tokens, policies = [0] * plan.buckets, _rows(plan.policies)
        self._hops = [
            Hop(
                number,
                row,
                populations[row.population].clients if row.caller < 0 else services[row.caller].instances_count,
                plan.key,
                self._balancers[row.service],
                clock,
                network,
                ledger,
                tokens,
                policies[number],
                self._stores[row.service],
            )
            for number, row in enumerate(_rows(plan.hops))
        ]
        steps, hops = _rows(plan.steps), self._hops
        operations = [
            operation_of(steps[row.steps_first : row.steps_first + row.steps_count], hops)
            for row in _rows(plan.operations)
        ]
        for instance in self._instances:
            service = services[instance.service]
            instance.outgoing = self._hops[service.calls_first : service.calls_first + service.hops_count]
            instance.operations = operations
            instance.default = operations[service.operation] if service.operation >= 0 else self._plain(service)
        self._names: dict[int, Name] = {}  # of zonal balancers, by service
        self._build_proxies(services)
        segments, places, mix = _rows(plan.segments), _rows(plan.places), _rows(plan.mix)
        self._populations: list[Population] = []
        for number, row in enumerate(populations):
            own_places = places[row.places_first : row.places_first + row.places_count]
            own_mix = mix[row.mix_first : row.mix_first + row.mix_count]
            of_all = number, row, own_places, own_mix, plan.epoch, self._hops[row.hop], clock, ledger
            if row.users:
                self._populations.append(Users(*of_all))
            elif row.recorded_count:
                arrivals = plan.recorded[row.recorded_first : row.recorded_first + row.recorded_count].tolist()
                self._populations.append(Recorded(arrivals, *of_all))
            else:
                own_segments = segments[row.segments_first : row.segments_first + row.segments_count]
                self._populations.append(OpenLoop(own_segments, *of_all))
        self._panels = {number: self._panel(services, number) for number in range(len(self._instances))}
        self._starts_ns = [0]
        self._cuts: list[Int64s] = []
        self._used = [(0, 0)] * len(self._instances)  # CPU readings at the last cut

    def _store(self, number: int, service: Any) -> Store | None:
        if service.replication_ns < 0:
            return None
        zones = {instance.zone for instance in self._instances_of(service)}
        written = {operation for operation, row in enumerate(_rows(self._plan.operations)) if row.writes}
        return Store(number, zones, service.replication_ns, service.operation, written, self._clock, self._ledger)

    def _plain(self, service: Any) -> Operation:
        """What a service does without programs: its work, then its calls, one after the other (D10)."""
        calls = self._hops[service.calls_first : service.calls_first + service.calls_count]
        return [Work(), *(Calls([hop]) for hop in calls)]

    def _panel(self, services: list[Any], number: int) -> Panel:
        """The checkers of a target, which make up their minds apart and are counted together (D107)."""
        instance = self._instances[number]
        service, balancer = services[instance.service], self._balancers[instance.service]
        panel = Panel(service, self._health_flipped)
        panel.checkers += [
            Prober(
                self._plan.key,
                instance,
                service,
                len(self._plan.zones),
                self._clock,
                self._network,
                panel.opinion,
                balancer.check_passed,
                checker,
            )
            for checker in range(service.checkers if service.health else 0)
        ]
        return panel

    def _build_proxies(self, services: list[Any]) -> None:
        """One proxy for a whole service, or one in each client process that calls it (D100)."""
        plan = self._plan
        proxied = [number for number, row in enumerate(_rows(plan.balancing)) if row.proxied]
        for number in proxied:
            service, row = services[number], _rows(plan.balancing)[number]
            first, count = service.instances_first, service.instances_count
            self._balancers[number].proxies = [
                Proxy(
                    plan.key,
                    service,
                    row,
                    self._instances_of(service),
                    plan.weights[first : first + count].tolist(),
                    self._balancers[number].in_view,
                    self._balancers[number].members,
                    len(plan.zones),
                    self._callers,
                    self._clock,
                    node // row.nodes_per_zone if row.placement == ZONAL else None,
                )
                for node in range(row.proxies_count)
            ]
            name = Name(plan.key, row, len(plan.zones), self._clock) if row.placement == ZONAL else None
            if name is not None:
                self._names[number] = name
            for hop in self._hops:
                if hop.row.service == number:
                    begin = int(plan.hop_proxies[hop.number]) - row.proxies_first
                    own = self._balancers[number].proxies
                    if name is not None:
                        hop.resolve_by(name)
                    hop.proxies = own[begin : begin + hop.clients] if begin >= 0 else own
        for hop in self._hops:
            hop.pump = self._pump
        for instance in self._instances:
            instance.pump = self._pump
            instance.incoming = [hop for hop in self._hops if hop.row.service == instance.service]
            instance.proxies = [
                hop.proxies[instance.client] for hop in instance.outgoing if hop.proxies and hop.proxies[0].is_callers
            ]

    def _pump(self) -> None:
        for hop in self._hops:
            hop.fill_pools()
        for balancer in self._balancers:
            for proxy in balancer.proxies:
                proxy.pump()

    def _callers(self, hop: int, zone: int) -> int:
        """How many callers of a hop there are in a zone: shares of a population, or instances in view (D102)."""
        row = self._hops[hop].row
        if row.caller >= 0:
            balancer = self._balancers[row.caller]
            return sum(balancer.counts(target) for target in balancer.in_view if target.zone == zone)
        population = self._plan.populations[row.population]
        first, count = int(population["places_first"]), int(population["places_count"])
        places = self._plan.places[first : first + count].tolist()
        below = [0, *(upto for _, upto in places)]
        return sum(upto - less for (place, upto), less in zip(places, below, strict=False) if place == zone)

    def _instances_of(self, service: Any) -> list[Instance]:
        return self._instances[service.instances_first : service.instances_first + service.instances_count]

    def _health_flipped(self, target: Host, healthy: bool) -> None:
        self._notices.append(Notice(self._clock.now_ns, target.number, healthy))

    # Time.

    @property
    def plan(self) -> Plan:
        """The tables this data plane runs on."""
        return self._plan

    @property
    def now_ns(self) -> int:
        """The instant reached."""
        return self._now_ns

    def advance(self, until_ns: int) -> Reason:
        """Let all events before `until_ns` happen, or stop after the data of an instant that raised a notice."""
        if until_ns < self._now_ns:
            raise InternalError(f"asked to advance to {until_ns} ns, which is before {self._now_ns} ns")
        clock, known = self._clock, len(self._notices)
        end_ns = until_ns
        while clock.peek() < end_ns:
            clock.step()
            if len(self._notices) > known:
                end_ns = min(end_ns, clock.now_ns + 1)
        noticed = len(self._notices) > known
        self._now_ns = end_ns - 1 if noticed else until_ns
        # The clock stands at the first instant whose data has not happened: there control acts (D23).
        clock.pass_to(max(clock.now_ns, end_ns))
        return Reason.NOTICE if noticed else Reason.REACHED

    def take_notices(self) -> list[Notice]:
        """The notices raised since last asked."""
        taken, self._notices = self._notices, []
        return taken

    # Control.

    def set_view(self, instance: int, healthy: bool) -> None:
        """What the balancer holds of a target (D19)."""
        target = self._instances[instance]
        self._balancers[target.service].set_view(target, healthy)

    def set_instance_state(self, instance: int, state: InstanceState, backlog: int) -> None:
        """Change what an instance is (D17)."""
        changed = self._instances[instance]
        changed.set_state(state, backlog)
        store = self._stores[changed.service]
        if store is not None:
            there = [other for other in self._instances if other.service == changed.service]
            store.replicas({other.zone for other in there if other.state is not InstanceState.DEAD})

    def set_stress(self, instance: int, threads: float, load: float, competition: int) -> None:
        """CPU stressors of an instance (I3)."""
        self._instances[instance].cpu.set_stress(threads, load, competition)

    def set_link(self, place_a: int, place_b: int, cut: bool) -> None:
        """Cut or mend a link, both ways."""
        self._network.set_link(place_a, place_b, cut)

    def set_latency(self, instance: int, add_ns: int) -> None:
        """What packets to this instance take longer."""
        self._instances[instance].latency_ns = add_ns

    def set_error_share(self, instance: int, share: float) -> None:
        """The share of jobs that fail at their start (D9)."""
        self._instances[instance].error_share = share

    def set_loss(self, place_a: int, place_b: int, share: float) -> None:
        """The share of a link's packets that get lost (D50)."""
        self._network.set_loss(place_a, place_b, share)

    def set_instance_loss(self, instance: int, share: float) -> None:
        """The share of packets to and from an instance that get lost (D50)."""
        self._instances[instance].loss = share

    def set_malformed_share(self, instance: int, share: float) -> None:
        """The share of answers that are errors after all the work (D51)."""
        self._instances[instance].malformed = share

    def set_work_factor(self, instance: int, factor: float) -> None:
        """Multiply the work of jobs that start (D51)."""
        self._instances[instance].work_factor = factor

    def set_member(self, instance: int, member: bool) -> None:
        """Take an instance into its service's targets, or out of them (D52)."""
        target = self._instances[instance]
        self._balancers[target.service].set_member(target, member)

    def set_probing(self, instance: int, on: bool) -> None:
        """Begin or cease to probe an instance (D69)."""
        self._panels[instance].set_probing(on)

    def set_nodes(self, zone: int, state: InstanceState) -> None:
        """Lose the nodes of zonal balancers in a zone, or have them back (D111)."""
        before, self._network.nodes[zone] = self._network.nodes[zone], InstanceState(state)
        if before is InstanceState.UP and state != InstanceState.UP:
            for balancer in self._balancers:
                for proxy in balancer.proxies:
                    if proxy.zone == zone:
                        proxy.die()

    def set_listed(self, service: int, zone: int, listed: bool) -> None:
        """Take a zone into a name's answers, or out of them (B2)."""
        self._names[service].listed[zone] = listed

    def set_resolves(self, service: int, resolves: bool) -> None:
        """Whether a name resolves (D112)."""
        self._names[service].resolves = resolves

    def set_hop(self, hop: int, changes: Mapping[str, float]) -> None:
        """Change a hop's policy (D57)."""
        self._hops[hop].change(
            _changed(self._plan.hops[hop], layout.HOP_CHANGEABLE, changes),
            _changed(self._plan.policies[hop], layout.POLICY_CHANGEABLE, changes),
        )

    def set_instance(self, instance: int, changes: Mapping[str, float]) -> None:
        """Change an instance's bounds (D57)."""
        self._instances[instance].change(_changed(self._plan.instances[instance], layout.INSTANCE_CHANGEABLE, changes))

    def set_rate_factor(self, population: int, factor: float) -> None:
        """Multiply a population's rate (D31)."""
        self._populations[population].set_factor(factor)

    def refill_caches(self) -> None:
        """Let every cache hold what it did at the start."""
        for instance in self._instances:
            instance.refill_cache()

    def set_retries(self, on: bool) -> None:
        """Whether failed attempts are retried at all (D15)."""
        for hop in self._hops:
            hop.retries_on = on

    def reset(self) -> None:
        """Let every call, job and packet vanish (D22)."""
        self._clock.keep_only((Kind.REQUEST_ARRIVAL, Kind.PROBE_SEND))
        for hop in self._hops:
            for pool in hop.pools.values():
                pool.rest()
        for population in self._populations:
            population.give_up()
        for instance in self._instances:
            instance.empty(reset=False)
        for balancer in self._balancers:
            for proxy in balancer.proxies:
                proxy.empty()
        self._ledger.waste_unsettled()
        for panel in self._panels.values():
            for prober in panel.checkers:
                prober.drop_probe()

    # Results.

    def ended(self) -> tuple[int, int]:
        """Requests that have succeeded and that have failed so far."""
        return self._ledger.succeeded, self._ledger.failed

    def readings(self) -> Int64s:
        """What each instance has used so far and holds now."""
        return np.array([(*i.cpu.reading(), i.waiting, i.in_service) for i in self._instances], np.int64)

    def sent(self) -> Int64s:
        """Attempts made to each service so far."""
        return np.array([row[:, layout.SENT] for row in self._ledger.services], np.int64).sum(axis=0)

    def lost_writes(self) -> int:
        """Acknowledged writes that are lost so far."""
        return self._ledger.lost_writes

    def cut_row(self) -> int:
        """End the current row here and begin the next; its number."""
        self._read_zones()
        self._starts_ns.append(self._clock.now_ns)
        return self._ledger.open_row()

    def _read_zones(self) -> None:
        """Write the current row of Recording.zones; no clock is moved by it (O3)."""
        plan = self._plan
        cut = np.zeros((len(plan.services), len(plan.zones), layout.ZONE_COLUMNS), np.int64)
        for number, instance in enumerate(self._instances):
            row = cut[instance.service, instance.zone]
            application, stress = instance.cpu.reading()
            before = self._used[number]
            self._used[number] = application, stress
            row[layout.CPU] += application - before[0]
            row[layout.STRESS] += stress - before[1]
            row[layout.QUEUED] += instance.waiting
            row[layout.IN_SERVICE] += instance.in_service
            row[layout.UP] += instance.state is InstanceState.UP and not instance.boots
            row[layout.MEMBERS] += self._balancers[instance.service].members[instance]
            if self._balancers[instance.service].counts(instance):
                row[layout.IN_VIEW] += 1
                row[layout.CAPACITY] += int(1000.0 * instance.full_cores)
        self._cuts.append(cut)

    def finish(self) -> Recording:
        """End the last row and hand over the recording."""
        self._read_zones()
        recording = self._ledger.recording()
        recording.start_ns[:] = self._starts_ns
        recording.end_ns = self._clock.now_ns
        recording.zones[:] = self._cuts
        recording.in_flight[:] = [len(population.calls) for population in self._populations]
        for call in self._calls():
            recording.attempts_in_flight[call.hop.number] += len(call.open)
        recording.cpu_in_progress = self._cpu_in_progress()
        return recording

    def _calls(self) -> Iterator[Call]:
        of_clients = (population.calls for population in self._populations)
        return chain(*of_clients, *(instance.calls for instance in self._instances))

    def _cpu_in_progress(self) -> int:
        return sum(self._ledger.unsettled) + sum(instance.cpu.in_progress() for instance in self._instances)

    def check(self) -> None:
        """Assert conservation and the bounds of queues, slots and buckets at this instant."""
        check_requests(self._ledger, self._populations)
        check_attempts(self._ledger, self._hops, list(self._calls()))
        check_targets(self._balancers, list(self._calls()))
        check_instances(self._instances)
        check_cpu(self._ledger, self._instances, self._cpu_in_progress())
        check_budgets(self._hops)
