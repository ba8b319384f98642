"""From a scenario to tables."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azsim.base.seeds import run_key
from azsim.base.units import SECOND_NS
from azsim.dataplane.codes import INFINITE, Outcome
from azsim.dataplane.layout import Plan
from azsim.policy import balancing, distributions, guards, locality, outliers, retry, users
from azsim.policy.arrivals import UNITS_PER_REQUEST, integral
from azsim.scenario import Scenario
from azsim.simulation.lower import lower

MS = 1_000_000


def scenario_of(**changes: Any) -> Scenario:
    """A scenario that uses what there is, with the values at dotted paths replaced."""
    base: dict[str, Any] = {
        "azsim": 1,
        "name": "shop",
        "duration": "20min",
        "zones": ["a", "b", "c"],
        "network": {"same_zone": "0.25ms", "cross_zone": "1ms", "pairs": {"c-a": "0.6ms"}},
        "traffic": {
            "shoppers": {
                "to": "front",
                "rate": "1200/s",
                "clients": 100,
                "timeout": "1s",
                "connect_timeout": "300ms",
                "deadline": "5s",
                "retry": {
                    "attempts": 4,
                    "backoff": {"base": "50ms", "factor": 3, "cap": "2s", "jitter": "equal"},
                    "on": ["timeout", "no-target"],
                    "budget": {"capacity": 7.5, "cost": 5, "timeout_cost": 10, "deposit": 0.1},
                },
                "cancel": True,
            },
            "spiders": {"to": "store", "rate": "1/s"},
        },
        "services": {
            "front": {
                "instances_per_zone": {"a": 2, "c": 1},
                "slots": 8,
                "cores": 2.5,
                "queue": "unbounded",
                "discipline": "lifo",
                "drop_expired": True,
                "work": {"distribution": "constant", "mean": "20ms"},
                "overrides": {"c": {"work": {"mean": "24ms"}, "queue": 9}},
                "balancer": {
                    "algorithm": "two-choices",
                    "cross_zone": False,
                    "timeout": "2s",
                    "health": {"interval": "9s", "timeout": "4s", "phase": "3s", "fail_open": {"below": "40%"}},
                    "retry": {"attempts": 3, "on": ["refused", "reset"]},
                },
                "calls": [
                    {
                        "to": "store",
                        "timeout": "300ms",
                        "retry": {"attempts": 2, "budget": {"deposit_after_retry": "cost"}},
                    },
                    {"to": "store", "id": "again", "route": "same-zone"},
                ],
            },
            "store": {"work": {"distribution": "exponential", "mean": "5ms"}, "instances_per_zone": 1},
        },
    }
    return Scenario.from_dict(base).with_(changes)


def same(one: Plan, other: Plan) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Plan))


def test_names_and_numbers() -> None:
    plan = lower(scenario_of(), 5, 2)
    assert plan.key == run_key(5, 2)
    assert plan.epoch == 0
    assert plan.zones == ("a", "b", "c")
    assert plan.population_names == ("shoppers", "spiders")
    assert plan.service_names == ("front", "store")
    assert plan.instance_names == ("front-a-1", "front-a-2", "front-c-1", "store-a-1", "store-b-1", "store-c-1")
    assert plan.instances["service"].tolist() == [0, 0, 0, 1, 1, 1]
    assert plan.instances["zone"].tolist() == [0, 0, 2, 0, 1, 2]
    assert plan.services["instances_first"].tolist() == [0, 3]
    assert plan.services["instances_count"].tolist() == [3, 3]


def test_the_same_input_gives_the_same_tables_and_another_seed_another_key_alone() -> None:
    one, again, other = lower(scenario_of(), 5), lower(scenario_of(), 5), lower(scenario_of(), 6)
    assert same(one, again)
    assert one.key != other.key
    assert [f.name for f in fields(Plan) if not np.array_equal(getattr(one, f.name), getattr(other, f.name))] == ["key"]


def policy(**retry: Any) -> tuple[Plan, Any, Any]:
    """A plan whose shoppers retry like this, and their rows of hops and policies."""
    plan = lower(scenario_of(**{"traffic.shoppers.retry": {"attempts": 3} | retry}), 1)
    return plan, plan.hops[0], plan.policies[0]


def test_what_every_kernel_has_asks_for_no_rich_one() -> None:
    plan = lower(scenario_of(), 1)
    assert not plan.rich
    assert plan.meters == 0
    assert len(plan.policies) == len(plan.hops)
    assert len({row.item() for row in plan.policies}) == 1
    # What is said but changes nothing asks for nothing, either.
    assert not policy(backoff={"base": "1s", "spread": "50%"})[0].rich


def test_budgets_that_are_windows_are_numbered_by_process() -> None:
    plan, hop, row = policy(budget={"kind": "ratio", "ratio": "12.5%", "floor": "0.5/s", "window": "7s"})
    assert plan.rich
    assert (row["budget"], row["budget_meters"], plan.meters) == (guards.RATIO, 0, 100)
    assert (row["budget_ratio"], row["budget_reserve"], row["budget_part_ns"]) == (125_000, 3_500_000, 700 * MS)
    assert (hop["buckets_first"], plan.policies[1]["budget_meters"]) == (-1, -1)
    plan, hop, row = policy(budget={"kind": "client-throttling", "k": 1.5, "window": "2min"})
    assert (row["budget"], row["throttle_k"], row["budget_part_ns"]) == (guards.CLIENT_THROTTLING, 1.5, 12_000 * MS)
    assert (hop["buckets_first"], plan.meters) == (-1, 100)


def test_a_grpc_budget_is_a_bucket_that_retries_do_not_pay_from() -> None:
    plan, hop, row = policy(budget={"kind": "grpc", "max_tokens": 8, "ratio": 0.25})
    assert (row["budget"], row["budget_meters"], plan.meters) == (guards.GRPC, -1, 0)
    names = ("capacity", "cost", "timeout_cost", "deposit", "deposit_after_retry", "on_request")
    assert [int(hop[f"budget_{name}"]) for name in names] == [8000, 0, 0, 250, 250, 0]


def test_jitter_targets_and_asked_waits_are_policies() -> None:
    backoff = {"base": "50ms", "jitter": "proportional", "spread": "30%"}
    plan, hop, row = policy(backoff=backoff, avoid_previous=True)
    assert (hop["backoff"], row["backoff_spread"], row["avoid_previous"]) == (retry.PROPORTIONAL, 0.3, 1)
    assert row["retry_after_ns"] == -1
    plan = lower(scenario_of(**{"services.store.overload_retry_after": "200ms"}), 1)
    assert plan.rich
    # Shoppers alone ask front.
    assert plan.policies["retry_after_ns"].tolist() == [-1, 200 * MS, 200 * MS, 200 * MS]


def test_delays_are_between_zones_and_outside_last() -> None:
    expected = [[250, 1000, 600, 250], [1000, 250, 1000, 250], [600, 1000, 250, 250], [250, 250, 250, 250]]
    assert (lower(scenario_of(), 1).delay_ns == np.array(expected) * 1000).all()


def test_instances_take_what_their_zone_overrides() -> None:
    instances = lower(scenario_of(), 1).instances
    assert instances["slots"].tolist() == [8, 8, 8, 8, 8, 8]
    assert instances["cores"].tolist() == [2.5, 2.5, 2.5, 8, 8, 8]
    assert instances["queue"].tolist() == [INFINITE, INFINITE, 9, 1000, 1000, 1000]
    assert instances["discipline"].tolist() == [1, 1, 1, 0, 0, 0]
    assert instances["drop_expired"].tolist() == [1, 1, 1, 0, 0, 0]
    assert instances["work_mean_ns"].tolist() == [20 * MS, 20 * MS, 24 * MS, 5 * MS, 5 * MS, 5 * MS]


def test_hops_are_the_populations_then_the_calls_in_order() -> None:
    plan = lower(scenario_of(), 1)
    hops = plan.hops
    assert hops["service"].tolist() == [0, 1, 1, 1]
    assert hops["caller"].tolist() == [-1, -1, 0, 0]
    assert hops["population"].tolist() == [0, 1, -1, -1]
    assert plan.populations["hop"].tolist() == [0, 1]
    assert plan.services["calls_first"][0] == 2
    assert plan.services["calls_count"].tolist() == [2, 0]
    assert hops["attempts"].tolist() == [4, 1, 2, 1]
    assert hops["timeout_ns"].tolist() == [SECOND_NS, INFINITE, 300 * MS, INFINITE]
    assert hops["connect_timeout_ns"].tolist() == [300 * MS, INFINITE, INFINITE, INFINITE]
    assert hops["deadline_ns"].tolist() == [5 * SECOND_NS, INFINITE, INFINITE, INFINITE]
    assert hops["cancel"].tolist() == [1, 0, 0, 0]
    assert hops["same_zone"].tolist() == [0, 0, 0, 1]
    assert hops["backoff"].tolist() == [retry.EQUAL, retry.AT_ONCE, retry.AT_ONCE, retry.AT_ONCE]
    assert [hops[name][0] for name in ("backoff_base_ns", "backoff_factor", "backoff_cap_ns")] == [
        50 * MS,
        3.0,
        2 * SECOND_NS,
    ]


def test_outcomes_that_are_retried_are_bits() -> None:
    plan = lower(scenario_of(), 1)
    every = sum(1 << o for o in Outcome if o.word in ("timeout", "error", "refused", "reset", "overload", "no-target"))
    assert plan.hops["retry_on"].tolist() == [1 << Outcome.TIMEOUT | 1 << Outcome.NO_TARGET, 0, every, 0]
    assert plan.services["redispatch_on"].tolist() == [1 << Outcome.REFUSED | 1 << Outcome.RESET, 0]
    assert plan.services["redispatch_attempts"].tolist() == [3, 1]


def test_budgets_are_thousandths_and_each_client_or_calling_instance_has_a_bucket() -> None:
    plan = lower(scenario_of(), 1)
    hops = plan.hops
    assert hops["buckets_first"].tolist() == [0, -1, 100, -1]
    assert plan.buckets == 103
    assert hops["budget_capacity"].tolist() == [7500, 0, 500_000, 0]
    assert hops["budget_cost"].tolist() == [5000, 0, 5000, 0]
    assert hops["budget_timeout_cost"].tolist() == [10_000, 0, 5000, 0]
    assert hops["budget_deposit"].tolist() == [100, 0, 1000, 0]
    assert hops["budget_deposit_after_retry"].tolist() == [100, 0, -1, 0]
    assert hops["budget_on_request"].tolist() == [0, 0, 0, 0]
    per_request = scenario_of(**{"traffic.shoppers.retry.budget.deposit_on": "request"})
    assert lower(per_request, 1).hops["budget_on_request"].tolist() == [1, 0, 0, 0]


def test_balancers_and_health() -> None:
    front, store = lower(scenario_of(), 1).services
    assert (front["algorithm"], store["algorithm"]) == (balancing.TWO_CHOICES, balancing.ROUND_ROBIN)
    assert (front["cross_zone"], store["cross_zone"]) == (0, 1)
    assert (front["balancer_timeout_ns"], store["balancer_timeout_ns"]) == (2 * SECOND_NS, INFINITE)
    assert (front["health"], store["health"]) == (1, 0)
    assert (front["interval_ns"], front["probe_timeout_ns"], front["phase_ns"]) == (
        9 * SECOND_NS,
        4 * SECOND_NS,
        3 * SECOND_NS,
    )
    assert (front["unhealthy_after"], front["healthy_after"], front["propagation_ns"]) == (2, 5, SECOND_NS)
    assert (front["probe_queue"], front["after_answer"], front["fail_open_below"]) == (1, 0, 0.4)


@pytest.mark.parametrize(
    ("key", "value", "column", "number"),
    [
        ("probe", "bypass", "probe_queue", 0),
        ("schedule", "after-answer", "after_answer", 1),
        ("phase", "spread", "phase_ns", -1),
        ("fail_open", "all-unhealthy", "fail_open_below", 0.0),
        ("fail_open", "never", "fail_open_below", balancing.NEVER_OPEN),
    ],
)
def test_words_of_health_checks(key: str, value: str, column: str, number: float) -> None:
    scenario = scenario_of(**{f"services.front.balancer.health.{key}": value})
    assert lower(scenario, 1).services[column][0] == number


def test_callers_are_outside_or_by_cumulative_shares() -> None:
    outside = lower(scenario_of(), 1)
    assert outside.places.tolist() == [(3, 1 << 32), (3, 1 << 32)]
    plan = lower(scenario_of(**{"traffic.shoppers.from": {"a": "50%", "b": "20%", "c": "30%"}}), 1)
    assert plan.populations["places_first"].tolist() == [0, 3]
    assert plan.populations["places_count"].tolist() == [3, 1]
    assert plan.places["place"].tolist() == [0, 1, 2, 3]
    assert plan.places["upto"].tolist() == [1 << 31, round(0.7 * (1 << 32)), 1 << 32, 1 << 32]


def test_zones_without_callers_have_no_place() -> None:
    plan = lower(scenario_of(**{"traffic.shoppers.from": {"a": "0%", "b": "100%"}}), 1)
    assert plan.places[: plan.populations["places_count"][0]].tolist() == [(1, 1 << 32)]


def segments_of(*points: dict[str, str]) -> Any:
    plan = lower(scenario_of(**{"traffic.shoppers.rate": list(points)}), 1)
    assert plan.populations["segments_first"].tolist() == [0, plan.populations["segments_count"][0]]
    return plan.segments[: plan.populations["segments_count"][0]]


def requests_by(segments: Any, t_ns: int) -> float:
    """The integrated rate up to an instant, in requests, by the data planes' own arithmetic."""
    ends = [*segments["start_ns"][1:].tolist(), INFINITE]
    units = 0
    for row, end_ns in zip(segments, ends, strict=True):
        tau_ns = min(t_ns, end_ns) - int(row["start_ns"])
        if tau_ns > 0:
            units += integral(tau_ns, float(row["rate"]), float(row["slope"]))
    return units / UNITS_PER_REQUEST


