"""Uncertain parameters: which values a key takes over the runs of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from azsim.base.units import UnitError, format_quantity, parse_quantity
from azsim.scenario.fields import FrozenDict, Model, PositiveNumber, key, refuse

KINDS: Final = ("uniform", "normal", "lognormal", "choice", "grid")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A raw number (ns, per second, 0..1 or as it is) and what it measures."""

    number: float
    dimension: Literal["duration", "rate", "share", "number"]

    def text(self, number: float | None = None) -> str | float:
        """The number, or another one of the same dimension, as a scenario writes it."""
        raw = self.number if number is None else number
        if self.dimension == "number":
            return int(raw) if raw == int(raw) else raw
        return format_quantity(self.dimension, raw)


def _quantity(value: object) -> Quantity:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) <= 1e9:
            refuse("a number is at most 1e9", "[1, 5]")
        return Quantity(float(value), "number")
    for dimension in ("duration", "rate", "share"):
        try:
            return Quantity(parse_quantity(dimension, value), dimension)
        except UnitError:
            continue
    refuse("a bound is a duration, a rate, a share or a number", "[2600/s, 3000/s]")


def _frozen(value: Any) -> Any:
    """A JSON value that cannot be changed."""
    if isinstance(value, dict):
        return FrozenDict({name: _frozen(child) for name, child in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_frozen(child) for child in value)
    return value


QuantityText = Annotated[
    Quantity,
    PlainValidator(_quantity),
    PlainSerializer(lambda quantity: quantity.text()),
    WithJsonSchema({"type": ["string", "number"]}),
]
AnyValue = Annotated[Any, PlainValidator(_frozen), WithJsonSchema({})]
Values = Annotated[tuple[AnyValue, ...], Field(min_length=1, max_length=10_000)]


class VaryNormal(Model):
    """Normally distributed."""

    mean: QuantityText = key("The mean.", example="2800/s")
    sd: QuantityText = key("The standard deviation.", example="100/s")

    @model_validator(mode="after")
    def _same_dimension(self) -> VaryNormal:
        if self.mean.dimension != self.sd.dimension:
            refuse("mean and sd measure the same thing", "{mean: 2800/s, sd: 100/s}")
        return self


class VaryLognormal(Model):
    """Log-normally distributed."""

    mean: QuantityText = key("The mean.", example="20ms")
    cv: PositiveNumber = key("Standard deviation over mean.", example=0.3)


class Variation(Model):
    """The values of one key: drawn from a distribution or a set, or tried one by one."""

    uniform: tuple[QuantityText, QuantityText] | None = key(
        "Anything between two bounds, equally likely.", default=None, example=["2600/s", "3000/s"]
    )
    normal: VaryNormal | None = key("Normally distributed.", default=None, example={"mean": "2800/s", "sd": "100/s"})
    lognormal: VaryLognormal | None = key(
        "Log-normally distributed.", default=None, example={"mean": "20ms", "cv": 0.3}
    )
    choice: Values | None = key("One of these, equally likely.", default=None, example=["none", {"attempts": 2}])
    grid: Values | None = key("Each of these in turn.", default=None, example=[1, 2, 3])

    @model_validator(mode="after")
    def _one_kind(self) -> Variation:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            refuse(f"a variation has exactly one of {', '.join(KINDS)}", "{uniform: [2600/s, 3000/s]}")
        if self.uniform is not None:
            low, high = self.uniform
            if low.dimension != high.dimension or low.number > high.number:
                refuse("uniform takes the lower and the upper bound of one dimension", "{uniform: [2600/s, 3000/s]}")
        return self

    @property
    def kind(self) -> str:
        """Which kind it is, as its key says."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def whole(self) -> bool:
        """Whether it lies between two whole numbers without a dimension, as counts do."""
        return self.uniform is not None and all(
            bound.dimension == "number" and bound.number.is_integer() for bound in self.uniform
        )

    def probes(self) -> tuple[object, ...]:
        """Values it surely takes, for checking that the key can hold them."""
        if self.uniform is not None:
            low, high = self.uniform
            middle = (low.number + high.number) / 2
            # Between whole numbers there is one that any key can hold which holds the bounds.
            return (low.text(), low.text(float(int(middle)) if self.whole else middle), high.text())
        if self.normal is not None:
            return (self.normal.mean.text(),)
        if self.lognormal is not None:
            return (self.lognormal.mean.text(),)
        return self.choice or self.grid or ()
