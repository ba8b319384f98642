"""Numbers as people read them."""

from __future__ import annotations

import pytest

from azsim.report import words


@pytest.mark.parametrize(
    ("t_s", "text"),
    [(0, "00:00"), (59.9, "00:59"), (300, "05:00"), (3599, "59:59"), (3600, "1:00:00"), (90061, "25:01:01")],
)
def test_clock(t_s: float, text: str) -> None:
    assert words.clock(t_s) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (None, "-"),
        (0, "0 s"),
        (0.0000125, "12 us"),
        (0.00025, "250 us"),
        (0.00999, "10 ms"),
        (0.0951, "95 ms"),
        (0.9996, "1 s"),
        (1.44, "1.4 s"),
        (15, "15 s"),
        (60, "1 min"),
        (119.4, "119 s"),
        (300, "5 min"),
        (7200, "2 h"),
    ],
)
def test_seconds(duration_s: float | None, text: str) -> None:
    assert words.seconds(duration_s) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (None, "-"),
        (0.0, "0.0%"),
        (1.0, "100.0%"),
        (0.968, "96.8%"),
        (0.9997, "99.97%"),
        (0.99999, "99.999%"),
        (0.0004, "0.04%"),
        (0.999996, "> 99.999%"),
        (1e-9, "< 0.001%"),
    ],
)
def test_a_share_is_all_or_nothing_only_when_it_is(fraction: float | None, text: str) -> None:
    assert words.share(fraction) == text


@pytest.mark.parametrize(("number", "text"), [(12, "12"), (4_100_000, "4.1 million"), (7_749, "7.7 thousand")])
def test_short_count(number: float, text: str) -> None:
    assert words.short_count(number) == text


def test_count_sets_thousands_apart() -> None:
    assert words.count(3456000) == "3 456 000"


@pytest.mark.parametrize(
    ("rate_per_s", "text"), [(2880.0, "2880/s"), (0.5, "0.5/s"), (12.25, "12/s"), (140.2, "140/s")]
)
def test_rate(rate_per_s: float, text: str) -> None:
    assert words.rate(rate_per_s) == text


@pytest.mark.parametrize(
    ("verdict", "metastable", "text"),
    [
        ("collapse", True, "COLLAPSE (capacity was enough; it stays down by itself)"),
        ("collapse", None, "COLLAPSE (capacity was enough)"),
        ("outage", False, "OUTAGE (too little capacity)"),
    ],
)
def test_the_verdict_is_spoken(verdict: str, metastable: bool | None, text: str) -> None:
    reset = {"change": "reset, retries off", "reset_at_s": 500.0, "recovers": verdict == "collapse"}
    facts = {"verdict": verdict, "metastable": metastable, "replays": [reset], "deadlines": [], "timeline": {}}
    assert words.verdict_line(facts) == text


def test_what_no_replay_has_shown_is_not_claimed() -> None:
    facts = {"verdict": "collapse", "metastable": None, "replays": [], "deadlines": [], "timeline": {}}
    assert words.verdict_line(facts) == "COLLAPSE (whether capacity was enough is not shown)"


def test_an_outage_may_be_one_of_spread() -> None:
    web = {"headroom": [0.1], "utilisation": {"a": [1.0], "b": [0.8]}, "healthy_view": {"a": [1], "b": [1]}}
    facts = {
        "verdict": "outage",
        "metastable": False,
        "replays": [],
        "deadlines": [{"t_s": 1.0, "level": "broken"}],
        "timeline": {"t_s": [0], "offered": [90], "attempts": [90], "services": {"web": web}},
    }
    assert words.verdict_line(facts) == "OUTAGE (too little capacity as the load is spread)"


def test_every_verdict_has_words() -> None:
    from typing import get_args

    from azsim.simulation.verdict import Verdict

    assert set(words.VERDICTS) == set(get_args(Verdict))
