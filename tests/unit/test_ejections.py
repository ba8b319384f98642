"""When proxies eject targets, and for how long (D104, D110; B5)."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.dataplane.codes import Outcome
from azsim.policy import outliers
from tests.plans import S
from tests.proxy_world import ERRORS, World, envoy, keys


def test_errors_in_a_row_eject_and_anything_else_starts_anew() -> None:
    world = envoy()
    for outcome in (Outcome.ERROR, Outcome.TIMEOUT, Outcome.OK, Outcome.ERROR, Outcome.ERROR, Outcome.OVERLOAD):
        world.answer(1, outcome)
    assert not world.out(1)
    for _ in range(3):
        world.answer(1, Outcome.ERROR)
    assert world.out(1)


def test_ejections_grow_and_fade() -> None:
    """Base 30 s, sweeps every 10 s: out for 30 s, then for 60 s; two quiet sweeps later it is one ejection again."""
    world = envoy(outlier_errors=1)
    world.at(1 * S).answer(0, Outcome.ERROR)
    assert world.out(0)
    world.at(40 * S - 1)
    assert world.out(0)
    world.at(40 * S)  # 31 s is the end, 40 s the next sweep
    assert not world.out(0)
    world.at(41 * S).answer(0, Outcome.ERROR)
    world.at(110 * S - 1)  # 41 s + 2 x 30 s = 101 s
    assert world.out(0)
    world.at(110 * S)
    assert not world.out(0)
    world.at(131 * S).answer(0, Outcome.ERROR)  # sweeps at 120 s and 130 s: two ejections less
    world.at(170 * S - 1)
    assert world.out(0)
    world.at(170 * S)
    assert not world.out(0)


def test_an_ejection_has_a_longest_time() -> None:
    assert outliers.ejected_until(0, 4, 30 * S, 300 * S, 10 * S) == 120 * S
    assert outliers.ejected_until(0, 40, 30 * S, 300 * S, 10 * S) == 300 * S
    assert outliers.ejected_until(0, 1, 30 * S, 20 * S, 10 * S) == 30 * S


@pytest.mark.parametrize(
    ("ejected", "total", "share", "at_least_one", "may"),
    [
        (0, 9, 0.1, 0, False),  # one of nine is more than 10%
        (0, 10, 0.1, 0, True),
        (1, 10, 0.1, 0, False),
        (0, 9, 0.1, 1, True),
        (1, 9, 0.1, 1, False),
        (4, 10, 0.5, 0, True),
        (5, 10, 0.5, 0, False),
    ],
)
def test_how_many_may_be_ejected(ejected: int, total: int, share: float, at_least_one: int, may: bool) -> None:
    assert outliers.may_eject(ejected, total, share, at_least_one) is may


def test_the_largest_share_binds() -> None:
    world = envoy(outlier_errors=1, outlier_share=1 / 3)
    for number in (0, 1, 2):
        world.answer(number, Outcome.ERROR)
    assert {world.choose(key) for key in keys(200)} == {2, 3, 4, 5}


def test_a_passed_check_ends_an_ejection_where_it_is_told_to() -> None:
    """Envoy's default defeats passive detection of a target that answers checks and fails requests."""
    for listens in (0, 1):
        world = envoy(outlier_errors=1, outlier_uneject_on_check=listens)
        world.at(1 * S).answer(0, Outcome.ERROR)
        world.at(2 * S).proxy.check_passed(world.targets[0])
        assert world.out(0) is (listens == 0)


def test_what_its_caller_did_not_wait_for_is_not_judged() -> None:
    world = envoy(outlier_errors=1)
    world.answer(0, Outcome.TIMEOUT, judged=False)
    assert not world.out(0)


def rated(bad: int, targets: int = 9, failures: float = 1.0, requests: int = 100, **given: Any) -> World:
    """Targets of which the first `bad` fail a share of their requests in the sweep's interval that ends at 10 s."""
    world = envoy(per_zone=(targets, 0, 0), **({"outlier_errors": outliers.NO_ERRORS, "outlier_share": 1.0} | given))
    world.at(1 * S)
    for number in range(targets):
        for k in range(requests):
            fails = number < bad and k < failures * requests
            world.answer(number, Outcome.ERROR if fails else Outcome.OK)
    return world


def rate(factor: float = 1.9, targets: int = 5, volume: int = 100) -> dict[str, Any]:
    return {"outlier_factor": factor, "outlier_factor_targets": targets, "outlier_factor_volume": volume}


