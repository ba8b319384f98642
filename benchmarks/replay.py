"""Run a scenario with several seeds in this process and print the figures the yardsticks print, as one JSON object.

`python -m benchmarks.replay FILE SEED REPLICATIONS`. The first run loads or compiles the kernel and is not measured.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time

import azsim


def standard_error(values: list[float]) -> float:
    """Of the mean; 0 for a single value, which says nothing about it."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def replay(path: str, seed: int, replications: int) -> dict[str, float]:
    """Totals over the replications; `wall_s`: the simulation alone, `cpu_s`: processor time, with results."""
    scenario = azsim.load(path)
    azsim.run(scenario, seed=seed, replays=False)
    wall_s = cpu_s = 0.0
    requests = attempts = 0
    goodputs_per_s, latencies_s = [], []
    for k in range(replications):
        before_s = time.process_time()
        result = azsim.run(scenario, seed=seed + k, replays=False)
        cpu_s += time.process_time() - before_s
        wall_s += result.wall_s
        requests += result.totals["offered"]
        attempts += sum(service["attempts"] for service in result.services.values())
        goodputs_per_s.append(result.totals["goodput_per_s"])
        latencies_s.append(result.totals["latency_s"]["mean"])
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "requests": requests,
        "attempts": attempts,
        "goodput_per_s": statistics.fmean(goodputs_per_s),
        "goodput_per_s_se": standard_error(goodputs_per_s),
        "latency_s_mean": statistics.fmean(latencies_s),
        "latency_s_mean_se": standard_error(latencies_s),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m benchmarks.replay FILE SEED REPLICATIONS")
    print(json.dumps(replay(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
