"""Circuit breakers (D66-D68), reckoned by hand. Times are nanoseconds."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.dataplane.layout import Plan
from azsim.policy import breakers
from tests.plans import call, make_plan, population, service
from tests.story import ONE, Story, play, state

UP, CRASHED = InstanceState.UP, InstanceState.CRASHED
OK, ERROR, REFUSED, TIMEOUT, OPEN = (
    Outcome.OK,
    Outcome.ERROR,
    Outcome.REFUSED,
    Outcome.TIMEOUT,
    Outcome.BREAKER_OPEN,
)


def guarded(arrivals_ns: list[int], **hop: Any) -> Plan:
    given = {"breaker_on": [REFUSED, ERROR], "breaker_open_ns": 1000, "breaker_window": 1000} | hop
    return make_plan(
        populations=[population(arrivals_ns=arrivals_ns, **given)],
        services=[service(per_zone=ONE, work_ns=10, slots=9)],
    )


def words(story: Story) -> str:
    """What became of the requests, in order: o(k), x (refused), - (kept back)."""
    letters = {OK: "o", REFUSED: "x", ERROR: "e", OPEN: "-", TIMEOUT: "t"}
    return "".join(letters[outcome] for _, outcome in story.ends())


def outcomes(pattern: str, until_ns: int = 0, **hop: Any) -> str:
    """What becomes of requests 100 ns apart from 1000 on, to an instance that is up (o) or crashed (x) at each."""
    arrivals_ns = [1000 + 100 * k for k in range(len(pattern))]
    control = {t - 50: state(UP if letter == "o" else CRASHED) for t, letter in zip(arrivals_ns, pattern, strict=True)}
    plan = guarded(arrivals_ns, **hop)
    assert plan.rich
    return words(play(plan, arrivals_ns[-1] + 500, control))


def test_failures_in_a_row_trip_it() -> None:
    # Trips at the third in a row, 1500; open until 2500, for all of ten requests; then one probe, which succeeds.
    pattern = "xxoxxx" + "o" * 9 + "oo"
    kept = outcomes(pattern, breaker=breakers.CONSECUTIVE, breaker_volume=3)
    assert kept == "xxoxxx" + "-" * 9 + "oo"


def test_open_ends_at_its_very_instant() -> None:
    for open_ns, expected in ((200, "x-o"), (201, "x--"), (199, "x-o")):
        assert outcomes("xoo", breaker=breakers.CONSECUTIVE, breaker_volume=1, breaker_open_ns=open_ns) == expected


def test_a_failed_probe_opens_it_again() -> None:
    # Trips at 1000; probes at 1300 and, 300 later, 1600: the first fails, the second closes it.
    kept = outcomes("x" * 6 + "oo", breaker=breakers.CONSECUTIVE, breaker_volume=1, breaker_open_ns=300)
    assert kept == "x--x--oo"


def test_what_the_breaker_does_not_name_is_neither_success_nor_failure() -> None:
    """Refusals are not in `on` here: they neither trip it nor end a row of errors."""
    arrivals_ns = [1000, 1100, 1200, 1300]
    plan = guarded(arrivals_ns, breaker=breakers.CONSECUTIVE, breaker_volume=2, breaker_on=[ERROR])
    control = {
        950: lambda plane: plane.set_error_share(0, 1.0),
        1050: state(CRASHED),
        1150: state(UP),
    }
    assert words(play(plan, 3000, control)) == "exe-"


def test_only_so_many_probes_at_once_and_their_places_come_back() -> None:
    """Half-open from 2000 on with two places. Of three requests at that time the third is kept back; a probe that is
    refused, which is neither, gives its place back.
    """
    given: dict[str, Any] = {"breaker": breakers.CONSECUTIVE, "breaker_volume": 1, "breaker_probes": 2}
    plan = make_plan(
        populations=[
            population(arrivals_ns=[1000, 2000, 2001, 2002, 2100], breaker_on=[ERROR], breaker_open_ns=1000, **given)
        ],
        services=[service(per_zone=ONE, work_ns=50, slots=9)],
    )
    control = {950: lambda plane: plane.set_error_share(0, 1.0), 1500: lambda plane: plane.set_error_share(0, 0.0)}
    story = play(plan, 4000, control, tick_ns=1)
    assert story.ends() == [(1000, ERROR), (2002, OPEN), (2050, OK), (2051, OK), (2150, OK)]
    refused = play(plan, 4000, control | {1900: state(CRASHED), 2050: state(UP)}, tick_ns=1)
    # All three are refused at once, one after the other: each gives its place back.
    assert refused.ends() == [(1000, ERROR), (2000, REFUSED), (2001, REFUSED), (2002, REFUSED), (2150, OK)]


def test_an_outcome_of_an_earlier_period_means_nothing() -> None:
    """Two attempts time out 500 after their send; the first trips the breaker for 300. The second's timeout comes while
    it is half-open or closed again, and does not count.
    """
    plan = make_plan(
        populations=[
            population(
                arrivals_ns=[1000, 1400, 1850, 1950],
                timeout_ns=500,
                breaker=breakers.CONSECUTIVE,
                breaker_volume=1,
                breaker_on=[TIMEOUT],
                breaker_open_ns=300,
            )
        ],
        services=[service(per_zone=ONE, work_ns=10, slots=9)],
    )
    control = {900: lambda plane: plane.set_latency(0, 9000), 1700: lambda plane: plane.set_latency(0, 0)}
    assert play(plan, 4000, control).ends() == [(1500, TIMEOUT), (1860, OK), (1900, TIMEOUT), (1960, OK)]


def test_a_kept_back_attempt_is_retried_if_on_names_it() -> None:
    given: dict[str, Any] = {
        "breaker": breakers.CONSECUTIVE,
        "breaker_volume": 1,
        "attempts": 3,
        "backoff": 1,
        "backoff_base_ns": 600,
        "backoff_cap_ns": 600,
    }
    for retry_on, ends in (([REFUSED], [(1600, OPEN)]), ([REFUSED, OPEN], [(2210, OK)])):
        plan = guarded([1000], retry_on=retry_on, **given)
        story = play(plan, 4000, {900: state(CRASHED), 1100: state(UP)})
        assert story.ends() == ends
        # Kept back, it is no attempt of the population, and none that the service sees.
        assert story.attempts() == story.served(layout.SENT) == [1000] + [2200] * (len(retry_on) - 1)
        assert story.hop()[OPEN] == 1


def test_the_breaker_of_an_instance_is_closed_again_after_its_restart() -> None:
    plan = make_plan(
        populations=[population("web", arrivals_ns=[1000, 1100, 1300])],
        services=[
            service(
                "web",
                per_zone=ONE,
                calls=[
                    call(
                        "db",
                        breaker=breakers.CONSECUTIVE,
                        breaker_volume=1,
                        breaker_on=[REFUSED],
                        breaker_open_ns=90_000,
                    )
                ],
            ),
            service("db", per_zone=ONE),
        ],
    )
    story = play(plan, 3000, {500: state(CRASHED, instance=1), 1200: state(CRASHED), 1210: state(UP)})
    assert story.served(layout.SENT, 1) == [1000, 1300]
    assert story.hop(1) == {REFUSED: 2, OPEN: 1}


# Rates: products' thresholds.


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("oxoxoxox" + "oo", "oxoxoxox" + "--"),  # at the eighth: 4 of 8, exactly half
        ("oxoxoxoo" + "oo", "oxoxoxoo" + "oo"),  # 3 of 8
        ("xxxxxxx" + "xo", "xxxxxxx" + "x-"),  # nothing is judged before the eighth
        ("ooooxxxx" + "oo", "ooooxxxx" + "--"),
        ("xxxooooo" + "xxxx" + "o", "xxxooooo" + "xxxx" + "-"),  # for each new failure an old one leaves, but the last
    ],
)
def test_a_count_window_judges_the_last_attempts(pattern: str, expected: str) -> None:
    found = outcomes(pattern, breaker=breakers.COUNT_WINDOW, breaker_window=8, breaker_volume=8, breaker_rate=500_000)
    assert found == expected


def test_a_time_window_forgets_what_is_older() -> None:
    """Tenths of 100: at t the window begins with the tenth nine before t's. Two of three fail, of at least three."""
    arrivals_ns = [1000, 1050, 1990, 2010, 2020]
    given: dict[str, Any] = {
        "breaker": breakers.TIME_WINDOW,
        "breaker_volume": 3,
        "breaker_rate": 600_000,
        "breaker_part_ns": 100,
    }
    # At 1990 the three of the window have failed: it trips, and the next two are kept back.
    assert words(play(guarded(arrivals_ns, **given), 3500, {900: state(CRASHED)})) == "xxx--"
    later = [1000, 1050, 2000, 2010, 2020, 2030]
    # At 2000 the window begins at 1100: it takes until 2020 to have three.
    assert words(play(guarded(later, **given), 3500, {900: state(CRASHED)})) == "xxxxx-"


