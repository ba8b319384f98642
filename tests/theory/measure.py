"""How the theory tests run a plan and compare what they measure with a formula.

Every comparison is a test of a hypothesis whose false-alarm rate is `ALARM`: were the seeds drawn anew, a correct
simulator would fail one in a million times. The seeds are fixed, so it either always passes or always fails.

Measurements on a queue are correlated. They are summed over long batches, and the spread of the batches says how far
the mean may be off (batch means, Student's t). `within` is the deviation, relative to the formula, that a test must be
able to see: a tolerance wider than that fails the test, too. Queues of one seed meet the same arrivals, so their
deviations resemble each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE, Reason
from azsim.dataplane.kernel import Kernel
from azsim.dataplane.layout import Plan, Recording
from azsim.dataplane.protocol import DataPlane
from azsim.policy import distributions
from azsim.policy.distributions import natural_log, sample_work
from tests.plans import MS, make_plan, population, service

ALARM = 1e-6

Floats = npt.NDArray[np.float64]


def works(kind: int, mean_ns: float, cv: float = 1.0) -> dict[str, Any]:
    """Fields of an instance whose work has this distribution, mean and coefficient of variation."""
    if kind == distributions.LOGNORMAL:
        variance = natural_log(1.0 + cv * cv)
        a, b = natural_log(mean_ns) - variance / 2, variance**0.5
    elif kind == distributions.GAMMA:
        a, b = 1 / cv**2, mean_ns * cv**2
    elif kind == distributions.UNIFORM:
        width = mean_ns * cv * 12**0.5
        a, b = mean_ns - width / 2, width
    else:
        a, b = mean_ns, 0.0
    return {"work": kind, "work_a": a, "work_b": b, "work_mean_ns": mean_ns}


def one_queue(rate_per_s: float, *, slots: int, shared_cpu: bool = False, **fields: Any) -> Plan:
    """Poisson arrivals at one instance, without delays; `fields` are its queue, work and cores."""
    return make_plan(
        populations=[population(rate_per_s=rate_per_s)],
        services=[service(per_zone={"a": 1}, slots=slots, **fields)],
        shared_cpu=shared_cpu,
    )


def run_rows(plan: Plan, edges_ns: Sequence[int], engine: DataPlane | None = None) -> Recording:
    """Run to the last edge; a row ends at each of the others."""
    engine = engine or Kernel(plan)
    for edge_ns in edges_ns[:-1]:
        assert engine.advance(edge_ns) == Reason.REACHED
        engine.cut_row()
    assert engine.advance(edges_ns[-1]) == Reason.REACHED
    engine.check()
    return engine.finish()


def run_batches(plan: Plan, batch_ns: int, batches: int) -> Recording:
    """Run for so many batches after one to warm up and before one to let requests end; both are left out.

    Columns by start then cover whole lives of requests, whichever batch they end in.
    """
    recording = run_rows(plan, [batch_ns * (i + 1) for i in range(batches + 2)])
    for name in ("populations", "services", "zones", "latency", "start_ns"):
        setattr(recording, name, getattr(recording, name)[1:-1])
    return recording


def column(recording: Recording, number: int, population_number: int = 0) -> Floats:
    """A column of a population, by row."""
    return recording.populations[:, population_number, number].astype(np.float64)


def agrees(what: str, formula: float, sums: Floats, counts: Floats | None = None, *, within: float) -> float:
    """Assert that sum(sums) / sum(counts) over batches is what the formula says; the estimate.

    Without `counts` the mean of `sums` is compared. A ratio's error is that of its residuals (delta method).
    """
    counts = np.ones(len(sums)) if counts is None else counts
    estimate = float(sums.sum() / counts.sum())
    residuals = (sums - estimate * counts) / counts.mean()
    error = float(np.sqrt((residuals**2).sum() / (len(sums) * (len(sums) - 1))))
    reach = float(stats.t.isf(ALARM / 2, len(sums) - 1)) * error
    print(f"{what}: formula {formula:.6g}, measured {estimate:.6g} +- {error:.2g}")
    assert reach <= within * abs(formula), f"{what}: a deviation of {reach:.3g} could go unseen; take more batches"
    assert abs(estimate - formula) <= reach, f"{what}: {formula:.6g} by the formula, {estimate:.6g} +- {error:.2g}"
    return estimate


def is_plausible(what: str, probability: float) -> None:
    """Assert that what was seen is not too rare, were the formula right."""
    print(f"{what}: p = {probability:.3g}")
    assert probability >= ALARM, f"{what}: such a deviation has probability {probability:.2g}"


class Tagged:
    """One request at a time dropped into a plan's traffic at regular instants, and what became of it.

    Tagged requests see the others as a look at the system at a time of its own does (the number and the work they find
    is stationary), and their `spacing_ns` is chosen so long that they are nearly independent of each other. Their
    latencies are known to the nanosecond because each has a row of its own, and so is their work, which is drawn from
    their names. `found_in_service` and `found_queued` are what each found on arrival.
    """

    def __init__(self, background_per_s: float, spacing_ns: int, n: int, *, shared_cpu: bool, **fields: Any) -> None:
        arrivals_ns = [spacing_ns * (k + 4) for k in range(n)]  # the first ones come to a system that has settled
        plan = make_plan(
            populations=[
                population(rate_per_s=background_per_s),
                population(name="tagged", arrivals_ns=arrivals_ns),
            ],
            services=[service(per_zone={"a": 1}, queue=INFINITE, **fields)],
            shared_cpu=shared_cpu,
        )
        edges_ns = [*arrivals_ns, arrivals_ns[-1] + 40 * spacing_ns]
        recording = run_rows(plan, edges_ns)
        assert (column(recording, layout.OFFERED, 1)[1:] == 1).all()
        assert (column(recording, layout.STARTED_SUCCEEDED, 1)[1:] == 1).all()
        self.latency_ns = column(recording, layout.STARTED_LATENCY, 1)[1:]
        one = plan.instances[0]
        self.work_ns = np.array(
            [
                sample_work(
                    int(one["work"]),
                    float(one["work_a"]),
                    float(one["work_b"]),
                    (),
                    0,
                    0,
                    plan.key,
                    (1 << 44) + k,
                    0,
                    16,
                )
                for k in range(n)
            ],
            np.float64,
        )
        self.found_in_service = recording.zones[:-1, 0, 0, layout.IN_SERVICE]
        self.found_queued = recording.zones[:-1, 0, 0, layout.QUEUED]


UNIT_NS = MS  # mean work in these tests, so that rates and times read as in textbooks: per and in units of it
PER_UNIT = 1000.0  # requests per second of one request per mean work
