"""Hazards on the wires of a controller (T2): each takes the messages of one wire and says what becomes of them.

The same code for every controller: what a message says, only `signals` knows. Chance is keyed by the hazard, whom the
message is about and how many there were before (O4).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from azsim.base.seeds import HAZARD, key_hash
from azsim.control.loop import Controller, World
from azsim.control.router import Verdict
from azsim.control.signals import Message, Signals
from azsim.control.specs import HazardSpec
from azsim.policy.hazards import WIRES, Wire, risen

Onward = Callable[[Message], None]

_KEYS_FIRST: Final = -(1 << 51)  # requests of this number and below are hazards
_TIMERS_FIRST: Final = 1 << 40  # after all else that a controller gets at an instant


class Flaw:
    """A hazard at work. `take` passes a message on; a subclass says what it does to one it touches."""

    def __init__(self, spec: HazardSpec, world: World, signals: Signals, key: int) -> None:
        self.spec = spec
        self.active = False
        self.held: list[Message] = []  # touched and on their way
        self.pending = 0  # what it still has to do later
        self.signals = signals
        self.begun_ns = 0
        self._world = world
        self._key = key
        self._counts: Counter[int] = Counter()

    @property
    def now_ns(self) -> int:
        """The time."""
        return self._world.now_ns

    def concerns(self, message: Message) -> bool:
        """Whether a message is one it may touch."""
        return self.signals.subject(message) is not None and self.signals.in_zone(message, self.spec.zone)

    def take(self, message: Message, onward: Onward) -> None:
        """Pass a message on, touched or not."""
        if not (self.active and self.concerns(message)):
            onward(message)
            return
        subject = self.signals.subject(message) or 0
        if self.draw(subject, self.index(subject)) < self.probability:
            self.touch(message, onward)
        else:
            onward(message)

    @property
    def probability(self) -> float:
        """Of a message to be touched now."""
        return self.spec.probability

    def index(self, subject: int) -> int:
        """The place of a draw among those for its subject: a new one for each message."""
        self._counts[subject] += 1
        return self._counts[subject]

    def draw(self, subject: int, index: int) -> float:
        """In [0, 1), keyed."""
        return key_hash(self._key, _KEYS_FIRST - self.spec.number, subject, index, HAZARD) / 2**63

    def touch(self, message: Message, onward: Onward) -> None:
        """What becomes of a message; nothing: it is lost."""

    def begin(self, actions: Iterable[Message], onward: Onward) -> None:
        """The hazard begins. `actions` are what the controller might do, `onward` is where they would go."""
        self.active, self.begun_ns = True, self.now_ns

    def end(self) -> None:
        """The hazard ends; what is on its way arrives all the same."""
        self.active = False

    def after(self, delay_ns: float, do: Callable[[], None]) -> None:
        """Do something later."""
        self.pending += 1

        def due(_: None) -> None:
            self.pending -= 1
            do()

        self._world.post(int(delay_ns), self.spec.controller, _TIMERS_FIRST + self.spec.number, due, None)

    def hold(self, delay_ns: float, message: Message, onward: Onward) -> None:
        """Pass a message on later."""
        self.held.append(message)

        def release() -> None:
            self.held.remove(message)
            onward(message)

        self.after(delay_ns, release)


class Lost(Flaw):
    """Missing updates, actions that are not provided."""


class LostForSome(Flaw):
    """Missing inputs: all of a subject or nothing."""

    def index(self, subject: int) -> int:
        """One draw for each subject."""
        return 0


class Degraded(Flaw):
    """Lost more and more often."""

    @property
    def probability(self) -> float:
        """It rises."""
        return risen(self.spec.probability, self.spec.size, self.now_ns - self.begun_ns)


class Altered(Flaw):
    """Another message instead. `alter` is a method of signals; it gets a draw in [0, 1)."""

    def __init__(self, alter: str, *given: Any) -> None:
        super().__init__(*given)
        self._alter = getattr(self.signals, alter)

    def touch(self, message: Message, onward: Onward) -> None:
        """Alter it."""
        subject = self.signals.subject(message) or 0
        altered = self._alter(message, self.draw(subject, -self._counts[subject]))
        if altered is not None:
            onward(altered)


class Mistaken(LostForSome):
    """Model mismatch."""

    def touch(self, message: Message, onward: Onward) -> None:
        """Take it for something else."""
        onward(self.signals.mistaken(message, self.spec.size))


class Late(Flaw):
    """Delayed, too late. What is about one subject keeps its order, also beyond the end of the hazard."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._until_ns: dict[int, float] = {}  # when the last one about a subject will have come

    def take(self, message: Message, onward: Onward) -> None:
        """Nothing overtakes."""
        until_ns = self._until_ns.get(self.signals.subject(message) or 0, 0.0)
        if not self.active and self.concerns(message) and self.now_ns < until_ns:
            self.hold(until_ns - self.now_ns, message, onward)
        else:
            super().take(message, onward)

    def touch(self, message: Message, onward: Onward) -> None:
        """Wait."""
        self._until_ns[self.signals.subject(message) or 0] = self.now_ns + self.spec.size
        self.hold(self.spec.size, message, onward)


