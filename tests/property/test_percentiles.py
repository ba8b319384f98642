"""Percentiles come from a histogram (O2): they are as numpy's, to within half a bin."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from azsim.policy.histogram import BINS, bin_bounds_ns, bin_of
from azsim.simulation.series import percentile_ns, rank

TOP_NS = bin_bounds_ns(BINS - 1)[1]
# As many short ones as long ones: the exponent is drawn first.
latencies_ns = st.integers(0, 47).flatmap(lambda power: st.integers(0, 1 << power)).map(lambda t: min(t, TOP_NS - 1))


def test_bins_are_without_gaps() -> None:
    """Each begins where the one before ends, and holds its own bounds; from 32 us on it is at most a 32nd wide."""
    end_ns = 0
    for b in range(BINS):
        low_ns, high_ns = bin_bounds_ns(b)
        assert low_ns == end_ns
        assert bin_of(low_ns) == bin_of(high_ns - 1) == b
        assert high_ns - low_ns <= max(1024, low_ns / 32)
        end_ns = high_ns
    assert bin_of(end_ns) == bin_of(1 << 62) == BINS - 1
    assert end_ns > 78 * 3600 * 10**9


@settings(max_examples=400)
@given(latencies_ns)
def test_a_latency_lies_in_its_bin(latency_ns: int) -> None:
    low_ns, high_ns = bin_bounds_ns(bin_of(latency_ns))
    assert low_ns <= latency_ns < high_ns


@settings(max_examples=300)
@given(st.lists(latencies_ns, min_size=1, max_size=300), st.sampled_from([1, 500, 900, 990, 999, 1000]))
def test_percentiles_are_those_of_numpy(latencies: list[int], permille: int) -> None:
    """Nearest rank (numpy's inverted_cdf), off by half a bin: a 64th, or 512 ns where bins are 1,024 wide."""
    cumulative = np.cumsum(np.bincount([bin_of(t) for t in latencies], minlength=BINS))
    found = percentile_ns(cumulative, rank(len(latencies), permille))
    true = sorted(latencies)[rank(len(latencies), permille) - 1]
    by_numpy = np.percentile(np.array(latencies, np.float64), permille / 10, method="inverted_cdf")
    # In floats, 99.9% of 1,000 may be a little more than 999: numpy may be one rank off where azsim's is exact.
    ranked = sorted(latencies)
    near = {float(ranked[min(max(rank(len(latencies), permille) - 1 + i, 0), len(latencies) - 1)]) for i in (-1, 0, 1)}
    assert float(by_numpy) in near
    assert abs(found - true) <= max(512, true / 64)
