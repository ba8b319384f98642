"""Brooker, "Fixing retries with token buckets and circuit breakers" (2022), and its program retry_sim.

100 clients send 10 requests a second each for 20 s; every attempt fails with probability f, whatever else happens. The
network takes Exp(10 ms), here the work of a server with more slots than it ever needs. The published figures are the
author's program's, one run each with one seed: success and attempts a request.

His token bucket holds 5, gains 0.1 on every request (not on retries) and lets a retry pass if it holds MORE than 1,
which the retry then takes; the number of attempts has no bound. Tokens there are multiples of 0.1, so "more than 1" is
"at least 1.1": a bucket of 4.9 from which a retry takes 1 if it holds at least 1 is the same, shifted by 0.1.

His circuit breaker is one of retries: three of them, unless the client's failed attempts so far, this one included, are
more than 10% of its calls so far (`kind: cumulative`). It has no window, and never stops a first attempt.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from azsim.dataplane.layout import ATTEMPTS, OFFERED, SUCCEEDED
from azsim.scenario import Scenario
from azsim.simulation.run import simulate

SEEDS = 20
STRATEGIES: dict[str, Any] = {
    "none": "none",
    "three retries": {"attempts": 4},
    "token bucket": {
        "attempts": 1000,
        "budget": {"capacity": 4.9, "cost": 1, "deposit": 0.1, "deposit_on": "request"},
    },
    "breaker": {"attempts": 4},
}
# strategy, f, success, attempts a request
PUBLISHED = [
    ("none", 0.10, 0.902, 1.0),
    ("none", 0.20, 0.803, 1.0),
    ("none", 0.50, 0.495, 1.0),
    ("none", 0.75, 0.244, 1.0),
    ("three retries", 0.10, 0.9999, 1.111),
    ("three retries", 0.20, 0.9989, 1.246),
    ("three retries", 0.50, 0.937, 1.879),
    ("three retries", 0.75, 0.680, 2.737),
    ("token bucket", 0.10, 0.988, 1.098),
    ("token bucket", 0.20, 0.892, 1.117),
    ("token bucket", 0.50, 0.557, 1.121),
    ("token bucket", 0.75, 0.281, 1.122),
    ("breaker", 0.10, 0.929, 1.033),
    ("breaker", 0.20, 0.804, 1.001),
    ("breaker", 0.50, 0.493, 1.000),
    ("breaker", 0.75, 0.246, 1.0),
]


def scenario(strategy: str, failing: float) -> Scenario:
    return Scenario.from_dict(
        {
            "azsim": 1,
            "name": "retry-strategies",
            "duration": "30s",
            "zones": ["a", "b"],
            "network": {"same_zone": "0ms", "cross_zone": "0ms"},
            "traffic": {
                "clients": {
                    "to": "server",
                    "rate": [{"at": "0s", "rate": "1000/s"}, {"at": "20s", "rate": "0/s"}],
                    "clients": 100,
                    "retry": STRATEGIES[strategy],
                    "breaker": {"kind": "cumulative", "rate": "10%"} if strategy == "breaker" else "none",
                }
            },
            "services": {"server": {"slots": 500, "queue": 0, "work": {"distribution": "exponential", "mean": "10ms"}}},
            "faults": [{"at": "0s", "for": "1h", "error_rate": {"service": "server", "share": f"{failing * 100:g}%"}}],
        }
    )


@cache
def measured(strategy: str, failing: float) -> np.ndarray[Any, Any]:
    """Success and attempts a request, of each of 20 seeds: (20, 2)."""
    rows = []
    for seed in range(1, SEEDS + 1):
        totals = simulate(scenario(strategy, failing), seed=seed).recording.populations.sum(axis=(0, 1))
        assert 19_000 < totals[OFFERED] < 21_000
        rows.append((totals[SUCCEEDED] / totals[OFFERED], totals[ATTEMPTS] / totals[OFFERED]))
    return np.array(rows)


@pytest.mark.parametrize(("strategy", "failing", "success", "amplification"), PUBLISHED)
def test_the_published_run_could_be_one_of_ours(
    strategy: str, failing: float, success: float, amplification: float
) -> None:
    """The published figure lies within three standard deviations of what 20 seeds give, the error of their mean
    included, and half a unit of its last digit. The deviation is about 0.003 of success, less of attempts.
    """
    ours = measured(strategy, failing)
    for what, figure, runs, digit in (
        ("success", success, ours[:, 0], 5e-4),
        ("attempts", amplification, ours[:, 1], 5e-4),
    ):
        mean, deviation = float(runs.mean()), float(runs.std(ddof=1)) * (1 + 1 / SEEDS) ** 0.5
        print(f"{strategy}, f = {failing}: {what} {figure}, ours {mean:.4f} +- {deviation:.4f}")
        assert abs(figure - mean) <= 3 * deviation + digit
        assert deviation < 0.02


def test_the_bucket_by_hand() -> None:
    """Where everything fails a client gains 0.1 on each of its 200 or so requests but the first, whose bucket is full,
    and had 5: it sends 24.9 retries less what is left, which is 1 at the most.
    """
    runs = [
        simulate(scenario("token bucket", 1.0), seed=seed).recording.populations.sum(axis=(0, 1)) for seed in (1, 2)
    ]
    for totals in runs:
        most = 100 * 4.9 + 0.1 * (totals[OFFERED] - 100)
        assert most - 100 < totals[ATTEMPTS] - totals[OFFERED] <= most + 0.001
