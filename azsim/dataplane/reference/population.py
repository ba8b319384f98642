"""A traffic population: when its requests arrive, and whose they are (D3, D20, D31, D54, D55)."""

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
from azsim.policy.users import think_ns


class Breakpoint(NamedTuple):
    """Where the rate last changed: the integral there, in units, and the rate from there on."""

    t_ns: int
    units: int
    segment: int
    rate: float
    slope: float


class Population:
    """Clients of one kind, outside or in zones.

    row: its row of Plan.populations; places, mix: its rows of Plan.places and Plan.mix. How its requests come is a
    subclass's own.
    """

    def __init__(
        self,
        number: int,
        row: Any,
        places: Sequence[Any],
        mix: Sequence[Any],
        epoch: int,
        hop: Hop,
        clock: Clock,
        ledger: Ledger,
    ) -> None:
        self._in_flight: dict[int, tuple[Call, int]] = {}  # request -> its call, and the row in which it started
        self._number = number
        self._clients: int = row.clients
        self._places = places
        self._mix = mix
        self._mix_first: int = row.mix_first
        self._epoch = epoch
        self._hop = hop
        self._clock = clock
        self._ledger = ledger
        self._first_request = number << 44

    def set_factor(self, factor: float) -> None:
        """Multiply its rate, if it has one."""

    def _ended(self, request: int) -> None:
        """A request has its outcome."""

    # Whose: the client process, its place, and the request's life.

    def _start_request(self, request: int, home: int) -> None:
        """`home`: the request that client process and place are drawn for."""
        key, start_ns, start_row = self._hop.run_key, self._clock.now_ns, self._ledger.row
        client = index_below(key_hash(key, home, self._epoch, 0, CLIENT), self._clients)
        draw = key_hash(key, home, self._epoch, 0, PLACE) >> 31
        place = next(row.place for row in self._places if draw < row.upto)
        self._ledger.request_started(self._number)

        mix = self._asks(request)
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
            self._ended(request)

        call = Call(self._hop, request, self._epoch, place, client, None, ended, operation)
        self._in_flight[request] = call, start_row

    def _asks(self, request: int) -> int | None:
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
        given_up, self._in_flight = self._in_flight, {}
        for request, (call, start_row) in given_up.items():
            call.give_up()
            self._ledger.request_ended(self._number, start_row, Outcome.CANCELLED, 0)
            self._ended(request)


class OpenLoop(Population):
    """Requests come by a rate, whatever becomes of them. segments: rows of its rate profile."""

    def __init__(self, segments: Sequence[Any], *of_all: Any) -> None:
        super().__init__(*of_all)
        self._segments = segments
        self._factor = 1.0
        self._breakpoint = Breakpoint(0, 0, 0, segments[0].rate, segments[0].slope)
        self._request = self._first_request  # the next one
        self._threshold = increment(self._hop.run_key, self._request)  # what the integral must reach for it: E
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

    def _arrive(self, moment: Moment, base: Breakpoint) -> None:
        if self._next is not moment:
            return  # a change of rate has moved it
        self._breakpoint = base
        self._start_request(self._request, self._request)
        self._request += 1
        self._threshold += increment(self._hop.run_key, self._request)
        self._reckon()


class Recorded(Population):
    """Requests come exactly when a trace says, and ask for what it says, if it does (D55).

    arrivals: ascending times, each with a row of its mix or -1.
    """

    def __init__(self, arrivals: Sequence[tuple[int, int]], *of_all: Any) -> None:
        super().__init__(*of_all)
        self._arrivals = arrivals
        self._await(0)

    def _asks(self, request: int) -> int | None:
        _, mix = self._arrivals[request - self._first_request]
        return mix if mix >= 0 else super()._asks(request)

    def _await(self, k: int) -> None:
        if k < len(self._arrivals):
            key = Key(self._first_request + k, self._epoch, 0)
            self._clock.at(self._arrivals[k][0], Kind.REQUEST_ARRIVAL, key, lambda: self._arrive(k))

    def _arrive(self, k: int) -> None:
        request = self._first_request + k
        self._start_request(request, request)
        self._await(k + 1)


class Users(Population):
    """Each user thinks, asks, waits for the outcome, and thinks again (D54)."""

    def __init__(self, number: int, row: Any, *of_all: Any) -> None:
        super().__init__(number, row, *of_all)
        self._row = row
        for user in range(row.users):
            self._think(self._first_request + user, first=True)

    def _think(self, request: int, first: bool) -> None:
        """Let a request follow after a thought."""
        wait_ns = think_ns(self._row.think, self._row.think_ns, self._hop.run_key, request, self._epoch, first)
        home = self._first_request + (request - self._first_request) % self._row.users
        key = Key(request, self._epoch, 0)
        arrival_ns = self._clock.now_ns + wait_ns
        self._clock.at(arrival_ns, Kind.REQUEST_ARRIVAL, key, lambda: self._start_request(request, home))

    def _ended(self, request: int) -> None:
        self._think(request + self._row.users, first=False)
