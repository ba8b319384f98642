"""What a span of a run is summed up by: the metrics of phases, segments and totals, of services, and the headroom (J5).

Numbers here are as in a result: seconds, shares, None where there is nothing to divide by.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from azsim.base.units import SECOND_NS
from azsim.dataplane.codes import Outcome
from azsim.dataplane.layout import (
    CAPACITY,
    CORE_TIME,
    CPU,
    DISPATCHED,
    DROPPED,
    HITS,
    IN_VIEW,
    LOST,
    MEMBERS,
    MISSES,
    MIX_DEGRADED,
    OFFERED,
    OVERLOADED,
    REFUSED,
    SENT,
    STARTED_ATTEMPTS,
    STARTED_DEGRADED,
    STARTED_LATENCY,
    STARTED_SUCCEEDED,
    STRESS,
    USEFUL,
    WASTED,
    WRITES,
    Plan,
)
from azsim.policy.balancing import fails_open
from azsim.policy.cpu import VIRTUAL_PER_NS
from azsim.simulation.series import PERMILLES, Block, Floats, Seconds

COVERING_ZONE_COLUMNS = (CPU, STRESS, CORE_TIME)


def number(value: float) -> float | None:
    """A float as results hold it: nine decimals, None where it is not finite."""
    return round(float(value), 9) if math.isfinite(value) else None


def ratio(part: float, whole: float) -> float | None:
    """part / whole; None where there is no whole."""
    return number(part / whole) if whole else None


def core_time(zones: npt.NDArray[Any]) -> Floats:
    """Core time of the instances that existed, in the units of CPU time: zones without their columns."""
    found: Floats = zones[..., CORE_TIME].astype(np.float64) * (VIRTUAL_PER_NS / 1000)
    return found


def utilisations(plan: Plan, block: Block) -> dict[tuple[int, int], float]:
    """Application and stress CPU per core time of what existed, of each (service, zone) that had instances."""
    given = core_time(block.zones)
    busy = block.zones[..., CPU] + block.zones[..., STRESS]
    return {
        (s, z): float(busy[s, z] / given[s, z])
        for s in range(len(plan.services))
        for z in range(len(plan.zones))
        if given[s, z] > 0
    }


def metrics(plan: Plan, block: Block) -> dict[str, Any]:
    """The metrics of a phase. Requests are those that started in it; CPU time is what was spent in it."""
    offered, attempts = block.total(OFFERED), block.total(STARTED_ATTEMPTS)
    succeeded, failed = block.total(STARTED_SUCCEEDED), int(block.failed.sum())
    length_ns = block.end_ns - block.start_ns
    useful, wasted = int(block.services[:, USEFUL].sum()), int(block.services[:, WASTED].sum())
    busy = int((block.zones[..., CPU] + block.zones[..., STRESS]).sum())
    latency: dict[str, float | None] = {
        name: _seconds(block.percentile_s(permille)) for name, permille in PERMILLES.items()
    }
    latency["mean"] = ratio(block.total(STARTED_LATENCY) / SECOND_NS, succeeded)
    return {
        "offered": offered,
        "attempts": attempts,
        "succeeded": succeeded,
        "failed": {outcome.word: int(n) for outcome, n in zip(Outcome, block.failed, strict=True) if n},
        "unresolved": offered - succeeded - failed,
        "success": ratio(succeeded, succeeded + failed),
        "operations": _operations(plan, block),
        "degraded": block.total(STARTED_DEGRADED),
        "goodput_per_s": ratio(succeeded * SECOND_NS, length_ns),
        "amplification": ratio(attempts, offered),
        "latency_s": latency,
        **{
            f"latency_all_{name}_s": _seconds(block.percentile_s(permille, with_failed=True))
            for name, permille in PERMILLES.items()
        },
        "wasted_share": ratio(wasted, useful + wasted),
        "utilisation": ratio(busy, float(core_time(block.zones).sum())),
    }


def _operations(plan: Plan, block: Block) -> dict[str, dict[str, Any]]:
    """What became of each operation that populations ask for by name: `shoppers.buy`."""
    found = {}
    for name, population in zip(plan.population_names, plan.populations, strict=True):
        first = int(population["mix_first"])
        for row in range(first, first + int(population["mix_count"])):
            operation = plan.operation_names[int(plan.mix["operation"][row])].rpartition(".")[2]
            offered, succeeded, degraded = (int(n) for n in block.mix[row, : MIX_DEGRADED + 1])
            found[f"{name}.{operation}"] = {"offered": offered, "succeeded": succeeded, "degraded": degraded}
    return found


def _seconds(value: float | None) -> float | None:
    return None if value is None else number(value)


def busiest_zone(plan: Plan, block: Block) -> dict[str, Any]:
    """Where CPU was scarcest: the zone and service of the highest utilisation; at a tie the first as listed."""
    found = utilisations(plan, block)
    service, zone = max(found, key=lambda key: found[key])
    return {
        "zone": plan.zones[zone],
        "service": plan.service_names[service],
        "utilisation": number(found[service, zone]),
    }


def services(plan: Plan, block: Block) -> dict[str, dict[str, Any]]:
    """Each service over a span: attempts that arrived, what became of its CPU time, utilisation by zone."""
    offered = block.total(OFFERED)
    found = utilisations(plan, block)
    given = core_time(block.zones)
    result = {}
    ratios = hit_ratios(block)
    for s, name in enumerate(plan.service_names):
        row = block.services[s]
        spent = int(row[USEFUL] + row[WASTED])
        utilisation = {zone: number(found.get((s, z), math.nan)) for z, zone in enumerate(plan.zones)}
        busy = sum(found.get((s, z), 0.0) * float(given[s, z]) for z in range(len(plan.zones)))
        result[name] = {
            "attempts": int(row[SENT]),
            "dispatched": int(row[DISPATCHED]),
            "amplification": ratio(int(row[SENT]), offered),
            "overloads": int(row[OVERLOADED]),
            "refused": int(row[REFUSED]),
            "dropped": int(row[DROPPED]),
            "hit_ratio": ratios[s],
            "writes": int(row[WRITES]),
            "writes_lost": int(row[LOST]),
            "useful_share": ratio(int(row[USEFUL]), spent),
            "wasted_share": ratio(int(row[WASTED]), spent),
            "utilisation": utilisation,
            "utilisation_all": ratio(busy, float(given[s].sum())),
        }
    return result


def hit_ratios(block: Block) -> list[float | None]:
    """How often the lookups in each service's caches hit; None where there were none (I6)."""
    return [ratio(int(row[HITS]), int(row[HITS] + row[MISSES])) for row in block.services]


