"""From a scenario's scaling groups and telemetry to what the control plane is made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from azsim.base.units import SECOND_NS
from azsim.control.specs import (
    NEWEST,
    OLDEST,
    RANDOM,
    AlarmSpec,
    ControlSpec,
    GroupSpec,
    HazardSpec,
    HealthSpec,
    LaunchSpec,
    PolicySpec,
    ScheduleSpec,
    ShiftSpec,
    SimpleSpec,
    Spread,
    StepRange,
    StepSpec,
    TargetSpec,
    TelemetrySpec,
    Threshold,
)
from azsim.policy import alarms, distributions, scaling
from azsim.scenario import Scenario, hazards, launches
from azsim.scenario import scaling as written
from azsim.scenario.observability import Observability, ZonalShift
from azsim.scenario.service import Service
from azsim.scenario.work import Empirical
from azsim.simulation.lower_work import work_parameters

_TERMINATIONS = {"newest": NEWEST, "oldest": OLDEST, "random": RANDOM}


def lower_control(scenario: Scenario) -> ControlSpec:
    """What the control plane of a scenario is made of, beside its balancers."""
    groups = [
        group
        for number, (name, service) in enumerate(scenario.services.items())
        if service.scaling is not None
        for group in _groups(scenario, number, name, service, service.scaling)
    ]
    telemetry = scenario.observability
    return ControlSpec(
        shifts=tuple(_shift(scenario, shift) for shift in scenario.shifts),
        groups=tuple(groups),
        telemetry=_telemetry(telemetry),
        hazards=tuple(_hazard(number, hazard, scenario.zones) for number, hazard in enumerate(scenario.hazards)),
    )


def _telemetry(telemetry: Observability) -> TelemetrySpec:
    from_inside, capacity = telemetry.source == "agent", telemetry.capacity
    if capacity is None:
        return TelemetrySpec(telemetry.delay, from_inside)
    return TelemetrySpec(telemetry.delay, from_inside, capacity.rate, capacity.buffer, capacity.lines_per_failure)


def _shift(scenario: Scenario, shift: ZonalShift) -> ShiftSpec:
    names = list(scenario.services)
    return ShiftSpec(
        name="zonal shift" if shift.by == "operator" else "autoshift",
        zone=scenario.zones.index(shift.zone),
        services=tuple(names.index(name) for name in shift.services or names),
        start_ns=shift.at,
        end_ns=shift.at + shift.for_,
        rank=int(shift.by == "operator"),
    )


def _groups(scenario: Scenario, number: int, name: str, service: Service, spec: written.Scaling) -> Iterator[GroupSpec]:
    """One group, or one for each zone."""
    zones = tuple(range(len(scenario.zones)))
    for own in [(zone,) for zone in zones] if spec.per_zone else [zones]:
        yield GroupSpec(
            name=f"{name}.{scenario.zones[own[0]]}" if spec.per_zone else name,
            service=number,
            zones=own,
            least=spec.min,
            most=spec.max,
            initial=tuple((zone, service.instances(scenario.zones[zone])) for zone in own),
            launch=_launch(spec.launch),
            drain_ns=spec.drain,
            control_zone=-1 if spec.control_zone is None else scenario.zones.index(spec.control_zone),
            health=_health(spec.health),
            termination=_TERMINATIONS[spec.termination],
            protects_new=spec.protect_new,
            rebalances=spec.rebalance,
            alarms=tuple(_alarms(spec)),
            policies=tuple(_policy(number, policy) for number, policy in enumerate(spec.policies)),
        )


def _hazard(number: int, hazard: hazards.Hazard, zones: Sequence[str]) -> HazardSpec:
    kind, zone = hazard.kind, -1 if hazard.zone is None else zones.index(hazard.zone)
    return HazardSpec(number, hazard.on, kind.wire, kind.name, hazard.amount, hazard.chance, zone)


def _health(health: launches.Replacement) -> HealthSpec:
    return HealthSpec(
        interval_ns=health.interval,
        replaces=health.replace,
        by_balancer=health.check == "balancer",
        grace_ns=health.grace,
        share=health.share,
        launches_first=health.order == "launch-first",
        ignores_avoided=health.in_shifted_zone == "ignore",
    )


def _spread(delay: launches.Delay) -> Spread:
    if isinstance(delay, int):
        return Spread(distributions.CONSTANT, float(delay))
    return Spread(*work_parameters(delay), delay.values or () if isinstance(delay, Empirical) else ())


def _launch(launch: launches.Launch) -> LaunchSpec:
    throttle = launch.throttle
    return LaunchSpec(
        delay=_spread(launch.delay),
        throttle_ns=0 if throttle is None else math.ceil(SECOND_NS / throttle.rate),
        burst=1 if throttle is None else throttle.burst,
        warmup_ns=launch.warmup,
        refusal_ns=launch.refusal,
        retry_ns=launch.retry,
        balanced_only=launch.distribution == "balanced-only",
    )


def _alarms(spec: written.Scaling) -> Iterator[AlarmSpec]:
    """The alarms of a group, and those that its target tracking makes."""
    for name, alarm in spec.alarms.items():
        yield _alarm(name, alarm)
    for number, policy in enumerate(spec.policies):
        if policy.target is not None:
            target, names, times = policy.target, _names(number, policy.target), policy.target.times
            low = target.value.value * target.in_below
            for name, threshold, count, what in (
                (names[0], Threshold(">", target.value.value), times.out_after, f"> {target.value}"),
                (names[1], Threshold("<", low), times.in_after, f"< {target.value._replace(value=low)}"),
            ):
                yield AlarmSpec(
                    name=name,
                    metric=target.metric,
                    statistic="average",
                    period_ns=times.period_ns,
                    threshold=threshold,
                    count=count,
                    of=count,
                    treatment=alarms.MISSING,
                    what=f"{target.metric} {what}",
                )


def _names(number: int, target: written.Target) -> tuple[str, str]:
    """What the two alarms of a target are called: high, low."""
    return f"{target.metric}-above-target-{number}", f"{target.metric}-below-target-{number}"


def _alarm(name: str, alarm: written.Alarm) -> AlarmSpec:
    return AlarmSpec(
        name=name,
        metric=alarm.metric,
        statistic=alarm.statistic,
        period_ns=alarm.period,
        threshold=_threshold(alarm),
        count=alarm.count,
        of=alarm.of,
        treatment=alarms.TREATMENTS.index(alarm.missing),
        what=f"{alarm.metric} {alarm.relation} {'usual' if alarm.unusual else alarm.threshold}",
    )


def _threshold(alarm: written.Alarm) -> Threshold:
    if alarm.unusual is not None:
        return Threshold(alarm.relation, 0.0, alarm.unusual.width, alarm.unusual.learns)
    return Threshold(alarm.relation, alarm.threshold.value)


def _policy(number: int, policy: written.Policy) -> PolicySpec:
    if policy.target is not None:
        return TargetSpec(policy.target.value.value, *_names(number, policy.target), policy.target.scale_in)
    if policy.schedule is not None:
        schedule = policy.schedule
        return ScheduleSpec(schedule.at, schedule.every or 0, schedule.min, schedule.max, schedule.desired)
    assert policy.on is not None, "validated"
    if policy.steps:
        steps = sorted(policy.steps, key=lambda step: step.lower)
        least = max(step.at_least for step in steps)
        return StepSpec(policy.on, tuple(StepRange(step.lower, *_change(step)) for step in steps), least)
    return SimpleSpec(policy.on, *_change(policy), policy.cooldown, policy.at_least)


def _change(change: written.Change) -> tuple[int, float]:
    """Kind and amount of an adjustment (policy/scaling.py)."""
    if change.set is not None:
        return scaling.SET, float(change.set)
    if change.add_share is not None or change.remove_share is not None:
        return scaling.ADD_SHARE, (change.add_share or 0.0) - (change.remove_share or 0.0)
    return scaling.ADD, float((change.add or 0) - (change.remove or 0))
