"""Kernel and reference give the same result, byte for byte, on shipped scenarios scaled down to seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from azsim import Result, load, run
from tests.golden.expectations import path_of

Changes = dict[str, Any]

WEB: Changes = {
    "duration": "30s",
    "warmup": "2s",
    "traffic.shoppers.rate": "144/s",
    "traffic.shoppers.clients": 5,
    "services.web.instances_per_zone": 1,
    "services.web.slots": 4,
    "services.web.queue": 200,
    "services.web.balancer.health.interval": "2s",
    "services.web.balancer.health.timeout": "500ms",
    "hypothesis.window": "2s",
    "hypothesis.recover_within": "6s",
}
STORM = WEB | {"faults.loss.at": "5s", "faults.loss.for": "15s", "faults.spike.at": "12s", "faults.spike.for": "5s"}
SHORT: dict[str, Changes] = {
    "zone_loss_retry_storm": STORM,
    "zone_loss_budgeted": STORM | {"traffic.shoppers.retry.budget.capacity": 20},
    "cpu_spike_one_zone": WEB | {"faults.stress.at": "5s", "faults.stress.for": "15s"},
    "health_check_cascade": WEB | {"traffic.shoppers.rate": "200/s", "faults.spike.at": "5s", "faults.spike.for": "6s"},
    "zone_loss_blackhole": {
        "duration": "30s",
        "warmup": "2s",
        "traffic.shoppers.rate": "100/s",
        "services.web.instances_per_zone": 1,
        "services.catalog.instances_per_zone": 1,
        "services.catalog.slots": 4,
        "services.catalog.cores": 3,
        "services.web.balancer.health.interval": "3s",
        "services.web.balancer.health.timeout": "1s",
        "services.catalog.balancer.health.interval": "3s",
        "services.catalog.balancer.health.timeout": "1s",
        "faults.loss.at": "6s",
        "faults.loss.for": "12s",
        "hypothesis.window": "2s",
        "hypothesis.recover_within": "8s",
    },
}


def told(result: Result) -> str:
    """A result as JSON, without what may differ between two runs."""
    return replace(result, engine="", wall_s=0.0, requests_per_wall_s=None).to_json()


@pytest.mark.parametrize("name", SHORT)
def test_both_engines_tell_the_same(name: str) -> None:
    scenario = load(path_of(name)).with_(SHORT[name])
    kernel, reference = (run(scenario, engine=engine, replays=False) for engine in ("kernel", "reference"))
    assert kernel.violations, "the scaled-down run should still break the level, or it compares little"
    assert told(kernel) == told(reference)
    assert (kernel.engine, reference.engine) == ("kernel", "reference")
