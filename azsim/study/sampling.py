"""Which values what varies takes in each replicate: keyed draws, Latin hypercubes or Sobol points.

The values of a replicate depend on the scenario's seed, the path and the replicate's number alone (and, for the designs
that fill space, on how many paths there are): not on how many replicates are made, by whom, or in which order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.stats import qmc

from azsim.base.errors import ScenarioError
from azsim.base.seeds import key_hash, run_key
from azsim.scenario import Scenario
from azsim.scenario.vary import Quantity, Variation

Sampling = Literal["random", "lhs", "sobol"]
Values = dict[str, Any]
"""Dotted paths and the values they take, as a scenario writes them."""

BLOCK: Final = 64  # replicates that one Latin hypercube or one scrambled Sobol sequence covers
_VARY: Final = 512  # purpose of these draws, which no run makes
_LARGEST: Final = {"duration": math.inf, "rate": math.inf, "share": 1.0, "number": math.inf}


def grid(scenario: Scenario) -> list[Values]:
    """Every combination of the values of keys that vary over a grid, the last key's changing fastest; at least one."""
    axes = {path: one.grid for path, one in scenario.vary.items() if one.grid is not None}
    return [dict(zip(axes, map(_plain, point), strict=True)) for point in product(*axes.values())]


class Sampler:
    """The values that a scenario's distributions give to each replicate; `paths` are those that have one."""

    def __init__(self, scenario: Scenario, sampling: Sampling = "random") -> None:
        self.paths = sorted(path for path, one in scenario.vary.items() if one.kind != "grid")
        self._variations = [scenario.vary[path] for path in self.paths]
        self._whole = [_is_whole(scenario, path) for path in self.paths]
        self._seed = scenario.seed
        self._sampling = sampling
        self._blocks: dict[int, npt.NDArray[np.float64]] = {}

    def values(self, replicate: int) -> Values:
        """What varies in a replicate, and the value it takes."""
        return self.at(self.shares(replicate))

    def at(self, shares: Sequence[float]) -> Values:
        """The values below which these shares of each path's law lie."""
        return {
            path: value_at(variation, share, whole=whole)
            for path, variation, share, whole in zip(self.paths, self._variations, shares, self._whole, strict=True)
        }

    def shares(self, replicate: int) -> Sequence[float]:
        """Where in each path's distribution a replicate lies: numbers in (0, 1), one for each of `paths`."""
        if not self.paths:
            return []
        if self._sampling == "random":
            key = run_key(self._seed, replicate)
            return [keyed_share(key, path) for path in self.paths]
        block, place = divmod(replicate, BLOCK)
        if block not in self._blocks:
            self._blocks[block] = self._block(block)
        return [float(share) for share in self._blocks[block][place]]

    def _block(self, block: int) -> npt.NDArray[np.float64]:
        rng = key_hash(run_key(self._seed), block, len(self.paths), 0, _VARY)  # the seed of scipy's own generator
        if self._sampling == "lhs":
            points = qmc.LatinHypercube(len(self.paths), rng=rng).random(BLOCK)
        else:
            points = qmc.Sobol(len(self.paths), rng=rng).random(BLOCK)
        inside: npt.NDArray[np.float64] = np.clip(points, 2.0**-53, 1 - 2.0**-53)
        return inside


def keyed_share(key: int, path: str) -> float:
    """A number in (0, 1) for one path under a run's key."""
    name = int.from_bytes(hashlib.sha256(path.encode()).digest()[:7])
    return (key_hash(key, name, 0, 0, _VARY) // 2**11 + 0.5) / 2**52


def settled(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """The scenario with nothing left to vary, and these values. ScenarioError where one cannot be."""
    changes: dict[str, Any] = {"vary": {}} if scenario.vary else {}
    return scenario.with_({**changes, **values}) if changes or values else scenario


def pinned(scenario: Scenario, point: Mapping[str, Any]) -> Scenario:
    """The scenario at one point of its grid, with its laws left as they are."""
    if not point:
        return scenario
    laws = {path: one for path, one in scenario.to_dict()["vary"].items() if "grid" not in one}
    return scenario.with_({"vary": laws, **point})


def value_at(variation: Variation, share: float, *, whole: bool = False) -> Any:
    """The value that a share of a distribution lies below, as a scenario writes it. `whole` rounds to whole numbers."""
    if variation.choice is not None:
        return _plain(variation.choice[int(share * len(variation.choice))])
    if variation.uniform is not None:
        low, high = variation.uniform
        if whole:  # each of them equally likely
            return int(low.number) + int(share * (high.number - low.number + 1))
        return _text(low, low.number + share * (high.number - low.number))
    if variation.normal is not None:
        mean, sd = variation.normal.mean, variation.normal.sd
        if mean.dimension == "number" or not sd.number:
            return _text(mean, mean.number + sd.number * float(stats.norm.ppf(share)))
        # No duration, rate or share is negative, and no share more than all.
        bounds = (-mean.number / sd.number, (_LARGEST[mean.dimension] - mean.number) / sd.number)
        return _text(mean, float(stats.truncnorm.ppf(share, *bounds, loc=mean.number, scale=sd.number)))
    if variation.lognormal is not None:
        mean = variation.lognormal.mean
        sigma = math.sqrt(math.log1p(variation.lognormal.cv**2))
        drawn = float(stats.lognorm.ppf(share, sigma, scale=mean.number * math.exp(-(sigma**2) / 2)))
        return _text(mean, min(drawn, _LARGEST[mean.dimension]))
    raise ValueError("a grid has no distribution")


def _text(like: Quantity, number: float) -> Any:
    return like.text(round(number) if like.dimension == "duration" else number)


def _is_whole(scenario: Scenario, path: str) -> bool:
    """Whether a key that varies between two whole numbers takes no others."""
    variation = scenario.vary[path]
    if not variation.whole:
        return False
    assert variation.uniform is not None
    try:
        scenario.with_({"vary": {}, path: (variation.uniform[0].number + variation.uniform[1].number + 0.5) / 2})
    except ScenarioError:
        return True
    return False


def _plain(value: Any) -> Any:
    """A frozen value as JSON writes it."""
    if isinstance(value, Mapping):
        return {name: _plain(below) for name, below in value.items()}
    return [_plain(below) for below in value] if isinstance(value, list | tuple) else value
