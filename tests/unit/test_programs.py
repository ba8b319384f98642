"""Operations as programs (R8, D42-D45), in small worlds reckoned by hand. Times are nanoseconds."""

from __future__ import annotations

import pytest

from azsim.base.seeds import OPERATION, PATH, STEP, key_hash
from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.dataplane.layout import Plan
from azsim.policy.distributions import EXPONENTIAL, sample_work
from tests.plans import KEY, StepSpec, call, calls_step, make_plan, population, quorum_step, service, work_step
from tests.story import ONE, Story, play, state

OK, ERROR, TIMEOUT = Outcome.OK, Outcome.ERROR, Outcome.TIMEOUT
WEB, DB, KV = 0, 1, 2


def shop(*steps: StepSpec, db: dict[str, int] | int = ONE, kv_ns: int = 300, **caller: object) -> Plan:
    """Requests at 1000 for an operation of `web` that may call `db` (200) and `kv`; packets take no time."""
    return make_plan(
        populations=[population(arrivals_ns=[1000], mix={"buy": 1.0}, **caller)],
        services=[
            service(per_zone=ONE, work_ns=100, operations={"buy": steps}),
            service("db", per_zone=db, work_ns=200),
            service("kv", per_zone=ONE, work_ns=kv_ns),
        ],
    )


def degraded(story: Story) -> int:
    return int(story.recording.populations[:, 0, layout.STARTED_DEGRADED].sum())


def test_work_and_calls_follow_each_other_as_listed() -> None:
    story = play(shop(work_step(50), calls_step(call("db")), work_step(), calls_step(call("kv"))), 3000)
    # 50, then 200 at db, then the instance's own 100, then 300 at kv.
    assert story.served(layout.STARTED, DB) == [1050]
    assert story.served(layout.STARTED, KV) == [1350]
    assert story.ends() == [(1650, OK)]
    assert story.amounts(layout.USEFUL, WEB) == {1650: 150}  # both pieces of work of one job


def test_a_program_that_begins_with_a_call_does_no_work_before() -> None:
    story = play(shop(calls_step(call("db"))), 3000)
    assert story.served(layout.STARTED, DB) == [1000]
    assert story.ends() == [(1200, OK)]


def test_parallel_calls_take_as_long_as_the_longest() -> None:
    story = play(shop(calls_step(call("db"), call("kv")), work_step(10)), 3000)
    assert story.served(layout.STARTED, DB) == [1000]
    assert story.served(layout.STARTED, KV) == [1000]
    assert story.ends() == [(1310, OK)]


def test_a_failed_parallel_call_fails_the_job_when_all_have_ended() -> None:
    story = play(shop(calls_step(call("db", timeout_ns=50), call("kv")), work_step(10)), 3000)
    assert story.hop(1) == {TIMEOUT: 1}
    assert story.ends() == [(1300, ERROR)]  # kv was awaited, the work after it was not done


def test_the_failure_of_an_optional_call_degrades() -> None:
    steps = (calls_step(call("db", timeout_ns=50, optional=1), call("kv")), work_step(10))
    story = play(shop(*steps), 3000)
    assert story.ends() == [(1310, OK)]
    assert degraded(story) == 1
    assert story.recording.mix.sum(axis=(0, 1)).tolist() == [1, 1, 1, 0]


def test_a_degraded_answer_degrades_all_above_it() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000])],
        services=[
            service(per_zone=ONE, work_ns=100, calls=[call("mid")]),
            service(
                "mid",
                per_zone=ONE,
                operations={"get": [calls_step(call("db", timeout_ns=10, optional=1))]},
                default="get",
            ),
            service("db", per_zone=ONE, work_ns=200),
        ],
    )
    story = play(plan, 3000)
    assert story.ends() == [(1110, OK)]
    assert degraded(story) == 1


def test_a_quorum_is_decided_by_the_answer_it_still_needs() -> None:
    # Zone b is 30 away, and its instance works as long as a's: b answers 60 later.
    steps = (quorum_step(call("db"), 2, 1), work_step(10))
    plan = shop(*steps, db=1)
    plan.delay_ns[0, 1] = plan.delay_ns[1, 0] = 30
    story = play(plan, 3000)
    assert story.served(layout.STARTED, DB) == [1000, 1030]
    assert story.ends() == [(1210, OK)]
    assert story.hop(1) == {OK: 1, Outcome.CANCELLED: 1}
    assert story.amounts(layout.WASTED, DB) == {1260: 200}  # the other one goes on as an orphan


