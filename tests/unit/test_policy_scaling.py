"""The arithmetic of scaling, by the documented examples (S1, S3)."""

from __future__ import annotations

import pytest

from azsim.policy.scaling import (
    ADD,
    ADD_SHARE,
    SET,
    adjusted,
    proportional,
    step_of,
    within,
    zone_to_launch,
    zone_to_shrink,
)


@pytest.mark.parametrize(
    ("capacity", "kind", "amount", "wanted"),
    [
        (3, ADD, 2, 5),
        (3, ADD, -2, 1),
        (3, SET, 10, 10),
        # A share above one instance is cut: 12.7 counts as 12, -6.67 as -6; below one it is one.
        (127, ADD_SHARE, 0.1, 139),
        (67, ADD_SHARE, -0.1, 61),
        (3, ADD_SHARE, 0.1, 4),
        (3, ADD_SHARE, -0.1, 2),
        (10, ADD_SHARE, 0.3, 13),
        (0, ADD_SHARE, 0.5, 0),
    ],
)
def test_adjustments(capacity: int, kind: int, amount: float, wanted: int) -> None:
    assert adjusted(capacity, kind, amount) == wanted


def test_a_share_changes_at_least_so_many() -> None:
    assert adjusted(4, ADD_SHARE, 0.25, at_least=2) == 6


def test_bounds() -> None:
    assert [within(n, 2, 5) for n in (0, 2, 4, 9)] == [2, 2, 4, 5]


def test_a_step_reaches_to_the_next_bound() -> None:
    bounds = [0.0, 0.1, 0.2]
    assert [step_of(breach, bounds) for breach in (-0.01, 0.0, 0.09, 0.1, 0.19, 5.0)] == [None, 0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("capacity", "metric", "target", "wanted"),
    [
        (3, 1.05, 0.7, 5),  # 4.5: what is added is rounded up
        (10, 0.65, 0.7, 10),  # 9.29: what is taken away is rounded down
        (10, 0.62, 0.7, 9),
        (4, 0.7, 0.7, 4),
        (6, 0.35, 0.7, 3),
    ],
)
def test_proportional(capacity: int, metric: float, target: float, wanted: int) -> None:
    assert proportional(capacity, metric, target) == wanted


def test_zones_are_filled_and_emptied_evenly() -> None:
    counts = {0: 2, 1: 1, 2: 1}
    assert zone_to_launch(counts, (0, 1, 2)) == 1
    assert zone_to_launch(counts, (0,)) == 0
    assert zone_to_launch({}, (2, 0)) == 2
    assert zone_to_shrink(counts, (0, 1, 2)) == 0
    assert zone_to_shrink({0: 1, 1: 1}, (0, 1)) == 1
