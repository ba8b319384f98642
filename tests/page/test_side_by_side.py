"""Two runs beside each other: their figures, their curves, and what their scenarios say differently."""

from __future__ import annotations

import json
import re

from azsim.report.document import html
from azsim.report.side_by_side import Side, differences, side_by_side
from azsim.scenario import Scenario
from azsim.simulation.result import Result
from azsim.simulation.run import run


def test_the_paths_that_differ_are_those_that_were_changed(scenario: Scenario) -> None:
    assert differences(scenario, scenario) == []
    other = scenario.with_({"traffic.shoppers.retry.attempts": 2, "faults.spike.for": "4s", "duration": "50s"})
    assert sorted(differences(scenario, other)) == [
        ("duration", "1min", "50s"),
        ("faults.spike.for", "3s", "4s"),
        ("traffic.shoppers.retry.attempts", "3", "2"),
    ]
    none = {path: (one, two) for path, one, two in differences(scenario, scenario.with_({"faults": "none"}))}
    assert none["faults.spike.for"] == ("3s", "")


def test_runs_of_different_length_share_an_axis(result: Result, scenario: Scenario) -> None:
    calm = scenario.with_({"traffic.shoppers.retry": "none", "duration": "45s"})
    other = run(calm, engine="reference")
    page = html(side_by_side(Side("storm", result.to_dict(), scenario), Side("calm", other.to_dict(), calm)))
    (data,) = re.findall(r'<script type="application/json" id="plots">(.*?)</script>', page, re.DOTALL)
    attempts = json.loads(data)[0]["values"]
    assert attempts[0] == result.to_dict()["timeline"]["attempts"]
    assert attempts[1][:45] == other.to_dict()["timeline"]["attempts"]
    assert attempts[1][45:] == [None] * 15
    assert result.verdict in page
    assert other.verdict in page
    assert "traffic.shoppers.retry" in page
