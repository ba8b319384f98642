"""What the arithmetic of a scenario means, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from azsim.base.units import SECOND_NS, format_duration
from azsim.scenario.capacity import full_work_rate, is_adaptive
from azsim.scenario.contents import Contents
from azsim.scenario.faults import Crash, TrafficSpike, ZoneLoss
from azsim.scenario.figures import Figures, HopFigures, Load, ServiceFigures


def findings(contents: Contents, figures: Figures) -> Iterator[str]:
    """One sentence or two about each figure that should worry, in the order A1 to A5."""
    for name, service in figures.services.items():
        yield from _capacity(contents, name, service)
    for name, service in figures.services.items():
        if service.writes_at_risk > 0:
            yield (
                f"Writes to {name} are acknowledged by one zone alone: if it is lost, so are up to"
                f" {math.ceil(service.writes_at_risk)} of them."
            )
    for name, service in figures.services.items():
        yield from _detection(contents, name, service)
    for hop in figures.hops:
        yield from _waits(contents, hop, figures.services[hop.to])
    for name, service in figures.services.items():
        yield from _attempts(name, service)
    for hop in figures.hops:
        yield from _budget(hop, figures.services[hop.to])


def seconds(time_s: float) -> str:
    """A time as people say it."""
    if math.isinf(time_s):
        return "without end"
    if time_s >= 1:
        return f"{time_s:.3g} s"
    return f"{time_s * 1000:.3g} ms"


def percent(share: float) -> str:
    """A share as people say it."""
    return "without end" if math.isinf(share) else f"{share * 100:.0f}%"


def _capacity(contents: Contents, name: str, service: ServiceFigures) -> Iterator[str]:
    load = service.load
    if load.utilisation >= 1:
        yield (
            f"{name} is overloaded from the start: {load.rate_per_s:.6g}/s for a capacity of"
            f" {load.capacity_per_s:.6g}/s is {percent(load.utilisation)}."
        )
        return
    if load.busiest >= 1:
        yield f"{name} has the capacity, but not where it is needed: its busiest zone is at {percent(load.busiest)}."
    for zone, left in service.without.items():
        if left.capacity_per_s == 0:
            yield f"{name} has instances only in zone {zone}: without it nothing serves."
        elif left.busiest >= 1:
            where = "" if left.utilisation >= 1 else " in its busiest zone"
            yield (
                f"With zone {zone} gone {name} is at {percent(left.busiest)}{where}: {left.rate_per_s:.6g}/s for a"
                f" capacity of {left.capacity_per_s:.6g}/s."
            )
    if service.uncached is not None and service.uncached.utilisation >= 1:
        yield (
            f"While the caches in front of it are empty {name} is at {percent(service.uncached.utilisation)}:"
            f" {service.uncached.rate_per_s:.6g}/s for a capacity of {service.uncached.capacity_per_s:.6g}/s."
        )
    yield from _at_the_door(name, service)
    yield from _when_full(name, service)
    yield from _cold(contents, name, service)
    for fault in contents.faults:
        spec = fault.spec
        if isinstance(spec, TrafficSpike) and spec.factor > 1 and len(contents.traffic) == 1:
            lost = _zone_lost_at(contents, fault.at)
            left = service.without[lost] if lost else load
            if 1 <= left.utilisation * spec.factor < math.inf and left.utilisation < 1:
                during = f" and zone {lost} gone" if lost else ""
                busy = percent(left.utilisation * spec.factor)
                yield f"With the spike of fault {fault.id}{during} {name} is at {busy} of its capacity."


def _states(service: ServiceFigures) -> list[tuple[str, Load]]:
    """The load with all zones there, and with each one gone, and how a sentence about it begins."""
    return [("", service.load), *((f"With zone {zone} gone ", left) for zone, left in service.without.items())]


def _at_the_door(name: str, service: ServiceFigures) -> Iterator[str]:
    """The first state in which rate limits keep out what would be served."""
    for when, load in _states(service):
        if load.let_in_per_s < load.rate_per_s and load.capacity_per_s > 0:
            few = "the rate limits let in" if when else "The rate limits let in"
            yield (
                f"{when}{few} {load.let_in_per_s:.6g}/s of the {load.rate_per_s:.6g}/s that {name} gets; the rest is"
                " answered overload."
            )
            return


def _when_full(name: str, service: ServiceFigures) -> Iterator[str]:
    """The first state with two ends: what arrives can be served, but not any more once all slots are in service."""
    for when, load in _states(service):
        if load.full_per_s <= load.rate_per_s < load.capacity_per_s:
            yield (
                f"{when}{name} can take {load.capacity_per_s:.6g}/s, but with all slots in service only"
                f" {load.full_per_s:.6g}/s, which is less than the {load.rate_per_s:.6g}/s that arrive: once full it"
                " stays full."
            )
            return


def _cold(contents: Contents, name: str, service: ServiceFigures) -> Iterator[str]:
    """Zones whose instances come back cold to more than they can do then."""
    for zone, busy in service.cold.items():
        lost = any(
            (isinstance(fault.spec, ZoneLoss) and fault.spec.mode in ("power", "refuse") and fault.spec.zone == zone)
            or (isinstance(fault.spec, Crash) and fault.spec.zone == zone and fault.spec.service == name)
            for fault in contents.faults
            if fault.end_ns(contents.duration) < contents.duration
        )
        if lost and busy >= 1 > service.load.busiest:
            yield (
                f"When zone {zone} is back its instances of {name} are cold, and busy {percent(busy)} with their share"
                " of the requests until they have warmed up."
            )


def _zone_lost_at(contents: Contents, t_ns: int) -> str | None:
    """A zone that is lost at an instant."""
    for fault in contents.faults:
        if isinstance(fault.spec, ZoneLoss) and fault.at <= t_ns < fault.end_ns(contents.duration):
            return fault.spec.zone
    return None


def _detection(contents: Contents, name: str, service: ServiceFigures) -> Iterator[str]:
    found = service.detection
    losses = [fault for fault in contents.faults if isinstance(fault.spec, ZoneLoss)]
    if found is None:
        if losses:
            yield f"{name} has no health checks: requests go on to instances that are lost."
        return
    within = contents.hypothesis.detect_within
    for fault in losses:
        refused = isinstance(fault.spec, ZoneLoss) and fault.spec.mode == "refuse"
        worst_s = found.refused_s_max if refused else found.silent_s_max
        lasts_s = (fault.end_ns(contents.duration) - fault.at) / SECOND_NS
        if lasts_s < worst_s:
            yield f"{name} may need {seconds(worst_s)} to detect fault {fault.id}, which lasts only {seconds(lasts_s)}."
        if within is not None and worst_s > within / SECOND_NS:
            yield (
                f"{name} may need {seconds(worst_s)} to detect fault {fault.id}; the hypothesis allows"
                f" {format_duration(within)}."
            )
    health = contents.services[name].balancer.health
    if health is not None and health.probe == "queue" and service.queue_wait_s > health.timeout / SECOND_NS:
        yield (
            f"A full queue of {name} waits {seconds(service.queue_wait_s)}, longer than its health checks do"
            f" ({format_duration(health.timeout)}): overload takes instances out of rotation."
        )


def _waits(contents: Contents, hop: HopFigures, callee: ServiceFigures) -> Iterator[str]:
    if hop.timeout_s is None:
        yield f"{hop.path} has no timeout: it waits for {hop.to} as long as that takes ({seconds(callee.wait_s_max)})."
        return
    if callee.queue_wait_s > hop.timeout_s:
        service = contents.services[hop.to]
        present = [(service.instance(zone), work_s) for zone, work_s in callee.work_s.items() if work_s > 0]
        places = min(int(hop.timeout_s * full_work_rate(instance) / work_s) for instance, work_s in present)
        yield (
            f"A full queue of {hop.to} waits {seconds(callee.queue_wait_s)}, longer than the timeout of {hop.path}"
            f" ({seconds(hop.timeout_s)}): it works on what nobody waits for. A queue of at most {places} does not."
            + (
                " Its limit adapts, and may keep it shorter."
                if any(is_adaptive(instance) for instance, _ in present)
                else ""
            )
        )
    if callee.slot_s_max > hop.timeout_s and contents.services[hop.to].every_call:
        yield (
            f"{hop.to} may hold a slot for {seconds(callee.slot_s_max)} with its calls, longer than the timeout of"
            f" {hop.path} ({seconds(hop.timeout_s)})."
        )


def _attempts(name: str, service: ServiceFigures) -> Iterator[str]:
    product = service.attempts_product
    if product <= 1:
        return
    worst = product * service.load.utilisation
    if worst >= 1 > service.load.utilisation:
        yield (
            f"When attempts fail, a request becomes up to {product:.3g} attempts at {name}: {product:.3g} x"
            f" {percent(service.load.utilisation)} is {percent(worst)} of its capacity, which can keep it failing."
        )


def _budget(hop: HopFigures, callee: ServiceFigures) -> Iterator[str]:
    if hop.unlimited_hedges:
        yield (
            f"Nothing limits the hedges of {hop.path}: when all of {hop.to} is slow, each request is"
            f" {1 + hop.unlimited_hedges} attempts."
        )
    if hop.attempts == 1 or hop.throttled:
        return
    if math.isinf(hop.burst):
        yield f"Nothing limits the retries of {hop.path} but their number, {hop.attempts - 1} a request."
        return
    capacity = callee.load.capacity_per_s
    if capacity and hop.burst / capacity >= 1:
        yield (
            f"The full budgets of the {hop.processes} processes of {hop.path} pay for {hop.burst:.0f} retries at once:"
            f" {seconds(hop.burst / capacity)} of the whole capacity of {hop.to}."
        )
    if hop.burst == 0:
        yield f"The budget of {hop.path} never pays for a retry: its capacity is less than the cost."
