"""The retry quota of the AWS SDKs: a token bucket of 500, in which a retry costs 5, after a timeout 10; since 2026, 14.

While nothing succeeds nothing comes back: a full bucket buys 500 / 5 = 100 retries, 50 after timeouts, 35 at 14 each.
The bucket is the client process's own.
"""

from __future__ import annotations

from typing import Any

import pytest

from azsim.dataplane.codes import Outcome
from azsim.dataplane.layout import ATTEMPTS, FAILED, OFFERED
from azsim.scenario import Scenario
from azsim.simulation.run import simulate

ERRORS = {"at": "0s", "for": "1h", "error_rate": {"service": "api", "share": "100%"}}
SILENCE = {"at": "0s", "for": "1h", "pause": {"service": "api"}}


def scenario(fault: dict[str, Any], clients: int, **costs: int) -> Scenario:
    """Some 500 requests a client process to a service that never succeeds."""
    return Scenario.from_dict(
        {
            "azsim": 1,
            "name": "quota",
            "duration": "60s",
            "zones": ["a", "b"],
            "traffic": {
                "sdk": {
                    "to": "api",
                    "rate": f"{10 * clients}/s",
                    "clients": clients,
                    "timeout": "1s",
                    "retry": {
                        "attempts": 3,
                        "backoff": {"base": "100ms", "factor": 2, "cap": "20s", "jitter": "full"},
                        "budget": {"capacity": 500, "deposit": 1, "deposit_after_retry": "cost", **costs},
                    },
                }
            },
            "services": {"api": {"slots": 100, "work": {"distribution": "constant", "mean": "1ms"}}},
            "faults": [fault],
        }
    )


@pytest.mark.parametrize("engine", ["kernel", "reference"])
@pytest.mark.parametrize(
    ("fault", "costs", "retries"),
    [
        (ERRORS, {"cost": 5, "timeout_cost": 10}, 100),
        (SILENCE, {"cost": 5, "timeout_cost": 10}, 50),
        (ERRORS, {"cost": 14}, 35),
        (SILENCE, {"cost": 14}, 35),
    ],
)
def test_what_a_full_bucket_buys(fault: dict[str, Any], costs: dict[str, int], retries: int, engine: str) -> None:
    totals = simulate(scenario(fault, 1, **costs), engine=engine).recording.populations.sum(axis=(0, 1))
    assert totals[OFFERED] > 500
    assert totals[ATTEMPTS] - totals[OFFERED] == retries
    assert totals[FAILED + Outcome.BUDGET_EXHAUSTED] > 300


def test_each_client_process_has_its_own() -> None:
    """Twenty processes send twenty times as many retries: the fleet's burst is 2,000."""
    totals = simulate(scenario(ERRORS, 20, cost=5)).recording.populations.sum(axis=(0, 1))
    assert totals[ATTEMPTS] - totals[OFFERED] == 20 * 100
