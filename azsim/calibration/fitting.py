"""Distributions of work that fit measured times, and how well: Kolmogorov's distance, quantiles beside quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy import stats

from azsim.calibration.records import Floats

PROBABILITIES: Final = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
GOOD: Final = 0.05  # Kolmogorov's distance up to which a fit is proposed instead of the measurements themselves
SAMPLE_MIN: Final = 50
CV_MIN: Final = 0.02  # less than this is constant
_GOLDEN: Final = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Fit:
    """A distribution: its scenario keys, Kolmogorov's distance from the sample, and its quantiles in seconds."""

    distribution: str
    mean_s: float
    parameters: Mapping[str, float]  # cv or shape, without a unit; low_s and high_s
    distance: float
    quantiles_s: Sequence[float]
    spread: Any = None  # the frozen distribution of scipy; None where it has no spread


@dataclass(frozen=True, slots=True)
class Fits:
    """All fits of a sample, best first, and the sample's own quantiles in seconds."""

    sample: int
    mean_s: float
    cv: float
    resolution_s: float
    measured_s: Sequence[float]
    fits: Sequence[Fit]
    smooth_s: Floats  # the sample, sorted, without its steps

    @property
    def best(self) -> Fit | None:
        """The fit to propose; None where the measurements had better be taken as they are."""
        return self.fits[0] if self.fits and self.fits[0].distance <= GOOD else None


def fitted(sample_s: Floats) -> Fits:
    """Fits of a sample of times in seconds, by maximum likelihood."""
    resolution_s = resolution(sample_s)
    smooth = np.sort(_smoothed(sample_s, resolution_s))
    mean_s, deviation_s = float(smooth.mean()), float(smooth.std())
    cv = deviation_s / mean_s if mean_s else 0.0
    fits: list[Fit] = []
    if len(smooth) >= SAMPLE_MIN and mean_s > 0:
        if float(sample_s.std()) < CV_MIN * mean_s:
            fits = [Fit("constant", mean_s, {}, 0.0, [mean_s] * len(PROBABILITIES))]
        else:
            found = (fit(smooth) for fit in _FAMILIES)
            fits = sorted((fit for fit in found if fit is not None), key=lambda fit: fit.distance)
    measured = np.quantile(smooth, PROBABILITIES).tolist() if len(smooth) else []
    return Fits(len(smooth), mean_s, cv, resolution_s, measured, fits, smooth)


def resolution(sample_s: Floats) -> float:
    """The step in which times were written, such as 1 ms; 0 where they are finer than a microsecond."""
    for step_s in (1.0, 0.1, 0.01, 0.001, 0.0001, 0.00001):
        steps = sample_s / step_s
        if len(sample_s) and np.abs(steps - np.rint(steps)).max() < 1e-4:
            return step_s
    return 0.0


def _smoothed(sample_s: Floats, resolution_s: float) -> Floats:
    """The sample with each time moved within the step it was rounded to, evenly: a fit must not see the steps."""
    if not resolution_s:
        return sample_s[sample_s > 0]
    # Multiples of the golden ratio fill an interval evenly, whatever their number.
    within = (np.arange(1, len(sample_s) + 1) * _GOLDEN) % 1.0
    low = np.maximum(sample_s - resolution_s / 2, 0.0)
    moved: Floats = low + within * (sample_s + resolution_s / 2 - low)
    return moved[moved > 0]


def _fit(name: str, mean_s: float, parameters: Mapping[str, float], spread: Any, smooth: Floats) -> Fit | None:
    if not (math.isfinite(mean_s) and mean_s > 0):
        return None
    distance = float(stats.ks_1samp(smooth, spread.cdf, method="asymp").statistic)
    return Fit(name, mean_s, parameters, distance, spread.ppf(PROBABILITIES).tolist(), spread)


def _exponential(smooth: Floats) -> Fit | None:
    mean_s = float(smooth.mean())
    return _fit("exponential", mean_s, {}, stats.expon(scale=mean_s), smooth)


def _lognormal(smooth: Floats) -> Fit | None:
    sigma, _, scale_s = stats.lognorm.fit(smooth, floc=0)
    cv = math.sqrt(math.expm1(sigma**2)) if sigma < 10 else math.inf
    mean_s = scale_s * math.exp(sigma**2 / 2) if sigma < 10 else math.inf
    return _fit("lognormal", mean_s, {"cv": cv}, stats.lognorm(sigma, scale=scale_s), smooth)


def _gamma(smooth: Floats) -> Fit | None:
    shape, _, scale_s = stats.gamma.fit(smooth, floc=0)
    return _fit("gamma", shape * scale_s, {"cv": 1 / math.sqrt(shape)}, stats.gamma(shape, scale=scale_s), smooth)


def _pareto(smooth: Floats) -> Fit | None:
    least_s = float(smooth[0])
    shape = 1 / float(np.log(smooth / least_s).mean())
    if shape <= 1:
        return None  # no mean
    spread = stats.pareto(shape, scale=least_s)
    return _fit("pareto", least_s * shape / (shape - 1), {"shape": shape}, spread, smooth)


def _uniform(smooth: Floats) -> Fit | None:
    low_s, high_s = float(smooth[0]), float(smooth[-1])
    spread = stats.uniform(low_s, high_s - low_s)
    return _fit("uniform", (low_s + high_s) / 2, {"low_s": low_s, "high_s": high_s}, spread, smooth)


_FAMILIES: Final[Sequence[Callable[[Floats], Fit | None]]] = (_exponential, _lognormal, _gamma, _pareto, _uniform)
