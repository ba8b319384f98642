"""Health sensing of one target from outside (D18, H1, H2)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import simpy

from azsim.base.seeds import PHASE, key_hash
from azsim.dataplane.codes import INFINITE, Kind, Outcome
from azsim.dataplane.reference.clock import Clock, Key
from azsim.dataplane.reference.network import Dispatch, Host, Network
from azsim.policy.distributions import unit
from azsim.policy.thresholds import (
    NEW,
    NOT_PROBED,
    PROBED,
    enough_hold_it_healthy,
    healthy_after_streak,
    passes_needed,
    probing_after,
    streak_after,
)


class Panel:
    """The independent checkers of one target, and what they hold of it together (D107).

    `checkers` are to be added once made: each tells its opinion to the panel.
    """

    def __init__(self, service: Any, flipped: Callable[[Host, bool], None]) -> None:
        self.checkers: list[Prober] = []
        self._service = service
        self._flipped = flipped
        self._say_so: int = service.checkers  # how many hold it healthy
        self._healthy = True

    def opinion(self, target: Host, healthy: bool) -> None:
        """One of them has changed its mind."""
        self._say_so += 1 if healthy else -1
        together = enough_hold_it_healthy(self._say_so, self._service.checkers, self._service.checkers_need)
        if together != self._healthy:
            self._healthy = together
            self._flipped(target, together)

    def set_probing(self, on: bool) -> None:
        """Begin or cease to probe; who begins knows nothing of the target yet (D69)."""
        for checker in self.checkers:
            if checker.set_probing(on):
                self._say_so, self._healthy = 0, False


class Prober:
    """Sends probes to one target and keeps its sensed health; `flipped(target, healthy)` hears when that changes.

    service: row of Plan.services; outside: the place it sends from; number: which of the target's checkers it is.
    """

    host = None  # it runs on no instance

    def __init__(
        self,
        run_key: int,
        target: Host,
        service: Any,
        outside: int,
        clock: Clock,
        network: Network,
        flipped: Callable[[Host, bool], None],
        check_passed: Callable[[Host], None],
        number: int = 0,
    ) -> None:
        if not service.after_answer and service.probe_timeout_ns > service.interval_ns:
            raise ValueError("a fixed beat of probes needs a timeout of at most the interval")  # D30
        self._run_key = run_key
        self._target = target
        self._service = service
        self._outside = outside
        self._clock = clock
        self._network = network
        self._flipped = flipped
        self._check_passed = check_passed
        self._number = number
        self._healthy = True
        self._streak = 0
        self._probing = PROBED
        self._probes = 0
        self._in_flight: Dispatch | None = None
        self._settled = clock.event()
        clock.process(self._run())

    def _run(self) -> Generator[simpy.Event, Any, None]:
        service = self._service
        t_ns = self._first_ns()
        while True:
            self._probes += 1
            key = Key(-(self._target.number + 1), self._number, 16 * self._probes)
            yield self._clock.moment(t_ns, Kind.PROBE_SEND, key)
            if self._probing != NOT_PROBED:
                self._send(key)
                if service.after_answer:
                    yield self._settled
                    t_ns = self._clock.now_ns
            t_ns += service.interval_ns

    def _first_ns(self) -> int:
        if self._service.phase_ns >= 0:
            return int(self._service.phase_ns)
        bits = key_hash(self._run_key, -(self._target.number + 1), self._number, 0, PHASE)
        return int(unit(bits) * float(self._service.interval_ns))

    def _send(self, key: Key) -> None:
        expiry_ns = self._clock.now_ns + self._service.probe_timeout_ns
        probe = Dispatch(key, self, self._target, self._outside, expiry_ns, is_probe=True)
        self._in_flight = probe
        self._clock.at(expiry_ns, Kind.PROBE_TIMEOUT, key, lambda: self._time_out(probe))
        self._network.send(probe, connect_timeout_ns=INFINITE)

    def lost(self, dispatch: Dispatch) -> None:
        """Nobody is told: the probe's timeout will show it (D6)."""

    def awaits(self, dispatch: Dispatch) -> bool:
        """Whether this is the probe in flight."""
        return self._in_flight is dispatch

    def answered(self, dispatch: Dispatch, outcome: Outcome) -> None:
        """A probe fails on any answer but ok."""
        self._judge(outcome is Outcome.OK)

    def _time_out(self, probe: Dispatch) -> None:
        if self._in_flight is probe:
            self._judge(False)

    def _judge(self, passed: bool) -> None:
        service = self._service
        self._end_probe()
        if passed:
            self._check_passed(self._target)
        self._streak = streak_after(self._streak, passed)
        passes = passes_needed(self._probing, service.healthy_after)
        healthy = healthy_after_streak(self._healthy, self._streak, service.unhealthy_after, passes)
        self._probing = probing_after(self._probing, self._streak, service.unhealthy_after)
        if healthy != self._healthy:
            self._healthy = healthy
            self._flipped(self._target, healthy)

    def set_probing(self, on: bool) -> bool:
        """The same of one checker; whether that is news."""
        if on == (self._probing != NOT_PROBED):
            return False
        if not on:
            self.drop_probe()
        self._probing = NEW if on else NOT_PROBED
        self._healthy, self._streak = False, 0
        return True

    def _end_probe(self) -> None:
        self._in_flight = None
        settled, self._settled = self._settled, self._clock.event()
        settled.succeed()

    def drop_probe(self) -> None:
        """Forget the probe in flight: it counts as neither (D22, D30)."""
        if self._in_flight is not None:
            self._end_probe()
