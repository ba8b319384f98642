"""The yardsticks simulate the world they say, and the harness judges figures as its goals say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import tools
from benchmarks.goals import GOALS, Goal
from benchmarks.run import speed_figures

ROOT = Path(__file__).resolve().parents[2]
DURATION_S = 18.0  # long enough for the zone to be lost, to leave the rotation, and for what follows

Figures = dict[str, float]


@pytest.fixture(scope="module")
def c_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tools.build_c(tmp_path_factory.mktemp("yardstick"))
    if program is None:
        pytest.skip("no gcc")
    return program


def run_c(program: Path, mode: str, replications: int) -> Figures:
    command = [str(program), mode, str(DURATION_S), "1", str(replications)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def run_simpy(mode: str, duration_s: float) -> Figures:
    command = [sys.executable, str(ROOT / "benchmarks/yardsticks/w1_simpy.py"), mode, str(duration_s), "1"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("mode", ["a", "b"])
def test_the_c_yardstick_conserves_requests_and_attempts(c_program: Path, mode: str) -> None:
    got = run_c(c_program, mode, replications=3)
    in_flight_max = 3 * (0.2 + 0.1 + 0.2 + 0.2) * 3360 * 1.1  # replications x the longest a request can last x rate
    assert 0 <= got["requests"] - got["succeeded"] - got["failed"] <= in_flight_max
    assert got["completions"] == got["succeeded"] + got["orphans"]
    retries = got["attempts"] - got["requests"]
    assert 0 <= got["timeouts"] - got["failed"] - retries <= in_flight_max  # the rest backs off
    assert 0 <= got["attempts"] - got["succeeded"] - got["timeouts"] <= in_flight_max


def test_the_yardsticks_simulate_the_same_world(c_program: Path) -> None:
    """A zone lost at 6 s, out of the rotation at 16 s: one seed of SimPy against the mean of 200 of C.

    Goodput within 4.5 standard deviations of a single run: one false alarm in about 150 000 seeds, and this is one.
    """
    c = run_c(c_program, "b", replications=200)
    one = run_simpy("b", DURATION_S)
    deviation = c["goodput_per_s_se"] * 200**0.5
    assert one["goodput_per_s"] == pytest.approx(c["goodput_per_s"], abs=4.5 * deviation)
    assert one["requests"] / DURATION_S == pytest.approx(3360, rel=0.02)
    assert one["completions"] == one["succeeded"] + one["orphans"]
    assert one["attempts"] / one["requests"] == pytest.approx(c["attempts"] / c["requests"], rel=0.1)


def test_without_faults_the_yardsticks_agree_on_latency(c_program: Path) -> None:
    """One seed of SimPy against the mean of 200 of C, within 4.5 standard deviations of a single run."""
    c = run_c(c_program, "a", replications=200)
    one = run_simpy("a", DURATION_S)
    deviation_s = c["latency_s_mean_se"] * 200**0.5
    assert one["latency_s_mean"] == pytest.approx(c["latency_s_mean"], abs=4.5 * deviation_s)
    assert c["latency_s_mean"] == pytest.approx(0.02059, abs=0.00005)
    assert c["goodput_per_s"] == pytest.approx(3359, abs=5)


def test_goals_are_met_at_their_ends_and_not_beyond() -> None:
    assert Goal(low=2).met_by(2)
    assert not Goal(low=2).met_by(1.99)
    assert Goal(high=2).met_by(2)
    assert not Goal(high=2).met_by(2.01)
    assert (str(Goal(low=2)), str(Goal(high=2)), str(Goal(1, 3))) == (">= 2", "<= 2", "2 +- 1")
    assert all(goal.low is not None or goal.high is not None for goal in GOALS.values())


def test_ratios_are_of_medians() -> None:
    speeds = {"w1a": {"SimPy": [1.0, 2.0, 30.0], "C event": [100.0, 100.0, 1.0], "azsim": [50.0, 40.0, 60.0]}}
    figures = speed_figures(speeds)
    assert figures["w1a.x_simpy"] == 25
    assert figures["w1a.of_c"] == 0.5
    assert "w1a.of_c" not in speed_figures({"w1a": {"SimPy": [1.0], "azsim": [2.0]}})


def test_a_failing_command_is_not_timed() -> None:
    with pytest.raises(tools.ToolError, match=r"(?s)ended with 3.*out of order"):
        tools.time_command([sys.executable, "-c", "import sys; print('out of order', file=sys.stderr); sys.exit(3)"])
    timed = tools.time_command([sys.executable, "-c", "x = bytearray(200 << 20); import time; time.sleep(0.2)"])
    assert timed["wall_s"] >= 0.2
    assert timed["memory_mb"] >= 200
