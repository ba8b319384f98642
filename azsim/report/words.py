"""Numbers as people read them, and the words for verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from azsim.simulation.explained import ill_spread, proven

VERDICTS: Final[Mapping[str, str]] = {
    "collapse": "capacity was enough",
    "outage": "too little capacity",
    "degraded": "broken, but back in time",
    "no-impact": "the service level was never broken",
    "improved": "never broken, and faster than before",
    "invalid": "broken before the first fault",
    "undecided": "the run ends before a deadline",
}
"""What each verdict means (J3)."""

MISSING: Final = "-"


def verdict_line(facts: Mapping[str, Any]) -> str:
    """The verdict of a result and what it means: `COLLAPSE (capacity was enough; it stays down by itself)`."""
    verdict = str(facts["verdict"])
    meaning = VERDICTS[verdict]
    if verdict == "collapse" and not proven(facts["replays"]):
        meaning = "whether capacity was enough is not shown"
    if ill_spread(verdict, facts["deadlines"], facts["timeline"]) is not None:
        meaning += " as the load is spread"
    if facts["metastable"]:
        meaning += "; it stays down by itself"
    return f"{verdict.upper()} ({meaning})"


def clock(t_s: float) -> str:
    """An instant of the run: `05:00`, or `1:05:00` from one hour on."""
    minutes, seconds = divmod(int(t_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes:02d}:{seconds:02d}"


def seconds(duration_s: float | None) -> str:
    """A duration with three digits at most: `95 ms`, `1.4 s`, `5 min`."""
    if duration_s is None:
        return MISSING
    if duration_s == 0:
        return "0 s"
    if duration_s < 0.0009995:
        return f"{_digits(duration_s * 1e6)} us"
    if duration_s < 0.9995:
        return f"{_digits(duration_s * 1e3)} ms"
    if duration_s < 120 and duration_s % 60:
        return f"{_digits(duration_s)} s"
    if duration_s < 7200:
        return f"{_digits(duration_s / 60)} min"
    return f"{_digits(duration_s / 3600)} h"


def share(fraction: float | None) -> str:
    """A share as a percentage with one decimal, and with more where rounding would claim all or nothing."""
    if fraction is None:
        return MISSING
    percent = 100 * fraction
    for decimals in range(1, 4):
        text = f"{percent:.{decimals}f}"
        if float(text) not in (0.0, 100.0) or percent in (0.0, 100.0):
            return f"{text}%"
    return "< 0.001%" if percent < 50 else "> 99.999%"


def percent(fraction: float | None) -> str:
    """A share without decimals."""
    return MISSING if fraction is None else f"{100 * fraction:.0f}%"


def rate(rate_per_s: float) -> str:
    """Events per second: `2880/s`."""
    return f"{_digits(rate_per_s) if rate_per_s < 100 else f'{rate_per_s:.0f}'}/s"


def count(number: float) -> str:
    """A count, thousands apart: `3 456 000`."""
    return f"{number:,.0f}".replace(",", " ")


def short_count(number: float) -> str:
    """A count with two or three digits: `4.1 million`."""
    for size, word in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if number >= size:
            return f"{_digits(number / size)}{word}"
    return f"{number:.0f}"


def _digits(number: float) -> str:
    """One decimal below 10 unless it is 0, none above."""
    text = f"{number:.1f}" if number < 9.95 else f"{number:.0f}"
    return text.removesuffix(".0")
