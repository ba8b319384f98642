"""Colours and names that the picture of a run and its page share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# The colours of Okabe and Ito, which colour-blind people can tell apart.
BLUE, SKY, ORANGE, GREEN = "#0072B2", "#56B4E9", "#E69F00", "#009E73"
VERMILION, PURPLE, YELLOW, BLACK = "#D55E00", "#CC79A7", "#F0E442", "#000000"
GREY, PALE = "#8C8C8C", "#E8E8E8"

ZONE_STYLES: Final = tuple(
    zip((BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK), ("-", "--", "-.", ":", "-", "--"), strict=True)
)
# Colour and name of each outcome that fails a request, one whichever of them a run has.
FAILURES: Final[Mapping[str, tuple[str, str]]] = {
    "timeout": (VERMILION, "timeout (HTTP 504)"),
    "deadline": (ORANGE, "deadline (HTTP 504)"),
    "overload": (PURPLE, "overload (HTTP 503)"),
    "no-target": (BLACK, "no target (HTTP 503)"),
    "error": ("#7F0000", "error (HTTP 500)"),
    "refused": (YELLOW, "connection refused"),
    "reset": ("#8B4513", "connection reset"),
    "budget-exhausted": (GREY, "retry budget spent"),
    "breaker-open": ("#5A5A5A", "breaker open"),
    "cancelled": ("#B8B8B8", "cancelled"),
}
VERDICT_COLOURS: Final[Mapping[str, str]] = {
    "collapse": "#B03A00",
    "outage": "#B03A00",
    "degraded": "#8A6100",
    "invalid": "#8A6100",
    "undecided": "#8A6100",
    "no-impact": "#00664B",
    "improved": "#00664B",
}
MARK_COLOURS: Final[Mapping[str, str]] = {
    "detected": BLUE,
    "returned": PURPLE,
    "recovered": GREEN,
    "collapse": VERMILION,
    "outage": VERMILION,
    "aborted": BLACK,
}
