"""Keyed draws (O4) are as good as independent uniform numbers, in every direction in which keys are neighbours.

n = 2^18 draws a test; a chi-square over the squares of a 32 x 32 board sees any dependence between two neighbours that
moves a thirtieth of the mass of a square.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from azsim.base import seeds
from azsim.base.seeds import key_hash, run_key
from azsim.policy.distributions import index_below, unit
from tests.theory.measure import ALARM, Floats, is_plausible

N = 1 << 18
KEY = run_key(7)
PURPOSES = {
    name: value for name, value in vars(seeds).items() if name.isupper() and not name.startswith("_") and value < 16
}
Keys = dict[str, Any]


def mixed(z: Any) -> Any:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def bits(key: Any = KEY, request: Any = 0, path: Any = 0, tag: Any = 16, purpose: Any = seeds.WORK) -> Any:
    """`key_hash` for whole arrays of keys."""
    wide = [np.asarray(x, np.int64).astype(np.uint64) for x in (key, request, path, np.asarray(tag) * 4096 + purpose)]
    with np.errstate(over="ignore"):
        z = mixed(wide[0] + wide[1] * np.uint64(0x9E3779B97F4A7C15) + wide[2] * np.uint64(0xD1B54A32D192ED03))
        return mixed(z + wide[3] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(1)


def uniform(**keys: Any) -> Floats:
    return np.asarray((bits(**keys) >> np.uint64(11)) + 0.5) * 2.0**-52


def test_the_arrays_below_are_the_draws() -> None:
    rows = np.random.default_rng(1).integers(-(1 << 40), 1 << 60, (500, 3))
    for request, path, tag in rows.tolist():
        tag = abs(tag) & 0xFFFF
        one = key_hash(KEY, request, path, tag, seeds.JITTER)
        assert one == int(bits(request=request, path=path, tag=tag, purpose=seeds.JITTER))
        assert unit(one) == float(uniform(request=request, path=path, tag=tag, purpose=seeds.JITTER))


def test_no_two_purposes_share_a_number() -> None:
    """Work takes WORK + 16 j for j < 255; none of these is another purpose, nor reaches into the next tag."""
    work = {seeds.WORK + 16 * j for j in range(255)}
    assert len(set(PURPOSES.values())) == len(PURPOSES) >= 11
    assert not work & (set(PURPOSES.values()) - {seeds.WORK})
    assert max(work) < 4096


@pytest.mark.parametrize("purpose", PURPOSES.values(), ids=PURPOSES.keys())
def test_draws_are_uniform(purpose: int) -> None:
    """Chi-square of 1,024 classes by the highest, and by the lowest bits."""
    drawn = bits(request=np.arange(N), tag=0, purpose=purpose)
    for name, classes in (("highest", drawn >> np.uint64(53)), ("lowest", drawn & np.uint64(1023))):
        is_plausible(f"{name} bits", stats.chisquare(np.bincount(classes.astype(np.int64), minlength=1024)).pvalue)


NEIGHBOURS: dict[str, Callable[[Any], tuple[Keys, Keys]]] = {
    "requests": lambda k: ({"request": k}, {"request": k + 1}),
    "populations": lambda k: ({"request": k}, {"request": k + (1 << 44)}),
    "probes of instances": lambda k: (
        {"request": -(k % 512 + 1), "tag": k // 512},
        {"request": -(k % 512 + 2), "tag": k // 512},
    ),
    "attempts": lambda k: ({"request": k}, {"request": k, "tag": 32}),
    "dispatches": lambda k: ({"request": k}, {"request": k, "tag": 17}),
    "choices": lambda k: ({"request": k, "purpose": seeds.CHOICE}, {"request": k, "purpose": seeds.SECOND_CHOICE}),
    "jitter and work": lambda k: ({"request": k, "purpose": seeds.JITTER}, {"request": k, "tag": 32}),
    "error and work": lambda k: ({"request": k, "purpose": seeds.ERROR}, {"request": k}),
    "arrival and client": lambda k: (
        {"request": k, "tag": 0, "purpose": seeds.ARRIVAL},
        {"request": k, "tag": 0, "purpose": seeds.CLIENT},
    ),
    "numbers of one work": lambda k: ({"request": k}, {"request": k, "purpose": seeds.WORK + 16}),
    "epochs": lambda k: ({"request": k}, {"request": k, "path": 1}),
    "paths of calls": lambda k: (
        {"request": k, "path": bits(request=k, tag=16 * 64, purpose=seeds.PATH)},
        {"request": k, "path": bits(request=k, tag=16 * 64 + 1, purpose=seeds.PATH)},
    ),
    "caller and call": lambda k: (
        {"request": k},
        {"request": k, "path": bits(request=k, tag=16 * 64, purpose=seeds.PATH)},
    ),
    "seeds": lambda k: ({"request": k}, {"request": k, "key": run_key(8)}),
    "replicates": lambda k: ({"request": k, "key": run_key(7, 1)}, {"request": k, "key": run_key(7, 2)}),
    "first draws of runs": lambda k: (
        {"key": bits(key=0x5EED, request=k, tag=0, purpose=0)},
        {"key": bits(key=0x5EED, request=k + 1, tag=0, purpose=0)},
    ),
}


@pytest.mark.parametrize("neighbours", NEIGHBOURS.values(), ids=NEIGHBOURS.keys())
def test_neighbours_are_independent(neighbours: Callable[[Any], tuple[Keys, Keys]]) -> None:
    """Chi-square of where pairs fall on a 32 x 32 board, and their correlation, which is normal with variance 1 / n."""
    one, other = (uniform(**keys) for keys in neighbours(np.arange(N)))
    board = np.bincount((one * 32).astype(np.int64) * 32 + (other * 32).astype(np.int64), minlength=1024)
    is_plausible("pairs", stats.chisquare(board).pvalue)
    correlation = 12 * float(((one - 0.5) * (other - 0.5)).mean())
    is_plausible("correlation", 2 * stats.norm.sf(abs(correlation) * N**0.5))


def test_flipping_a_bit_of_the_key_flips_half_of_the_bits() -> None:
    """2,000 requests x 44 bits: the mean share is within 5 deviations of a half, sqrt(0.25 / (2,000 x 63)) each."""
    k = np.arange(2000)
    before = bits(request=k)
    for bit in range(44):
        changed = before ^ bits(request=k ^ (1 << bit))
        share = np.bitwise_count(changed).sum() / (2000 * 63)
        assert abs(share - 0.5) < 5.4 * (0.25 / (2000 * 63)) ** 0.5, f"bit {bit}: {share:.4f}"


def test_birthday_spacings() -> None:
    """Marsaglia: 4,096 birthdays in a year of 2^32 days have Poisson(m^3 / 4n = 4) equal spacings; 100 years."""
    repeats = 0
    for year in range(100):
        days = np.sort((bits(request=np.arange(4096), path=year) >> np.uint64(31)).astype(np.int64))
        spacings = np.sort(np.diff(days))
        repeats += int((np.diff(spacings) == 0).sum())
    print(f"{repeats} repeats, 400 expected")
    assert stats.poisson.ppf(ALARM / 2, 400) <= repeats <= stats.poisson.isf(ALARM / 2, 400)


def test_indices_below_a_number_are_uniform() -> None:
    """floor(u n), as clients and targets are chosen: chi-square over 100 of them; and the ends of the range."""
    drawn = [index_below(int(b), 100) for b in bits(request=np.arange(50_000), purpose=seeds.CLIENT)]
    is_plausible("clients", stats.chisquare(np.bincount(drawn, minlength=100)).pvalue)
    assert index_below(0, 3) == 0
    assert index_below((1 << 63) - 1, 3) == 2
    assert index_below((1 << 63) - 1, 2**31 - 1) == 2**31 - 2
