"""From a scenario's scaling groups and telemetry to what the control plane is made of."""

from __future__ import annotations

from collections.abc import Iterator

from azsim.control.specs import (
    AlarmSpec,
    ControlSpec,
    GroupSpec,
    LaunchSpec,
    PolicySpec,
    SimpleSpec,
    Spread,
    TelemetrySpec,
    Threshold,
)
from azsim.policy import alarms, distributions, scaling
from azsim.scenario import Scenario
from azsim.scenario import scaling as written
from azsim.scenario.service import Service


def lower_control(scenario: Scenario) -> ControlSpec:
    """What the control plane of a scenario is made of, beside its balancers."""
    groups = [
        group
        for number, (name, service) in enumerate(scenario.services.items())
        if service.scaling is not None
        for group in _groups(scenario, number, name, service, service.scaling)
    ]
    return ControlSpec(
        tuple(groups), TelemetrySpec(scenario.observability.delay, scenario.observability.source == "agent")
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
            alarms=tuple(_alarm(alarm_name, alarm) for alarm_name, alarm in spec.alarms.items()),
            policies=tuple(_policy(policy) for policy in spec.policies),
        )


def _launch(launch: written.Launch) -> LaunchSpec:
    return LaunchSpec(
        delay=Spread(distributions.CONSTANT, float(launch.delay)),
        warmup_ns=launch.warmup,
        refusal_ns=launch.refusal,
        retry_ns=launch.retry,
        balanced_only=launch.distribution == "balanced-only",
    )


def _alarm(name: str, alarm: written.Alarm) -> AlarmSpec:
    return AlarmSpec(
        name=name,
        metric=alarm.metric,
        statistic=alarm.statistic,
        period_ns=alarm.period,
        threshold=Threshold(alarm.relation, alarm.threshold.value),
        count=alarm.count,
        of=alarm.of,
        treatment=alarms.TREATMENTS.index(alarm.missing),
        what=f"{alarm.metric} {alarm.relation} {alarm.threshold}",
    )


def _policy(policy: written.Policy) -> PolicySpec:
    if policy.set is not None:
        kind, amount = scaling.SET, float(policy.set)
    elif policy.add_share is not None or policy.remove_share is not None:
        kind, amount = scaling.ADD_SHARE, (policy.add_share or 0.0) - (policy.remove_share or 0.0)
    else:
        kind, amount = scaling.ADD, float((policy.add or 0) - (policy.remove or 0))
    return SimpleSpec(policy.on, kind, amount, policy.cooldown)
