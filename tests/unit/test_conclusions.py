"""What runs tell: each sentence where it belongs, with the run's own figures, and nowhere else (J14)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from azsim.simulation.conclusions import failures
from azsim.simulation.result import Result
from azsim.simulation.run import run
from tests.small import scenario

KINDS = {"expected", "detected", "handled", "automate", "dig-deeper"}


def told(result: Result, kind: str) -> list[str]:
    return [one["text"] for one in result.conclusions if one["kind"] == kind]


def small(**changes: Any) -> Result:
    return run(scenario(**changes), engine="reference", replays=False)


def test_failures_are_named_as_users_see_them() -> None:
    measured = {"succeeded": 900, "failed": {"timeout": 60, "overload": 30, "error": 10}}
    assert failures(measured) == "10% of requests fail (HTTP 504 6.0%, HTTP 503 3.0%, HTTP 500 1.0%)"
    assert failures({"succeeded": 999, "failed": {"refused": 1}}) == "0.1% of requests fail (connection refused)"
    assert failures({"succeeded": 5, "failed": {}}) == "no request fails"
    assert failures({"succeeded": 0, "failed": {}}) == "no request ends"


def test_a_story_is_told_in_order_of_time() -> None:
    found = small(**{"traffic.shoppers.retry": "none"}).conclusions
    assert [one["t_s"] for one in found] == sorted(one["t_s"] for one in found)
    assert {one["kind"] for one in found} <= KINDS
    assert [one["kind"] for one in found][:4] == ["expected", "detected", "automate", "handled"]
    assert found[0]["text"].startswith("zone c power: ")
    assert found[-1]["text"] == "zone c power ends; the level holds"


def test_the_figures_are_those_of_the_segment() -> None:
    result = small(**{"traffic.shoppers.retry": "none"})
    blind = next(one for one in result.segments if one["name"] == "undetected")
    share = sum(blind["failed"].values()) / (blind["succeeded"] + sum(blind["failed"].values()))
    said = re.search(r"([\d.]+)% of requests fail \(HTTP 504\)", told(result, "expected")[0])
    assert said is not None
    assert float(said[1]) == pytest.approx(100 * share, abs=0.5)
    (detected,) = told(result, "detected")
    assert f"after {result.time_to_detect_s:.1f} s" in detected
    # Nearly all that failed started before the detection.
    (cure,) = told(result, "automate")
    assert "before detection" in cure


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"services.web.balancer.health": "none"}, "nothing checks health there"),
        ({"faults.loss.for": "1s"}, "was not detected before it ended"),
    ],
)
def test_a_loss_that_nobody_notices(changes: dict[str, Any], text: str) -> None:
    result = small(**changes)
    assert result.time_to_detect_s is None
    assert any(text in one for one in told(result, "dig-deeper"))
    assert told(result, "detected") == []


def test_a_spike_is_told_in_attempts_and_capacity() -> None:
    spike = {"at": "12s", "for": "6s", "traffic_spike": {"population": "shoppers", "factor": 5}}
    result = small(faults=[spike])
    assert re.search(
        r"(\d+)/s arrive at web \(\d+/s without retries\), which can serve 100/s", told(result, "expected")[0]
    )
    assert any("the wait at web passes its caller's timeout of 500 ms" in one for one in told(result, "dig-deeper"))
    assert told(result, "detected") == []


def test_a_level_that_holds_is_handled() -> None:
    """With attempts to spare a lost zone costs nobody a request."""
    result = small(
        **{"services.web.balancer.retry": {"attempts": 2, "on": ["refused"]}, "faults.loss.zone_loss.mode": "refuse"}
    )
    assert result.verdict == "no-impact"
    assert any(one.startswith("the level holds throughout") for one in told(result, "handled"))


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        ("45/s", None),
        ("54/s", "near miss: only 6.0% of web's capacity to spare"),
        ("61/s", "near miss: 1.2 times the work that web can do arrives"),
    ],
)
def test_a_near_miss_is_said(rate: str, said: str | None) -> None:
    patient = {"hypothesis.success": ">= 50%", "traffic.shoppers.timeout": "3s"}
    tight = small(**{"traffic.shoppers.rate": rate}, **patient)
    assert tight.verdict == "no-impact"
    assert [one for one in told(tight, "dig-deeper") if "near miss" in one] == ([] if said is None else [said])


def test_what_decides_nothing_says_so() -> None:
    early = small(duration="30s", **{"traffic.shoppers.retry": "none"})
    assert any("deadline at 00:32" in one for one in told(early, "dig-deeper"))
    broken = small(**{"hypothesis.latency_p50": "<= 1ms"})
    assert any("before any fault" in one for one in told(broken, "dig-deeper"))


def test_an_abort_is_told() -> None:
    stopped = small(abort=[{"error_rate": "> 5%", "for": "1s"}], **{"traffic.shoppers.retry": "none"})
    assert "an abort condition is met: all faults end" in told(stopped, "detected")
