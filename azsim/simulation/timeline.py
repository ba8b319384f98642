"""The timeline of a result: one value a second, plain lists under the names that results have."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from azsim.dataplane.codes import Outcome
from azsim.dataplane.layout import (
    ATTEMPTS,
    CPU,
    HITS,
    IN_VIEW,
    LOST,
    MISSES,
    OFFERED,
    QUEUED,
    SENT,
    STRESS,
    SUCCEEDED,
    TIMEOUTS,
    UP,
    USEFUL,
    WASTED,
    Plan,
    Recording,
)
from azsim.simulation.metrics import core_time, number, opened
from azsim.simulation.series import PERMILLES, Floats, Seconds, failed_per_second, second_percentiles_s


def timeline(
    plan: Plan,
    recording: Recording,
    seconds: Seconds,
    headroom: Floats,
    desired: Mapping[str, list[int]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Everything by seconds; entry i is about [t_s[i], t_s[i] + 1), instances, views, fail-open and queues at its end.

    `headroom`: (N, S), as `metrics.headroom` gives it; `desired`: instances that services which scale desire.
    """
    populations = seconds.populations.sum(axis=1)
    failed = failed_per_second(seconds)
    fail_open = opened(plan, seconds)
    p50_s, p99_s = second_percentiles_s(recording, [PERMILLES["p50"], PERMILLES["p99"]])
    return {
        "t_s": list(range(len(seconds))),
        "offered": populations[:, OFFERED].tolist(),
        "attempts": populations[:, ATTEMPTS].tolist(),
        "succeeded": populations[:, SUCCEEDED].tolist(),
        "failed": failed.sum(axis=1).tolist(),
        "failed_by": {outcome.word: failed[:, outcome].tolist() for outcome in Outcome if failed[:, outcome].any()},
        "timeouts": populations[:, TIMEOUTS].tolist(),
        "latency_p50_s": _numbers(p50_s),
        "latency_p99_s": _numbers(p99_s),
        "services": {
            name: _service(plan, seconds, s, headroom[:, s], fail_open[:, s])
            | ({"desired": desired[name]} if name in desired else {})
            for s, name in enumerate(plan.service_names)
        },
    }


def _service(
    plan: Plan, seconds: Seconds, s: int, headroom: Floats, fail_open: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    zones = seconds.zones[:, s]
    given = core_time(zones)
    utilisation = _quotient(zones[..., CPU] + zones[..., STRESS], given)
    ended = seconds.services[:, s, USEFUL] + seconds.services[:, s, WASTED]
    wasted_share = _quotient(seconds.services[:, s, WASTED], ended)
    lookups = seconds.services[:, s, [HITS, MISSES]]
    # CPU time is known to be wasted only when an attempt ends; what is spent in a second is split as what ends in it.
    wasted = wasted_share * _quotient(zones[..., CPU].sum(axis=1), given.sum(axis=1))

    def by_zone(values: npt.NDArray[Any]) -> dict[str, Any]:
        return {zone: values[:, z].tolist() for z, zone in enumerate(plan.zones)}

    return {
        "attempts": seconds.services[:, s, SENT].tolist(),
        "instances": by_zone(zones[..., UP]),
        "healthy_view": by_zone(zones[..., IN_VIEW]),
        "utilisation": {zone: _numbers(utilisation[:, z]) for z, zone in enumerate(plan.zones)},
        "queue": by_zone(zones[..., QUEUED]),
        "fail_open": fail_open.tolist(),
        "wasted_share": _numbers(wasted_share),
        "wasted_utilisation": _numbers(wasted),
        "headroom": _numbers(headroom),
        "hit_ratio": _numbers(_quotient(lookups[:, 0], lookups.sum(axis=1))),
        "writes_lost": seconds.services[:, s, LOST].tolist(),
    }


def _quotient(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Floats:
    found: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return found


def _numbers(values: Floats) -> list[float | None]:
    return [number(value) for value in values.tolist()]
