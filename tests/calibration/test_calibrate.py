"""What a synthetic log was drawn from comes back; how near is stated, as multiples of the standard error."""

from __future__ import annotations

import gzip
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from azsim.base.errors import ExitCode
from azsim.calibration import observed, records
from azsim.calibration.calibrate import calibrated
from azsim.calibration.fitting import fitted, resolution
from azsim.calibration.observed import Observed
from azsim.calibration.profile import profile
from azsim.calibration.records import Batch, LogError
from azsim.cli.main import outcome
from azsim.scenario import load
from tests.calibration.logs import arrivals, line

STEPS = [(0.0, 300.0, 20.0), (300.0, 600.0, 35.0), (600.0, 900.0, 12.0)]
ERRORS = 4.5  # standard errors; false alarms: 7e-6 a figure


def lognormal(count: int, mean_s: float, cv: float, seed: int = 7) -> Any:
    sigma = math.sqrt(math.log1p(cv**2))
    return np.random.default_rng(seed).lognormal(math.log(mean_s) - sigma**2 / 2, sigma, count)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at_s = arrivals(STEPS, seed=3)
    work_s = lognormal(len(at_s), 0.080, 0.6)
    file = tmp_path_factory.mktemp("logs") / "alb.log.gz"
    with gzip.open(file, "wt", encoding="utf-8") as out:
        for number, (at, work) in enumerate(zip(at_s, work_s, strict=True)):
            # Every fiftieth finds no target: 503, and no times.
            out.write(line(at, -1.0, 503) if number % 50 == 49 else line(at, work))
            if number % 1000 == 999:
                out.write("garbage that no balancer writes\n")
    return file


