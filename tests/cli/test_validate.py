"""`azsim validate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azsim.base.errors import ExitCode
from azsim.cli.main import outcome


def test_every_value_comes_with_its_source(scenario_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["validate", str(scenario_file), "--set", "services.web.queue=7"]) == ExitCode.OK
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "duration: 40s line 3" in lines
    assert "cores: 2 default" in lines
    assert "queue: 7 --set services.web.queue=7" in lines
    assert "zone_loss: {zone: b, mode: power} line 19" in lines


def test_the_arithmetic_has_units_and_says_what_worries(
    scenario_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 2 zones x 2 slots / 10 ms = 400/s; 300/s is 75% of it, and 150% of what is left of it with a zone gone.
    assert outcome(["validate", str(scenario_file), "--set", "traffic.shoppers.rate=300/s"]) == ExitCode.OK
    shown = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "requests 300/s" in lines
    assert "capacity 400/s" in lines
    assert "busy 75%" in lines
    assert "busy, zone a gone 150%" in lines
    assert "full queue waits 5 s" in lines
    # Two probes a second apart, the last one silent for 500 ms: 1.5 s, and up to one interval before the first.
    assert "silent target out after 1.5 to 2.5 s" in lines
    assert "With zone b gone web is at 150%" in shown[shown.index("FINDINGS") :]


def test_slowness_limits_and_warm_up_have_rows_where_there_are_any(
    scenario_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web = ["overload={coherency: 0.5}", "rate_limit={rate: 80/s}", "warmup={for: 5s, slowdown: 3}"]
    arguments = [part for one in web for part in ("--set", f"services.web.{one}")]
    assert outcome(["validate", str(scenario_file), *arguments]) == ExitCode.OK
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    # Alone a request takes 10 ms, two at once twice as long: 100/s or 100/s for an instance of two slots.
    assert "let in by rate limits 160/s" in lines
    assert "busy, zone b back, cold 90%" in lines
    assert not any(line.startswith("capacity, all slots full") for line in lines)
    assert outcome(["validate", str(scenario_file), "--set", "services.web.overload={coherency: 0.75}"]) == ExitCode.OK
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "capacity, all slots full 160/s" in lines


def test_json_is_all_of_it(scenario_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["validate", str(scenario_file), "--json", "--set", "services.web.queue=unbounded"]
    assert outcome(arguments) == ExitCode.OK
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert captured.err == ""
    assert data["resolved"]["services"]["web"]["cores"] == 2
    assert data["sources"]["services.web.cores"] == "default"
    assert data["arithmetic"]["services"]["web"]["load"]["utilisation"] == pytest.approx(0.15)
    assert data["arithmetic"]["services"]["web"]["queue_wait_s"] is None
    assert data["findings"]


def test_a_broken_file_is_told_with_its_line(scenario_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scenario_file
    path.write_text(path.read_text(encoding="utf-8").replace("40s", "40"), encoding="utf-8")
    assert outcome(["validate", str(path)]) == ExitCode.BAD_INPUT
    captured = capsys.readouterr()
    assert f"{path}:3:" in captured.err
    assert captured.out == ""
