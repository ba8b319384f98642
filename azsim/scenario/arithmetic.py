"""What an architect can compute before any run (A1 to A5)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from azsim.base.units import SECOND_NS
from azsim.scenario.capacity import best_work_rate, full_work_rate, most_in_service, places, slowdown
from azsim.scenario.contents import Contents
from azsim.scenario.figures import Detection, Figures, HopFigures, Load, ServiceFigures
from azsim.scenario.findings import findings
from azsim.scenario.operation import Call, Quorum, copies
from azsim.scenario.programs import OWN, Mix, calls, mean_work_ns, mixes, times_made, weighed_calls, work_ns
from azsim.scenario.retry import Backoff, Budget, ClientThrottling, Grpc, Ratio, Retry, TokenBucket
from azsim.scenario.service import Balancer, Instance, Service
from azsim.scenario.traffic import Population
from azsim.scenario.validation import callers_first

_ADAPTIVE: Final = ("least-outstanding", "two-choices", "peak-ewma")


def arithmetic(contents: Contents) -> Figures:
    """Utilisation, detection, waits, attempts and budgets of a valid scenario, and what they mean in words."""
    order = callers_first(contents)
    at_ns = _peak_ns(contents, order)
    mix = mixes_at(contents, at_ns)
    loads = _loads(contents, order, at_ns, None, mix)
    without = {zone: _loads(contents, order, at_ns, zone, mix) for zone in contents.zones}
    cold = {zone: _loads(contents, order, at_ns, None, mix, cold=zone) for zone in contents.zones}
    uncached: Mapping[str, Load] = {}
    if any(service.has_cache for service in contents.services.values()):
        uncached = _loads(contents, order, at_ns, None, mixes_at(contents, at_ns, uncached=True), uncached=True)
    products = _attempts_products(contents, order, at_ns, mix)
    slot_s: dict[str, float] = {}
    waits: dict[str, tuple[float, float]] = {}
    for name in reversed(order):  # a caller's slot time needs its callees' waits
        slot_s[name] = _slot_s(contents, contents.services[name], mix[name], slot_s, waits)
        waits[name] = _waits_s(contents, contents.services[name], mix[name], slot_s[name])
    services = {
        name: ServiceFigures(
            load=loads[name],
            without={zone: without[zone][name] for zone in contents.zones},
            uncached=uncached.get(name),
            queue_wait_s=waits[name][0],
            work_s=_work_by_zone_s(contents, service, mix[name]),
            slot_s_max=slot_s[name],
            wait_s_max=waits[name][1],
            attempts_product=products[name],
            cold={zone: cold[zone][name].busiest for zone in contents.zones if _warms_up(service, zone)},
            detection=_detection(service.balancer),
            writes_at_risk=_writes_at_risk(contents, name, at_ns, loads, mix),
        )
        for name, service in contents.services.items()
    }
    figures = Figures(at_ns / SECOND_NS, services, tuple(_hops(contents, at_ns, loads)))
    return replace(figures, findings=tuple(findings(contents, figures)))


def mixes_at(contents: Contents, at_ns: int, *, uncached: bool = False) -> dict[str, Mix]:
    """What is asked of each service at an instant, with full caches or with empty ones."""
    rates = {name: rate_at(population, at_ns) for name, population in contents.traffic.items()}
    return mixes(contents, callers_first(contents), rates, uncached=uncached)


def rate_at(population: Population, t_ns: int) -> float:
    """Requests per second of a population at an instant, ramps included."""
    before = rate = population.profile[0].rate
    at_ns = ramp_ns = 0
    for point in population.profile:
        if point.at > t_ns:
            break
        before, rate, at_ns, ramp_ns = rate, point.rate, point.at, point.ramp
    if t_ns < at_ns + ramp_ns:
        return before + (rate - before) * (t_ns - at_ns) / ramp_ns
    return rate


def _peak_ns(contents: Contents, order: list[str]) -> int:
    """The instant at which the traffic asks for most work; rates are straight between the points of profiles."""
    total_ns: dict[tuple[str, str | None], float] = {}  # work of an operation and of all it calls
    for name in reversed(order):
        service = contents.services[name]
        for operation in (None, *service.operations):
            below_ns = sum(
                total_ns[call.to, call.operation] * times_made(contents, service, call)
                for call in calls(service, operation)
            )
            total_ns[name, operation] = work_ns(service, service, operation) + below_ns
    populations = contents.traffic.values()
    if len(contents.traffic) == 1:
        (population,) = populations
        best = max(
            (point for point in population.profile if point.at < contents.duration), key=lambda point: point.rate
        )
        return min(best.at + best.ramp, contents.duration)
    instants = {0} | {point.at + point.ramp for population in populations for point in population.profile}
    # A step down ends what was there just before it.
    instants |= {point.at - 1 for population in populations for point in population.profile if point.at > 0}

    def work_per_s(t_ns: int) -> float:
        return sum(
            rate_at(population, t_ns) * share * total_ns[population.to, operation]
            for population in populations
            for operation, share in (population.mix or OWN).items()
        )

    return max(sorted(t_ns for t_ns in instants if t_ns <= contents.duration), key=work_per_s)


def _warms_up(service: Service, zone: str) -> bool:
    return service.instances(zone) > 0 and service.instance(zone).warmup is not None


def _capacity(service: Service, zone: str, mix: Mix, cold: str | None = None, *, full: bool = False) -> float:
    """Requests per second that the instances of a zone can serve: at best, or with all slots in service.

    In the zone `cold` they have just come back.
    """
    instance = service.instance(zone)
    mean_ns = mean_work_ns(service, instance, mix)
    if zone == cold and instance.warmup is not None:
        mean_ns *= instance.warmup.slowdown
    work_rate = full_work_rate(instance) if full else best_work_rate(instance)
    return service.instances(zone) * work_rate * SECOND_NS / mean_ns if mean_ns else math.inf


def _let_in(service: Service, zone: str) -> float:
    """Requests per second that the rate limits of a zone's instances let in."""
    limit = service.instance(zone).rate_limit
    instances = service.instances(zone)
    return instances * limit.rate if limit is not None else math.inf if instances else 0.0


