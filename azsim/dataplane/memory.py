"""The memory of the kernel's pools: owned by Python, reached by address from compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np


class Memory:
    """A pool's memory: it starts at a cache line, so that a record of 64 bytes lies in one, and grows in place."""

    def __init__(self, length: int, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._bytes = np.zeros(length * self._dtype.itemsize + 64, np.uint8)
        self._start = -self._bytes.ctypes.data % 64
        self._length = length

    def items(self) -> Any:
        """The pool as an array; void after the next `grow`."""
        return self._bytes[self._start : self._start + self._length * self._dtype.itemsize].view(self._dtype)

    def grow(self, length: int) -> None:
        """Make room for `length` items, the new ones zero. The allocator moves pages, not bytes, where it can."""
        used = self._length * self._dtype.itemsize
        self._bytes.resize(length * self._dtype.itemsize + 64, refcheck=False)
        start = -self._bytes.ctypes.data % 64
        if start != self._start:
            self._bytes[start : start + used] = self._bytes[self._start : self._start + used].copy()
            self._bytes[start + used :] = 0
        self._start, self._length = start, length
