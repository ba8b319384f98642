"""What the README shows is what happens."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from azsim.base.errors import ExitCode
from azsim.cli.main import VERBS, outcome
from azsim.report.words import VERDICTS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(heading: str) -> set[str]:
    """The first cells of the table under a heading."""
    table = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `?([\w-]+)`? \|", table, re.MULTILINE))


def test_the_python_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert tried >= 8
    assert failed == 0


@pytest.mark.long
def test_the_card_is_the_one_that_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = ROOT / "scenarios" / "zone_loss_retry_storm.yaml"
    assert outcome(["run", str(scenario), "--out", str(tmp_path)]) == ExitCode.OK
    blocks = re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    (card,) = [block for block in blocks if "OUTCOME" in block]
    assert card in capsys.readouterr().out, "the README shows another card: take over the new one, and the picture"


def test_every_verdict_and_exit_code_is_explained() -> None:
    assert rows("Verdicts") - {"verdict"} == set(VERDICTS)
    assert rows("Exit codes") - {"code"} == {str(code.value) for code in ExitCode}


def test_every_verb_that_the_documents_use_exists() -> None:
    texts = README + (ROOT / "docs" / "user-guide.md").read_text(encoding="utf-8")
    used = set(re.findall(r"^azsim (\w+)", texts, re.MULTILINE))
    assert used
    assert used <= set(VERBS)
