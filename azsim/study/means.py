"""By what means runs are made: a store and workers, held for as long as they are needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from azsim.study.collector import Collector
from azsim.study.executors import Kind, workers
from azsim.study.store import Store
from azsim.study.task import bounded

Kept = Store | str | Path | None
"""A store, the file of one, or nothing: rows then live in memory."""


@contextlib.contextmanager
def collector_of(
    store: Kept = None,
    count: int | None = None,
    kind: Kind = "processes",
    cluster: str | None = None,
    memory_limit: int | None = None,
) -> Iterator[Collector]:
    """A collector over a store and workers, for as long as the `with` statement lasts. A store that was given open is
    left open. Raises StoreError and ClusterError.
    """
    kept = store if isinstance(store, Store) else Store(store)
    try:
        with Collector(kept, workers(count, kind, cluster), bounded(memory_limit)) as collector:
            yield collector
    finally:
        if not isinstance(store, Store):
            kept.close()
