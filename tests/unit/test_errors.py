"""Errors say where, what and why in one line, and how a process ends."""

from __future__ import annotations

import pickle

import pytest

from azsim.base.errors import AzsimError, ExitCode, InternalError, LimitError, ScenarioError


def test_a_scenario_error_reads_as_one_line() -> None:
    error = ScenarioError(
        "a duration is a number and a unit",
        file="x.yaml",
        line=3,
        column=9,
        key="warmup",
        value="10",
        example="warmup: 10s",
    )
    told = "x.yaml:3:9: warmup: value 10: a duration is a number and a unit. Valid example: warmup: 10s"
    assert str(error) == told
    assert str(pickle.loads(pickle.dumps(error))) == told


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"file": "--set a=1", "key": "a"}, "--set a=1: a: wrong"),
        ({"key": "a"}, "a: wrong"),
        ({}, "wrong"),
        ({"file": "two\nlines", "key": "k\ney"}, "two lines: k ey: wrong"),
    ],
)
def test_what_is_not_known_is_left_out(parts: dict[str, str], told: str) -> None:
    assert str(ScenarioError("wrong", **parts)) == told


def test_every_error_has_its_exit_code() -> None:
    codes = [error.exit_code for error in (ScenarioError, LimitError, InternalError)]
    assert codes == [ExitCode.BAD_INPUT, ExitCode.LIMIT, ExitCode.INTERNAL] == [2, 3, 4]
    assert all(issubclass(error, AzsimError) for error in (ScenarioError, LimitError, InternalError))
    assert (ExitCode.OK, ExitCode.FALSIFIED, ExitCode.INTERRUPTED) == (0, 1, 130)


def test_an_internal_error_says_how_to_see_it_again() -> None:
    error = InternalError("a request ended twice", "azsim run x.yaml --seed 7")
    assert str(error) == "a request ended twice. Replay: azsim run x.yaml --seed 7"
    assert pickle.loads(pickle.dumps(error)).replay_command == "azsim run x.yaml --seed 7"
