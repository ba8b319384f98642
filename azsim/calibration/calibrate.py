"""From files to what they say: a traffic profile, the work of a request, and whether waiting is in the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from azsim.calibration.fitting import Fits, fitted
from azsim.calibration.fragment import Waiting
from azsim.calibration.observed import Observed, observed
from azsim.calibration.profile import Profile, profile, profile_of_rates
from azsim.calibration.records import Floats


@dataclass(frozen=True, slots=True)
class Calibration:
    """What some files say; None for what they say nothing of."""

    observed: Observed
    profile: Profile | None
    fits: Fits | None
    waiting: Waiting | None


def calibrated(paths: Iterable[Path], window_s: int) -> Calibration:
    """Reads the files, in one pass, and fits what is in them; LogError where they cannot be used."""
    found = observed(paths)
    _, per_second = found.per_second()
    if found.rates:
        shape: Profile | None = profile_of_rates(found.rates)
    else:
        shape = profile(per_second, window_s) if len(per_second) > 1 else None
    sample_s, at_s = found.sample_s()
    waiting, quiet_s = _waiting(sample_s, at_s, found)
    if waiting is not None and waiting.seen:
        sample_s = quiet_s
    return Calibration(found, shape, fitted(sample_s) if len(sample_s) else None, waiting)


def _waiting(sample_s: Floats, at_s: Floats, found: Observed) -> tuple[Waiting | None, Floats]:
    """Latencies in quiet and in busy seconds, and the sample of the quiet ones."""
    known = np.isfinite(at_s)
    if not known.any() or len(found.counts) < 2:
        return None, sample_s
    first, per_second = found.per_second()
    load = per_second[(np.floor(at_s[known]).astype(np.int64) - first)]
    quiet = load <= np.median(load)
    if quiet.all():
        return None, sample_s
    apart = Waiting(float(np.median(sample_s[known][quiet])), float(np.median(sample_s[known][~quiet])))
    return apart, sample_s[known][quiet]
