"""What is kept of the requests of all files: a count a second, and a sample of latencies that any size fills alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from azsim.base.seeds import key_hash
from azsim.calibration.records import Batch, Floats, LogError, batches

SAMPLE: Final = 100_000
SPAN_S_MAX: Final = 31 * 24 * 3600
_KEY: Final = key_hash(0xCA11B, 0, 0, 0, 0)


class Observed:
    """A summary of requests, of a size that does not grow with their number.

    The sample holds the latencies whose numbers have the `SAMPLE` smallest hashes: each equally likely, and the same
    ones whenever the same files are read.
    """

    def __init__(self) -> None:
        self.requests = self.failed = self.unreadable = self.latencies = 0
        self.counts: Counter[int] = Counter()
        self.rates: dict[float, float] = {}
        self._ranks = np.empty(0, dtype=np.uint64)
        self._sample = np.empty((0, 2))  # latency, second it came in (NaN where unknown)

    def add(self, batch: Batch) -> None:
        """Takes in some requests."""
        self.failed += batch.failed
        self.unreadable += batch.unreadable
        if batch.rates_per_s is not None:
            self.rates.update(zip(batch.at_s.tolist(), batch.rates_per_s.tolist(), strict=True))
            if len(self.rates) > SPAN_S_MAX:
                raise LogError(f"more than {SPAN_S_MAX} rates; take longer intervals")
        else:
            self.requests += len(batch.at_s)
            known = batch.at_s[np.isfinite(batch.at_s)]
            seconds, counts = np.unique(np.floor(known), return_counts=True)
            for second, count in zip(seconds.astype(np.int64).tolist(), counts.tolist(), strict=True):
                self.counts[second] += count
            if len(self.counts) > SPAN_S_MAX:
                raise LogError("the requests span more than 31 days; a scenario covers less: take fewer files")
        well = np.isfinite(batch.latency_s)
        ranks = _hashes(self.latencies, int(well.sum()))
        self.latencies += len(ranks)
        rows = np.column_stack([batch.latency_s[well], batch.at_s[well]])
        ranks, rows = np.concatenate([self._ranks, ranks]), np.concatenate([self._sample, rows])
        if len(ranks) > SAMPLE:
            least = np.argpartition(ranks, SAMPLE)[:SAMPLE]
            ranks, rows = ranks[least], rows[least]
        self._ranks, self._sample = ranks, rows

    def sample_s(self) -> tuple[Floats, Floats]:
        """The sampled latencies and the second that each came in, in an order that does not depend on batches."""
        order = np.argsort(self._ranks)
        return self._sample[order, 0], self._sample[order, 1]

    def per_second(self) -> tuple[int, npt.NDArray[np.int64]]:
        """The first second, and the count of each from there on."""
        if not self.counts:
            return 0, np.empty(0, dtype=np.int64)
        first, last = min(self.counts), max(self.counts)
        if last - first >= SPAN_S_MAX:
            raise LogError("the requests span more than 31 days; a scenario covers less: take fewer files")
        found = np.zeros(last - first + 1, dtype=np.int64)
        for second, count in self.counts.items():
            found[second - first] = count
        return first, found


def observed(paths: Iterable[Path]) -> Observed:
    """The summary of some files; LogError where one cannot be read, or where nothing is in them."""
    found = Observed()
    for path in paths:
        for batch in batches(path):
            found.add(batch)
    if not found.requests and not found.rates:
        raise LogError("no request and no rate is in these files")
    return found


def _hashes(first: int, count: int) -> npt.NDArray[np.uint64]:
    """64 random bits for each number from `first` on: the finaliser of splitmix64."""
    with np.errstate(over="ignore"):
        z = np.arange(first, first + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(_KEY)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)