def test_a_rate_with_steps_and_ramps() -> None:
    segments = segments_of(
        {"at": "0s", "rate": "100/s"},
        {"at": "10s", "rate": "200/s", "ramp": "20s"},
        {"at": "40s", "rate": "50/s"},
        {"at": "50s", "rate": "0/s", "ramp": "10s"},
    )
    assert segments["start_ns"].tolist() == [t * SECOND_NS for t in (0, 10, 30, 40, 50, 60)]
    # 10 s at 100, 20 s from 100 to 200, 10 s at 200, 10 s at 50, 10 s from 50 to 0, then nothing.
    for t_s, requests in ((10, 1000), (20, 2250), (30, 4000), (40, 6000), (50, 6500), (60, 6750), (600, 6750)):
        assert requests_by(segments, t_s * SECOND_NS) == pytest.approx(requests, rel=1e-9)


def test_a_ramp_that_ends_as_the_next_begins_leaves_no_empty_segment() -> None:
    segments = segments_of(
        {"at": "0s", "rate": "100/s"},
        {"at": "10s", "rate": "200/s", "ramp": "20s"},
        {"at": "30s", "rate": "50/s"},
    )
    assert segments["start_ns"].tolist() == [0, 10 * SECOND_NS, 30 * SECOND_NS]


