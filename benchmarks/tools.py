"""SimPy, C and azsim as child processes that simulate W1 and print their figures, and the timing of a command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
DURATION_S = 60  # as in w1a.yaml and w1b.yaml
C_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")

Figures = dict[str, float]
# work ("w1a" or "w1b"), first seed, replications -> figures as the yardsticks print them
Measure = Callable[[str, int, int], Figures]


class ToolError(Exception):
    """A tool or command under measurement failed; the message ends with what it said."""


@dataclass(frozen=True)
class Tool:
    """Something that simulates W1; `replications` of it make one measurement."""

    name: str
    measure: Measure
    replications: int


def _run(command: Sequence[str]) -> Figures:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.strip()}")
    figures: Figures = json.loads(done.stdout)
    return figures


def simpy() -> Tool:
    """The SimPy program; one replication, for it takes seconds."""

    def measure(work: str, seed: int, replications: int) -> Figures:
        if replications != 1:
            raise ValueError(f"the SimPy yardstick runs once, not {replications} times")
        script = FOLDER / "yardsticks" / "w1_simpy.py"
        return _run([sys.executable, str(script), work[-1], str(DURATION_S), str(seed)])

    return Tool("SimPy", measure, replications=1)


def build_c(folder: Path) -> Path | None:
    """Compile the C program into `folder`; None where there is no compiler. Raises when it does not compile."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    program = folder / "w1_event"
    source = FOLDER / "yardsticks" / "w1_event.c"
    try:
        subprocess.run([compiler, *C_FLAGS, str(source), "-lm", "-o", str(program)], check=True)
    except subprocess.CalledProcessError as error:
        raise ToolError(f"gcc could not compile {source.name}; its messages are above") from error
    return program


def c_event(program: Path) -> Tool:
    """The C program; 20 replications are about half a second."""

    def measure(work: str, seed: int, replications: int) -> Figures:
        return _run([str(program), work[-1], str(DURATION_S), str(seed), str(replications)])

    return Tool("C event", measure, replications=20)


def azsim() -> Tool:
    """azsim with its compiled engine, replays switched off."""

    def measure(work: str, seed: int, replications: int) -> Figures:
        scenario = FOLDER / f"{work}.yaml"
        return _run([sys.executable, "-m", "benchmarks.replay", str(scenario), str(seed), str(replications)])

    return Tool("azsim", measure, replications=20)


def azsim_command(*arguments: str) -> list[str]:
    """The installed `azsim` of this interpreter, or the same from the source tree."""
    installed = shutil.which("azsim", path=str(Path(sys.executable).parent))
    start = [installed] if installed else [sys.executable, "-c", "from azsim.cli.main import main; main()"]
    return [*start, *arguments]


def time_command(command: Sequence[str]) -> Figures:
    """Wall-clock seconds and peak memory of a command, start to end, its output thrown away."""
    begin_s = time.perf_counter()
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    with child.stderr:
        errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - begin_s
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise ToolError(f"{' '.join(command)} ended with {child.returncode}:\n{errors.strip()}")
    return {"wall_s": wall_s, "memory_mb": usage.ru_maxrss / 1024}