def test_half_open_by_rate_waits_for_all_probes() -> None:
    """Then four probes: two failures of four open it again (at 1610, until 1810), one does not."""
    given: dict[str, Any] = {
        "breaker": breakers.COUNT_WINDOW,
        "breaker_window": 2,
        "breaker_volume": 2,
        "breaker_rate": 500_000,
        "breaker_probes": 4,
        "breaker_open_ns": 200,
    }
    assert outcomes("xx" + "o" + "xoxo" + "ooo", **given) == "xx" + "-" + "xoxo" + "--o"
    assert outcomes("xx" + "o" + "xooo" + "ooo", **given) == "xx" + "-" + "xooo" + "ooo"


# Cumulative.


def test_a_cumulative_breaker_stops_retries_alone() -> None:
    """Failed attempts over calls, above a half. 1: 1/1. 2: 1/2 (ok). 3: 2/3. 4: 3/4. 5, 6, 7 ok: 3/7. 8: 4/8, a retry,
    which fails: 5/8.
    """
    kept = outcomes(
        "xoxxoooxx",
        breaker=breakers.CUMULATIVE,
        breaker_rate=500_000,
        attempts=3,
        retry_on=[REFUSED],
    )
    assert kept == "-o--ooo--"
    plan = guarded(
        [1000, 1100, 1200], breaker=breakers.CUMULATIVE, breaker_rate=400_000, attempts=3, retry_on=[REFUSED]
    )
    story = play(plan, 3000, {1150: state(CRASHED)})
    # Third call: 1/3 allows a retry, 2/3 does not.
    assert story.attempts() == [1000, 1100, 1200, 1200]
    assert story.ends()[-1] == (1200, OPEN)
