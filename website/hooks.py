"""What the site has beside the pages in docs/: the README as its first page, and the files that pages link to."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<!\!)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)|\!\[([^\]]*)\]\(([^)\s]+)\)")
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def on_config(config: Any) -> Any:
    """Every page about one feature is in the navigation, in the order of their names."""
    for entry in config["nav"]:
        if "Features" in entry:
            entry["Features"] += sorted(f"features/{path.name}" for path in (ROOT / "docs/features").glob("*.md"))
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the first page, and whatever outside docs/ a page links to."""
    files.append(File.generated(config, "index.md", content=rewritten("README.md", set())))
    linked: set[str] = set()
    for path in (ROOT / "docs").rglob("*.md"):
        rewritten(f"docs/{path.relative_to(ROOT / 'docs').as_posix()}", linked)
    rewritten("README.md", linked)
    for name in sorted(linked):
        files.append(File.generated(config, f"files/{name}", content=(ROOT / name).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """A page with links that lead within the site."""
    if page.file.src_uri == "index.md":
        return markdown
    return rewritten(f"docs/{page.file.src_uri}", set(), markdown)


def rewritten(name: str, linked: set[str], text: str | None = None) -> str:
    """The text of a page of the repository with links as the site needs them; `linked` gains files outside docs/."""
    text = (ROOT / name).read_text(encoding="utf-8") if text is None else text
    here = "" if name == "README.md" else posixpath.dirname(name).removeprefix("docs").lstrip("/")

    def replaced(link: re.Match[str]) -> str:
        image = link[4] is not None
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), link[4] if image else link[1]))
        if target.startswith("docs/"):
            there = target.removeprefix("docs/")
        elif target == "README.md":
            there = "index.md"
        elif (ROOT / target).is_dir():
            there = "scenarios.md"
        else:
            linked.add(target)
            there = f"files/{target}"
        path = posixpath.relpath(there, here or ".")
        return f"![{link[3]}]({path})" if image else f"]({path}{link[2] or ''})"

    parts = CODE.split(text)
    return "".join(part if number % 2 else LINK.sub(replaced, part) for number, part in enumerate(parts))
