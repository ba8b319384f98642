"""A run whose page the tests look at, and a browser to look with."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from azsim.report.document import Page
from azsim.report.run_page import run_page
from azsim.scenario import Scenario
from azsim.simulation.result import Result
from azsim.simulation.run import run
from tests.small import scenario as small

AXE = "axe-core@4.14.1"
MARKUP = "<script>document.title='x'</script><img src=x onerror=\"document.title='x'\">'\"&amp;</style></title>"
NAMED = ("services", "instances", "healthy_view", "utilisation", "queue")  # whose keys are names of services or zones


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    return small(
        duration="60s",
        description=f"A storm {MARKUP}",
        **{
            "traffic.shoppers.rate": "54/s",
            "faults": [
                {"id": "loss", "at": "12s", "for": "12s", "zone_loss": {"zone": "c"}},
                {"id": "spike", "at": "18s", "for": "3s", "traffic_spike": {"population": "shoppers", "factor": 4}},
            ],
        },
    )


@pytest.fixture(scope="session")
def result(scenario: Scenario) -> Result:
    return run(scenario, engine="reference", replays=False)


@pytest.fixture
def facts(result: Result) -> dict[str, Any]:
    return result.to_dict()


@pytest.fixture
def page(result: Result, scenario: Scenario) -> Page:
    return run_page(result, scenario, file="small.yaml")


def hostile(value: Any, path: tuple[str, ...] = ()) -> Any:
    """The facts of a result in which every name that came from a user is markup."""
    if isinstance(value, dict):
        named = bool(path) and path[-1] in NAMED
        return {f"{name}{MARKUP}" if named else name: hostile(below, (*path, name)) for name, below in value.items()}
    if isinstance(value, list):
        return [hostile(below, path) for below in value] if value and isinstance(value[0], dict | str) else value
    if isinstance(value, str) and path[-1] in ("scenario", "what", "text", "source", "name", "service", "zone", "id"):
        return f"{value}{MARKUP}"
    return value


def missing(what: str) -> NoReturn:
    """Skips, so that everybody sees it; fails where the browser is required (AZSIM_BROWSER_TESTS=required)."""
    told = f"{what}; Debian: apt-get install chromium chromium-driver npm"
    if os.environ.get("AZSIM_BROWSER_TESTS") == "required":
        pytest.fail(told)
    pytest.skip(told)


def started(*, width: int = 1200, height: int = 900, scripts: bool = True, dark: bool = False) -> Any:
    """A browser without a window."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        missing("no chromium and chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    found.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    if dark:
        scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        found.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    return found


@pytest.fixture
def browser() -> Iterator[Callable[..., Any]]:
    """Starts a browser; keywords as `started` has them."""
    open_ones: list[Any] = []

    def start(**how: Any) -> Any:
        open_ones.append(started(**how))
        return open_ones[-1]

    yield start
    for one in open_ones:
        one.quit()


@pytest.fixture(scope="session")
def axe(pytestconfig: pytest.Config) -> str:
    """The source of axe-core, fetched once."""
    folder = Path(pytestconfig.cache.mkdir("axe-core"))
    script = folder / f"{AXE}.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            missing("no npm here to fetch axe-core with")
        command = [npm, "pack", AXE, "--silent"]
        packed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        if packed.returncode:
            missing(f"npm cannot fetch {AXE}: {packed.stderr.strip()[-200:]}")
        with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
            source = archive.extractfile("package/axe.min.js")
            assert source is not None
            aside = folder / f"{os.getpid()}.js"
            aside.write_bytes(source.read())
            aside.replace(script)  # two workers may come at once
    return script.read_text(encoding="utf-8")
