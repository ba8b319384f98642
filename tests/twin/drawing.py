"""What the parts of generated worlds share."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st

from azsim.dataplane.codes import Outcome
from tests.plans import MS

FEATURES: Counter[str] = Counter()  # how often each was drawn
RETRIED = [
    Outcome.ERROR,
    Outcome.REFUSED,
    Outcome.RESET,
    Outcome.OVERLOAD,
    Outcome.NO_TARGET,
    Outcome.TIMEOUT,
]


def note(feature: str, present: bool) -> None:
    FEATURES[feature] += int(present)  # so that what was never present is in the table, too


def grid(low_ms: float, high_ms: float) -> st.SearchStrategy[int]:
    """Half-milliseconds, as nanoseconds."""
    return st.integers(int(low_ms * 2), int(high_ms * 2)).map(lambda half: half * MS // 2)
