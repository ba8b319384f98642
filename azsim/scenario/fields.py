"""The types that the keys of a scenario have, and how a key is declared.

Texts with units become raw numbers here (`Duration` int ns, `Rate` float per second, `Share` float 0..1) and
go back to the same texts when a scenario is written out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final, NoReturn, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    Strict,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticUndefined, core_schema

from azsim.base import units
from azsim.base.units import Comparison, Dimension, Relation, UnitError

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

RETRY_ATTEMPTS_MAX: Final = 1000
BALANCER_ATTEMPTS_MAX: Final = 15
SLOTS_MAX: Final = 1_000_000
PRIORITY_MAX: Final = 3
RATE_LIMIT_MAX: Final = 1_000_000
QUEUE_MAX: Final = 1_000_000_000
WEIGHT_MAX: Final = 1000
CHECKERS_MAX: Final = 64
NODES_MAX: Final = 1000
COUNT_MAX: Final = 1_000_000
CACHE_ENTRIES_MAX: Final = 1_000_000_000
SEED_MAX: Final = 2**63 - 1


class Model(BaseModel):
    """Base of everything in a scenario: a frozen value that refuses keys it does not know."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,  # defaults are written as a user would write them
        allow_inf_nan=False,
    )


def key(
    description: str,
    *,
    default: Any = PydanticUndefined,
    example: Any = None,
    follows: str | None = None,
    alias: str | None = None,
    unbuilt: Mapping[str, str] | None = None,
    choices: tuple[str, ...] | None = None,
    rule: str | None = None,
    default_text: str | None = None,
) -> Any:
    """A field of a model: one sentence about it, its default and an example of its value.

    `follows` names the key of the same mapping whose value is the default. `unbuilt` maps words of the format
    that do not work yet to what does. `choices` are all the words allowed where the model knows only its own.
    `rule` says what a value must be where several types are allowed, `default_text` what the default is where
    no single value is.
    """
    extra = {
        "x-unbuilt": dict(unbuilt or {}),
        "x-choices": list(choices or ()),
        "x-follows": follows or "",
        "x-rule": rule or "",
        "x-default": default_text or "",
    }
    arguments: dict[str, Any] = {"description": description, "alias": alias}
    arguments["json_schema_extra"] = {name: value for name, value in extra.items() if value} or None
    if example is not None:
        arguments["examples"] = [example]
    if follows is not None:
        arguments["default_factory"] = lambda given: given[follows]
    else:
        arguments["default"] = default
    return Field(**arguments)


def unbuilt(description: str, instead: str) -> Any:
    """A key that is in the format but not built yet, so that only `none` is taken; `instead` is what works."""
    return Field(
        default="none",
        description=description,
        examples=["none"],
        exclude=True,
        json_schema_extra={"x-instead": instead},
    )


def preset_key(block: str, example: str) -> Any:
    """The key by which a block starts from a product's values; it is carried out before the scenario is validated."""
    return Field(
        default="none",
        description="A product's values to start from; the other keys of the mapping override them.",
        examples=[example],
        exclude=True,
        json_schema_extra={"x-preset": block},
    )


def refuse(rule: str, example: str = "", key: str = "") -> NoReturn:
    """Refuses a value from within a validator; `key` names the part of a mapping that is at fault."""
    raise PydanticCustomError("rule", cast(Any, "{rule}"), {"rule": rule, "example": example, "key": key})


def refuse_quantity(rule: str, example: str) -> NoReturn:
    """Refuses a value of a type used by many keys: `example` is shown where the key has none of its own."""
    raise PydanticCustomError("quantity", cast(Any, "{rule}"), {"rule": rule, "example": example})


def _guarded(parse: Callable[[object], T]) -> Callable[[object], T]:
    """A parser of `base.units` as a validator."""

    def validate(value: object) -> T:
        try:
            return parse(value)
        except UnitError as error:
            refuse_quantity(error.rule, error.example)

    return validate


def _text_schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Duration = Annotated[
    int,
    PlainValidator(_guarded(units.parse_duration)),
    PlainSerializer(units.format_duration, return_type=str),
    _text_schema(units.DURATION_PATTERN, "250ms"),
]
Rate = Annotated[
    float,
    PlainValidator(_guarded(units.parse_rate)),
    PlainSerializer(units.format_rate, return_type=str),
    _text_schema(units.RATE_PATTERN, "1200/s"),
]
Share = Annotated[
    float,
    PlainValidator(_guarded(units.parse_share)),
    PlainSerializer(units.format_share, return_type=str),
    _text_schema(units.SHARE_PATTERN, "80%"),
]


def _positive(value: int) -> int:
    if value <= 0:
        refuse_quantity("must be more than 0", "10s")
    return value


PositiveDuration = Annotated[Duration, AfterValidator(_positive)]


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse_quantity("must be a plain number", "1.5")
    number = float(value) if abs(value) < 10**300 else float("inf")
    # Written so that NaN fails it too.
    if not 0 <= number <= 1e9:
        refuse_quantity("must be a number from 0 to 1e9", "1.5")
    return number


def _positive_number(value: object) -> float:
    number = _number(value)
    if number < 1e-9:
        refuse_quantity("must be a number from 1e-9 to 1e9", "1.5")
    return number


def _write_number(number: float) -> int | float:
    return int(number) if number == int(number) else number


