"""Which operations are asked of each service, and what they take on average (R8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from azsim.scenario.contents import Contents
from azsim.scenario.operation import Call, Step, copies
from azsim.scenario.service import Instance, Service

Mix = Mapping[str | None, float]  # share of each operation; None: the service's own work and calls
OWN: Mix = {None: 1.0}


def mixes(
    contents: Contents, order: list[str], rates: Mapping[str, float], *, uncached: bool = False
) -> dict[str, Mix]:
    """What is asked of each service, by shares of its first attempts, with `rates` of each population.

    order: callers before those they call. A service that nobody asks gets its own work and calls. `uncached`: with all
    caches empty, instead of full.
    """
    asked: dict[str, dict[str | None, float]] = {name: {} for name in contents.services}

    def ask(name: str, operation: str | None, rate: float) -> None:
        asked[name][operation] = asked[name].get(operation, 0.0) + rate

    for name, population in contents.traffic.items():
        for operation, share in (population.mix or OWN).items():
            ask(population.to, operation, (rates[name] or 1e-9) * share)
    for name in order:
        for operation, rate in asked[name].items():
            for call in calls(contents.services[name], operation):
                ask(
                    call.to,
                    call.operation,
                    rate * times_made(contents, contents.services[name], call, uncached=uncached),
                )
    found: dict[str, Mix] = {}
    for name, by_operation in asked.items():
        total = sum(by_operation.values())
        found[name] = {operation: rate / total for operation, rate in by_operation.items()} if total else OWN
    return found


def calls(service: Service, operation: str | None) -> Iterator[Call]:
    """The calls of one operation; a quorum is one, see `copies`."""
    return (call for step in service.steps(operation) for call in step.calls)


def times_made(contents: Contents, service: Service, call: Call, *, uncached: bool = False) -> float:
    """How often a call is made for one request that comes to it; each of a quorum's counts.

    Full caches spare their part of it (I6), empty ones (`uncached`) none.
    """
    if uncached or not call.cached or not service.has_cache:
        return float(copies(call))
    missing = instances = 0.0
    for zone in contents.zones:
        cache = service.instance(zone).cache
        missing += service.instances(zone) * (1.0 - (cache.hit_ratio if cache is not None else 0.0))
        instances += service.instances(zone)
    return copies(call) * missing / instances


def weighed_calls(
    contents: Contents, service: Service, mix: Mix, *, uncached: bool = False
) -> Iterator[tuple[Call, float]]:
    """Every call that is made under a mix, and how often for one request."""
    for operation, share in mix.items():
        for call in calls(service, operation):
            yield call, share * times_made(contents, service, call, uncached=uncached)


def step_work_ns(step: Step, instance: Instance) -> float:
    """Mean work of a step at an instance."""
    if step.work is None:
        return 0.0
    return instance.work.mean_ns if isinstance(step.work, str) else step.work.mean_ns


def work_ns(service: Service, instance: Instance, operation: str | None) -> float:
    """Mean work of one operation at an instance."""
    return sum(step_work_ns(step, instance) for step in service.steps(operation))


def mean_work_ns(service: Service, instance: Instance, mix: Mix) -> float:
    """Mean work of a request at an instance."""
    return sum(share * work_ns(service, instance, operation) for operation, share in mix.items())
