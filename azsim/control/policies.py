"""What scaling policies make of alarms (S1): each answers with the capacity it wants, or None."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from azsim.control.alarms import Alert
from azsim.control.specs import PolicySpec, SimpleSpec
from azsim.policy.alarms import AlarmState
from azsim.policy.scaling import adjusted


class Model(NamedTuple):
    """What a group believes of itself when a policy is asked."""

    now_ns: int
    desired: int
    in_service: int  # instances that run, warm or not
    warming: int  # of them, those that still warm up
    pending: int  # ordered
    leaving: int  # draining


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


def policy(spec: PolicySpec, cooldown: Cooldown) -> Policy:
    """The policy that a spec describes."""
    return SimplePolicy(spec, cooldown)
