"""A traffic population: when its requests arrive, and whose they are (D3, D20, D31)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from azsim.base.seeds import CLIENT, OPERATION, PLACE, key_hash
from azsim.dataplane.codes import INFINITE, Kind, Outcome
from azsim.dataplane.reference.call import Call
from azsim.dataplane.reference.clock import Clock, Key, Moment
from azsim.dataplane.reference.hop import Hop
from azsim.dataplane.reference.ledger import Ledger
from azsim.policy.arrivals import NEVER, increment, integral, time_to
from azsim.policy.distributions import index_below


class Breakpoint(NamedTuple):
    """Where the rate last changed: the integral there, in units, and the rate from there on."""

    t_ns: int
    units: int
    segment: int
    rate: float
    slope: float


class Population:
    """Clients of one kind, outside or in zones.

    segments: rows of its rate profile; places: rows of Plan.places; mix: rows of Plan.mix, from `mix_first` on.
    """

    def __init__(
        self,
        number: int,
        clients: int,
        segments: Sequence[Any],
        places: Sequence[Any],
        mix: Sequence[Any],
        mix_first: int,
        epoch: int,
        hop: Hop,
        clock: Clock,
        ledger: Ledger,
    ) -> None:
        self._in_flight: dict[int, tuple[Call, int]] = {}  # request -> its call, and the row in which it started
        self._number = number
        self._clients = clients
        self._segments = segments
        self._places = places
        self._mix = mix
        self._mix_first = mix_first
        self._epoch = epoch
        self._hop = hop
        self._clock = clock
        self._ledger = ledger
        self._factor = 1.0
        self._breakpoint = Breakpoint(0, 0, 0, segments[0].rate, segments[0].slope)
        self._request = number << 44  # the next one
        self._threshold = increment(hop.run_key, self._request)  # what the integral must reach for it: E
        self._next: Moment | None = None
        self._reckon()

    # When: the next arrival is where the integrated rate reaches the threshold.

    def _end_ns(self, segment: int) -> int:
        following = segment + 1
        return self._segments[following].start_ns if following < len(self._segments) else INFINITE

    def _break_at(self, t_ns: int, segment: int, before: Breakpoint) -> Breakpoint:
        row = self._segments[segment]
        units = before.units + integral(t_ns - before.t_ns, before.rate, before.slope)
        rate = self._factor * (row.rate + row.slope * float(t_ns - row.start_ns))
        return Breakpoint(t_ns, units, segment, rate, self._factor * row.slope)

    def _reach(self) -> tuple[int, Breakpoint]:
        """When the integrated rate reaches the threshold (NEVER if it does not), and the last breakpoint then."""
        base = self._breakpoint
        while True:
            end_ns = self._end_ns(base.segment)
            wait_ns = time_to(self._threshold - base.units, base.rate, base.slope)
            if wait_ns < NEVER and base.t_ns + wait_ns <= end_ns:
                return base.t_ns + wait_ns, base
            if end_ns >= INFINITE:
                return NEVER, base
            base = self._break_at(end_ns, base.segment + 1, base)

    def _reckon(self) -> None:
        """Schedule the next arrival, in place of one that may stand."""
        t_ns, base = self._reach()
        self._next = None
        if t_ns < NEVER:
            key = Key(self._request, self._epoch, 0)
            self._next = moment = self._clock.moment(max(t_ns, self._clock.now_ns), Kind.REQUEST_ARRIVAL, key)
            moment.callbacks.append(lambda _: self._arrive(moment, base))

    def set_factor(self, factor: float) -> None:
        """Multiply the profile by another factor from now on."""
        if factor == self._factor:
            return
        base, now_ns = self._breakpoint, self._clock.now_ns
        while self._end_ns(base.segment) <= now_ns:
            base = self._break_at(self._end_ns(base.segment), base.segment + 1, base)
        self._factor = factor
        self._breakpoint = self._break_at(now_ns, base.segment, base)
        self._reckon()

    # Whose: the client process, its place, and the request's life.

    def _arrive(self, moment: Moment, base: Breakpoint) -> None:
        if self._next is not moment:
            return  # a change of rate has moved it
        self._breakpoint = base
        self._start_request(self._request)
        self._request += 1
        self._threshold += increment(self._hop.run_key, self._request)
        self._reckon()

    def _start_request(self, request: int) -> None:
        key, start_ns, start_row = self._hop.run_key, self._clock.now_ns, self._ledger.row
        client = index_below(key_hash(key, request, self._epoch, 0, CLIENT), self._clients)
        draw = key_hash(key, request, self._epoch, 0, PLACE) >> 31
        place = next(row.place for row in self._places if draw < row.upto)
        self._ledger.request_started(self._number)

        mix = self._draw_operation(request)
        operation = self._hop.row.operation
        if mix is not None:
            operation = self._mix[mix].operation
            self._ledger.operation_asked(self._mix_first + mix)

        def ended(call: Call, outcome: Outcome) -> None:
            del self._in_flight[request]
            latency_ns = self._clock.now_ns - start_ns
            self._ledger.request_ended(self._number, start_row, outcome, latency_ns, call.degraded)
            if mix is not None and outcome is Outcome.OK:
                self._ledger.operation_succeeded(self._mix_first + mix, start_row, call.degraded)

        call = Call(self._hop, request, self._epoch, place, client, None, ended, operation)
        self._in_flight[request] = call, start_row

    def _draw_operation(self, request: int) -> int | None:
        """Which row of its mix a request is of, None: it has no mix (D42)."""
        if not self._mix:
            return None
        draw = key_hash(self._hop.run_key, request, self._epoch, 0, OPERATION) >> 31
        return next(number for number, row in enumerate(self._mix) if draw < row.upto)

    @property
    def calls(self) -> list[Call]:
        """Its requests in flight."""
        return [call for call, _ in self._in_flight.values()]

    def give_up(self) -> None:
        """Every request in flight is cancelled (D22)."""
        for call, start_row in self._in_flight.values():
            call.give_up()
            self._ledger.request_ended(self._number, start_row, Outcome.CANCELLED, 0)
        self._in_flight.clear()
