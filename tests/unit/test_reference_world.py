"""Control, CPU, arrivals, rows and the whole of the reference (D16, D20-D31). Times are nanoseconds."""

from __future__ import annotations

import numpy as np
import pytest

from azsim.base.errors import InternalError
from azsim.base.seeds import PLACE, key_hash
from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome, Reason
from azsim.dataplane.layout import Plan, Recording
from azsim.dataplane.protocol import Notice
from azsim.dataplane.reference import Reference
from azsim.policy.arrivals import UNITS_PER_NS, increment, integral, time_to
from azsim.policy.cpu import OWN_GROUP, SHARED
from azsim.policy.distributions import EXPONENTIAL
from azsim.policy.shedding import LIFO
from tests.plans import KEY, MS, US, S, call, make_plan, population, service
from tests.story import ONE, play, state

UP, PAUSED, CRASHED, DEAD = InstanceState.UP, InstanceState.PAUSED, InstanceState.CRASHED, InstanceState.DEAD
OK, ERROR, REFUSED, RESET, OVERLOAD, NO_TARGET, TIMEOUT, DEADLINE, CANCELLED, _, BUDGET = Outcome


# Control (D23).


def test_what_control_does_after_a_notice_happens_one_ns_later() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[900])],
        services=[
            service(
                per_zone=ONE, work_ns=500, health=1, interval_ns=1000, probe_timeout_ns=100, phase_ns=1000,
                probe_queue=1, unhealthy_after=1,
            )
        ],
    )  # fmt: skip
    plane = Reference(plan)
    # The only slot is busy until 1400, so the probe of 1000 times out at 1100.
    assert plane.advance(5000) is Reason.NOTICE
    assert plane.now_ns == 1100
    plane.set_instance_state(0, CRASHED, 0)
    assert plane.cut_row() == 1
    assert plane.advance(1100) is Reason.REACHED
    assert (plane.now_ns, plane.ended()) == (1100, (0, 0))
    assert plane.advance(1101) is Reason.REACHED
    assert plane.ended() == (0, 0)
    assert plane.advance(1102) is Reason.REACHED
    assert plane.ended() == (0, 1)  # the reset, sent and received at 1101
    recording = plane.finish()
    assert recording.start_ns.tolist() == [0, 1101]
    assert recording.services[0, 0, layout.WASTED] == 201 * 1024
    assert recording.zones[0, 0, 0, layout.CPU] == 201 * 1024


def test_control_at_an_instant_comes_before_its_data() -> None:
    plan = make_plan(populations=[population(arrivals_ns=[1000])], services=[service(per_zone=ONE, work_ns=500)])
    assert play(plan, 3000, {1000: state(CRASHED)}).ends() == [(1000, REFUSED)]
    assert play(plan, 3000, {1500: state(CRASHED)}).ends() == [(1500, RESET)]


def test_time_does_not_run_backwards() -> None:
    plane = Reference(make_plan(populations=[population()], services=[service(per_zone=ONE)]))
    plane.advance(100)
    with pytest.raises(InternalError, match="before 100 ns"):
        plane.advance(99)


def test_a_reset_empties_the_world_once() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1100, 2000], timeout_ns=2000, attempts=3, retry_on=[TIMEOUT])],
        services=[
            service("web", per_zone=ONE, work_ns=400, calls=[call("db", timeout_ns=2000)]),
            service("db", per_zone=ONE, work_ns=1000),
        ],
        same_zone_ns=10,
    )
    story = play(plan, 5000, {1500: lambda plane: plane.reset()})
    assert story.ends() == [(1500, CANCELLED), (1500, CANCELLED), (3440, OK)]
    assert story.attempts() == [1000, 1100, 2000]
    # The first had worked 400 and was 80 into its call; the second had begun nothing.
    assert story.amounts(layout.WASTED, 0) == {1500: 400}
    assert story.amounts(layout.WASTED, 1) == {1500: 80}
    assert story.hop(0) == {OK: 1, CANCELLED: 2}


def test_a_reset_drops_answers_and_deliveries_under_way_and_probing_goes_on() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1450])],
        services=[
            service(
                per_zone=ONE,
                work_ns=300,
                health=1,
                interval_ns=1000,
                probe_timeout_ns=500,
                phase_ns=480,
                after_answer=1,
            )
        ],
        same_zone_ns=100,
    )
    story = play(plan, 5000, {1480: lambda plane: plane.reset()})
    # The answer sent at 1400 and the request that should be delivered at 1550 are gone.
    assert story.ends() == [(1480, CANCELLED), (1480, CANCELLED)]
    assert story.amounts(layout.WASTED) == {1480: 300}
    # The probe of 480 was answered at 680, so the next is sent at 1680: dropped, and followed by one at 2780.
    story = play(plan, 5000, {1780: lambda plane: plane.reset(), 1790: state(DEAD)})
    assert story.notices == [Notice(3280, 0, False)]


