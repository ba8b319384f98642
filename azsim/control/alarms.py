"""Alarms (S2): a controller that watches one metric and says when it is beyond its threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from azsim.control.loop import Controller, World
from azsim.control.specs import AlarmSpec
from azsim.control.telemetry import Due, Point
from azsim.policy.alarms import EXTRA_POINTS, AlarmState, band, judged


class Alert(NamedTuple):
    """What an alarm says at an evaluation; `breach` is how far the newest known value lies beyond the threshold."""

    alarm: str
    state: AlarmState
    breach: float
    value: float


class Alarm(Controller[Point | Due, Alert]):
    """Judges its metric whenever a period's point is due. Listeners hear every judgement, not changes alone, for
    scaling goes on for as long as an alarm lasts.
    """

    def __init__(self, world: World, group: str, spec: AlarmSpec) -> None:
        super().__init__(f"alarm.{group}.{spec.name}", world)
        self._spec = spec
        self._points: dict[int, float] = {}
        self._due = -1  # the last period whose point should be there
        self._state = AlarmState.INSUFFICIENT_DATA
        self.listeners: list[Callable[[Alert], None]] = []

    @property
    def alarm(self) -> str:
        """What its group calls it."""
        return self._spec.name

    def sense(self, reading: Point | Due) -> None:
        """Take in a point, or that it is time to judge."""
        if isinstance(reading, Point):
            self._points[reading.number] = reading.value
        else:
            self._due = max(self._due, reading.number)

    def take(self, reading: Point | Due) -> None:
        """A point alone changes nothing yet: alarms judge on a beat of their own."""
        if isinstance(reading, Point) and not self.halted:
            self.update(reading)
        else:
            super().take(reading)

    def decide(self) -> Iterable[Alert]:
        """Judge the evaluation range."""
        spec = self._spec
        first = self._due - spec.of - EXTRA_POINTS + 1
        numbers = range(max(0, first), self._due + 1)
        # Older ones make up the band, and nothing else.
        self._points = {n: value for n, value in self._points.items() if n >= first - spec.threshold.learns}
        limit = self._limit(first)
        points = [
            None if value is None or limit is None else spec.threshold.breached(value, limit)
            for value in (self._points.get(number) for number in numbers)
        ]
        state = judged(points, spec.count, spec.of, spec.treatment, self._state)
        newest = next((self._points[n] for n in reversed(numbers) if n in self._points), 0.0)
        breach = 0.0 if limit is None else newest - limit
        return [Alert(spec.name, state, -breach if spec.threshold.is_low else breach, newest)]

    def _limit(self, first: int) -> float | None:
        """The threshold now; None while a band still has to learn."""
        threshold = self._spec.threshold
        if not threshold.width:
            return threshold.limit
        learned = [value for number, value in sorted(self._points.items()) if number < first]
        usual = band(learned[-threshold.learns :], threshold.width) if len(learned) >= threshold.learns else None
        return None if usual is None else usual[0 if threshold.is_low else 1]

    def act(self, action: Alert) -> None:
        """Tell the listeners, and of a change everybody."""
        if action.state is not self._state:
            self.world.log(self.name, f"{self._spec.what}: {action.state.word}")
        self._state = action.state
        for listener in self.listeners:
            listener(action)
