"""`azsim presets`, and what `azsim validate` says of a scenario that uses some."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from azsim.base.errors import ExitCode
from azsim.cli.main import outcome
from azsim.cli.presets import command
from azsim.scenario.preset import products


def test_all_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert outcome(["presets"]) == ExitCode.OK
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "resilience4j retry, breaker 2026-11-23 Resilience4j" in lines
    assert [line.split()[0] for line in lines if line][1:-1] == list(products())


def test_one_is_explained_with_sources_doubts_and_gaps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert outcome(["presets", "envoy"]) == ExitCode.OK
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "retry: {preset: envoy}" in lines
    assert "backoff.base 25ms Envoy, router_filter.rst" in lines
    assert any(line.startswith("on [timeout,") and "unverified: there is no default" in line for line in lines)
    assert any(line.startswith("deadline 15s Envoy, route_components.proto") for line in lines)
    assert any("At most 3 concurrent retries" in line for line in lines)


def test_json_is_a_list_or_all_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["presets", "--json"]) == ExitCode.OK
    listed = json.loads(capsys.readouterr().out)["presets"]
    assert [entry["name"] for entry in listed] == list(products())
    assert next(entry for entry in listed if entry["name"] == "polly")["blocks"] == ["retry", "breaker"]
    assert outcome(["presets", "polly", "--json"]) == ExitCode.OK
    polly = json.loads(capsys.readouterr().out)
    assert polly["breaker"]["values"]["rate"] == {"value": "10%", "source": "docs", "verified": True, "note": ""}
    assert polly["sources"]["docs"]["document"] == "Polly, docs/strategies"


def test_shells_complete_names() -> None:
    (name, *_) = command.params
    offered = [item.value for item in name.shell_complete(click.Context(command), "netflix-")]
    assert offered == ["netflix-aimd", "netflix-gradient2", "netflix-vegas"]


def test_an_unknown_one_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["presets", "pollly"]) == ExitCode.BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "there is no preset pollly; the nearest is polly. Valid example: azsim presets polly" in captured.err


def test_validate_shows_where_each_value_is_from(
    scenario_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = scenario_file.read_text(encoding="utf-8")
    scenario_file.write_text(text.replace("attempts: 2, on: [timeout]", "preset: grpc, attempts: 2"), encoding="utf-8")
    assert outcome(["validate", str(scenario_file)]) == ExitCode.OK
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "attempts: 2 line 11" in lines
    assert "jitter: proportional preset grpc: gRPC proposal A6" in lines
    assert "base: 100ms preset grpc: gRPC proposal A6 (unverified)" in lines
