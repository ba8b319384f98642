"""Whatever is done to a scenario, it is taken or refused by a ScenarioError that names its place."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from azsim.base.errors import ScenarioError
from azsim.scenario import Scenario
from azsim.scenario.arithmetic import arithmetic
from azsim.scenario.loader import read_file, read_text
from azsim.scenario.tree import plain

TESTS = Path(__file__).parents[1]
TEXT = (TESTS / "faults/base.yaml").read_text()
BASE: Any = plain(read_file(TESTS / "faults/base.yaml"))
EXAMPLES = max(300, settings.default.max_examples)  # cheap; more when the profile searches
WORDS = ["none", "all", "web", "shoppers", "a", "c", "loss", "10s", "0s", "5min", "2880/s", "80%", "> 20%", "<= 5s"]
WORDS += ["unbounded", "cost", "each", "zonal", "exponential", "uniform", "empirical", "same-zone", "on", "", "-1s"]
KEYS = [
    "id",
    "to",
    "at",
    "for",
    "mean",
    "csv",
    "work",
    "retry",
    "balancer",
    "calls",
    "zone_loss",
    "rate",
    "extends",
    "<<",
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
values = st.recursive(
    scalars,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)), inside, max_size=3),
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a value."""
    found = [path]
    if isinstance(value, dict):
        for key, child in value.items():
            found += places(child, (*path, key))
    elif isinstance(value, list):
        for position, child in enumerate(value):
            found += places(child, (*path, position))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """The base scenario with one to three of its parts replaced, removed, moved or added to."""
    scenario = copy.deepcopy(BASE)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(scenario)[1:]))
        holder = scenario
        for key in path[:-1]:
            holder = holder[key]
        kind = draw(st.sampled_from(["replace", "replace", "remove", "copy", "add"]))
        if kind == "replace":
            holder[path[-1]] = draw(values)
        elif kind == "remove":
            del holder[path[-1]]
        elif kind == "copy":
            other: Any = scenario
            for key in draw(st.sampled_from(places(scenario)[1:])):
                other = other[key]
            holder[path[-1]] = copy.deepcopy(other)
        elif isinstance(holder, dict):
            holder[draw(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)))] = draw(values)
        else:
            holder.append(draw(values))
        if len(places(scenario)) < 2:
            break
    return scenario


def judged(error: ScenarioError, file: str = "", line_min: int = 0) -> None:
    message = str(error)
    assert error.file == (file or error.file), message
    assert error.line >= line_min, message
    assert error.rule, message
    assert error.example, message
    assert "\n" not in message
    assert len(message) < 1500, message


@given(mutated())
@settings(max_examples=EXAMPLES)
def test_mutated_values_are_taken_or_refused(scenario: Any) -> None:
    try:
        made = Scenario.from_dict(scenario)
    except ScenarioError as error:
        judged(error)
        return
    assert Scenario.from_dict(made.to_dict()) == made
    assert all(isinstance(source, str) for source in made.sources.values())
    arithmetic(made)


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_mutated_texts_are_taken_or_refused(data: st.DataObject) -> None:
    text = TEXT
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        new = data.draw(
            st.one_of(
                st.text(max_size=4), st.sampled_from(["&a ", "*a", "- ", ": ", "{", "]", "\n", "!!", "#", '"', "\t"])
            )
        )
        text = text[:at] + new + text[at + cut :]
    try:
        made = Scenario.from_tree(read_text(text, "mutated.yaml"), TESTS)
    except ScenarioError as error:
        judged(error, file="mutated.yaml", line_min=1)
        return
    assert Scenario.from_dict(made.to_dict()) == made


@given(st.text(max_size=60))
@settings(max_examples=EXAMPLES)
@example("{")
@example("? ")
@example("%YAML 9.9\n---\n")
@example("\ud800")
@example("a: !<tag:x> 1")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_text(text, "any.yaml")
    except ScenarioError as error:
        judged(error)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["traffic", "shoppers", "services", "web", "calls", "faults", "loss", "rate", "0"]),
            st.text(max_size=3),
        ),
        max_size=5,
    ),
    values,
)
@settings(max_examples=EXAMPLES)
def test_any_path_may_be_asked_for(parts: list[str], value: Any) -> None:
    base = Scenario.from_dict(BASE)
    try:
        base.with_({".".join(parts): value})
    except ScenarioError as error:
        judged(error)
