"""The retry storm in small: an instance in each zone, two minutes. A lost zone is survived; a spike then ends it."""

from __future__ import annotations

from typing import Any

from azsim.scenario import Scenario


def storm(**changes: Any) -> Scenario:
    base = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "small-storm",
            "duration": "120s",
            "warmup": "5s",
            "zones": ["a", "b", "c"],
            "traffic": {
                "shoppers": {
                    "to": "web",
                    "rate": "288/s",
                    "clients": 30,
                    "timeout": "1s",
                    "deadline": "5s",
                    "retry": {"attempts": 3, "backoff": {"base": "50ms", "factor": 2, "cap": "20s", "jitter": "full"}},
                }
            },
            "services": {
                "web": {
                    "instances_per_zone": 1,
                    "slots": 8,
                    "queue": 400,
                    "work": {"distribution": "lognormal", "mean": "50ms", "cv": 0.7},
                    "balancer": {
                        "health": {
                            "interval": "2s",
                            "timeout": "1s",
                            "unhealthy_after": 2,
                            "healthy_after": 3,
                            "probe": "bypass",
                            "propagation": "1s",
                        }
                    },
                }
            },
            "faults": [
                {"id": "loss", "at": "15s", "for": "75s", "zone_loss": {"zone": "c", "mode": "power"}},
                {"id": "spike", "at": "50s", "for": "10s", "traffic_spike": {"population": "shoppers", "factor": 1.5}},
            ],
            "hypothesis": {"success": ">= 99%", "window": "5s", "recover_within": "25s"},
        }
    )
    return base.with_(changes) if changes else base
