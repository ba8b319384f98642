"""Rules between keys at their edges: what is just allowed, and what just is not."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest

from azsim.base.errors import ScenarioError
from azsim.scenario import Scenario

WORK = {"distribution": "constant", "mean": "1ms"}


def system(services: dict[str, Any] | None = None, **changes: Any) -> Scenario:
    return Scenario.from_dict(
        {
            "azsim": 1,
            "name": "edge",
            "duration": "10min",
            "warmup": "1min",
            "zones": ["a", "b"],
            "traffic": {"users": {"to": "web", "rate": "1/s"}},
            "services": services or {"web": {"instances_per_zone": 2, "work": WORK}},
            **changes,
        }
    )


def refusal(**changes: Any) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        system(**changes)
    return caught.value


def chain(length: int, calls_each: int = 1) -> dict[str, Any]:
    """`web` calls `s1`, which calls `s2` and so on, each `calls_each` times for every request."""
    names = ["web", *(f"s{number}" for number in range(1, length))]
    services: dict[str, Any] = {name: {"work": WORK} for name in names}
    for caller, callee in pairwise(names):
        services[caller]["calls"] = [{"id": f"c{number}", "to": callee} for number in range(calls_each)]
    return services


def test_a_thousand_hops_are_allowed_and_one_more_is_not() -> None:
    assert len(system(chain(1000)).services) == 1000
    assert "1001 hops; at most 1000" in refusal(services=chain(1001)).rule


def test_paths_that_multiply_are_counted_without_walking_them() -> None:
    """Two calls at each of 200 tiers are 2^200 paths."""
    started = time.perf_counter()
    assert "over 1e9 hops" in refusal(services=chain(200, calls_each=2)).rule
    assert time.perf_counter() - started < 1
    assert len(system(chain(9, calls_each=2)).services) == 9  # 1 + 2 + 4 ... + 256 = 511
    assert "1023 hops" in refusal(services=chain(10, calls_each=2)).rule


def test_a_long_circle_is_found_without_recursion() -> None:
    services = chain(3000)
    services["s2999"]["calls"] = [{"to": "s1"}]
    error = refusal(services=services)
    assert error.rule.startswith("calls must not go in a circle: s1 -> s2 -> s3")
    assert error.rule.endswith("... -> s2998 -> s2999 -> s1")
    assert len(str(error)) < 500
    assert error.key == "services.s1.calls.c0.to"


def test_a_service_called_on_two_ways_is_no_circle() -> None:
    services = {
        "web": {"work": WORK, "calls": [{"to": "left"}, {"to": "right"}]},
        "left": {"work": WORK, "calls": [{"to": "store"}]},
        "right": {"work": WORK, "calls": [{"to": "store"}]},
        "store": {"work": WORK},
    }
    assert set(system(services).services) == set(services)


@pytest.mark.parametrize(("at", "allowed"), [("1min", True), ("59999ms", False), ("599s", True), ("10min", False)])
def test_when_a_fault_may_start(at: str, allowed: bool) -> None:
    faults = [{"at": at, "zone_loss": {"zone": "a"}}]
    if allowed:
        assert system(faults=faults).faults[0].end_ns(600 * 10**9) == 600 * 10**9
    else:
        assert refusal(faults=faults).key == "faults.zone_loss.at"


def test_a_fault_may_outlast_the_run() -> None:
    fault = system(faults=[{"at": "5min", "for": "1h", "crash": {"service": "web"}}]).faults[0]
    assert fault.end_ns(600 * 10**9) == 600 * 10**9


@pytest.mark.parametrize(
    ("second", "allowed"),
    [
        ({"at": "3min", "for": "1min"}, True),  # starts as the first one ends
        ({"at": "2999ms", "for": "1min"}, False),
        ({"at": "179s", "for": "1min"}, False),
        ({"at": "179s", "for": "1min", "zone": "b"}, True),
        ({"at": "179s", "for": "1min", "competition": "shared"}, True),
    ],
)
def test_stresses_that_compete_differently_must_not_meet(second: dict[str, Any], allowed: bool) -> None:
    first = {"at": "1min", "for": "2min", "cpu_stress": {"service": "web", "load": "50%", "zone": "a"}}
    stress = {
        "service": "web",
        "load": "50%",
        "competition": second.pop("competition", "strict"),
        "zone": second.pop("zone", "a"),
    }
    faults = [first, {**second, "cpu_stress": stress}]
    if allowed:
        assert len(system(faults=faults).faults) == 2
    else:
        assert refusal(faults=faults, warmup="0s").key == "faults.cpu_stress-2.cpu_stress.competition"


@pytest.mark.parametrize(
    ("hosts", "zone", "allowed"),
    [(4, "none", True), (5, "none", False), (2, "a", True), (3, "a", False), ("all", "b", True)],
)
def test_no_more_hosts_than_there_are(hosts: Any, zone: str, allowed: bool) -> None:
    faults = [{"at": "2min", "crash": {"service": "web", "zone": zone, "hosts": hosts}}]
    if allowed:
        assert system(faults=faults).faults[0].kind == "crash"
    else:
        assert refusal(faults=faults).key == "faults.crash.crash.hosts"


def test_a_fault_in_a_zone_without_instances_is_refused() -> None:
    services = {"web": {"work": WORK, "instances_per_zone": {"a": 1}}}
    error = refusal(services=services, faults=[{"at": "2min", "crash": {"service": "web", "zone": "b"}}])
    assert error.rule == "web has no instances in zone b"


def test_instances_and_slots_in_total_are_bounded() -> None:
    assert system({"web": {"work": WORK, "instances_per_zone": 50_000, "slots": 1}}).services["web"].slots == 1
    assert (
        "100002 instances" in refusal(services={"web": {"work": WORK, "instances_per_zone": 50_001, "slots": 1}}).rule
    )
    assert "slots in total" in refusal(services={"web": {"work": WORK, "instances_per_zone": 10, "slots": 10**6}}).rule


def test_sixty_four_zones() -> None:
    zones = [f"z{number}" for number in range(65)]
    assert len(system(zones=zones[:64]).zones) == 64
    assert refusal(zones=zones).rule == "must hold at most 64"


@pytest.mark.parametrize(
    ("pair", "zones", "allowed"),
    [
        ("us-a-us-b", ["us-a", "us-b"], True),
        ("us-b-us-a", ["us-a", "us-b"], True),
        ("us-a-us-a", ["us-a", "us-b"], False),
        ("us-a", ["us", "a"], True),
        ("us-a-b", ["us", "a-b", "us-a", "b"], False),  # us to a-b, or us-a to b
        ("us", ["us", "a"], False),
    ],
)
def test_pairs_of_zones_whose_names_have_dashes(pair: str, zones: list[str], allowed: bool) -> None:
    network = {"pairs": {pair: "2ms"}, "cross_zone": "1ms"}
    if allowed:
        assert system(zones=zones, network=network).network.delay_ns(zones[1], zones[0]) == 2_000_000
    else:
        assert refusal(zones=zones, network=network).key == f"network.pairs.{pair}"


def test_a_probe_may_take_as_long_as_its_interval_and_longer_if_the_next_one_waits() -> None:
    def web(**health: Any) -> dict[str, Any]:
        return {"web": {"work": WORK, "balancer": {"health": {"interval": "5s", **health}}}}

    assert system(web(timeout="5s")).services["web"].balancer.health is not None
    assert system(web(timeout="9s", schedule="after-answer")).services["web"].balancer.health is not None
    assert refusal(services=web(timeout="5001ms")).key == "services.web.balancer.health.timeout"


def test_a_ramp_may_end_where_the_next_point_is() -> None:
    def users(ramp: str) -> dict[str, Any]:
        middle = {"at": "1min", "rate": "2/s", "ramp": ramp}
        return {"users": {"to": "web", "rate": [{"at": "0s", "rate": "1/s"}, middle, {"at": "2min", "rate": "1/s"}]}}

    assert system(traffic=users("60s")).traffic["users"].peak_rate == 2.0
    assert refusal(traffic=users("60001ms")).key == "traffic.users.rate.1.ramp"


def test_shares_may_be_thirds() -> None:
    users = {"to": "web", "rate": "1/s", "from": {"a": "33.3333333333%", "b": "66.6666666667%"}}
    assert system(traffic={"users": users}).traffic["users"].from_ == {"a": 0.333333333333, "b": 0.666666666667}


def test_same_zone_calls_need_the_callee_only_where_the_caller_is() -> None:
    services = {
        "web": {"work": WORK, "instances_per_zone": {"a": 1}, "calls": [{"to": "store", "route": "same-zone"}]},
        "store": {"work": WORK, "instances_per_zone": {"a": 1}},
    }
    assert system(services).services["web"].calls[0].route == "same-zone"
    services["web"]["instances_per_zone"] = 1
    assert refusal(services=services).rule == "web has instances in b, where store has none to call"
