"""What a run tells, in sentences with figures, as a chaos experiment's card asks for it (J14).

Kinds: `expected` (what the experimenter did, and what that did to the requests), `detected`, `handled` (the level is
back), `automate` (a change that would have helped) and `dig-deeper` (what needs explaining, with what is known of it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from azsim.base.units import SECOND_NS
from azsim.dataplane.layout import ATTEMPTS, OFFERED, QUEUED, SENT, TIMEOUTS, UP
from azsim.simulation import scaled
from azsim.simulation.explained import ejected, ill_spread, proven, refilled, telling_first
from azsim.simulation.judging import span_block
from azsim.simulation.mechanisms import caller_timeout_ns, place_time_ns
from azsim.simulation.metrics import busiest_zone, capacity_cores, mean_work_ns, metrics
from azsim.simulation.segments import is_loss
from azsim.simulation.series import Block, Seconds
from azsim.simulation.trace import FaultSpan, Trace

AS_SEEN: Final[Mapping[str, str]] = {
    "timeout": "HTTP 504",
    "deadline": "HTTP 504 at the deadline",
    "overload": "HTTP 503",
    "no-target": "HTTP 503, no target",
    "error": "HTTP 500",
    "refused": "connection refused",
    "reset": "connection reset",
    "budget-exhausted": "given up, retry budget spent",
    "breaker-open": "given up, breaker open",
    "cancelled": "cancelled",
}
"""Failed requests as users see them."""

NEAR_MISS: Final = 0.1  # headroom below which a run that held was lucky
_KINDS: Final = ("expected", "detected", "handled", "dig-deeper", "automate")

Said = tuple[float, str, str]
"""(t_s, kind, text)"""


def conclude(facts: Mapping[str, Any], trace: Trace, seconds: Seconds) -> list[dict[str, Any]]:
    """The conclusions of a result (its fields, by name), by time."""
    teller = _Teller(facts, trace, seconds)
    said = [
        *teller.faults(),
        *scaled.told(trace),
        *teller.recoveries(),
        *teller.wait(),
        *teller.verdict(),
        *teller.margin(),
    ]
    said.sort(key=lambda one: (one[0], _KINDS.index(one[1])))
    return [{"kind": kind, "t_s": t_s, "text": text} for t_s, kind, text in said]


def failures(measured: Mapping[str, Any]) -> str:
    """How many requests of a span failed, and how their users saw it: `2.1% of requests fail (HTTP 504)`."""
    by_outcome: dict[str, int] = measured["failed"]
    ended = measured["succeeded"] + sum(by_outcome.values())
    if not ended:
        return "no request ends"
    if not by_outcome:
        return "no request fails"
    shares = sorted(((count / ended, outcome) for outcome, count in by_outcome.items()), reverse=True)
    if len(shares) == 1:
        return f"{_percent(shares[0][0])} of requests fail ({AS_SEEN[shares[0][1]]})"
    named = ", ".join(f"{AS_SEEN[outcome]} {_percent(share)}" for share, outcome in shares[:3])
    return f"{_percent(sum(share for share, _ in shares))} of requests fail ({named})"


@dataclass(frozen=True, slots=True)
class _Scarcity:
    """What arrives at a service and what it can serve, attempts per second each.

    `first_per_s`: what of that no retry has made, where that is known.
    """

    service: str
    arriving_per_s: float
    first_per_s: float | None
    served_per_s: float

    def __str__(self) -> str:
        first = ""
        if self.first_per_s is not None and self.first_per_s < 0.99 * self.arriving_per_s:
            first = f" ({_rate(self.first_per_s)} without retries)"
        return (
            f"{_rate(self.arriving_per_s)} arrive at {self.service}{first}, which can serve {_rate(self.served_per_s)}"
        )


class _Teller:
    """One result and the trace it was made from."""

    def __init__(self, facts: Mapping[str, Any], trace: Trace, seconds: Seconds) -> None:
        self.facts = facts
        self.trace = trace
        self.plan = trace.plan
        self.seconds = seconds
        self.level = [one for one in facts["violations"] if "excused" in one]

    def span(self, start_s: float, end_s: float) -> Block:
        return span_block(self.trace, round(start_s * SECOND_NS), round(end_s * SECOND_NS))

    def until_next_cut(self, t_s: float) -> Block:
        """From an instant to the end of the segment it lies in."""
        ends = (segment["end_s"] for segment in self.facts["segments"] if segment["end_s"] > t_s)
        return self.span(t_s, next(ends, self.trace.end_ns / SECOND_NS))

    def broken_at(self, t_s: float) -> bool:
        """Whether the window that ends at the next whole second is broken."""
        return any(one["first_s"] <= t_s + 1 and t_s + 1 <= one["last_s"] for one in self.level)

    def faults(self) -> Iterator[Said]:
        for fault, told in zip(self.trace.faults, self.facts["faults"], strict=True):
            span = self.until_next_cut(told["start_s"])
            yield told["start_s"], "expected", f"{fault.what}: {self.effect(span)}"
            if fault.end_ns is not None:
                state = "still broken" if self.broken_at(told["end_s"]) else "the level holds"
                yield told["end_s"], "expected", f"{fault.what} ends; {state}"
            if is_loss(fault):
                yield self.detection(fault, told)
        if self.trace.aborted_at_ns is not None:
            yield self.trace.aborted_at_ns / SECOND_NS, "detected", "an abort condition is met: all faults end"

    def effect(self, span: Block) -> str:
        """What a span of a fault does to requests, attempts and the service that is shortest of capacity."""
        said = []
        attempts, timeouts = span.total(ATTEMPTS), span.total(TIMEOUTS)
        if timeouts > 0.005 * attempts:
            said.append(f"{_percent(timeouts / attempts)} of attempts time out")
        said.append(failures(metrics(self.plan, span)))
        short = self.scarcest(span)
        if short.arriving_per_s > short.served_per_s:
            said.append(str(short))
        return "; ".join(said)

    def scarcest(self, span: Block) -> _Scarcity:
        """The service with the least to spare."""
        seconds = max(1e-9, (span.end_ns - span.start_ns) / SECOND_NS)
        first = span.start_ns // SECOND_NS
        last = max(first + 1, -(-span.end_ns // SECOND_NS))
        cores = capacity_cores(self.plan, self.seconds)[first:last].mean(axis=0)
        served = cores / mean_work_ns(self.plan) * SECOND_NS
        sent = span.services[:, SENT] / seconds
        s = int(np.argmax(sent / np.maximum(served, 1e-9)))
        # What services call has no count of its own that leaves retries out.
        callers = self.plan.hops["caller"][self.plan.hops["service"] == s]
        offered = span.populations[self.plan.hops["service"][self.plan.populations["hop"]] == s, OFFERED].sum()
        first_per_s = None if (callers >= 0).any() else float(offered) / seconds
        return _Scarcity(self.plan.service_names[s], float(sent[s]), first_per_s, float(served[s]))

    def detection(self, fault: FaultSpan, told: Mapping[str, Any]) -> Said:
        """When balancers reacted to a loss, or that they did not and why."""
        services = self.plan.instances["service"][list(fault.instances)]
        if told["detected_s"] is None:
            checked = self.plan.services["health"][services].any() if len(services) else False
            why = "before it ended" if fault.end_ns is not None else "before the run ended"
            text = f"{fault.what} was not detected {why}" if checked else f"{fault.what}: nothing checks health there"
            return told["start_s"], "dig-deeper", text
        end_ns = self.trace.end_ns if fault.end_ns is None else fault.end_ns
        out = [i for t, i, healthy in self.trace.view_changes if not healthy and fault.start_ns <= t <= end_ns]
        gone = len(set(out) & set(fault.instances))
        after_s = told["detected_s"] - told["start_s"]
        many = len(fault.instances)
        which = f"the first of {many} instances" if many > 1 else "the instance"
        others = f"; {'all' if gone == many else gone} out before it ends" if many > 1 else ""
        return told["detected_s"], "detected", f"{which} out of rotation after {_time(after_s)}{others}"

    def recoveries(self) -> Iterator[Said]:
        """The ends of what broke the level, while the run still went on."""
        end_s = self.trace.end_ns / SECOND_NS
        ends = {one["last_s"] for one in self.level}
        for t_s in sorted(ends):
            if t_s + 1 > end_s or self.broken_at(t_s) or not self.trace.faults:
                continue
            span = self.until_next_cut(t_s)
            measured, busiest = metrics(self.plan, span), busiest_zone(self.plan, span)
            if measured["success"] is None or busiest["utilisation"] is None:
                continue
            busy = f"zone {busiest['zone']} of {busiest['service']} {_percent(busiest['utilisation'])} busy"
            yield float(t_s), "handled", f"the level is back: success {_percent(measured['success'])}, {busy}"
        if self.facts["verdict"] in ("no-impact", "improved") and self.trace.faults:
            worst = self.facts["phases"]["during"]
            told = f": {failures(worst)} while the faults last" if worst is not None else ""
            yield self.trace.faults[-1].start_ns / SECOND_NS, "handled", f"the level holds throughout{told}"

    def wait(self) -> Iterator[Said]:
        """The first second after a fault in which the queue before an instance is longer than its caller waits."""
        if not self.level or not self.trace.faults:
            return
        first = int(self.trace.faults[0].start_ns // SECOND_NS)
        for s, name in enumerate(self.plan.service_names):
            timeout_ns = caller_timeout_ns(self.plan, s)
            of_service = self.plan.instances[self.plan.instances["service"] == s]
            if timeout_ns is None or not len(of_service):
                continue
            place_ns = place_time_ns(self.plan, s, int(of_service[0]["slots"]), float(of_service[0]["cores"]))
            queued, up = self.seconds.zones[:, s, :, QUEUED], np.maximum(1, self.seconds.zones[:, s, :, UP])
            waits_ns = (queued / up).max(axis=1) * place_ns
            late = np.flatnonzero(waits_ns[first:] > timeout_ns)
            if len(late):
                longest_ns = float(waits_ns[first:].max())
                yield (
                    float(first + int(late[0]) + 1),
                    "dig-deeper",
                    f"the wait at {name} passes its caller's timeout of {_time(timeout_ns / SECOND_NS)}; "
                    f"it grows to {_time(longest_ns / SECOND_NS)}",
                )

    def verdict(self) -> Iterator[Said]:
        """What the verdict rests on, and what would have changed it."""
        facts, end_s = self.facts, self.trace.end_ns / SECOND_NS
        broken = [one for one in facts["deadlines"] if one["level"] == "broken"]
        if facts["verdict"] == "invalid":
            first = min(one["first_s"] for one in self.level)
            yield float(first), "dig-deeper", "the level is broken before any fault: the experiment says nothing"
        elif facts["verdict"] == "undecided":
            last = max(one["t_s"] for one in facts["deadlines"] if one["level"] == "unjudged")
            yield (
                end_s,
                "dig-deeper",
                f"the run ends before it shows how the deadline at {_clock(last)} is met: a longer one does",
            )
        elif facts["verdict"] == "collapse":
            how = "emptied once"
            if ejected(facts["replays"]):
                how += " and with all in rotation"
            elif refilled(facts["replays"]):
                how += " and with its caches as they were at the start"
            shown = proven(facts["replays"])
            reset = f"{how}, the same load is served" if shown else "whether capacity was enough is not shown"
            again = ", with retries as they are: two states under one load" if facts["metastable"] else ""
            yield broken[-1]["t_s"], "dig-deeper", f"still broken at the deadline; {reset}{again}"
        elif facts["verdict"] == "outage":
            short = self.scarcest(self.until_next_cut(max(0.0, broken[-1]["t_s"] - 1)))
            spread = ill_spread(facts["verdict"], facts["deadlines"], facts["timeline_lists"])
            where = "" if spread is None else f"; a zone of {spread} is full while another is not"
            yield (
                broken[-1]["t_s"],
                "dig-deeper",
                f"still broken at the deadline, even emptied once and with retries off{where}; {short}",
            )
        for relapse in (one for one in facts["deadlines"] if one["since"] == "relapse"):
            began_s = relapse["t_s"] - self.trace.scenario.hypothesis.recover_within / SECOND_NS
            yield began_s, "dig-deeper", "the level breaks by itself, away from every fault"
        for cure in telling_first(facts["sustained_by"], facts["replays"])[:1]:
            when = cure["recovered_at_s"]
            ends = "the level is never broken" if when is None else f"the same run recovers at {_clock(when)}"
            yield (when if when is not None else 0.0), "automate", f"with {cure['mechanism']} {ends}"
        yield from self.blind_time()

    def blind_time(self) -> Iterator[Said]:
        """How much of a broken level is the time until somebody noticed."""
        detect_s = self.facts["time_to_detect_s"]
        blind = next((one for one in self.facts["segments"] if one["name"] == "undetected"), None)
        if self.facts["verdict"] != "degraded" or detect_s is None or blind is None:
            return
        lost = sum(sum(one["failed"].values()) for one in self.facts["segments"])
        unseen = sum(blind["failed"].values())
        if lost and unseen / lost > 0.5:
            text = f"{_percent(unseen / lost)} of all failed requests started in the {_time(detect_s)} before detection"
            yield blind["end_s"], "automate", f"{text}: faster checks, or a shift of traffic"

    def margin(self) -> Iterator[Said]:
        """A level that held with little to spare."""
        least = self.facts["headroom"]
        held = self.facts["verdict"] in ("no-impact", "improved", "degraded")
        if held and least["min"] is not None and least["min"] < NEAR_MISS and not self.broken_at(least["at_s"] - 1):
            spare = f"only {_percent(least['min'])} of {least['service']}'s capacity to spare"
            over = f"{1 - least['min']:.1f} times the work that {least['service']} can do arrives"
            yield float(least["at_s"]), "dig-deeper", f"near miss: {spare if least['min'] > 0 else over}"


def _percent(share: float) -> str:
    """Two digits, more where rounding would claim all or nothing."""
    percent = 100 * share
    for decimals in (0, 1, 2, 3):
        text = f"{percent:.{decimals}f}"
        shown = float(text)
        if (shown not in (0.0, 100.0) and (decimals or abs(percent) >= 9.5)) or percent in (0.0, 100.0):
            return f"{text}%"
    return "under 0.001%" if percent < 50 else "over 99.999%"


def _rate(rate_per_s: float) -> str:
    return f"{rate_per_s:.0f}/s" if rate_per_s >= 99.5 else f"{rate_per_s:.1f}/s"


def _clock(t_s: float) -> str:
    """An instant: `09:40`, as the card has it."""
    minutes, seconds = divmod(int(t_s), 60)
    return f"{minutes:02d}:{seconds:02d}"


def _time(duration_s: float) -> str:
    if duration_s < 0.9995:
        return f"{duration_s * 1000:.0f} ms"
    return f"{duration_s:.1f} s".replace(".0 s", " s") if duration_s < 100 else f"{duration_s:.0f} s"