@given(points=st.lists(st.tuples(st.integers(1, 100), st.integers(0, 500), st.floats(0, 1)), min_size=1, max_size=6))
@settings(max_examples=40)
def test_segments_follow_the_profile(points: list[tuple[int, int, float]]) -> None:
    """Each point: seconds to the next one, the rate, and the share of those seconds that the ramp takes."""
    profile, ends_s, at_s = [], [], 0
    for number, (gap_s, rate, share) in enumerate(points):
        ramp_s = int(share * gap_s) if number else 0
        profile.append({"at": f"{at_s}s", "rate": f"{rate}/s", "ramp": f"{ramp_s}s"})
        ends_s.append((at_s + ramp_s, at_s + gap_s))
        at_s += gap_s
    segments = segments_of(*profile)
    assert segments["start_ns"][0] == 0
    assert (np.diff(segments["start_ns"]) > 0).all()
    total, at_s, before = 0.0, 0, 0
    for (_, rate, _), (ramp_end_s, end_s) in zip(points, ends_s, strict=True):
        total += (before + rate) / 2 * (ramp_end_s - at_s)
        assert requests_by(segments, ramp_end_s * SECOND_NS) == pytest.approx(total, rel=1e-9, abs=1e-6)
        total += rate * (end_s - ramp_end_s)
        assert requests_by(segments, end_s * SECOND_NS) == pytest.approx(total, rel=1e-9, abs=1e-6)
        at_s, before = end_s, rate


