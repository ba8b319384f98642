"""What vendors document, typed in from their documents, against the presets that say the same.

AWS SDKs: botocore 1.43.11 and 1.44.5 `retries/`, and the announcement of the defaults of 2026-11-10. Envoy:
router_filter.rst, route_components.proto. gRPC: proposal A6. Finagle: RetryBudget.scala, Retries.scala. Linkerd:
retries reference, profile_translator.go. Resilience4j, Polly v8, Hystrix: their configuration classes. Netflix:
concurrency-limits.
"""

from __future__ import annotations

from typing import Any

import pytest

from azsim.base.units import SECOND_NS
from azsim.scenario.arithmetic import arithmetic
from azsim.scenario.breaker import CountWindow, TimeWindow
from azsim.scenario.overload import AimdLimit, Gradient2Limit, VegasLimit
from azsim.scenario.retry import Backoff, ClientThrottling, Grpc, Ratio, Retry, TokenBucket
from tests.small import scenario

MS = SECOND_NS // 1000
ANY = ("timeout", "error", "refused", "reset", "overload", "no-target")


def retry(preset: str) -> Retry:
    found = scenario(**{"traffic.shoppers.retry": {"preset": preset}}).traffic["shoppers"].retry
    assert found is not None
    return found


def told(block: Any, *keys: str) -> tuple[Any, ...]:
    return tuple(getattr(block, key) for key in keys)


@pytest.mark.parametrize(
    ("preset", "attempts", "base_ms", "factor", "cap_s", "jitter"),
    [
        ("aws-sdk-legacy", 5, 1000, 2, 3600, "full"),
        ("aws-sdk-standard-2023", 3, 1000, 2, 20, "full"),
        ("aws-sdk-adaptive", 3, 1000, 2, 20, "full"),
        ("aws-sdk-standard-2026", 3, 50, 2, 20, "full"),
        ("envoy", 2, 25, 2, 0.25, "full"),
        ("grpc", 4, 100, 2, 1, "proportional"),
        ("resilience4j", 3, 500, 1, 3600, "none"),
        ("polly", 4, 2000, 1, 3600, "none"),
    ],
)
def test_attempts_and_waits(preset: str, attempts: int, base_ms: int, factor: float, cap_s: float, jitter: str) -> None:
    found = retry(preset)
    assert found.attempts == attempts
    assert isinstance(found.backoff, Backoff)
    wanted = (base_ms * MS, factor, cap_s * SECOND_NS, jitter)
    assert told(found.backoff, "base", "factor", "cap", "jitter") == wanted


@pytest.mark.parametrize("preset", ["finagle", "linkerd", "linkerd-service-profile", "google-sre"])
def test_some_do_not_wait(preset: str) -> None:
    assert retry(preset).backoff is None


def test_linkerd_retries_once_by_annotation() -> None:
    assert retry("linkerd").attempts == 2


@pytest.mark.parametrize(
    ("preset", "capacity", "cost", "timeout_cost"),
    [
        ("aws-sdk-standard-2023", 500, 5, 10),
        ("aws-sdk-adaptive", 500, 5, 10),
        ("aws-sdk-standard-2026", 500, 14, 14),
    ],
)
def test_the_quota_of_the_aws_sdks(preset: str, capacity: int, cost: int, timeout_cost: int) -> None:
    budget = retry(preset).budget
    assert isinstance(budget, TokenBucket)
    assert told(budget, "capacity", "cost", "timeout_cost") == (capacity, cost, timeout_cost)
    # A success that never was retried gives back 1, one after a retry what that retry took.
    assert told(budget, "deposit", "deposit_after_retry", "deposit_on") == (1, "cost", "success")


@pytest.mark.parametrize(
    ("preset", "after_errors", "after_timeouts"),
    [("aws-sdk-standard-2023", 100, 50), ("aws-sdk-standard-2026", 35, 35)],
)
def test_what_a_full_quota_buys(preset: str, after_errors: int, after_timeouts: int) -> None:
    asked = scenario(**{"traffic.shoppers.retry": {"preset": preset}, "traffic.shoppers.clients": 1})
    (hop,) = arithmetic(asked).hops
    assert (hop.burst, hop.burst_timeouts) == (after_errors, after_timeouts)


