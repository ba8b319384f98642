"""Balancer retries, instance states, calls and probes (D10-D18), reckoned by hand. Times are nanoseconds."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.base.seeds import PATH, WORK, key_hash
from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.dataplane.layout import Plan
from azsim.dataplane.protocol import Notice
from azsim.dataplane.reference import Reference
from azsim.policy.distributions import EMPIRICAL, index_below
from tests.plans import KEY, call, make_plan, population, service
from tests.story import ONE, play, state

UP, PAUSED, CRASHED, DEAD = InstanceState.UP, InstanceState.PAUSED, InstanceState.CRASHED, InstanceState.DEAD
OK, ERROR, REFUSED, RESET, OVERLOAD, NO_TARGET, TIMEOUT, DEADLINE, CANCELLED, _, BUDGET = Outcome


# The balancer's own retries and timeout (D12, D13).


def test_a_balancer_tries_another_target_unseen() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 3000])],
        services=[service(per_zone={"a": 2}, work_ns=500, redispatch_attempts=3, redispatch_on=[REFUSED])],
        same_zone_ns=100,
    )
    story = play(plan, 6000, {500: state(CRASHED, 0), 2500: state(CRASHED, 1)})
    # The second finds both crashed: after the third dispatch its outcome stands.
    assert story.ends() == [(1900, OK), (3600, REFUSED)]
    assert story.served(layout.SENT) == [1000, 3000]
    assert story.served(layout.DISPATCHED) == [1000, 1200, 3000, 3200, 3400]
    assert story.hop() == {OK: 1, REFUSED: 1}


def test_without_another_target_the_outcome_stands() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000])],
        services=[service(per_zone=ONE, work_ns=500, redispatch_attempts=3, redispatch_on=[REFUSED])],
        same_zone_ns=100,
    )
    story = play(plan, 4000, {500: state(CRASHED)})
    assert story.ends() == [(1200, REFUSED)]
    assert story.served(layout.DISPATCHED) == [1000]


def test_a_balancer_timeout_leaves_an_orphan_and_tries_elsewhere() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000])],
        services=[
            service(
                per_zone={"a": 1, "b": 1},
                work_ns=400,
                overrides={"a": {"work_a": 900.0}},
                balancer_timeout_ns=450,
                redispatch_attempts=2,
                redispatch_on=[TIMEOUT],
            )
        ],
    )
    story = play(plan, 4000)
    assert story.ends() == [(1850, OK)]
    assert story.amounts(layout.WASTED) == {1900: 900}
    assert story.amounts(layout.USEFUL) == {1850: 400}


def test_a_balancer_timeout_without_retry_is_a_timeout_for_the_caller() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], timeout_ns=1000, cancel=1)],
        services=[service(per_zone=ONE, work_ns=900, balancer_timeout_ns=450)],
    )
    story = play(plan, 4000)
    assert story.ends() == [(1450, TIMEOUT)]
    assert story.amounts(layout.WASTED) == {1900: 900}  # no cancel went out


def test_no_eligible_target_fails_at_once() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000], attempts=2, retry_on=[NO_TARGET])],
        services=[service(per_zone=ONE, work_ns=500, fail_open_below=-1.0)],
        same_zone_ns=100,
    )
    story = play(plan, 4000, {500: lambda plane: plane.set_view(0, False)})
    assert story.ends() == [(1000, NO_TARGET)]
    assert story.attempts() == [1000, 1000]
    assert story.served(layout.DISPATCHED) == []


# Instances that pause, crash and die (D17, D25, D33).


def test_a_pause_keeps_a_backlog_and_answers_nothing() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1100, 1200, 1300], timeout_ns=2000)],
        services=[service(per_zone=ONE, work_ns=500, queue=1)],
        same_zone_ns=100,
    )
    story = play(plan, 6000, {500: state(PAUSED, backlog=3), 2000: state(UP)})
    # Slot, queue place, overload; the fourth found the backlog full and was lost.
    assert story.ends() == [(2100, OVERLOAD), (2600, OK), (3100, OK), (3300, TIMEOUT)]
    assert story.served(layout.STARTED) == [2000, 2500]
    queued = story.recording.zones[:, 0, 0, layout.QUEUED]
    assert [int(queued[t // 10]) for t in (1000, 1150, 1250, 1350, 1900, 2000, 2500)] == [0, 1, 2, 3, 3, 1, 0]


def test_work_stands_still_during_a_pause() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000])], services=[service(per_zone=ONE, work_ns=500)], same_zone_ns=100
    )
    story = play(plan, 6000, {1200: state(PAUSED), 1700: state(UP)})
    assert story.ends() == [(2200, OK)]
    assert story.amounts(layout.USEFUL) == {2200: 500}


def test_a_crash_resets_what_it_held_and_the_restart_is_empty() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1000, 1400, 1800])],
        services=[service(per_zone=ONE, work_ns=500)],
        same_zone_ns=100,
    )
    story = play(plan, 6000, {1250: state(CRASHED), 1600: state(UP)})
    assert story.ends() == [(1350, RESET), (1350, RESET), (1600, REFUSED), (2500, OK)]
    assert story.amounts(layout.WASTED) == {1250: 150}


def test_a_crash_resets_a_backlog() -> None:
    plan = make_plan(populations=[population(arrivals_ns=[1000])], services=[service(per_zone=ONE, work_ns=500)])
    assert play(plan, 3000, {500: state(PAUSED), 1500: state(CRASHED)}).ends() == [(1500, RESET)]


def test_a_death_says_nothing() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1000], timeout_ns=2000)],
        services=[service(per_zone=ONE, work_ns=500)],
        same_zone_ns=100,
    )
    story = play(plan, 6000, {1250: state(DEAD), 1300: state(UP)})
    assert story.ends() == [(3000, TIMEOUT), (3000, TIMEOUT)]
    assert story.amounts(layout.WASTED) == {1250: 150}


# Calls (D1, D10, D14, D15, D17).


def chain(**hop: Any) -> Plan:
    """web (work 100, one slot) calls db (work 300, in zone b, 20 away); clients are 10 from everywhere."""
    return make_plan(
        populations=[population("web", arrivals_ns=[1000, 1050])],
        services=[
            service("web", per_zone=ONE, work_ns=100, calls=[call("db", **hop)]),
            service("db", per_zone={"b": 1}, work_ns=300),
        ],
        delay_ns=[[0, 20, 10], [20, 0, 10], [10, 10, 0]],
    )


def test_a_call_holds_the_slot_but_not_the_cpu() -> None:
    story = play(chain(), 4000)
    # 10 in, 100 work, 20 to db, 300 work, 20 back, 10 out.
    assert story.ends() == [(1460, OK), (1900, OK)]
    assert story.served(layout.STARTED, 0) == [1010, 1450]
    assert story.amounts(layout.USEFUL, 0) == {1460: 100, 1900: 100}
    assert story.amounts(layout.USEFUL, 1) == {1450: 300, 1890: 300}


def test_a_failed_call_fails_its_job_with_error() -> None:
    story = play(chain(attempts=2, retry_on=[REFUSED]), 4000, {500: state(CRASHED, 1)})
    # Refused at 1110 + 40 and again at + 40; then the answer goes out, and the next job starts.
    assert story.ends() == [(1200, ERROR), (1380, ERROR)]
    assert story.served(layout.SENT, 1) == [1110, 1150, 1290, 1330]
    assert story.hop(0) == {ERROR: 2}
    assert story.hop(1) == {REFUSED: 4}
    assert story.amounts(layout.WASTED, 0) == {1190: 100, 1370: 100}  # when its answer is sent


def test_calls_are_made_in_turn_and_draw_work_by_their_paths() -> None:
    table = [100 * (i + 1) for i in range(40)]
    plan = make_plan(
        populations=[population("web", arrivals_ns=[1000])],
        services=[
            service("web", per_zone=ONE, calls=[call("db"), call("db")]),
            service("db", per_zone=ONE, work=EMPIRICAL, table_count=len(table)),
        ],
        work_table=table,
    )
    tag = 16  # first attempt, first dispatch
    works = []
    for index in range(2):
        path = key_hash(KEY, 0, 0, tag * 64 + index, PATH)
        works.append(table[index_below(key_hash(KEY, 0, path, tag, WORK), len(table))])
    story = play(plan, 20_000)
    assert works[0] != works[1]
    assert story.ends() == [(1000 + sum(works), OK)]
    assert story.served(layout.SENT, 1) == [1000, 1000 + works[0]]


def test_answers_and_timers_of_a_paused_caller_wait_for_it() -> None:
    story = play(chain(timeout_ns=500), 4000, {1200: state(PAUSED, 0), 1700: state(UP, 0)})
    # db's answer came at 1450 and acts at 1700, before the timeout that was due at 1610.
    assert story.ends() == [(1710, OK), (2150, OK)]
    assert story.amounts(layout.USEFUL, 1) == {1700: 300, 2140: 300}


def test_a_paused_callers_timeout_acts_at_the_resume() -> None:
    story = play(chain(timeout_ns=200), 4000, {1200: state(PAUSED, 0), 1350: state(UP, 0)})
    # Sent at 1110, due at 1310; at 1350 the call fails. The answer at 1450 is waste.
    assert story.ends()[0] == (1360, ERROR)
    assert story.amounts(layout.WASTED, 1)[1450] == 300


def test_a_dead_caller_gives_its_calls_up() -> None:
    story = play(chain(), 4000, {1200: state(DEAD, 0)})
    assert story.hop(1) == {CANCELLED: 1}
    assert story.ends() == []
    assert story.amounts(layout.WASTED, 1) == {1450: 300}  # db served an orphan
    assert int(story.recording.in_flight[0]) == 2


def test_an_answer_parked_at_a_caller_that_dies_is_waste_then() -> None:
    story = play(chain(), 4000, {1200: state(PAUSED, 0), 1600: state(DEAD, 0)})
    assert story.amounts(layout.WASTED, 1) == {1600: 300}
    assert story.hop(1) == {CANCELLED: 1}


def test_a_cancelled_job_gives_its_call_up_without_a_cancel() -> None:
    plan = make_plan(
        populations=[population("web", arrivals_ns=[1000], timeout_ns=200, cancel=1)],
        services=[
            service("web", per_zone=ONE, work_ns=100, calls=[call("db", cancel=1)]),
            service("db", per_zone=ONE, work_ns=300),
        ],
    )
    story = play(plan, 4000)
    assert story.ends() == [(1200, TIMEOUT)]
    assert story.amounts(layout.WASTED, 0) == {1200: 100}
    assert story.amounts(layout.WASTED, 1) == {1400: 300}
    assert story.hop(1) == {CANCELLED: 1}


def test_a_restarted_callers_budget_is_full_again() -> None:
    hop: dict[str, Any] = {"attempts": 2, "retry_on": [REFUSED], "budget_capacity": 1, "budget_cost": 1}
    plan = make_plan(
        populations=[population("web", arrivals_ns=[1000, 2000, 3000])],
        services=[service("web", per_zone=ONE, calls=[call("db", **hop)]), service("db", per_zone=ONE)],
    )
    story = play(plan, 4000, {500: state(CRASHED, 1), 2500: state(CRASHED, 0), 2600: state(UP, 0)})
    assert story.served(layout.SENT, 1) == [1000, 1000, 2000, 3000, 3000]


# Probes (D18, D30).


def probed(**fields: Any) -> Plan:
    defaults: dict[str, Any] = {
        "health": 1,
        "interval_ns": 1000,
        "probe_timeout_ns": 300,
        "phase_ns": 100,
        "probe_queue": 1,
    }
    defaults |= {"unhealthy_after": 2, "healthy_after": 2}
    return make_plan(
        populations=[population(arrivals_ns=[9990])],
        services=[service(per_zone=ONE, work_ns=50, **(defaults | fields))],
        same_zone_ns=20,
    )


@pytest.mark.parametrize(
    ("fields", "to", "down_ns", "up_ns"),
    [
        # Silent: the probes of 1100 and 2100 fail at their timeouts. Up from 4500: those of 5100 and 6100 pass.
        ({}, DEAD, 2400, 6140),
        # Refusing: they fail after the way there and back.
        ({}, CRASHED, 2140, 6140),
        # Probes at 100, 1140, then 300 + 1000 after each: 2440, 3740; passing ones of 5040, 6080.
        ({"after_answer": 1}, DEAD, 2740, 6120),
        ({"unhealthy_after": 1, "healthy_after": 1}, DEAD, 1400, 5140),
    ],
)
def test_health_flips_when_the_thresholds_say(
    fields: dict[str, object], to: InstanceState, down_ns: int, up_ns: int
) -> None:
    story = play(probed(**fields), 8000, {500: state(to), 4500: state(UP)})
    assert story.notices == [Notice(down_ns, 0, False), Notice(up_ns, 0, True)]


def test_queued_probes_wait_behind_jobs_and_bypass_probes_do_not() -> None:
    for probe_queue, notices in ((1, [Notice(1400, 0, False), Notice(2670, 0, True)]), (0, [])):
        plan = make_plan(
            populations=[population(arrivals_ns=[1000])],
            services=[
                service(
                    per_zone=ONE, work_ns=1650, health=1, interval_ns=1000, probe_timeout_ns=300, phase_ns=100,
                    probe_queue=probe_queue,
                )
            ],
            same_zone_ns=20,
        )  # fmt: skip
        # The slot is taken from 1020 to 2670: the probe of 1100 times out; that of 2100 is out at 2400, too.
        story = play(plan, 3500)
        if probe_queue:
            assert story.notices == [Notice(1400, 0, False), Notice(3140, 0, True)]
            assert story.served(layout.STARTED) == [120, 1020, 2670, 2670, 3120]
        else:
            assert story.notices == notices
            assert story.served(layout.STARTED) == [1020]


def test_a_bypass_probe_in_a_backlog_is_answered_at_the_resume() -> None:
    plan = probed(probe_queue=0, probe_timeout_ns=900, unhealthy_after=1, healthy_after=1)
    assert play(plan, 3000, {500: state(PAUSED), 1900: state(UP)}).notices == []  # at 1920, in time
    assert play(plan, 3000, {500: state(PAUSED), 1990: state(UP)}).notices == [
        Notice(2000, 0, False),
        Notice(2140, 0, True),
    ]


def test_probes_count_in_the_service_but_not_on_the_hop() -> None:
    story = play(probed(), 4000, {1500: state(CRASHED)})
    assert story.served(layout.STARTED) == [120, 1120]
    assert story.served(layout.REFUSED) == [2120, 3120]
    assert story.served(layout.SENT) == []


def test_probes_do_no_work_and_make_no_calls() -> None:
    plan = make_plan(
        populations=[population()],
        services=[
            service(
                per_zone=ONE, work_ns=400, calls=[call("db")], health=1, interval_ns=1000, probe_timeout_ns=300,
                phase_ns=100, probe_queue=1,
            ),
            service("db", per_zone=ONE),
        ],
    )  # fmt: skip
    story = play(plan, 2000)
    assert story.served(layout.STARTED, 0) == [100, 1100]
    assert story.served(layout.SENT, 1) == []
    assert story.notices == []


def test_errors_fail_probes() -> None:
    story = play(probed(unhealthy_after=1), 2000, {500: lambda plane: plane.set_error_share(0, 1.0)})
    assert story.notices == [Notice(1140, 0, False)]


def test_a_fixed_beat_with_a_longer_timeout_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout of at most the interval"):
        Reference(probed(probe_timeout_ns=1001))
