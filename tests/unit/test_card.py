"""The card: what it says of a result, and that it fits."""

from __future__ import annotations

import copy
import io
import json
import runpy
import shlex
from pathlib import Path
from typing import Any, Literal

import pytest
from rich.console import Console

from azsim.report.card import card, hypothesis, load
from azsim.report.next_step import next_step
from azsim.scenario import Scenario
from azsim.simulation.explained import EJECTION
from azsim.simulation.result import Result

DATA = Path(__file__).parents[1] / "data"
SCENARIO: dict[str, Any] = {
    "azsim": 1,
    "name": "zone-loss-retry-storm",
    "duration": "20min",
    "warmup": "1min",
    "zones": ["a", "b", "c"],
    "traffic": {"shoppers": {"to": "web", "rate": "2880/s", "timeout": "1s", "retry": {"attempts": 3}}},
    "services": {"web": {"instances_per_zone": 8, "slots": 8, "work": {"distribution": "exponential", "mean": "20ms"}}},
    "faults": [
        {"id": "loss", "at": "5min", "for": "10min", "zone_loss": {"zone": "c"}},
        {"id": "spike", "at": "9min", "for": "10s", "traffic_spike": {"population": "shoppers", "factor": 1.5}},
    ],
    "hypothesis": {"success": ">= 99.9%", "latency_p99": "<= 500ms"},
}


@pytest.fixture
def facts() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "storm_result.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def scenario() -> Scenario:
    return Scenario.from_dict(SCENARIO)


def drawn(facts: dict[str, Any], scenario: Scenario, *, width: int = 80, colour: bool = False) -> str:
    out = io.StringIO()
    system: Literal["standard"] | None = "standard" if colour else None
    console = Console(file=out, width=width, force_terminal=colour, color_system=system, highlight=False, markup=False)
    outputs = ["out/timeline.svg", "out/result.json"]
    console.print(card(facts, scenario, file="storm.yaml", outputs=outputs), crop=False)
    return out.getvalue()


def test_the_stored_result_is_what_its_formulas_give_and_has_the_fields_of_a_result(facts: dict[str, Any]) -> None:
    assert runpy.run_path(str(DATA / "make_storm_result.py"))["text"]() == (DATA / "storm_result.json").read_text()
    assert Result.from_dict(facts).to_dict() == facts


def test_the_whole_card_at_eighty_characters(facts: dict[str, Any], scenario: Scenario) -> None:
    assert [line.rstrip() for line in drawn(facts, scenario).splitlines()] == [
        "zone-loss-retry-storm   seed 1   2.1 s   1.6 million requests/s",
        "LOAD        30% busy; with zone c gone 45% (3520/s to spare)",
        "FAULTS      05:00-15:00 zone c power    09:00-09:10 traffic of shoppers x1.5",
        "HYPOTHESIS  success >= 99.9% per 10 s, p99 <= 500 ms, recovered within 5 min",
        "",
        "OUTCOME     COLLAPSE (capacity was enough; it stays down by itself)",
        "            hypothesis falsified",
        "",
        "               before  undetected  detected   spike   after",
        "success        100.0%       96.8%    100.0%   93.3%    0.0%",
        "p99 of all     104 ms           -    231 ms       -       -",
        "attempts/req     1.00        1.44      1.00    1.13    3.00",
        "wasted CPU         0%          1%        0%      7%    100%",
        "busiest zone      62%         62%       93%    100%    100%",
        "",
        "WHAT HAPPENED",
        "05:00  zone c lost; a third of the attempts time out after 1 s",
        "05:15  c out of rotation                                        DETECTED",
        "05:16  success back to 100% at 90% busy                         HANDLED",
        "09:00  4320/s into 3200/s; the wait passes the timeout          DIG DEEPER",
        "15:00  c returns; still collapsed                               DIG DEEPER",
        "",
        "WHY         same random numbers, one change, and it recovers: retries off",
        "            (09:40), budget 10% (09:44)",
        "            no cure by itself: health ejection off",
        "MARGIN      none at 09:00: work arrived at 1.4 times the capacity in rotation",
        "NEXT        is it the retries?",
        "            azsim run storm.yaml --set traffic.shoppers.retry=none",
        "FILES       out/timeline.svg  out/result.json",
    ]


