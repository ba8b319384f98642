"""The page in a browser: no complaint in the console, readable on a phone, operable, and accessible (axe-core)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from azsim.report.document import html
from azsim.report.run_page import run_page
from azsim.scenario import Scenario
from tests.page.conftest import MARKUP, hostile

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture
def address(facts: dict[str, Any], scenario: Scenario, tmp_path: Path) -> str:
    """The page of a result whose every name is markup."""
    attacked = hostile(facts)
    attacked["scenario"] = f"storm {MARKUP}"
    file = tmp_path / "page.html"
    file.write_text(html(run_page(attacked, scenario, file="small.yaml")), encoding="utf-8")
    return file.as_uri()


def test_nothing_of_a_name_is_run_and_the_console_stays_empty(address: str, browser: Callable[..., Any]) -> None:
    window = browser()
    window.get(address)
    assert window.title.startswith(f"storm {MARKUP}")
    assert window.find_element("css selector", "h1").text == f"storm {MARKUP}"
    assert window.execute_script("return document.images.length") == 0
    assert window.get_log("browser") == []


@pytest.mark.parametrize("how", [{}, {"width": 390, "height": 844}, {"dark": True}], ids=["desktop", "phone", "dark"])
def test_axe_finds_nothing(address: str, browser: Callable[..., Any], axe: str, how: dict[str, Any]) -> None:
    window = browser(**how)
    window.get(address)
    window.execute_script("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    window.execute_script(axe)
    checked = "axe.run({runOnly: arguments[0]}).then(arguments[1], (error) => arguments[1]({error: String(error)}))"
    found = window.execute_async_script(checked, RULES)
    assert "error" not in found, found
    assert len(found["passes"]) > 25
    told = [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes'][:3]]}" for one in found["violations"]
    ]
    assert not told, "\n".join(told)


@pytest.mark.parametrize("width", [320, 390, 768, 1200])
def test_it_never_scrolls_sideways(address: str, browser: Callable[..., Any], width: int) -> None:
    window = browser(width=width, height=844)
    window.get(address)
    assert window.execute_script("return document.documentElement.scrollWidth") == width


def test_pointing_at_a_plot_tells_the_values_of_that_instant_everywhere(
    address: str, browser: Callable[..., Any], facts: dict[str, Any]
) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    window = browser()
    window.get(address)
    first, *others = window.find_elements("css selector", ".canvas")
    window.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", first)
    ActionChains(window).move_to_element(first).perform()
    second = int(window.find_element("id", "cursor-clock").text.removeprefix("00:"))
    assert second in (29, 30)  # the middle of the plot, to the pixel
    offered = next(
        item for item in window.find_elements("css selector", ".legend li") if item.text.startswith("offered")
    )
    assert offered.text.split() == ["offered", str(facts["timeline"]["offered"][second])]
    assert all(one.is_displayed() for one in window.find_elements("css selector", ".cursor"))
    assert others


def test_the_slider_moves_by_keys(address: str, browser: Callable[..., Any], facts: dict[str, Any]) -> None:
    from selenium.webdriver.common.keys import Keys

    window = browser()
    window.get(address)
    slider = window.find_element("id", "cursor-time")
    slider.send_keys(Keys.END, Keys.ARROW_LEFT)
    assert slider.get_attribute("aria-valuetext") == "00:58"
    attempts = next(
        item for item in window.find_elements("css selector", ".legend li") if item.text.startswith("attempts")
    )
    assert attempts.text.split() == ["attempts", str(facts["timeline"]["attempts"][58])]


def test_without_scripts_everything_is_there_but_the_slider(address: str, browser: Callable[..., Any]) -> None:
    window = browser(scripts=False)
    window.get(address)
    assert not window.find_element("id", "cursor-bar").is_displayed()
    for svg in window.find_elements("css selector", ".canvas svg"):
        assert svg.size["width"] > 500
        assert svg.find_elements("css selector", "path.line, path.layer")
    (page, *_) = window.find_elements("css selector", "main")
    assert "Requests and attempts" in page.text


def test_on_paper_everything_is_open(address: str, browser: Callable[..., Any]) -> None:
    window = browser()
    window.get(address)
    window.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert all(one.get_attribute("open") for one in window.find_elements("css selector", "details"))
    window.execute_script("dispatchEvent(new Event('afterprint'))")
    assert not any(one.get_attribute("open") for one in window.find_elements("css selector", "details"))
    assert len(window.print_page()) > 50_000