Number = Annotated[
    float,
    PlainValidator(_number),
    PlainSerializer(_write_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1e9}),
]
PositiveNumber = Annotated[
    float,
    PlainValidator(_positive_number),
    PlainSerializer(_write_number),
    WithJsonSchema({"type": "number", "minimum": 1e-9, "maximum": 1e9}),
]


def _tokens(value: object) -> float:
    number = _number(value)
    if number > COUNT_MAX or abs(number * 1000 - round(number * 1000)) > 1e-6:
        refuse_quantity("tokens are a number from 0 to 1e6 with at most three decimals", "5")
    return number


Tokens = Annotated[
    float,
    PlainValidator(_tokens),
    PlainSerializer(_write_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": COUNT_MAX, "multipleOf": 0.001}),
]

Count = Annotated[int, Strict(), Field(ge=1, le=COUNT_MAX)]
CountOrZero = Annotated[int, Strict(), Field(ge=0, le=COUNT_MAX)]
Flag = Annotated[bool, Strict()]
NAME_PATTERN: Final = r"^[a-z][a-z0-9-]*$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]


class FrozenDict(dict[K, V]):
    """A dict that nobody can change, so that a scenario is a value."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a scenario does not change; Scenario.with_ makes another one")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return (FrozenDict, (dict(self),))

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def _by_name(named: Mapping[Name, V]) -> FrozenDict[Name, V]:
    return FrozenDict(sorted(named.items(), key=lambda item: item[0]))


Names = Annotated[Mapping[Name, V], AfterValidator(_by_name)]
"""A mapping from names the user chose to values of one type, held by name: the numbers that draws are keyed by (O4)
must not depend on the order in which a file lists things, for it is no part of the scenario's digest."""


class _NoneWord:
    """Makes an optional type read and write the word `none`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: None if isinstance(value, str) and value == "none" else value,
            handler(source),
            serialization=core_schema.wrap_serializer_function_ser_schema(
                lambda value, write: "none" if value is None else write(value)
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        written = handler(schema["schema"])
        branches = written.get("anyOf", [written])
        return {"anyOf": [branch for branch in branches if branch != {"type": "null"}] + [{"enum": ["none", None]}]}


OrNone = Annotated[T | None, _NoneWord()]
"""A type whose value may be `none`, held as None."""
PresetName = OrNone[Name]


class _NoneIsEmpty:
    """Makes a list or mapping read the word `none` as an empty one."""

    def __init__(self, empty: tuple[()] | dict[str, Any]) -> None:
        self.empty = empty

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: self.empty if value is None or value == "none" else value, handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema["schema"]), {"enum": ["none", None]}]}


OrNoEntries = Annotated[tuple[T, ...], _NoneIsEmpty(())]
"""A list that `none` leaves empty."""
OrNoNames = Annotated[Names[V], _NoneIsEmpty({})]
"""A mapping from names that `none` leaves empty."""
OrNoPaths = Annotated[Mapping[str, V], AfterValidator(FrozenDict), _NoneIsEmpty({})]
"""A mapping from any texts that `none` leaves empty."""


class _Nothing:
    """The type of a key that takes only `none` (or 0); the error translator adds what works instead."""

    def __init__(self, also_zero: bool = False) -> None:
        self.also_zero = also_zero

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": ["none", None, 0] if self.also_zero else ["none", None]}

    def validate(self, value: object) -> None:
        nothing = value is None or value == "none"
        if not nothing and not (self.also_zero and value == 0 and not isinstance(value, bool)):
            raise PydanticCustomError("unbuilt", "not built")


Unbuilt = Annotated[None, _Nothing()]
UnbuiltNumber = Annotated[None, _Nothing(also_zero=True)]


def _bound(dimension: Dimension, *relations: Relation) -> tuple[PlainValidator, PlainSerializer, WithJsonSchema]:
    pattern = {"share": units.SHARE_PATTERN, "duration": units.DURATION_PATTERN, "count": "^[0-9]{1,9}$"}[dimension]
    signs = "|".join(relations)
    return (
        PlainValidator(_guarded(lambda value: units.parse_comparison(value, dimension, relations))),
        PlainSerializer(str, return_type=str),
        _text_schema(f"^(?:{signs}) ?{pattern.removeprefix('^')}", f"{relations[0]} {units.EXAMPLES[dimension]}"),
    )


_AT_LEAST_SHARE: Final = _bound("share", ">=", ">")
_AT_MOST_DURATION: Final = _bound("duration", "<=", "<")
_OVER_SHARE: Final = _bound("share", ">", ">=")
_UNDER_COUNT: Final = _bound("count", "<", "<=")
_OVER_COUNT: Final = _bound("count", ">", ">=")
AtLeastShare = Annotated[Comparison, _AT_LEAST_SHARE[0], _AT_LEAST_SHARE[1], _AT_LEAST_SHARE[2]]
AtMostDuration = Annotated[Comparison, _AT_MOST_DURATION[0], _AT_MOST_DURATION[1], _AT_MOST_DURATION[2]]
OverShare = Annotated[Comparison, _OVER_SHARE[0], _OVER_SHARE[1], _OVER_SHARE[2]]
UnderCount = Annotated[Comparison, _UNDER_COUNT[0], _UNDER_COUNT[1], _UNDER_COUNT[2]]
OverCount = Annotated[Comparison, _OVER_COUNT[0], _OVER_COUNT[1], _OVER_COUNT[2]]