def mean_work_ns(plan: Plan) -> Floats:
    """Mean work of an attempt at each service, over its instances, ns of one core: (S,)."""
    return np.array(
        [plan.instances["work_mean_ns"][plan.instances["service"] == s].mean() for s in range(len(plan.services))]
    )


def capacity_cores(plan: Plan, seconds: Seconds) -> Floats:
    """Cores that each service's balancer sends to, at the end of each second: those in view, or all of them while it
    fails open (B4): (N, S).
    """
    capacity: Floats = seconds.zones[..., CAPACITY].sum(axis=2) / 1000.0
    whole: Floats = seconds.zones[..., CORE_TIME].sum(axis=2) / (1000.0 * seconds.duration_ns[:, None])
    return np.where(opened(plan, seconds), whole, capacity)


def opened(plan: Plan, seconds: Seconds) -> npt.NDArray[np.bool_]:
    """Whether each service's balancer fails open at the end of each second, and so uses every target (B4): (N, S)."""
    counts = seconds.zones[..., [IN_VIEW, MEMBERS]].sum(axis=2)
    found = np.zeros(counts.shape[:2], dtype=np.bool_)
    for s, service in enumerate(plan.services):
        below, fewer_than = float(service["fail_open_below"]), int(service["fail_open_fewer"])
        for healthy, members in np.unique(counts[:, s], axis=0):
            same = (counts[:, s] == (healthy, members)).all(axis=1)
            found[same, s] = fails_open(int(healthy), int(members), below, fewer_than)
    return found


def headroom(plan: Plan, seconds: Seconds, window_s: int, first_s: int) -> Floats:
    """1 - (work arriving in the window / capacity in view), for the window that ends with each second (J5): (N, S).

    Not a number before the first whole window after `first_s`, minus infinity where work meets no capacity.
    """
    sent = seconds.services[:, :, SENT]
    needed_ns = sent * mean_work_ns(plan)[None, :]
    given_ns = capacity_cores(plan, seconds) * seconds.duration_ns[:, None]
    found = np.full(sent.shape, np.nan)
    first = first_s + window_s - 1
    if len(seconds) <= first:
        return found
    needed = sliding_window_view(needed_ns[first_s:], window_s, axis=0).sum(axis=-1)
    given = sliding_window_view(given_ns[first_s:], window_s, axis=0).sum(axis=-1)
    without = np.where(needed > 0, -math.inf, 1.0)  # where nothing is in view
    found[first:] = np.where(given > 0, 1.0 - needed / np.where(given > 0, given, 1.0), without)
    return found


def least_headroom(plan: Plan, found: Floats) -> dict[str, Any]:
    """The least of a headroom, the end of the window in which it was, and the service; None where never computed.

    `min` is None, too, where attempts met no capacity at all: no number says how much was missing.
    """
    if not np.isfinite(found).any() and not np.isneginf(found).any():
        return {"min": None, "at_s": None, "service": None}
    i, s = np.unravel_index(int(np.argmin(np.where(np.isnan(found), np.inf, found))), found.shape)
    return {"min": number(found[i, s]), "at_s": int(i) + 1, "service": plan.service_names[int(s)]}