@pytest.mark.parametrize("width", [80, 60, 40])
def test_nothing_but_the_command_is_wider_than_the_terminal(
    width: int, facts: dict[str, Any], scenario: Scenario
) -> None:
    lines = drawn(facts, scenario, width=width).splitlines()
    assert [line for line in lines if len(line) > width and "azsim run" not in line] == []
    shown = " ".join(" ".join(lines).split())
    for segment in facts["segments"]:
        assert f" {segment['name']} " in shown
    assert "azsim run storm.yaml --set traffic.shoppers.retry=none" in shown


def test_what_breaks_the_hypothesis_stands_out(facts: dict[str, Any], scenario: Scenario) -> None:
    lines = drawn(facts, scenario, colour=True).splitlines()
    success = next(line for line in lines if line.startswith("success"))
    red = "\x1b[1;31m"
    assert f"{red}96.8%" in success.replace(" ", "")
    assert f"{red}100.0%" not in success.replace(" ", "")


def test_a_collapse_without_replays_says_what_is_not_known(facts: dict[str, Any], scenario: Scenario) -> None:
    facts |= {"metastable": None, "sustained_by": [], "replays": facts["replays"][:1]}
    shown = drawn(facts, scenario)
    assert "COLLAPSE (capacity was enough)" in shown
    assert "stays down by itself" not in shown
    assert "WHY         not looked into: --no-replays" in shown


def test_an_ejection_that_the_resets_single_out_leads(facts: dict[str, Any], scenario: Scenario) -> None:
    plain, again = ({**facts["replays"][0], "recovers": recovers} for recovers in (False, True))
    again["change"] += ", all in rotation"
    cures = [{"mechanism": name, "recovers": True, "recovered_at_s": 580.0} for name in ("orphans dropped", EJECTION)]
    facts |= {"replays": [plain, again], "sustained_by": cures}
    shown = " ".join(drawn(facts, scenario).split())
    assert "WHY health ejection holds it down: emptied it breaks again, emptied with all in rotation it holds" in shown
    assert "it recovers: health ejection off (09:40), orphans dropped (09:40)" in shown
    checked = scenario.with_({"services.web.balancer.health": {"interval": "5s"}})
    asks, command = next_step(facts, checked, "storm.yaml", {})
    assert asks == "is it the health checks?"
    assert command == "azsim run storm.yaml --set services.web.balancer.health=none"


@pytest.mark.parametrize(
    ("balancer", "change"),
    [
        ({}, "balancer.algorithm=least-outstanding"),
        ({"cross_zone": False}, "balancer.cross_zone=true"),
        ({"algorithm": "least-outstanding"}, "instances_per_zone=9"),
    ],
)
def test_an_outage_of_spread_asks_for_another_balancing(
    balancer: dict[str, Any], change: str, facts: dict[str, Any], scenario: Scenario
) -> None:
    series = facts["timeline"]
    web = series["services"]["web"]
    web["headroom"] = [-0.2] * 1200
    web["utilisation"] = {"a": [1.0] * 1200, "b": [0.8] * 1200, "c": [0.8] * 1200}
    facts |= {"verdict": "outage", "metastable": False}
    scenario = scenario.with_({"services.web.balancer": balancer})
    assert "OUTAGE (too little capacity as the load is spread)" in drawn(facts, scenario)
    assert next_step(facts, scenario, "x.yaml", {})[1] == f"azsim run x.yaml --set services.web.{change}"


@pytest.mark.parametrize(
    ("least", "said"),
    [
        ({"min": 0.312, "at_s": 312, "service": "web"}, "MARGIN      least headroom 31% at 05:12"),
        (
            {"min": None, "at_s": 312, "service": "web"},
            "MARGIN      none at 05:12: work arrived, and nothing was in rotation",
        ),
        ({"min": None, "at_s": None, "service": None}, None),
    ],
)
def test_the_margin(least: dict[str, Any], said: str | None, facts: dict[str, Any], scenario: Scenario) -> None:
    shown = drawn(facts | {"headroom": least}, scenario)
    assert said in shown if said else "MARGIN" not in shown