WORKS = [
    ({"distribution": "constant", "mean": "20ms"}, distributions.CONSTANT),
    ({"distribution": "exponential", "mean": "20ms"}, distributions.EXPONENTIAL),
    ({"distribution": "lognormal", "mean": "20ms", "cv": 1.5}, distributions.LOGNORMAL),
    ({"distribution": "gamma", "mean": "20ms", "cv": 0.5}, distributions.GAMMA),
    ({"distribution": "gamma", "mean": "20ms", "cv": 2}, distributions.GAMMA),
    ({"distribution": "pareto", "mean": "20ms", "shape": 4}, distributions.PARETO),
    ({"distribution": "uniform", "low": "10ms", "high": "30ms"}, distributions.UNIFORM),
    ({"distribution": "empirical", "values": ["10ms", "15ms", "35ms"]}, distributions.EMPIRICAL),
]
# Coefficients of variation: written, or of the distribution (Pareto: 1 / sqrt(shape (shape - 2))).
CV = [0, 1, 1.5, 0.5, 2, 1 / 8**0.5, 1 / 12**0.5, np.std([10, 15, 35]) / 20]


@pytest.mark.parametrize(("work", "kind", "cv"), [(*work, cv) for work, cv in zip(WORKS, CV, strict=True)])
def test_work_has_the_mean_and_the_spread_that_is_written(work: dict[str, Any], kind: int, cv: float) -> None:
    """Sample mean of n = 4000 within 5 standard errors (a false alarm in 2 million); cv within 15 %; keys are fixed."""
    plan = lower(scenario_of(**{"services.store.work": work}), 1)
    row = plan.instances[3]
    assert row["work"] == kind
    table = plan.work_table
    first, count = int(row["table_first"]), int(row["table_count"])
    drawn = [
        distributions.sample_work(
            kind, float(row["work_a"]), float(row["work_b"]), table, first, count, plan.key, request, 0, 16
        )
        for request in range(4000)
    ]
    mean = float(np.mean(drawn))
    assert row["work_mean_ns"] == 20 * MS
    assert abs(mean - 20 * MS) <= 5 * cv * 20 * MS / 4000**0.5
    assert np.std(drawn) / mean == pytest.approx(cv, rel=0.15)


