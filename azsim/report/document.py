"""A page: sections of blocks, written as one HTML file that needs nothing else, not even a network.

A section is a title and its blocks, in the order a reader meets them; what a page shows is decided by whoever lists
its sections (`azsim.report.run_page` for a run). Every text is escaped where it is written, by the templates.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, TypeAlias

import jinja2
from markupsafe import Markup

from azsim.base.version import __version__
from azsim.report.blocks import Cell
from azsim.report.plots import Lanes, Plot, TimeAxis, drawn
from azsim.report.spans import Mark, Span

_TEMPLATES: Final = "templates"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a caption; the first cell of a row is its heading. Folded, only the caption shows until opened."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    numeric: bool = True
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms and what there is to say of each, one or more paragraphs."""

    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Happenings:
    """What happened, in order: when, in words, and a tag that may be empty."""

    rows: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Story:
    """Faults, marks and broken spans of the section's time axis, as bars with names."""


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Text as it would be typed or written, under a caption. Folded as a table is."""

    caption: str
    text: str
    folded: bool = False


Block: TypeAlias = Table | Facts | Happenings | Story | Prose | Code | Plot | Lanes


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page. `name` is its anchor; `axis` the time that its plots share, if it has any."""

    name: str
    title: str
    blocks: Sequence[Block]
    axis: TimeAxis | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page: what it is about, the outcome in a line (and its kind, which colours it), and its sections."""

    title: str
    lead: str
    outcome: str
    kind: str
    sections: Sequence[Section]


def html(page: Page) -> str:
    """The page as one HTML document; the same page gives the same text."""
    data: list[Mapping[str, Any]] = []
    script = Markup(_asset("page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _environment().get_template("page.html").render(
        page=page,
        sections=[(section, list(_shown(section, data))) for section in page.sections],
        data=data,
        style=Markup(_asset("page.css")),
        script=script,
        script_digest=digest,
        version=__version__,
    )  # fmt: skip


def _shown(section: Section, data: list[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """What each block is called in the templates, and what they show of it; numbers of plots go to `data`."""
    for block in section.blocks:
        match block:
            case Plot() | Lanes():
                assert section.axis is not None, f"section {section.name} has plots and needs an axis"
                picture = drawn(block, section.axis)
                data.append({**section.axis.data(), **picture.data})
                yield "plot", {"drawn": picture, "number": len(data) - 1, "x_ticks": section.axis.ticks()}
            case Story():
                assert section.axis is not None, f"section {section.name} has a story and needs an axis"
                yield "story", list(_story(section.axis))
            case _:
                yield type(block).__name__.lower(), block


def _story(axis: TimeAxis) -> Iterator[dict[str, Any]]:
    """Bars of faults, then marks, then the time that the level was broken; `left` and `width` in percent."""
    items: list[Span | Mark] = [*axis.faults, *axis.marks]
    for item in items:
        start_s, stop_s = (item.start_s, item.end_s) if isinstance(item, Span) else (item.t_s, item.t_s)
        left = axis.at(start_s)
        yield {
            "kind": item.kind,
            "label": item.label,
            "bars": [(left, axis.at(stop_s) - left)],
            # A label runs from its bar to where there is more room.
            "beside": ("left", left) if left <= 50 else ("right", round(100 - axis.at(stop_s), 3)),
        }
    if axis.broken:
        bars = [(axis.at(span.start_s), axis.at(span.end_s) - axis.at(span.start_s)) for span in axis.broken]
        left = bars[0][0]
        beside = ("left", left) if left <= 50 else ("right", round(100 - sum(bars[-1]), 3))
        yield {"kind": "broken", "label": "service level broken", "bars": bars, "beside": beside}


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("azsim.report", _TEMPLATES),
        autoescape=True,  # every text of a user passes through here
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@functools.cache
def _asset(name: str) -> str:
    return resources.files("azsim.report").joinpath(_TEMPLATES, name).read_text(encoding="utf-8")
