"""The clock that joins both planes (O1)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azsim.base.units import SECOND_NS
from azsim.dataplane.codes import Reason
from azsim.dataplane.protocol import Notice
from azsim.simulation.environment import Environment, Rank, in_chunks
from azsim.simulation.trace import Event


def test_control_acts_before_the_data_of_its_instant(make_plane: Any) -> None:
    plane = make_plane()
    env = Environment(plane)
    seen = []
    env.call_at(700, (Rank.CONTROLLER, "x", 0), lambda: seen.append((env.now, plane.now_ns, plane.after_data)))
    env.run_to(1000)
    assert seen == [(700, 700, False)]
    assert plane.now_ns == 1000


def test_a_notice_stops_the_data_plane_and_control_acts_after_all_data_of_its_instant(make_plane: Any) -> None:
    plane = make_plane([Notice(300, 1, False), Notice(300, 0, False), Notice(500, 2, True)])
    env = Environment(plane)
    seen = []

    def act(notice: Notice) -> None:
        seen.append((env.now, notice.instance, plane.now_ns, plane.after_data))

    env.listen(lambda notice: env.post(0, "health.web", notice.instance, act, notice))
    env.call_at(900, (Rank.CONTROLLER, "x", 0), lambda: seen.append((env.now, "x", plane.now_ns, plane.after_data)))
    env.run_to(1000)
    # At 300 by instance, though the data plane noticed 1 before 0.
    assert seen == [(300, 0, 300, True), (300, 1, 300, True), (500, 2, 500, True), (900, "x", 900, False)]


def test_at_one_instant_control_comes_before_data_and_a_notice_after_it(make_plane: Any) -> None:
    plane = make_plane([Notice(300, 0, False)])
    env = Environment(plane)
    seen: list[Any] = []
    env.listen(seen.append)
    env.call_at(300, (Rank.CONTROLLER, "z", 0), lambda: seen.append("control"))
    env.run_to(301)
    assert seen == ["control", Notice(300, 0, False)]


def test_nothing_at_the_end_happens(make_plane: Any) -> None:
    plane = make_plane([Notice(1000, 0, False)])
    env = Environment(plane)
    seen: list[Any] = []
    env.listen(seen.append)
    env.call_at(1000, (Rank.FAULT_END, "", 0), lambda: seen.append("control"))
    env.run_to(1000)
    assert seen == []
    assert plane.now_ns == 1000


KEYS = st.tuples(
    st.integers(1, 3), st.sampled_from(Rank), st.sampled_from(["health.web", "router.web", "abort"]), st.integers(0, 3)
)


@given(keys=st.lists(KEYS, unique=True, max_size=12), shuffle=st.randoms(use_true_random=False))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_at_one_instant_is_that_of_the_keys(make_plane: Any, keys: list[Any], shuffle: Any) -> None:
    made = list(keys)
    shuffle.shuffle(made)
    env = Environment(make_plane())
    seen = []
    for t_ns, *key in made:
        env.call_at(t_ns, tuple(key), lambda t_ns=t_ns, key=key: seen.append((env.now, *key)))
    env.run_to(10)
    assert seen == sorted(keys)


def test_the_data_plane_runs_from_one_control_event_to_the_next_without_a_tick(make_plane: Any) -> None:
    plane = make_plane()
    env = Environment(plane)
    env.call_at(SECOND_NS + 7, (Rank.CONTROLLER, "x", 0), lambda: None)
    env.run_to(3 * SECOND_NS - 1)
    assert plane.advances == [SECOND_NS, SECOND_NS + 7, 2 * SECOND_NS, 3 * SECOND_NS - 1]


def test_rows_begin_at_whole_seconds_and_where_asked_but_once(make_plane: Any) -> None:
    plane = make_plane([Notice(1_500_000_000, 0, False), Notice(4 * SECOND_NS - 1, 0, True)])
    env = Environment(plane)
    env.listen(lambda _: env.cut())  # after all data of that instant: the row begins 1 ns later
    for t_ns in (0, 2 * SECOND_NS, 2_500_000_000):
        env.call_at(t_ns, (Rank.FAULT_START, "", 0), env.cut)
        env.call_at(t_ns, (Rank.CONTROLLER, "x", 0), env.cut)
    env.run_to(4 * SECOND_NS)
    # None at 0, where the first row is open, and none at the end, where it would be empty.
    assert plane.rows_ns == [SECOND_NS, 1_500_000_001, 2 * SECOND_NS, 2_500_000_000, 3 * SECOND_NS]


def test_a_wait_without_a_key_is_refused(make_plane: Any) -> None:
    env = Environment(make_plane())
    with pytest.raises(RuntimeError, match="until"):
        env.timeout(5)
    env.call_at(10, (Rank.CONTROLLER, "x", 0), lambda: env.until(9, (Rank.CONTROLLER, "x", 0)))
    with pytest.raises(ValueError, match="before now"):
        env.run_to(20)


def test_processes_wait_for_instants_and_events_carry_their_time(make_plane: Any) -> None:
    env = Environment(make_plane())

    def process() -> Any:
        for second in env.every_second((Rank.CONTROLLER, "x", 0)):
            yield second
            env.log("x", "tick")

    env.call_at(1_200_000_000, (Rank.CONTROLLER, "x", 0), lambda: env.process(process()))
    env.run_to(4 * SECOND_NS)
    assert env.events == [Event(2 * SECOND_NS, "x", "tick"), Event(3 * SECOND_NS, "x", "tick")]


@given(st.integers(0, 2**63 - 1), st.integers(2, 10**12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_chunks_lead_to_the_same_place(make_plane: Any, key: int, until_ns: int) -> None:
    plane = make_plane([Notice(until_ns // 2, 0, False)])
    advance = in_chunks(plane, key)
    assert advance(until_ns) == Reason.NOTICE
    assert plane.now_ns == until_ns // 2
    assert len(plane.take_notices()) == 1
    assert advance(until_ns) == Reason.REACHED
    assert plane.now_ns == until_ns


def test_chunks_differ_from_one_stride(make_plane: Any) -> None:
    plane = make_plane()
    in_chunks(plane, 7)(SECOND_NS)
    assert len(plane.advances) > 3
