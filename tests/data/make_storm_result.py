"""Writes storm_result.json: a result as `azsim run --json` gives it, drawn from a few formulas instead of a run.

Tests of the card and the figures read it, so that they fail only for what the card and the figures do.
Its story: three zones at 60 percent, zone c lost from 5 to 15 min, detected after 15 s, a spike of 10 s at 9 min that
ends in a retry storm which outlives everything.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

SECONDS = 1200
RATE_PER_S = 2880.0
ZONES = ("a", "b", "c")
OUTPUT = Path(__file__).with_name("storm_result.json")


def _wobble(t: int, k: int) -> float:
    """A repeatable number from -1 to 1 that looks random."""
    return math.sin(12.9898 * t + 78.233 * k + math.sin(0.7 * t * k + k))


def _second(t: int) -> dict[str, Any]:
    """Everything about one second."""
    lost, seen = 300 <= t < 900, 315 <= t < 930
    spike, storm = 540 <= t < 550, t >= 545
    offered = RATE_PER_S * (1.5 if spike else 1.0) * (1 + 0.02 * _wobble(t, 1))
    share_lost = 1 / 3 if lost and not seen else 0.0
    success, per_request, p99_s, wasted = 1.0, 1.0 + share_lost * 1.33, 0.095, 0.0
    if share_lost:
        success, p99_s, wasted = 0.968, 1.2, 0.01
    elif seen and not storm:
        p99_s = 0.21
    if storm:
        into = min(1.0, (t - 545) / 15)
        success, per_request, wasted = 1.0 - into, 1.0 + 2.0 * into, into
        p99_s = math.nan if into == 1.0 else 0.21 + 0.8 * into
    failed = offered * (1 - success)
    timed_out = offered * (per_request - 1) + failed
    busy = 0.6 if not seen else 0.9
    utilisation = {}
    for k, zone in enumerate(ZONES):
        up = not (zone == "c" and lost)
        in_view = not (zone == "c" and seen)
        level = busy if in_view else 0.0
        utilisation[zone] = (1.0 if storm and in_view else level * (1 + 0.03 * _wobble(t, 5 + k))) if up else 0.0
    return {
        "offered": round(offered),
        "attempts": round(offered * per_request),
        "succeeded": round(offered * success),
        "failed": {"timeout": round(failed * 0.8), "overload": round(failed * 0.2)},
        "timeouts": round(timed_out),
        "latency_p50_s": None if math.isnan(p99_s) else round(0.2 * p99_s * (1 + 0.1 * _wobble(t, 3)), 4),
        "latency_p99_s": None if math.isnan(p99_s) else round(p99_s * (1 + 0.1 * _wobble(t, 2)), 4),
        "instances": {zone: 0 if zone == "c" and lost else 4 for zone in ZONES},
        "healthy_view": {zone: 0 if zone == "c" and seen else 4 for zone in ZONES},
        "utilisation": {zone: round(min(1.0, value), 3) for zone, value in utilisation.items()},
        "queue": {zone: 2000 if storm and zone != "c" else 0 for zone in ZONES},
        "fail_open": False,
        "wasted_share": round(wasted, 3),
        "wasted_utilisation": round(wasted * sum(min(1.0, value) for value in utilisation.values()) / len(ZONES), 3),
        "headroom": round(1 - 0.2 * offered * per_request / (960 if not seen else 640), 3),
    }


def _phase(seconds: list[dict[str, Any]]) -> dict[str, Any]:
    """The metrics of a span of seconds."""
    offered = sum(second["offered"] for second in seconds)
    attempts = sum(second["attempts"] for second in seconds)
    succeeded = sum(second["succeeded"] for second in seconds)
    slow = [second["latency_p99_s"] for second in seconds if second["latency_p99_s"] is not None]
    success = succeeded / offered
    return {
        "offered": offered,
        "attempts": attempts,
        "succeeded": succeeded,
        "failed": {
            outcome: sum(second["failed"][outcome] for second in seconds) for outcome in ("timeout", "overload")
        },
        "unresolved": 0,
        "success": round(success, 6),
        "goodput_per_s": round(succeeded / len(seconds), 1),
        "amplification": round(attempts / offered, 4),
        "latency_s": {
            "p50": 0.019,
            "p90": 0.05,
            "p99": round(max(slow), 4) if slow else None,
            "p999": None,
            "mean": 0.025,
        },
        "latency_all_p99_s": round(max(slow), 4) if slow and success >= 0.99 else None,
        "wasted_share": round(sum(second["wasted_share"] for second in seconds) / len(seconds), 4),
        "utilisation": round(sum(sum(second["utilisation"].values()) / 3 for second in seconds) / len(seconds), 4),
    }


def _replay(
    change: str, reset_at_s: float | None, recovers: bool, recovered_at_s: float | None, verdict: str | None
) -> dict[str, Any]:
    """What one replay showed."""
    return {
        "change": change,
        "reset_at_s": reset_at_s,
        "recovers": recovers,
        "recovered_at_s": recovered_at_s,
        "verdict": verdict,
        "skipped": None,
    }


def storm_result() -> dict[str, Any]:
    """The whole result, as JSON has it."""
    seconds = [_second(t) for t in range(SECONDS)]

    def series(name: str) -> list[Any]:
        return [second[name] for second in seconds]

    def by_zone(name: str) -> dict[str, list[Any]]:
        return {zone: [second[name][zone] for second in seconds] for zone in ZONES}

    spans = {
        "before": (60, 300),
        "undetected": (300, 315),
        "detected": (315, 540),
        "spike": (540, 550),
        "after": (900, 1200),
    }
    segments = [
        {
            "name": name,
            "start_s": float(start),
            "end_s": float(end),
            **_phase(seconds[start:end]),
            "busiest_zone": {
                "zone": "a",
                "service": "web",
                "utilisation": max(max(second["utilisation"].values()) for second in seconds[start:end]),
            },
        }
        for name, (start, end) in spans.items()
    ]
    view_events = [
        {"t_s": 313.0 + i * 0.5, "source": "health.web", "what": f"web-c-{i + 1} unhealthy"} for i in range(4)
    ] + [{"t_s": 928.0 + i * 0.5, "source": "health.web", "what": f"web-c-{i + 1} healthy"} for i in range(4)]
    events = [
        {"t_s": 300.0, "source": "fault", "what": "zone c lost power"},
        {"t_s": 540.0, "source": "fault", "what": "traffic of shoppers x1.5"},
        {"t_s": 550.0, "source": "fault", "what": "traffic of shoppers x1.5 ended"},
        {"t_s": 900.0, "source": "fault", "what": "zone c has power again"},
        *view_events,
    ]
    faults = [
        {
            "id": "loss",
            "kind": "zone_loss",
            "what": "zone c power",
            "start_s": 300.0,
            "end_s": 900.0,
            "detected_s": 315.0,
            "returned_s": 930.0,
        },
        {
            "id": "spike",
            "kind": "traffic_spike",
            "what": "traffic of shoppers x1.5",
            "start_s": 540.0,
            "end_s": 550.0,
            "detected_s": None,
            "returned_s": None,
        },
    ]
    phases = {
        "before": _phase(seconds[60:300]),
        "during": _phase(seconds[300:900]),
        "after": _phase(seconds[900:]),
    }
    totals = _phase(seconds[60:])
    return {
        "azsim": "0.1.0",
        "scenario": "zone-loss-retry-storm",
        "digest": "3f1c" * 16,
        "seed": 1,
        "replicate": 0,
        "engine": "kernel",
        "verdict": "collapse",
        "metastable": True,
        "sustained_by": [
            {"mechanism": "retries off", "recovers": True, "recovered_at_s": 580.0},
            {"mechanism": "budget 10%", "recovers": True, "recovered_at_s": 584.0},
        ],
        "hypothesis": "falsified",
        "violations": [
            {**violation, "bound": bound, "worst": worst, "windows": 25, "excused": excused}
            for violation, bound, worst, excused in (
                ({"rule": "success", "first_s": 301, "last_s": 325}, ">= 99.9%", 0.96, True),
                ({"rule": "latency_p99", "first_s": 301, "last_s": 325}, "<= 500ms", None, True),
                ({"rule": "success", "first_s": 546, "last_s": 1200}, ">= 99.9%", 0.0, False),
                ({"rule": "latency_p99", "first_s": 546, "last_s": 1200}, "<= 500ms", None, False),
            )
        ],
        "deadlines": [
            {"t_s": 600.0, "fault": "loss", "since": "start", "level": "broken"},
            {"t_s": 850.0, "fault": "spike", "since": "end", "level": "broken"},
            {"t_s": 1200.0, "fault": "loss", "since": "end", "level": "broken"},
        ],
        "time_to_detect_s": 15.0,
        "time_to_recover_s": None,
        "aborted_at_s": None,
        "data_loss": None,
        "faults": faults,
        "phases": phases,
        "totals": totals,
        "services": {"web": {"sent": totals["attempts"], "wasted_share": totals["wasted_share"]}},
        "headroom": {"min": -0.35, "at_s": 540, "service": "web"},
        "segments": segments,
        "conclusions": [
            {"kind": "expected", "t_s": 300.0, "text": "zone c lost; a third of the attempts time out after 1 s"},
            {"kind": "detected", "t_s": 315.0, "text": "c out of rotation"},
            {"kind": "handled", "t_s": 316.0, "text": "success back to 100% at 90% busy"},
            {
                "kind": "dig-deeper",
                "t_s": 540.0,
                "text": "4320/s into 3200/s; the wait passes the timeout",
            },
            {"kind": "dig-deeper", "t_s": 900.0, "text": "c returns; still collapsed"},
        ],
        "replays": [
            _replay("reset, retries off", 1200.0, True, 1210.0, None),
            _replay("reset, retries on", 1200.0, True, 1210.0, None),
            _replay("retries off", None, True, 580.0, "degraded"),
            _replay("budget 10%", None, True, 584.0, "degraded"),
            _replay("health ejection off", None, False, None, "collapse"),
        ],
        "timeline": {
            "t_s": list(range(SECONDS)),
            **{
                name: series(name)
                for name in ("offered", "attempts", "succeeded", "timeouts", "latency_p50_s", "latency_p99_s")
            },
            "failed": [sum(second["failed"].values()) for second in seconds],
            "failed_by": {
                outcome: [second["failed"][outcome] for second in seconds] for outcome in ("timeout", "overload")
            },
            "services": {
                "web": {
                    "attempts": series("attempts"),
                    **{name: by_zone(name) for name in ("instances", "healthy_view", "utilisation", "queue")},
                    **{name: series(name) for name in ("fail_open", "wasted_share", "wasted_utilisation")},
                    "headroom": series("headroom"),
                }
            },
        },
        "events": sorted(events, key=lambda event: (event["t_s"], event["what"])),
        "wall_s": 2.1,
        "requests_per_wall_s": 1_650_000.0,
    }


def text() -> str:
    """The file's content."""
    return json.dumps(storm_result(), separators=(",", ":")) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(text(), encoding="utf-8")
