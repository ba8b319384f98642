"""Rows to seconds, blocks and windows, on a recording written by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from azsim.base.errors import InternalError
from azsim.base.units import SECOND_NS
from azsim.dataplane.codes import INFINITE, Outcome
from azsim.dataplane.layout import (
    CAPACITY,
    CPU,
    IN_VIEW,
    MEMBERS,
    OFFERED,
    POPULATION_COLUMNS,
    QUEUED,
    SENT,
    SERVICE_COLUMNS,
    STARTED_FAILED,
    STARTED_LATENCY,
    STARTED_SUCCEEDED,
    STRESS,
    UP,
    USEFUL,
    WASTED,
    ZONE_COLUMNS,
    Plan,
    Recording,
)
from azsim.policy import retry
from azsim.policy.histogram import BINS, bin_bounds_ns, bin_of
from azsim.simulation.metrics import (
    COVERING_ZONE_COLUMNS,
    busiest_zone,
    headroom,
    least_headroom,
    metrics,
    opened,
    services,
)
from azsim.simulation.presence import write_core_time
from azsim.simulation.series import (
    PERMILLES,
    block,
    first_rows,
    patience_ns,
    per_second,
    percentile_ns,
    rank,
    second_percentiles_s,
    snapped,
    windows,
)
from azsim.simulation.timeline import timeline
from tests.plans import MS, S, make_plan, population, service

VIRTUAL = 1024  # CPU time is counted in 2^-10 ns


def plan_of(**hop: int) -> Plan:
    """Two zones, one instance of 2 cores in each, 10 ms of work."""
    web = service("web", per_zone={"a": 1, "b": 1}, work_ns=10 * MS, slots=2, cores=2.0)
    return make_plan(populations=[population("web", **hop)], services=[web], zones=("a", "b"))


class Rows:
    """A recording written row by row, for `plan_of`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.starts: list[int] = []
        self.tables: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def row(
        self,
        start_s: float,
        *,
        ok_ms: tuple[float, ...] = (),
        failed: dict[Outcome, int] | None = None,
        unresolved: int = 0,
        sent: int = 0,
        cpu_s: tuple[float, float] = (0.0, 0.0),
        queued: int = 0,
        capacity: float = 4.0,
        in_view: int = 2,
        wasted_s: float = 0.0,
    ) -> Rows:
        """One row: latencies of what succeeded, how many failed and how, attempts sent, CPU seconds by zone."""
        population_row = np.zeros((1, POPULATION_COLUMNS), np.int64)
        latency = np.zeros(BINS, np.int64)
        for ms in ok_ms:
            latency[bin_of(round(ms * MS))] += 1
            population_row[0, STARTED_LATENCY] += round(ms * MS)
        population_row[0, STARTED_SUCCEEDED] = len(ok_ms)
        for outcome, count in (failed or {}).items():
            population_row[0, STARTED_FAILED + outcome] = count
        population_row[0, OFFERED] = len(ok_ms) + sum((failed or {}).values()) + unresolved
        service_row = np.zeros((1, SERVICE_COLUMNS), np.int64)
        service_row[0, SENT] = sent
        service_row[0, USEFUL] = round(sum(cpu_s) * S * VIRTUAL)
        service_row[0, WASTED] = round(wasted_s * S * VIRTUAL)
        zone_row = np.zeros((1, 2, ZONE_COLUMNS), np.int64)
        for z in (0, 1):
            zone_row[0, z, CPU] = round(cpu_s[z] * S * VIRTUAL)
        zone_row[0, 0, [QUEUED, UP, IN_VIEW, CAPACITY]] = queued, 1, in_view, round(capacity * 1000)
        zone_row[0, :, MEMBERS] = 1
        self.starts.append(round(start_s * S))
        self.tables.append((population_row, service_row, zone_row, latency))
        return self

    def recording(self, end_s: float) -> Recording:
        found = Recording.empty(self.plan, len(self.starts))
        found.start_ns = np.array(self.starts, np.int64)
        found.end_ns = round(end_s * S)
        found.populations, found.services, found.zones, found.latency = (
            np.array([table[i] for table in self.tables]) for i in range(4)
        )
        write_core_time(found, self.plan, (), ())
        return found