def test_the_rest_of_a_quorum_is_cancelled_where_its_hop_does_so() -> None:
    plan = shop(quorum_step(call("db", cancel=1), 2, 1), db=1)
    plan.delay_ns[0, 1] = plan.delay_ns[1, 0] = 30
    plan.instances["work_a"][2] = 500.0  # db in zone b
    story = play(plan, 3000)
    # Decided at 1200; the cancel reaches b at 1230, when b has worked for 200 of its 500.
    assert story.amounts(layout.WASTED, DB) == {1230: 200}


def test_a_quorum_fails_as_soon_as_it_cannot_be_met() -> None:
    plan = shop(quorum_step(call("db", timeout_ns=500), 2, 2), db=1)
    story = play(plan, 3000, {500: state(InstanceState.CRASHED, instance=2)})  # db in zone b
    assert story.ends() == [(1000, ERROR)]
    assert story.hop(1) == {Outcome.REFUSED: 1, Outcome.CANCELLED: 1}


def test_an_optional_quorum_that_is_missed_degrades() -> None:
    plan = shop(quorum_step(call("db", timeout_ns=50, optional=1), 2, 2), work_step(10), db=1)
    story = play(plan, 3000)
    assert story.ends() == [(1060, OK)]
    assert degraded(story) == 1


def test_a_quorum_calls_its_own_zone_and_then_the_next_ones_round() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], mix={"put": 1.0})],
        services=[
            service(per_zone={"c": 1}, operations={"put": [quorum_step(call("db"), 2, 2)]}),
            service("db", per_zone={"a": 1, "b": 1, "c": 1}, overrides={"a": {"work": 0, "work_a": 70.0}}, work_ns=200),
        ],
        zones=("a", "b", "c"),
    )
    story = play(plan, 3000)
    assert story.ends() == [(1200, OK)]
    assert story.amounts(layout.USEFUL, DB) == {1070: 70, 1200: 200}  # a and c, not b


def test_death_of_the_caller_gives_all_its_calls_up() -> None:
    plan = shop(calls_step(call("db"), call("kv")))
    story = play(plan, 3000, {1100: state(InstanceState.DEAD)})
    assert story.hop(1) == story.hop(2) == {Outcome.CANCELLED: 1}
    assert story.ends() == []


def test_operations_are_drawn_by_their_shares() -> None:
    arrivals = list(range(1000, 9000, 10))
    plan = make_plan(
        populations=[population(arrivals_ns=arrivals, mix={"browse": 3.0, "buy": 1.0})],
        services=[service(slots=1000, operations={"browse": [work_step(5)], "buy": [work_step(7)]})],
    )
    story = play(plan, 10_000)
    expected = sum(key_hash(KEY, request, 0, 0, OPERATION) >> 31 < 3 << 30 for request in range(len(arrivals)))
    offered = story.recording.mix.sum(axis=0)[:, layout.MIX_OFFERED]
    assert offered.tolist() == [expected, len(arrivals) - expected]
    assert abs(expected - 600) < 60  # binomial(800, 3/4): sigma 12.2
    assert sum(story.amounts(layout.USEFUL).values()) == 5 * expected + 7 * (800 - expected)


@pytest.mark.parametrize("place", [0, 1])
def test_each_step_of_work_draws_for_itself(place: int) -> None:
    steps = [work_step(work=EXPONENTIAL, work_a=1e6), work_step(work=EXPONENTIAL, work_a=1e6)][: place + 1]
    story = play(shop(*steps), 40_000_000, tick_ns=1_000_000)
    path = [0, key_hash(KEY, 0, 0, 16 * 64 + 1, STEP)]
    works = [sample_work(EXPONENTIAL, 1e6, 0.0, [], 0, 0, KEY, 0, path[k], 16) for k in range(place + 1)]
    assert sum(story.amounts(layout.USEFUL).values()) == sum(works)


def test_a_call_may_ask_for_an_operation_and_its_path_counts_all_calls_before_it() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], mix={"buy": 1.0})],
        services=[
            service(per_zone=ONE, operations={"buy": [calls_step(call("db", "get"), call("db", "put"))]}),
            service(
                "db",
                per_zone=ONE,
                slots=2,
                work_ns=999,
                operations={"get": [work_step(30)], "put": [work_step(work=EXPONENTIAL, work_a=1e3)]},
            ),
        ],
    )
    put = sample_work(EXPONENTIAL, 1e3, 0.0, [], 0, 0, KEY, 0, key_hash(KEY, 0, 0, 16 * 64 + 1, PATH), 16)
    story = play(plan, 20_000)
    assert sum(story.amounts(layout.USEFUL, DB).values()) == 30 + put
