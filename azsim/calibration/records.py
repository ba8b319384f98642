"""Requests as logs and tables have them, in batches, so that a file may be larger than the memory.

Two formats are read, plain or gzipped. Access logs of an Application Load Balancer: the first fields of a line are
type, time of the answer (ISO 8601), name, client, target, then the seconds that the request, the target and the
response took (-1 where there is none), then the status of the balancer. CSV: a header, then rows; a column for the
time (`at_s`, or `time` in ISO 8601), one for the latency (`latency_s` or `latency_ms`), or for a rate (`rate_per_s`).
"""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, TextIO

import numpy as np
import numpy.typing as npt

from azsim.base.errors import AzsimError, ExitCode

Floats = npt.NDArray[np.float64]

BATCH: Final = 50_000  # lines
_TYPES: Final = frozenset(("http", "https", "h2", "grpcs", "ws", "wss"))
_FIELDS: Final = 9  # of a line that are read
_UNREADABLE_MAX: Final = 0.5  # of the lines of a file
_TIMES: Final = ("at_s", "time")
_LATENCIES: Final = {"latency_s": 1.0, "latency_ms": 1e-3}
_RATE: Final = "rate_per_s"


class LogError(AzsimError):
    """A log that cannot be read; says file, line, what is wrong and what would be right."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Batch:
    """Some requests: when each came, in seconds since 1970 or since the start of the file (NaN where unknown), and
    the latency of each, in seconds (NaN where it failed or is unknown). `weight_s`, of a table of rates: for each row
    how many seconds it stands for; `rates_per_s` then holds the rates.
    """

    at_s: Floats
    latency_s: Floats
    failed: int = 0
    unreadable: int = 0
    rates_per_s: Floats | None = None


def batches(path: Path) -> Iterator[Batch]:
    """The requests of a file. LogError where it cannot be read or is neither an access log nor a CSV file."""
    try:
        with _opened(path) as file:
            first = next((line for line in file if line.strip()), "")
            lines = itertools.chain([first], file)
            if _format(path, first) == "alb":
                yield from _access_log(path, lines)
            else:
                yield from _table(path, lines)
    except (OSError, EOFError) as error:
        raise LogError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _opened(path: Path) -> TextIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8", errors="replace") if packed else path.open(
        encoding="utf-8", errors="replace"
    )  # fmt: skip


def _format(path: Path, first: str) -> Literal["alb", "csv"]:
    if first.split(" ", 1)[0] in _TYPES:
        return "alb"
    if {*_LATENCIES, _RATE, *_TIMES} & {name.strip() for name in first.split(",")}:
        return "csv"
    raise LogError(
        f"{path}:1: neither an access log of an Application Load Balancer nor a CSV file whose header names "
        f"{', '.join((*_TIMES, *_LATENCIES, _RATE))}"
    )


def _access_log(path: Path, lines: Iterator[str]) -> Iterator[Batch]:
    read = unreadable = 0
    for chunk in _chunks(lines):
        at_s, latency_s, failed, wrong = [], [], 0, 0
        for line in chunk:
            fields = line.split(" ", _FIELDS)
            try:
                answered_s = datetime.fromisoformat(fields[1]).timestamp()
                waits = [float(field) for field in fields[5:8]]
                good = fields[8][0] in "1234" and waits[1] >= 0
            except (ValueError, IndexError):
                wrong += bool(line.strip())
                continue
            at_s.append(answered_s - sum(wait for wait in waits if wait > 0))
            latency_s.append(waits[1] if good else np.nan)
            failed += not good
        read, unreadable = read + len(at_s), unreadable + wrong
        yield Batch(np.array(at_s), np.array(latency_s), failed, wrong)
    if unreadable > _UNREADABLE_MAX * (read + unreadable):
        raise LogError(f"{path}: {unreadable} of {read + unreadable} lines are no lines of an access log")


def _table(path: Path, lines: Iterator[str]) -> Iterator[Batch]:
    header = [name.strip() for name in next(csv.reader([next(lines)]))]
    time = next((header.index(name) for name in _TIMES if name in header), None)
    latency = next(((header.index(name), unit_s) for name, unit_s in _LATENCIES.items() if name in header), None)
    rate = header.index(_RATE) if _RATE in header else None
    if rate is not None and time is None:
        raise LogError(f"{path}:1: rates need a column at_s or time, such as at_s,rate_per_s")
    number = 1
    for chunk in _chunks(lines):
        at_s, latency_s, rates = [], [], []
        for cells in csv.reader(chunk):
            number += 1
            if not any(cells):
                continue
            try:
                at_s.append(np.nan if time is None else _time_s(cells[time]))
                latency_s.append(np.nan if latency is None else float(cells[latency[0]]) * latency[1])
                rates.append(np.nan if rate is None else float(cells[rate]))
            except (ValueError, IndexError):
                raise LogError(f"{path}:{number}: {','.join(cells)[:80]!r} is no row of {','.join(header)}") from None
            if latency_s[-1] < 0 or rates[-1] < 0 or np.isinf(latency_s[-1]) or np.isinf(rates[-1]):
                raise LogError(f"{path}:{number}: a latency or rate is a number from 0, such as 0.25")
        yield Batch(np.array(at_s), np.array(latency_s), rates_per_s=None if rate is None else np.array(rates))


def _time_s(text: str) -> float:
    """Seconds, of a plain number or of an instant in ISO 8601 (UTC unless it says otherwise)."""
    try:
        return float(text)
    except ValueError:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _chunks(lines: Iterator[str]) -> Iterator[Sequence[str]]:
    while chunk := list(itertools.islice(lines, BATCH)):
        yield chunk
