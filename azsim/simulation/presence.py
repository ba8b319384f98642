"""Which instances existed when, and what that cost."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt

from azsim.dataplane.layout import CORE_TIME, Int64s, Plan, Recording

Presence = tuple[int, int, bool]
"""(t_ns, instance, whether it exists from then on)"""

_Floats = npt.NDArray[np.float64]


def _existing_ns(
    edges_ns: Int64s, weights: Int64s, absent: Collection[int], presence: Iterable[Presence], of: npt.NDArray[np.intp]
) -> Int64s:
    """For each span between edges and each group `of[i]` of instances, the sum of weight x time that they existed:
    (len(edges) - 1, groups).
    """
    there = weights.copy()
    there[list(absent)] = 0
    total = np.zeros((len(edges_ns), int(of.max()) + 1), np.int64)
    base = np.zeros(total.shape[1], np.int64)
    np.add.at(base, of, there)
    total += edges_ns[:, None] * base[None, :]
    for t_ns, instance, exists in presence:
        weight = int(weights[instance]) if exists else -int(weights[instance])
        total[:, of[instance]] += weight * np.maximum(edges_ns - t_ns, 0)
    return np.diff(total, axis=0)


def write_core_time(recording: Recording, plan: Plan, absent: Collection[int], presence: Iterable[Presence]) -> None:
    """Fill the column CORE_TIME of a recording."""
    edges_ns = np.append(recording.start_ns, recording.end_ns)
    thousandths = np.round(plan.instances["cores"] * 1000).astype(np.int64)
    places = plan.instances["service"].astype(np.intp) * len(plan.zones) + plan.instances["zone"]
    found = _existing_ns(edges_ns, thousandths, absent, presence, places)
    whole = np.zeros((len(edges_ns) - 1, len(plan.services) * len(plan.zones)), np.int64)
    whole[:, : found.shape[1]] = found
    recording.zones[..., CORE_TIME] = whole.reshape(recording.zones.shape[:3])


def instance_s(
    plan: Plan, absent: Collection[int], presence: Iterable[Presence], start_ns: int, end_ns: int
) -> list[float]:
    """Seconds that instances of each service existed in a span, all together."""
    ones = np.ones(len(plan.instances), np.int64)
    edges_ns = np.array([start_ns, end_ns], np.int64)
    services = plan.instances["service"].astype(np.intp)
    return [float(ns) / 1e9 for ns in _existing_ns(edges_ns, ones, absent, presence, services)[0]]
