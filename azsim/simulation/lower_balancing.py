"""Balancers that keep state in proxies, as tables (D100 on)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from azsim.dataplane.codes import INFINITE
from azsim.dataplane.layout import BALANCING, Dns, Int64s, Records
from azsim.policy import balancing, locality, outliers
from azsim.policy.balancing import NEVER_OPEN
from azsim.scenario.balancing import Locality, Node, Outliers, SlowStart, WaitQueue
from azsim.scenario.service import Balancer
from azsim.simulation.lower_policies import mask
from azsim.simulation.lower_work import work_parameters

Row = dict[str, Any]

_PLACEMENTS = {"regional": balancing.REGIONAL, "caller": balancing.CALLER, "zonal": balancing.ZONAL}


def balancing_tables(
    balancers: Iterable[Balancer],
    hops: list[Row],
    callers: list[int],
    zones: int,
) -> tuple[Records, Int64s]:
    """Plan.balancing and Plan.hop_proxies; callers: client processes of each hop; zones: how many there are."""
    rows: list[Row] = []
    hop_proxies = np.full(len(hops), -1, np.int64)
    proxies = 0
    for number, balancer in enumerate(balancers):
        first = proxies
        if balancer.placement == "caller":
            for h, hop in enumerate(hops):
                if hop["service"] == number:
                    hop_proxies[h] = proxies
                    proxies += callers[h]
        elif balancer.placement == "zonal":
            proxies += balancer.nodes_per_zone * zones
        elif balancer.is_proxied:
            proxies += balancer.nodes
        row = {
            "proxied": int(balancer.is_proxied),
            "placement": _PLACEMENTS[balancer.placement],
            "proxies_first": first,
            "proxies_count": proxies - first,
            "ewma_decay_ns": balancer.ewma.decay,
            "ewma_default_ns": balancer.ewma.default_latency,
            "nodes_per_zone": balancer.nodes_per_zone,
            "dns_ttl_ns": balancer.dns.ttl,
            "dns_keep_ns": balancer.dns.connections or 0,
            "dns_own_zone": balancer.dns.own_zone,
            "dns_stale": int(balancer.dns.stale),
        }
        row |= _locality(balancer.locality) | _slow_start(balancer.slow_start)
        row |= _outliers(balancer.outliers) | _queue(balancer.queue) | _node(balancer.node)
        rows.append(row)
    assert BALANCING.names is not None
    table = np.array([tuple(row[name] for name in BALANCING.names) for row in rows], BALANCING)
    return table, hop_proxies


def addresses(balancers: Sequence[Balancer], hops: list[Row], callers: list[int]) -> tuple[Int64s, int]:
    """Plan.hop_addresses and Plan.addresses."""
    firsts = np.full(len(hops), -1, np.int64)
    count = 0
    for h, hop in enumerate(hops):
        if balancers[hop["service"]].placement == "zonal":
            firsts[h] = count
            count += callers[h]
    return firsts, count


def name_rules(balancers: Sequence[Balancer]) -> tuple[Dns, ...]:
    """Plan.dns."""
    return tuple(
        Dns(
            service=number,
            delay_ns=balancer.dns.delay,
            per_zone=not balancer.cross_zone,
            below=NEVER_OPEN if balancer.dns.leaves is None else balancer.dns.leaves.below or 0.0,
            fewer_than=0 if balancer.dns.leaves is None else balancer.dns.leaves.fewer_than or 0,
        )
        for number, balancer in enumerate(balancers)
        if balancer.placement == "zonal"
    )


def _locality(preference: Locality | None) -> Row:
    row: Row = {"locality": locality.ANYWHERE, "locality_targets": 0, "spill_below": 0.0}
    if preference is None:
        return row
    if preference.kind == "prefer":
        return row | {"locality": locality.PREFER, "spill_below": preference.spill_below}
    return row | {"locality": locality.ZONE_AWARE, "locality_targets": preference.min_targets}


def _slow_start(slow_start: SlowStart | None) -> Row:
    if slow_start is None:
        return {"slow_start_ns": 0, "slow_start_aggression": 1.0, "slow_start_least": 1.0}
    return {
        "slow_start_ns": slow_start.window,
        "slow_start_aggression": slow_start.aggression,
        "slow_start_least": slow_start.least,
    }


def _outliers(ejection: Outliers | None) -> Row:
    row: Row = {
        "outliers": outliers.NO_OUTLIERS,
        "outlier_on": 0,
        "outlier_errors": 1,
        "outlier_at_least_one": 0,
        "outlier_uneject_on_check": 0,
        "outlier_window_ns": 1,
        "outlier_base_ns": 0,
        "outlier_longest_ns": 0,
        "outlier_share": 0.0,
        "outlier_factor": 0.0,
        "outlier_factor_targets": 0,
        "outlier_factor_volume": 0,
        "outlier_failures": 0,
        "outlier_failures_targets": 0,
        "outlier_failures_volume": 0,
    }
    if ejection is None:
        return row
    row["outlier_on"] = mask(ejection.on)
    if ejection.kind == "max-fails":
        return row | {
            "outliers": outliers.MAX_FAILS,
            "outlier_errors": ejection.fails,
            "outlier_window_ns": ejection.window,
        }
    if ejection.success_rate is not None:
        row["outlier_factor"] = ejection.success_rate.factor
        row["outlier_factor_targets"] = ejection.success_rate.min_targets
        row["outlier_factor_volume"] = ejection.success_rate.volume
    if ejection.failure_share is not None:
        row["outlier_failures"] = round(ejection.failure_share.share * 1_000_000)
        row["outlier_failures_targets"] = ejection.failure_share.min_targets
        row["outlier_failures_volume"] = ejection.failure_share.volume
    return row | {
        "outliers": outliers.CONSECUTIVE,
        "outlier_errors": outliers.NO_ERRORS if ejection.errors is None else ejection.errors,
        "outlier_at_least_one": int(ejection.at_least_one),
        "outlier_uneject_on_check": int(ejection.uneject_on_check),
        "outlier_window_ns": ejection.interval,
        "outlier_base_ns": ejection.base,
        "outlier_longest_ns": ejection.longest,
        "outlier_share": ejection.max_share,
    }


def _node(node: Node | None) -> Row:
    if node is None:
        return {"node_slots": 0, "node_work": 0, "node_work_a": 0.0, "node_work_b": 0.0, "node_queue": 0}
    kind, a, b = work_parameters(node.work)
    return {
        "node_slots": node.slots,
        "node_work": kind,
        "node_work_a": a,
        "node_work_b": b,
        "node_queue": node.queue,
    }


def _queue(queue: WaitQueue | None) -> Row:
    if queue is None:
        return {"per_target": INFINITE, "wait_places": 0, "wait_ns": INFINITE}
    return {
        "per_target": queue.per_target,
        "wait_places": queue.places,
        "wait_ns": INFINITE if queue.timeout is None else queue.timeout,
    }