def test_the_parameters_of_a_log_come_back(log: Path) -> None:
    found = calibrated([log], 60)
    count = len(arrivals(STEPS, seed=3))
    assert (found.observed.requests, found.observed.failed) == (count, count // 50)
    assert found.observed.unreadable == count // 1000
    assert found.profile is not None
    assert [step.at_s for step in found.profile.steps] == pytest.approx([0, 300, 600], abs=1)
    for step, (low, high, rate) in zip(found.profile.steps, STEPS, strict=True):
        assert step.rate_per_s == pytest.approx(rate, abs=ERRORS * math.sqrt(rate / (high - low)))
    assert found.profile.dispersion == pytest.approx(1, abs=ERRORS * math.sqrt(2 / 900))
    assert found.fits is not None
    best = found.fits.best
    assert best is not None
    assert best.distribution == "lognormal"
    n = found.fits.sample
    assert best.mean_s == pytest.approx(0.080, rel=ERRORS * 0.6 / math.sqrt(n))
    sigma = math.sqrt(
        math.log1p(0.36)
    )  # d cv / d sigma = sigma (1 + cv^2) / cv; the error of sigma is sigma / sqrt(2n)
    assert best.parameters["cv"] == pytest.approx(0.6, abs=ERRORS * sigma**2 * 1.36 / 0.6 / math.sqrt(2 * n))
    assert best.distance < 1.63 / math.sqrt(n) * 1.2  # Kolmogorov's 1%, and a little for the rounding to 1 ms
    assert found.waiting is not None
    assert not found.waiting.seen


@pytest.mark.parametrize(
    ("name", "draw", "expected"),
    [
        ("exponential", lambda rng, n: rng.exponential(0.05, n), {}),
        ("gamma", lambda rng, n: rng.gamma(4, 0.0125, n), {"cv": 0.5}),
        ("pareto", lambda rng, n: 0.03 * (1 + rng.pareto(2.5, n)), {"shape": 2.5}),
        ("uniform", lambda rng, n: rng.uniform(0.02, 0.08, n), {"low_s": 0.02, "high_s": 0.08}),
        ("constant", lambda rng, n: np.full(n, 0.05), {}),
    ],
)
def test_each_distribution_is_told_from_the_others(name: str, draw: Any, expected: dict[str, float]) -> None:
    sample = draw(np.random.default_rng(11), 20_000)
    best = fitted(sample).best
    assert best is not None
    assert best.distribution == name
    assert best.mean_s == pytest.approx(0.05, rel=0.03)
    assert dict(best.parameters) == pytest.approx(expected, rel=0.04)


def test_two_humps_fit_nothing_and_are_taken_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    work = np.concatenate([rng.normal(0.01, 0.0005, 5000), rng.normal(0.2, 0.01, 5000)])
    file = tmp_path / "times.csv"
    file.write_text("latency_ms\n" + "\n".join(f"{1000 * value:.4f}" for value in work))
    assert outcome(["calibrate", str(file), "--out", str(tmp_path / "out")]) == ExitCode.OK
    assert "empirical, csv: work.csv" in (tmp_path / "out/calibration.yaml").read_text()
    values = np.array((tmp_path / "out/work.csv").read_text().split()[1:], dtype=float)
    for level in (0.1, 0.4, 0.6, 0.9):
        assert np.quantile(values, level) == pytest.approx(np.quantile(work, level), rel=0.01)


def test_a_scenario_extends_what_was_written(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["calibrate", str(log), "--out", str(tmp_path), "--service", "shop"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "lognormal" in shown
    assert (tmp_path / "quantiles.svg").read_text().startswith("<?xml")
    (tmp_path / "mine.yaml").write_text(
        "extends: calibration.yaml\nazsim: 1\nname: mine\nzones: [a, b]\ntraffic: {users: {timeout: 1s}}\n"
    )
    scenario = load(tmp_path / "mine.yaml")
    assert scenario.services["shop"].work.distribution == "lognormal"
    assert len(scenario.traffic["users"].profile) == 3
    assert scenario.duration > 800e9


def test_many_steps_go_to_a_table(tmp_path: Path) -> None:
    rates = [100.0 + 50 * math.sin(number / 9) for number in range(200)]
    file = tmp_path / "rates.csv"
    file.write_text("time,rate_per_s\n" + "".join(
        f"2026-03-01T{8 + n // 60:02d}:{n % 60:02d}:00Z,{rate:.3f}\n" for n, rate in enumerate(rates)))  # fmt: skip
    assert outcome(["calibrate", str(file), "--out", str(tmp_path)]) == ExitCode.OK
    (tmp_path / "mine.yaml").write_text(
        "extends: calibration.yaml\nazsim: 1\nname: mine\nzones: [a, b]\n"
        "services: {web: {work: {distribution: constant, mean: 1ms}}}\n"
    )
    profile_ = load(tmp_path / "mine.yaml").traffic["users"].profile
    assert [point.rate for point in profile_] == pytest.approx(rates, rel=1e-3)
    assert [point.at for point in profile_] == [60_000_000_000 * number for number in range(200)]


def test_latencies_that_grow_with_the_load_are_taken_from_quiet_seconds() -> None:
    at_s = arrivals([(0.0, 200.0, 10.0), (200.0, 400.0, 60.0)], seed=2)
    work_s = np.where(at_s < 200, 0.05, 0.15) * np.random.default_rng(1).gamma(16, 1 / 16, len(at_s))
    seen = Observed()
    seen.add(Batch(at_s, work_s))
    from azsim.calibration import calibrate

    waiting, quiet = calibrate._waiting(*seen.sample_s(), seen)
    assert waiting is not None
    assert waiting.seen
    assert len(quiet) < len(at_s)


def test_the_sample_does_not_depend_on_how_the_file_is_cut(monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    monkeypatch.setattr(observed, "SAMPLE", 2000)
    whole, _ = observed.observed([log]).sample_s()
    monkeypatch.setattr(records, "BATCH", 777)
    parts, _ = observed.observed([log]).sample_s()
    assert len(whole) == 2000
    assert (whole == parts).all()
    everything = [value for batch in records.batches(log) for value in batch.latency_s if np.isfinite(value)]
    # A sample of the whole, not of its beginning: its mean is the mean of all, within its standard error.
    assert whole.mean() == pytest.approx(np.mean(everything), abs=ERRORS * np.std(everything) / math.sqrt(2000))


def test_a_file_larger_than_the_memory_allowed_is_read(tmp_path: Path) -> None:
    """A million lines (460 MB as they would be unpacked) in a process that may take 60 MB more than it starts with."""
    file = tmp_path / "large.log.gz"
    block = "".join(line(number / 100, 0.02 + number % 7 / 100) for number in range(10_000)).encode()
    with gzip.open(file, "wb", compresslevel=1) as out:
        for _ in range(100):
            out.write(block)
    program = (
        "import resource, sys, pathlib\n"
        "from azsim.calibration.calibrate import calibrated\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = calibrated([pathlib.Path(sys.argv[1])], 60)\n"
        "print(found.observed.requests, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program, str(file)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    requests, grown_kib = map(int, done.stdout.split())
    assert requests == 1_000_000
    assert grown_kib < 60_000


def test_bursts_are_told_from_poisson_arrivals() -> None:
    counts = np.random.default_rng(9).poisson(20, 600)
    assert profile(counts, 60).dispersion == pytest.approx(1, abs=0.3)
    assert (profile(counts * 5, 60).dispersion or 0) > 4


@pytest.mark.parametrize(("values", "step"), [([0.001, 0.004], 0.001), ([0.25, 0.5], 0.01), ([0.1234567, 0.2], 0.0)])
def test_the_step_of_rounded_times(values: list[float], step: float) -> None:
    assert resolution(np.array(values)) == step


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "neither an access log"),
        ("hello\n", "neither an access log"),
        ("rate_per_s\n5\n", "need a column at_s"),
        ("at_s,rate_per_s\n0,many\n", ":2: '0,many' is no row of at_s,rate_per_s"),
        ("at_s,rate_per_s\n0,5\n60,-1\n", ":3: a latency or rate is a number from 0"),
        ("time,latency_s\nyesterday,0.1\n", ":2: 'yesterday,0.1' is no row"),
        ("latency_s\n", "no request and no rate"),
        ("https a b c\n" * 5, "5 of 5 lines are no lines of an access log"),
    ],
)
def test_what_is_no_log_is_refused(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text(text)
    with pytest.raises(LogError) as error:
        calibrated([file], 60)
    assert told in str(error.value)


def test_errors_are_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(line(0, 0.1).encode() * 5000)[:200])
    for arguments in ([str(tmp_path / "none.log")], [str(torn)]):
        assert outcome(["calibrate", *arguments, "--out", str(tmp_path / "out")]) == ExitCode.BAD_INPUT
        assert "cannot be read" in capsys.readouterr().err
    assert outcome(["calibrate", str(torn), "--window", "1500ms"]) == ExitCode.BAD_INPUT
    assert "whole seconds" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_json_has_the_fits(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["calibrate", str(log), "--out", str(tmp_path), "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert found["work"]["best"] == "lognormal"
    distances = [fit["distance"] for fit in found["work"]["fits"]]
    assert distances == sorted(distances)
    assert len(distances) >= 4  # a Pareto distribution without a mean is none
