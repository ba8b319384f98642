"""What an architect can compute before any run (A1 to A5)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from azsim.base.units import SECOND_NS
from azsim.scenario.contents import Contents
from azsim.scenario.figures import Detection, Figures, HopFigures, Load, ServiceFigures
from azsim.scenario.findings import findings
from azsim.scenario.service import Balancer, Call, Instance, Service
from azsim.scenario.traffic import Backoff, Population, Retry
from azsim.scenario.validation import callers_first

_ADAPTIVE: Final = ("least-outstanding", "two-choices")


def arithmetic(contents: Contents) -> Figures:
    """Utilisation, detection, waits, attempts and budgets of a valid scenario, and what they mean in words."""
    order = callers_first(contents)
    at_ns = _peak_ns(contents, order)
    loads = _loads(contents, order, at_ns, None)
    without = {zone: _loads(contents, order, at_ns, zone) for zone in contents.zones}
    products = _attempts_products(contents, order, at_ns)
    slot_s: dict[str, float] = {}
    waits: dict[str, tuple[float, float]] = {}
    for name in reversed(order):  # a caller's slot time needs its callees' waits
        slot_s[name] = _slot_s(contents, contents.services[name], slot_s, waits)
        waits[name] = _waits_s(contents, contents.services[name], slot_s[name])
    services = {
        name: ServiceFigures(
            load=loads[name],
            without={zone: without[zone][name] for zone in contents.zones},
            queue_wait_s=waits[name][0],
            slot_s_max=slot_s[name],
            wait_s_max=waits[name][1],
            attempts_product=products[name],
            detection=_detection(service.balancer),
        )
        for name, service in contents.services.items()
    }
    figures = Figures(at_ns / SECOND_NS, services, tuple(_hops(contents)))
    return replace(figures, findings=tuple(findings(contents, figures)))


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
    work_ns: dict[str, float] = {}
    for name in reversed(order):
        service = contents.services[name]
        work_ns[name] = service.work.mean_ns + sum(work_ns[call.to] for call in service.calls)
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
        return sum(rate_at(population, t_ns) * work_ns[population.to] for population in populations)

    return max(sorted(t_ns for t_ns in instants if t_ns <= contents.duration), key=work_per_s)


def _busy_cores(instance: Instance) -> float:
    """Cores an instance can keep busy (I2)."""
    return min(float(instance.slots), instance.cores)


def _capacity(service: Service, zone: str) -> float:
    """Requests per second that the instances of a zone can serve."""
    instance = service.instance(zone)
    return service.instances(zone) * _busy_cores(instance) * SECOND_NS / instance.work.mean_ns


def _split(service: Service, zones: list[str]) -> dict[str, float]:
    """The share of a service's requests that its balancer sends to each of the zones that are there (B3, O8)."""
    weights = {zone: float(service.instances(zone)) for zone in zones}
    if not service.balancer.cross_zone:
        weights = {zone: float(weight > 0) for zone, weight in weights.items()}
    elif service.balancer.algorithm in _ADAPTIVE:
        weights = {zone: _capacity(service, zone) for zone in zones}
    total = sum(weights.values())
    return {zone: weight / total for zone, weight in weights.items()} if total else {}


def _loads(contents: Contents, order: list[str], at_ns: int, gone: str | None) -> dict[str, Load]:
    """The load of every service with a zone gone, or none; clients who live in it are gone with it (F1)."""
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
        split = _split(service, zones)
        for zone, share in split.items():
            rates[zone] += anywhere[name] * share
        rate = sum(rates.values()) if split else anywhere[name] + sum(rates.values())
        capacity = sum(_capacity(service, zone) for zone in zones)
        busy = [_ratio(rates[zone], _capacity(service, zone)) for zone in zones]
        found[name] = Load(rate, capacity, _ratio(rate, capacity), max(busy) if split else _ratio(rate, 0.0))
        for call in service.calls:
            if call.route == "any-zone":
                anywhere[call.to] += sum(rates.values())
            else:
                for zone in zones:
                    in_zone[call.to][zone] += rates[zone]
    return found


def _ratio(part: float, whole: float) -> float:
    if part == 0:
        return 0.0
    return part / whole if whole else math.inf


def _attempts(hop: Population | Call) -> int:
    return 1 if hop.retry is None else hop.retry.attempts


