"""What the loss of a zone does to the others: N / (N - 1) of their load."""

from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

import azsim
from azsim.scenario import Scenario
from tests.theory.measure import is_plausible


def scenario(zones: list[str], rate: float, **instance: Any) -> Scenario:
    """One zone of several is lost at 40 s for good; probes see it within three seconds."""
    return Scenario.from_dict(
        {
            "azsim": 1,
            "name": "loss",
            "duration": "100s",
            "zones": zones,
            "traffic": {"shoppers": {"to": "web", "rate": f"{rate:g}/s", "timeout": "1s"}},
            "services": {
                "web": {
                    "slots": 10,
                    "queue": 1000,
                    "work": {"distribution": "constant", "mean": "10ms"},
                    "balancer": {"health": {"interval": "1s", "timeout": "500ms", "unhealthy_after": 2}},
                    **instance,
                }
            },
            "hypothesis": {"recover_within": "30s"},
            "faults": [{"id": "loss", "at": "40s", "for": "1h", "zone_loss": {"zone": zones[-1]}}],
        }
    )


@pytest.mark.parametrize(("zones", "busy"), [(["a", "b", "c"], 0.6), (["a", "b"], 0.4), (["a", "b", "c", "d"], 0.7)])
def test_survivors_run_at_n_over_n_minus_1_of_their_utilisation(zones: list[str], busy: float) -> None:
    """Each survivor's utilisation before and after; that of a time T with k requests of constant work has the relative
    deviation sqrt(1 / k), k Poisson: 28,000 to 140,000 requests, so that 1.5 is told from 1.55.
    """
    n, before_s, after_s = len(zones), (5, 40), (50, 100)
    rate_per_s = busy * 1000 * n
    result = azsim.run(scenario(zones, rate_per_s), seed=5, replays=False).to_dict()
    by_zone = result["timeline"]["services"]["web"]["utilisation"]
    for zone in zones[:-1]:
        for (first, last), formula in ((before_s, busy), (after_s, busy * n / (n - 1))):
            utilisation = sum(by_zone[zone][first:last]) / (last - first)
            deviation = formula / (rate_per_s * (last - first)) ** 0.5
            is_plausible(
                f"zone {zone}: {utilisation:.4f}, formula {formula:.4f}",
                2 * stats.norm.sf(abs(utilisation - formula) / deviation),
            )
            assert 5 * deviation < 0.06 * formula
    assert sum(by_zone[zones[-1]][50:]) == 0
    assert result["verdict"] in ("degraded", "no-impact")


def test_seventy_percent_of_three_zones_is_more_than_two_can_carry() -> None:
    """70% x 3 / 2 = 105%: the survivors are always busy, the surplus is turned away, and the verdict is outage."""
    given = scenario(["a", "b", "c"], 2100.0).with_({"services.web.queue": 20})
    result = azsim.run(given, seed=5).to_dict()
    by_zone = result["timeline"]["services"]["web"]["utilisation"]
    for zone in ("a", "b"):
        assert sum(by_zone[zone][50:]) / 50 == pytest.approx(1.0, abs=0.01)
    failed, offered = sum(result["timeline"]["failed"][50:]), sum(result["timeline"]["offered"][50:])
    surplus = 1 - 2000 / 2100
    # The surplus and the little that a finite queue loses beside it; offered requests are Poisson, 105,000 of them.
    assert surplus - 5 / offered**0.5 < failed / offered < surplus + 0.02
    assert result["verdict"] == "outage"