class Reversed(Flaw):
    """Out of order, wrong sequence."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._onward: list[Onward] = []

    def touch(self, message: Message, onward: Onward) -> None:
        """Wait for the others."""
        if not self.held:
            self.after(self.spec.size, self._flush)
        self.held.append(message)
        self._onward.append(onward)

    def _flush(self) -> None:
        held, self.held = self.held, []
        onward, self._onward = self._onward, []
        for message, pass_on in zip(reversed(held), reversed(onward), strict=True):
            pass_on(message)


class Repeated(Flaw):
    """Too rapid."""

    def touch(self, message: Message, onward: Onward) -> None:
        """Pass it on so many times."""
        for _ in range(int(self.spec.size)):
            onward(message)


class Seldom(Flaw):
    """Infrequent: `newest_only` of each subject on the sensor wire, all of them on the model's."""

    def __init__(self, newest_only: bool, *given: Any) -> None:
        super().__init__(*given)
        self._newest_only = newest_only
        self._waiting: list[tuple[int, Message, Onward]] = []

    def touch(self, message: Message, onward: Onward) -> None:
        """Wait for the next time."""
        subject = self.signals.subject(message) or 0
        if not self._waiting:
            self.after(self.spec.size - (self.now_ns - self.begun_ns) % self.spec.size, self._flush)
        if self._newest_only:
            self._waiting = [one for one in self._waiting if one[0] != subject]
        self._waiting.append((subject, message, onward))
        self.held = [one[1] for one in self._waiting]

    def _flush(self) -> None:
        waiting, self._waiting, self.held = self._waiting, [], []
        for _, message, onward in waiting:
            onward(message)


