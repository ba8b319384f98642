"""Sums that exceed 64 bits, and the results that rest on them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import azsim
from azsim.base.sums import exact_sum, exact_sums
from azsim.scenario import Scenario

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


@given(st.lists(st.tuples(INT64, INT64, INT64), max_size=20))
def test_sums_are_exact(rows: list[tuple[int, int, int]]) -> None:
    values = np.array(rows, np.int64).reshape(len(rows), 3)
    assert exact_sums(values).tolist() == [sum(row[i] for row in rows) for i in range(3)]
    assert exact_sum(values) == sum(map(sum, rows))
    tables = np.stack([values, values], axis=1)
    assert exact_sums(tables).tolist() == [exact_sums(values).tolist()] * 2


def test_a_fleet_of_thousands_of_cores_is_added_up() -> None:
    """130,000 cores at work for 80 s are 1.06e19 units of CPU time, more than an int64 holds: utilisation is that of
    the requests that came, 80 s each, over the 90 s of both zones' cores.
    """
    scenario = Scenario.from_dict(
        {
            "azsim": 1,
            "name": "fleet",
            "duration": "90s",
            "zones": ["a", "b"],
            "network": {"same_zone": "0s"},
            "traffic": {
                "jobs": {"to": "grid", "rate": [{"at": "0s", "rate": "130000/s"}, {"at": "1s", "rate": "0/s"}]}
            },
            "services": {"grid": {"slots": 70000, "work": {"distribution": "constant", "mean": "80s"}}},
        }
    )
    result = azsim.run(scenario, seed=1, paranoid=True)
    offered = result.totals["offered"]
    assert offered * 80 * 1024 * 1e9 > 2**63
    assert result.totals["succeeded"] == offered
    assert result.totals["utilisation"] == pytest.approx(offered * 80 / (140_000 * 90), rel=1e-6)
    assert result.services["grid"]["utilisation_all"] == result.totals["utilisation"]
    assert result.services["grid"]["useful_share"] == 1.0
    assert result.totals["wasted_share"] == 0.0
    assert result.totals["latency_s"]["mean"] == pytest.approx(80.0, rel=1e-6)
