"""What scaling groups did in a run, in figures (S1, S3)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from azsim.base.units import SECOND_NS
from azsim.simulation.presence import instance_s
from azsim.simulation.trace import Trace

_TOLD_MOST: Final = 5


def services(trace: Trace, start_ns: int, end_ns: int) -> dict[str, dict[str, Any]]:
    """Of each service in a span: what its instances cost, in seconds that they existed, and how many came and went."""
    plan, scaling = trace.plan, trace.scaling
    seconds = instance_s(plan, scaling.absent, scaling.presence, start_ns, end_ns)
    found = {}
    for s, name in enumerate(plan.service_names):
        in_span = [
            exists
            for t_ns, instance, exists in scaling.presence
            if plan.instances["service"][instance] == s and start_ns <= t_ns < end_ns
        ]
        refused = [t_ns for group, t_ns, _ in scaling.refusals if _service(group) == name and start_ns <= t_ns < end_ns]
        found[name] = {
            "instance_s": seconds[s],
            "launched": sum(in_span),
            "stopped": len(in_span) - sum(in_span),
            "launches_refused": len(refused),
            "scaling": [
                change
                for group in trace.scaling.desired
                if _service(group) == name
                for change in _changes(trace, group)
            ],
        }
    return found


def _service(group: str) -> str:
    """The service of a group: a zone's own group is called `web.a`."""
    return group.partition(".")[0]


def desired(trace: Trace, seconds: int) -> dict[str, list[int]]:
    """Instances desired at the end of each second, by service that scales; all its groups together."""
    found: dict[str, list[int]] = {}
    for group, changes in trace.scaling.desired.items():
        total = found.setdefault(_service(group), [0] * seconds)
        later = [(t_ns, wanted) for t_ns, wanted, _ in changes]
        now = 0
        for second in range(seconds):
            while later and later[0][0] < (second + 1) * SECOND_NS:
                now = later.pop(0)[1]
            total[second] += now
    return found


def told(trace: Trace) -> Iterator[tuple[float, str, str]]:
    """What scaling did, as conclusions: (t_s, kind, text), for each group its first changes and refusals."""
    for group in trace.scaling.desired:
        for change in _changes(trace, group)[:_TOLD_MOST]:
            t_s, runs_s = change["t_s"], change["next_runs_s"]
            text = f"{group}: {change['desired']} instances desired instead of {change['before']} ({change['why']})"
            if change["desired"] > change["before"]:
                text += "; none comes" if runs_s is None else f"; the next one runs {runs_s - t_s:.0f} s later"
            yield t_s, "handled", text
        refused = [(t_ns, zone) for name, t_ns, zone in trace.scaling.refusals if name == group]
        if refused:
            zones = ", ".join(dict.fromkeys(trace.plan.zones[zone] for _, zone in refused))
            text = f"{group}: {len(refused)} launches are refused in zone {zones}"
            yield refused[0][0] / SECOND_NS, "dig-deeper", text


def _changes(trace: Trace, group: str) -> list[dict[str, Any]]:
    """What a group came to desire, why, and when the next instance ran."""
    runs_ns = [t_ns for t_ns, i, exists in trace.scaling.presence if exists and _is_of(trace, i, group)]
    found = []
    for (_, before, _), (t_ns, wanted, why) in pairwise(trace.scaling.desired[group]):
        first_ns = next((at_ns for at_ns in runs_ns if at_ns >= t_ns), None)
        found.append(
            {
                "group": group,
                "t_s": t_ns / SECOND_NS,
                "why": why,
                "before": before,
                "desired": wanted,
                "next_runs_s": None if first_ns is None else first_ns / SECOND_NS,
            }
        )
    return found


def _is_of(trace: Trace, instance: int, group: str) -> bool:
    service, _, zone = group.partition(".")
    plan = trace.plan
    return plan.service_names[plan.instances["service"][instance]] == service and (
        not zone or plan.zones[plan.instances["zone"][instance]] == zone
    )
