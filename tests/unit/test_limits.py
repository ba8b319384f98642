"""Limits on what an instance lets in: single steps and small stories, reckoned by hand."""

from __future__ import annotations

import pytest

from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.policy import limits
from tests.plans import make_plan, population, service
from tests.story import ONE, both, play, state

OK, OVERLOAD = Outcome.OK, Outcome.OVERLOAD


@pytest.mark.parametrize(
    ("limit", "rtt", "held", "dropped", "expected"),
    [
        (20, 1, 10, 0, 21),  # half used: grows
        (20, 1, 9, 0, 20),
        (25, 1, 1, 1, 22),  # 22.5, rounded down
        (30, 5001, 1, 0, 27),  # slow
        (30, 5000, 1, 0, 30),
        (21, 1, 1, 1, 20),  # 18, but at least 20
        (200, 1, 150, 0, 200),
    ],
)
def test_steps_of_aimd(limit: float, rtt: int, held: int, dropped: int, expected: float) -> None:
    assert limits.aimd_after(limit, rtt, held, dropped, 20, 200, 0.9, 5000) == expected


@pytest.mark.parametrize(
    ("rtt", "held", "expected"),
    [
        (100, 20, 20.8),  # nothing longer than usual: 0.8 x 20 + 0.2 x (20 + 4)
        (150, 20, 20.8),  # still tolerated
        (200, 20, 19.8),  # gradient 0.75: 16 + 0.2 x (15 + 4)
        (900, 20, 18.8),  # gradient at least 0.5: 16 + 0.2 x (10 + 4)
        (900, 9, 20),  # less than half used
    ],
)
def test_steps_of_gradient2(rtt: int, held: int, expected: float) -> None:
    found = limits.gradient2_after(20, rtt, held, 100.0, 10, 200, 0.2, 4, 1.5)
    assert found == pytest.approx(expected, abs=1e-12)
    assert limits.gradient2_after(20, 900, 20, 100.0, 19, 200, 0.2, 4, 1.5) == 19
    assert limits.gradient2_after(200, 100, 200, 100.0, 19, 200, 0.2, 4, 1.5) == 200


def test_the_long_term_time_of_gradient2() -> None:
    assert limits.average_after(0.0, 0, 10.0, 600) == 10
    assert limits.average_after(10.0, 1, 20.0, 600) == 15
    assert limits.average_after(10.0, 9, 20.0, 600) == 11
    assert limits.average_after(10.0, 10, 310.0, 600) == pytest.approx(10 + 300 * 2 / 601)
    assert limits.gradient2_average_after(200.0, 100) == 200
    assert limits.gradient2_average_after(201.0, 100) == pytest.approx(190.95)


@pytest.mark.parametrize(
    ("limit", "rtt", "held", "dropped", "expected"),
    [
        (20, 100, 10, 0, 26),  # no queue: + 6 log
        (20, 110, 10, 0, 21),  # ceil(1.82) = 2 < 3: + log
        (20, 125, 10, 0, 20),  # 4: between 3 and 6
        (20, 160, 10, 0, 19),  # 8 > 6: - log
        (20, 100, 10, 1, 19),  # dropped
        (20, 100, 9, 0, 20),  # less than half used
        (100, 100, 90, 0, 112),  # log is 2
        (1, 100, 1, 1, 1),
        (999, 100, 900, 0, 1000),
    ],
)
def test_steps_of_vegas(limit: float, rtt: int, held: int, dropped: int, expected: float) -> None:
    assert limits.vegas_after(limit, rtt, held, dropped, 100, 1000) == expected


def test_logarithms_and_probes_of_vegas() -> None:
    assert [limits.log10_of(x) for x in (1, 9, 99, 100, 999, 1000, 1e6, 1e9)] == [1, 1, 1, 2, 2, 3, 6, 6]
    # The least draw asks for 0.5 x 30 x 20 samples, the greatest for twice that.
    assert [limits.vegas_probes(20, n, 0) for n in (299, 300)] == [False, True]
    assert [limits.vegas_probes(20, n, (1 << 63) - 1) for n in (599, 600)] == [False, True]


def test_tokens_come_back_one_by_one() -> None:
    """A burst of two and a token a microsecond."""
    interval, full_at, given = 1000 * 1024, 0, []
    for t in (0, 0, 0, 999, 1000, 1000, 9000, 9000, 9000):
        full_at, one = limits.token_after(t, full_at, interval, 2)
        given.append(one)
    assert given == [1, 1, 0, 0, 1, 0, 1, 1, 0]


def test_a_fixed_limit_counts_those_who_wait() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[10, 20, 30, 120])],
        services=[service(per_zone=ONE, work_ns=100, limit=limits.FIXED, limit_start=2.0)],
    )
    story = play(plan, 1000)
    assert story.ends() == [(30, OVERLOAD), (110, OK), (210, OK), (310, OK)]
    assert story.served(layout.OVERLOADED) == [30]


def test_a_rate_limit_at_the_instance() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[10, 40, 60, 100])],
        services=[service(per_zone=ONE, slots=4, work_ns=10, token_interval=50 * 1024)],
    )
    assert play(plan, 1000).ends() == [(20, OK), (40, OVERLOAD), (70, OK), (100, OVERLOAD)]


@pytest.mark.parametrize(("crashes", "turned_away"), [(False, 2), (True, 4)])
def test_aimd_learns_from_what_ends_and_forgets_in_a_crash(crashes: bool, turned_away: int) -> None:
    """From 2: the request of 10 was alone (2 x 1 >= 2: 3), that of 20 one of two (2 x 2 >= 3: 4). Four of six enter."""
    plan = make_plan(
        populations=[population(arrivals_ns=[10, 20, *[300] * 6])],
        services=[
            service(per_zone=ONE, work_ns=100, limit=limits.AIMD, limit_start=2.0, limit_least=1.0, limit_most=9.0)
        ],
    )
    restart = both(state(InstanceState.CRASHED), state(InstanceState.UP))
    story = play(plan, 1500, {250: restart} if crashes else {})
    assert story.served(layout.OVERLOADED) == [300] * turned_away


def test_what_the_queue_drops_is_a_drop_to_the_limit() -> None:
    """The request of 20 expires in the queue at 90: from 8 the limit goes to 9 (that of 10), then, at 110, to 4.

    Those of 300 find a limit of 4.
    """
    plan = make_plan(
        populations=[
            population(arrivals_ns=[10, *[300] * 6]),
            population(name="hasty", arrivals_ns=[20], timeout_ns=70),
        ],
        services=[
            service(
                per_zone=ONE,
                work_ns=100,
                drop_expired=1,
                limit=limits.AIMD,
                limit_start=8.0,
                limit_least=1.0,
                limit_most=9.0,
                limit_ratio=0.5,
            )
        ],
    )
    story = play(plan, 1500)
    assert story.served(layout.DROPPED) == [110]
    assert story.served(layout.OVERLOADED) == [300, 300]
