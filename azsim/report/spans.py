"""What of a result lies on its time axis, as spans and marks with labels, and how labels share rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from azsim.report import words


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasts from `start_s` to `end_s`."""

    kind: Literal["fault", "broken"]
    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happens at `t_s`."""

    kind: Literal["detected", "returned", "recovered", "collapse", "outage", "aborted"]
    t_s: float
    label: str


def end_s(facts: Mapping[str, Any]) -> float:
    """When the run of a result ends, in whole seconds."""
    return float(facts["timeline"]["t_s"][-1]) + 1.0


def fault_spans(facts: Mapping[str, Any]) -> list[Span]:
    """The faults of a result as they happened, by start."""
    last_s = end_s(facts)
    spans = [
        Span(
            "fault", float(fault["start_s"]), last_s if fault["end_s"] is None else float(fault["end_s"]), fault["what"]
        )
        for fault in facts["faults"]
    ]
    return sorted(spans, key=lambda span: (span.start_s, span.end_s, span.label))


def broken_spans(facts: Mapping[str, Any]) -> list[Span]:
    """When the service level was broken by any of its bounds (J2): the seconds that end a broken window, joined."""
    joined: list[tuple[float, float]] = []
    for violation in facts["violations"]:
        rule = str(violation["rule"])
        if rule != "success" and not rule.startswith("latency_"):
            continue
        first_s, last_s = float(violation["first_s"]) - 1.0, float(violation["last_s"])
        if joined and first_s <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last_s))
        else:
            joined.append((first_s, last_s))
    return [Span("broken", first_s, last_s, "service level broken") for first_s, last_s in joined]


def marks(facts: Mapping[str, Any]) -> list[Mark]:
    """The instants a reader looks for, first of all first: what became of the service level, an abort, detections and
    returns to rotation.
    """
    found: list[Mark] = []
    broken = broken_spans(facts)
    if broken and facts["verdict"] in ("collapse", "outage"):
        kind: Literal["collapse", "outage"] = facts["verdict"]
        found.append(Mark(kind, broken[-1].start_s, f"{kind} {words.clock(broken[-1].start_s)}"))
    if broken and broken[-1].end_s < end_s(facts):
        found.append(Mark("recovered", broken[-1].end_s, f"level holds again {words.clock(broken[-1].end_s)}"))
    if facts["aborted_at_s"] is not None:
        aborted_s = float(facts["aborted_at_s"])
        found.append(Mark("aborted", aborted_s, f"aborted {words.clock(aborted_s)}"))
    for fault in facts["faults"]:
        if fault["detected_s"] is not None:
            after = words.seconds(fault["detected_s"] - fault["start_s"])
            found.append(Mark("detected", float(fault["detected_s"]), f"detected after {after}"))
        if fault["returned_s"] is not None and fault["returned_s"] > fault["end_s"]:
            after = words.seconds(fault["returned_s"] - fault["end_s"])
            found.append(Mark("returned", float(fault["returned_s"]), f"back in rotation after {after}"))
    return found


def packed(items: Sequence[Any], extent: Callable[[Any], tuple[float, float]]) -> list[list[Any]]:
    """`items` in rows such that no two of a row overlap; `extent` gives where an item begins and ends."""
    rows: list[list[Any]] = []
    for item in items:
        low, high = extent(item)
        for row in rows:
            if all(high <= other_low or low >= other_high for other_low, other_high in map(extent, row)):
                row.append(item)
                break
        else:
            rows.append([item])
    return rows
