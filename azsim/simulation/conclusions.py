"""What a run tells (thin)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azsim.simulation.trace import Trace


def conclude(facts: Mapping[str, Any], trace: Trace) -> list[dict[str, Any]]:
    """The conclusions of a result."""
    return []