def midpoint_s(ms: float) -> float:
    """What a latency is reported as."""
    return sum(bin_bounds_ns(bin_of(round(ms * MS)))) / 2 / S


def test_ranks_are_exact() -> None:
    assert [rank(100, p) for p in (500, 900, 990, 999)] == [50, 90, 99, 100]
    assert rank(1000, 999) == 999
    assert rank(1001, 999) == 1000
    assert (rank(1, 500), rank(0, 990)) == (1, 0)


def test_a_percentile_is_the_midpoint_of_the_bin_it_falls_into() -> None:
    cumulative = np.cumsum(np.bincount([bin_of(1 * MS)] * 3 + [bin_of(80 * MS)], minlength=BINS))
    assert percentile_ns(cumulative, 3) == midpoint_s(1) * S
    assert percentile_ns(cumulative, 4) == midpoint_s(80) * S
    assert percentile_ns(cumulative, 5) == math.inf
    assert percentile_ns(cumulative, 0) == 0.0
    assert abs(midpoint_s(80) / 0.080 - 1) < 0.016


def test_rows_of_a_second_are_summed_and_read_at_its_end() -> None:
    rows = Rows(plan_of()).row(0, sent=1, queued=5, cpu_s=(0.1, 0.0)).row(0.5, sent=2, queued=7, cpu_s=(0.2, 0.0))
    recording = rows.row(1, sent=4, queued=1).recording(1.25)
    seconds = per_second(recording, COVERING_ZONE_COLUMNS)
    assert len(seconds) == 2
    assert seconds.duration_ns.tolist() == [S, S // 4]
    assert seconds.services[:, 0, SENT].tolist() == [3, 4]
    assert seconds.zones[:, 0, 0, QUEUED].tolist() == [7, 1]
    assert seconds.zones[:, 0, 0, CPU].tolist() == [round(0.3 * S * VIRTUAL), 0]
    assert recording.zones[1, 0, 0, CPU] == round(0.2 * S * VIRTUAL), "the recording itself is left as it is"


def test_more_cuts_change_nothing_that_is_summed() -> None:
    plan = plan_of()
    whole = Rows(plan).row(0, ok_ms=(1, 2, 3), sent=3, cpu_s=(0.2, 0.4)).row(1, ok_ms=(9,)).recording(2)
    cut = Rows(plan).row(0, ok_ms=(1,), sent=1, cpu_s=(0.1, 0.4)).row(0.3, ok_ms=(2, 3), sent=2, cpu_s=(0.1, 0))
    again = cut.row(1, ok_ms=(9,)).recording(2)
    one, two = (per_second(recording, COVERING_ZONE_COLUMNS) for recording in (whole, again))
    for name in ("populations", "services", "zones", "duration_ns"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert metrics(plan, block(whole, 0, 2 * S)) == metrics(plan, block(again, 0, 2 * S))
    assert np.array_equal(second_percentiles_s(whole, [500]), second_percentiles_s(again, [500]))


def test_a_row_that_spans_two_seconds_is_refused() -> None:
    with pytest.raises(InternalError, match="second"):
        first_rows(Rows(plan_of()).row(0).row(1.5).recording(2))
    with pytest.raises(InternalError, match="second"):
        first_rows(Rows(plan_of()).row(0).recording(1.5))


def test_percentiles_by_second_are_of_successes() -> None:
    recording = Rows(plan_of()).row(0, ok_ms=(1, 1, 50), failed={Outcome.TIMEOUT: 9}).row(1).recording(2)
    p50, p99 = second_percentiles_s(recording, [500, 990])
    assert p50[0] == midpoint_s(1)
    assert p99[0] == midpoint_s(50)
    assert np.isnan(p50[1])


def test_many_seconds_are_summed_in_chunks_without_a_seam() -> None:
    rows = Rows(plan_of())
    for s in range(1030):
        rows.row(s, ok_ms=(1.0 + s % 7,))
    (found,) = second_percentiles_s(rows.recording(1030), [500])
    assert found.tolist() == [midpoint_s(1.0 + s % 7) for s in range(1030)]


@pytest.mark.parametrize(
    ("hop", "expected"),
    [
        ({}, INFINITE),
        ({"timeout_ns": 1 * S, "attempts": 3}, 3 * S),
        ({"timeout_ns": 1 * S, "attempts": 3, "deadline_ns": 2 * S}, 2 * S),
        ({"deadline_ns": 2 * S}, 2 * S),
        (
            {
                "timeout_ns": 1 * S,
                "attempts": 4,
                "backoff": retry.FULL,
                "backoff_base_ns": 1 * S,
                "backoff_cap_ns": 3 * S,
                "backoff_factor": 2.0,
            },
            (4 + 1 + 2 + 3) * S,
        ),
        (
            {
                "timeout_ns": 1 * S,
                "attempts": 3,
                "backoff": retry.DECORRELATED,
                "backoff_base_ns": 1 * S,
                "backoff_cap_ns": 5 * S,
            },
            (3 + 5 + 5) * S,
        ),
    ],
)
def test_the_longest_a_request_can_take(hop: dict[str, int], expected: int) -> None:
    assert patience_ns(plan_of(**hop).hops[0]) == expected


def windows_of(rows: Rows, end_s: float, window_s: int = 2, first_s: int = 0, late_ms: float = 100.0) -> object:
    recording = rows.recording(end_s)
    seconds = per_second(recording, COVERING_ZONE_COLUMNS)
    return windows(recording, rows.plan, seconds, window_s, first_s, {990: round(late_ms * MS)})


def test_windows_slide_by_a_second() -> None:
    rows = Rows(plan_of(timeout_ns=1 * S))
    for s, ok in enumerate([(1,), (1, 2), (50, 50), ()]):
        rows.row(s, ok_ms=ok, failed={Outcome.ERROR: s})
    rows.row(4, ok_ms=(1,))  # half a second, in no window
    view = windows_of(rows, 4.5)
    assert view.end_s.tolist() == [2, 3, 4]
    assert view.succeeded.tolist() == [3, 4, 2]
    assert view.failed.tolist() == [1, 3, 5]
    lowest, highest = view.latency_ns[990]
    assert lowest.tolist() == highest.tolist() == [math.inf] * 3
    assert windows_of(rows, 4.5, first_s=1).end_s.tolist() == [3, 4]
    assert windows_of(rows, 4.5, window_s=9).end_s.tolist() == []


def test_a_percentile_without_failures_is_that_of_the_successes() -> None:
    rows = Rows(plan_of(timeout_ns=1 * S)).row(0, ok_ms=(1,) * 99).row(1, ok_ms=(70,)).row(2, ok_ms=(80,))
    lowest, highest = windows_of(rows, 3).latency_ns[990]
    assert lowest.tolist() == highest.tolist() == [midpoint_s(1) * S, midpoint_s(80) * S]


def test_unresolved_requests_are_open_until_their_time_is_over() -> None:
    rows = Rows(plan_of(timeout_ns=1 * S))
    for s in range(4):
        rows.row(s, ok_ms=(1,), unresolved=1)
    view = windows_of(rows, 4, window_s=1)
    # At 4 s those of second 3 are younger than their timeout of 1 s; all others cannot be under way any more.
    assert view.failed.tolist() == [1, 1, 1, 0]
    assert view.unresolved.tolist() == [0, 0, 0, 1]
    lowest, highest = view.latency_ns[990]
    assert highest.tolist() == [math.inf] * 4
    assert lowest.tolist() == [math.inf] * 3 + [midpoint_s(1) * S]


def test_unresolved_requests_that_are_too_old_for_a_latency_are_late() -> None:
    rows = Rows(plan_of(timeout_ns=60 * S))
    for s in range(3):
        rows.row(s, ok_ms=(1,), unresolved=1)
    view = windows_of(rows, 3, window_s=1, late_ms=1000)
    assert view.unresolved.tolist() == [1, 1, 1]
    assert view.latency_ns[990][0].tolist() == [math.inf, math.inf, midpoint_s(1) * S]


def test_a_client_without_limits_has_failed_at_the_end_if_a_window_has_passed() -> None:
    rows = Rows(plan_of())
    for s in range(5):
        rows.row(s, unresolved=1)
    view = windows_of(rows, 5, window_s=2)
    assert view.end_s.tolist() == [2, 3, 4, 5]
    assert view.failed.tolist() == [2, 2, 1, 0]
    assert view.unresolved.tolist() == [0, 0, 1, 2]


def test_metrics_of_a_block() -> None:
    plan = plan_of()
    rows = Rows(plan).row(0, ok_ms=(1, 2, 3), sent=9, cpu_s=(0.5, 0.0), wasted_s=0.5)
    rows.row(0.5, failed={Outcome.TIMEOUT: 1, Outcome.OVERLOAD: 2}, unresolved=4, sent=1, cpu_s=(0.5, 1.0))
    found = metrics(plan, block(rows.row(1, ok_ms=(9,) * 9).recording(2), 0, S))
    assert (found["offered"], found["succeeded"], found["unresolved"]) == (10, 3, 4)
    assert found["failed"] == {"overload": 2, "timeout": 1}
    assert found["success"] == 0.5
    assert found["goodput_per_s"] == 3.0
    assert found["latency_s"]["mean"] == 0.002
    assert found["latency_s"]["p50"] == round(midpoint_s(2), 9)
    assert found["latency_all_p50_s"] == round(midpoint_s(3), 9)
    assert found["latency_all_p99_s"] is None
    assert found["wasted_share"] == 0.2
    assert found["utilisation"] == 0.5  # 2 core seconds of 4
    assert found["offered"] == found["succeeded"] + sum(found["failed"].values()) + found["unresolved"]


def test_nothing_offered_has_no_shares() -> None:
    plan = plan_of()
    found = metrics(plan, block(Rows(plan).row(0).recording(1), 0, S))
    assert found["success"] is found["amplification"] is found["wasted_share"] is found["latency_s"]["p99"] is None
    assert found["goodput_per_s"] == 0.0


def test_services_and_the_busiest_zone() -> None:
    plan = plan_of()
    whole = block(Rows(plan).row(0, ok_ms=(1, 1), sent=5, cpu_s=(0.5, 1.5), wasted_s=2.0).recording(1), 0, S)
    web = services(plan, whole)["web"]
    assert web["utilisation"] == {"a": 0.25, "b": 0.75}
    assert (web["utilisation_all"], web["useful_share"], web["wasted_share"]) == (0.5, 0.5, 0.5)
    assert (web["attempts"], web["amplification"]) == (5, 2.5)
    assert busiest_zone(plan, whole) == {"zone": "b", "service": "web", "utilisation": 0.75}


def test_stress_counts_as_utilisation() -> None:
    plan = plan_of()
    recording = Rows(plan).row(0, cpu_s=(0.5, 0.0)).recording(1)
    recording.zones[0, 0, 0, STRESS] = S * VIRTUAL
    assert services(plan, block(recording, 0, S))["web"]["utilisation"] == {"a": 0.75, "b": 0.0}


def test_what_is_wasted_of_the_utilisation_leaves_the_stress_out() -> None:
    plan = plan_of()
    rows = Rows(plan).row(0, cpu_s=(0.5, 1.0), ok_ms=(1,), wasted_s=0.5).row(1, cpu_s=(0.0, 0.0))
    recording = rows.recording(2)
    recording.zones[0, 0, 0, STRESS] = S * VIRTUAL
    seconds = per_second(recording, COVERING_ZONE_COLUMNS)
    web = timeline(plan, recording, seconds, np.zeros((2, 1)))["services"]["web"]
    # Of 2 s that ended in it 0.5 s were in vain: so is a quarter of the 1.5 s of application, of 4 core seconds.
    assert web["wasted_utilisation"] == [1.5 / 4 / 4, None]


def test_a_balancer_that_fails_open_says_so() -> None:
    plan = plan_of()
    rows = Rows(plan).row(0, in_view=2).row(1, in_view=1).row(2, in_view=0)
    recording = rows.recording(3)
    seconds = per_second(recording, COVERING_ZONE_COLUMNS)
    for below, expected in ((0.0, [False, False, True]), (0.6, [False, True, True]), (-1.0, [False] * 3)):
        plan.services["fail_open_below"] = below
        assert opened(plan, seconds)[:, 0].tolist() == expected
        web = timeline(plan, recording, seconds, np.zeros((3, 1)))["services"]["web"]
        assert web["fail_open"] == expected


def test_headroom_is_what_arriving_work_leaves_of_the_capacity_in_view() -> None:
    plan = plan_of()
    rows = Rows(plan)
    for s, (sent, capacity) in enumerate([(100, 4), (200, 4), (300, 2), (100, 4)]):
        rows.row(s, sent=sent, capacity=capacity, in_view=2 if capacity == 4 else 1)
    found = headroom(plan, per_second(rows.recording(4), COVERING_ZONE_COLUMNS), window_s=2, first_s=1)
    assert np.isnan(found[:2, 0]).all()  # the first window after 1 s ends with second 2
    # 500 x 10 ms into 6 core seconds, then 400 into 6.
    assert found[2:, 0] == pytest.approx([1 - 5 / 6, 1 - 4 / 6])
    assert least_headroom(plan, found) == {"min": round(1 - 5 / 6, 9), "at_s": 3, "service": "web"}


@pytest.mark.parametrize(("fail_open_below", "least"), [(0.0, 0.75), (-1.0, None)])
def test_headroom_without_anything_in_view(fail_open_below: float, least: float | None) -> None:
    web = service(
        "web", per_zone=1, work_ns=10 * MS, slots=2, cores=2.0, overrides=None, fail_open_below=fail_open_below
    )
    plan = make_plan(populations=[population("web")], services=[web], zones=("a", "b"))
    rows = Rows(plan).row(0, sent=100, capacity=0, in_view=0)
    found = headroom(plan, per_second(rows.recording(1), COVERING_ZONE_COLUMNS), window_s=1, first_s=0)
    assert least_headroom(plan, found)["min"] == least
    assert least_headroom(plan, found)["at_s"] == 1


def test_headroom_of_a_run_without_a_whole_window() -> None:
    plan = plan_of()
    found = headroom(plan, per_second(Rows(plan).row(0).recording(1), COVERING_ZONE_COLUMNS), window_s=9, first_s=0)
    assert least_headroom(plan, found) == {"min": None, "at_s": None, "service": None}


def test_an_instant_snaps_to_the_next_row() -> None:
    recording = Rows(plan_of()).row(0).row(0.4).row(1).recording(2)
    assert [snapped(recording, round(t * SECOND_NS)) for t in (0, 0.3, 0.4, 1.5)] == [0, 0.4 * S, 0.4 * S, 2 * S]


def test_every_percentile_of_a_result_has_a_permille() -> None:
    assert PERMILLES == {"p50": 500, "p90": 900, "p99": 990, "p999": 999}