@pytest.mark.parametrize("targets", [2, 4, 5, 9, 30])
@pytest.mark.parametrize("bad", [1, 2, 3])
def test_a_sweep_ejects_who_lies_so_many_standard_deviations_below(targets: int, bad: int) -> None:
    """k bad ones of n lie sqrt((n - k) / k) standard deviations below the mean, however bad they are."""
    if bad >= targets:
        return
    distance = ((targets - bad) / bad) ** 0.5
    for failures in (0.1, 1.0):
        for factor, ejects in ((distance * 0.99, True), (distance * 1.01, False)):
            world = rated(bad, targets, failures, **rate(factor, targets=1))
            world.at(10 * S - 1)
            assert not world.out(0)
            world.at(10 * S)
            assert world.out(0) is ejects
            assert not world.out(targets - 1)


def test_envoys_success_rate_does_not_see_a_zone_of_three_fail() -> None:
    """1.41 standard deviations, and 1.9 are asked for: a whole bad zone is too common to be an outlier."""
    assert not rated(3, 9, **rate()).at(10 * S).out(0)
    assert rated(1, 9, **rate()).at(10 * S).out(0)


def test_a_sweep_needs_requests_and_targets_to_compare() -> None:
    assert not rated(1, requests=99, **rate()).at(10 * S).out(0)
    assert rated(1, requests=100, **rate()).at(10 * S).out(0)
    assert not rated(1, targets=8, **rate(targets=9)).at(10 * S).out(0)


def test_a_sweep_looks_at_one_interval_alone() -> None:
    world = rated(1, requests=60, **rate())
    world.at(10 * S)  # too few for this sweep
    for number in range(9):
        for _ in range(60):
            world.answer(number, Outcome.ERROR if number == 0 else Outcome.OK)
    assert not world.at(20 * S).out(0)


def test_what_nobody_asked_about_is_swept_all_the_same() -> None:
    """The sweep at 10 s ejects until 40 s, even if the next request comes at 35 s."""
    world = rated(1, **rate()).at(35 * S)
    assert world.out(0)
    assert not world.at(40 * S).out(0)


@pytest.mark.parametrize(("failures", "ejects"), [(0.84, False), (0.85, True), (1.0, True)])
def test_a_share_of_failures_ejects_however_many_fail(failures: float, ejects: bool) -> None:
    rule = {"outlier_failures": 850_000, "outlier_failures_targets": 5, "outlier_failures_volume": 50}
    world = rated(4, 9, failures, **rule).at(10 * S)
    assert [world.out(number) for number in range(9)] == [ejects] * 4 + [False] * 5


def test_sweeps_eject_no_more_than_the_largest_share() -> None:
    rule = {"outlier_failures": 850_000, "outlier_share": 0.34}
    world = rated(4, 9, **rule).at(10 * S)
    assert [world.out(number) for number in range(5)] == [True, True, True, False, False]


def test_a_passed_check_after_the_sweep_ends_its_ejection() -> None:
    world = rated(1, outlier_uneject_on_check=1, **rate()).at(12 * S)
    world.proxy.check_passed(world.targets[0])
    assert not world.out(0)


def nginx(**given: Any) -> World:
    return World(outliers=outliers.MAX_FAILS, outlier_on=ERRORS, outlier_window_ns=10 * S, **given)


def test_nginx_benches_after_one_fail_for_ten_seconds_then_tries_one_live_request() -> None:
    world = nginx()
    world.at(100 * S).answer(0, Outcome.ERROR)
    assert world.out(0)
    world.at(110 * S)
    assert world.out(0)
    world.at(110 * S + 1)
    tried = [world.choose(key) for key in keys(200)]
    assert tried.count(0) == 1  # the live probe; the others pass it over until it has answered
    world.at(111 * S).answer(0, Outcome.OK)
    assert not world.out(0)


def test_nginx_counts_fails_within_the_window() -> None:
    world = nginx(outlier_errors=2)
    world.at(100 * S).answer(0, Outcome.ERROR)
    assert not world.out(0)
    world.at(111 * S)
    assert not world.out(0)  # chosen again: the window has begun anew
    world.answer(0, Outcome.OK)
    world.answer(0, Outcome.ERROR)
    assert not world.out(0)
    world.answer(0, Outcome.ERROR)
    assert world.out(0)


def test_nginx_never_benches_its_only_peer() -> None:
    world = nginx(per_zone=(1, 0, 0))
    world.at(100 * S).answer(0, Outcome.ERROR)
    assert not world.out(0)
