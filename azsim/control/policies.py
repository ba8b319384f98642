"""What scaling policies make of alarms (S1): each answers with the capacity it wants, or None."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from azsim.control.alarms import Alert
from azsim.control.specs import PolicySpec, SimpleSpec, StepSpec, TargetSpec
from azsim.policy.alarms import AlarmState
from azsim.policy.scaling import adjusted, proportional, step_of


class Model(NamedTuple):
    """What a group believes of itself when a policy is asked."""

    now_ns: int
    desired: int
    in_service: int  # instances that run, warm or not
    warming: int  # of them, those that still warm up
    pending: int  # ordered
    leaving: int  # draining

    @property
    def warm(self) -> int:
        """Instances whose metrics count."""
        return self.in_service - self.warming

    @property
    def coming(self) -> bool:
        """Whether capacity is under way that metrics do not show yet."""
        return self.warming + self.pending > 0


class Policy(Protocol):
    """One way to scale."""

    def answer(self, alert: Alert, model: Model) -> int | None:
        """The capacity wanted after what an alarm says."""
        ...

    def followed(self, now_ns: int) -> None:
        """The group does what this policy asked for."""
        ...

    def settled(self, now_ns: int) -> None:
        """The last launch or termination is done."""
        ...


class _WithoutCooldown:
    """A policy that waits for nothing but warm-up."""

    def followed(self, now_ns: int) -> None:
        """Nothing to note."""

    def settled(self, now_ns: int) -> None:
        """Nothing to note."""


class SimplePolicy:
    """One adjustment at a time: then it waits until all that began is done, and the cooldown from then on."""

    def __init__(self, spec: SimpleSpec, cooldown: Cooldown) -> None:
        self._spec = spec
        self._cooldown = cooldown

    def answer(self, alert: Alert, model: Model) -> int | None:
        """The adjusted capacity, if the alarm is this policy's and nothing is under way."""
        if alert.alarm != self._spec.on or alert.state is not AlarmState.ALARM:
            return None
        if model.pending or model.leaving or self._cooldown.holds(model.now_ns):
            return None
        return adjusted(model.desired, self._spec.kind, self._spec.amount, self._spec.at_least)

    def followed(self, now_ns: int) -> None:
        """The cooldown begins."""
        self._cooldown.start(now_ns, self._spec.cooldown_ns)

    def settled(self, now_ns: int) -> None:
        """The cooldown begins anew."""
        self._cooldown.restart(now_ns)


class Cooldown:
    """The wait that all simple policies of a group share."""

    def __init__(self) -> None:
        self._length_ns = 0
        self._until_ns = 0

    def start(self, now_ns: int, length_ns: int) -> None:
        """Begin to wait."""
        self._length_ns = length_ns
        self._until_ns = now_ns + length_ns

    def restart(self, now_ns: int) -> None:
        """Wait as long again: what began has only now been done."""
        if self.holds(now_ns):
            self._until_ns = now_ns + self._length_ns

    def holds(self, now_ns: int) -> bool:
        """Whether it is still to be waited."""
        return now_ns < self._until_ns


class StepPolicy(_WithoutCooldown):
    """An adjustment by how far the metric is beyond the threshold. It answers again each period: what is coming already
    counts towards it, and nothing is taken away before all that is coming is warm.
    """

    def __init__(self, spec: StepSpec) -> None:
        self._spec = spec

    def answer(self, alert: Alert, model: Model) -> int | None:
        """The capacity of the step that the breach falls into."""
        if alert.alarm != self._spec.on or alert.state is not AlarmState.ALARM:
            return None
        number = step_of(alert.breach, [step.lower for step in self._spec.steps])
        if number is None:
            return None
        step = self._spec.steps[number]
        wanted = adjusted(model.warm, step.kind, step.amount, self._spec.at_least)
        if wanted >= model.warm:
            return max(model.desired, wanted)
        return None if model.coming else min(model.desired, wanted)


class TargetPolicies(_WithoutCooldown):
    """All target tracking of a group: out if any policy says so, in only if all of them do."""

    def __init__(self, specs: Sequence[TargetSpec]) -> None:
        self._specs = {name: spec for spec in specs for name in (spec.high, spec.low)}
        # What each policy that may scale in wants, None while it does not.
        self._inward: dict[str, float | None] = {spec.low: None for spec in specs if spec.scales_in}

    def answer(self, alert: Alert, model: Model) -> int | None:
        """The capacity that brings the metric to its target."""
        spec = self._specs.get(alert.alarm)
        if spec is None:
            return None
        says = alert.state is AlarmState.ALARM
        if alert.alarm == spec.high:
            return max(model.desired, proportional(model.warm, alert.value, spec.target)) if says else None
        if alert.alarm not in self._inward:
            return None
        self._inward[alert.alarm] = alert.value / spec.target if says else None
        ratios = [ratio for ratio in self._inward.values() if ratio is not None]
        if len(ratios) < len(self._inward) or model.coming:
            return None
        return min(model.desired, proportional(model.in_service, max(ratios), 1.0))


def policies(specs: Sequence[PolicySpec]) -> list[Policy]:
    """The policies that specs describe."""
    cooldown = Cooldown()
    found: list[Policy] = []
    for spec in specs:
        if isinstance(spec, SimpleSpec):
            found.append(SimplePolicy(spec, cooldown))
        elif isinstance(spec, StepSpec):
            found.append(StepPolicy(spec))
    targets = [spec for spec in specs if isinstance(spec, TargetSpec)]
    return [*found, TargetPolicies(targets)] if targets else found
