"""Rules between keys: what one value says about another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from azsim.base.units import format_duration
from azsim.scenario.contents import Contents
from azsim.scenario.hedge import Hedge, Percentile
from azsim.scenario.operation import Call, Quorum, copies
from azsim.scenario.problems import Problem, repeated, unknown
from azsim.scenario.retry import Retry
from azsim.scenario.service import Balancer, Instance, Service
from azsim.scenario.traffic import Population
from azsim.scenario.tree import Path
from azsim.scenario.validation_faults import fault_problems, stress_problems
from azsim.scenario.validation_hazards import hazard_problems
from azsim.scenario.validation_scaling import scaling_problems, shift_problems

INSTANCES_MAX: Final = 100_000
HOPS_MAX: Final = 1000
CALLS_MAX: Final = 63  # of one operation: their numbers are part of a draw's key (D1)
SLOTS_IN_TOTAL_MAX: Final = 10_000_000
CONNECTIONS_IN_TOTAL_MAX: Final = 10_000_000
STANDINGS_MAX: Final = 10_000_000


def problems_across(contents: Contents) -> list[Problem]:
    """Every rule between keys that the scenario breaks."""
    checks = (
        *(
            _zones,
            _pairs,
            _times,
            _traffic,
            _services,
            _proxies,
            _calls,
            _pools,
            fault_problems,
            stress_problems,
            _data_loss,
            _abort,
        ),
        shift_problems,
        hazard_problems,
    )
    return [problem for check in checks for problem in check(contents)]


def _zones(contents: Contents) -> Iterator[Problem]:
    for position, zone in repeated(contents.zones):
        yield Problem(("zones", position), f"zone {zone} is named twice", "[a, b, c]")


def _pairs(contents: Contents) -> Iterator[Problem]:
    zones = set(contents.zones)
    seen: set[frozenset[str]] = set()
    for pair in contents.network.pairs:
        path = ("network", "pairs", pair)
        cuts = [at for at, letter in enumerate(pair) if letter == "-"]
        found = [{pair[:at], pair[at + 1 :]} for at in cuts if pair[:at] in zones and pair[at + 1 :] in zones]
        example = f"{contents.zones[0]}-{contents.zones[1]}: 0.6ms"
        if len(found) != 1 or len(found[0]) != 2:
            rule = "a pair is two different zones joined by -"
            yield Problem(
                path, rule if not found or len(found) == 1 else f"{rule}, in one way only", example, at_key=True
            )
        elif frozenset(found[0]) in seen:
            yield Problem(path, "the pair is given twice; it holds either way", example, at_key=True)
        seen |= {frozenset(pair_zones) for pair_zones in found}


def _times(contents: Contents) -> Iterator[Problem]:
    if contents.warmup >= contents.duration:
        rule = f"must be less than the duration, {format_duration(contents.duration)}"
        yield Problem(("warmup",), rule, "0s")
    if contents.hypothesis.window > contents.duration - contents.warmup > 0:
        yield Problem(("hypothesis", "window"), "must fit between warmup and the end of the run", "1s")


def _traffic(contents: Contents) -> Iterator[Problem]:
    for name, population in contents.traffic.items():
        path: Path = ("traffic", name)
        if population.to not in contents.services:
            yield unknown((*path, "to"), "service", population.to, contents.services)
        else:
            yield from _asked(contents, population, (*path, "operations"))
        yield from _shares(contents, population, (*path, "from"))
        yield from _profile(population, (*path, "rate"))
        yield from _patience(population, path)


def _asked(contents: Contents, population: Population, path: Path) -> Iterator[Problem]:
    for operation in population.operations:
        yield from _operation(contents, population.to, operation, (*path, operation), at_key=True)
    known = contents.services[population.to].operations
    for position, operation in enumerate(population.recorded_operations):
        if operation not in known:
            yield from _operation(contents, population.to, operation, (*path[:-1], "rate", "operations", position))
            break
    if population.operations and population.recorded_operations:
        rule = "the trace says what each request asks for: give operations there or here"
        yield Problem(path, rule, "none")
    total = sum(population.operations.values())
    if population.operations and abs(total - 1) > 1e-9:
        yield Problem(path, f"the shares sum to {round(total * 100, 6):g}%, not 100%", "{browse: 80%, buy: 20%}")


def _shares(contents: Contents, population: Population, path: Path) -> Iterator[Problem]:
    if isinstance(population.from_, str):
        return
    for zone in population.from_:
        if zone not in contents.zones:
            yield unknown((*path, zone), "zone", zone, contents.zones, at_key=True)
    total = sum(population.from_.values())
    if abs(total - 1) > 1e-9:
        yield Problem(path, f"the shares sum to {round(total * 100, 6):g}%, not 100%", "{a: 40%, b: 30%, c: 30%}")


def _profile(population: Population, path: Path) -> Iterator[Problem]:
    if not isinstance(population.rate, tuple):
        return
    points = population.rate
    if points[0].at != 0:
        yield Problem((*path, 0, "at"), "the first point of a profile is at 0s", "0s")
    if points[0].ramp:
        yield Problem((*path, 0, "ramp"), "the first point has no rate to ramp from", "0s")
    for position in range(1, len(points)):
        before, point = points[position - 1], points[position]
        if point.at <= before.at:
            rule = f"must be later than the point before it, at {format_duration(before.at)}"
            yield Problem((*path, position, "at"), rule, "5min")
        elif before.at + before.ramp > point.at:
            rule = f"the ramp must end by the next point, at {format_duration(point.at)}"
            yield Problem((*path, position - 1, "ramp"), rule, "30s")


def _patience(hop: Population | Call, path: Path) -> Iterator[Problem]:
    """Rules between a hop's timeouts and retries."""
    if hop.timeout is not None and hop.connect_timeout is not None and hop.connect_timeout > hop.timeout:
        rule = f"must be at most the timeout, {format_duration(hop.timeout)}"
        yield Problem((*path, "connect_timeout"), rule, "none")
    if hop.retry is not None:
        yield from _retry(hop.retry, (*path, "retry"))
    if hop.hedge is not None:
        yield from _hedge(hop, hop.hedge, (*path, "hedge"))


