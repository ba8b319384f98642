"""What goes over the wires of controllers, and what a hazard can make of it (T2).

A message that concerns nobody in particular, such as a controller's own timer, goes over no wire: its subject is None.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from azsim.control.alarms import Alert
from azsim.control.router import Verdict
from azsim.control.scaling import Dismiss, Launch
from azsim.control.telemetry import Point
from azsim.dataplane.protocol import Notice
from azsim.policy.alarms import AlarmState

MOST: Final = float(2**31 - 1)
"""What a metric overflows to."""

Message = Any


def counterparts(zones: Sequence[int], services: Sequence[int]) -> dict[int, int]:
    """For every instance the one of its service at the same place in the next zone that has any; itself where none."""
    by_zone: dict[tuple[int, int], list[int]] = {}
    for instance, (zone, service) in enumerate(zip(zones, services, strict=True)):
        by_zone.setdefault((service, zone), []).append(instance)
    found: dict[int, int] = {}
    for (service, zone), own in by_zone.items():
        others = sorted(z for s, z in by_zone if s == service)
        following = by_zone[service, others[(others.index(zone) + 1) % len(others)]]
        found |= {instance: following[place % len(following)] for place, instance in enumerate(own)}
    return found


class Signals:
    """Reads and alters messages. `zones` are those of instances; `newest` is the one of a zone that would go first."""

    def __init__(
        self,
        zones: Sequence[int],
        counterpart: Mapping[int, int],
        newest: Callable[[int], int | None] = lambda zone: None,
    ) -> None:
        self._zones = zones
        self._counterpart = counterpart
        self._newest = newest

    def subject(self, message: Message) -> int | None:
        """Whom a message is about: an instance, an alarm or (below 0) a zone, as a number."""
        match message:
            case Verdict() | Notice():
                return message.instance
            case Point():
                return 0
            case Alert():
                return zlib.crc32(message.alarm.encode())
            case Launch() | Dismiss():
                return -1 - self._zone(message)
        return None

    def in_zone(self, message: Message, zone: int) -> bool:
        """Whether a message is about a zone (-1: any); one about several zones at once is not."""
        return zone < 0 or self._zone(message) == zone

    def _zone(self, message: Message) -> int:
        if isinstance(message, Launch):
            return message.zone
        return self._zones[message.instance] if isinstance(message, Verdict | Notice | Dismiss) else -1

    def zeroed(self, reading: Message, _: float = 0.0) -> Message:
        """Nothing, instead of what it says."""
        match reading:
            case Point():
                return reading._replace(value=0.0)
            case Alert():
                return reading._replace(state=AlarmState.OK, breach=0.0, value=0.0)
        return Verdict(reading.instance, False)

    def overflowed(self, reading: Message, _: float = 0.0) -> Message:
        """The most there is."""
        match reading:
            case Point():
                return reading._replace(value=MOST)
            case Alert():
                return reading._replace(state=AlarmState.ALARM, breach=MOST, value=MOST)
        return Verdict(reading.instance, True)

    def corrupted(self, reading: Message, draw: float) -> Message:
        """Something else; `draw` in [0, 1)."""
        match reading:
            case Point():
                return reading._replace(value=reading.value * 2.0 * draw)
            case Alert():
                return self.undone(reading)
        return Verdict(self._counterpart[reading.instance], reading.healthy)

    def mistaken(self, reading: Message, size: float) -> Message:
        """What a wrong model takes it for."""
        match reading:
            case Point():
                return reading._replace(value=reading.value * size)
            case Alert():
                return _contrary(reading)._replace(value=reading.value * size)
        return Verdict(reading.instance, not reading.healthy)

    def aged(self, reading: Message, old: Message) -> Message:
        """A reading that says what an old one said."""
        return reading._replace(value=old.value) if isinstance(reading, Point) else old

    def unsafe(self, action: Message, _: float = 0.0) -> Message | None:
        """The wrong action; None where there is none to take."""
        if isinstance(action, Verdict):
            return Verdict(self._counterpart[action.instance], action.healthy)
        return self.undone(action)

    def undone(self, message: Message) -> Message | None:
        """The contrary; None where there is none."""
        match message:
            case Alert():
                return _contrary(message)
            case Launch():
                going = self._newest(message.zone)
                return None if going is None else Dismiss(going)
            case Dismiss():
                return Launch(self._zone(message))
        return Verdict(message.instance, not message.healthy)

    def are_same(self, one: Message, other: Message) -> bool:
        """Whether two actions on one subject want the same of it."""
        if isinstance(one, Verdict):
            return bool(one.healthy == other.healthy)
        return bool(one.state == other.state) if isinstance(one, Alert) else type(one) is type(other)


def _contrary(alert: Alert) -> Alert:
    raised = alert.state is AlarmState.ALARM
    return alert._replace(state=AlarmState.OK if raised else AlarmState.ALARM, breach=-alert.breach)
