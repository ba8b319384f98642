"""When requests arrive: open-loop ones reckoned in batches (O5, D20, D31), closed-loop ones after a thought (D54)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import hot, part
from azsim.dataplane.codes import INFINITE, Kind
from azsim.dataplane.queues import schedule
from azsim.dataplane.state import BATCH, arrivals_of, np_int, populations_of, recorded_of, segments_of
from azsim.policy.arrivals import increment, integral, time_to
from azsim.policy.users import think_ns

_REQUEST_ARRIVAL = int(Kind.REQUEST_ARRIVAL)


@part
def _rate_at(a: Any, p: int, segment: int, t_ns: int) -> float:
    """A population's rate at t_ns by one of its segments, in units per ns."""
    population = populations_of(a)[p]
    s = segments_of(a)[population.segments_first + segment]
    return (s.rate + s.slope * float(t_ns - s.start_ns)) * population.factor


@part
def _slope(a: Any, p: int, segment: int) -> float:
    population = populations_of(a)[p]
    return segments_of(a)[population.segments_first + segment].slope * population.factor


@part
def _segment_end(a: Any, p: int, segment: int) -> int:
    population = populations_of(a)[p]
    if segment + 1 < population.segments_count:
        return segments_of(a)[population.segments_first + segment + 1].start_ns
    return INFINITE


@part
def rebase(a: Any, p: int) -> None:
    """Bring a population's breakpoint to now, by way of the segments' ends that have passed (O5, D20)."""
    population = populations_of(a)[p]
    _pass_segments(a, p)
    if population.base_ns < a.now_ns:
        rate = _rate_at(a, p, population.segment, population.base_ns)
        elapsed = a.now_ns - population.base_ns
        population.base_units += integral(elapsed, rate, _slope(a, p, population.segment))
        population.base_ns = a.now_ns


@part
def _pass_segments(a: Any, p: int) -> None:
    """Move a population's breakpoint over the ends of segments up to now."""
    population = populations_of(a)[p]
    end_ns = _segment_end(a, p, population.segment)
    while end_ns <= a.now_ns:
        rate = _rate_at(a, p, population.segment, population.base_ns)
        population.base_units += integral(end_ns - population.base_ns, rate, _slope(a, p, population.segment))
        population.base_ns = end_ns
        population.segment += 1
        end_ns = _segment_end(a, p, population.segment)


@part
def plan_arrivals(a: Any, p: int) -> None:
    """Reckon a population's next arrivals from its breakpoint, as far as its segment goes, at least one (O5, D31)."""
    population = populations_of(a)[p]
    arrivals = arrivals_of(a)
    if population.recorded_count > 0:
        _plan_recorded(a, p)
        return
    if population.segments_count > 1:
        _pass_segments(a, p)
    segment = np_int(population.segment)
    base_ns = np_int(population.base_ns)
    base_units = np_int(population.base_units)
    rate = _rate_at(a, p, segment, base_ns)
    slope = _slope(a, p, segment)
    longest = _segment_end(a, p, segment) - base_ns
    now_ns = a.now_ns
    key = a.key
    first = p * BATCH
    request = population.next_request
    for k in range(BATCH):
        arrivals[first + k].threshold = increment(key, request + k)
    threshold = np_int(population.threshold)
    batched = 0
    for k in range(BATCH):
        threshold += arrivals[first + k].threshold
        arrivals[first + k].threshold = threshold
        wait = time_to(threshold - base_units, rate, slope)
        if wait > longest or wait >= INFINITE:
            break
        arrivals[first + k].t_ns = max(base_ns + wait, now_ns)
        batched = k + 1
    population.upcoming = 0
    population.batched = batched
    if batched == 0:
        population.batched = 1
        arrivals[first].t_ns = _look_further(a, p, segment, arrivals[first].threshold)
    population.next_ns = arrivals[first].t_ns
    find_first_arrival(a)


@part
def _plan_recorded(a: Any, p: int) -> None:
    """Take a population's next arrivals from its trace (D55)."""
    population = populations_of(a)[p]
    arrivals = arrivals_of(a)
    recorded = recorded_of(a)
    first = p * BATCH
    done = population.next_request - (p << 44)
    batched = np_int(min(BATCH, population.recorded_count - done))
    for k in range(batched):
        arrivals[first + k].t_ns = recorded[population.recorded_first + done + k].t_ns
        arrivals[first + k].threshold = 0
    if batched == 0:
        arrivals[first].t_ns = INFINITE
        batched = 1
    population.upcoming = 0
    population.batched = batched
    population.next_ns = arrivals[first].t_ns
    find_first_arrival(a)


@part
def _look_further(a: Any, p: int, segment: int, threshold: int) -> int:
    """The time of an arrival past the end of the present segment."""
    population = populations_of(a)[p]
    base_ns = np_int(population.base_ns)
    units = threshold - population.base_units
    while True:
        rate = _rate_at(a, p, segment, base_ns)
        slope = _slope(a, p, segment)
        end_ns = _segment_end(a, p, segment)
        wait = time_to(units, rate, slope)
        if wait <= end_ns - base_ns and wait < INFINITE:
            return max(base_ns + wait, a.now_ns)
        if end_ns >= INFINITE:
            return INFINITE
        units -= integral(end_ns - base_ns, rate, slope)
        base_ns = end_ns
        segment += 1


@hot
def find_first_arrival(a: Any) -> None:
    """Set arrival_ns and arrival_population."""
    populations = populations_of(a)
    first = 0
    for q in range(1, a.populations_length):
        if populations[q].next_ns < populations[first].next_ns:
            first = q
    a.arrival_population = first
    a.arrival_ns = populations[first].next_ns


@part
def user_thinks(a: Any, p: int, before: int, rich: Any) -> None:
    """A user's request has ended: the next one follows after a thought (D54)."""
    population = populations_of(a)[p]
    if population.users > 0:
        request = before + population.users
        wait = think_ns(population.think, population.think_ns, a.key, request, a.epoch, False)
        schedule(a, a.now_ns + wait, _REQUEST_ARRIVAL, request, a.epoch, 0, p, 0, 0)
