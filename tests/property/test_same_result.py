"""What may not change a result: the order in which a file lists things, how it spells quantities, what stands by."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import azsim
from azsim.scenario import Scenario

# Two populations, two tiers, every kind of chance: arrivals, places, clients, work, balancing, jitter, errors, probes.
SHOP: dict[str, Any] = {
    "azsim": 1,
    "name": "shop",
    "duration": "24s",
    "warmup": "2s",
    "zones": ["a", "b", "c"],
    "network": {"same_zone": "0.25ms", "cross_zone": "1ms", "pairs": {"a-b": "0.6ms", "b-c": "0.8ms"}},
    "traffic": {
        "shoppers": {
            "to": "web",
            "rate": "40/s",
            "from": {"a": "50%", "b": "20%", "c": "30%"},
            "clients": 3,
            "timeout": "400ms",
            "deadline": "2s",
            "retry": {
                "attempts": 3,
                "backoff": {"base": "50ms", "factor": 2, "cap": "1s", "jitter": "full"},
                "budget": {"capacity": 20, "cost": 5, "timeout_cost": 10, "deposit": 1},
            },
        },
        "robots": {"to": "stock", "rate": [{"at": "0s", "rate": "10/s"}, {"at": "8s", "rate": "30/s", "ramp": "4s"}]},
    },
    "services": {
        "web": {
            "instances_per_zone": {"a": 2, "b": 1, "c": 1},
            "slots": 4,
            "cores": 2,
            "queue": 30,
            "work": {"distribution": "gamma", "mean": "30ms", "cv": 0.7},
            "overrides": {"b": {"slots": 6}, "c": {"work": {"mean": "40ms"}}},
            "balancer": {
                "algorithm": "two-choices",
                "health": {"interval": "2s", "timeout": "500ms", "propagation": "250ms"},
            },
            "calls": [{"to": "stock", "timeout": "300ms", "retry": {"attempts": 2}}],
        },
        "stock": {"slots": 3, "work": {"distribution": "lognormal", "mean": "20ms", "cv": 1.5}},
    },
    "faults": [
        {"id": "loss", "at": "8s", "for": "6s", "zone_loss": {"zone": "c", "mode": "power"}},
        {"at": "9s", "for": "4s", "error_rate": {"service": "stock", "share": "20%"}},
        {"at": "10s", "for": "3s", "cpu_stress": {"service": "web", "load": "80%", "hosts": 2}},
    ],
    "hypothesis": {"success": ">= 99%", "latency_p99": "<= 900ms", "window": "4s", "recover_within": "6s"},
}


def story(scenario: Scenario) -> dict[str, Any]:
    """The result, without what tells how fast the machine was."""
    result = azsim.run(scenario, replays=False).to_dict()
    for name in ("wall_s", "requests_per_wall_s"):
        del result[name]
    return result


AS_WRITTEN = story(Scenario.from_dict(SHOP))


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same value with the keys of every mapping in another order; lists keep theirs, which means something."""
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: shuffled(value[key], chance) for key in keys}
    return [shuffled(entry, chance) for entry in value] if isinstance(value, list) else value


def test_the_shop_shows_something() -> None:
    """What is compared below would hold of an empty result, too."""
    totals = AS_WRITTEN["totals"]
    assert totals["succeeded"] > 500
    assert len(totals["failed"]) >= 2
    assert totals["attempts"] > totals["offered"]
    assert len(AS_WRITTEN["events"]) > 8


@settings(max_examples=12)
@given(st.integers(0, 10**9))
def test_the_order_of_keys_does_not_matter(seed: int) -> None:
    """One digest, one run: requests, work and probes are keyed by numbers that follow names, not lines."""
    scenario = Scenario.from_dict(shuffled(SHOP, random.Random(seed)))
    assert story(scenario) == AS_WRITTEN