# CPU (D16, D29).


def test_jobs_share_the_cores() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1300])],
        services=[service(per_zone=ONE, work_ns=600, slots=3, cores=1.0)],
    )
    # Alone until 1300, then at half speed each: the first has 300 left and takes 600, the second then 300 alone.
    story = play(plan, 4000)
    assert story.ends() == [(1900, OK), (2200, OK)]
    assert story.recording.zones[:, 0, 0, layout.CPU].sum() == 1200 * 1024


def test_times_are_rounded_up_and_virtual_clocks_down() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1000, 1000])],
        services=[service(per_zone=ONE, work_ns=100, slots=3, cores=2.0)],
    )
    # Each at 2/3: 100 takes 150. The second and third leave at that very instant as well.
    story = play(plan, 3000, tick_ns=1)
    assert story.ends() == [(1150, OK)] * 3
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1001])],
        services=[service(per_zone=ONE, work_ns=100, slots=3, cores=1.0)],
    )
    # From 1001 at half speed: 99 left take 198. The other one has 1 left then.
    assert play(plan, 3000, tick_ns=1).ends() == [(1199, OK), (1200, OK)]


def test_a_completed_job_has_done_its_work_to_the_last_unit() -> None:
    # 63 at 7/10 take 90, but 90 x 0.7 x 1024 falls one unit short of 63 x 1024 in floating point.
    plan = make_plan(
        populations=[population(arrivals_ns=[1000] * 10)],
        services=[service(per_zone=ONE, work_ns=63, slots=10, cores=7.0)],
    )
    story = play(plan, 2000)
    assert story.ends() == [(1090, OK)] * 10
    assert story.amounts(layout.USEFUL) == {1090: 630}


@pytest.mark.parametrize(
    ("threads", "load", "competition", "busy_ns", "stress_cores"),
    [
        (2.0, 1.6, SHARED, 900, 4 / 3),  # 2 x 1 / (1 + 2) of 2 cores
        (2.0, 1.2, SHARED, 750, 1.2),  # what the stressors leave is more: 0.8
        (2.0, 1.6, OWN_GROUP, 600, 1.0),  # half of the cores, of which it needs one
    ],
)
def test_stress_takes_its_share(
    threads: float, load: float, competition: int, busy_ns: int, stress_cores: float
) -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000])], services=[service(per_zone=ONE, work_ns=600, slots=2, cores=2.0)]
    )
    story = play(plan, 3000, {1000: lambda plane: plane.set_stress(0, threads, load, competition)})
    assert story.ends() == [(1000 + busy_ns, OK)]
    zone = story.recording.zones[:, 0, 0, :]
    assert zone[:, layout.CPU].sum() == 600 * 1024
    busy = zone[100 : 100 + busy_ns // 10, layout.STRESS].sum()
    assert busy == pytest.approx(busy_ns * stress_cores * 1024, abs=2)
    assert zone[250, layout.STRESS] == pytest.approx(10 * load * 1024, abs=2)  # idle: all they want
    assert zone[50, layout.CAPACITY] == 2000
    full = max(2 * 2 / (2 + threads), 2 - load) if competition == SHARED else max(1.0, 2 - load)
    assert zone[250, layout.CAPACITY] == int(1000 * full)


def test_telling_the_same_stress_again_changes_nothing() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=[1000, 1100])],
        services=[service(per_zone=ONE, work_ns=600, slots=3, cores=1.5)],
    )

    def stress(plane: Reference) -> None:
        plane.set_stress(0, 1.7, 1.3, SHARED)

    once = play(plan, 4000, {900: stress}, tick_ns=100).recording
    again = play(plan, 4000, dict.fromkeys(range(900, 3000, 7), stress), tick_ns=100).recording
    assert once.zones[:, 0, 0, layout.STRESS].sum() > 0
    assert (once.zones == again.zones).all()
    assert (once.populations == again.populations).all()


