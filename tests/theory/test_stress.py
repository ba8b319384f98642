"""CPU stress beside an application: the rule of I3 on examples reckoned by hand, and in a running instance."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE
from azsim.dataplane.kernel import Kernel
from azsim.dataplane.reference import Reference
from azsim.policy.cpu import OWN_GROUP, SHARED, STRICT, application_cores, stress_cores
from tests.plans import MS, S, make_plan, population, service

# competition, cores C, jobs M, stressor threads S of duty L: cores of the application, of the stressors.
EXAMPLES = [
    # Eight against eight on eight cores share them in halves: the stressors show 50% and not their 80%.
    (SHARED, 8, 8, 8, 0.8, 4.0, 4.0),
    # One job alone has its core: the stressors leave 8 - 6.4 = 1.6.
    (SHARED, 8, 1, 8, 0.8, 1.0, 6.4),
    # Two jobs: 8 x 2 / 10 = 1.6 by threads, and 1.6 is left: both rules meet.
    (SHARED, 8, 2, 8, 0.8, 1.6, 6.4),
    # Four jobs: 8 x 4 / 12.
    (SHARED, 8, 4, 8, 0.8, 8 / 3, 16 / 3),
    # Sixteen jobs on eight cores: 8 x 16 / 24.
    (SHARED, 8, 16, 8, 0.8, 16 / 3, 8 / 3),
    # Four busy stressors on eight cores: eight jobs get 8 x 8 / 12, four jobs have a core each.
    (SHARED, 8, 8, 4, 1.0, 16 / 3, 8 / 3),
    (SHARED, 8, 4, 4, 1.0, 4.0, 4.0),
    # Light stress leaves more than the share by threads: 2 - 2 x 0.1.
    (SHARED, 2, 2, 2, 0.1, 1.8, 0.2),
    # Nothing runs: the stressors have what they want.
    (SHARED, 8, 0, 8, 0.8, 0.0, 6.4),
    # More duty than there are cores.
    (SHARED, 2, 2, 6, 1.0, 0.5, 1.5),
    # A group of their own gets half the cores each, or what the other leaves.
    (OWN_GROUP, 8, 8, 8, 0.8, 4.0, 4.0),
    (OWN_GROUP, 8, 3, 8, 0.8, 3.0, 5.0),
    (OWN_GROUP, 8, 8, 8, 0.3, 5.6, 2.4),
    (OWN_GROUP, 8, 8, 80, 1.0, 4.0, 4.0),
    # The stressors come first.
    (STRICT, 8, 8, 8, 0.8, 1.6, 6.4),
    (STRICT, 8, 1, 8, 0.8, 1.0, 6.4),
    (STRICT, 2, 2, 4, 1.0, 0.0, 2.0),
    # No stress: as many cores as jobs, at most all.
    (SHARED, 8, 3, 0, 0.0, 3.0, 0.0),
    (STRICT, 2, 5, 0, 0.0, 2.0, 0.0),
]


@pytest.mark.parametrize(("competition", "cores", "jobs", "threads", "duty", "application", "stress"), EXAMPLES)
def test_cores_by_hand(
    competition: int, cores: float, jobs: int, threads: int, duty: float, application: float, stress: float
) -> None:
    found = application_cores(jobs, float(cores), float(threads), threads * duty, competition)
    assert found == pytest.approx(application, abs=1e-12)
    assert stress_cores(found, float(cores), threads * duty) == pytest.approx(stress, abs=1e-12)


@pytest.mark.parametrize("engine", [Kernel, Reference])
@pytest.mark.parametrize(
    ("competition", "cores", "jobs", "threads", "duty", "application", "stress"),
    [example for example in EXAMPLES if example[2]],
)
def test_cores_in_a_running_instance(
    engine: Any, competition: int, cores: float, jobs: int, threads: int, duty: float, application: float, stress: float
) -> None:
    """Every slot is always busy: in a second the CPU accounts grow by just these cores, and work / cores takes so long
    to do. Completions are rounded to nanoseconds: a millionth is more than they can make.
    """
    work_ns = 5 * MS
    plan = make_plan(
        populations=[population(arrivals_ns=[MS] * 600 if cores < 8 else [MS] * 2000)],
        services=[service(per_zone={"a": 1}, slots=jobs, cores=float(cores), queue=INFINITE, work_ns=work_ns)],
    )
    plane = engine(plan)
    plane.set_stress(0, float(threads), threads * duty, competition)
    for t_ns in (S // 2, S):
        plane.advance(t_ns)
        plane.cut_row()
    plane.check()
    recording = plane.finish()
    zone = recording.zones[1, 0, 0]
    assert zone[layout.QUEUED] > 0
    assert zone[layout.CPU] / 1024 == pytest.approx(application * S / 2, rel=1e-6, abs=2)
    assert zone[layout.STRESS] / 1024 == pytest.approx(stress * S / 2, rel=1e-6, abs=2)
    served = recording.populations[1, 0, layout.SUCCEEDED]
    assert abs(served * work_ns - application * S / 2) <= (jobs + 1) * work_ns
