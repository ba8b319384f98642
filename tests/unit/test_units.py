"""Quantities with units are exact, and anything else is refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azsim.base import units
from azsim.base.units import Comparison, UnitError


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("250ms", 250_000_000),
        ("10s", 10_000_000_000),
        ("5min", 300_000_000_000),
        ("1h", 3_600_000_000_000),
        ("0.25ms", 250_000),
        ("5us", 5_000),
        ("7ns", 7),
        ("0s", 0),
        ("1e3s", 1_000_000_000_000),
        ("0.1s", 100_000_000),
        # 2.3 s as a float is 2.29999... s: texts are read as decimal numbers.
        ("2.3s", 2_300_000_000),
        ("8784h", units.DURATION_NS_MAX),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert units.parse_duration(text) == ns


@pytest.mark.parametrize(("text", "ns"), [("0.1ns", 1), ("1.0000000001s", 1_000_000_001), ("1.9ns", 2), ("2.0ns", 2)])
def test_durations_are_rounded_up(text: str, ns: int) -> None:
    assert units.parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "per_s"), [("1200/s", 1200.0), ("90/min", 1.5), ("5/h", 5 / 3600), ("0/s", 0.0), ("0.5/s", 0.5)]
)
def test_rates(text: str, per_s: float) -> None:
    assert units.parse_rate(text) == per_s


@pytest.mark.parametrize(("text", "share"), [("80%", 0.8), ("0%", 0.0), ("100%", 1.0), ("99.9%", 0.999), ("7%", 0.07)])
def test_shares(text: str, share: float) -> None:
    assert units.parse_share(text) == share


NOT_QUANTITIES = [
    *(10, 10.0, True, None, [], {}, b"10s", float("nan"), float("inf")),
    *("", " ", "10", "s", "10 s", " 10s", "10s ", "10s\n", "10S", "10sec", "10m", "1d", "1h30min", "0x10s", "1_000s"),
    *("nan", "nans", "infs", "inf/s", "nan%", "+1s", "-1s", "--1s", "1.s", ".5s", "1,5s", "1e9999s", "١s", "１s"),
    *(
        "9000h",
        "1e20h",
        "1e999s",
        "100/",
        "1/ms",
        "1/d",
        "1e12/s",
        "-1/s",
        "101%",
        "-1%",
        "80 %",
        "80%%",
        "9" * 10_000 + "s",
    ),
]


@pytest.mark.parametrize("parse", [units.parse_duration, units.parse_rate, units.parse_share])
@pytest.mark.parametrize("value", NOT_QUANTITIES, ids=lambda value: repr(value)[:20])
def test_anything_else_is_refused(parse: Callable[[object], float], value: object) -> None:
    with pytest.raises(UnitError) as caught:
        parse(value)
    assert caught.value.rule
    parse(caught.value.example)  # the example would do


@given(st.integers(0, units.DURATION_NS_MAX))
def test_durations_are_written_and_read_back_exactly(ns: int) -> None:
    assert units.parse_duration(units.format_duration(ns)) == ns


@given(st.floats(0, units.RATE_PER_S_MAX))
def test_rates_are_written_and_read_back_exactly(per_s: float) -> None:
    assert units.parse_rate(units.format_rate(per_s)) == per_s


@given(st.floats(0, 1))
def test_shares_are_written_and_read_back_exactly(share: float) -> None:
    assert units.parse_share(units.format_share(share)) == share


@pytest.mark.parametrize(
    ("ns", "text"), [(0, "0s"), (250_000, "250us"), (90_000_000_000, "90s"), (3_600_000_000_000, "1h"), (1, "1ns")]
)
def test_durations_are_written_in_the_largest_whole_unit(ns: int, text: str) -> None:
    assert units.format_duration(ns) == text


def test_shares_are_written_as_people_write_them() -> None:
    assert [units.format_share(share) for share in (0.999, 0.07, 1.0, 0.0, 0.8)] == ["99.9%", "7%", "100%", "0%", "80%"]


@pytest.mark.parametrize(
    ("text", "dimension", "limit"),
    [(">= 99.9%", "share", 0.999), ("<= 500ms", "duration", 500_000_000), ("< 3", "count", 3), (">20%", "share", 0.2)],
)
def test_comparisons(text: str, dimension: units.Dimension, limit: float) -> None:
    found = units.parse_comparison(text, dimension, (">=", ">", "<=", "<"))
    assert (found.limit, found.dimension) == (limit, dimension)
    assert found.relation == text.rstrip("0123456789.%ms ")
    assert units.parse_comparison(str(found), dimension, (">=", ">", "<=", "<")) == found


@pytest.mark.parametrize(
    ("relation", "below", "equal", "above"),
    [(">=", False, True, True), (">", False, False, True), ("<=", True, True, False), ("<", True, False, False)],
)
def test_comparisons_hold_as_they_say(relation: units.Relation, below: bool, equal: bool, above: bool) -> None:
    bound = Comparison(relation, 0.5, "share")
    assert (bound.holds(0.4), bound.holds(0.5), bound.holds(0.6)) == (below, equal, above)
    assert not bound.holds(math.nan)


@pytest.mark.parametrize(
    "text", ["99%", "= 99%", "=> 99%", "<= 99%", ">= 99", ">= -1%", ">=  99%", ">= 99% ", 0.99, None]
)
def test_comparisons_of_another_form_are_refused(text: object) -> None:
    with pytest.raises(UnitError, match="a bound is >= or > and a share"):
        units.parse_comparison(text, "share", (">=", ">"))
