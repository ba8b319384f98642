"""A scenario with every kind of chance in it, and its result without what tells how fast the machine was."""

from __future__ import annotations

from typing import Any

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


def story(scenario: Scenario, **arguments: Any) -> dict[str, Any]:
    """The result of a run, but for the engine's name and the wall clock."""
    result = azsim.run(scenario, replays=False, **arguments).to_dict()
    for name in ("engine", "wall_s", "requests_per_wall_s"):
        del result[name]
    return result