def test_instances_with_the_same_measured_work_share_it() -> None:
    front = {"distribution": "empirical", "values": ["1ms", "2ms"]}
    store = {"distribution": "empirical", "values": ["3ms"]}
    changes = {"services.front.work": front, "services.front.overrides": {}, "services.store.work": store}
    plan = lower(scenario_of(**changes), 1)
    assert plan.work_table.tolist() == [MS, 2 * MS, 3 * MS]
    assert plan.instances["table_first"].tolist() == [0, 0, 0, 2, 2, 2]
    assert plan.instances["table_count"].tolist() == [2, 2, 2, 1, 1, 1]


FAULTS = [
    ({"pause": {"service": "front"}}, True),
    ({"cpu_stress": {"service": "front", "load": "1%"}}, True),
    ({"crash": {"service": "front"}}, False),
]


@pytest.mark.parametrize(("fault", "shared"), FAULTS)
def test_the_cpu_is_shared_where_something_may_slow_it(fault: dict[str, Any], shared: bool) -> None:
    assert lower(scenario_of(), 1).shared_cpu  # 2.5 cores for 8 slots
    enough = {"services.front.cores": 8, "services.front.overrides": {}}
    assert not lower(scenario_of(**enough), 1).shared_cpu
    assert lower(scenario_of(**enough, faults=[{"at": "5min", **fault}]), 1).shared_cpu is shared