def _hedge(hop: Population | Call, hedge: Hedge, path: Path) -> Iterator[Problem]:
    """What an open attempt is waited for must be less than how long it stays open."""
    learns = isinstance(hedge.delay, Percentile)
    delay_ns = hedge.delay.start if isinstance(hedge.delay, Percentile) else hedge.delay
    if hop.timeout is not None and delay_ns >= hop.timeout:
        rule = f"must be less than the timeout, {format_duration(hop.timeout)}: what has timed out is not hedged"
        where = (*path, "delay", "start") if learns else (*path, "delay")
        yield Problem(where, rule, format_duration(hop.timeout // 2))
    if hedge.budget == "retry" and (hop.retry is None or hop.retry.budget is None):
        yield Problem(
            (*path, "budget"), "there is no budget of retries to take from", "{kind: ratio, ratio: 10%, floor: 1/s}"
        )


def _retry(retry: Retry, path: Path) -> Iterator[Problem]:
    yield from _outcomes(retry.on, (*path, "on"))
    if retry.backoff is not None:
        if retry.backoff.cap < retry.backoff.base:
            rule = f"must be at least the base, {format_duration(retry.backoff.base)}"
            yield Problem((*path, "backoff", "cap"), rule, format_duration(retry.backoff.base))
        if retry.backoff.factor < 1:
            yield Problem((*path, "backoff", "factor"), "must be at least 1: a wait does not shrink", "2")


def _outcomes(outcomes: tuple[str, ...], path: Path) -> Iterator[Problem]:
    for position, outcome in repeated(outcomes):
        yield Problem((*path, position), f"{outcome} is named twice", "[timeout, error]")


def _services(contents: Contents) -> Iterator[Problem]:
    in_total = slots_in_total = 0
    for name, service in contents.services.items():
        path: Path = ("services", name)
        if not isinstance(service.instances_per_zone, int):
            for zone in service.instances_per_zone:
                if zone not in contents.zones:
                    where = (*path, "instances_per_zone", zone)
                    yield unknown(where, "zone", zone, contents.zones, at_key=True)
        for zone in service.overrides:
            if zone not in contents.zones:
                yield unknown((*path, "overrides", zone), "zone", zone, contents.zones, at_key=True)
        instances = sum(service.instances(zone) for zone in contents.zones)
        if instances == 0:
            yield Problem((*path, "instances_per_zone"), "a service has at least one instance", "4")
        most = {zone: service.instances_most(zone) for zone in contents.zones}
        in_total += sum(most.values())
        slots_in_total += sum(most[zone] * service.instance(zone).slots for zone in contents.zones)
        yield from _instance(service, path)
        for zone, override in service.overrides.items():
            yield from _instance(override, (*path, "overrides", zone))
        yield from _balancer(service.balancer, (*path, "balancer"))
        yield from _standby(contents, service, path)
        yield from scaling_problems(contents, service, (*path, "scaling"))
        yield from _data(service, path)
        control_zone = service.balancer.control_zone
        if control_zone is not None and control_zone not in contents.zones:
            yield unknown((*path, "balancer", "control_zone"), "zone", control_zone, contents.zones)
    if in_total > INSTANCES_MAX:
        rule = f"there are {in_total} instances in total; at most {INSTANCES_MAX} are simulated"
        yield Problem(("services",), rule, "{web: {instances_per_zone: 4}}")
    elif slots_in_total > SLOTS_IN_TOTAL_MAX:
        rule = f"there are {slots_in_total} slots in total; at most {SLOTS_IN_TOTAL_MAX} are simulated"
        yield Problem(("services",), rule, "{web: {slots: 8}}")


def _standby(contents: Contents, service: Service, path: Path) -> Iterator[Problem]:
    """Who stands by has instances there, and checks that tell when it is needed."""
    if service.standby is None:
        return
    for position, zone in enumerate(service.standby.zones):
        if zone not in contents.zones:
            yield unknown((*path, "standby", "zones", position), "zone", zone, contents.zones)
        elif not service.instances(zone):
            rule = f"the service has no instances in zone {zone}"
            yield Problem((*path, "standby", "zones", position), rule, contents.zones[0])
    for position, zone in repeated(service.standby.zones):
        yield Problem((*path, "standby", "zones", position), f"zone {zone} is named twice", "[a, b]")
    idle = [zone for zone in contents.zones if service.instances(zone) and zone not in service.standby.zones]
    if idle:
        rule = f"names every zone with instances; {', '.join(idle)} is missing"
        yield Problem((*path, "standby", "zones"), rule, f"[{', '.join((*service.standby.zones, *idle))}]")
    if service.balancer.health is None:
        rule = "needs health checks, or nobody notices that the zone is lost: set balancer.health"
        yield Problem((*path, "standby"), rule, "none")


def _data(service: Service, path: Path) -> Iterator[Problem]:
    """A cache has something to spare, and writes are operations."""
    if not any(placed.call.cached for placed in service.every_call):
        for holder, below in ((service, path), *((o, (*path, "overrides", z)) for z, o in service.overrides.items())):
            if holder.cache is not None:
                yield Problem((*below, "cache"), "a cache spares calls, and this service has none that it may", "none")
                break
    for position, operation in enumerate(service.replication.writes if service.replication is not None else ()):
        if operation not in service.operations:
            where = (*path, "replication", "writes", position)
            if service.operations:
                yield unknown(where, f"operation of {path[-1]}", operation, service.operations)
            else:
                yield Problem((*path, "replication", "writes"), "the service has no operations to name", "none")
                break


def _instance(instance: Instance, path: Path) -> Iterator[Problem]:
    if instance.work.mean_ns <= 0:
        key = {"uniform": "high", "empirical": "values"}.get(instance.work.distribution, "mean")
        yield Problem((*path, "work", key), "work must be more than 0 on average", "20ms")


def _balancer(balancer: Balancer, path: Path) -> Iterator[Problem]:
    health = balancer.health
    if health is not None and health.schedule == "fixed" and health.timeout > health.interval:
        longest = format_duration(health.interval)
        rule = f"with a fixed schedule a probe ends before the next: at most the interval, {longest}"
        yield Problem((*path, "health", "timeout"), rule, longest)
    if balancer.retry is not None:
        yield from _outcomes(balancer.retry.on, (*path, "retry", "on"))
    if balancer.node is not None and balancer.node.work.distribution == "empirical":
        yield Problem((*path, "node", "work", "distribution"), "a node's work is not measured values", "lognormal")
    elif balancer.node is not None and balancer.node.work.mean_ns <= 0:
        yield Problem((*path, "node", "work"), "work must be more than 0 on average", "{mean: 1ms}")
    if balancer.placement == "caller" and (balancer.node is not None or balancer.nodes > 1):
        rule = "a balancer that is part of its callers has no nodes of its own"
        yield Problem((*path, "node" if balancer.node is not None else "nodes"), rule, "none")
    if balancer.outliers is not None:
        yield from _outcomes(balancer.outliers.on, (*path, "outliers", "on"))
    yield from _zonal(balancer, path)


def _zonal(balancer: Balancer, path: Path) -> Iterator[Problem]:
    """What goes with nodes in zones, and what does not."""
    if balancer.placement != "zonal":
        for name in ("nodes_per_zone", "dns"):
            if getattr(balancer, name) != getattr(Balancer(), name):
                yield Problem((*path, name), "only a balancer with placement: zonal has this", "none", at_key=True)
        return
    if balancer.nodes > 1:
        yield Problem((*path, "nodes"), "a zonal balancer says how many nodes it has with nodes_per_zone", "1")
    if balancer.locality is not None and balancer.locality.kind == "zone-aware":
        rule = "zone-aware goes by where callers are, which the nodes of a zonal balancer do not know"
        yield Problem((*path, "locality", "kind"), rule, "prefer")


def _proxies(contents: Contents) -> Iterator[Problem]:
    """Callers that are proxies keep a record of every target."""
    for name, service in contents.services.items():
        if service.balancer.placement != "caller":
            continue
        callers = sum(population.clients for population in contents.traffic.values() if population.to == name)
        for caller in contents.services.values():
            calls = sum(call.to == name for call in caller.calls)
            callers += calls * sum(caller.instances(zone) for zone in contents.zones)
        records = callers * sum(service.instances(zone) for zone in contents.zones)
        if records > STANDINGS_MAX:
            rule = f"{callers} callers would keep {records} records of targets; at most {STANDINGS_MAX} are simulated"
            yield Problem(("services", name, "balancer", "placement"), rule, "regional")


def _calls(contents: Contents) -> Iterator[Problem]:
    known = True
    for name, service in contents.services.items():
        yield from _named_calls(name, service)
        for placed in service.every_call:
            path: Path = ("services", name, *placed.path)
            call = placed.call
            if call.to not in contents.services:
                known = False
                yield unknown((*path, "to"), "service", call.to, contents.services)
                continue
            if call.operation is not None:
                yield from _operation(contents, call.to, call.operation, (*path, "operation"))
            yield from _patience(call, path)
            yield from _same_zone(contents, name, service, call, path)
            if call.route != "any-zone" and contents.services[call.to].balancer.placement == "zonal":
                rule = f"the nodes of {call.to} choose the target: set balancer.dns.own_zone, or cross_zone: false"
                yield Problem((*path, "route"), rule, "any-zone")
            yield from _quorum(contents, call, path)
    if known:
        circle = _circle(contents)
        if circle:
            caller, where = circle[0][0], circle[0][1]
            names = [name for name, _ in circle]
            if len(names) > 12:
                names[8:-2] = ["..."]
            around = " -> ".join([*names, caller])
            rule = f"calls must not go in a circle: {around}"
            path = ("services", caller, *contents.services[caller].every_call[where].path, "to")
            yield Problem(path, rule, "catalog")
        else:
            yield from _hops(contents)


def _named_calls(name: str, service: Service) -> Iterator[Problem]:
    """Within `calls` and within each operation a call's id says which one is meant, and there are not too many."""
    for operation in (None, *service.operations):
        placed = [call for call in service.every_call if call.operation == operation]
        for position, call_id in repeated(one.call.id for one in placed):
            rule = f"two calls are named {call_id}; give one an id"
            yield Problem(("services", name, *placed[position].path), rule, "[{id: stock, to: catalog}]")
        made = sum(copies(one.call) for one in placed)
        if made > CALLS_MAX:
            where = ("calls",) if operation is None else ("operations", operation)
            rule = f"makes {made} calls; at most {CALLS_MAX} for one request"
            yield Problem(("services", name, *where), rule, "[{to: catalog}]")


def _operation(contents: Contents, service: str, operation: str, path: Path, at_key: bool = False) -> Iterator[Problem]:
    known = contents.services[service].operations
    if operation not in known:
        if known:
            yield unknown(path, f"operation of {service}", operation, known, at_key=at_key)
        else:
            yield Problem(path, f"{service} has no operations to name", "" if at_key else "none", at_key=at_key)


def _quorum(contents: Contents, call: Call, path: Path) -> Iterator[Problem]:
    if isinstance(call, Quorum):
        present = sum(contents.services[call.to].instances(zone) > 0 for zone in contents.zones)
        if call.zones > present:
            rule = f"{call.to} has instances in only {present} {'zone' if present == 1 else 'zones'}"
            yield Problem((*path, "zones"), rule, str(present))


def _same_zone(contents: Contents, name: str, service: Service, call: Call, path: Path) -> Iterator[Problem]:
    if call.route == "same-zone":
        callee = contents.services[call.to]
        lacking = [zone for zone in contents.zones if service.instances(zone) and not callee.instances(zone)]
        if lacking:
            rule = f"{name} has instances in {', '.join(lacking)}, where {call.to} has none to call"
            yield Problem((*path, "route"), rule, "any-zone")
        elif callee.standby is not None:
            yield Problem((*path, "route"), f"one zone of {call.to} serves at a time", "any-zone")


def _circle(contents: Contents) -> list[tuple[str, int]]:
    """A circle of calls as (caller, position among all its calls), empty where there is none."""
    done: set[str] = set()
    for start in contents.services:
        # Depth first with an explicit stack: a chain may be as long as there are services.
        stack: list[tuple[str, int]] = [(start, -1)]
        on_stack = {start}
        while stack:
            name, position = stack[-1]
            position += 1
            calls = contents.services[name].every_call
            if name in done or position >= len(calls):
                done.add(name)
                on_stack.discard(name)
                stack.pop()
                continue
            stack[-1] = (name, position)
            callee = calls[position].call.to
            if callee in on_stack:
                return stack[[caller for caller, _ in stack].index(callee) :]
            if callee not in done:
                stack.append((callee, -1))
                on_stack.add(callee)
    return []


def _hops(contents: Contents) -> Iterator[Problem]:
    """Every path of calls is a hop of its own; the number of paths can grow much faster than that of calls."""
    hops_below: dict[str, int] = {}
    for name in reversed(callers_first(contents)):
        hops_below[name] = sum(1 + hops_below[placed.call.to] for placed in contents.services[name].every_call)
    hops = sum(1 + hops_below.get(population.to, 0) for population in contents.traffic.values())
    if hops > HOPS_MAX:
        rule = f"traffic and calls make {hops if hops < 10**9 else 'over 1e9'} hops; at most {HOPS_MAX} are simulated"
        yield Problem(("services",), rule, "{web: {calls: [{to: catalog}]}}")


def _pools(contents: Contents) -> Iterator[Problem]:
    """Every client process has a pool of its own for every instance."""

    def check(hop: Population | Call, clients: int, path: Path) -> Iterator[Problem]:
        if hop.pool is None:
            return
        service = contents.services[hop.to]
        places = clients * sum(service.instances(zone) for zone in contents.zones) * hop.pool.max
        if places > CONNECTIONS_IN_TOTAL_MAX:
            rule = (
                f"makes {places} connections in all, by client process and instance; at most {CONNECTIONS_IN_TOTAL_MAX}"
            )
            yield Problem((*path, "pool", "max"), rule, "20")

    for name, population in contents.traffic.items():
        if population.to in contents.services:
            yield from check(population, population.clients, ("traffic", name))
    for name, service in contents.services.items():
        callers = sum(service.instances(zone) for zone in contents.zones)
        for placed in service.every_call:
            if placed.call.to in contents.services:
                yield from check(placed.call, callers, ("services", name, *placed.path))


def callers_first(contents: Contents) -> list[str]:
    """The services in an order in which every caller stands before those it calls; calls have no circle."""
    waiting = dict.fromkeys(contents.services, 0)
    for service in contents.services.values():
        for placed in service.every_call:
            waiting[placed.call.to] += 1
    ready = [name for name, callers in waiting.items() if callers == 0]
    order: list[str] = []
    while ready:
        name = ready.pop()
        order.append(name)
        for placed in contents.services[name].every_call:
            waiting[placed.call.to] -= 1
            if waiting[placed.call.to] == 0:
                ready.append(placed.call.to)
    return order


def _data_loss(contents: Contents) -> Iterator[Problem]:
    if any(service.replication is not None for service in contents.services.values()):
        return
    rule = "no service has `replication`: there are no data to lose"
    if contents.hypothesis.data_loss is not None:
        yield Problem(("hypothesis", "data_loss"), rule, "none")
    for position, abort in enumerate(contents.abort):
        if abort.data_loss is not None:
            yield Problem(("abort", position), rule, '[{error_rate: "> 20%"}]')


def _abort(contents: Contents) -> Iterator[Problem]:
    for position, abort in enumerate(contents.abort):
        if abort.instances is not None and abort.instances.holds(0) is False:
            yield Problem(("abort", position, "instances"), "can never hold", '"< 3"')
