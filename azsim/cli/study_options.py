"""What the verbs that make many runs have in common: options, the store and the workers behind them, progress."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from azsim.cli.options import size
from azsim.cli.progress import BAR_EVERY_S, LINE_EVERY_S, QUICK_S
from azsim.cli.terminal import say

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from azsim.study.collector import Collector
    from azsim.study.executors import Kind

F = TypeVar("F", bound=Callable[..., Any])

_WORKERS_MAX: Final = 512


@dataclass(frozen=True, slots=True)
class Means:
    """By what means the runs are made."""

    store: Path | None
    count: int | None
    threads: bool
    cluster: str | None
    memory: int | None

    @contextlib.contextmanager
    def collector(self) -> Iterator[Collector]:
        """The store and the workers, for as long as the `with` statement lasts."""
        from azsim.study.means import collector_of

        kind: Kind = "threads" if self.threads else "processes"
        with collector_of(self.store, self.count, kind, self.cluster, self.memory) as collector:
            yield collector


def means_options(function: F) -> F:
    """`--store`, `--workers`, `--threads`, `--cluster`, `--memory`: come as one argument, `means`."""

    @functools.wraps(function)
    def gathered(**given: Any) -> Any:
        means = Means(*(given.pop(name) for name in ("store", "count", "threads", "cluster", "memory")))
        return function(means=means, **given)

    found: Any = gathered
    for option in (
        click.option("--memory", metavar="SIZE", callback=size, help="Most memory one run may take, such as 4GiB."),
        click.option("--cluster", metavar="ADDRESS", help="A Dask scheduler, such as tcp://10.0.0.1:8786."),
        click.option("--threads", is_flag=True, help="Threads instead of worker processes."),
        click.option(
            "--workers",
            "count",
            type=click.IntRange(1, _WORKERS_MAX),
            help="Runs at once.  [default: one for each processor]",
        ),
        click.option(
            "--store",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Keep finished runs in this file and take from it those it has.",
        ),
    ):
        found = option(found)
    return found  # type: ignore[no-any-return]


def confidence(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """A share such as `95%` as a number above one half and below 1."""
    found = share(ctx, param, value)
    if found is None or not 0.5 < found < 1:
        raise click.BadParameter(f"{value!r}: a confidence is above 50% and below 100%, such as 95%", ctx, param)
    return found


def share(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A share such as `5%` as a number."""
    from azsim.base.units import UnitError, parse_share

    try:
        return None if value is None else parse_share(value)
    except UnitError as error:
        raise click.BadParameter(f"{value!r}: {error.rule}, such as {error.example}", ctx, param) from None


def duration_s(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A duration such as `10min` in seconds."""
    from azsim.base.units import SECOND_NS, UnitError, parse_duration

    try:
        return None if value is None else parse_duration(value) / SECOND_NS
    except UnitError as error:
        raise click.BadParameter(f"{value!r}: {error.rule}, such as {error.example}", ctx, param) from None


class Counted:
    """Shows on stderr how many of how many runs are made: a bar on a terminal, now and then a line elsewhere."""

    def __init__(self, what: str, *, quiet: bool) -> None:
        self._what = what
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._begun_s = time.monotonic()
        self._first: int | None = None  # those that were there already tell nothing of the pace
        self._next_s = self._begun_s + QUICK_S

    def __enter__(self) -> Counted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """So many of so many are done."""
        if self._first is None:
            self._first, self._begun_s = done, time.monotonic()
        now_s = time.monotonic()
        if self._quiet or now_s < self._next_s or done <= self._first:
            return
        rate = (done - self._first) / max(now_s - self._begun_s, 1e-3)
        pace = f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"
        told = f"{done} of at most {total}  {pace} runs/s  {(total - done) / rate:.0f} s left"
        if self._terminal:
            self._next_s = now_s + BAR_EVERY_S
            self._draw(done / max(total, 1), told)
        else:
            self._next_s = now_s + LINE_EVERY_S
            say(f"{self._what}: {told}")

    def runs(self, done: int) -> None:
        """So many are done of nobody knows how many."""
        now_s = time.monotonic()
        if not self._quiet and now_s >= self._next_s:
            told = f"{done} runs  {done / max(now_s - self._begun_s, 1e-3):.1f} runs/s"
            self._next_s = now_s + (BAR_EVERY_S if self._terminal else LINE_EVERY_S)
            if self._terminal:
                self._draw(None, told)
            else:
                say(f"{self._what}: {told}")

    def _draw(self, share_done: float | None, told: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        if self._bar is None or self._task is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24, complete_style="blue"),
                TextColumn("{task.fields[told]}"),
            )
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
            self._task = self._bar.add_task(self._what, total=None if share_done is None else 1.0, told=told)
        self._bar.update(self._task, completed=share_done, told=told)
        self._bar.start()
        self._bar.refresh()