def _split(service: Service, zones: list[str], mix: Mix, cold: str | None) -> dict[str, float]:
    """The share of a service's requests that its balancer sends to each of the zones that are there (B3, O8, R10)."""
    if service.standby is not None:
        return dict.fromkeys([zone for zone in service.standby.zones if zone in zones][:1], 1.0)
    weights = {zone: float(service.instances(zone)) for zone in zones}
    if not service.balancer.cross_zone:
        weights = {zone: float(weight > 0) for zone, weight in weights.items()}
    elif service.balancer.algorithm in _ADAPTIVE:
        weights = {zone: _capacity(service, zone, mix, cold) for zone in zones}
    elif service.balancer.algorithm == "weighted-random":
        weights = {zone: weight * service.instance(zone).weight for zone, weight in weights.items()}
    total = sum(weights.values())
    return {zone: weight / total for zone, weight in weights.items()} if total else {}


def _loads(
    contents: Contents,
    order: list[str],
    at_ns: int,
    gone: str | None,
    mix: Mapping[str, Mix],
    cold: str | None = None,
    *,
    uncached: bool = False,
) -> dict[str, Load]:
    """The load of every service with a zone gone, or none, or one just back; clients who live in a zone that is gone
    are gone with it (F1).
    """
    zones = [zone for zone in contents.zones if zone != gone]
    anywhere = dict.fromkeys(contents.services, 0.0)
    in_zone = {name: dict.fromkeys(zones, 0.0) for name in contents.services}
    for population in contents.traffic.values():
        left = 1.0 if isinstance(population.from_, str) else 1.0 - population.from_.get(gone or "", 0.0)
        anywhere[population.to] += rate_at(population, at_ns) * left
    found: dict[str, Load] = {}
    for name in order:
        service = contents.services[name]
        rates = in_zone[name]
        split = _split(service, zones, mix[name], cold)
        for zone, share in split.items():
            rates[zone] += anywhere[name] * share
        rate = sum(rates.values()) if split else anywhere[name] + sum(rates.values())
        serving = zones if service.standby is None else split
        capacity = sum(_capacity(service, zone, mix[name], cold) for zone in serving)
        busy = [_ratio(rates[zone], _capacity(service, zone, mix[name], cold)) for zone in zones]
        found[name] = Load(
            rate_per_s=rate,
            capacity_per_s=capacity,
            utilisation=_ratio(rate, capacity),
            busiest=max(busy) if split else _ratio(rate, 0.0),
            full_per_s=sum(_capacity(service, zone, mix[name], cold, full=True) for zone in serving),
            let_in_per_s=sum(_let_in(service, zone) for zone in serving),
        )
        for call, times in weighed_calls(contents, service, mix[name], uncached=uncached):
            if isinstance(call, Quorum):
                for zone in zones:
                    for called in quorum_zones(contents, call, zone):
                        if called != gone:
                            in_zone[call.to][called] += rates[zone] * times / call.zones
                continue
            for zone in zones:
                # A zone that is preferred serves its own while it has instances at all.
                stays = call.route == "same-zone" or (
                    call.route == "prefer-zone" and contents.services[call.to].instances(zone) > 0
                )
                if stays:
                    in_zone[call.to][zone] += rates[zone] * times
                else:
                    anywhere[call.to] += rates[zone] * times
    return found


