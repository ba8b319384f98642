"""Operations in a scenario: what is refused, what is lowered, and the arithmetic of a mix (R8)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from azsim import Scenario
from azsim.base.errors import ScenarioError
from azsim.dataplane.layout import CALLS_STEP, QUORUM_STEP, WORK_STEP
from azsim.scenario.arithmetic import arithmetic
from azsim.simulation.lower import lower
from azsim.simulation.run import run

PAGE = Path(__file__).parents[2] / "docs" / "features" / "programs.md"


def shop(**changes: Any) -> Scenario:
    """The scenario that the page about operations shows."""
    block = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[0]
    return Scenario.from_dict(yaml.safe_load(block)).with_(changes)


def test_the_example_runs_and_counts_by_operation() -> None:
    result = run(shop(duration="10s", faults=[]), seed=3)
    totals = result.totals
    by_name = totals["operations"]
    assert set(by_name) == {"shoppers.browse", "shoppers.buy"}
    assert sum(one["offered"] for one in by_name.values()) == totals["offered"]
    assert sum(one["succeeded"] for one in by_name.values()) == totals["succeeded"]
    assert sum(one["degraded"] for one in by_name.values()) == totals["degraded"]
    assert by_name["shoppers.buy"]["offered"] == pytest.approx(600, abs=5 * np.sqrt(600))  # Poisson


def test_lowering_writes_each_operation_as_steps() -> None:
    plan = lower(shop(), seed=1)
    assert plan.rich
    assert plan.operation_names == ("catalog.search", "web.browse", "web.buy")
    buy = plan.steps[plan.operations[2]["steps_first"] :][: plan.operations[2]["steps_count"]]
    assert buy["kind"].tolist() == [WORK_STEP, CALLS_STEP, WORK_STEP, QUORUM_STEP]
    assert buy["work"].tolist()[0] == -1
    assert buy["work_a"][2] == 2e6
    assert buy["calls"].tolist() == [0, 2, 0, 3]
    assert buy["need"].tolist() == [0, 2, 0, 2]
    assert buy["zones"].tolist() == [0, 0, 0, 0b111]
    called = plan.hops[buy["hop"][1] : buy["hop"][1] + 2]
    assert [plan.service_names[s] for s in called["service"]] == ["catalog", "prices"]
    assert called["optional"].tolist() == [0, 1]
    search = plan.hops[plan.steps[plan.operations[1]["steps_first"] + 1]["hop"]]
    assert plan.operation_names[search["operation"]] == "catalog.search"
    assert plan.mix["upto"].tolist() == [round(0.8 * 2**32), 2**32]
    web = plan.services[plan.service_names.index("web")]
    assert (web["calls_count"], web["hops_count"], web["operation"]) == (0, 4, -1)


def test_nothing_is_rich_without_operations() -> None:
    plain = shop(
        traffic={"p": {"to": "store", "rate": "1/s"}},
        services={"store": {"work": {"mean": "1ms", "distribution": "constant"}}},
    )
    plan = lower(plain, seed=1)
    assert not plan.rich
    assert len(plan.operations) == len(plan.steps) == len(plan.mix) == 0


def test_an_optional_call_makes_a_program_of_plain_calls() -> None:
    scenario = shop(
        traffic={"p": {"to": "web", "rate": "1/s"}},
        services={
            "web": {
                "work": {"distribution": "constant", "mean": "1ms"},
                "calls": [{"to": "db"}, {"to": "db", "id": "x", "optional": True}],
            },
            "db": {"work": {"distribution": "constant", "mean": "1ms"}},
        },
    )
    plan = lower(scenario, seed=1)
    assert plan.operation_names == ("web",)
    assert plan.services["operation"].tolist() == [-1, 0]
    assert plan.steps["kind"].tolist() == [WORK_STEP, CALLS_STEP, CALLS_STEP]
    assert plan.rich


def test_the_arithmetic_weighs_operations_by_who_asks_for_them() -> None:
    figures = arithmetic(shop())
    web, catalog, prices, store = (figures.services[name] for name in ("web", "catalog", "prices", "store"))
    # buy adds 2 ms of work for a fifth of the requests.
    assert web.work_s["a"] == pytest.approx(0.010 + 0.2 * 0.002)
    assert web.load.utilisation == pytest.approx(300 * 0.0104 / (3 * 2 * 8))
    # browse searches the catalog (9 ms), buy asks for its own work (5 ms): all 300/s come there.
    assert catalog.load.rate_per_s == pytest.approx(300)
    assert catalog.work_s["a"] == pytest.approx(0.8 * 0.009 + 0.2 * 0.005)
    assert prices.load.rate_per_s == pytest.approx(60)
    # A quorum of three calls all three zones.
    assert store.load.rate_per_s == pytest.approx(180)
    assert store.without["c"].rate_per_s == pytest.approx(120)
    # The longest that buy holds a slot: its work, the longer of two calls made at once, the quorum.
    assert web.slot_s_max == pytest.approx(0.012 + 0.3 + 0.2)


BROKEN: list[tuple[dict[str, Any], str]] = [
    (
        {"traffic.shoppers.operations": {"browse": "80%", "bye": "20%"}},
        "there is no operation of web bye; the nearest is buy",
    ),
    ({"traffic.shoppers.operations": {"browse": "80%"}}, "the shares sum to 80%, not 100%"),
    ({"services.web.operations.browse": [{"call": {"to": "nobody"}}]}, "there is no service nobody"),
    ({"services.web.operations.browse": [{"call": {"to": "catalog", "operation": "serch"}}]}, "the nearest is search"),
    (
        {"services.web.operations.browse": [{"call": {"to": "store", "operation": "get"}}]},
        "store has no operations to name",
    ),
    ({"services.web.operations.browse": []}, "must hold at least 1"),
    ({"services.web.operations.browse": [{"work": "own", "call": {"to": "store"}}]}, "exactly one of work, call"),
    ({"services.web.operations.browse": [{"wrok": "own"}]}, "unknown key; the nearest is work"),
    ({"services.web.operations.browse": [{"work": "mine"}]}, "a distribution of work or `own`"),
    ({"services.web.operations.browse": [{"quorum": {"to": "store", "zones": 4, "need": 2}}]}, "only 3 zones"),
    ({"services.web.operations.browse": [{"quorum": {"to": "store", "zones": 2, "need": 3}}]}, "at most zones, 2"),
    ({"services.store.operations": {"get": [{"call": {"to": "web"}}]}}, "calls must not go in a circle"),
    (
        {"services.web.operations.browse": [{"call": {"to": "store"}}, {"call": {"to": "store"}}]},
        "two calls are named store",
    ),
    (
        {"services.web.operations.browse": [{"parallel": [{"to": "store", "id": f"s{k}"} for k in range(64)]}]},
        "at most 63",
    ),
]


@pytest.mark.parametrize(("changes", "said"), BROKEN, ids=[said for _, said in BROKEN])
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        shop(**changes)
    assert said in str(caught.value)


def test_paths_lead_into_operations() -> None:
    changed = shop(
        **{
            "services.web.operations.browse.catalog.call.timeout": "1s",
            "services.web.operations.buy.parallel.parallel.prices.timeout": "2s",
            "services.web.operations.buy.store.quorum.need": 3,
        }
    )
    web = changed.services["web"]
    assert web.operations["browse"][1].call.timeout == 1_000_000_000
    assert web.operations["buy"][1].parallel[1].timeout == 2_000_000_000
    assert web.operations["buy"][3].quorum.need == 3
    assert [one.name for one in web.every_call] == [
        "operations.browse.catalog.call",
        "operations.buy.parallel.parallel.catalog",
        "operations.buy.parallel.parallel.prices",
        "operations.buy.store.quorum",
    ]
    assert Scenario.from_dict(changed.to_dict()) == changed


def test_retries_at_the_edges_only() -> None:
    """Those who come from outside retry, and calls of services that call nobody; what is between does not."""
    retry = {"attempts": 2}
    deep = {
        "traffic": {"p": {"to": "web", "rate": "1/s", "retry": retry}},
        "services": {
            "web": {
                "work": {"distribution": "constant", "mean": "1ms"},
                "operations": {"x": [{"parallel": [{"to": "app", "retry": retry}, {"to": "db", "retry": retry}]}]},
                "calls": [{"to": "app", "retry": retry}],
            },
            "app": {"work": {"distribution": "constant", "mean": "1ms"}, "calls": [{"to": "db", "retry": retry}]},
            "db": {"work": {"distribution": "constant", "mean": "1ms"}},
        },
        "faults": [],
    }
    scenario = shop(**deep, retries="edges-only")
    retries = {
        f"{name}.{one.name}": one.call.retry is not None
        for name, service in scenario.services.items()
        for one in service.every_call
    }
    assert retries == {
        "app.calls.db": True,
        "web.calls.app": False,
        "web.operations.x.parallel.parallel.app": False,
        "web.operations.x.parallel.parallel.db": True,
    }
    assert scenario.traffic["p"].retry is not None
    assert Scenario.from_dict(scenario.to_dict()) == scenario
    assert all(one.call.retry for service in shop(**deep).services.values() for one in service.every_call)
    assert scenario.with_({"retries": "as-given"}) == shop(**deep)
