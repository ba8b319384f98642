"""The page of a run as text: what it shows, that nothing escapes its place, and that it stays small."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from azsim.report.document import Page, Section, html
from azsim.report.plots import HEIGHT, WIDTH, Curve, Limit, Plot, TimeAxis, drawn
from azsim.report.run_page import SERVICES_MAX, run_page
from azsim.scenario import Scenario
from azsim.simulation.result import Result
from tests.page.conftest import MARKUP, hostile

BYTES_MAX = 2 * 10**6


class Parsed(HTMLParser):
    """Elements with their attributes, and the text of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_says_what_the_card_says(result: Result, page: Page) -> None:
    text = Parsed(html(page)).text
    assert text.count("COLLAPSE") or text.count(result.verdict.upper())
    for segment in result.segments:
        assert f" {segment['name']} " in text
    for conclusion in result.conclusions:
        assert conclusion["text"] in text
    for event in result.events:
        assert event["what"] in text
    for word in (result.digest, "azsim run small.yaml", "slots: 2", "zone c power", "hypothesis falsified"):
        assert word in text
    assert "None" not in text.replace("None of", "")
    assert "nan" not in text.split()


def test_what_breaks_the_hypothesis_is_marked_in_words_too(page: Page) -> None:
    assert '<strong class="bad">' in html(page)
    assert "(breaks the hypothesis)" in Parsed(html(page)).text


def test_markup_in_any_name_stays_text(facts: dict[str, Any], scenario: Scenario) -> None:
    plain = Parsed(html(run_page(facts, scenario, file="small.yaml")))
    attacked = hostile(facts)
    attacked["scenario"] = MARKUP
    page = html(run_page(attacked, scenario, file=f"{MARKUP}.yaml"))
    found = Parsed(page)
    assert [tag for tag, _ in found.elements] == [tag for tag, _ in plain.elements]
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    assert page.count("<script") == 2
    assert found.text.count("onerror") > 20


def test_it_needs_nothing_but_itself(page: Page) -> None:
    text = html(page)
    fetched = [
        (tag, name, value)
        for tag, attributes in Parsed(text).elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster") and not str(value).startswith("#")
    ]
    assert not fetched
    assert "@import" not in text
    assert "url(" not in text
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy.replace("&#39;", "'")
    assert "default-src 'none'" in policy.replace("&#39;", "'")


def test_the_same_result_gives_the_same_page(result: Result, scenario: Scenario) -> None:
    assert html(run_page(result, scenario, file="a")) == html(run_page(result, scenario, file="a"))


def test_every_anchor_leads_somewhere_and_no_name_comes_twice(page: Page) -> None:
    elements = Parsed(html(page)).elements
    names = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(names) == len(set(names))
    for _, attributes in elements:
        if str(attributes.get("href", "")).startswith("#"):
            assert str(attributes["href"])[1:] in names
        for name in ("aria-labelledby", "for"):
            for one in (attributes.get(name) or "").split():
                assert one in names


