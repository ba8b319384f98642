"""What `validate` reckons of slow instances, limits and warm-up, against figures worked out by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from azsim.policy.cpu import overload_slowdown
from azsim.scenario.arithmetic import arithmetic
from azsim.scenario.capacity import best_work_rate, slowdown, work_rate
from azsim.scenario.figures import Figures, ServiceFigures
from azsim.scenario.overload import Overload
from azsim.scenario.service import Service
from tests.unit.test_scenario_arithmetic import found, shop

LOSS = {"at": "1min", "for": "1min", "zone_loss": {"zone": "c"}}


def reckoned(web: dict[str, Any], rate: str = "300/s", **changes: Any) -> Figures:
    """300/s of 20 ms on two instances of 8 slots in each of three zones."""
    return arithmetic(shop(web, **changes).with_({"traffic.users.rate": rate}))


def web_of(figures: Figures) -> ServiceFigures:
    return figures.services["web"]


def test_slowness_is_that_of_the_data_plane() -> None:
    for contention, coherency, busy in itertools.product((0, 0.02, 1), (0, 0.001, 0.3), (0, 1, 2, 7, 500)):
        law = Overload(contention=contention, coherency=coherency)
        assert slowdown(law, busy) == overload_slowdown(busy, contention, coherency)


def test_the_best_concurrency_is_found_without_trying_all() -> None:
    for contention, coherency, slots, cores in itertools.product(
        (0, 0.02, 0.5, 1, 3), (0, 0.0001, 0.05, 2), (1, 3, 40), (0.5, 2.5, 8, 100)
    ):
        law = {"contention": contention, "coherency": coherency}
        work = {"distribution": "constant", "mean": "1ms"}
        instance = Service.model_validate({"slots": slots, "cores": cores, "overload": law, "work": work})
        tried = max(work_rate(instance, number) for number in range(1, slots + 1))
        assert best_work_rate(instance) == pytest.approx(tried)


def test_capacity_is_at_the_best_concurrency_and_less_when_all_slots_are_full() -> None:
    """n / (1 + 0.05 n (n - 1)) peaks at 4.5: 2.5 for n = 4 and 5; it is 8 / 3.8 for all 8 slots."""
    web = web_of(reckoned({"overload": {"coherency": 0.05}}))
    assert web.load.capacity_per_s == pytest.approx(6 * 2.5 / 0.02)
    assert web.load.full_per_s == pytest.approx(6 * 8 / 3.8 / 0.02)
    assert web.load.utilisation == pytest.approx(300 / 750)
    # A full queue drains at the rate of full slots, and holds each of them for 3.8 times the work.
    assert web.queue_wait_s == pytest.approx(1000 * 0.02 * 3.8 / 8)
    assert web.slot_s_max == pytest.approx(0.02 * 3.8)


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        ("400/s", []),  # without a zone 421/s even when full
        ("450/s", ["With zone a gone web can take 500/s, but with all slots in service only 421.053/s"]),
        ("700/s", ["web can take 750/s, but with all slots in service only 631.579/s"]),
        ("800/s", []),  # too much in any case, which another sentence says
    ],
)
def test_two_ends_under_one_load_are_told(rate: str, says: list[str]) -> None:
    told = found(reckoned({"overload": {"coherency": 0.05}}, rate), "stays full")
    assert len(told) == len(says)
    assert all(text.startswith(start) for text, start in zip(told, says, strict=True))


def test_without_slowness_full_is_no_other_capacity() -> None:
    web = web_of(reckoned({"cores": 3}))
    assert web.load.full_per_s == web.load.capacity_per_s


@pytest.mark.parametrize(
    ("limit", "queue", "waits_s"),
    [
        ({"kind": "fixed", "max": 100}, 1000, 92 * 0.02 / 8),
        ({"kind": "fixed", "max": 100}, 10, 10 * 0.02 / 8),
        ({"kind": "fixed", "max": 8}, 1000, 0),
        ({"kind": "fixed", "max": 100}, "unbounded", 92 * 0.02 / 8),
        ({"kind": "gradient2"}, "unbounded", 192 * 0.02 / 8),  # its greatest is 200
        ("none", "unbounded", math.inf),
    ],
)
def test_a_limit_bounds_the_wait(limit: Any, queue: Any, waits_s: float) -> None:
    web = web_of(reckoned({"limit": limit, "queue": queue}))
    assert web.queue_wait_s == pytest.approx(waits_s)
    assert web.wait_s_max == pytest.approx(waits_s)


def test_a_limit_below_the_slots_bounds_the_capacity() -> None:
    web = web_of(reckoned({"limit": {"kind": "fixed", "max": 4}}))
    assert web.load.capacity_per_s == pytest.approx(6 * 4 / 0.02)


def test_an_adaptive_limit_is_said_to_adapt() -> None:
    (told,) = found(reckoned({"limit": {"kind": "vegas"}, "queue": "unbounded"}), "A full queue of web waits")
    assert "A queue of at most 400 does not. Its limit adapts" in told


@pytest.mark.parametrize(
    ("limit", "rate_s", "says"),
    [
        ("40/s", 240, "The rate limits let in 240/s of the 300/s that web gets"),
        ("60/s", 360, "With zone a gone the rate limits let in 240/s of the 300/s that web gets"),
        ("80/s", 480, ""),
    ],
)
def test_rate_limits_let_in_so_much_in_all(limit: str, rate_s: float, says: str) -> None:
    figures = reckoned({"rate_limit": {"rate": limit}})
    assert web_of(figures).load.let_in_per_s == pytest.approx(rate_s)
    assert web_of(figures).without["b"].let_in_per_s == pytest.approx(rate_s * 2 / 3)
    told = found(figures, "let in")
    assert [text[: len(says)] for text in told] == [says] * bool(says)


def test_a_zone_without_a_rate_limit_lets_all_in() -> None:
    assert web_of(reckoned({})).load.let_in_per_s == math.inf
    one = {"rate_limit": {"rate": "40/s"}, "overrides": {"c": {"rate_limit": "none"}}}
    figures = web_of(reckoned(one))
    assert figures.load.let_in_per_s == math.inf
    assert figures.without["c"].let_in_per_s == pytest.approx(160)


def test_a_zone_that_is_back_cold_may_not_carry_its_share() -> None:
    """6 of 48 cores: an eighth. Ten times the work in one of three zones that get a third each: ten eighths there."""
    warmup = {"warmup": {"slowdown": 10, "for": "1min"}}
    figures = reckoned(warmup, faults=[LOSS])
    assert web_of(figures).cold == pytest.approx(dict.fromkeys("abc", 1.25))
    (told,) = found(figures, "cold")
    assert told.startswith("When zone c is back its instances of web are cold, and busy 125%")
    lasting = {name: value for name, value in LOSS.items() if name != "for"}
    assert not found(reckoned(warmup, faults=[lasting]), "cold")
    assert not found(reckoned(warmup, faults=[{**LOSS, "zone_loss": {"zone": "c", "mode": "blackhole"}}]), "cold")
    assert web_of(reckoned({})).cold == {}


def test_who_sends_to_the_least_busy_sends_less_to_the_cold() -> None:
    """800 + 800 + 80 requests per second for 300."""
    warmup = {"slowdown": 10, "for": "1min"}
    balancer = {"algorithm": "least-outstanding"}
    figures = reckoned({"warmup": warmup, "balancer": balancer}, faults=[LOSS])
    assert web_of(figures).cold["c"] == pytest.approx(300 / 1680)
    assert not found(figures, "cold")


def test_a_crash_of_a_zone_is_followed_by_cold_instances_too() -> None:
    fault = {"at": "1min", "for": "5s", "crash": {"service": "web", "zone": "b"}}
    (told,) = found(reckoned({"warmup": {"slowdown": 10, "requests": 100}}, faults=[fault]), "cold")
    assert "zone b" in told
