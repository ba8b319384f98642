"""Writes docs/validation.md from a run of the theory tests and the published results: `python -m tests.validation`.

What each test prints while it compares is what the page shows: formula or published figure, and what was measured.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "docs" / "validation.md"
FOLDERS: Final = {"theory": "Theory", "published": "Published results and defaults"}
LINES_MAX: Final = 12  # of figures of one test
CASE_MAX: Final = 20  # characters of its parameters

_TOP: Final = """\
# Validation

What azsim is held against, with the figures of a run of its tests. Written by `python -m tests.validation`; the tests
run with fixed seeds, so that everybody who runs them gets these figures.

A comparison with theory states the formula, what was measured and its standard error. Each would fail a correct
simulator once in a million draws of its seeds, and fails, too, if it could not see a deviation of the size its test
names. Tests without figures compare exactly, or within bounds that they state. Beside these, two engines written apart
agree event for event on generated systems ([model](model.md)), and every ready scenario is held to its
[expected outcome](scenarios.md).
"""


class Recorder:
    """Collects what tests printed, by module and test function."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, list[tuple[str, list[str]]]]] = defaultdict(lambda: defaultdict(list))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keeps the figures of a test that ran."""
        if report.when != "call":
            return
        file, _, name = report.nodeid.partition("::")
        function, _, case = name.partition("[")
        lines = [line for line in report.capstdout.splitlines() if line.strip()]
        self.found[file][function].append((case.rstrip("]"), lines))


def document() -> str:
    """The page, from a run of all tests it is about."""
    recorder = Recorder()
    code = pytest.main(
        ["-q", "-n", "0", "-p", "no:cacheprovider", *(f"tests/{name}" for name in FOLDERS)], plugins=[recorder]
    )
    assert code == pytest.ExitCode.OK, "the tests must pass before their figures are written down"
    parts = [_TOP]
    for folder, title in FOLDERS.items():
        parts.append(f"\n## {title}\n")
        for file in sorted(recorder.found):
            if file.startswith(f"tests/{folder}/"):
                parts.append(_module(file, recorder.found[file]))
    return "".join(parts)


def _module(file: str, functions: dict[str, list[tuple[str, list[str]]]]) -> str:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    paragraph = (ast.get_docstring(tree) or "").partition("\n\n")[0].replace("\n", " ")
    title = file.rpartition("/test_")[2].removesuffix(".py").replace("_", " ").capitalize()
    docstrings = {node.name: ast.get_docstring(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    text = [f"\n### {title}\n\n{_safe(paragraph)} ([the tests](../{file}))\n\n| test | figures |\n|---|---|\n"]
    for function, cases in functions.items():
        words = function.removeprefix("test_").replace("_", " ")
        said = (docstrings.get(function) or "").partition("\n\n")[0].replace("\n", " ")
        figures = [f"{_safe(line)}{_told(case)}" for case, lines in cases for line in lines]
        if len(figures) > LINES_MAX:
            figures = [*figures[:LINES_MAX], f"and {len(figures) - LINES_MAX} more"]
        if not figures:
            figures = ["passes" + (f", in {len(cases)} cases" if len(cases) > 1 else "")]
        text.append(f"| {_safe(words)}{f'. {_safe(said)}' if said else ''} | {'<br>'.join(figures)} |\n")
    return "".join(text)


def _told(case: str) -> str:
    """The parameters of a test, unless they are many."""
    return f" ({_safe(case)})" if case and len(case) <= CASE_MAX else ""


def _safe(text: str) -> str:
    """Text in a cell of a table."""
    return re.sub(r"([|*_<>\[\]])", r"\\\1", " ".join(text.split()))


if __name__ == "__main__":
    text = document()
    if "--check" in sys.argv:
        sys.exit(text != DOCUMENT.read_text(encoding="utf-8"))
    DOCUMENT.write_text(text, encoding="utf-8")
