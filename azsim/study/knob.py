"""One key of a scenario as a knob: where it stands, and the values it may be turned to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from azsim.base.errors import ScenarioError
from azsim.base.units import Dimension, UnitError, format_quantity, parse_quantity
from azsim.scenario import Scenario
from azsim.scenario.paths import child, entry_names
from azsim.scenario.tree import Node, Origin, from_plain, plain

SPAN: Final = 4.0  # a knob is turned this far, up and down, unless said
STEP: Final = 0.02  # from one level to the next, of the value itself
WHOLE_MAX: Final = 400  # whole numbers that are tried one by one
_DIMENSIONS: Final[tuple[Dimension, ...]] = ("duration", "rate", "share")
_EXAMPLE: Final = "--knob traffic.shoppers.rate=800/s..1200/s"


@dataclass(frozen=True, slots=True)
class Knob:
    """A key and its levels, raw numbers in ascending order. `value` is where it
    stands in the scenario.
    """

    path: str
    dimension: Dimension | None  # None: a number
    value: float
    levels: tuple[float, ...]

    def written(self, level: float) -> Any:
        """A level as a scenario writes it."""
        if self.dimension is None:
            return int(level) if level == int(level) else level
        return format_quantity(self.dimension, round(level) if self.dimension == "duration" else level)

    def shown(self, level: float) -> str:
        """A level as a person reads it: four digits."""
        if self.dimension == "duration":
            unit, unit_ns = next(
                ((name, size) for name, size in (("min", 6e10), ("s", 1e9), ("ms", 1e6), ("us", 1e3)) if level >= size),
                ("ns", 1.0),
            )
            return f"{level / unit_ns:.4g} {unit}"
        if self.dimension == "share":
            return f"{100 * level:.4g}%"
        return f"{level:.4g}{'/s' if self.dimension == 'rate' else ''}"


def knob(scenario: Scenario, text: str, step: float = STEP) -> Knob:
    """The knob of `PATH` or `PATH=LOW..HIGH`. ScenarioError where the key is not there or is no quantity."""
    path, equals, span = text.partition("=")
    dimension, value = _quantity(path, value_at(scenario, path))
    low, high = (value / SPAN, value * SPAN) if not equals else _span(path, dimension, span)
    if dimension == "share":
        low, high = (0.0, 1.0) if not equals else (low, high)
    if not 0 <= low < high:
        raise _error(path, f"{low:g} to {high:g} is no range to search", str(value_at(scenario, path)))
    if dimension is None and _is_whole(scenario, path, value):
        levels = _whole_levels(max(low, 1.0) if not equals else low, high)
    elif dimension == "share":
        levels = tuple(np.linspace(low, high, 1 + round((high - low) / (step / 4))).tolist())
    else:
        levels = _geometric(low, high, value, step)
    if len(levels) < 2:
        raise _error(path, "there are no two levels in this range", f"{low:g}..{high:g}")
    return Knob(path, dimension, value, levels)


def value_at(scenario: Scenario, path: str) -> Any:
    """What a scenario has at a dotted path, as it would be written. ScenarioError where there is nothing."""
    node: Node = from_plain(scenario.to_dict(), Origin("<scenario>"))
    for part in path.split("."):
        under = child(node, part)
        if isinstance(node.value, list):
            under = dict(zip(entry_names(node.value), node.value, strict=True)).get(part)
        if under is None:
            raise _error(path, f"the scenario has nothing at {part!r}: a knob is a key that stands in it", "")
        node = under
    return plain(node)


def _quantity(path: str, value: Any) -> tuple[Dimension | None, float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return None, float(value)
    for dimension in _DIMENSIONS:
        try:
            return dimension, float(parse_quantity(dimension, value))
        except UnitError:
            continue
    raise _error(path, "a knob is a duration, a rate, a share or a number", str(value))


def _span(path: str, dimension: Dimension | None, text: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    try:
        if dots and dimension is not None:
            return float(parse_quantity(dimension, low.strip())), float(parse_quantity(dimension, high.strip()))
        if dots and math.isfinite(float(low)) and math.isfinite(float(high)):
            return float(low), float(high)
    except (UnitError, ValueError):
        pass
    raise _error(path, f"a range is LOW..HIGH, each a {dimension or 'number'}", text)


def _is_whole(scenario: Scenario, path: str, value: float) -> bool:
    if value != int(value):
        return False
    try:
        scenario.with_({"vary": {}, path: value + 0.5})
    except ScenarioError:
        return True
    return False


def _whole_levels(low: float, high: float) -> tuple[float, ...]:
    first, last = math.ceil(low), math.floor(high)
    if last - first < WHOLE_MAX:
        return tuple(float(level) for level in range(first, last + 1))
    return tuple(sorted({float(round(level)) for level in np.geomspace(max(first, 1), last, WHOLE_MAX)}))


def _geometric(low: float, high: float, value: float, step: float) -> tuple[float, ...]:
    """Levels some constant ratio apart, in four digits; one of them is the value that the scenario has."""
    anchor = value if low <= value <= high and value > 0 else high
    floor = max(low, high * 1e-6)  # a ratio never reaches 0
    down = range(math.floor(math.log(anchor / floor) / math.log1p(step)), 0, -1)
    up = range(math.floor(math.log(high / anchor) / math.log1p(step)) + 1)
    inside = [anchor * (1 + step) ** -k for k in down] + [anchor * (1 + step) ** k for k in up]
    rounded = {min(max(float(f"{level:.4g}"), low), high) for level in inside}
    return tuple(sorted({low, high, anchor, *rounded}))


def _error(path: str, rule: str, value: str) -> ScenarioError:
    return ScenarioError(rule, file="--knob", key=path, value=value, example=_EXAMPLE)
