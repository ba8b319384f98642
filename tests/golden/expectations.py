"""What the shipped scenarios must show: `scenarios/expected/NAME.yaml` beside `scenarios/NAME.yaml`.

    seeds: 20             # seeds 1 to 20 must show this; the plain test run takes the first five, `-m long` all
    every_seed:           # path in the result: the value, [least, most] of a number, or the names of a list's entries
      verdict: collapse
      phases.after.success: [0, 0.01]
    seed_1:               # the same, of seed 1 alone, with the replays that explain a collapse
      metastable: true
    variants:             # seed 1 with something changed
      - set: {traffic.shoppers.retry: none}
        expect: {verdict: degraded}
    header:               # every figure in the scenario's comment, and where it comes from
      "90%": validate services.web.without.c.utilisation
      "17 s": run time_to_detect_s

Where a header's figure comes from: `run` and a path in seed 1's result, `variant N` and one in the result of the Nth
variant, `set N` and a path that the Nth variant sets, `validate` and a path in what `azsim validate --json` prints as
arithmetic, or `file` and a path in the scenario.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from azsim import Result, load, run
from azsim.scenario.arithmetic import arithmetic

SCENARIOS = Path(__file__).parents[2] / "scenarios"
NAMES = sorted(path.stem for path in SCENARIOS.glob("*.yaml"))
PLAIN_SEEDS = 5

_NAMING = ("name", "id", "mechanism", "change", "rule", "fault", "why")  # what entries of a result's lists go by
_UNITS = {"%": 0.01, "ms": 0.001, "s": 1.0, "min": 60.0, "/s": 1.0, "": 1.0}
_FIGURE = re.compile(r"\d+:\d\d|(?<![\w.])(?<!HTTP )(?P<number>\d+(?:\.\d+)?)(?: ?(?P<unit>%|/s|ms|min|s)(?!\w))?")


@dataclass(frozen=True)
class Variant:
    """Seed 1 with something changed, and what it must show."""

    set: dict[str, Any]
    expect: dict[str, Any]


@dataclass(frozen=True)
class Expectation:
    """One file of expectations."""

    seeds: int
    every_seed: dict[str, Any]
    seed_1: dict[str, Any] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    header: dict[str, str] = field(default_factory=dict)


def path_of(name: str) -> Path:
    """The file of a scenario."""
    return SCENARIOS / f"{name}.yaml"


@cache
def expectation(name: str) -> Expectation:
    """What a scenario must show."""
    values = yaml.safe_load((SCENARIOS / "expected" / f"{name}.yaml").read_text(encoding="utf-8"))
    values["variants"] = tuple(Variant(**variant) for variant in values.get("variants", ()))
    return Expectation(**values)


@cache
def result(name: str, seed: int) -> Result:
    """A run of a scenario, with replays for seed 1."""
    return run(load(path_of(name)), seed=seed, replays=seed == 1)


@cache
def variant_result(name: str, number: int) -> Result:
    """Seed 1 of a scenario with what its variant `number` (from 1) changes."""
    return run(load(path_of(name)).with_(expectation(name).variants[number - 1].set), seed=1, replays=False)


def look_up(values: Any, path: str) -> Any:
    """The value at a dotted path; entries of lists go by name, the first of that name."""
    for step in path.split("."):
        if isinstance(values, list):
            values = next(entry for entry in values if step in (entry.get(key) for key in _NAMING))
        else:
            values = values[step]
    return values


def differences(expected: Mapping[str, Any], found: Result) -> list[str]:
    """What of a result is not as expected."""
    values = found.to_dict()
    return [
        f"{path} is {shown}, not {wanted}"
        for path, wanted in expected.items()
        if not _fits(shown := _shown(look_up(values, path)), wanted)
    ]


def _shown(value: Any) -> Any:
    """A value of a result; a list of mappings by the names of its entries."""
    if isinstance(value, list):
        return [next(entry[key] for key in _NAMING if key in entry) for entry in value]
    return value


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, list) and len(wanted) == 2 and all(isinstance(bound, int | float) for bound in wanted):
        return isinstance(value, int | float) and wanted[0] <= value <= wanted[1]
    return bool(value == wanted)


def header(name: str) -> str:
    """The comment at the top of a scenario, as one line."""
    lines = path_of(name).read_text(encoding="utf-8").splitlines()
    comment = lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]
    return " ".join(line.removeprefix("#").strip() for line in comment)


def header_figures(name: str) -> list[str]:
    """Every number in a scenario's header, with its unit."""
    return [match[0] for match in _FIGURE.finditer(header(name))]


def source_value(name: str, source: str) -> Any:
    """The value that a header's figure comes from."""
    kind, *number, path = source.split()
    if kind == "run":
        return look_up(result(name, 1).to_dict(), path)
    if kind == "variant":
        return look_up(variant_result(name, int(number[0])).to_dict(), path)
    if kind == "set":
        return expectation(name).variants[int(number[0]) - 1].set[path]
    scenario = load(path_of(name))
    if kind == "validate":
        return look_up(dataclasses.asdict(arithmetic(scenario)), path)
    assert kind == "file", f"a figure comes from run, variant, set, validate or file, not from {kind}"
    return look_up(scenario.to_dict(), path)


def agrees(figure: str, value: Any) -> bool:
    """Whether a value rounds to a figure as written: 0.0048 to `0.5%`, 17.2 to `17 s`, 542 to `09:02`."""
    if ":" in figure:
        minutes, _, seconds = figure.partition(":")
        return bool(value == int(minutes) * 60 + int(seconds))
    match = _FIGURE.fullmatch(figure)
    assert match is not None
    if isinstance(value, str):
        given = _FIGURE.fullmatch(value)
        assert given is not None, f"{value} is not a figure"
        value = float(given["number"]) * _UNITS[given["unit"] or ""]
    unit = _UNITS[match["unit"] or ""]
    half_a_digit = 0.5 * 10.0 ** -len(match["number"].partition(".")[2])
    return bool(abs(value / unit - float(match["number"])) <= half_a_digit * (1 + 1e-9))
