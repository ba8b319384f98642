"""Scenario keys for what was measured: a file that a scenario extends, and tables where lists would be too long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from azsim.calibration.fitting import GOOD, Fit, Fits
from azsim.calibration.profile import Profile

STEPS_MAX: Final = 50  # in the file itself; more go to a table
VALUES: Final = 2000  # of measured work
SCENARIO: Final = "calibration.yaml"
LOAD: Final = "load.csv"
WORK: Final = "work.csv"
BUSY_MORE: Final = 1.1  # times the quiet median, from which on waiting is part of what was measured
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Waiting:
    """Median latency of the half of the seconds with the fewest requests, and of the other half."""

    quiet_s: float
    busy_s: float

    @property
    def seen(self) -> bool:
        """Whether latencies grow with the load, so that they are more than work."""
        return self.busy_s > BUSY_MORE * self.quiet_s


def files(
    profile: Profile | None, fits: Fits | None, waiting: Waiting | None, *, population: str, service: str
) -> dict[str, str]:
    """Text by file name: the scenario keys with comments, and the tables they name."""
    lines = ["# Measured by azsim calibrate. Use it from a scenario beside it:  extends: " + SCENARIO]
    found: dict[str, str] = {}
    if profile is not None:
        lines += [*_about(profile), f"duration: {_seconds(profile.duration_s)}", "traffic:", f"  {population}:",
                  f"    to: {service}"]  # fmt: skip
        if len(profile.steps) == 1:
            lines.append(f"    rate: {_rate(profile.steps[0].rate_per_s)}")
        elif len(profile.steps) <= STEPS_MAX:
            lines.append("    rate:")
            lines += [
                f"      - {{at: {_seconds(step.at_s)}, rate: {_rate(step.rate_per_s)}}}" for step in profile.steps
            ]
        else:
            lines.append(f"    rate: {{csv: {LOAD}}}      # {len(profile.steps)} steps")
            rows = [f"{step.at_s:.9g},{_short(step.rate_per_s)}" for step in profile.steps]
            found[LOAD] = "\n".join(["at_s,rate_per_s", *rows]) + "\n"
    if fits is not None and fits.measured_s:
        lines += ["services:", f"  {service}:"]
        lines += [f"    # {line}" for line in _about_work(fits, waiting)]
        if fits.best is not None:
            lines.append(f"    work: {work(fits.best)}")
        else:
            lines.append(f"    work: {{distribution: empirical, csv: {WORK}}}")
            levels = (np.arange(VALUES) + 0.5) / VALUES
            rows = [_short(value) for value in np.quantile(fits.smooth_s, levels).tolist()]
            found[WORK] = "\n".join(["work_s", *rows]) + "\n"
    return {SCENARIO: "\n".join(lines) + "\n", **found}


def work(fit: Fit) -> str:
    """A fit as a scenario writes it: `{distribution: lognormal, mean: 20.1ms, cv: 0.71}`."""
    parts = [f"distribution: {fit.distribution}"]
    if fit.distribution != "uniform":
        parts.append(f"mean: {_duration(fit.mean_s)}")
    for name, value in fit.parameters.items():
        parts.append(f"{name.removesuffix('_s')}: {_duration(value) if name.endswith('_s') else _short(value)}")
    return "{" + ", ".join(parts) + "}"


def _about(profile: Profile) -> list[str]:
    lines = [f"# {_rate(profile.mean_per_s)} on average, {_rate(profile.peak_per_s)} at the peak."]
    if profile.dispersion is not None:
        how = "as of a Poisson process" if profile.dispersion < 1.5 else "burstier than the simulator's arrivals"
        lines.append(f"# Variance over mean of the requests in a second: {profile.dispersion:.2f}, {how} (1).")
    return lines


def _about_work(fits: Fits, waiting: Waiting | None) -> list[str]:
    lines = [f"From {fits.sample} latencies: mean {_duration(fits.mean_s)}, cv {fits.cv:.2f}."]
    if fits.fits:
        told = ", ".join(f"{fit.distribution} {fit.distance:.3f}" for fit in fits.fits)
        lines.append(f"Distance from each fit (Kolmogorov): {told}.")
    if fits.best is None:
        lines.append(f"No distribution comes nearer than {GOOD}: the measurements themselves are taken.")
    lines.append("A latency is work only while nothing waits: measure where the service is nearly idle.")
    if waiting is not None and waiting.seen:
        lines.append(
            f"Here they grow with the load: the median is {_duration(waiting.quiet_s)} in quiet seconds and "
            f"{_duration(waiting.busy_s)} in busy ones. Only the quiet ones were used."
        )
    return lines


def _short(value: float) -> str:
    """Four digits, never in powers of ten."""
    if value == 0:
        return "0"
    decimals = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _rate(rate_per_s: float) -> str:
    return f"{_short(rate_per_s)}/s"


def _seconds(duration_s: float) -> str:
    return f"{duration_s:.9g}s" if duration_s % 60 or not duration_s else f"{duration_s / 60:.0f}min"


def _duration(duration_s: float) -> str:
    for unit, unit_s in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if duration_s >= unit_s:
            return f"{_short(duration_s / unit_s)}{unit}"
    return f"{_short(duration_s * 1e9)}ns"