def test_a_long_run_of_many_zones_and_services_stays_small(facts: dict[str, Any], scenario: Scenario) -> None:
    """Twenty minutes, 64 zones, 12 services, 5000 events, every value with many digits."""
    noise = np.random.default_rng(1)

    def longer(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: longer(below) for name, below in value.items()}
        return (np.resize([v or 0 for v in value], 1200) + noise.random(1200)).tolist()

    timeline = facts["timeline"] = longer(facts["timeline"])
    timeline["t_s"] = list(range(1200))
    (service,) = timeline["services"].values()
    for name in ("utilisation", "queue"):
        service[name] = {f"z{z}": (np.array(service[name]["a"]) + z).tolist() for z in range(64)}
    for name, shift in (("instances", 0), ("healthy_view", 7)):
        # Instances come and go every ten seconds.
        flaps = {f"z{z}": np.roll(np.arange(1200) // 10 % 7 + z, shift) for z in range(64)}
        service[name] = {zone: counts.tolist() for zone, counts in flaps.items()}
    service["fail_open"] = [False] * 1200
    timeline["services"] = {f"service-{number}": service for number in range(12)}
    total = facts["services"]["web"]
    total["utilisation"] = dict.fromkeys(service["utilisation"], 0.5)
    facts["services"] = dict.fromkeys(timeline["services"], total)
    facts["headroom"]["service"] = "service-7"
    facts["events"] = facts["events"] * (5000 // len(facts["events"]))
    page = html(run_page(facts, scenario, file="small.yaml"))
    assert len(page.encode()) < BYTES_MAX
    assert page.index("Utilisation of service-7") < page.index("Utilisation of service-0")
    assert f"{12 - SERVICES_MAX} more services are not drawn" in page


def test_a_run_without_faults_has_a_page(scenario: Scenario) -> None:
    from azsim.simulation.run import run

    calm = scenario.with_({"faults": "none", "duration": "10s"})
    text = Parsed(html(run_page(run(calm, engine="reference"), calm, file="calm.yaml"))).text
    assert "the service level was never broken" in text


@pytest.fixture
def axis(facts: dict[str, Any]) -> TimeAxis:
    return TimeAxis(facts)


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


def test_a_line_goes_through_its_values(axis: TimeAxis) -> None:
    values = np.linspace(0, 59, 60)
    values[30] = np.nan
    shown = drawn(Plot("t", "count", [Curve("up", "blue", values)], top=100.0), axis)
    (path,) = re.findall(r'class="line s-blue" d="([^"]*)"', shown.svg)
    assert path.count("M") == 2  # interrupted where there is no value
    line = points(path)
    assert len(line) == 59
    assert line[0] == (pytest.approx(0.5 * WIDTH / 60, abs=0.1), pytest.approx(HEIGHT, abs=0.1))
    assert line[-1] == (pytest.approx(59.5 * WIDTH / 60, abs=0.1), pytest.approx(HEIGHT * 0.41, abs=0.1))
    assert shown.described == "up: lowest 0 at 00:00, highest 59 at 00:59."
    assert shown.data["values"] == [[None if number == 30 else number for number in range(60)]]
    assert shown.y_ticks[0] == (100.0, "0")


def test_layers_stand_on_one_another_and_areas_on_the_floor(axis: TimeAxis) -> None:
    one, two = np.full(60, 10.0), np.full(60, 30.0)
    plot = Plot("t", "count", [Curve("a", "sky", one, "layer"), Curve("b", "blue", two, "layer"),
                               Curve("c", "grey", two, "area")], top=80.0)  # fmt: skip
    svg = drawn(plot, axis).svg
    heights = {
        colour: {y for _, y in points(path)} for colour, path in re.findall(r'class="\w+ f-(\w+)" d="([^"]*)"', svg)
    }
    assert heights == {"sky": {240.0, 210.0}, "blue": {210.0, 120.0}, "grey": {240.0, 150.0}}


def test_a_logarithmic_axis_has_equal_factors_at_equal_distances(axis: TimeAxis) -> None:
    values = np.geomspace(0.001, 1, 60)
    shown = drawn(Plot("t", "seconds", [Curve("a", "blue", values)], log=True, limits=[Limit("l", "grey", 0.1)]), axis)
    ticks = {text: top for top, text in shown.y_ticks}
    assert ticks["10 ms"] - ticks["100 ms"] == pytest.approx(ticks["1 ms"] - ticks["10 ms"], abs=0.05)
    (limit,) = re.findall(r'class="limit s-grey" d="M0 ([\d.]+)H', shown.svg)
    assert float(limit) / HEIGHT * 100 == pytest.approx(ticks["100 ms"], abs=0.1)


def test_plots_without_a_time_axis_are_refused() -> None:
    plot = Plot("t", "count", [])
    with pytest.raises(AssertionError, match="needs an axis"):
        html(Page("t", "", "o", "collapse", [Section("s", "S", [plot])]))


def test_the_numbers_of_the_plots_are_json(page: Page) -> None:
    (data,) = re.findall(r'<script type="application/json" id="plots">(.*?)</script>', html(page), re.DOTALL)
    plots = json.loads(data)
    assert all(len(values) == plot["points"] for plot in plots for values in plot["values"])