class Disagreeing(Flaw):
    """Coordination problems of sensors."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._said: dict[int, list[tuple[int, Message]]] = defaultdict(list)

    def touch(self, message: Message, onward: Onward) -> None:
        """Every other one says what the second sensor still holds."""
        subject = self.signals.subject(message) or 0
        said = self._said[subject]
        said.append((self.now_ns, message))
        limit_ns = self.now_ns - self.spec.size
        while len(said) > 1 and said[1][0] <= limit_ns:
            said.pop(0)
        is_second = self._counts[subject] % 2 == 0
        onward(self.signals.aged(message, said[0][1]) if is_second and said[0][0] <= limit_ns else message)


class Halved(Flaw):
    """Coordination problems of two that hold a part of the model each."""

    def touch(self, message: Message, onward: Onward) -> None:
        """Wait for the turn of its half."""
        turn, into_ns = divmod(self.now_ns - self.begun_ns, int(self.spec.size))
        subject = self.signals.subject(message) or 0
        # The halves are drawn, and the first one begins.
        half = int(self.draw(subject, -1 << 20) < 0.5)
        if half == turn % 2:
            onward(message)
        else:
            self.hold(self.spec.size - into_ns, message, onward)


class Twice(Flaw):
    """Coordination problems of those who act."""

    def touch(self, message: Message, onward: Onward) -> None:
        """Now, and again later."""
        onward(message)
        self.after(self.spec.size, lambda: onward(message))


class Undone(Flaw):
    """Stopped too soon."""

    def touch(self, message: Message, onward: Onward) -> None:
        """Do it, and undo it later."""
        onward(message)
        self.after(self.spec.size, lambda: self._undo(message, onward))

    def _undo(self, message: Message, onward: Onward) -> None:
        contrary = self.signals.undone(message)
        if contrary is not None:
            onward(contrary)


class Contested(Flaw):
    """Conflicts."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._turns: Counter[int] = Counter()

    def touch(self, message: Message, onward: Onward) -> None:
        """Do it; from then on it is undone and done again, until something else is done to its subject."""
        subject = self.signals.subject(message) or 0
        self._turns[subject] += 1
        onward(message)
        self._again(subject, self._turns[subject], message, onward)

    def _again(self, subject: int, turn: int, message: Message, onward: Onward) -> None:
        def contest() -> None:
            contrary = self.signals.undone(message)
            if self.active and self._turns[subject] == turn and contrary is not None:
                onward(contrary)
                self._again(subject, turn, contrary, onward)

        self.after(self.spec.size, contest)


class Latched(Flaw):
    """Applied too long."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._last: dict[int, tuple[Message, float]] = {}  # the last action on a subject, and until when it stands

    def touch(self, message: Message, onward: Onward) -> None:
        """Wait until what it would reverse has had its time."""
        subject = self.signals.subject(message) or 0
        last, until_ns = self._last.get(subject, (message, 0.0))
        if self.now_ns < until_ns and not self.signals.are_same(last, message):
            self._last[subject] = (message, until_ns + self.spec.size)
            self.hold(until_ns - self.now_ns, message, onward)
        else:
            self._last[subject] = (message, self.now_ns + self.spec.size)
            onward(message)


class Early(Flaw):
    """Too early."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._stands: dict[int, Message] = {}

    def begin(self, actions: Iterable[Message], onward: Onward) -> None:
        """Act at once, on whom the draw says."""
        super().begin(actions, onward)
        for action in actions:
            subject = self.signals.subject(action) or 0
            if self.concerns(action) and self.draw(subject, 0) < self.spec.probability:
                self._stands[subject] = action
                onward(action)

    def take(self, message: Message, onward: Onward) -> None:
        """What would correct it too soon is not carried out."""
        early = self._stands.get(self.signals.subject(message) or 0)
        stands = self.active and self.now_ns < self.begun_ns + self.spec.size
        if not stands or early is None or not self.concerns(message) or self.signals.are_same(early, message):
            onward(message)


_FLAWS: Final[Mapping[tuple[str, str], Callable[..., Flaw]]] = {
    ("sensor", "missing-updates"): Lost,
    ("sensor", "zeroed"): partial(Altered, "zeroed"),
    ("sensor", "overflowed"): partial(Altered, "overflowed"),
    ("sensor", "corrupted"): partial(Altered, "corrupted"),
    ("sensor", "out-of-order"): Reversed,
    ("sensor", "too-rapid"): Repeated,
    ("sensor", "infrequent"): partial(Seldom, True),
    ("sensor", "delayed"): Late,
    ("sensor", "coordination-problems"): Disagreeing,
    ("sensor", "degradation"): Degraded,
    ("model", "model-mismatch"): Mistaken,
    ("model", "missing-inputs"): LostForSome,
    ("model", "missing-updates"): Lost,
    ("model", "too-rapid"): Repeated,
    ("model", "infrequent"): partial(Seldom, False),
    ("model", "delayed"): Late,
    ("model", "coordination-problems"): Halved,
    ("model", "degradation"): Degraded,
    ("action", "not-provided"): Lost,
    ("action", "unsafe"): partial(Altered, "unsafe"),
    ("action", "too-early"): Early,
    ("action", "too-late"): Late,
    ("action", "wrong-sequence"): Reversed,
    ("action", "stopped-too-soon"): Undone,
    ("action", "applied-too-long"): Latched,
    ("action", "conflicts"): Contested,
    ("action", "coordination-problems"): Twice,
    ("action", "degradation"): Degraded,
}