def test_stressors_run_through_a_pause_and_a_crash_but_not_in_a_dead_instance() -> None:
    plan = make_plan(populations=[population()], services=[service(per_zone=ONE, slots=2, cores=2.0)])
    story = play(
        plan,
        5000,
        {
            1000: lambda plane: plane.set_stress(0, 2.0, 1.5, SHARED),
            2000: state(PAUSED),
            3000: state(CRASHED),
            4000: state(DEAD),
        },
        tick_ns=1000,
    )
    assert story.recording.zones[:, 0, 0, layout.STRESS].tolist() == [0, *[1500 * 1024] * 3, 0]
    assert story.recording.zones[:, 0, 0, layout.UP].tolist() == [1, 1, 0, 0, 0]


# Arrivals (D3, D20, D31).


def test_arrivals_come_when_the_integrated_rate_reaches_their_thresholds() -> None:
    rate = 5e6 * UNITS_PER_NS
    plan = make_plan(populations=[population(rate_per_s=5e6)], services=[service(per_zone=ONE)])
    story = play(plan, 4000, tick_ns=1)
    threshold, expected = 0, []
    for request in range(100):
        threshold += increment(KEY, request)
        expected.append(time_to(threshold, rate, 0.0))
    assert story.dated("populations", layout.OFFERED) == [t for t in expected if t < 4000]


def test_a_change_of_rate_rebases_the_integral() -> None:
    rate = 5e6 * UNITS_PER_NS
    plan = make_plan(
        populations=[population(segments=[(0, 5e6, 0.0), (2000, 5e6, 5e6 / 2e-6)])], services=[service(per_zone=ONE)]
    )
    story = play(plan, 4000, {1000: lambda plane: plane.set_rate_factor(0, 3.0)}, tick_ns=1)
    breaks = [(0, 1.0, 0.0), (1000, 3.0, 0.0), (2000, 3.0, 3.0 * rate / 2000)]  # start, factor, slope
    threshold, expected, base, at = 0, [], 0, 0
    for request in range(200):
        threshold += increment(KEY, request)
        while True:
            start, factor, slope = breaks[at]
            t = start + time_to(threshold - base, factor * rate, slope)
            if at == 2 or t < breaks[at + 1][0]:
                break
            base += integral(breaks[at + 1][0] - start, factor * rate, slope)
            at += 1
        expected.append(t)
    offered = story.dated("populations", layout.OFFERED)
    assert offered == [t for t in expected if t < 4000]
    by_thirds = [sum(a <= t < b for t in offered) for a, b in ((0, 1000), (1000, 2000), (2000, 4000))]
    assert by_thirds[0] < by_thirds[1] < by_thirds[2]


def test_telling_the_same_factor_again_changes_nothing() -> None:
    rate = 0.4  # so low that each rebase would lose part of a unit
    plan = make_plan(populations=[population(rate_per_s=rate / UNITS_PER_NS)], services=[service(per_zone=ONE)])
    plane = Reference(plan)
    for t_ns in range(1, 1000):
        plane.advance(t_ns)
        plane.set_rate_factor(0, 1.0)
    first_ns = time_to(increment(KEY, 0), rate, 0.0)
    plane.advance(first_ns)
    plane.cut_row()
    plane.advance(first_ns + 1)
    assert plane.finish().populations[:, 0, layout.OFFERED].tolist() == [0, 1]


def test_a_rate_of_zero_stops_arrivals_until_it_returns() -> None:
    plan = make_plan(populations=[population(rate_per_s=5e7)], services=[service(per_zone=ONE)])
    stop = {1000: lambda plane: plane.set_rate_factor(0, 0.0), 2000: lambda plane: plane.set_rate_factor(0, 1.0)}
    plain = play(plan, 3000, tick_ns=1).dated("populations", layout.OFFERED)
    stopped = play(plan, 4000, stop, tick_ns=1).dated("populations", layout.OFFERED)
    assert [t for t in stopped if t < 1000] == [t for t in plain if t < 1000]
    shifted = [t if t < 1000 else t + 1000 for t in plain]
    assert len(stopped) == len(shifted)
    assert all(0 <= a - b <= 1 for a, b in zip(stopped, shifted, strict=True))  # rounded once more


def test_callers_are_placed_by_their_shares() -> None:
    plan = make_plan(
        populations=[population(arrivals_ns=list(range(1000, 2000, 10)), places={"a": 0.25, "outside": 0.75})],
        services=[service(per_zone=ONE, slots=9)],
        delay_ns=[[0, 0, 5], [0, 0, 5], [5, 5, 0]],
    )
    draws = [key_hash(KEY, request, 0, 0, PLACE) >> 31 for request in range(100)]
    near = sum(draw < 1 << 30 for draw in draws)
    assert 0 < near < 100
    latency = play(plan, 3000).recording.populations[:, 0, layout.STARTED_LATENCY].sum()
    assert latency == (100 - near) * 10


