"""What limits retries beyond a token bucket (R6): kinds, sliding windows, and the decisions that are pure numbers."""

from __future__ import annotations

from azsim.base.jit import rule

# Kinds of budget.
TOKEN_BUCKET = 0  # or none at all
GRPC = 1
RATIO = 2
CLIENT_THROTTLING = 3

WINDOW_PARTS = 10  # a sliding window is counted in tenths
MILLION = 1_000_000  # shares are whole millionths where they are compared


@rule
def window_part(t_ns: int, part_ns: int) -> int:
    """The number of the tenth of a window that an instant lies in; the window is this one and the nine before it."""
    return t_ns // part_ns


@rule
def ratio_allows(retries: int, requests: int, ratio: int, reserve: int) -> bool:
    """Whether one more retry keeps within `ratio` (millionths) of the requests plus a reserve (millionths of one)."""
    return (retries + 1) * MILLION <= requests * ratio + reserve


@rule
def grpc_allows(tokens: int, max_tokens: int) -> bool:
    """Whether more than half of the tokens are left."""
    return 2 * tokens > max_tokens


@rule
def share_held_back(requests: int, accepts: int, k: float) -> float:
    """How likely client throttling refuses the next request: max(0, (requests - k accepts) / (requests + 1))."""
    return max(0.0, (float(requests) - k * float(accepts)) / float(requests + 1))
