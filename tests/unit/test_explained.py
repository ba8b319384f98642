"""What a verdict comes down to: proof, ejection, spread of the load."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.simulation.explained import ejected, ill_spread, proven, refilled, singled_out, telling_first

BROKEN = [{"t_s": 20.0, "level": "broken"}, {"t_s": 30.0, "level": "held"}]


def replay(change: str, *, recovers: bool | None, reset_at_s: float | None = None) -> dict[str, Any]:
    return {"change": change, "reset_at_s": reset_at_s, "recovers": recovers}


def timeline(
    busy: dict[str, float], *, headroom: float | None = -0.2, attempts: int = 1200, out: str = ""
) -> dict[str, Any]:
    """Thirty seconds in which 800 requests a second come; zone `out` is out of rotation."""
    web = {
        "headroom": [headroom] * 30,
        "utilisation": {zone: [share] * 30 for zone, share in busy.items()},
        "healthy_view": {zone: [0 if zone == out else 3] * 30 for zone in busy},
    }
    return {"t_s": list(range(30)), "offered": [800] * 30, "attempts": [attempts] * 30, "services": {"web": web}}


def test_only_a_reset_that_recovers_proves_that_capacity_suffices() -> None:
    assert not proven([])
    assert not proven([replay("reset, retries off", recovers=False, reset_at_s=500)])
    assert not proven([replay("retries off", recovers=True)])  # a cure is no proof of capacity
    assert proven([replay("reset, retries off", recovers=True, reset_at_s=500)])


def test_ejection_leads_where_only_the_reset_that_undid_it_recovers() -> None:
    cures = [{"mechanism": name} for name in ("orphans dropped", "queues shorter", "health ejection off")]
    plain = [replay("reset, retries off", recovers=True, reset_at_s=500)]
    undone = [
        replay("reset, retries off", recovers=False, reset_at_s=500),
        replay("reset, retries off, all in rotation", recovers=True, reset_at_s=500),
    ]
    assert not ejected(plain)
    assert ejected(undone)
    assert telling_first(cures, plain) == cures
    assert telling_first(cures, undone) == [cures[2], cures[0], cures[1]]
    assert telling_first(cures[:2], undone) == cures[:2]


def test_cold_caches_lead_where_only_the_reset_that_filled_them_recovers() -> None:
    cures = [{"mechanism": name} for name in ("queues shorter than the timeout", "caches kept")]
    filled = [
        replay("reset, retries off", recovers=False, reset_at_s=500),
        replay("reset, retries off, caches as at the start", recovers=True, reset_at_s=500),
    ]
    assert refilled(filled)
    assert not refilled(filled[:1])
    assert not ejected(filled)
    assert singled_out(filled) == "caches kept"
    assert singled_out(filled[:1]) is None
    assert telling_first(cures, filled) == cures[::-1]


@pytest.mark.parametrize(
    ("found", "of", "facts"),
    [
        ("web", "outage", timeline({"a": 1.0, "b": 0.86, "c": 0.86})),  # 1.2 x 800 / 1200 = 0.8 of what is there
        (None, "collapse", timeline({"a": 1.0, "b": 0.86, "c": 0.86})),
        (None, "outage", timeline({"a": 1.0, "b": 0.99, "c": 0.98})),  # full everywhere
        (None, "outage", timeline({"a": 0.9, "b": 0.5, "c": 0.5})),  # full nowhere: it is not the load
        (None, "outage", timeline({"a": 1.0, "b": 0.86, "c": 0.86}, attempts=900)),  # 1.07 without retries: too little
        (None, "outage", timeline({"a": 1.0, "b": 1.0, "c": 0.0}, out="c")),  # a lost zone is not idle capacity
        (None, "outage", timeline({"a": 1.0, "b": 0.5}, headroom=None)),
    ],
)
def test_an_outage_is_one_of_spread_where_the_load_would_fit_and_one_zone_alone_is_full(
    found: str | None, of: str, facts: dict[str, Any]
) -> None:
    assert ill_spread(of, BROKEN, facts) == found


def test_an_outage_without_a_broken_deadline_is_none_of_spread() -> None:
    assert ill_spread("outage", BROKEN[1:], timeline({"a": 1.0, "b": 0.5})) is None
