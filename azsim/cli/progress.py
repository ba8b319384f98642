"""How far a long run is: a bar on a terminal, now and then a line elsewhere, nothing for what is quick."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final

from azsim.cli.terminal import say

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

QUICK_S: Final = 1.0  # work shorter than this shows nothing
WAIT_S: Final = 2.0  # longer than this nothing but the compiler takes to begin
LINE_EVERY_S: Final = 5.0
BAR_EVERY_S: Final = 0.1
_COMPILED_PARTS: Final = 4  # two functions in two variants
_COMPILE_S: Final = 20


class Progress:
    """Shows on stderr how far the passes over a run's simulated time are: the run itself, then its replays.

    `duration_s` is the simulated time of a pass; call it with the share of the pass that is done. A share that falls
    begins the next pass. The rate shown is simulated time over wall time.
    """

    def __init__(self, duration_s: float, *, quiet: bool) -> None:
        self._duration_s = duration_s
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._waiting: threading.Timer | None = None
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._pass = 0
        self._share = 1.0  # so that the first call begins the first pass
        self._begun_s = 0.0
        self._next_s = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_waiting()
        if self._bar is not None:
            self._bar.stop()

    def explain(self, text: str) -> None:
        """A line for those who wait more than `WAIT_S` for the first pass to begin."""
        if not self._quiet:
            self._waiting = threading.Timer(WAIT_S, say, [text])
            self._waiting.daemon = True
            self._waiting.start()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def __call__(self, share: float) -> None:
        """The current pass has come to this share of its simulated time."""
        self._stop_waiting()
        if self._quiet:
            return
        now_s = time.monotonic()
        if share < self._share:
            self._pass += 1
            self._begun_s = now_s
            if self._pass == 1:
                self._next_s = now_s + QUICK_S
        self._share = share
        if now_s < self._next_s or share <= 0:
            return
        # A pass tells of itself only once it is under way, so the first moment is counted as a beginning.
        rate = share * self._duration_s / max(now_s - self._begun_s, 1e-3)
        left_s = (1.0 - share) * self._duration_s / rate
        what = "simulating" if self._pass == 1 else f"simulating again ({self._pass - 1})"
        told = f"{_rate(rate)}  {left_s:.0f} s left"
        if self._terminal:
            self._next_s = now_s + BAR_EVERY_S
            self._draw(what, share, told)
        else:
            self._next_s = now_s + LINE_EVERY_S
            say(f"{what}: {100 * share:.0f}%  {told}")

    def _draw(self, what: str, share: float, told: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        if self._bar is None or self._task is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24, complete_style="blue"),
                TextColumn("{task.percentage:3.0f}%  {task.fields[told]}"),
            )
            # Transient: when the card comes, the bar has served its turn.
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
            self._task = self._bar.add_task(what, total=1.0, told=told)
        self._bar.update(self._task, description=what, completed=share, told=told)
        self._bar.start()  # the first time only; later it does nothing
        self._bar.refresh()


def _rate(rate: float) -> str:
    """Simulated over wall time: `410 x real time`."""
    return f"{rate:.0f} x real time" if rate >= 10 else f"{rate:.1f} x real time"


def explain_compilation(progress: Progress) -> None:
    """Says why the first run of a version takes its time to begin, unless all of the kernel is there already."""
    from azsim.base.jit import cache_folder

    compiled = sum(1 for _ in cache_folder().rglob("*.nbc"))
    if compiled < _COMPILED_PARTS:
        progress.explain(f"compiling the simulation kernel, once per version: about {_COMPILE_S} s")