def _attempts_products(contents: Contents, order: list[str], at_ns: int) -> dict[str, float]:
    """For each service, attempts over requests if every attempt but the last fails at every hop (A4).

    The balancer's own attempts on other targets count too. Where several hops meet, they weigh by their rates.
    """
    first = dict.fromkeys(contents.services, 0.0)
    worst = dict.fromkeys(contents.services, 0.0)
    for population in contents.traffic.values():
        rate = rate_at(population, at_ns) or 1e-9
        first[population.to] += rate
        worst[population.to] += rate * _attempts(population)
    for name in order:
        retry = contents.services[name].balancer.retry
        worst[name] *= 1 if retry is None else retry.attempts
        for call in contents.services[name].calls:
            first[call.to] += first[name]
            worst[call.to] += worst[name] * _attempts(call)
    return {name: worst[name] / first[name] if first[name] else 1.0 for name in contents.services}


def _backoffs_s(retry: Retry) -> float:
    """The longest all back-offs of one request can last together."""
    if retry.backoff is None:
        return 0.0
    waits_ns, wait_ns = 0.0, float(retry.backoff.base)
    for number in range(1, retry.attempts):
        wait_ns = _wait_ns(retry.backoff, number, wait_ns)
        waits_ns += wait_ns
    return waits_ns / SECOND_NS


def _wait_ns(backoff: Backoff, number: int, previous_ns: float) -> float:
    """The longest wait before retry `number`, from 1."""
    if backoff.jitter == "decorrelated":
        return min(float(backoff.cap), 3 * previous_ns)
    # Beyond this power of any factor above 1 the cap has long been reached.
    exponent = min(number - 1, int(700 / max(math.log(backoff.factor), 1e-3)))
    return min(float(backoff.cap), backoff.base * backoff.factor**exponent)


def _slot_s(
    contents: Contents, service: Service, slot_s: dict[str, float], waits: dict[str, tuple[float, float]]
) -> float:
    """The longest a request can hold a slot: its mean work, and its calls with all their attempts (R8)."""
    total_s = _mean_work_s(contents, service)
    for call in service.calls:
        answer_s = waits[call.to][1] + slot_s[call.to]
        attempt_s = answer_s if call.timeout is None else min(answer_s, call.timeout / SECOND_NS)
        call_s = attempt_s if call.retry is None else attempt_s * call.retry.attempts + _backoffs_s(call.retry)
        total_s += call_s if call.deadline is None else min(call_s, call.deadline / SECOND_NS)
    return total_s


def _present(contents: Contents, service: Service) -> list[Instance]:
    """What the instances of a service are like, one for each zone that has any."""
    return [service.instance(zone) for zone in contents.zones if service.instances(zone)]


def _mean_work_s(contents: Contents, service: Service) -> float:
    return max(instance.work.mean_ns for instance in _present(contents, service)) / SECOND_NS


def _waits_s(contents: Contents, service: Service, slot_s: float) -> tuple[float, float]:
    """The longest wait in a full queue: of pure work, and when every request holds its slot for `slot_s`."""
    work_s = wait_s = 0.0
    for instance in _present(contents, service):
        if instance.queue == "unbounded":
            return math.inf, math.inf
        places = int(instance.queue)
        if places:
            work_s = max(work_s, places * instance.work.mean_ns / SECOND_NS / _busy_cores(instance))
            wait_s = max(wait_s, work_s, places * slot_s / instance.slots)
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


def _hops(contents: Contents) -> Iterator[HopFigures]:
    for name, population in contents.traffic.items():
        yield _hop(f"traffic.{name}", population, population.clients)
    for name, service in contents.services.items():
        instances = sum(service.instances(zone) for zone in contents.zones)
        for call in service.calls:
            yield _hop(f"services.{name}.calls.{call.id}", call, instances)  # an instance is its hops' client (O7)


def _hop(path: str, hop: Population | Call, processes: int) -> HopFigures:
    attempts = _attempts(hop)
    burst = burst_timeouts = 0.0
    if hop.retry is not None and attempts > 1:
        budget = hop.retry.budget
        costs = (0.0, 0.0) if budget is None else (budget.cost, budget.timeout_cost)
        capacity = 0.0 if budget is None else budget.capacity
        # In thousandths, as tokens are kept (O2).
        burst, burst_timeouts = (
            processes * (round(capacity * 1000) // round(cost * 1000)) if cost else math.inf for cost in costs
        )
    timeout_s = None if hop.timeout is None else hop.timeout / SECOND_NS
    return HopFigures(path, hop.to, attempts, timeout_s, processes, burst, burst_timeouts)
