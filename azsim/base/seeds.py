"""Keyed chance (O4): every draw is a pure function of who draws and what for.

No stream has a state, so a draw depends neither on the order of events nor on threads or workers, and two policies
compared under one seed meet the same arrivals and the same work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

# Purposes: the last word of every key.
ARRIVAL = 1
CLIENT = 2
PLACE = 3
WORK = 4  # work may need several numbers: WORK + 16 * j, j < 255
CHOICE = 5
SECOND_CHOICE = 6
ZONE = 7
JITTER = 8
ERROR = 9
PHASE = 10
PATH = 11
OPERATION = 33  # which operation a request asks for
STEP = 35  # the path under which a later work step of a job draws
THROTTLE = 40
LIMIT_PROBE = 44
# Draws that only some scenarios make; none is WORK + 16 * j.
# Proxies (D100 on).
LOCALITY = 801
LOCALITY_ZONE = 802
SLOW_START = 803
NODE = 805
NODE_WORK = 806
LOOKUP = 807  # whether a lookup is answered with the own zone alone
ADDRESS = 809  # which zone of an answer a connection goes to
# The rest.
LOSS_THERE = 1536 + 1  # of a request's packet
LOSS_BACK = 1536 + 2  # of its answer's
LOSS_CANCEL = 1536 + 3
MALFORMED = 1536 + 5
THINK = 1536 + 6
LOOKUP = 1536 + 7  # what a cache is asked for
HAZARD = 1536 + 20  # on the wire of a controller

_MASK = (1 << 64) - 1
_A = 0x9E3779B97F4A7C15
_B = 0xD1B54A32D192ED03
_C = 0xBF58476D1CE4E5B9
_D = 0x94D049BB133111EB


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * _C) & _MASK
    z = ((z ^ (z >> 27)) * _D) & _MASK
    return z ^ (z >> 31)


def key_hash(key: int, request: int, path: int, tag: int, purpose: int) -> int:
    """63 random bits (a non-negative int64) for one key; splitmix64 finalisers over a Weyl-spread counter."""
    z = _mix((key + request * _A + path * _B) & _MASK)
    return _mix((z + (tag * 4096 + purpose) * _A) & _MASK) >> 1


@overload(key_hash)
def _key_hash(key: Any, request: Any, path: Any, tag: Any, purpose: Any) -> Any:
    a, b, c, d = (np.uint64(x) for x in (_A, _B, _C, _D))
    s30, s27, s31, s1 = (np.uint64(x) for x in (30, 27, 31, 1))

    def compiled(key: Any, request: Any, path: Any, tag: Any, purpose: Any) -> Any:
        z = np.uint64(key) + np.uint64(request) * a + np.uint64(path) * b
        z = (z ^ (z >> s30)) * c
        z = (z ^ (z >> s27)) * d
        z = z ^ (z >> s31)
        z = z + np.uint64(tag * 4096 + purpose) * a
        z = (z ^ (z >> s30)) * c
        z = (z ^ (z >> s27)) * d
        return np.int64((z ^ (z >> s31)) >> s1)

    return compiled


def run_key(seed: int, replicate: int = 0) -> int:
    """The key of one run, from its seed and its replicate's number (63 bits)."""
    return key_hash(0x5EED, seed, replicate, 0, 0)