def flaw(spec: HazardSpec, world: World, signals: Signals, key: int) -> Flaw:
    """The hazard that a spec describes."""
    return _FLAWS[spec.wire, spec.name](spec, world, signals, key)


class Faulty:
    """The wires of one controller, with their hazards in the order in which the scenario lists them.

    `beat_ns` > 0: while a hazard lasts the sensors say at each beat what is so, about each of `known()`, as probes do;
    otherwise they speak when something changes. `might` are the actions that come too early.
    """

    def __init__(
        self,
        controller: Controller[Any, Any],
        flaws: Iterable[Flaw],
        signals: Signals,
        *,
        beat_ns: int = 0,
        known: Callable[[], Iterable[int]] = tuple,
        might: Callable[[], Iterable[Message]] = tuple,
    ) -> None:
        self._controller = controller
        self._flaws = {one.spec.number: one for one in flaws}
        self._by_wire = {wire: [one for one in self._flaws.values() if one.spec.wire == wire] for wire in WIRES}
        self._signals = signals
        self._beat_ns = beat_ns
        self._known = known
        self._might = might
        self._truth: dict[int, Message] = {}  # what sensors said last, by subject
        self._beats = False

    def set_hazard(self, number: int, on: bool) -> None:
        """A hazard begins or ends."""
        one = self._flaws[number]
        if on:
            one.begin(self._might() if one.spec.wire == "action" else (), partial(self._pass, "action", self._act))
        else:
            one.end()
        if self._beat_ns and not self._beats:
            self._beats = True
            self._controller.world.post(0, self._controller.name, _TIMERS_FIRST, self._beat, None)

    def _beat(self, _: None) -> None:
        """The sensors say what is so; once more when all hazards are over and nothing is to come of them."""
        self._beats = any(one.active or one.pending for one in self._flaws.values())
        if not self._controller.halted:
            for instance in self._known():
                self.sense(self._truth.get(instance, Verdict(instance, True)))
        if self._beats:
            self._controller.world.post(self._beat_ns, self._controller.name, _TIMERS_FIRST, self._beat, None)

    def state(self, reading: Message) -> None:
        """See `Wires.state`."""
        subject = self._signals.subject(reading)
        if subject is not None:
            self._truth[subject] = reading

    def sense(self, reading: Message) -> None:
        """See `Wires.sense`."""
        self.state(reading)
        self._pass("sensor", self._controller.take, reading)

    def update(self, reading: Message) -> None:
        """See `Wires.update`."""
        self._pass("model", self._correct, reading)

    def _correct(self, reading: Message) -> None:
        self._controller.sense(reading)
        # What the model is told several times over counts each time.
        if any(one.active and isinstance(one, Repeated) for one in self._by_wire["model"]):
            self.carry_out(self._controller.decide())

    def carry_out(self, actions: Iterable[Message]) -> None:
        """See `Wires.carry_out`. What is on its way already is not decided on again."""
        under_way = [message for one in self._by_wire["action"] for message in one.held]
        for action in list(actions):
            if action in under_way and self._signals.subject(action) is not None:
                under_way.remove(action)
            else:
                self._pass("action", self._act, action)

    def _act(self, action: Message) -> None:
        if self._controller.can(action):
            self._controller.act(action)

    def _pass(self, wire: Wire, arrive: Onward, message: Message, place: int = 0) -> None:
        """A message goes through the hazards of a wire from `place` on."""
        flaws = self._by_wire[wire]
        if place == len(flaws):
            arrive(message)
        else:
            flaws[place].take(message, lambda touched: self._pass(wire, arrive, touched, place + 1))
