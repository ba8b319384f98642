"""The balancers of plans (plans.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from azsim.dataplane.codes import INFINITE
from azsim.policy.balancing import CALLER, REGIONAL, ZONAL
from azsim.policy.distributions import CONSTANT
from azsim.policy.locality import ANYWHERE
from azsim.policy.outliers import NO_OUTLIERS

Fields = dict[str, Any]
MS = 1_000_000
S = 1000 * MS
BALANCING_DEFAULTS: Fields = {
    "placement": REGIONAL,
    "locality": ANYWHERE,
    "locality_targets": 0,
    "spill_below": 0.0,
    "slow_start_ns": 0,
    "slow_start_aggression": 1.0,
    "slow_start_least": 0.1,
    "ewma_decay_ns": 10 * S,
    "ewma_default_ns": 30 * MS,
    "outliers": NO_OUTLIERS,
    "outlier_on": (),  # outcomes
    "outlier_errors": 1,
    "outlier_factor": 0.0,
    "outlier_factor_targets": 1,
    "outlier_factor_volume": 1,
    "outlier_failures": 0,
    "outlier_failures_targets": 1,
    "outlier_failures_volume": 1,
    "outlier_at_least_one": 0,
    "outlier_uneject_on_check": 0,
    "outlier_window_ns": 10 * S,
    "outlier_base_ns": 30 * S,
    "outlier_longest_ns": 300 * S,
    "outlier_share": 1.0,
    "per_target": INFINITE,
    "wait_places": 0,
    "wait_ns": INFINITE,
    "nodes": 1,  # how many proxies a regional balancer has, or a zonal one in each zone
    "node_slots": 0,
    "node_work": CONSTANT,
    "node_work_a": 0.0,
    "node_work_b": 0.0,
    "node_queue": 0,
    "nodes_per_zone": 1,
    "dns_ttl_ns": 60 * S,
    "dns_keep_ns": 0,
    "dns_own_zone": 0.0,
    "dns_stale": 0,
}


def balancing_rows(
    services: Sequence[Any],
    populations: Sequence[Any],
    hops: Sequence[Fields],
    service_rows: Sequence[Fields],
    zones: int,
) -> tuple[list[Fields], list[int]]:
    """Rows of BALANCING, and where each hop's own proxies begin."""
    rows: list[Fields] = []
    hop_proxies = [-1] * len(hops)
    proxies = 0
    for number, spec in enumerate(services):
        first = proxies
        if spec.balancing["placement"] == CALLER:
            for h, hop in enumerate(hops):
                if hop["service"] == number:
                    hop_proxies[h] = proxies
                    proxies += _processes(hop, populations, service_rows)
        elif spec.balancing["proxied"]:
            proxies += spec.balancing["nodes"] * (zones if spec.balancing["placement"] == ZONAL else 1)
        row = {"proxies_first": first, "proxies_count": proxies - first, "nodes_per_zone": spec.balancing["nodes"]}
        rows.append(spec.balancing | row)
    return rows, hop_proxies


def _processes(hop: Fields, populations: Sequence[Any], service_rows: Sequence[Fields]) -> int:
    """Client processes that call over a hop."""
    owner, caller = hop["population"], hop["caller"]
    return int(populations[owner].clients if owner >= 0 else service_rows[caller]["instances_count"])


def address_rows(
    services: Sequence[Any], populations: Sequence[Any], hops: Sequence[Fields], service_rows: Sequence[Fields]
) -> tuple[list[int], int]:
    """Where the addresses of each hop's clients begin, and how many there are in all."""
    firsts, count = [], 0
    for hop in hops:
        zonal = services[hop["service"]].balancing["placement"] == ZONAL
        firsts.append(count if zonal else -1)
        count += _processes(hop, populations, service_rows) if zonal else 0
    return firsts, count
