"""The one shape of every controller (T2): sense, correct the process model, decide, act.

Sensing, the model and acting are three wires. What a controller believes may differ from what is true: it hears only
what its sensors send, and never reads the data plane. Each wire may have hazards (control/hazards.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

Reading = TypeVar("Reading")
Action = TypeVar("Action")
Message = TypeVar("Message")


class World(Protocol):
    """What a controller may use of the world around it."""

    @property
    def now_ns(self) -> int:
        """The time."""
        ...

    def post(
        self, delay_ns: int, controller: str, number: int, receive: Callable[[Message], None], message: Message
    ) -> None:
        """Hand `message` to a controller after a delay; at one instant by controller's name, then by `number`."""
        ...

    def log(self, source: str, what: str) -> None:
        """Note something worth telling, now."""
        ...


class Wires(Protocol):
    """The three wires of a controller that has hazards."""

    def sense(self, reading: Any) -> None:
        """A reading sets out."""
        ...

    def state(self, reading: Any) -> None:
        """What the sensors would say if they were asked, though they say nothing now."""
        ...

    def update(self, reading: Any) -> None:
        """The model is to be brought up to date by a reading that has arrived."""
        ...

    def carry_out(self, actions: Iterable[Any]) -> None:
        """What is decided sets out."""
        ...


class Controller(ABC, Generic[Reading, Action]):
    """A controller called `name`, which events carry as their source. `wires` is None where none has a hazard."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world
        self.wires: Wires | None = None
        self._halted = False
        self._held: list[Reading] = []

    @property
    def halted(self) -> bool:
        """Whether it has stopped acting."""
        return self._halted

    def receive(self, reading: Reading) -> None:
        """A reading sets out for the controller."""
        if self.wires is None:
            self.take(reading)
        else:
            self.wires.sense(reading)

    def take(self, reading: Reading) -> None:
        """One turn of the loop, when a reading arrives; while the controller is halted it waits."""
        if self._halted:
            self._held.append(reading)
            return
        self.update(reading)
        self.carry_out()

    def halt(self) -> None:
        """Stop acting: the zone it lives in is lost (O8)."""
        self._halted = True

    def go_on(self) -> None:
        """Act again: take in what has come meanwhile, in that order, then decide once."""
        self._halted = False
        held, self._held = self._held, []
        for reading in held:
            self.update(reading)
        self.carry_out()

    def update(self, reading: Reading) -> None:
        """Bring the process model up to date."""
        if self.wires is None:
            self.sense(reading)
        else:
            self.wires.update(reading)

    def carry_out(self) -> None:
        """Decide, and act."""
        if self.wires is None:
            for action in self.decide():
                self.act(action)
        else:
            self.wires.carry_out(self.decide())

    def can(self, action: Action) -> bool:
        """Whether an action that comes late, or was never decided on, still makes sense."""
        return True

    @abstractmethod
    def sense(self, reading: Reading) -> None:
        """Correct the process model by a reading."""

    @abstractmethod
    def decide(self) -> Iterable[Action]:
        """What to do, by the process model alone."""

    @abstractmethod
    def act(self, action: Action) -> None:
        """Do it."""
