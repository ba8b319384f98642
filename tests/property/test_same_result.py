"""What may not change a result: the order in which a file lists things, how it spells quantities, what stands by."""

from __future__ import annotations

import random
import re
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from azsim.scenario import Scenario
from tests.shop import SHOP, story


@cache
def as_written() -> dict[str, Any]:
    return story(Scenario.from_dict(SHOP))


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same value with the keys of every mapping in another order; lists keep theirs, which means something."""
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: shuffled(value[key], chance) for key in keys}
    return [shuffled(entry, chance) for entry in value] if isinstance(value, list) else value


def test_the_shop_shows_something() -> None:
    """What is compared below would hold of an empty result, too."""
    totals = as_written()["totals"]
    assert totals["succeeded"] > 500
    assert len(totals["failed"]) >= 2
    assert totals["attempts"] > totals["offered"]
    assert len(as_written()["events"]) > 8


@settings(max_examples=12)
@given(st.integers(0, 10**9))
def test_the_order_of_keys_does_not_matter(seed: int) -> None:
    """One digest, one run: requests, work and probes are keyed by numbers that follow names, not lines."""
    scenario = Scenario.from_dict(shuffled(SHOP, random.Random(seed)))
    assert story(scenario) == as_written()


QUANTITY = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(ms|s|/s|%)(?![\w/])")
SPELLINGS = {
    "ms": [("us", 1000), ("ns", 1000000), ("s", Decimal("0.001"))],
    "s": [("ms", 1000), ("ns", 1000000000)],
    "/s": [("/min", 60), ("/h", 3600)],
    "%": [("%", 1)],
}


def respelled(value: Any, chance: random.Random) -> Any:
    """The same value with every quantity in other units, or with zeros that say nothing."""

    def other(found: re.Match[str]) -> str:
        unit, factor = chance.choice([(found[2], 1), *SPELLINGS[found[2]]])
        number = Decimal(found[1]) * factor
        return f"{number}{'.00' if number == number.to_integral_value() and '.' not in str(number) else '0'}{unit}"

    if isinstance(value, dict):
        return {key: respelled(below, chance) for key, below in value.items()}
    if isinstance(value, list):
        return [respelled(entry, chance) for entry in value]
    return QUANTITY.sub(other, value) if isinstance(value, str) else value


@settings(max_examples=12)
@given(st.integers(0, 10**9))
def test_the_spelling_of_quantities_does_not_matter(seed: int) -> None:
    spelled = respelled(SHOP, random.Random(seed))
    assert spelled != SHOP
    assert story(Scenario.from_dict(spelled)) == as_written()


def without(result: dict[str, Any], service: str) -> dict[str, Any]:
    """A result without what it says of a service, and without sums over the cores of all services."""
    kept = {name: result[name] for name in ("verdict", "violations", "deadlines", "faults")}
    kept |= {name: result[name] for name in ("time_to_detect_s", "time_to_recover_s", "hypothesis", "metastable")}
    kept["events"] = [event for event in result["events"] if not event["source"].endswith(f".{service}")]
    kept["timeline"] = {name: column for name, column in result["timeline"].items() if name != "services"}
    for table in (result["services"], result["timeline"]["services"]):
        assert (service in table) == (service in result["services"])
    kept["services"] = {name: row for name, row in result["services"].items() if name != service}
    kept["by second"] = {name: row for name, row in result["timeline"]["services"].items() if name != service}
    for phase, metrics in (*result["phases"].items(), ("totals", result["totals"])):
        kept[phase] = {name: value for name, value in metrics.items() if name != "utilisation"}
    return kept


@settings(max_examples=8)
@given(
    st.sampled_from(["a", "b"]),  # not where the faults are: what a lost zone holds may be what shows its loss first
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from(["least-outstanding", "random"]),
)
def test_a_service_that_nobody_calls_changes_nothing(zone: str, instances: int, probed: bool, algorithm: str) -> None:
    """Probed or not: nobody else's requests, work, places in line or probes know of it.

    Instances are numbered by their services' names, and a probe's phase is drawn by number: the newcomer is named so
    that it comes last.
    """
    health = {"interval": "1s", "timeout": "300ms"} if probed else "none"
    idle = {
        "instances_per_zone": {zone: instances},
        "work": {"distribution": "exponential", "mean": "20ms"},
        "balancer": {"algorithm": algorithm, "health": health},
    }
    larger = {**SHOP, "services": {**SHOP["services"], "zulu": idle}}
    found = without(story(Scenario.from_dict(larger)), "zulu")
    assert found == without(as_written(), "zulu")
