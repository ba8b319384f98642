"""The arithmetic of a scenario against figures worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from azsim.scenario import Scenario, load
from azsim.scenario.arithmetic import arithmetic, rate_at
from azsim.scenario.figures import Detection, Figures

BASE = Path(__file__).parents[1] / "faults/base.yaml"


def shop(web: dict[str, Any] | None = None, **changes: Any) -> Scenario:
    """300/s of 20 ms on 2 x 8 cores in each of three zones: 6 of 48 cores."""
    return Scenario.from_dict(
        {
            "azsim": 1,
            "name": "shop",
            "duration": "10min",
            "zones": ["a", "b", "c"],
            "traffic": {"users": {"to": "web", "rate": "300/s", "timeout": "1s"}},
            "services": {
                "web": {
                    "instances_per_zone": 2,
                    "work": {"distribution": "constant", "mean": "20ms"},
                    **(web or {}),
                }
            },
            **changes,
        }
    )


def found(figures: Figures, fragment: str) -> list[str]:
    return [finding for finding in figures.findings if fragment in finding]


def test_the_loss_of_one_zone_of_three_makes_one_and_a_half() -> None:
    """2880/s of 20 ms is 57.6 of 96 cores, and of the 64 that two zones have."""
    web = arithmetic(load(BASE).with_({"services.web.overrides": "none"})).services["web"]
    assert (web.load.rate_per_s, web.load.capacity_per_s) == pytest.approx((2880, 4800))
    assert web.load.utilisation == web.load.busiest == pytest.approx(0.6)
    for zone in "abc":
        assert web.without[zone].utilisation == pytest.approx(0.9)
        assert web.without[zone].capacity_per_s == pytest.approx(3200)


def test_cores_and_slots_both_bound_the_capacity() -> None:
    for web, cores in (({"slots": 4, "cores": 8}, 4), ({"slots": 8, "cores": 2.5}, 2.5), ({"slots": 3}, 3)):
        load_ = arithmetic(shop(web)).services["web"].load
        assert load_.capacity_per_s == pytest.approx(6 * cores / 0.02)
        assert load_.utilisation == pytest.approx(6 / (6 * cores))


@pytest.mark.parametrize(
    ("balancer", "busiest"),
    [
        # 6 cores of work on instances a: 1, b: 1, c: 4 of 8 cores each.
        ({"algorithm": "round-robin"}, 6 / 6 / 8),
        ({"cross_zone": False}, 6 / 3 / 8),
        ({"cross_zone": False, "algorithm": "least-outstanding"}, 6 / 3 / 8),
    ],
)
def test_the_balancer_decides_which_zone_is_busiest(balancer: dict[str, Any], busiest: float) -> None:
    web = arithmetic(shop({"instances_per_zone": {"a": 1, "b": 1, "c": 4}, "balancer": balancer})).services["web"]
    assert web.load.busiest == pytest.approx(busiest)
    assert web.load.utilisation == pytest.approx(6 / 48)


def test_a_slow_zone_is_busier_unless_the_balancer_notices() -> None:
    slow = {"overrides": {"c": {"work": {"mean": "40ms"}}}}
    equal = arithmetic(shop(slow)).services["web"].load
    assert equal.capacity_per_s == pytest.approx(800 + 800 + 400)
    assert equal.busiest == pytest.approx(100 / 400)
    adaptive = arithmetic(shop({**slow, "balancer": {"algorithm": "two-choices"}})).services["web"].load
    assert adaptive.busiest == pytest.approx(300 / 2000)


def test_clients_in_a_lost_zone_are_lost_with_it() -> None:
    users = {"to": "web", "rate": "300/s", "from": {"a": "50%", "b": "50%"}}
    web = arithmetic(shop(traffic={"users": users})).services["web"]
    assert web.without["a"].rate_per_s == pytest.approx(150)
    assert web.without["c"].rate_per_s == pytest.approx(300)


def test_calls_carry_the_load_on_and_stay_in_the_zone_if_told() -> None:
    """Twice 300/s reach the store from where the caller is: zone a has half of the callers, a third of the store."""
    services = {
        "web": {
            "instances_per_zone": {"a": 2, "b": 1, "c": 1},
            "work": {"distribution": "constant", "mean": "20ms"},
            "calls": [
                {"to": "store", "route": "same-zone", "timeout": "1s"},
                {"id": "again", "to": "store", "route": "same-zone", "timeout": "1s"},
            ],
        },
        "store": {"slots": 4, "work": {"distribution": "constant", "mean": "10ms"}},
    }
    store = arithmetic(shop(services=services)).services["store"]
    assert store.load.rate_per_s == pytest.approx(600)
    assert store.load.utilisation == pytest.approx(600 / 1200)
    assert store.load.busiest == pytest.approx(300 / 400)
    services["web"]["calls"] = [{"to": "store"}]
    assert arithmetic(shop(services=services)).services["store"].load.busiest == pytest.approx(0.25)


def test_nothing_left_is_without_end() -> None:
    web = arithmetic(shop({"instances_per_zone": {"a": 4}})).services["web"]
    assert web.without["a"].utilisation == math.inf
    assert web.without["b"].utilisation == web.load.utilisation
    figures = arithmetic(shop({"instances_per_zone": {"a": 4}}))
    assert found(figures, "only in zone a: without it nothing serves")


def test_the_peak_is_when_the_traffic_asks_for_most_work() -> None:
    rate = [
        {"at": "0s", "rate": "100/s"},
        {"at": "1min", "rate": "500/s", "ramp": "30s"},
        {"at": "5min", "rate": "50/s"},
    ]
    figures = arithmetic(shop(traffic={"users": {"to": "web", "rate": rate}}))
    assert figures.peak_at_s == pytest.approx(90)
    assert figures.services["web"].load.rate_per_s == pytest.approx(500)
    # Another population falls while this one rises: neither's own peak is that of both.
    other = [{"at": "0s", "rate": "900/s"}, {"at": "75s", "rate": "0/s"}]
    both = {"users": {"to": "web", "rate": rate}, "bots": {"to": "web", "rate": other}}
    figures = arithmetic(shop(traffic=both))
    assert figures.peak_at_s == pytest.approx(75)
    assert figures.services["web"].load.rate_per_s == pytest.approx(100 + 200 + 900)


@pytest.mark.parametrize(
    ("at_s", "rate"), [(0, 100), (59.999, 100), (60, 100), (75, 300), (90, 500), (299, 500), (300, 50)]
)
def test_rates_between_the_points_of_a_profile(at_s: float, rate: float) -> None:
    points = [
        {"at": "0s", "rate": "100/s"},
        {"at": "1min", "rate": "500/s", "ramp": "30s"},
        {"at": "5min", "rate": "50/s"},
    ]
    users = shop(traffic={"users": {"to": "web", "rate": points}}).traffic["users"]
    assert rate_at(users, int(at_s * 1e9)) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("health", "detection"),
    [
        # Two probes 10 s apart: the fault falls 0 to 10 s before the first of them; 1 s until the balancer acts.
        ({"propagation": "1s"}, Detection(11, 21, 16, 26)),
        # A silent probe delays the next one by its 5 s when the schedule waits for answers.
        ({"propagation": "1s", "schedule": "after-answer"}, Detection(11, 21, 21, 31)),
        ({"propagation": "0s", "unhealthy_after": 1}, Detection(0, 10, 5, 15)),
        (
            {"interval": "2s", "timeout": "3s", "schedule": "after-answer", "unhealthy_after": 3, "propagation": "0s"},
            Detection(4, 6, 13, 15),
        ),
    ],
)
def test_detection(health: dict[str, Any], detection: Detection) -> None:
    figures = arithmetic(shop({"balancer": {"health": health}}))
    assert figures.services["web"].detection == detection


def test_without_health_checks_nothing_is_detected() -> None:
    lost = [{"at": "1min", "zone_loss": {"zone": "a"}}]
    figures = arithmetic(shop(faults=lost))
    assert figures.services["web"].detection is None
    assert found(figures, "web has no health checks")
    assert not found(arithmetic(shop()), "health checks")


def test_a_detection_later_than_asked_for_is_found() -> None:
    changes = {"faults": [{"at": "1min", "zone_loss": {"zone": "a"}}], "hypothesis": {"detect_within": "20s"}}
    web: dict[str, Any] = {"queue": 10, "balancer": {"health": {}}}
    assert found(arithmetic(shop(web, **changes)), "may need 26 s to detect fault zone_loss; the hypothesis allows 20s")
    changes["hypothesis"] = {"detect_within": "26s"}
    assert not found(arithmetic(shop(web, **changes)), "may need")


def test_a_fault_shorter_than_its_detection_is_found() -> None:
    lost = [{"at": "1min", "for": "15s", "zone_loss": {"zone": "a"}}]
    assert found(arithmetic(shop({"balancer": {"health": {}}}, faults=lost)), "which lasts only 15 s")


def test_the_longest_wait_is_places_times_work_over_busy_cores() -> None:
    figures = arithmetic(shop({"queue": 1000}))
    assert figures.services["web"].queue_wait_s == pytest.approx(1000 * 0.02 / 8)
    (finding,) = found(figures, "works on what nobody waits for")
    assert "waits 2.5 s, longer than the timeout of traffic.users (1 s)" in finding
    assert "at most 400 " in finding
    assert not found(arithmetic(shop({"queue": 400})), "works on what nobody waits for")
    assert arithmetic(shop({"queue": "unbounded"})).services["web"].queue_wait_s == math.inf
    assert arithmetic(shop({"queue": 0})).services["web"].wait_s_max == 0


def test_slots_are_held_through_the_attempts_and_backoffs_of_calls() -> None:
    """20 ms of work, then 3 attempts of at most 300 ms with waits of 100 and 150 ms between."""
    call = {
        "to": "store",
        "timeout": "300ms",
        "retry": {"attempts": 3, "backoff": {"base": "100ms", "factor": 2, "cap": "150ms", "jitter": "full"}},
    }
    services: dict[str, Any] = {
        "web": {"slots": 8, "queue": 40, "work": {"distribution": "constant", "mean": "20ms"}, "calls": [call]},
        "store": {"slots": 1, "queue": 100, "work": {"distribution": "constant", "mean": "10ms"}},
    }
    web = arithmetic(shop(services=services)).services["web"]
    assert web.slot_s_max == pytest.approx(0.02 + 3 * 0.3 + 0.1 + 0.15)
    assert web.wait_s_max == pytest.approx(40 * web.slot_s_max / 8)
    call["deadline"] = "500ms"
    assert arithmetic(shop(services=services)).services["web"].slot_s_max == pytest.approx(0.52)
    # Without a timeout the call waits for the store's full queue and its own work.
    services["web"]["calls"] = [{"to": "store"}]
    figures = arithmetic(shop(services=services))
    assert figures.services["web"].slot_s_max == pytest.approx(0.02 + 100 * 0.01 + 0.01)
    assert found(figures, "services.web.calls.store has no timeout")
    assert found(figures, "web may hold a slot for 1.03 s")


def test_decorrelated_backoff_grows_threefold_to_its_cap() -> None:
    backoff = {"base": "100ms", "cap": "1s", "jitter": "decorrelated"}
    call = {"to": "store", "timeout": "1ms", "retry": {"attempts": 4, "backoff": backoff}}
    services = {
        "web": {"work": {"distribution": "constant", "mean": "20ms"}, "calls": [call]},
        "store": {"work": {"distribution": "constant", "mean": "10ms"}},
    }
    web = arithmetic(shop(services=services)).services["web"]
    assert web.slot_s_max == pytest.approx(0.02 + 4 * 0.001 + 0.3 + 0.9 + 1.0)


def test_proportional_jitter_may_exceed_the_cap_by_its_spread() -> None:
    backoff = {"base": "100ms", "cap": "300ms", "jitter": "proportional", "spread": "50%"}
    call = {"to": "store", "timeout": "1ms", "retry": {"attempts": 4, "backoff": backoff}}
    services = {
        "web": {"work": {"distribution": "constant", "mean": "20ms"}, "calls": [call]},
        "store": {"work": {"distribution": "constant", "mean": "10ms"}},
    }
    web = arithmetic(shop(services=services)).services["web"]
    assert web.slot_s_max == pytest.approx(0.02 + 4 * 0.001 + 0.15 + 0.3 + 0.45)


def test_a_wait_that_overload_answers_ask_for_may_be_the_longest() -> None:
    call = {"to": "store", "timeout": "1ms", "retry": {"attempts": 3, "backoff": {"base": "100ms"}}}
    services = {
        "web": {"work": {"distribution": "constant", "mean": "20ms"}, "calls": [call]},
        "store": {"work": {"distribution": "constant", "mean": "10ms"}, "overload_retry_after": "150ms"},
    }
    web = arithmetic(shop(services=services)).services["web"]
    assert web.slot_s_max == pytest.approx(0.02 + 3 * 0.001 + 0.15 + 0.2)


def test_clients_that_throttle_themselves_are_no_finding() -> None:
    users = {"to": "web", "rate": "300/s", "retry": {"attempts": 3, "budget": {"kind": "client-throttling"}}}
    assert not found(arithmetic(shop(traffic={"users": users})), "Nothing limits")


def test_attempts_multiply_down_the_tiers() -> None:
    figures = arithmetic(load(BASE))
    assert figures.services["web"].attempts_product == 3 * 3  # the client's and the balancer's
    assert figures.services["catalog"].attempts_product == 3 * 3 * 2
    assert found(figures, "18 x 12% is 216% of its capacity")
    assert arithmetic(shop()).services["web"].attempts_product == 1
    once = {"to": "web", "rate": "100/s"}
    mixed = {"users": {**once, "retry": {"attempts": 4}}, "bots": {**once, "rate": "300/s"}}
    assert arithmetic(shop(traffic=mixed)).services["web"].attempts_product == pytest.approx((4 * 100 + 300) / 400)


@pytest.mark.parametrize(
    ("budget", "burst", "burst_timeouts"),
    [
        ({"capacity": 500, "cost": 5, "timeout_cost": 10}, 100 * 100, 100 * 50),  # published.md: AWS SDK quota
        ({"capacity": 500, "cost": 14}, 100 * 35, 100 * 35),
        ({"capacity": 0.3, "cost": 0.1}, 300, 300),
        ({"capacity": 4, "cost": 5}, 0, 0),
        ({"capacity": 4, "cost": 0}, math.inf, math.inf),
        ("none", math.inf, math.inf),
        # 100 processes with 3/s each: 10 x 10 + 20% of 30; all failing, 9, 8, 7 and 6 tokens are more than 5.
        ({"kind": "ratio", "ratio": "20%", "floor": "10/s", "window": "10s"}, 100 * 106, 100 * 106),
        ({"kind": "grpc", "max_tokens": 10}, 100 * 4, 100 * 4),
        ({"kind": "grpc", "max_tokens": 9}, 100 * 4, 100 * 4),
        ({"kind": "grpc", "max_tokens": 2}, 0, 0),
        ({"kind": "client-throttling"}, math.inf, math.inf),
    ],
)
def test_the_burst_of_all_budgets(budget: Any, burst: float, burst_timeouts: float) -> None:
    users = {"to": "web", "rate": "300/s", "clients": 100, "retry": {"attempts": 3, "budget": budget}}
    (hop,) = arithmetic(shop(traffic={"users": users})).hops
    assert (hop.processes, hop.burst, hop.burst_timeouts) == (100, burst, burst_timeouts)


def test_a_calling_instance_is_a_client_process() -> None:
    hops = {hop.path: hop for hop in arithmetic(load(BASE)).hops}
    assert hops["services.web.calls.catalog"].processes == 12
    assert hops["traffic.shoppers"].processes == 100


def test_a_hop_without_retries_has_no_burst() -> None:
    (hop,) = arithmetic(shop()).hops
    assert (hop.attempts, hop.burst, hop.burst_timeouts, hop.timeout_s) == (1, 0, 0, 1.0)


def test_a_calm_scenario_has_no_findings() -> None:
    assert arithmetic(shop({"queue": 300, "balancer": {"health": {}}})).findings == ()


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"traffic.shoppers.rate": "5000/s"}, "overloaded from the start: 5000/s for a capacity of 4800/s is 104%"),
        ({"traffic.shoppers.rate": "4000/s"}, "With zone c gone web is at 125%: 4000/s for a capacity of 3200/s"),
        ({}, "With the spike of fault traffic_spike and zone c gone web is at 135%"),
        ({"traffic.shoppers.retry.budget": "none"}, "Nothing limits the retries of traffic.shoppers"),
        ({"traffic.shoppers.retry.budget.capacity": 1}, "never pays for a retry"),
        ({}, "pay for 10000 retries at once: 2.08 s of the whole capacity of web"),
        ({"services.web.balancer.health.timeout": "2s"}, "overload takes instances out of rotation"),
        ({"traffic.shoppers.timeout": "none"}, "traffic.shoppers has no timeout"),
    ],
)
def test_findings(changes: dict[str, Any], fragment: str) -> None:
    figures = arithmetic(load(BASE).with_({"services.web.overrides": "none", **changes}))
    assert found(figures, fragment), figures.findings
