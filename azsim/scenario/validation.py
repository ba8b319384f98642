"""Rules between keys: what one value says about another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azsim.scenario.problems import Problem

if TYPE_CHECKING:
    from azsim.scenario.schema import Scenario


def problems_across(scenario: Scenario) -> list[Problem]:
    return []


def check_variations(scenario: Scenario) -> None:
    return None