def test_a_large_fleet_is_lowered_in_one_go() -> None:
    """100 000 instances: no row is made twice."""
    plan = lower(scenario_of(**{"services.store.instances_per_zone": 33_000}), 1)
    assert len(plan.instances) == len(plan.instance_names) == 99_003
    assert plan.instance_names[-1] == "store-c-33000"
    assert plan.instances["zone"][-1] == 2


def test_a_plan_without_special_features_is_not_rich() -> None:
    plan = lower(scenario_of(), 1)
    assert not plan.rich
    assert plan.traits["contention"].tolist() == [0] * 6
    assert plan.traits["newest_beyond"].tolist() == [INFINITE] * 6
    assert plan.populations["priority"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("path", "value", "field", "expected"),
    [
        ("services.front.overload", {"contention": 0.1, "coherency": 0.02}, "contention", [0.1, 0.1, 0.1, 0, 0, 0]),
        ("services.front.overload", {"contention": 0, "coherency": 0.02}, "coherency", [0.02] * 3 + [0] * 3),
        (
            "services.front.overrides.c.discipline",
            {"kind": "adaptive-lifo", "beyond": 7, "target": "9ms"},
            "newest_beyond",
            [INFINITE, INFINITE, 7, INFINITE, INFINITE, INFINITE],
        ),
        (
            "services.front.discipline",
            {"kind": "codel", "target": "9ms", "interval": "1s"},
            "codel_target_ns",
            [9 * MS] * 3 + [5 * MS] * 3,
        ),
        ("services.store.discipline", "codel", "codel_interval_ns", [100 * MS] * 6),
        ("services.store.limit", {"kind": "fixed", "max": 9}, "limit_start", [0, 0, 0, 9, 9, 9]),
        ("services.store.limit", {"kind": "aimd"}, "limit_ratio", [0, 0, 0, 0.9, 0.9, 0.9]),
        ("services.store.limit", {"kind": "gradient2", "queue": 7}, "limit_queue", [0, 0, 0, 7, 7, 7]),
        ("services.store.limit", {"kind": "vegas"}, "limit_most", [0, 0, 0, 1000, 1000, 1000]),
        ("services.store.boot", "30s", "boot_ns", [0, 0, 0, *[30_000 * MS] * 3]),
        ("services.store.warmup", {"for": "60s", "slowdown": 3}, "warm_ns", [0, 0, 0, *[60_000 * MS] * 3]),
        ("services.store.warmup", {"requests": 50, "slowdown": 3}, "warm_requests", [0, 0, 0, 50, 50, 50]),
        ("services.store.warmup", {"requests": 50, "slowdown": 3}, "warm_slowdown", [1, 1, 1, 3, 3, 3]),
        ("services.store.rate_limit", {"rate": "300/s"}, "token_interval", [0, 0, 0, *[3413333334] * 3]),
    ],
)
def test_what_few_instances_have_makes_a_plan_rich(path: str, value: Any, field: str, expected: list[float]) -> None:
    plan = lower(scenario_of(**{path: value}), 1)
    assert plan.rich
    assert plan.traits[field].tolist() == expected


def test_priorities_make_a_plan_rich() -> None:
    plan = lower(scenario_of(**{"traffic.spiders.priority": 2}), 1)
    assert plan.rich
    assert plan.populations["priority"].tolist() == [0, 2]


