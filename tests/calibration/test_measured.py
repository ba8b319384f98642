"""Measured curves: read as dashboards write them, and the distance of a run from them."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from azsim.calibration.measured import Measured, instant_s, misfit, read_measured, series
from azsim.calibration.records import LogError
from azsim.simulation.run import run
from tests.small import scenario

START = "2026-03-01T08:00:00Z"


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    return run(scenario(), engine="reference").to_dict()


def exported(facts: dict[str, Any], path: Path, period: int, scale: float = 1.0, shift_s: float = 0.0) -> Path:
    """The run's own attempts and p99 as a load balancer's metrics: sums and means of periods."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Label", "RequestCount", "TargetResponseTime p99", "Other"])
        writer.writerow(["Statistic", "Sum", "p99", ""])
        attempts, late = series(facts, "attempts"), series(facts, "latency_p99_s")
        for begin in range(0, len(attempts) - period + 1, period):
            at = datetime.fromtimestamp(instant_s(START) + begin + shift_s, UTC).strftime("%Y/%m/%d %H:%M:%S")
            window = slice(begin, begin + period)
            writer.writerow([at, scale * attempts[window].sum(), np.nanmean(late[window]), "x"])
    return path


def test_a_run_does_not_differ_from_its_own_export(facts: dict[str, Any], tmp_path: Path) -> None:
    curves = read_measured(exported(facts, tmp_path / "m.csv", 5), {}, START)
    assert [curve.series for curve in curves] == ["attempts", "latency_p99_s"]
    assert [curve.period_s for curve in curves] == [5, 5]
    for curve in curves:
        found = misfit(curve, facts)
        assert found.periods == 9
        assert found.error == pytest.approx(0, abs=1e-6)
        assert found.bias == pytest.approx(0, abs=1e-6)


def test_a_curve_a_quarter_higher_is_missed_by_a_fifth(facts: dict[str, Any], tmp_path: Path) -> None:
    attempts, _ = read_measured(exported(facts, tmp_path / "m.csv", 5, scale=1.25), {}, None)
    found = misfit(attempts, facts)
    assert found.error == pytest.approx(0.2)
    assert found.bias == pytest.approx(-0.2)


def test_only_periods_that_lie_in_the_run_count(facts: dict[str, Any], tmp_path: Path) -> None:
    later, _ = read_measured(exported(facts, tmp_path / "m.csv", 5, shift_s=20), {}, START)
    assert misfit(later, facts).periods == 5
    gone, _ = read_measured(exported(facts, tmp_path / "n.csv", 5, shift_s=2000), {}, START)
    with pytest.raises(LogError, match="give its beginning with --zero"):
        misfit(gone, facts)


def test_columns_can_be_named_with_their_unit(tmp_path: Path) -> None:
    file = tmp_path / "grafana.csv"
    file.write_text("Time,slow,cpu\n1772352000000,250,40\n1772352060000,500,\n")
    names = {"slow": "latency_p99_s:ms", "cpu": "services.web.utilisation.a:percent"}
    slow, cpu = read_measured(file, names, None)
    assert slow.values.tolist() == [0.25, 0.5]
    assert cpu.values[0] == 0.4
    assert np.isnan(cpu.values[1])
    assert slow.t_s.tolist() == [0, 60]


def test_the_largest_difference_is_dated(facts: dict[str, Any]) -> None:
    values = series(facts, "attempts").copy()
    values[33] += 500
    curve = Measured("attempts", "a", np.arange(len(values), dtype=float), values, 1.0)
    assert misfit(curve, facts).worst_s == 33


@pytest.mark.parametrize(
    ("text", "names", "told"),
    [
        ("", {}, "no table"),
        ("time,attempts\n", {}, "no table"),
        ("time,attempts\n2026-03-01,1\n", {}, "two rows or more"),
        ("time,attempts\n1,1\n1,2\n", {}, "do not grow"),
        ("time,attempts\n1,1\nlater,2\n", {}, "'later' is no time"),
        ("time,attempts\n1,one\n2,2\n", {}, "'one' in column attempts is no number"),
        ("time,requests\n1,1\n2,2\n", {}, "no column is known (requests)"),
        ("time,attempts\n1,1\n2,2\n", {"b": "attempts"}, "no column 'b'; there are attempts"),
        ("time,attempts\n1,1\n2,2\n", {"attempts": "attempts:dozen"}, "no unit is called 'dozen'"),
    ],
)
def test_what_is_no_export_is_refused(text: str, names: dict[str, str], told: str, tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text(text)
    with pytest.raises(LogError) as error:
        read_measured(file, names, None)
    assert told in str(error.value)


def test_a_series_that_no_timeline_has_is_refused_with_those_it_has(facts: dict[str, Any]) -> None:
    with pytest.raises(LogError, match=r"no series 'services\.web\.fun'.*services\.web\.headroom"):
        series(facts, "services.web.fun")
