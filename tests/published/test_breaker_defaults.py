"""The thresholds of circuit breakers that products ship with, met and missed by one request.

Resilience4j: half of the last 100 calls, from 100 on; open for 60 s, then 10 calls decide. Polly v8: a tenth of 100 or
more calls in 30 s; open for 5 s, then 1. Hystrix: half of 20 or more calls in 10 s; open for 5 s, then 1.
"""

from __future__ import annotations

from typing import Any

import pytest

from azsim.dataplane.codes import InstanceState, Outcome
from azsim.policy import breakers
from tests.plans import S, make_plan, population, service
from tests.story import ONE, play, state

REFUSED, OPEN = Outcome.REFUSED, Outcome.BREAKER_OPEN
RESILIENCE4J: dict[str, Any] = {
    "breaker": breakers.COUNT_WINDOW,
    "breaker_window": 100,
    "breaker_volume": 100,
    "breaker_rate": 500_000,
    "breaker_open_ns": 60 * S,
    "breaker_probes": 10,
}
POLLY: dict[str, Any] = {
    "breaker": breakers.TIME_WINDOW,
    "breaker_part_ns": 3 * S,
    "breaker_volume": 100,
    "breaker_rate": 100_000,
    "breaker_open_ns": 5 * S,
}
HYSTRIX: dict[str, Any] = {
    "breaker": breakers.TIME_WINDOW,
    "breaker_part_ns": S,
    "breaker_volume": 20,
    "breaker_rate": 500_000,
    "breaker_open_ns": 5 * S,
}


def outcomes(product: dict[str, Any], times_ns: list[int], failing: set[int]) -> list[Outcome]:
    """What becomes of requests of one process at these instants, of which those numbered in `failing` are refused."""
    plan = make_plan(
        populations=[population(arrivals_ns=times_ns, breaker_on=[REFUSED], **product)],
        services=[service(per_zone=ONE, slots=9)],
    )
    control = {
        t_ns - S // 100: state(InstanceState.CRASHED if number in failing else InstanceState.UP)
        for number, t_ns in enumerate(times_ns)
    }
    story = play(plan, times_ns[-1] + S, control, tick_ns=S // 20)
    return [outcome for _, outcome in story.ends()]


@pytest.mark.parametrize(
    ("product", "before", "failures"),
    [(RESILIENCE4J, 100, 50), (POLLY, 100, 10), (HYSTRIX, 20, 10)],
    ids=["resilience4j", "polly", "hystrix"],
)
def test_it_trips_at_the_threshold_and_not_below(product: dict[str, Any], before: int, failures: int) -> None:
    times_ns = [S + S // 20 * k for k in range(before + 1)]
    met = outcomes(product, times_ns, set(range(failures)))
    assert met[:before] == [REFUSED] * failures + [Outcome.OK] * (before - failures)
    assert met[before] is OPEN
    missed = outcomes(product, times_ns, set(range(failures - 1)))
    assert missed[before] is Outcome.OK


@pytest.mark.parametrize(
    ("product", "before"), [(RESILIENCE4J, 100), (POLLY, 100), (HYSTRIX, 20)], ids=["resilience4j", "polly", "hystrix"]
)
def test_it_takes_the_minimum_volume(product: dict[str, Any], before: int) -> None:
    """All fail: the first `before` are let through, and not one more."""
    times_ns = [S + S // 20 * k for k in range(before + 3)]
    assert outcomes(product, times_ns, set(range(before + 3))) == [REFUSED] * before + [OPEN] * 3


@pytest.mark.parametrize(
    ("product", "before", "open_s", "probes"),
    [(RESILIENCE4J, 100, 60, 10), (POLLY, 100, 5, 1), (HYSTRIX, 20, 5, 1)],
    ids=["resilience4j", "polly", "hystrix"],
)
def test_its_open_time_and_probes(product: dict[str, Any], before: int, open_s: int, probes: int) -> None:
    """It trips at the last of `before`, is open to the nanosecond before `open_s` later, and closes by its probes."""
    times_ns = [S + S // 20 * k for k in range(before)]
    trip_ns = times_ns[-1]
    later_ns = [trip_ns + open_s * S - S // 20] + [trip_ns + open_s * S + S // 20 * k for k in range(probes + 1)]
    healed = outcomes(product, times_ns + later_ns, set(range(before)))
    assert healed[before:] == [OPEN] + [Outcome.OK] * (probes + 1)
    # Still failing: the probes are let through, and then it is open again.
    failing = outcomes(product, times_ns + later_ns, set(range(before + probes + 2)))
    assert failing[before:] == [OPEN] + [REFUSED] * probes + [OPEN]


def test_hystrix_forgets_what_is_older_than_its_window() -> None:
    """Ten failures, and 10 s later ten more requests that succeed: they are ten, not twenty."""
    early = [S + S // 20 * k for k in range(10)]
    late = [12 * S + S // 20 * k for k in range(11)]
    assert outcomes(HYSTRIX, early + late, set(range(10))) == [REFUSED] * 10 + [Outcome.OK] * 11
    together = [S + S // 20 * k for k in range(21)]
    assert outcomes(HYSTRIX, together, set(range(10)))[20] is OPEN