def test_users_and_traces_are_lowered_without_a_rate() -> None:
    scenario = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "shop",
            "duration": "10s",
            "zones": ["a", "b"],
            "traffic": {
                "clerks": {"to": "web", "users": {"count": 7, "think": "8s", "distribution": "constant"}},
                "partners": {"to": "web", "rate": {"trace": "requests.csv"}},
                "robots": {"to": "web", "rate": {"times": ["1s", "3s"]}},
                "shoppers": {"to": "web", "rate": "10/s"},
            },
            "services": {"web": {"work": {"distribution": "constant", "mean": "20ms"}}},
        },
        folder=Path(__file__).parents[1] / "data",
    )
    plan = lower(scenario, 1)
    assert plan.rich
    assert plan.populations["users"].tolist() == [7, 0, 0, 0]
    assert plan.populations["think_ns"].tolist() == [8_000_000_000, 0, 0, 0]
    assert plan.populations["think"][0] == users.CONSTANT
    assert plan.populations["recorded_first"].tolist() == [0, 0, 4, 6]
    assert plan.populations["recorded_count"].tolist() == [0, 4, 2, 0]
    assert plan.recorded["t_ns"].tolist() == [500_000_000, 750_000_000, 750_000_000, *(k * 10**9 for k in (2, 1, 3))]
    assert plan.recorded["mix"].tolist() == [-1] * 6
    assert [plan.segments[row["segments_first"]]["rate"] > 0 for row in plan.populations] == [False, False, False, True]
    assert scenario.traffic["clerks"].profile[0].rate == pytest.approx(7 / 8)
    assert scenario.traffic["partners"].profile[0].rate == pytest.approx(4 / 2)
    assert not lower(scenario.with_({"traffic.clerks.users": "none", "traffic.clerks.rate": "1/s"}), 1).rich


def test_a_plain_balancer_needs_no_proxies() -> None:
    plan = lower(scenario_of(), 1)
    assert not plan.rich
    assert plan.balancing["proxied"].tolist() == [0, 0]
    assert plan.balancing["proxies_count"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "key",
    [
        {"algorithm": "weighted-random"},
        {"algorithm": "peak-ewma"},
        {"locality": {"kind": "zone-aware"}},
        {"slow_start": {"window": "30s"}},
        {"outliers": {"kind": "max-fails"}},
        {"queue": {"per_target": 4}},
        {"placement": "caller"},
    ],
)
def test_what_counts_targets_needs_proxies(key: dict[str, Any]) -> None:
    ((name, value),) = key.items()
    plan = lower(scenario_of(**{f"services.front.balancer.{name}": value}), 1)
    assert plan.rich
    assert plan.balancing["proxied"].tolist() == [1, 0]


def test_callers_that_are_proxies_are_numbered_hop_by_hop() -> None:
    plan = lower(scenario_of(**{"services.store.balancer": {"placement": "caller"}}), 1)
    # shoppers ask front; spiders (1 client process) ask store; front's 3 instances call it twice
    assert plan.hop_proxies.tolist() == [-1, 0, 1, 4]
    assert plan.balancing["proxies_count"].tolist() == [0, 7]


def test_balancing_in_nanoseconds_shares_and_bits() -> None:
    plan = lower(
        scenario_of(
            **{
                "services.front.balancer.outliers": {
                    "kind": "consecutive",
                    "errors": 7,
                    "on": ["timeout"],
                    "base": "20s",
                    "max_share": "50%",
                    "uneject_on_check": False,
                },
                "services.front.balancer.queue": {"per_target": 4, "places": 9, "timeout": "500ms"},
                "services.front.balancer.slow_start": {"window": "40s", "aggression": 2},
                "services.front.balancer.locality": {"kind": "prefer", "spill_below": "70%"},
                "services.front.weight": 10,
                "services.front.overrides.c.weight": 30,
            }
        ),
        1,
    )
    row = {name: plan.balancing[name][0].item() for name in plan.balancing.dtype.names or ()}
    expected = {
        "outliers": outliers.CONSECUTIVE,
        "outlier_errors": 7,
        "outlier_on": 1 << Outcome.TIMEOUT,
        "outlier_base_ns": 20 * SECOND_NS,
        "outlier_window_ns": 10 * SECOND_NS,
        "outlier_longest_ns": 300 * SECOND_NS,
        "outlier_share": 0.5,
        "outlier_uneject_on_check": 0,
        "per_target": 4,
        "wait_places": 9,
        "wait_ns": 500 * MS,
        "slow_start_ns": 40 * SECOND_NS,
        "slow_start_aggression": 2.0,
        "slow_start_least": 0.1,
        "locality": locality.PREFER,
        "spill_below": 0.7,
    }
    assert {name: row[name] for name in expected} == expected
    assert plan.weights.tolist() == [10, 10, 30, 100, 100, 100]
