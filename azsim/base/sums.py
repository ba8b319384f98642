"""Sums that may exceed 64 bits.

CPU time is counted in 2^-10 ns: nine million core-seconds, a thousand cores for two and a half hours, fill an int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def exact_sums(values: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    """The sums over the first axis of an int64 array, as Python's integers, which have no bound."""
    # The halves of up to 2^31 numbers add up without overflow; an arithmetic shift keeps the sign with the upper half.
    upper: Any = (values >> 32).sum(axis=0).astype(object)
    lower: Any = (values & 0xFFFFFFFF).sum(axis=0).astype(object)
    sums: npt.NDArray[np.object_] = np.asarray(upper * (1 << 32) + lower, object)
    return sums


def exact_sum(values: npt.NDArray[np.int64]) -> int:
    """The sum of all of an int64 array."""
    return int(exact_sums(values.reshape(-1)).item())