def test_a_segment_in_which_no_request_ends_breaks_nothing(facts: dict[str, Any], scenario: Scenario) -> None:
    empty = copy.deepcopy(facts["segments"][0])
    empty |= {
        "offered": 3,
        "unresolved": 3,
        "success": None,
        "latency_all_p99_s": None,
        "amplification": None,
        "wasted_share": None,
    }
    shown = drawn(facts | {"segments": [empty]}, scenario, colour=True)
    row = next(line for line in shown.splitlines() if line.startswith("success"))
    assert row.split()[1:] == ["-"]


def test_the_load_is_that_of_the_service_which_a_lost_zone_leaves_worst_off(scenario: Scenario) -> None:
    two = scenario.with_(
        {
            "services.stock": {
                "instances_per_zone": {"a": 1, "b": 1, "c": 8},
                "work": {"distribution": "constant", "mean": "5ms"},
            },
            "services.web.calls": [{"to": "stock"}],
        }
    )
    # 10 instances x 8 slots / 5 ms = 16000/s; without c 3200/s for 2880/s.
    assert load(two) == "stock 18% busy; with zone c gone 90% (320/s to spare)"
    assert (
        load(scenario.with_({"traffic.shoppers.rate": "7680/s"})) == "80% busy; with zone c gone 120% (1280/s too much)"
    )


def test_load_where_nothing_is_left(scenario: Scenario) -> None:
    lonely = scenario.with_({"services.web.instances_per_zone": {"c": 24}})
    assert load(lonely) == "30% busy; with zone c gone nothing is left to serve"


def test_the_hypothesis_in_words(scenario: Scenario) -> None:
    said = {"hypothesis.success": "none", "hypothesis.latency_p50": "<= 50ms", "hypothesis.window": "30s"}
    assert hypothesis(scenario.with_(said)) == "p50 <= 50 ms per 30 s, p99 <= 500 ms, recovered within 5 min"


@pytest.mark.parametrize(
    ("changes", "facts_changes", "command"),
    [
        ({}, {"verdict": "collapse"}, "azsim run 'my storm.yaml' --set traffic.shoppers.retry=none"),
        ({"traffic.shoppers.retry": "none"}, {"verdict": "collapse"}, "azsim validate 'my storm.yaml'"),
        ({}, {"verdict": "outage"}, "azsim run 'my storm.yaml' --set services.web.instances_per_zone=9"),
        ({}, {"verdict": "undecided"}, "azsim run 'my storm.yaml' --set duration=1210s"),
        ({}, {"verdict": "invalid"}, "azsim validate 'my storm.yaml'"),
        ({}, {"verdict": "degraded"}, "azsim run 'my storm.yaml' --set traffic.shoppers.rate=3168/s"),
        (
            {"traffic.shoppers.rate": [{"at": "0s", "rate": "10/s"}]},
            {"verdict": "no-impact"},
            "azsim run 'my storm.yaml' --seed 2",
        ),
    ],
)
def test_what_comes_next_follows_from_the_verdict(
    changes: dict[str, Any], facts_changes: dict[str, Any], command: str, facts: dict[str, Any], scenario: Scenario
) -> None:
    changed = scenario.with_(changes) if changes else scenario
    _, suggested = next_step(facts | facts_changes, changed, "my storm.yaml", {})
    assert suggested == command
    sets = [argument for argument in shlex.split(suggested) if "=" in argument]
    for path, value in (text.split("=", 1) for text in sets):
        changed.with_({path: int(value) if value.isdigit() else value})


def test_what_comes_next_keeps_what_was_set(facts: dict[str, Any], scenario: Scenario) -> None:
    given = {"warmup": "2min", "traffic.shoppers.retry.attempts": "4"}
    _, suggested = next_step(facts | {"seed": 7}, scenario, "storm.yaml", given)
    assert suggested == "azsim run storm.yaml --set warmup=2min --set traffic.shoppers.retry=none --seed 7"
    _, suggested = next_step(facts | {"verdict": "invalid"}, scenario, "storm.yaml", given)
    assert suggested == "azsim validate storm.yaml --set warmup=2min --set traffic.shoppers.retry.attempts=4"
