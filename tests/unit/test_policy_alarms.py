"""How alarms judge their points: the tables of CloudWatch's documentation, and what its text says of them (S2)."""

from __future__ import annotations

import pytest

from azsim.policy.alarms import BREACHING, IGNORE, MISSING, NOT_BREACHING, AlarmState, band, judged

OK, ALARM, NONE = AlarmState.OK, AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA
SIGNS = {"X": True, "0": False, "-": None}
KEEP = "keep"


def points(text: str) -> list[bool | None]:
    return [SIGNS[sign] for sign in text]


@pytest.mark.parametrize(
    ("text", "count", "missing", "ignore", "breaching", "not_breaching"),
    [
        # All of 3 must breach; five points are looked at.
        ("0-X-X", 3, OK, OK, OK, OK),
        ("0----", 3, OK, OK, OK, OK),
        ("-----", 3, NONE, KEEP, ALARM, OK),
        ("0XX-X", 3, ALARM, ALARM, ALARM, ALARM),
        ("--X--", 3, ALARM, KEEP, ALARM, OK),
        ("X----", 3, ALARM, KEEP, ALARM, OK),
        # 2 of 3.
        ("0-X-X", 2, ALARM, ALARM, ALARM, ALARM),
        ("00X0X", 2, ALARM, ALARM, ALARM, ALARM),
        ("0-X--", 2, OK, OK, ALARM, OK),
        ("----0", 2, OK, OK, ALARM, OK),
        ("---X-", 2, ALARM, KEEP, ALARM, OK),
        # A lone breach that the next point may contradict raises no alarm.
        ("----X", 3, NONE, KEEP, ALARM, OK),
        ("---X-", 3, NONE, KEEP, ALARM, OK),
        # Nothing is missing: only the newest three count.
        ("XXX00", 3, OK, OK, OK, OK),
        ("00XXX", 3, ALARM, ALARM, ALARM, ALARM),
    ],
)
def test_the_documented_tables(
    text: str, count: int, missing: object, ignore: object, breaching: object, not_breaching: object
) -> None:
    treatments = {MISSING: missing, IGNORE: ignore, BREACHING: breaching, NOT_BREACHING: not_breaching}
    for treatment, wanted in treatments.items():
        for before in AlarmState:
            found = judged(points(text), count, 3, treatment, before)
            assert found is (before if wanted == KEEP else wanted), (treatment, before)


def test_enough_real_points_make_the_treatment_irrelevant() -> None:
    for treatment in (MISSING, IGNORE, BREACHING, NOT_BREACHING):
        assert judged(points("X-0-0"), 1, 3, treatment, OK) is ALARM, "the oldest of three real points breaches"
        assert judged(points("X0-00"), 1, 3, treatment, OK) is OK


def test_an_alarm_on_one_point_reads_the_last_one_there_is() -> None:
    assert judged(points("X--"), 1, 1, MISSING, OK) is ALARM
    assert judged(points("0--"), 1, 1, BREACHING, ALARM) is OK, "a real point is there: nothing is filled in"
    assert judged(points("---"), 1, 1, BREACHING, OK) is ALARM


def test_a_band_is_mean_and_deviations() -> None:
    assert band([1.0], 2.0) is None
    assert band([1.0, 3.0], 2.0) == (0.0, 4.0)
    assert band([5.0, 5.0, 5.0], 3.0) == (5.0, 5.0)
