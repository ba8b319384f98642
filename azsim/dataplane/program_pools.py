"""The kernel's memory of programs and of mixes of operations (R8): part of `state.POOLS`."""

from __future__ import annotations

from typing import Any

import numpy as np

from azsim.base.jit import memory, part
from azsim.dataplane import layout

_INT64 = np.dtype("i8")

# What only the full kernel knows of a call and of a job, at the same number (programs.py).
BRANCH = np.dtype(
    [
        ("operation", "i4"),  # asked for; NONE: work, then calls
        ("mix", "i4"),  # row of Plan.mix it was drawn from
        ("zone", "i4"),  # the only zone it may go to, NONE: as its hop says
        ("next", "i4"),  # other calls of the same step
        ("previous", "i4"),
    ],
    align=True,
)
PROGRAM = np.dtype(
    [
        ("cpu", "i8"),  # used in earlier steps, 2^-10 ns
        ("deadline_ns", "i8"),  # of its calls (R7)
        ("operation", "i4"),
        ("step", "i4"),  # next one
        ("first", "i4"),  # of its calls under way
        ("pending", "i4"),  # how many of the step's calls have not ended
        ("short", "i4"),  # how many must still succeed
        ("spare", "i4"),  # how many may still fail
        ("degraded", "i4"),
        ("handshake_ns", "i8"),  # work of the connection that it came over, if that is new
    ],
    align=True,
)

# name: (dtype, what it holds)
PROGRAM_POOLS: dict[str, tuple[Any, str]] = {
    "operations": (layout.OPERATION, "Plan.operations"),
    "steps": (layout.STEP, "Plan.steps"),
    "mix": (layout.SHARE, "Plan.mix"),
    "mix_rows": (np.dtype("i8"), "Recording.mix, flat; grows"),
    "branches": (BRANCH, "grows with calls; full kernel only"),
    "programs": (PROGRAM, "grows with jobs; full kernel only"),
}


@part
def operations_of(a: Any) -> Any:
    return memory(a.operations_at, layout.OPERATION)


@part
def steps_of(a: Any) -> Any:
    return memory(a.steps_at, layout.STEP)


@part
def mix_of(a: Any) -> Any:
    return memory(a.mix_at, layout.SHARE)


@part
def mix_rows_of(a: Any) -> Any:
    return memory(a.mix_rows_at, _INT64)


@part
def branches_of(a: Any) -> Any:
    return memory(a.branches_at, BRANCH)


@part
def programs_of(a: Any) -> Any:
    return memory(a.programs_at, PROGRAM)
