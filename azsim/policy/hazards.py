"""The hazards of a control loop (T2): what can go wrong on each of its three wires, and how much of it by default.

The one place where each is defined: scenarios, controllers, the study of hazards and their page all read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Wire = Literal["sensor", "model", "action"]
WIRES: Final[tuple[Wire, ...]] = ("sensor", "model", "action")

_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Hazard:
    """A hazard of one wire. `size` is in ns or a plain number, as `measures` says ("" where it has none).

    `probability` is that of each message to be touched: of readings on the sensor and model wires, of actions on the
    action wire.
    """

    wire: Wire
    name: str
    definition: str
    measures: Literal["", "duration", "number"] = ""
    size: float = 0.0
    probability: float = 1.0

    @property
    def key(self) -> tuple[Wire, str]:
        """Wires share some names."""
        return self.wire, self.name


def _timed(wire: Wire, name: str, seconds: int, definition: str) -> Hazard:
    return Hazard(wire, name, definition, "duration", float(seconds * _S))


CATALOGUE: Final[tuple[Hazard, ...]] = (
    Hazard("sensor", "missing-updates", "A reading gets lost; at 100% the sensor is stuck at what it said last."),
    Hazard("sensor", "zeroed", "A reading comes as nothing: a target as unhealthy, a metric as 0, an alarm as OK."),
    Hazard(
        "sensor",
        "overflowed",
        "A reading comes as the most there is: a target as healthy, a metric as 2^31 - 1, an alarm as raised.",
    ),
    Hazard(
        "sensor",
        "corrupted",
        "A reading is garbled: what it says of a target is taken to be of its counterpart in the next zone, a metric "
        "is anything up to twice its value, an alarm says the contrary.",
    ),
    _timed("sensor", "out-of-order", 30, "Readings that set out within `size` arrive at its end, the last one first."),
    Hazard("sensor", "too-rapid", "A reading arrives `size` times at once, and each counts.", "number", 5.0),
    _timed(
        "sensor", "infrequent", 120, "Readings arrive every `size` only, the newest of each target; others are lost."
    ),
    _timed("sensor", "delayed", 60, "A reading arrives `size` late; those about one target keep their order."),
    _timed(
        "sensor",
        "coordination-problems",
        60,
        "Two sensors report in turn and do not agree: every other reading says what was so `size` ago.",
    ),
    _timed(
        "sensor",
        "degradation",
        600,
        "Readings get lost more and more often: with a probability that rises from nothing to `probability` in `size`.",
    ),
    Hazard(
        "model",
        "model-mismatch",
        "The model is wrong about a target: it takes its health for the contrary, a metric for `size` times itself, "
        "an alarm for its contrary; chosen target by target, not reading by reading.",
        "number",
        0.5,
    ),
    Hazard(
        "model",
        "missing-inputs",
        "The model has no input for a target, whatever arrives; chosen target by target.",
        probability=0.5,
    ),
    Hazard(
        "model",
        "missing-updates",
        "A reading arrives, a decision is made, but the model is not brought up to date.",
    ),
    Hazard(
        "model",
        "too-rapid",
        "The model is brought up to date by a reading `size` times, with a decision after each.",
        "number",
        5.0,
    ),
    _timed(
        "model",
        "infrequent",
        120,
        "The model is brought up to date every `size` only, by all that came; decisions are made as readings come.",
    ),
    _timed("model", "delayed", 60, "The model is `size` behind: decisions are made as readings come, without them."),
    _timed(
        "model",
        "coordination-problems",
        60,
        "Two halves of the controller know half of the targets each and take turns of `size`; what comes for the "
        "other half is handed over at the end of a turn.",
    ),
    _timed(
        "model",
        "degradation",
        600,
        "The model forgets more and more: a reading is lost on it with a probability that rises from nothing to "
        "`probability` in `size`.",
    ),
    Hazard("action", "not-provided", "An action is decided on and not carried out."),
    Hazard(
        "action",
        "unsafe",
        "The wrong action is carried out: on the target's counterpart in the next zone; an alarm says the contrary, "
        "a group takes an instance away where it would launch one, and the other way round.",
    ),
    _timed(
        "action",
        "too-early",
        60,
        "At the start the controller acts before anything calls for it: targets are taken for unhealthy, an alarm is "
        "raised, a group takes one instance of each zone away; for `size` nothing corrects it.",
    ),
    _timed("action", "too-late", 60, "An action is carried out `size` after it was decided on."),
    _timed(
        "action",
        "wrong-sequence",
        60,
        "Actions that are decided on within `size` are carried out at its end, the last one first.",
    ),
    _timed("action", "stopped-too-soon", 30, "An action is undone `size` after it was carried out."),
    _timed(
        "action",
        "applied-too-long",
        600,
        "An action cannot be reversed within `size`: what would reverse it waits until then.",
    ),
    _timed(
        "action",
        "conflicts",
        20,
        "Somebody else wants the contrary: every `size` an action is undone, and the next time done again.",
    ),
    _timed(
        "action",
        "coordination-problems",
        60,
        "Two carry out what was decided without knowing of each other: an action comes again `size` later, whatever "
        "was decided since.",
    ),
    _timed(
        "action",
        "degradation",
        600,
        "Actions fail more and more: with a probability that rises from nothing to `probability` in `size`.",
    ),
)
"""All 28, wire by wire."""

BY_KEY: Final[Mapping[tuple[str, str], Hazard]] = {hazard.key: hazard for hazard in CATALOGUE}


def named(wire: str) -> tuple[str, ...]:
    """The names of a wire's hazards."""
    return tuple(hazard.name for hazard in CATALOGUE if hazard.wire == wire)


def risen(probability: float, size_ns: float, since_ns: int) -> float:
    """The probability of a degradation some time after its start."""
    return probability * min(1.0, since_ns / size_ns)


def catalogue_markdown() -> str:
    """The catalogue as Markdown tables, one for each wire: docs/control-loops.md has them."""
    lines: list[str] = []
    for wire in WIRES:
        lines += [
            f"### On the {wire} wire",
            "",
            "| hazard | what happens | `size` | `probability` |",
            "|---|---|---|---|",
        ]
        for one in CATALOGUE:
            if one.wire == wire:
                size = {"": "-", "duration": f"{one.size / _S:g}s", "number": f"{one.size:g}"}[one.measures]
                lines.append(f"| `{one.name}` | {one.definition} | {size} | {100 * one.probability:g}% |")
        lines.append("")
    return "\n".join(lines)
