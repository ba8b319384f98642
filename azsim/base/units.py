"""Quantities with units, to raw numbers and back.

Texts are exact: they are read as decimal numbers, and a duration is rounded once, up, to whole nanoseconds (O2).
Every parser refuses with `UnitError`, which says the rule and shows a text that keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final, Literal

US_NS: Final = 1_000
MS_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
DURATION_NS_MAX: Final = 366 * 24 * 3600 * SECOND_NS
RATE_PER_S_MAX: Final = 1e9

_DURATION_UNITS_NS: Final = {
    "h": 3600 * SECOND_NS,
    "min": 60 * SECOND_NS,
    "s": SECOND_NS,
    "ms": MS_NS,
    "us": US_NS,
    "ns": 1,
}
_RATE_UNITS_S: Final = {"s": 1, "min": 60, "h": 3600}

# At most three digits of exponent: enough for every float, and Decimal cannot be made to work for minutes.
NUMBER_PATTERN: Final = r"[0-9]{1,20}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?"
DURATION_PATTERN: Final = rf"^{NUMBER_PATTERN}(?:ns|us|ms|s|min|h)$"
RATE_PATTERN: Final = rf"^{NUMBER_PATTERN}/(?:s|min|h)$"
SHARE_PATTERN: Final = rf"^{NUMBER_PATTERN}%$"

_DURATION: Final = re.compile(rf"({NUMBER_PATTERN})(ns|us|ms|s|min|h)", re.ASCII)
_RATE: Final = re.compile(rf"({NUMBER_PATTERN})/(s|min|h)", re.ASCII)
_SHARE: Final = re.compile(rf"({NUMBER_PATTERN})%", re.ASCII)
_COUNT: Final = re.compile(r"([0-9]{1,9})", re.ASCII)
_COMPARISON: Final = re.compile(r"(>=|<=|>|<) ?(\S+)", re.ASCII)

Relation = Literal[">=", ">", "<=", "<"]
Dimension = Literal["duration", "rate", "share", "count"]


class UnitError(ValueError):
    """A text is not the quantity it should be. `rule` says why, `example` is a text that would be."""

    def __init__(self, rule: str, example: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.example = example


def _match(pattern: re.Pattern[str], value: object, rule: str, example: str) -> re.Match[str]:
    found = pattern.fullmatch(value) if isinstance(value, str) else None
    if found is not None:
        return found
    if isinstance(value, str) and value.startswith("-") and pattern.fullmatch(value[1:]):
        raise UnitError("must not be negative", example)
    raise UnitError(rule, example)


def parse_duration(value: object) -> int:
    """Whole nanoseconds of a text such as `250ms`, `10s`, `0.25ms` or `1h`, rounded up."""
    found = _match(_DURATION, value, "a duration is a number and a unit (ns, us, ms, s, min or h)", "250ms")
    exact_ns = Decimal(found[1]) * _DURATION_UNITS_NS[found[2]]
    if exact_ns > DURATION_NS_MAX:
        raise UnitError("a duration is at most 366 days (8784h)", "1h")
    return int(exact_ns.to_integral_value(rounding=ROUND_CEILING))


def parse_rate(value: object) -> float:
    """Events per second of a text such as `1200/s`, `90/min` or `5/h`."""
    found = _match(_RATE, value, "a rate is a number per s, min or h", "1200/s")
    exact_per_s = Decimal(found[1]) / _RATE_UNITS_S[found[2]]
    if exact_per_s > int(RATE_PER_S_MAX):
        raise UnitError("a rate is at most 1e9/s", "1200/s")
    return float(exact_per_s)


def parse_share(value: object) -> float:
    """A text such as `80%` as a number from 0 to 1."""
    found = _match(_SHARE, value, "a share is a percentage", "80%")
    exact = Decimal(found[1]) / 100
    if exact > 1:
        raise UnitError("a share is at most 100%", "80%")
    return float(exact)


def parse_count(value: object) -> int:
    """A whole number written as text, as it stands in a comparison."""
    return int(_match(_COUNT, value, "a count is a whole number of at most nine digits", "3")[1])


def _plain_number(number: float) -> str:
    """Shortest text that reads back as the same float, without a trailing `.0`."""
    return repr(float(number)).removesuffix(".0")


def format_duration(duration_ns: int) -> str:
    """The text of a duration in the largest unit that keeps it whole; `parse_duration` reads it back exactly."""
    if duration_ns == 0:
        return "0s"
    for unit, unit_ns in _DURATION_UNITS_NS.items():
        if duration_ns % unit_ns == 0:
            return f"{duration_ns // unit_ns}{unit}"
    raise AssertionError("every whole number is a number of nanoseconds")


def format_rate(rate_per_s: float) -> str:
    """The text of a rate; `parse_rate` reads it back exactly."""
    return f"{_plain_number(rate_per_s)}/s"


def format_share(share: float) -> str:
    """The text of a share; `parse_share` reads it back exactly."""
    percent = Decimal(repr(float(share))) * 100
    plain = format(percent, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    # A share too small to write out within the digits a number may have keeps its exponent.
    return f"{plain if len(plain) <= 30 else format(percent.normalize(), 'e')}%"


_PARSERS: Final[dict[Dimension, Callable[[object], float]]] = {
    "duration": parse_duration,
    "rate": parse_rate,
    "share": parse_share,
    "count": parse_count,
}
_FORMATS: Final[dict[Dimension, Callable[[float], str]]] = {
    "duration": lambda number: format_duration(int(number)),
    "rate": format_rate,
    "share": format_share,
    "count": lambda number: str(int(number)),
}
EXAMPLES: Final[dict[Dimension, str]] = {"duration": "250ms", "rate": "1200/s", "share": "80%", "count": "3"}


def parse_quantity(dimension: Dimension, value: object) -> float:
    """The raw number (ns, per second, 0..1, count) of a text of the given dimension."""
    return _PARSERS[dimension](value)


def format_quantity(dimension: Dimension, number: float) -> str:
    """The text of a raw number of the given dimension."""
    return _FORMATS[dimension](number)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A bound such as `>= 99.9%`: `limit` is a raw number of `dimension` (ns, per second, 0..1 or a count)."""

    relation: Relation
    limit: float
    dimension: Dimension

    def holds(self, measured: float) -> bool:
        """Whether a raw number keeps the bound."""
        if self.relation == ">=":
            return measured >= self.limit
        if self.relation == ">":
            return measured > self.limit
        if self.relation == "<=":
            return measured <= self.limit
        return measured < self.limit

    def __str__(self) -> str:
        return f"{self.relation} {format_quantity(self.dimension, self.limit)}"


def parse_comparison(value: object, dimension: Dimension, relations: tuple[Relation, ...]) -> Comparison:
    """The bound in a text such as `<= 500ms`, whose relation must be one of `relations`."""
    example = f"{relations[0]} {EXAMPLES[dimension]}"
    rule = f"a bound is {' or '.join(relations)} and a {dimension}"
    found = _match(_COMPARISON, value, rule, f'"{example}"')
    for relation in relations:
        if found[1] == relation:
            try:
                return Comparison(relation, parse_quantity(dimension, found[2]), dimension)
            except UnitError as error:
                raise UnitError(f"{rule}; {error.rule}", f'"{example}"') from None
    raise UnitError(f"{rule}, not {found[1]}", f'"{example}"')
