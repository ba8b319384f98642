"""Every broken scenario file is refused with one message that says where, what, why and how to write it.

What to expect stands in the first line of each file, or beside it in `NAME.expect` where the file can hold no comment.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from azsim.base.errors import ExitCode, ScenarioError
from azsim.scenario import load

BROKEN = Path(__file__).parent / "broken"
EXPECTATION = re.compile(r"# expect line (\d+), column (\d+), key (\S+): (.+)")
SECONDS_MAX = 2.0  # a bomb that is let in takes minutes


def expectation(path: Path) -> re.Match[str]:
    beside = path.with_suffix(".expect")
    first = (beside if beside.exists() else path).read_text(encoding="utf-8").split("\n", 1)[0]
    found = EXPECTATION.fullmatch(first)
    assert found, f"{path.name} does not say what to expect: '# expect line N, column N, key K: rule'"
    return found


@pytest.mark.parametrize("path", sorted(BROKEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_is_refused_in_one_message(path: Path) -> None:
    line, column, key, rule = expectation(path).groups()
    started = time.perf_counter()
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert time.perf_counter() - started < SECONDS_MAX
    error, message = caught.value, str(caught.value)
    assert (error.line, error.column) == (int(line), int(column)), message
    assert error.key == ("" if key == "-" else key), message
    assert rule in error.rule, message
    assert error.example, message
    assert message.startswith(f"{path}:{line}:{column}: {error.key}"), message
    assert f"{error.rule}. Valid example: " in message, message
    assert "\n" not in message
    assert len(message) - len(str(path)) < 600, message
    assert error.exit_code is ExitCode.BAD_INPUT


def test_there_are_many() -> None:
    assert len(list(BROKEN.glob("*.yaml"))) >= 100


def test_what_they_extend_is_valid() -> None:
    assert load(BROKEN.parent / "base.yaml").name == "zone-loss"