@pytest.mark.parametrize("preset", ["finagle", "linkerd-service-profile"])
def test_budgets_by_ratio(preset: str) -> None:
    budget = retry(preset).budget
    assert isinstance(budget, Ratio)
    assert told(budget, "ratio", "floor", "window") == (0.2, 10, 10 * SECOND_NS)


@pytest.mark.parametrize("preset", ["aws-sdk-legacy", "envoy", "linkerd", "polly", "resilience4j"])
def test_some_have_no_budget(preset: str) -> None:
    assert retry(preset).budget is None


def test_grpc_throttling_and_jitter() -> None:
    found = retry("grpc")
    assert isinstance(found.budget, Grpc)
    assert told(found.budget, "max_tokens", "ratio") == (10, 0.1)
    assert found.backoff is not None
    assert found.backoff.spread == 0.2


def test_google_throttling() -> None:
    found = retry("google-sre")
    assert found.attempts == 3
    assert isinstance(found.budget, ClientThrottling)
    assert told(found.budget, "k", "window") == (2, 120 * SECOND_NS)


@pytest.mark.parametrize(
    ("preset", "on"),
    [
        *((name, ANY) for name in ("aws-sdk-legacy", "aws-sdk-standard-2023", "aws-sdk-standard-2026", "envoy")),
        ("finagle", ("refused", "overload")),
        ("grpc", ("refused", "reset", "overload", "no-target")),
    ],
)
def test_what_is_retried(preset: str, on: tuple[str, ...]) -> None:
    assert retry(preset).on == on


@pytest.mark.parametrize(
    ("preset", "kind", "window", "rate", "volume", "open_s", "probes"),
    [
        ("resilience4j", CountWindow, 100, 0.5, 100, 60, 10),
        ("polly", TimeWindow, 30 * SECOND_NS, 0.1, 100, 5, 1),
        ("hystrix", TimeWindow, 10 * SECOND_NS, 0.5, 20, 5, 1),
    ],
)
def test_breakers(preset: str, kind: type, window: int, rate: float, volume: int, open_s: int, probes: int) -> None:
    breaker = scenario(**{"traffic.shoppers.breaker": {"preset": preset}}).traffic["shoppers"].breaker
    assert isinstance(breaker, kind)
    wanted = (window, rate, volume, open_s * SECOND_NS, probes)
    assert told(breaker, "window", "rate", "volume", "open", "probes") == wanted


def test_concurrency_limits() -> None:
    def limit(preset: str) -> Any:
        return scenario(**{"services.web.limit": {"preset": preset}}).services["web"].limit

    gradient2, vegas, aimd = (limit(f"netflix-{name}") for name in ("gradient2", "vegas", "aimd"))
    assert isinstance(gradient2, Gradient2Limit)
    assert told(gradient2, "start", "min", "max", "smoothing") == (20, 20, 200, 0.2)
    assert told(gradient2, "queue", "tolerance", "window") == (4, 1.5, 600)
    assert isinstance(vegas, VegasLimit)
    assert told(vegas, "start", "max") == (20, 1000)
    assert isinstance(aimd, AimdLimit)
    assert told(aimd, "start", "min", "max", "backoff", "timeout") == (20, 20, 200, 0.9, 5 * SECOND_NS)


@pytest.mark.parametrize(
    ("preset", "interval_s", "timeout_s", "unhealthy_after", "healthy_after", "schedule", "fail_open"),
    [
        ("aws-alb", 30, 5, 2, 5, "fixed", "all-unhealthy"),
        ("aws-nlb", 30, 10, 2, 5, "fixed", "all-unhealthy"),
        ("aws-clb", 30, 5, 2, 10, "fixed", "all-unhealthy"),
        ("haproxy", 2, 2, 3, 2, "after-answer", "never"),
        ("kubernetes-service", 10, 1, 3, 1, "fixed", "never"),
    ],
)
def test_health_checks(
    preset: str,
    interval_s: int,
    timeout_s: int,
    unhealthy_after: int,
    healthy_after: int,
    schedule: str,
    fail_open: str,
) -> None:
    for key in ("balancer", "balancer.health"):  # a balancer comes with its checks
        health = scenario(**{f"services.web.{key}": {"preset": preset}}).services["web"].balancer.health
        assert health is not None
        assert told(health, "interval", "timeout") == (interval_s * SECOND_NS, timeout_s * SECOND_NS)
        assert told(health, "unhealthy_after", "healthy_after") == (unhealthy_after, healthy_after)
        assert told(health, "schedule", "fail_open") == (schedule, fail_open)


