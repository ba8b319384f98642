"""The kernel's sliding windows (D60), in rich kernels.

A meter counts two things over a sliding window, in tenths (D60): the number of the newest tenth, then ten counts of the
one and ten of the other, each at its tenth's number modulo ten.
"""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.dataplane.policy_state import meters_of
from azsim.policy.guards import WINDOW_PARTS, window_part

METER_WORDS = 1 + 2 * WINDOW_PARTS
FIRST, SECOND = 1, 1 + WINDOW_PARTS  # where a meter's two counts begin


@part
def _turn(a: Any, m: int, part_ns: int) -> int:
    """Strike what has left the window of meter m; where its words begin."""
    words = meters_of(a)
    at = m * METER_WORDS
    newest = window_part(a.now_ns, part_ns)
    k = max(words[at] + 1, newest - WINDOW_PARTS + 1)
    while k <= newest:
        words[at + FIRST + k % WINDOW_PARTS] = 0
        words[at + SECOND + k % WINDOW_PARTS] = 0
        k += 1
    words[at] = newest
    return at


@part
def count_now(a: Any, m: int, part_ns: int, what: int) -> None:
    """One more of FIRST or SECOND."""
    at = _turn(a, m, part_ns)
    words = meters_of(a)
    words[at + what + words[at] % WINDOW_PARTS] += 1


@part
def counted(a: Any, m: int, part_ns: int, what: int) -> int:
    """How many of FIRST or SECOND the window holds."""
    at = _turn(a, m, part_ns) + what
    words = meters_of(a)
    total = 0
    for k in range(at, at + WINDOW_PARTS):
        total += words[k]
    return total


@part
def clear_meter(a: Any, m: int) -> None:
    for k in range(m * METER_WORDS, (m + 1) * METER_WORDS):
        meters_of(a)[k] = 0