# Rows, chunks, the whole (C1-C5).


def busy_plan() -> Plan:
    """A small fleet that queues, retries, calls, shares CPU and loses things."""
    return make_plan(
        populations=[
            population(
                rate_per_s=600, clients=3, places={"a": 1, "outside": 2}, timeout_ns=40 * MS, attempts=3, cancel=1,
                retry_on=[TIMEOUT, OVERLOAD, REFUSED, RESET, ERROR], budget_capacity=20_000, budget_cost=1000,
                budget_timeout_cost=2000, budget_deposit=100, deadline_ns=200 * MS, connect_timeout_ns=15 * MS,
            ),
        ],
        services=[
            service(
                per_zone=2, slots=4, cores=3.0, work=EXPONENTIAL, work_a=9e6, queue=5, health=1, interval_ns=50 * MS,
                calls=[call("db", timeout_ns=20 * MS, attempts=2, retry_on=[TIMEOUT, OVERLOAD], same_zone=1)],
                probe_timeout_ns=20 * MS, phase_ns=-1, probe_queue=1, unhealthy_after=2, healthy_after=2,
                redispatch_attempts=2, redispatch_on=[OVERLOAD, REFUSED],
            ),
            service("db", per_zone=1, slots=2, work=EXPONENTIAL, work_a=8e6, queue=10, discipline=LIFO, drop_expired=1),
        ],
        zones=("a", "b"),
        same_zone_ns=250 * US,
        cross_zone_ns=MS,
    )  # fmt: skip


def disturb(plane: Reference, step: int) -> None:
    """One disturbance after another, so that all states are seen."""
    victim = step % 6
    to = (PAUSED, UP, CRASHED, UP, DEAD, UP)[step % 6]
    plane.set_instance_state(victim if to is not UP else (step - 1) % 6, to, 3)
    plane.set_link(0, 2, step % 5 == 4)
    plane.set_stress(step % 4, 3.0, 2.0 if step % 3 else 0.0, SHARED)
    plane.set_error_share(5, 0.2 if step % 2 else 0.0)
    plane.set_latency(1, (step % 3) * MS)
    plane.set_rate_factor(0, 1.0 + (step % 3) / 2)


def run_busy(chunks: int) -> tuple[Recording, list[Notice]]:
    plane = Reference(busy_plan())
    notices: list[Notice] = []

    def reach(t_ns: int) -> None:
        while plane.advance(t_ns) is Reason.NOTICE:
            for notice in plane.take_notices():
                plane.set_view(notice.instance, notice.healthy)
                notices.append(notice)

    for step in range(20):
        for chunk in range(chunks):
            reach((step * chunks + chunk + 1) * 50 * MS // chunks)
            plane.check()
        plane.cut_row()
        disturb(plane, step)
        plane.check()
    reach(S + 30 * MS)
    plane.check()
    return plane.finish(), notices


def test_chunks_do_not_matter_and_everything_adds_up() -> None:
    whole, notices = run_busy(1)
    pieces, same = run_busy(7)
    assert notices == same
    assert len(notices) > 3
    for name in Recording.__slots__:
        assert np.array_equal(getattr(whole, name), getattr(pieces, name)), name
    totals = whole.populations.sum(axis=0)[0]
    failed = totals[layout.FAILED : layout.FAILED + len(Outcome)]
    assert totals[layout.OFFERED] == totals[layout.SUCCEEDED] + failed.sum() + whole.in_flight[0]
    assert (failed > 0).sum() >= 3  # it was a rough ride
    services = whole.services.sum(axis=(0, 1))
    assert (services[[layout.OVERLOADED, layout.REFUSED, layout.DROPPED, layout.WASTED]] > 0).all()
    used = whole.zones[..., layout.CPU].sum()
    assert used == services[layout.USEFUL] + services[layout.WASTED] + whole.cpu_in_progress
    assert (whole.hop_attempts == whole.hop_outcomes.sum(axis=1) + whole.attempts_in_flight).all()
    assert whole.latency.sum() == totals[layout.SUCCEEDED]


def test_check_names_what_does_not_add_up() -> None:
    plane = Reference(busy_plan())
    plane.advance(100 * MS)
    plane.check()
    plane._ledger.hop_attempts[1] += 1
    with pytest.raises(InternalError, match="hop 1"):
        plane.check()
