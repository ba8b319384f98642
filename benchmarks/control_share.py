"""How much of a run's processor time the control plane takes: `python -m benchmarks.control_share FILE SEED`.

Everything but the advance of the data plane counts as control: probes' notices, routers, telemetry, alarms, groups, the
fault schedule, and the calls by which they act. The first seconds load or compile the kernel and are not measured.
"""

from __future__ import annotations

import json
import sys
import time

import azsim
from azsim.dataplane.codes import Reason
from azsim.simulation.lower import lower
from azsim.simulation.lower_control import lower_control
from azsim.simulation.lower_faults import lower_faults
from azsim.simulation.planes import Course, Pass, data_plane


def control_share(path: str, seed: int) -> dict[str, float]:
    """Processor time of the simulation, and the share of it that was not the data plane's."""
    scenario = azsim.load(path)
    plane = data_plane(lower(scenario, seed), "kernel")
    advance, advanced_s = plane.advance, 0.0

    def timed(until_ns: int) -> Reason:
        nonlocal advanced_s
        before_s = time.process_time()
        reason = advance(until_ns)
        advanced_s += time.process_time() - before_s
        return reason

    plane.advance = timed  # type: ignore[method-assign]
    course = Course(
        end_ns=scenario.duration,
        faults=lower_faults(scenario),
        abort=(),
        reset_at_ns=None,
        retries_off_from_ns=None,
        rejoin_at_ns=None,
        control=lower_control(scenario),
    )
    before_s = time.process_time()
    done = Pass(plane, course, paranoid=False, progress=None)
    cpu_s = time.process_time() - before_s
    succeeded, failed = plane.ended()
    return {
        "cpu_s": cpu_s,
        "control_share": 1.0 - advanced_s / cpu_s,
        "requests": float(succeeded + failed),
        "requests_per_cpu_s": (succeeded + failed) / cpu_s,
        "events": float(len(done.env.events)),
        "launched": float(sum(exists for _, _, exists in done.machines.presence)),
    }


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m benchmarks.control_share FILE SEED")
    print(json.dumps(control_share(sys.argv[1], int(sys.argv[2]))))