def _writes_at_risk(
    contents: Contents, name: str, at_ns: int, loads: Mapping[str, Load], mix: Mapping[str, Mix]
) -> float:
    """Acknowledged writes that one zone alone holds at an instant, where it has most of them (R11)."""
    service = contents.services[name]
    if service.replication is None:
        return 0.0
    writes = service.replication.writes
    rate = 0.0
    for population in contents.traffic.values():
        asked = population.mix or OWN
        share = sum(part for operation, part in asked.items() if not writes or operation in writes)
        rate += rate_at(population, at_ns) * share if population.to == name else 0.0
    for caller, other in contents.services.items():
        for call, times in weighed_calls(contents, other, mix[caller]):
            held_once = not isinstance(call, Quorum) or call.need == 1
            if call.to == name and held_once and (not writes or call.operation in writes):
                rate += loads[caller].rate_per_s * times / copies(call)
    largest = max(_split(service, list(contents.zones), mix[name], None).values(), default=0.0)
    return rate * largest * service.replication.lag / SECOND_NS


def quorum_zones(contents: Contents, call: Quorum, zone: str) -> list[str]:
    """The zones that a quorum calls from `zone`: this one first, then the following ones, round and round (D44)."""
    first = contents.zones.index(zone)
    around = (*contents.zones[first:], *contents.zones[:first])
    return [other for other in around if contents.services[call.to].instances(other)][: call.zones]


def _ratio(part: float, whole: float) -> float:
    if part == 0:
        return 0.0
    return part / whole if whole else math.inf


def _attempts(hop: Population | Call) -> int:
    """The most attempts of one call, hedges aside."""
    return 1 if hop.retry is None else hop.retry.attempts


def _hedges(hop: Population | Call) -> int:
    return 0 if hop.hedge is None else hop.hedge.max


def _attempts_products(contents: Contents, order: list[str], at_ns: int, mix: Mapping[str, Mix]) -> dict[str, float]:
    """For each service, attempts over requests if every attempt but the last is slow and fails at every hop (A4).

    The balancer's own attempts on other targets count too. Where several hops meet, they weigh by their rates.
    """
    first = dict.fromkeys(contents.services, 0.0)
    worst = dict.fromkeys(contents.services, 0.0)
    for population in contents.traffic.values():
        rate = rate_at(population, at_ns) or 1e-9
        first[population.to] += rate
        worst[population.to] += rate * (_attempts(population) + _hedges(population))
    for name in order:
        retry = contents.services[name].balancer.retry
        worst[name] *= 1 if retry is None else retry.attempts
        for call, times in weighed_calls(contents, contents.services[name], mix[name]):
            first[call.to] += first[name] * times
            worst[call.to] += worst[name] * times * (_attempts(call) + _hedges(call))
    return {name: worst[name] / first[name] if first[name] else 1.0 for name in contents.services}


def _backoffs_s(retry: Retry, asked_ns: int | None) -> float:
    """The longest all waits of one request can last together; `asked_ns`: what `overload` answers ask for."""
    asked = float(asked_ns or 0) if "overload" in retry.on else 0.0
    if retry.backoff is None:
        return asked * (retry.attempts - 1) / SECOND_NS
    waits_ns, wait_ns = 0.0, float(retry.backoff.base)
    for number in range(1, retry.attempts):
        wait_ns = _wait_ns(retry.backoff, number, wait_ns)
        waits_ns += max(wait_ns, asked)
    return waits_ns / SECOND_NS


def _wait_ns(backoff: Backoff, number: int, previous_ns: float) -> float:
    """The longest wait before retry `number`, from 1."""
    if backoff.jitter == "decorrelated":
        return min(float(backoff.cap), 3 * previous_ns)
    longest = 1.0 + backoff.spread if backoff.jitter == "proportional" else 1.0
    # Beyond this power of any factor above 1 the cap has long been reached.
    exponent = min(number - 1, int(700 / max(math.log(backoff.factor), 1e-3)))
    return longest * min(float(backoff.cap), backoff.base * backoff.factor**exponent)


def _slot_s(
    contents: Contents, service: Service, mix: Mix, slot_s: dict[str, float], waits: dict[str, tuple[float, float]]
) -> float:
    """The longest a request can hold a slot: its mean work, and its calls with all their attempts (R8).

    Calls made at once take as long as the longest of them.
    """

    def call_s(call: Call) -> float:
        answer_s = waits[call.to][1] + slot_s[call.to]
        attempt_s = answer_s if call.timeout is None else min(answer_s, call.timeout / SECOND_NS)
        whole_s = attempt_s
        if call.retry is not None:
            waits_s = _backoffs_s(call.retry, contents.services[call.to].overload_retry_after)
            whole_s = attempt_s * call.retry.attempts + waits_s
        return whole_s if call.deadline is None else min(whole_s, call.deadline / SECOND_NS)

    return max(
        _work_s(contents, service, operation)
        + sum(max((call_s(call) for call in step.calls), default=0.0) for step in service.steps(operation))
        for operation in mix
    )


