"""`azsim compare` of results, and of a run with what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azsim.base.errors import ExitCode
from azsim.cli.main import outcome

REFERENCE = ("--engine", "reference", "--quiet")


@pytest.fixture
def left(scenario_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The folders of two runs, the second without retries."""
    monkeypatch.chdir(tmp_path)
    folders = tmp_path / "one", tmp_path / "other"
    assert outcome(["run", str(scenario_file), *REFERENCE, "--out", str(folders[0])]) == ExitCode.OK
    change = ("--set", "traffic.shoppers.retry=none", "--set", "name=once")
    assert outcome(["run", str(scenario_file), *REFERENCE, "--out", str(folders[1]), *change]) == ExitCode.OK
    return folders


def test_two_results_are_shown_side_by_side(left: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["compare", str(left[0]), str(left[1] / "result.json")]) == ExitCode.OK
    shown = capsys.readouterr().out
    rows = {line[:12].strip(): line.split() for line in shown.splitlines()}
    assert rows["attempts/req"][-1] == "1.00"
    assert float(rows["attempts/req"][-2]) > 1
    page = Path("out/comparison.html").read_text(encoding="utf-8")
    assert "traffic.shoppers.retry" in page
    assert "once" in page


def test_a_run_beside_its_own_curves(left: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    result = json.loads((left[0] / "result.json").read_text())
    rows = [f"{t},{n}" for t, n in zip(result["timeline"]["t_s"], result["timeline"]["attempts"], strict=True)]
    Path("metrics.csv").write_text("\n".join(["time,rps", *rows]))
    arguments = ["compare", str(left[0]), "--observed", "metrics.csv", "--column", "rps=attempts", "--zero", "0"]
    assert outcome([*arguments, "--json"]) == ExitCode.OK
    (found,) = json.loads(capsys.readouterr().out)["misfit"]
    assert (found["deviation"], found["bias"], found["periods"]) == (0, 0, 40)
    assert outcome([*arguments, "--page", "both.html"]) == ExitCode.OK
    assert "rps" in capsys.readouterr().out
    assert "rps and attempts" in Path("both.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["one"], "SECOND is missing"),
        (["one", "other", "--observed", "m.csv"], "leave SECOND out"),
        (["one", "other", "--json"], "--json is for scenarios"),
        (["one", "--observed", "none.csv"], "cannot be read"),
        (["one", "--observed", "m.csv", "--zero", "yesterday"], "no time, such as"),
        (["one", "--observed", "m.csv", "--column", "rps"], "is not COLUMN=SERIES"),
        (["one", "nothing/"], "nothing"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    arguments: list[str], told: str, left: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert outcome(["compare", *arguments]) == ExitCode.BAD_INPUT
    assert told in " ".join(capsys.readouterr().err.split())
