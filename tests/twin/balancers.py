"""Balancers that keep count of their targets, for generated worlds."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from azsim.dataplane.codes import INFINITE
from azsim.policy import balancing, distributions, locality, outliers
from tests.twin.drawing import RETRIED, grid, note


@st.composite
def proxies(draw: Any, checked: bool) -> dict[str, Any]:
    """What makes a balancer one that keeps state in proxies."""
    fields: dict[str, Any] = {
        "placement": draw(st.sampled_from([balancing.REGIONAL, balancing.CALLER, balancing.ZONAL])),
        "dns_ttl_ns": draw(grid(0, 60)),
        "dns_keep_ns": draw(st.one_of(st.just(0), grid(1, 100))),
        "dns_own_zone": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "dns_stale": draw(st.integers(0, 1)),
        "locality": draw(st.sampled_from([locality.ANYWHERE, locality.PREFER, locality.ZONE_AWARE])),
        "locality_targets": draw(st.integers(0, 3)),
        "spill_below": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "slow_start_ns": draw(st.one_of(st.just(0), grid(5, 60))),
        "slow_start_aggression": draw(st.sampled_from([1.0, 2.0])),
        "ewma_decay_ns": draw(grid(1, 50)),
        "outliers": draw(st.sampled_from([outliers.NO_OUTLIERS, outliers.CONSECUTIVE, outliers.MAX_FAILS])),
        "outlier_on": tuple(draw(st.sets(st.sampled_from(RETRIED), min_size=4))),
        "outlier_errors": draw(st.sampled_from([1, 2, 3, outliers.NO_ERRORS])),
        "outlier_at_least_one": draw(st.integers(0, 1)),
        "outlier_uneject_on_check": draw(st.integers(0, 1)),
        "outlier_window_ns": draw(grid(5, 40)),
        "outlier_base_ns": draw(grid(5, 40)),
        "outlier_longest_ns": draw(grid(20, 100)),
        "outlier_share": draw(st.sampled_from([0.3, 0.5, 1.0])),
        "weight": draw(st.integers(0, 3)),
    }
    if fields["outliers"] == outliers.CONSECUTIVE and draw(st.booleans()):
        fields |= {
            "outlier_factor": draw(st.sampled_from([0.0, 0.5, 1.0])),
            "outlier_factor_targets": draw(st.integers(1, 3)),
            "outlier_factor_volume": draw(st.integers(1, 4)),
            "outlier_failures": draw(st.sampled_from([0, 300_000, 1_000_000])),
            "outlier_failures_targets": draw(st.integers(1, 3)),
            "outlier_failures_volume": draw(st.integers(1, 4)),
        }
        note("ejection by success rate", fields["outlier_factor"] > 0)
        note("ejection by share of failures", fields["outlier_failures"] > 0)
    if draw(st.booleans()):
        fields |= {
            "per_target": draw(st.integers(1, 3)),
            "wait_places": draw(st.integers(0, 6)),
            "wait_ns": draw(st.one_of(st.just(INFINITE), grid(1, 30))),
        }
    if draw(st.booleans()):
        fields |= {
            "nodes": draw(st.integers(1, 3)),
            "node_slots": draw(st.integers(1, 3)),
            "node_work": draw(st.sampled_from([distributions.CONSTANT, distributions.EXPONENTIAL])),
            "node_work_a": float(draw(grid(0, 6))),
            "node_queue": draw(st.integers(0, 5)),
        }
        note("nodes with work", True)
    if draw(st.booleans()):
        fields["algorithm"] = draw(st.sampled_from([balancing.WEIGHTED_RANDOM, balancing.PEAK_EWMA]))
        note(f"algorithm {fields['algorithm']}", True)
    note("callers are proxies", fields["placement"] == balancing.CALLER)
    note("nodes in zones", fields["placement"] == balancing.ZONAL)
    if fields["locality"] != locality.ANYWHERE:
        note(f"locality {fields['locality']}", True)
    note("slow start", fields["slow_start_ns"] > 0)
    if fields["outliers"] != outliers.NO_OUTLIERS:
        note(f"outliers {fields['outliers']}", True)
    note("checks end ejections", checked and fields["outliers"] == outliers.CONSECUTIVE)
    note("waiting in proxies", fields.get("wait_places", 0) > 0)
    return fields