def _present(contents: Contents, service: Service) -> list[Instance]:
    """What the instances of a service are like, one for each zone that has any."""
    return [service.instance(zone) for zone in contents.zones if service.instances(zone)]


def _work_by_zone_s(contents: Contents, service: Service, mix: Mix) -> dict[str, float]:
    zones = [zone for zone in contents.zones if service.instances(zone)]
    return {zone: mean_work_ns(service, service.instance(zone), mix) / SECOND_NS for zone in zones}


def _work_s(contents: Contents, service: Service, operation: str | None) -> float:
    """Mean work of an operation where it takes longest, all slots in service."""
    return max(
        work_ns(service, instance, operation) * slowdown(instance.overload, most_in_service(instance)) / SECOND_NS
        for instance in _present(contents, service)
    )


def _waits_s(contents: Contents, service: Service, mix: Mix, slot_s: float) -> tuple[float, float]:
    """The longest wait in a full queue: of pure work, and when every request holds its slot for `slot_s`."""
    work_s = wait_s = 0.0
    for instance in _present(contents, service):
        waiting = places(instance)
        if math.isinf(waiting):
            return math.inf, math.inf
        if waiting:
            mean_ns = mean_work_ns(service, instance, mix)
            work_s = max(work_s, waiting * mean_ns / SECOND_NS / full_work_rate(instance))
            wait_s = max(wait_s, work_s, waiting * slot_s / most_in_service(instance))
    return work_s, wait_s


def _detection(balancer: Balancer) -> Detection | None:
    """A fault falls anywhere between two probes; the first probe after it is the first to fail (H2)."""
    health = balancer.health
    if health is None:
        return None
    later_ns = (health.unhealthy_after - 1) * health.interval + health.propagation
    silent_ns = later_ns + health.timeout
    if health.schedule == "after-answer":
        silent_ns += (health.unhealthy_after - 1) * health.timeout
    in_seconds = [
        ns / SECOND_NS for ns in (later_ns, later_ns + health.interval, silent_ns, silent_ns + health.interval)
    ]
    return Detection(*in_seconds)


def _hops(contents: Contents, at_ns: int, loads: Mapping[str, Load]) -> Iterator[HopFigures]:
    for name, population in contents.traffic.items():
        rate = rate_at(population, at_ns) / population.clients
        yield _hop(f"traffic.{name}", population, population.clients, rate)
    for name, service in contents.services.items():
        instances = sum(service.instances(zone) for zone in contents.zones)
        rate = loads[name].rate_per_s / instances
        for placed in service.every_call:
            # An instance is its hops' client (O7); that every request makes the call is the most there can be.
            yield _hop(f"services.{name}.{placed.name}", placed.call, instances, rate)


def _hop(path: str, hop: Population | Call, processes: int, rate: float) -> HopFigures:
    """`rate`: calls per second of each client process."""
    attempts = _attempts(hop)
    burst = burst_timeouts = 0.0
    if hop.retry is not None and attempts > 1:
        burst, burst_timeouts = (processes * retries for retries in _full_budget(hop.retry.budget, rate))
    timeout_s = None if hop.timeout is None else hop.timeout / SECOND_NS
    throttled = hop.retry is not None and isinstance(hop.retry.budget, ClientThrottling)
    unlimited = _hedges(hop) if hop.hedge is not None and hop.hedge.budget is None else 0
    return HopFigures(path, hop.to, attempts, timeout_s, processes, burst, burst_timeouts, throttled, unlimited)


def _full_budget(budget: Budget | None, rate: float) -> tuple[float, float]:
    """Retries that one process can make at once when nothing succeeds any more, after errors and after timeouts."""
    if isinstance(budget, TokenBucket):
        # In thousandths, as tokens are kept (O2).
        after_error, after_timeout = (
            round(budget.capacity * 1000) // round(cost * 1000) if cost else math.inf
            for cost in (budget.cost, budget.timeout_cost)
        )
        return after_error, after_timeout
    retries: float = math.inf
    if isinstance(budget, Ratio):
        retries = math.floor((budget.floor + budget.ratio * rate) * budget.window / SECOND_NS + 1e-9)
    elif isinstance(budget, Grpc):
        # Each failure takes a token, and a retry needs more than half of them left.
        retries = max(0, math.ceil(round(budget.max_tokens * 1000) / 2000) - 1)
    return retries, retries
