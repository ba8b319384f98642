"""The documentation as a site: it builds without a warning, fetches nothing from elsewhere, and its commands exist."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from azsim.cli.main import VERBS

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    pytest.importorskip("mkdocs", reason="the site needs the extra `docs`: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}  # an announcement of the theme's, not about this site
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


def test_every_page_is_there_and_the_readme_is_the_first(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("")
        assert (site / name / "index.html").exists(), name
    assert "Does failing over make the system fall over?" in (site / "index.html").read_text(encoding="utf-8")


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^"'>\s]+""")
    for page in site.rglob("*.html"):
        links = [link for link in fetched.findall(page.read_text(encoding="utf-8")) if "canonical" not in link]
        assert not links, f"{page}: {links}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_links_lead_to_files_that_are_there(site: Path) -> None:
    broken = []
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        for target in re.findall(r'<a\b[^>]*\bhref="?([^">\s#]+)', page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).resolve().exists():
                broken.append(f"{page.relative_to(site)}: {target}")
    assert not broken, broken


def test_what_the_validation_page_names_is_there() -> None:
    """Its figures are compared by `python -m tests.validation --check`, which runs all it is about."""
    text = (ROOT / "docs/validation.md").read_text(encoding="utf-8")
    for path, rows in re.findall(r"\(\[the tests\]\(\.\./([^)]+)\)\)(.*?)(?=\n##|\Z)", text, re.DOTALL):
        names = set(re.findall(r"^def test_(\w+)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE))
        words = {name.replace("_", " ") for name in names}
        told = [
            re.split(r"\. | \| ", row.replace("\\", ""))[0]
            for row in re.findall(r"^\| (?!test)(.*)", rows, re.MULTILINE)
        ]
        assert told
        assert not set(told) - words, f"{path}: write the page again with python -m tests.validation"


def commands() -> list[tuple[str, str]]:
    """Page and command of every line in a code block that begins with azsim."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```[^\n]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            joined = block.replace("\\\n", " ")
            found += [(page.name, line) for line in joined.splitlines() if line.startswith("azsim ")]
    return found


def test_commands_are_found() -> None:
    assert len(commands()) > 25


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_on_a_page_can_be_given(page: str, line: str) -> None:
    words = shlex.split(re.split(r" [|>]|\|\|", line)[0], comments=True)
    assert words[1] in VERBS or words[1].startswith("-"), page
    if words[1].startswith("-"):
        return
    command: click.Command = importlib.import_module(f"azsim.cli.{words[1]}").command
    with command.make_context(words[1], words[2:]):
        pass
    for word in words[2:]:
        if word.startswith("scenarios/"):
            assert (ROOT / word).exists(), f"{page}: {word}"
