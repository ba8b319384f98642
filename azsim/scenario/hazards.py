"""Hazards on the wires of controllers (T2): which one, on whose wire, how much of it and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final

from pydantic import AfterValidator, PlainSerializer, PlainValidator, StringConstraints, WithJsonSchema, model_validator

from azsim.base.units import UnitError, format_duration, parse_duration
from azsim.policy.hazards import BY_KEY, WIRES, named
from azsim.policy.hazards import Hazard as Kind
from azsim.scenario.faults import Id
from azsim.scenario.fields import (
    Duration,
    Model,
    Name,
    OrNone,
    PositiveDuration,
    Share,
    key,
    refuse,
    refuse_quantity,
)
from azsim.scenario.service import Service

SIZE_MAX: Final = 1000
_Size = tuple[str, float]  # "duration" and ns, or "number" and the number


def _size(value: object) -> _Size:
    if isinstance(value, tuple):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 < value <= SIZE_MAX:
            return "number", float(value)
        refuse_quantity(f"a size without a unit is more than 0 and at most {SIZE_MAX}", "5")
    try:
        found_ns = parse_duration(value)
    except UnitError as error:
        refuse_quantity(error.rule, error.example)
    if found_ns <= 0:
        refuse_quantity("must be more than 0", "60s")
    return "duration", float(found_ns)


def _write_size(size: _Size) -> Any:
    measure, value = size
    if measure == "duration":
        return format_duration(int(value))
    return int(value) if value == int(value) else value


Size = Annotated[
    _Size,
    PlainValidator(_size),
    PlainSerializer(_write_size),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}], "examples": ["60s"]}),
]


def _known(wire: str) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in named(wire):
            refuse(f"the {wire} wire has these hazards: {', '.join(named(wire))}", named(wire)[0])
        return name

    return check


_Controller = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.-]*$", max_length=200)]
_Sensor = Annotated[str, AfterValidator(_known("sensor")), WithJsonSchema({"enum": list(named("sensor"))})]
_Model = Annotated[str, AfterValidator(_known("model")), WithJsonSchema({"enum": list(named("model"))})]
_Action = Annotated[str, AfterValidator(_known("action")), WithJsonSchema({"enum": list(named("action"))})]


class Hazard(Model):
    """A flaw on one wire of one controller, for a time. It is judged as a fault is."""

    id: Id = key(
        "Its name in paths.", default="hazard", default_text="its wire, with -2, -3 ... on repeats", example="late"
    )
    on: _Controller = key(
        "The controller, by the name that events carry: `health.SERVICE`, `router.SERVICE`, `scaling.GROUP` or "
        "`alarm.GROUP.NAME`, the group being a service, or `SERVICE.ZONE` with `per_zone`.",
        example="health.web",
    )
    sensor: _Sensor | None = key("A hazard of what it is told.", default=None, example="delayed")
    model: _Model | None = key("A hazard of what it believes.", default=None, example="missing-updates")
    action: _Action | None = key("A hazard of what it does.", default=None, example="too-late")
    size: OrNone[Size] = key(
        "How much of it: a time or a number, as the hazard says.",
        default="none",
        default_text="that of the hazard",
        example="60s",
    )
    probability: OrNone[Share] = key(
        "How likely each message is touched.", default="none", default_text="that of the hazard", example="100%"
    )
    zone: OrNone[Name] = key(
        "Touch only what is about targets in this zone; `none` touches all.", default="none", example="c"
    )
    at: Duration = key("When it starts, from the start of the run.", example="5min")
    for_: OrNone[PositiveDuration] = key(
        "How long it lasts; `none` lasts until the end of the run.", alias="for", default="none", example="10min"
    )

    @model_validator(mode="after")
    def _one_wire(self) -> Hazard:
        given = [wire for wire in WIRES if getattr(self, wire) is not None]
        if len(given) != 1:
            rule = f"a hazard is on one wire ({', '.join(WIRES)}); found {' and '.join(given) or 'none'}"
            refuse(rule, "[{on: health.web, sensor: delayed, at: 5min}]")
        kind = self.kind
        if self.size is not None and self.size[0] != kind.measures:
            wanted = {"": "no size", "duration": "a time", "number": "a plain number"}[kind.measures]
            refuse(f"{kind.name} has {wanted}", _example(kind), "size")
        return self

    @property
    def kind(self) -> Kind:
        """What it is, in the catalogue."""
        return next(BY_KEY[wire, getattr(self, wire)] for wire in WIRES if getattr(self, wire) is not None)

    @property
    def amount(self) -> float:
        """Its size, ns or a number."""
        return self.kind.size if self.size is None else self.size[1]

    @property
    def chance(self) -> float:
        """Its probability."""
        return self.kind.probability if self.probability is None else self.probability

    @property
    def times(self) -> tuple[tuple[int, int | None], ...]:
        """When it starts and ends, ns; None: it stays."""
        return ((self.at, None if self.for_ is None else self.at + self.for_),)


def _example(kind: Kind) -> str:
    return {"": "none", "duration": "60s", "number": "5"}[kind.measures]


def controllers_of(name: str, service: Service, zones: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """The controllers of a service whose wires may have hazards, and whether their messages are about single zones."""
    if service.balancer.health is not None:
        yield f"health.{name}", True
        yield f"router.{name}", True
    if service.scaling is not None:
        for group in [f"{name}.{zone}" for zone in zones] if service.scaling.per_zone else [name]:
            yield from ((f"alarm.{group}.{alarm}", False) for alarm in service.scaling.alarms)
            yield f"scaling.{group}", True
