"""Who runs tasks: this process, worker processes, threads, or a Dask cluster. All of them are `concurrent.futures`.

A row does not depend on who made it: chance is keyed (O4), and a task carries its whole scenario.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, Final, Literal, Protocol

from azsim.base.errors import AzsimError, ExitCode

Kind = Literal["processes", "threads"]
WORKERS_MAX: Final = 512
_ANSWER_S: Final = 10  # for a scheduler to answer


class ClusterError(AzsimError):
    """A Dask cluster that cannot be reached, or was lost."""

    exit_code = ExitCode.BAD_INPUT


class Workers(Protocol):
    """An executor that can be made anew when its workers have died."""

    @property
    def count(self) -> int:
        """How many tasks they run at once."""
        ...

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """See `concurrent.futures.Executor.submit`; raises BrokenExecutor where the workers are gone."""
        ...

    def restart(self) -> None:
        """Put new workers in the place of dead ones."""
        ...

    def close(self) -> None:
        """Drop what has not begun, and let the workers go."""
        ...


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers(count: int | None = None, kind: Kind = "processes", cluster: str | None = None) -> Workers:
    """So many worker processes or threads, as many as processors unless said; or the workers of a cluster.

    One worker process is this process itself. Raises ClusterError.
    """
    if cluster is not None:
        return _Cluster(cluster)
    count = min(cores() if count is None else count, WORKERS_MAX)
    if count < 1:
        raise ValueError(f"there is at least one worker, not {count}")
    if kind == "threads":
        return _Pool(count, lambda: ThreadPoolExecutor(count, thread_name_prefix="azsim"))
    return _Here() if count == 1 else _Pool(count, lambda: _processes(count))


def _processes(count: int) -> Executor:
    # A fork of a process that has threads may hang in whatever lock one of them held.
    start = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=start, initializer=_begin)


def _begin() -> None:
    """What a worker process does first: it leaves Ctrl-C to the process that hands out the tasks, and dies with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, name="azsim-follow", daemon=True).start()


def _follow() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # a worker of nobody would wait for tasks for ever


class _Here:
    """This process, one task after the other."""

    count = 1

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # handed to whoever asks for the result, as any executor does
            future.set_exception(error)
        return future

    def restart(self) -> None:
        raise AssertionError("this process is alive")

    def close(self) -> None:
        pass


class _Pool:
    """An executor of the standard library."""

    def __init__(self, count: int, make: Callable[[], Executor]) -> None:
        self.count = count
        self._make = make
        self._executor = make()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self._executor.submit(function, *arguments)

    def restart(self) -> None:
        self.close()
        self._executor = self._make()

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


class _Cluster:
    """The workers of a Dask cluster: the extra `azsim[cluster]`. Dask itself gives a dead worker's tasks to others."""

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise ClusterError("a cluster needs Dask: pip install 'azsim[cluster]'") from None
        try:
            self._client = Client(address, timeout=_ANSWER_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ClusterError(f"no Dask scheduler answers at {address}: {error}") from error
        self._executor = self._client.get_executor(pure=False, retries=0)

    @property
    def count(self) -> int:
        """Threads of all workers that are there now."""
        return max(1, sum(int(n) for n in self._client.nthreads().values()))

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = self._executor.submit(function, *arguments)
        return future

    def restart(self) -> None:
        if self._client.status != "running":
            raise ClusterError("the Dask scheduler is gone; what was finished is kept: run it again")

    def close(self) -> None:
        self._executor.shutdown(wait=False)
        self._client.close()
