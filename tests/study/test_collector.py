"""Replicates get done, once each, whoever dies on the way."""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path

import pytest

from azsim.base.errors import InternalError, LimitError
from azsim.simulation.run import code_version
from azsim.study.collector import Collector
from azsim.study.executors import ClusterError, Kind, workers
from azsim.study.export import as_csv, table
from azsim.study.row import Row
from azsim.study.store import Store
from azsim.study.task import Task
from tests.study.fake import run_fake, run_slow, task

TASKS = [task(k) for k in range(40)]
PLAIN = as_csv(table(map(run_fake, TASKS)))


def collected(store: Store, count: int, kind: Kind = "processes", run: object = run_fake) -> bytes:
    with Collector(store, workers(count, kind), run) as collector:  # type: ignore[arg-type]
        assert as_csv(table(collector.rows(TASKS))) == PLAIN
    return as_csv(table(store))


@pytest.mark.parametrize(("count", "kind"), [(1, "processes"), (2, "processes"), (3, "threads")])
def test_rows_are_the_same_bytes_whoever_ran_them(count: int, kind: Kind) -> None:
    with Store() as store:
        assert collected(store, count, kind) == PLAIN


def test_what_is_stored_is_not_run_again(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        store.add(map(run_fake, TASKS[:30]))
        with Collector(store, workers(1), run_fake) as collector:
            collector.rows(TASKS)
            assert collector.ran == 10
            collector.rows([*TASKS, *TASKS])
            assert collector.ran == 10


def run_failing(task: Task) -> Row:
    if task.replicate == 7:
        raise LimitError("too much")
    return run_fake(task)


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_an_error_comes_through_and_what_was_finished_stays(kind: Kind) -> None:
    with Store() as store, Collector(store, workers(2, kind), run_failing) as collector:
        with pytest.raises(LimitError, match="too much"):
            collector.rows(TASKS)
        finished = len(store)
        assert 7 not in {row.replicate for row in store}
        collector.rows(one for one in TASKS if one.replicate != 7)
        assert collector.ran == len(store) == 39
        assert finished > 0


def run_deadly(task: Task) -> Row:
    if task.replicate == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return run_fake(task)


def test_a_replicate_that_kills_its_workers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azsim.study.collector.DEATHS_MAX", 2)
    with Store() as store, Collector(store, workers(2), run_deadly) as collector:
        with pytest.raises(LimitError, match="died 2 times while replicate"):
            collector.rows(TASKS[:10])
        assert 7 not in {row.replicate for row in store}


def run_elsewhere(task: Task) -> Row:
    from dataclasses import replace

    return replace(run_fake(task), code_version="another")


def test_a_worker_of_another_version_is_refused() -> None:
    with Store() as store, Collector(store, workers(1), run_elsewhere) as collector:
        with pytest.raises(InternalError, match="install the same azsim"):
            collector.rows(TASKS)
        assert len(store) == 0


def children(pid: int) -> list[int]:
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the workers")
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.long)])
def test_killed_workers_cost_time_alone(kills: int, tmp_path: Path) -> None:
    before = set(children(os.getpid()))
    done = [0]
    killed: list[int] = []  # how many runs were done at each kill
    moments = random.Random(kills)
    over = threading.Event()

    def kill() -> None:
        while len(killed) < kills and not over.wait(moments.uniform(0.0, 0.5)):
            # New workers take a while to start; killed faster than that, they would never get anything done.
            if killed and done[0] <= killed[-1]:
                continue
            found = [pid for pid in children(os.getpid()) if pid not in before]
            # The resource tracker of multiprocessing is a child, too.
            found = [pid for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
            if found:
                killed.append(done[0])
                os.kill(moments.choice(found), signal.SIGKILL)

    def told(finished: int, _: int) -> None:
        done[0] = finished

    killer = threading.Thread(target=kill)
    killer.start()
    tasks = [task(k) for k in range(75 * kills)]
    with Store(tmp_path / "s") as store:
        with Collector(store, workers(2), run_slow) as collector:
            rows = collector.rows(tasks, told)
        over.set()
        killer.join()
        assert len(killed) > kills // 2
        assert as_csv(table(rows)) == as_csv(table(store)) == as_csv(table(map(run_fake, tasks)))


def test_a_cluster_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azsim.study.executors._ANSWER_S", 0.5)
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        workers(cluster="tcp://127.0.0.1:9")


def test_the_key_of_a_task_is_that_of_its_row() -> None:
    assert task(3).key == run_fake(task(3)).key == ("d" * 64, 3, code_version())


def test_progress_counts_up_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    with Store() as store, Collector(store, workers(2, "threads"), run_fake) as collector:
        collector.rows(TASKS, lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 40)
    assert seen[-1] == (40, 40)
    assert seen == sorted(seen)
