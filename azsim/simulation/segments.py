"""Into which spans a run is cut: phases (J1), and segments, the columns of its card (J12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from azsim.simulation.trace import FaultSpan

SEGMENTS_MAX: Final = 6
SHORT_KINDS: Final[Mapping[str, str]] = {
    "zone_loss": "zone loss",
    "cpu_stress": "stress",
    "traffic_spike": "spike",
    "error_rate": "errors",
}
_LOSSES: Final = ("zone_loss", "crash", "pause")


@dataclass(frozen=True, slots=True)
class Segment:
    """A named span of a run."""

    name: str
    start_ns: int
    end_ns: int


def phases(faults: Sequence[FaultSpan], warmup_ns: int, end_ns: int) -> dict[str, tuple[int, int] | None]:
    """`before`, `during` and `after` as (start, end) in ns; None where there is no such time (J1)."""
    first_ns = min((fault.start_ns for fault in faults), default=end_ns)
    last_ns = max((end_ns if fault.end_ns is None else fault.end_ns for fault in faults), default=end_ns)
    spans = {
        "before": (warmup_ns, first_ns),
        "during": (max(first_ns, warmup_ns), last_ns),
        "after": (max(last_ns, warmup_ns), end_ns),
    }
    return {name: span if span[0] < span[1] else None for name, span in spans.items()}


def detected_ns(
    fault: FaultSpan, view_changes: Sequence[tuple[int, int, bool]], propagation_ns: Mapping[int, int]
) -> int | None:
    """The first view change that a fault causes: an instance it acts on leaves rotation, sensed at the latest when
    the fault ends. `propagation_ns`: by instance, from sensing to the view (J11).
    """
    for t_ns, instance, healthy in view_changes:
        if healthy or instance not in fault.instances or t_ns < fault.start_ns:
            continue
        if fault.end_ns is None or t_ns - propagation_ns[instance] <= fault.end_ns:
            return t_ns
    return None


def returned_ns(fault: FaultSpan, view_changes: Sequence[tuple[int, int, bool]]) -> int | None:
    """When the last instance that was out of rotation as a loss ended is back in it; None where there is none such,
    or one of them stays out.
    """
    if fault.end_ns is None or not is_loss(fault):
        return None
    out: set[int] = set()
    for t_ns, instance, healthy in view_changes:
        if t_ns > fault.end_ns and not out:
            break
        if instance in fault.instances and healthy:
            out.discard(instance)
            if t_ns > fault.end_ns and not out:
                return t_ns
        elif instance in fault.instances and t_ns <= fault.end_ns:
            out.add(instance)
    return None


def watched(faults: Sequence[FaultSpan]) -> FaultSpan | None:
    """The fault whose detection counts: the first that takes a zone or instances, else the first that acts on any."""
    acting = [fault for fault in faults if fault.instances]
    return next((fault for fault in acting if fault.kind in _LOSSES), acting[0] if acting else None)


def is_loss(fault: FaultSpan) -> bool:
    """Whether a fault takes a zone or instances away, so that a balancer should notice."""
    return fault.kind in _LOSSES


def short(fault: FaultSpan) -> str:
    """A fault's kind in a word: `spike`."""
    return SHORT_KINDS.get(fault.kind, fault.kind.replace("_", " "))


def segments(faults: Sequence[FaultSpan], detected: int | None, warmup_ns: int, end_ns: int) -> list[Segment]:
    """The run from warm-up to end, cut at fault edges and at the detection (ns) of the watched fault; six at most."""
    cuts = {fault.start_ns for fault in faults} | {fault.end_ns for fault in faults if fault.end_ns is not None}
    if detected is not None:
        cuts.add(detected)
    inside = [warmup_ns, *sorted(cut for cut in cuts if warmup_ns < cut < end_ns), end_ns]
    main = watched(faults)
    found: list[Segment] = []
    for start, end in pairwise(inside):
        name = _name(faults, main, detected, start)
        if found and found[-1].name == name:
            found[-1] = replace(found[-1], end_ns=end)
        elif start < end:
            found.append(Segment(name, start, end))
    return _at_most(found, SEGMENTS_MAX)


def _name(faults: Sequence[FaultSpan], main: FaultSpan | None, detected: int | None, t_ns: int) -> str:
    """What is going on from an instant on at which nothing starts or ends."""
    ended = [fault for fault in faults if fault.end_ns is not None and fault.end_ns <= t_ns]
    active = [fault for fault in faults if fault.start_ns <= t_ns and fault not in ended]
    if not active:
        if len(ended) == len(faults) and faults:
            return "after"
        return "between" if ended else "before"
    newest = max(active, key=lambda fault: fault.start_ns)
    if newest is not main:
        return short(newest)
    before = [fault for fault in ended if fault.end_ns is not None and fault.end_ns > newest.start_ns]
    if before:
        return f"after {short(max(before, key=lambda fault: fault.end_ns or 0))}"
    if detected is not None and t_ns >= detected:
        return "detected"
    return "undetected" if detected is not None or is_loss(newest) else short(newest)


def _at_most(found: list[Segment], most: int) -> list[Segment]:
    """Join the shortest inner segment with its shorter inner neighbour, until there are few enough."""
    found = list(found)
    while len(found) > most:
        inner = range(1, len(found) - 1)
        i = min(inner, key=lambda k: (found[k].end_ns - found[k].start_ns, k))
        neighbours = [k for k in (i - 1, i + 1) if k in inner]
        j = min(neighbours, key=lambda k: (found[k].end_ns - found[k].start_ns, k))
        first, second = sorted((i, j))
        longer = max(found[first], found[second], key=lambda segment: segment.end_ns - segment.start_ns)
        found[first : second + 1] = [Segment(longer.name, found[first].start_ns, found[second].end_ns)]
    return found
