"""What must hold of every run, whatever the scenario: nothing is lost (C1-C3), and queues obey Little's law.

Conservation is exact. The laws are tried between the warm-up and the first fault, in seed 1, at five standard errors:
a false alarm in two million.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from azsim import load
from azsim.base.units import SECOND_NS
from azsim.dataplane import layout
from azsim.dataplane.codes import OUTCOMES, Outcome
from azsim.policy.balancing import ZONAL
from azsim.policy.cpu import VIRTUAL_PER_NS
from azsim.simulation.judging import span_block
from azsim.simulation.metrics import COVERING_ZONE_COLUMNS, mean_work_ns, metrics
from azsim.simulation.run import simulate
from azsim.simulation.series import per_second
from azsim.simulation.trace import Trace
from tests.golden.expectations import NAMES, path_of

STANDARD_ERRORS = 5
LEAD_S = 10  # longer than any request takes: those that meet a fault are left out


@cache
def trace(name: str) -> Trace:
    return simulate(load(path_of(name)))


def calm(name: str) -> tuple[int, int]:
    """The seconds between the warm-up and the first fault."""
    done = trace(name)
    first_ns = min((fault.start_ns for fault in done.faults), default=done.end_ns)
    return done.scenario.warmup // SECOND_NS, first_ns // SECOND_NS - LEAD_S


@pytest.mark.parametrize("name", NAMES)
def test_requests_are_conserved(name: str) -> None:
    total = trace(name).recording.populations.sum(axis=0)
    ended = total[:, layout.SUCCEEDED] + total[:, layout.FAILED : layout.FAILED + OUTCOMES].sum(axis=1)
    assert (total[:, layout.OFFERED] == ended + trace(name).recording.in_flight).all()
    assert (total[:, layout.ATTEMPTS] == total[:, layout.STARTED_ATTEMPTS]).all()


@pytest.mark.parametrize("name", NAMES)
def test_attempts_are_conserved(name: str) -> None:
    recording, plan = trace(name).recording, trace(name).plan
    assert (recording.hop_attempts == recording.hop_outcomes.sum(axis=1) + recording.attempts_in_flight).all()
    for number in range(len(plan.services)):
        to_it = plan.hops["service"] == number
        arrived = recording.services[:, number].sum(axis=0)
        refused = recording.hop_outcomes[to_it][:, [Outcome.BREAKER_OPEN, Outcome.BUDGET_EXHAUSTED]].sum()  # D63
        assert arrived[layout.SENT] == recording.hop_attempts[to_it].sum() - refused
        nowhere = recording.hop_outcomes[to_it, Outcome.NO_TARGET].sum()
        row = plan.balancing[number]
        if row["node_slots"] == 0 and row["placement"] != ZONAL:
            assert arrived[layout.DISPATCHED] == arrived[layout.SENT] - nowhere
        else:  # some end in a node, or on their way to one
            assert 0 < arrived[layout.DISPATCHED] <= arrived[layout.SENT] - nowhere


@pytest.mark.parametrize("name", NAMES)
def test_cpu_time_is_conserved(name: str) -> None:
    recording = trace(name).recording
    settled = recording.services[..., [layout.USEFUL, layout.WASTED]].sum()
    assert recording.zones[..., layout.CPU].sum() == settled + recording.cpu_in_progress


@pytest.mark.parametrize("name", NAMES)
def test_littles_law(name: str) -> None:
    """Requests at the service that clients ask, seen once a second, against arrival rate x time spent there."""
    done = trace(name)
    first, last = calm(name)
    service = int(done.plan.hops["service"][done.plan.populations["hop"][0]])
    if done.plan.balancing["node_slots"][service] > 0:
        pytest.skip("requests spend time in the balancer's nodes, too")
    if done.plan.policies["hedges"][done.plan.populations["hop"][0]] > 0:
        pytest.skip("a request that is hedged is in two places")
    zones = per_second(done.recording, COVERING_ZONE_COLUMNS).zones[first:last, service]
    seen = zones[..., [layout.QUEUED, layout.IN_SERVICE]].sum(axis=(1, 2))
    span = metrics(done.plan, span_block(done, first * SECOND_NS, last * SECOND_NS))
    network_s = 2 * int(done.plan.delay_ns[-1, 0]) / SECOND_NS
    expected = span["offered"] / (last - first) * (span["latency_s"]["mean"] - network_s)
    assert last - first >= 50
    assert abs(seen.mean() - expected) <= STANDARD_ERRORS * seen.std(ddof=1) / np.sqrt(len(seen))


@pytest.mark.parametrize("name", NAMES)
def test_the_utilisation_law(name: str) -> None:
    """CPU time of each service against attempts x mean work: what arrives is what is worked on."""
    done = trace(name)
    first, last = calm(name)
    block = span_block(done, first * SECOND_NS, last * SECOND_NS)
    for number, service in enumerate(done.scenario.services.values()):
        attempts = int(block.services[number, layout.SENT])
        work_ns = float(mean_work_ns(done.plan)[number])
        spent_ns = int(block.zones[number, :, layout.CPU].sum()) / VIRTUAL_PER_NS
        error_ns = service.work.cv * work_ns * np.sqrt(attempts)  # all of them log-normal
        slots = int(done.plan.instances["slots"][done.plan.instances["service"] == number].sum())
        assert attempts > 5_000
        assert abs(spent_ns - attempts * work_ns) <= STANDARD_ERRORS * error_ns + slots * work_ns