def test_envoy_panics_below_half() -> None:
    health = scenario(**{"services.web.balancer.health": {"preset": "envoy"}}).services["web"].balancer.health
    assert health is not None
    assert told(health.fail_open, "below", "fewer_than") == (0.5, None)


@pytest.mark.parametrize(("preset", "silent_s"), [("aws-alb", (35, 65)), ("kubernetes-service", (21, 31))])
def test_how_long_a_silent_target_stays(preset: str, silent_s: tuple[int, int]) -> None:
    """Between (n - 1) I + T and n I + T."""
    asked = scenario(**{"services.web.balancer": {"preset": preset}, "services.web.balancer.health.propagation": "0s"})
    found = arithmetic(asked).services["web"].detection
    assert found is not None
    assert told(found, "silent_s_min", "silent_s_max") == silent_s


@pytest.mark.parametrize(
    ("preset", "placement", "algorithm", "cross_zone", "timeout_s", "checked", "ejects"),
    [
        ("aws-alb", "regional", "round-robin", True, 60, True, False),
        ("aws-nlb", "regional", "random", False, None, True, False),
        ("aws-clb", "regional", "least-outstanding", False, 60, True, False),
        ("envoy", "caller", "round-robin", True, None, False, False),
        ("haproxy", "regional", "round-robin", True, None, True, False),
        ("nginx", "regional", "round-robin", True, 60, False, True),
        ("kubernetes-service", "regional", "random", True, None, True, False),
        ("linkerd", "caller", "peak-ewma", True, None, True, False),
    ],
)
def test_balancers(
    preset: str,
    placement: str,
    algorithm: str,
    cross_zone: bool,
    timeout_s: int | None,
    checked: bool,
    ejects: bool,
) -> None:
    balancer = scenario(**{"services.web.balancer": {"preset": preset}}).services["web"].balancer
    assert told(balancer, "placement", "algorithm", "cross_zone") == (placement, algorithm, cross_zone)
    assert balancer.timeout == (None if timeout_s is None else timeout_s * SECOND_NS)
    assert (balancer.health is not None, balancer.outliers is not None) == (checked, ejects)
    assert balancer.slow_start is None
    assert balancer.queue is None
    assert balancer.locality is None


def test_linkerd_weighs_latencies() -> None:
    ewma = scenario(**{"services.web.balancer": {"preset": "linkerd"}}).services["web"].balancer.ewma
    assert told(ewma, "decay", "default_latency") == (10 * SECOND_NS, 30 * MS)


def test_nginx_tries_other_targets() -> None:
    retry_ = scenario(**{"services.web.balancer": {"preset": "nginx"}}).services["web"].balancer.retry
    assert retry_ is not None
    assert retry_.on == ("refused", "reset", "timeout")


@pytest.mark.parametrize(
    ("preset", "errors", "base_s", "longest_s", "max_share"),
    [("envoy", 5, 30, 300, 0.1), ("linkerd", 7, 1, 60, 1.0), ("finagle", 5, 5, 300, 1.0)],
)
def test_ejection(preset: str, errors: int, base_s: int, longest_s: int, max_share: float) -> None:
    found: Any = scenario(**{"services.web.balancer.outliers": {"preset": preset}}).services["web"].balancer.outliers
    assert told(found, "kind", "errors", "max_share") == ("consecutive", errors, max_share)
    assert told(found, "base", "longest") == (base_s * SECOND_NS, longest_s * SECOND_NS)


def test_envoy_compares_success_rates_and_forgives_on_a_check() -> None:
    found: Any = scenario(**{"services.web.balancer.outliers": {"preset": "envoy"}}).services["web"].balancer.outliers
    assert told(found.success_rate, "factor", "min_targets", "volume") == (1.9, 5, 100)
    assert told(found, "failure_share", "at_least_one", "uneject_on_check") == (None, False, True)
    assert found.interval == 10 * SECOND_NS


def test_nginx_benches_after_one_failure() -> None:
    found: Any = scenario(**{"services.web.balancer.outliers": {"preset": "nginx"}}).services["web"].balancer.outliers
    assert told(found, "kind", "fails", "window") == ("max-fails", 1, 10 * SECOND_NS)
