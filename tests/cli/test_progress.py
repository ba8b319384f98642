"""Progress: nothing for what is quick, now and then a line for what is not."""

from __future__ import annotations

import pytest

from azsim.cli import progress as module
from azsim.cli.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the time is: set its one entry."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_quick_run_shows_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1200.0, quiet=False) as progress:
        for share in (0.1, 0.5, 1.0):
            clock[0] += 0.3
            progress(share)
    assert capsys.readouterr().err == ""


def test_a_long_run_shows_a_line_now_and_then_with_rate_and_time_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(1200.0, quiet=False) as progress:
        progress(0.0)
        for second in range(1, 11):
            clock[0] += 1.0
            progress(second / 10)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "simulating: 10%  120 x real time  9 s left",
        "simulating: 60%  120 x real time  4 s left",
    ]


def test_the_passes_after_the_first_are_counted(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(10.0, quiet=False) as progress:
        for share in (0.0, 1.0, 0.0, 1.0, 0.0, 0.5):
            clock[0] += 2.0
            progress(share)
    assert capsys.readouterr().err.splitlines() == [
        "simulating: 100%  5.0 x real time  0 s left",
        "simulating again (2): 50%  2.5 x real time  2 s left",
    ]


def test_quiet_says_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(10.0, quiet=True) as progress:
        progress.explain("compiling")
        for share in (0.0, 0.5, 1.0):
            clock[0] += 60.0
            progress(share)
    assert capsys.readouterr().err == ""


def test_a_long_wait_for_the_beginning_is_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "WAIT_S", 0.01)
    with Progress(10.0, quiet=False) as progress:
        progress.explain("compiling")
        waiting = progress._waiting
        assert waiting is not None
        waiting.join(timeout=10)
    assert capsys.readouterr().err == "compiling\n"


def test_a_beginning_in_time_needs_no_explanation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "WAIT_S", 60.0)
    with Progress(10.0, quiet=False) as progress:
        progress.explain("compiling")
        waiting = progress._waiting
        assert waiting is not None
        progress(0.0)
        waiting.join(timeout=10)
        assert not waiting.is_alive()
    assert capsys.readouterr().err == ""
