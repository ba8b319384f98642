"""Writes docs/scenarios.md from the scenarios and their expectations: `python -m tests.golden.table`."""

from __future__ import annotations

from pathlib import Path

from azsim import load
from tests.golden.expectations import NAMES, expectation, path_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "scenarios.md"

_TOP = """\
# Scenarios

Ready to run: `azsim run scenarios/NAME.yaml`. The comment at the top of each file says what happens in it and why, in
figures of seed 1; `scenarios/expected/NAME.yaml` says what every run of it must show, and the suite holds it to that.
The systems they share are in `scenarios/base/`.

Written from the files; the suite compares the two.

| scenario | what it shows | verdict | any one of these cures it |
|---|---|---|---|
"""


def document() -> str:
    """The text of docs/scenarios.md."""
    return _TOP + "".join(_row(name) for name in NAMES)


def _row(name: str) -> str:
    wanted = expectation(name)
    metastable = ", metastable" if wanted.seed_1.get("metastable") else ""
    cures = ", ".join(wanted.seed_1.get("sustained_by", ()))
    link = f"[{name}](../scenarios/{name}.yaml)"
    return f"| {link} | {load(path_of(name)).description} | `{wanted.every_seed['verdict']}`{metastable} | {cures} |\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
