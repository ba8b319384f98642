"""Gets replicates done: those that the store lacks are run, each is kept as soon as it is finished."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from types import TracebackType
from typing import Any, Final

from azsim.base.errors import InternalError, LimitError
from azsim.base.jit import cache_folder
from azsim.study.executors import Workers
from azsim.study.row import Row
from azsim.study.store import Store
from azsim.study.task import Task, run_task

Run = Callable[[Task], Row]
Told = Callable[[int, int], None]
"""Told how many of how many tasks are done."""

AHEAD: Final = 2  # tasks given out for each worker, so that none waits for the next
DEATHS_MAX: Final = 8  # of workers while one task was given out; then it is taken to be what kills them
_COMPILED_PARTS: Final = 2  # of one variant


class Collector:
    """Runs tasks on workers and keeps their rows in a store. Close it, or use it in a `with` statement."""

    def __init__(self, store: Store, workers: Workers, run: Run = run_task) -> None:
        self.store = store
        self.workers = workers
        self.ran = 0  # replicates that were not in the store
        self._run = run

    def __enter__(self) -> Collector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.workers.close()

    def rows(self, tasks: Iterable[Task], told: Told | None = None) -> list[Row]:
        """The rows of tasks, in their order, whoever finishes first.

        Raises what a task raised; LimitError where workers keep dying over one; rows that were finished are kept.
        """
        ordered = list(tasks)
        keys = [task.key for task in ordered]
        found = self._stored(ordered)
        missing = list({key: task for key, task in zip(keys, ordered, strict=True) if key not in found}.values())
        work = _Work(self, missing, found, told, len(found) + len(missing))
        work.do()
        return [found[key] for key in keys]

    def _stored(self, tasks: Sequence[Task]) -> dict[tuple[str, int, str], Row]:
        wanted: dict[tuple[str, str], list[int]] = {}
        for digest, replicate, version in (task.key for task in tasks):
            wanted.setdefault((digest, version), []).append(replicate)
        rows = (row for key, replicates in wanted.items() for row in self.store.find(*key, replicates).values())
        return {row.key: row for row in rows}

    def submit(self, task: Task) -> Future[Any]:
        """Give a task out."""
        return self.workers.submit(self._run, task)


class _Work:
    """Tasks on their way."""

    def __init__(
        self,
        collector: Collector,
        tasks: Sequence[Task],
        found: dict[tuple[str, int, str], Row],
        told: Told | None,
        total: int,
    ) -> None:
        self.collector = collector
        self.waiting = deque(tasks)
        self.found = found
        self.running: dict[Future[Any], Task] = {}
        self.deaths: Counter[Task] = Counter()
        self.told = told
        self.total = total

    def do(self) -> None:
        try:
            self.tell()
            # Processes that start together would each compile the kernel: the first one does it for all.
            if self.waiting and self.collector.workers.count > 1 and not _compiled():
                self.give_out(1)
                self.take_in()
            while self.waiting or self.running:
                self.give_out(AHEAD * self.collector.workers.count)
                self.take_in()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Drops what has not begun; what is finished by now is kept, though nobody waits for it any more."""
        finished = [
            (task, future)
            for future, task in self.running.items()
            if not future.cancel() and future.done() and future.exception() is None
        ]
        self.running.clear()
        self.keep([self.checked(task, future.result()) for task, future in finished])

    def give_out(self, most: int) -> None:
        while self.waiting and len(self.running) < most:
            task = self.waiting.popleft()
            try:
                self.running[self.collector.submit(task)] = task
            except BrokenExecutor:
                self.waiting.appendleft(task)
                if not self.running:
                    self.collector.workers.restart()
                return

    def take_in(self) -> None:
        if not self.running:
            return
        done, _ = wait(self.running, return_when=FIRST_COMPLETED)
        rows: list[Row] = []
        lost: list[Task] = []
        failure: BaseException | None = None
        for future in done:
            task = self.running.pop(future)
            try:
                rows.append(self.checked(task, future.result()))
            except (BrokenExecutor, CancelledError):
                lost.append(task)
            except Exception as error:
                if type(error).__name__ == "KilledWorker":  # Dask's, which is not imported here
                    lost.append(task)
                else:
                    failure = failure or error
        self.keep(rows)
        if failure is not None:
            raise failure
        if lost:
            self.again(lost)

    def checked(self, task: Task, row: Row) -> Row:
        if row.key != task.key:
            raise InternalError(
                f"a worker runs {row.code_version}, this process {task.key[2]}: install the same azsim everywhere"
            )
        return row

    def keep(self, rows: Sequence[Row]) -> None:
        self.collector.store.add(rows)
        self.collector.ran += len(rows)
        self.found.update((row.key, row) for row in rows)
        if rows:
            self.tell()

    def tell(self) -> None:
        if self.told is not None:
            self.told(len(self.found), self.total)

    def again(self, lost: list[Task]) -> None:
        """Workers died: what they had is given out again, to new ones."""
        # The pool is broken as a whole: wait for the rest of what it held, some of which is finished.
        rows: list[Row] = []
        for future, task in self.running.items():
            try:
                rows.append(self.checked(task, future.result()))
            except (BrokenExecutor, CancelledError):
                lost.append(task)
        self.running.clear()
        self.keep(rows)
        self.deaths.update(lost)
        worst, deaths = self.deaths.most_common(1)[0]
        if deaths >= DEATHS_MAX:
            raise LimitError(
                f"worker processes died {deaths} times while replicate {worst.replicate} of scenario "
                f"{worst.digest[:12]} was run: out of memory? --workers 1 runs it here, --memory bounds it"
            )
        self.collector.workers.restart()
        self.waiting.extendleft(sorted(lost, key=lambda task: (task.digest, task.replicate), reverse=True))


def _compiled() -> bool:
    return sum(1 for _ in cache_folder().rglob("*.nbc")) >= _COMPILED_PARTS
