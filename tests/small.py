"""A small scenario for tests that run one from end to end: a blink on either engine."""

from __future__ import annotations

from typing import Any

from azsim.scenario import Scenario


def scenario(**changes: Any) -> Scenario:
    """Three zones at half load; zone c is lost for 12 s and found out after some 4 s."""
    base = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "small",
            "duration": "45s",
            "warmup": "3s",
            "zones": ["a", "b", "c"],
            "traffic": {
                "shoppers": {"to": "web", "rate": "45/s", "timeout": "500ms", "retry": {"attempts": 3}, "clients": 5}
            },
            "services": {
                "web": {
                    "slots": 2,
                    "queue": 60,
                    "work": {"distribution": "exponential", "mean": "60ms"},
                    "balancer": {
                        "health": {
                            "interval": "1s",
                            "timeout": "500ms",
                            "unhealthy_after": 2,
                            "healthy_after": 2,
                            "probe": "bypass",
                        }
                    },
                }
            },
            "faults": [{"id": "loss", "at": "12s", "for": "12s", "zone_loss": {"zone": "c"}}],
            "hypothesis": {"success": ">= 99%", "window": "3s", "recover_within": "8s", "detect_within": "6s"},
        }
    )
    return base.with_(changes) if changes else base
