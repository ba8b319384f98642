"""A Dask cluster runs the same replicates, also when its workers are killed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from azsim.study.collector import Collector
from azsim.study.executors import workers
from azsim.study.export import as_csv, table
from azsim.study.row import replicate_row
from azsim.study.store import Store
from azsim.study.task import Task
from tests.small import scenario
from tests.study.fake import run_fake, run_slow, task

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from distributed import LocalCluster

    made = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50)
    yield made
    made.close()


def test_a_cluster_gives_the_rows_of_one_process(cluster: Any) -> None:
    one = scenario()
    tasks = [Task.of(one, k) for k in range(6)]
    with Store() as store, Collector(store, workers(cluster=cluster.scheduler_address)) as collector:
        assert collector.workers.count == 2
        rows = collector.rows(tasks)
    assert as_csv(table(rows)) == as_csv(table(replicate_row(one, k) for k in range(6)))


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.long)])
def test_killed_workers_cost_time_alone(kills: int, cluster: Any, tmp_path: Path) -> None:
    tasks = [task(k) for k in range(60 * kills)]
    moments = random.Random(kills)
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while len(killed) < kills and not over.wait(moments.uniform(0.1, 0.6)):
            alive = [nanny.pid for nanny in cluster.workers.values() if nanny.pid]
            if len(alive) == 2:  # the last one has to go on
                os.kill(moments.choice(alive), signal.SIGKILL)
                killed.append(1)
                time.sleep(0.5)

    killer = threading.Thread(target=kill)
    with (
        Store(tmp_path / "s") as store,
        Collector(store, workers(cluster=cluster.scheduler_address), run_slow) as collector,
    ):
        killer.start()
        rows = collector.rows(tasks)
        over.set()
        killer.join()
        assert killed
        assert as_csv(table(rows)) == as_csv(table(store)) == as_csv(table(map(run_fake, tasks)))
