"""Results of small runs, from end to end: the fields, their sums, and that nothing but the work decides them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from azsim.simulation import result
from azsim.simulation.result import Result
from azsim.simulation.run import run, simulate
from azsim.simulation.trace import Trace
from tests.small import scenario

FIELDS = [
    *(
        "azsim",
        "scenario",
        "digest",
        "seed",
        "replicate",
        "engine",
        "verdict",
        "metastable",
        "sustained_by",
        "hypothesis",
    ),
    *(
        "violations",
        "deadlines",
        "time_to_detect_s",
        "time_to_recover_s",
        "aborted_at_s",
        "data_loss",
        "faults",
        "phases",
        "segments",
    ),
    *(
        "totals",
        "services",
        "headroom",
        "conclusions",
        "replays",
        "timeline",
        "events",
        "wall_s",
        "requests_per_wall_s",
    ),
]
METRICS = [
    *("offered", "attempts", "succeeded", "failed", "unresolved", "success", "operations", "degraded"),
    *("goodput_per_s", "amplification"),
    *("latency_s", "latency_all_p50_s", "latency_all_p90_s", "latency_all_p99_s", "latency_all_p999_s"),
    *("wasted_share", "utilisation"),
]
MAY_DIFFER = ("engine", "wall_s", "requests_per_wall_s")


STORM = {
    "duration": "60s",
    "traffic.shoppers.rate": "54/s",
    "faults": [
        {"id": "loss", "at": "12s", "for": "12s", "zone_loss": {"zone": "c"}},
        {"id": "spike", "at": "18s", "for": "3s", "traffic_spike": {"population": "shoppers", "factor": 4}},
    ],
}


@pytest.fixture(scope="module")
def trace() -> Trace:
    return simulate(scenario(**{"traffic.shoppers.retry": "none"}), engine="reference")


@pytest.fixture(scope="module")
def judged(trace: Trace) -> Result:
    return result.build(trace)


def test_the_fields_are_those_of_the_format(judged: Result) -> None:
    facts = judged.to_dict()
    assert list(facts) == FIELDS
    assert list(facts["phases"]) == ["before", "during", "after"]
    for block in (*facts["phases"].values(), facts["totals"]):
        assert list(block) == METRICS
    for segment in facts["segments"]:
        assert list(segment) == ["name", "start_s", "end_s", *METRICS, "busiest_zone"]
    assert list(facts["timeline"]["services"]["web"]["utilisation"]) == ["a", "b", "c"]
    for name, value in facts.items():
        if name != "timeline":
            assert getattr(judged, name) == value


def test_json_is_strict_and_comes_back(judged: Result) -> None:
    text = judged.to_json()
    assert "NaN" not in text
    assert "Infinity" not in text
    again = Result.from_dict(json.loads(text))
    assert again == judged
    assert again.to_json() == text
    with pytest.raises(ValueError, match="lacks verdict"):
        Result.from_dict({name: value for name, value in judged.to_dict().items() if name != "verdict"})
    with pytest.raises(ValueError, match="has surprise"):
        Result.from_dict(judged.to_dict() | {"surprise": 1})


def test_a_dict_is_no_way_into_a_result(judged: Result) -> None:
    facts = judged.to_dict()
    facts["timeline"]["offered"][0] = -1
    facts["totals"]["failed"]["timeout"] = -1
    assert judged.to_dict() != facts


def test_the_timeline_is_a_table(judged: Result) -> None:
    table = judged.timeline
    assert table.index.tolist() == list(range(45))
    assert table.index.name == "t_s"
    assert {"offered", "failed", "latency_p99_s", "services.web.utilisation.c", "services.web.headroom"} <= set(table)
    assert judged.timeline is table


def test_the_picture_is_drawn_from_it(judged: Result) -> None:
    assert len(judged.plot().axes) > 1


def test_a_lost_zone_is_degraded_and_told(judged: Result) -> None:
    assert (judged.verdict, judged.hypothesis, judged.metastable) == ("degraded", "held", False)
    assert [one["name"] for one in judged.segments] == ["before", "undetected", "detected", "after"]
    # Two failed probes a second apart, the second one silent for its timeout, and 1 s to the view.
    assert judged.time_to_detect_s is not None
    assert 1.5 + 1 <= judged.time_to_detect_s <= 2.5 + 1
    assert judged.faults[0]["detected_s"] == pytest.approx(12 + judged.time_to_detect_s)
    assert [(one["t_s"], one["level"]) for one in judged.deadlines] == [(20.0, "held"), (32.0, "held")]
    assert all(one["excused"] for one in judged.violations)
    kinds = [(one["kind"], one["t_s"]) for one in judged.conclusions]
    assert ("expected", 12.0) in kinds
    assert ("detected", judged.faults[0]["detected_s"]) in kinds
    assert "handled" in [kind for kind, _ in kinds]
    told = next(one["text"] for one in judged.conclusions if one["t_s"] == 12.0)
    assert "HTTP 504" in told
    assert "of attempts time out" in told


def test_requests_are_neither_lost_nor_made(trace: Trace, judged: Result) -> None:
    """Totals are the sum of the phases, and of the segments; offered = succeeded + failed + unresolved (C1)."""
    phases = [one for one in judged.phases.values() if one is not None]
    for blocks in (phases, judged.segments):
        for name in ("offered", "attempts", "succeeded", "unresolved"):
            assert sum(block[name] for block in blocks) == judged.totals[name], name
    for block in (*phases, *judged.segments, judged.totals):
        assert block["offered"] == block["succeeded"] + sum(block["failed"].values()) + block["unresolved"]
    assert judged.totals["unresolved"] == int(trace.recording.in_flight.sum())
    timeline = judged.to_dict()["timeline"]
    assert sum(timeline["offered"][3:]) == judged.totals["offered"]
    assert timeline["failed"] == [sum(at) for at in zip(*timeline["failed_by"].values(), strict=True)]


def test_the_lost_zone_is_idle_and_the_others_are_busier(judged: Result) -> None:
    busy = judged.to_dict()["timeline"]["services"]["web"]
    assert busy["utilisation"]["c"][14:23] == [0.0] * 9
    assert sum(busy["utilisation"]["a"][17:24]) > sum(busy["utilisation"]["a"][4:11])
    assert busy["instances"]["c"][12:25] == [0] * 12 + [1]
    assert (busy["healthy_view"]["c"][11], busy["healthy_view"]["c"][20]) == (1, 0)
    detected = next(segment for segment in judged.segments if segment["name"] == "detected")
    assert detected["busiest_zone"]["zone"] in ("a", "b")
    assert detected["busiest_zone"]["service"] == "web"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"hypothesis.detect_within": "1s"}, "falsified"),
        ({"hypothesis.allow": "no-impact"}, "falsified"),
        ({"hypothesis.during": {"success": ">= 99.9%"}}, "falsified"),
        ({"hypothesis.during": {"success": ">= 50%"}, "hypothesis.after": {"latency_p99": "<= 5s"}}, "held"),
        ({"hypothesis.after": {"latency_p50": "<= 1ms"}}, "falsified"),
        ({"duration": "30s"}, "undecided"),  # before the deadline at 32 s
        ({"hypothesis.latency_p50": "<= 1ms"}, "invalid"),
    ],
)
def test_the_hypothesis_is_applied(trace: Trace, changes: dict[str, Any], expected: str) -> None:
    again = trace.scenario.with_(changes)
    if "duration" in changes:
        rejudged = result.build(simulate(again, engine="reference"))
    else:
        rejudged = result.build(replace(trace, scenario=again))
    assert rejudged.hypothesis == expected
    broken_rules = {one["rule"] for one in rejudged.violations if "excused" not in one}
    named = {"detect_within", "during.success", "after.latency_p50"}
    assert bool(broken_rules) == any(
        name in str(changes) for name in ("detect_within", "99.9%", "after': {'latency_p50")
    )
    assert broken_rules <= named


def test_an_abort_falsifies() -> None:
    stopped = run(
        scenario(abort=[{"error_rate": "> 5%", "for": "1s"}], **{"traffic.shoppers.retry": "none"}), engine="reference"
    )
    assert stopped.hypothesis == "falsified"
    assert stopped.aborted_at_s is not None
    assert 12 < stopped.aborted_at_s < 16
    assert stopped.faults[0]["end_s"] == stopped.aborted_at_s
    assert stopped.violations[-1]["rule"] == "abort"


@pytest.mark.parametrize("changes", [{}, {"duration": "30s"}, "storm"])
def test_engines_give_the_same_bytes(changes: Any) -> None:
    """And so do chunks of random length, which `paranoid` compares (C5, C6)."""
    given = scenario(**(STORM if changes == "storm" else changes))
    one, two = (
        run(given, engine=engine, paranoid=engine == "kernel", replays=False) for engine in ("reference", "kernel")
    )
    facts = [{name: value for name, value in each.to_dict().items() if name not in MAY_DIFFER} for each in (one, two)]
    assert json.dumps(facts[0]) == json.dumps(facts[1])
    assert (one.engine, two.engine) == ("reference", "kernel")


def test_a_retry_storm_is_a_collapse_that_sustains_itself() -> None:
    storm = run(scenario(**STORM))
    assert (storm.verdict, storm.metastable, storm.hypothesis) == ("collapse", True, "falsified")
    assert storm.time_to_recover_s is None
    assert storm.totals["amplification"] > 2
    assert "retries off" in [one["mechanism"] for one in storm.sustained_by]
    assert storm.headroom["min"] < 0
    texts = " ".join(one["text"] for one in storm.conclusions)
    assert "two states under one load" in texts
    assert "passes its caller's timeout of 500 ms" in texts
    # What the cure promises is what a run with it does.
    cured = run(scenario(**STORM, **{"traffic.shoppers.retry": "none"}), replays=False)
    recovered_at_s = {one["mechanism"]: one["recovered_at_s"] for one in storm.sustained_by}["retries off"]
    assert max(one["last_s"] for one in cured.violations) == recovered_at_s
    assert cured.deadlines[-1]["level"] == "held"


def test_too_little_capacity_is_an_outage() -> None:
    """45/s of 60 ms each need 2.7 cores: three zones of 1.1 have them, two do not."""
    small = run(scenario(**{"faults.loss.for": "none", "services.web.cores": 1.1}))
    assert (small.verdict, small.metastable, small.sustained_by) == ("outage", False, [])
    assert [(one["reset_at_s"], one["recovers"]) for one in small.replays] == [(20.0, False)]
    assert any("retries off" in one["text"] and "can serve" in one["text"] for one in small.conclusions)


def test_nothing_offered_is_no_impact() -> None:
    quiet = run(scenario(**{"traffic.shoppers.rate": "0/s"}), engine="reference")
    assert quiet.verdict == "no-impact"
    assert quiet.totals["success"] is None
    assert quiet.requests_per_wall_s == 0.0


def test_a_run_without_faults_is_all_before() -> None:
    calm = run(scenario(faults=[]), engine="reference")
    assert (calm.phases["during"], calm.phases["after"], calm.verdict) == (None, None, "no-impact")
    assert [one["name"] for one in calm.segments] == ["before"]
    assert (calm.time_to_detect_s, calm.time_to_recover_s, calm.deadlines) == (None, 0.0, [])
