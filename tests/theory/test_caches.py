"""How a cold cache warms up, against the occupancy problem: n lookups, each of one of N things, leave so many known.

Kernel; lookups far enough apart that each has been answered before the next. Five standard errors.
"""

from __future__ import annotations

import math

import pytest

from azsim.base.seeds import run_key
from azsim.dataplane import layout
from azsim.dataplane.kernel import Kernel
from tests.plans import US, call, calls_step, make_plan, population, service, work_step

STANDARD_ERRORS = 5
ENTRIES = 400
LOOKUPS = 600


@pytest.mark.parametrize("hit_ratio", [1.0, 0.7])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_misses_while_a_cache_warms_up(hit_ratio: float, seed: int) -> None:
    """E filled = N (1 - (1 - h / N)^n); what is never asked for again misses besides, with probability 1 - h."""
    plan = make_plan(
        populations=[population(recorded_ns=[k * 10 * US for k in range(1, LOOKUPS + 1)])],
        services=[
            service(
                per_zone={"a": 1},
                work_ns=US,
                operations={"get": [work_step(), calls_step(call("db", cached=1))]},
                default="get",
                cache_entries=ENTRIES,
                cache_hit_ratio=hit_ratio,
            ),
            service("db", per_zone={"a": 1}, work_ns=US),
        ],
        key=run_key(seed),
    )
    kernel = Kernel(plan)
    kernel.advance((LOOKUPS + 2) * 10 * US)
    services = kernel.finish().services.sum(axis=0)
    misses = int(services[0, layout.MISSES])
    assert misses + int(services[0, layout.HITS]) == LOOKUPS
    one, two = (1 - hit_ratio / ENTRIES) ** LOOKUPS, (1 - 2 * hit_ratio / ENTRIES) ** LOOKUPS
    filled = ENTRIES * (1 - one)
    variance = ENTRIES * (ENTRIES - 1) * two + ENTRIES * one - (ENTRIES * one) ** 2
    # Filled and passed ones go against each other: the sum varies less than this.
    variance += LOOKUPS * hit_ratio * (1 - hit_ratio)
    expected = filled + LOOKUPS * (1 - hit_ratio)
    assert abs(misses - expected) <= STANDARD_ERRORS * math.sqrt(variance)
