"""Retries multiply down the tiers: five tiers of three attempts put 243 times the load on the one at the bottom.

Marc Brooker, "Timeouts, retries, and backoff with jitter" (Amazon Builders' Library): a stack five deep, three attempts
at each layer, and the database at the bottom begins to fail.
"""

from __future__ import annotations

import pytest

from azsim.dataplane.layout import OFFERED, SENT
from azsim.scenario import Scenario
from azsim.scenario.arithmetic import arithmetic
from azsim.simulation.run import simulate

TIERS = 5
RETRY = {"attempts": 3, "backoff": "none"}


def stack(retries: str) -> Scenario:
    """Clients and five services, each of which asks the next; everything at the last one fails."""
    services = {
        f"tier-{k}": {
            "slots": 1000,
            "work": {"distribution": "constant", "mean": "1us"},
            "calls": [{"to": f"tier-{k + 1}", "retry": RETRY}] if k < TIERS else [],
        }
        for k in range(1, TIERS + 1)
    }
    return Scenario.from_dict(
        {
            "azsim": 1,
            "name": "stack",
            "duration": "20s",
            "zones": ["a", "b"],
            "retries": retries,
            "traffic": {
                "clients": {
                    "to": "tier-1",
                    "rate": [{"at": "0s", "rate": "5/s"}, {"at": "10s", "rate": "0/s"}],
                    "retry": RETRY,
                }
            },
            "services": services,
            "faults": [{"at": "0s", "error_rate": {"service": f"tier-{TIERS}", "share": "100%"}}],
        }
    )


@pytest.mark.parametrize("engine", ["kernel", "reference"])
@pytest.mark.parametrize(
    ("retries", "attempts"),
    [("as-given", [3, 9, 27, 81, 243]), ("edges-only", [3, 3, 3, 3, 9])],
)
def test_attempts_multiply_down_the_tiers(engine: str, retries: str, attempts: list[int]) -> None:
    trace = simulate(stack(retries), seed=1, engine=engine)
    offered = int(trace.recording.populations[..., OFFERED].sum())
    assert offered > 20  # Poisson of mean 50
    sent = trace.recording.services[..., SENT].sum(axis=0)
    assert sent.tolist() == [offered * times for times in attempts]


@pytest.mark.parametrize(("retries", "attempts"), [("as-given", 243), ("edges-only", 9)])
def test_validate_says_so_beforehand(retries: str, attempts: int) -> None:
    assert arithmetic(stack(retries)).services[f"tier-{TIERS}"].attempts_product == attempts
