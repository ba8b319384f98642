"""Replicates without a simulation: rows made from their keys alone, fast and slow."""

from __future__ import annotations

import time
from dataclasses import replace

from azsim.base.seeds import run_key
from azsim.simulation.run import code_version
from azsim.study.row import Row
from azsim.study.task import Task


def row(digest: str = "d" * 64, replicate: int = 0, **values: object) -> Row:
    """A row; its verdict is a collapse in one of four, by key."""
    key = run_key(int(digest[:8], 16) if digest[:8].isalnum() else 0, replicate)
    made = Row(
        digest=digest,
        replicate=replicate,
        code_version=code_version(),
        scenario="fake",
        seed=1,
        verdict="collapse" if key % 4 == 0 else "degraded",
        hypothesis="falsified" if key % 4 == 0 else "held",
        offered=1000,
        attempts=1000 + key % 100,
        succeeded=1000 - key % 10,
        failed=key % 10,
        success=1 - key % 10 / 1000,
        goodput_per_s=(1000 - key % 10) / 60,
        amplification=1 + key % 100 / 1000,
        wasted_share=None,
        utilisation=0.5,
        latency_p50_s=0.1,
        latency_p99_s=1 / 3,
        time_to_detect_s=None,
        time_to_recover_s=float(key % 30),
        headroom_min=0.1,
        aborted_at_s=None,
    )
    return replace(made, **values)  # type: ignore[arg-type]


def task(replicate: int, digest: str = "d" * 64) -> Task:
    return Task(digest, replicate, "{}")


def run_fake(task: Task) -> Row:
    return row(task.digest, task.replicate)


def run_slow(task: Task) -> Row:
    time.sleep(0.02)
    return run_fake(task)
