"""The examples on the pages about faults, traffic and standbys are scenarios."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from azsim.dataplane.codes import Outcome
from azsim.dataplane.layout import FAILED, HITS, LOST, MISSES, WRITES
from azsim.scenario import Scenario
from azsim.scenario.faults import KINDS
from azsim.simulation.run import simulate

ROOT = Path(__file__).parents[2]
WORK = {"distribution": "constant", "mean": "1ms"}
BASE: dict[str, Any] = {
    "azsim": 1,
    "name": "page",
    "duration": "20min",
    "zones": ["a", "b", "c"],
    "traffic": {"shoppers": {"to": "web", "rate": "1/s", "timeout": "1s", "retry": {"attempts": 3}}},
    "services": {"web": {"instances_per_zone": 3, "work": WORK}},
}


def examples(page: str) -> list[dict[str, Any]]:
    text = (ROOT / "docs" / "features" / page).read_text(encoding="utf-8")
    return [_with_on(yaml.safe_load(block)) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


def _with_on(value: Any) -> Any:
    """PyYAML takes the key `on` for true; azsim's loader does not."""
    if isinstance(value, dict):
        return {"on" if name is True else name: _with_on(below) for name, below in value.items()}
    return [_with_on(below) for below in value] if isinstance(value, list) else value


def test_every_kind_of_fault_on_the_page_is_taken_and_none_of_these_is_missing() -> None:
    (example,) = examples("faults.md")
    scenario = Scenario.from_dict({**BASE, **example})
    others = {"cpu_stress", "traffic_spike", "pause", "latency"}  # in the scenario reference
    others |= {"capacity_refused", "dns_failure"}  # on the pages about scaling and about balancing
    assert {fault.kind for fault in scenario.faults} >= set(KINDS) - others


def test_each_kind_of_traffic_on_the_page_is_taken(tmp_path: Path) -> None:
    (tmp_path / "requests.csv").write_text("at\n10ms\n12ms\n", encoding="utf-8")
    (example,) = examples("traffic.md")
    scenario = Scenario.from_dict({**BASE, **example}, folder=tmp_path)
    assert scenario.traffic["partners"].recorded == (10_000_000, 12_000_000)


def test_the_zonal_balancer_on_the_page_runs_and_its_name_may_fail() -> None:
    (example,) = examples("balancing.md")
    web = {"instances_per_zone": 1, "work": WORK} | example["services"]["web"]
    faults = [{"at": "20s", "for": "20s", "dns_failure": {"service": "web"}}]
    changes = {"services": {"web": web}, "faults": faults, "duration": "60s"}
    scenario = Scenario.from_dict(BASE | changes)

    def failed(connections: str) -> int:
        changed = scenario.with_({"services.web.balancer.dns": {"ttl": "1s", "connections": connections}})
        trace = simulate(changed, engine="reference")
        return int(trace.recording.populations[:, 0, FAILED + Outcome.NO_TARGET].sum())

    assert failed("1h") == 0
    assert failed("none") > 10


@pytest.mark.parametrize("zone", ["a", "b"])
def test_the_standby_on_the_page_runs(zone: str) -> None:
    (example,) = examples("standby.md")
    traffic = {"apps": {"to": "db", "rate": "2/s", "timeout": "1s"}}
    faults = [{"at": "10s", "zone_loss": {"zone": zone}}]
    changes = {"traffic": traffic, "faults": faults, "duration": "60s", "zones": ["a", "b"]}
    trace = simulate(Scenario.from_dict({**BASE, **example, **changes}), engine="reference")
    promoted = [event.what for event in trace.events if event.source == "standby.db"]
    assert promoted == (["zone a is lost: zone b is being promoted", "zone b has taken over"] if zone == "a" else [])


def test_the_scaling_on_the_page_runs() -> None:
    example, others = examples("scaling.md")
    given = {**BASE, **others, "traffic": {"shop": {"to": "api", "rate": "1/s"}}}
    given["services"]["api"]["work"] = WORK
    kinds = [policy.kind for policy in Scenario.from_dict(given).services["api"].scaling.policies]
    assert kinds == ["step", "target", "schedule"]
    traffic = {"shop": {"to": "api", "rate": "300/s", "timeout": "1s"}}
    example["services"]["api"]["work"] = {"distribution": "constant", "mean": "20ms"}
    example["services"]["api"] |= {"slots": 2}
    trace = simulate(
        Scenario.from_dict({**BASE, **example, "traffic": traffic, "duration": "3min"}), engine="reference"
    )
    assert [wanted for _, wanted, _ in trace.scaling.desired["api"]] == [3, 4], "300/s of 20 ms keep six cores busy"


def test_the_data_on_the_page_come_and_go() -> None:
    (example,) = examples("data.md")
    scenario = Scenario.from_dict({**BASE, **example}).with_(
        {"duration": "20s", "traffic.shoppers.rate": "50/s", "faults.zone_loss.at": "10s", "faults.zone_loss.for": "5s"}
    )
    trace = simulate(scenario, engine="reference")
    catalog, store = (trace.recording.services[:, number].sum(axis=0) for number in range(2))
    assert catalog[HITS] > 4 * catalog[MISSES] > 0
    assert store[WRITES] > 50
    assert store[LOST] == 0, "two zones held every write"
