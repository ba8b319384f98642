"""What faults do inside the data plane (D50-D53). Times are nanoseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from azsim.base.seeds import LOSS_BACK, LOSS_CANCEL, LOSS_THERE, MALFORMED, key_hash
from azsim.dataplane import layout
from azsim.dataplane.codes import Outcome
from azsim.dataplane.layout import Plan
from azsim.dataplane.reference import Reference
from azsim.policy.balancing import NEVER_OPEN
from azsim.policy.distributions import unit
from azsim.policy.faults import either, slowed
from tests.plans import KEY, call, make_plan, population, service
from tests.story import ONE, both, play

OK, ERROR, TIMEOUT, NO_TARGET = Outcome.OK, Outcome.ERROR, Outcome.TIMEOUT, Outcome.NO_TARGET
OUTSIDE = 2


def doing(method: str, *arguments: Any) -> Callable[[Reference], object]:
    return lambda plane: getattr(plane, method)(*arguments)


def one_server(*arrivals_ns: int, **more: Any) -> Plan:
    """One instance in zone a that works 100 on each request, 10 away from its clients, who wait 500."""
    clients = {"arrivals_ns": list(arrivals_ns), "timeout_ns": 500} | more.pop("clients", {})
    fields = {"per_zone": ONE, "work_ns": 100, "slots": 4} | more
    return make_plan(populations=[population(**clients)], services=[service(**fields)], same_zone_ns=10, rich=True)


def drawn(request: int, purpose: int) -> float:
    """The draw of a first attempt."""
    return unit(key_hash(KEY, request, 0, 16, purpose))


# Packet loss (D50).


@pytest.mark.parametrize("lossy", [("set_instance_loss", 0, 1.0), ("set_loss", OUTSIDE, 0, 1.0)])
def test_a_lost_request_is_never_seen_by_the_server(lossy: tuple[Any, ...]) -> None:
    story = play(one_server(1000), 3000, {500: doing(*lossy)})
    assert story.ends() == [(1500, TIMEOUT)]
    assert story.served(layout.DISPATCHED) == [1000]
    assert story.served(layout.STARTED) == []


def test_a_lost_request_is_noticed_by_a_connect_timeout_only() -> None:
    story = play(one_server(1000, clients={"connect_timeout_ns": 200}), 3000, {500: doing("set_instance_loss", 0, 1.0)})
    assert story.ends() == [(1200, TIMEOUT)]


def test_the_loss_of_an_answer_is_settled_at_its_send_and_wastes_its_work() -> None:
    # Sent at 1110. What is lost after that does not concern it; what is mended after that does not bring it back.
    loss, mended = doing("set_instance_loss", 0, 1.0), doing("set_instance_loss", 0, 0.0)
    lost = play(one_server(1000), 3000, {1105: loss, 1115: mended})
    assert lost.ends() == [(1500, TIMEOUT)]
    assert lost.amounts(layout.WASTED) == {1110: 100}
    kept = play(one_server(1000), 3000, {1115: loss})
    assert kept.ends() == [(1120, OK)]


def test_other_links_are_not_concerned() -> None:
    story = play(one_server(1000), 3000, {500: both(doing("set_loss", OUTSIDE, 1, 1.0), doing("set_loss", 0, 0, 1.0))})
    assert story.ends() == [(1120, OK)]


def test_each_packet_draws_for_itself() -> None:
    arrivals = [1000 * k for k in range(1, 31)]
    story = play(one_server(*arrivals), 40000, {500: doing("set_loss", 0, OUTSIDE, 0.3)})
    expected = []
    for request, t_ns in enumerate(arrivals):
        lost = drawn(request, LOSS_THERE) < 0.3 or drawn(request, LOSS_BACK) < 0.3
        expected.append((t_ns + 500, TIMEOUT) if lost else (t_ns + 120, OK))
    assert story.ends() == expected
    assert {outcome for _, outcome in expected} == {OK, TIMEOUT}
    there = sum(drawn(request, LOSS_THERE) >= 0.3 for request in range(30))
    assert len(story.served(layout.STARTED)) == there < 30


def test_the_shares_of_link_and_instance_combine() -> None:
    arrivals = [1000 * k for k in range(1, 31)]
    lossy = both(doing("set_loss", 0, OUTSIDE, 0.2), doing("set_instance_loss", 0, 0.25))
    story = play(one_server(*arrivals), 40000, {500: lossy})
    there = sum(drawn(request, LOSS_THERE) >= either(0.2, 0.25) for request in range(30))
    assert either(0.2, 0.25) == pytest.approx(0.4)
    assert len(story.served(layout.STARTED)) == there


def test_a_cancel_may_be_lost() -> None:
    """Two requests time out at 1500 and say so; the job whose cancel is lost goes on to its end."""
    kept, lost = (next(r for r in range(99) if (drawn(r, LOSS_CANCEL) < 0.5) is hit) for hit in (False, True))
    arrivals = [1000] * (max(kept, lost) + 1)
    plan = one_server(*arrivals, work_ns=2000, slots=100, clients={"cancel": 1})
    story = play(plan, 5000, {1400: doing("set_instance_loss", 0, 0.5)})
    cancelled = sum(drawn(r, LOSS_CANCEL) >= 0.5 for r in range(len(arrivals)))
    wasted = story.amounts(layout.WASTED)
    assert wasted.pop(1510) == cancelled * 500
    # The others end at 3010: what they worked is wasted when the answer is lost at its send, or finds nobody at 3020.
    lost_back = sum(drawn(r, LOSS_CANCEL) < 0.5 and drawn(r, LOSS_BACK) < 0.5 for r in range(len(arrivals)))
    late = len(arrivals) - cancelled - lost_back
    assert wasted == {t: n * 2000 for t, n in ((3010, lost_back), (3020, late)) if n}


def test_probes_are_packets_too() -> None:
    plan = one_server(health=1, interval_ns=1000, probe_timeout_ns=100, unhealthy_after=1, phase_ns=0)
    story = play(plan, 2500, {500: doing("set_instance_loss", 0, 1.0)})
    assert [(notice.t_ns, notice.healthy) for notice in story.notices] == [(1100, False)]


# Malformed answers and slow work (D51).


def test_a_malformed_answer_costs_the_work_and_the_calls() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000])],
        services=[
            service(per_zone=ONE, work_ns=100, calls=[call("db")]),
            service("db", per_zone=ONE, work_ns=70),
        ],
        rich=True,
    )
    story = play(plan, 3000, {500: doing("set_malformed_share", 0, 1.0)})
    assert story.ends() == [(1170, ERROR)]
    assert story.amounts(layout.WASTED) == {1170: 100}
    assert story.amounts(layout.USEFUL, 1) == {1170: 70}


def test_the_share_of_malformed_answers_is_drawn_by_request() -> None:
    arrivals = [1000 * k for k in range(1, 31)]
    story = play(one_server(*arrivals), 40000, {500: doing("set_malformed_share", 0, 0.4)})
    expected = [(t_ns + 120, ERROR if drawn(request, MALFORMED) < 0.4 else OK) for request, t_ns in enumerate(arrivals)]
    assert story.ends() == expected
    assert {outcome for _, outcome in expected} == {OK, ERROR}


def test_probes_are_never_malformed() -> None:
    plan = one_server(health=1, interval_ns=1000, probe_timeout_ns=100, unhealthy_after=1, phase_ns=0, probe_queue=1)
    assert play(plan, 2500, {500: doing("set_malformed_share", 0, 1.0)}).notices == []


def test_slow_work_concerns_the_jobs_that_start() -> None:
    story = play(one_server(1000, 1100), 3000, {1050: doing("set_work_factor", 0, 2.5)})
    assert story.ends() == [(1120, OK), (1370, OK)]


def test_slowed_work_is_rounded_up() -> None:
    assert (slowed(3, 1.5), slowed(3, 1.0), slowed(4, 1.5), slowed(0, 7.0)) == (5, 3, 6, 0)
    assert slowed((1 << 60) + 1, 1.0) == (1 << 60) + 1  # no detour by way of a float


# Members (D52).


def test_a_target_that_is_taken_out_finishes_what_it_holds_and_gets_nothing_new() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1050, 1060, 1300])],
        services=[service(per_zone={"a": 1, "b": 1}, work_ns=100)],
    )
    story = play(plan, 3000, {1040: doing("set_member", 0, False), 1290: doing("set_member", 0, True)})
    # Instance 0 takes the first; 1 the second and third in turn; then it is 0's turn again.
    assert story.ends() == [(1100, OK), (1150, OK), (1250, OK), (1400, OK)]


def test_without_members_there_is_no_target() -> None:
    story = play(one_server(1000), 3000, {500: doing("set_member", 0, False)})
    assert story.ends() == [(1000, NO_TARGET)]


@pytest.mark.parametrize(("fail_open_below", "outcome"), [(NEVER_OPEN, NO_TARGET), (0.0, OK)])
def test_failing_open_uses_members_only(fail_open_below: float, outcome: Outcome) -> None:
    """All members are unhealthy in view; the healthy one in view is no member."""
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1000])],
        services=[service(per_zone={"a": 1, "b": 1}, work_ns=100, fail_open_below=fail_open_below)],
    )
    story = play(plan, 3000, {500: both(doing("set_member", 1, False), doing("set_view", 0, False))})
    assert [how for _, how in story.ends()] == [outcome] * 2
    if outcome is OK:
        assert [t_ns for t_ns, _ in story.ends()] == [1100, 1200]  # both by the one member


def test_rows_count_members_alone_as_in_view() -> None:
    story = play(one_server(1000), 3000, {1500: doing("set_member", 0, False)})
    in_view = story.recording.zones[:, 0, 0, layout.IN_VIEW]
    assert in_view[100] == 1
    assert in_view[200] == 0
    assert story.recording.zones[200, 0, 0, layout.CAPACITY] == 0
