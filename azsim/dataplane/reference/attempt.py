"""An attempt: one try of a call, its dispatches, and the timers that may end it (D4-D6, D12, D13)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE, InstanceState, Kind, Outcome
from azsim.dataplane.reference.clock import Key
from azsim.dataplane.reference.connections import Connection, Pool
from azsim.dataplane.reference.hop import Hop
from azsim.dataplane.reference.network import Dispatch, Host
from azsim.dataplane.reference.proxy import Proxy


class Caller(Protocol):
    """The call that an attempt is made for."""

    hop: Hop
    request: int
    path: int
    place: int
    client: int
    host: Host | None
    operation: int
    zone: int | None
    start_row: int
    deadline_ns: int
    tried: Host | None
    degraded: bool
    answered_in: int

    def attempt_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt that was in flight has its outcome."""

    def timer(self, t_ns: int, kind: Kind, key: Key, stands: Callable[[], bool], act: Callable[[], None]) -> None:
        """Let something happen at t_ns if it still stands then."""


class Attempt:
    """Attempt `number` (from 1) of a call; `is_hedge`: it was made while another was open.

    `dispatch` is the one that the caller waits for, None while it waits in a proxy; `open` says whether the caller
    waits for the attempt at all; `period` is what the caller's breaker gave it, None: it was kept back.
    """

    def __init__(self, call: Caller, number: int, is_hedge: bool) -> None:
        self.number = number
        self.is_hedge = is_hedge
        self.open = False
        self.dispatch: Dispatch | None = None
        self.period: int | None = None
        self.sent_ns = call.hop.clock.now_ns
        self.host = call.host
        self._call = call
        self._hop = call.hop
        self._clock = call.hop.clock
        self._ledger = call.hop.ledger
        self._excluded: Host | None = None  # by its first dispatch, if there is another target
        self._expiry_ns = min(self.sent_ns + call.hop.row.timeout_ns, call.deadline_ns)
        self._dispatched_ns = 0
        self._proxy: Proxy | None = None
        self._life = 0  # its proxy's when it came there
        self._connection: Connection | None = None  # of its current dispatch
        self._awaits_of: Pool | None = None  # where it waits for one

    def _key(self, dispatch: int) -> Key:
        return Key(self._call.request, self._call.path, 16 * self.number + dispatch)

    # Sending: the caller, then the balancer.

    def send(self, excluded: Host | None) -> Outcome | None:
        """Send it, or let it wait in its proxy (D4).

        Its outcome if it has one at once: it is refused (D63, D67), or there is no target or no place for it.
        """
        hop, call = self._hop, self._call
        self._ledger.attempt_made(hop.number)
        guard = hop.guards[call.client]
        self.period = guard.breaker.let_through()
        if self.period is None:
            return Outcome.BREAKER_OPEN
        refusal = guard.refusal(self._key(0))
        if refusal is not None:
            return refusal
        self._ledger.attempt_sent(hop.row.service, hop.row.population, call.start_row)
        self._excluded = excluded
        zone = call.zone if hop.name is None else self._zone_of_node()
        self._proxy = proxy = None if hop.name is not None and zone is None else self._proxy_in(zone)
        self._life = 0 if proxy is None else proxy.life
        self.open = True
        if hop.name is not None and (zone is None or not self._connects(zone)):
            refused = self._unconnected(zone)
        elif proxy is None or not proxy.works:
            refused = self._pass_on()
        else:
            done_ns = proxy.done_ns(proxy.work_for(self._key(0)))
            refused = Outcome.OVERLOAD if done_ns is None else None
            if done_ns is not None:
                self._timer(done_ns, Kind.ROUTED, self._routed)
        if refused is not None:
            self.open = False
        elif self._expiry_ns < INFINITE:
            self._timer(self._expiry_ns, Kind.TIMEOUT, self._time_out)
        return refused

    def _zone_of_node(self) -> int | None:
        """The zone whose node a zonal balancer's attempt goes to; None: its name does not resolve (D112)."""
        call = self._call
        return call.zone if call.zone is not None else self._hop.zone_for(call.client, call.place, self._key(0))

    def _proxy_in(self, zone: int | None) -> Proxy | None:
        return self._hop.proxy_of(self._call.client, self._key(0), zone if self._hop.name is not None else None)

    def _connects(self, zone: int) -> bool:
        network = self._hop.network
        reached = network.reaches(self._call.place, zone, self._hop.row.connect_timeout_ns)
        return reached and network.nodes[zone] is InstanceState.UP

    def _unconnected(self, zone: int | None) -> Outcome | None:
        """No node takes it: there is no address, or the node refuses, or does not answer (D111)."""
        if zone is None:
            return Outcome.NO_TARGET
        connect_timeout_ns = self._hop.row.connect_timeout_ns
        if self._hop.network.reaches(self._call.place, zone, connect_timeout_ns):
            return Outcome.REFUSED
        if connect_timeout_ns < INFINITE and self.sent_ns + connect_timeout_ns < self._expiry_ns:
            notice_ns = self.sent_ns + connect_timeout_ns
            self._timer(notice_ns, Kind.CONNECT_TIMEOUT, lambda: self._end(Outcome.TIMEOUT))
        return None

    def _routed(self) -> None:
        """The node is done with it (D109), unless it was lost meanwhile."""
        assert self._proxy is not None
        if self._proxy.life != self._life:
            return
        refused = self._pass_on()
        if refused is not None:
            self.open = False
            self._call.attempt_ended(self, refused)

    def _pass_on(self) -> Outcome | None:
        """Choose a target, or wait for one in the proxy; the outcome that it has at once, if any (D106)."""
        proxy = self._proxy
        if proxy is not None:
            proxy.pump()
        target = self._choose_anew()
        if target is not None:
            self._launch(self._dispatch_to(target, 0))
            return None
        if proxy is None or not proxy.has_targets(self._hop, self._origin, self._key(0), None, self._call.zone):
            return Outcome.NO_TARGET
        if not proxy.wait(self):
            return Outcome.OVERLOAD
        if proxy.wait_ns < INFINITE:
            self._timer(self._clock.now_ns + proxy.wait_ns, Kind.WAIT_TIMEOUT, self._waited)
        return None

    def try_target(self) -> bool:
        """Take a target that has got free, after a wait in the proxy (D106)."""
        target = self._choose_anew()
        if target is None:
            return False
        self._launch(self._dispatch_to(target, 0))
        return True

    def _waited(self) -> None:
        """The wait in the proxy has been too long (D106)."""
        if self._proxy is not None and self in self._proxy.waiting:
            self._end(Outcome.OVERLOAD)

    def _choose_anew(self) -> Host | None:
        """The target of its first dispatch; the excluded one only if there is no other (D64)."""
        avoided = self._excluded
        if avoided is not None and self._proxy is not None:
            others = self._proxy.has_targets(self._hop, self._origin, self._key(0), avoided, self._call.zone)
            return self._choose(0, avoided if others else None)
        target = self._choose(0, avoided)
        return self._choose(0, None) if target is None and avoided is not None else target

    @property
    def _origin(self) -> int:
        """The place whose zone counts in a choice: a zonal node's own, else the caller's."""
        zone = None if self._proxy is None else self._proxy.zone
        return self._call.place if zone is None else zone

    def _choose(self, dispatch: int, excluded: Host | None) -> Host | None:
        key, place, zone = self._key(dispatch), self._call.place, self._call.zone
        if self._proxy is not None:
            return self._proxy.choose(self._hop, self._origin, key, excluded, zone)
        balancer = self._hop.balancer
        if zone is not None:
            return balancer.choose(True, zone, key, excluded)
        return balancer.choose(balancer.keeps_to_zone(self._hop.row, place, excluded), place, key, excluded)

    def _dispatch_to(self, target: Host, number: int) -> Dispatch:
        self._call.tried = target
        self._hop.balancer.outstanding[target] += 1
        if self._proxy is not None:
            self._proxy.dispatched(target)
        self._ledger.count(target.service, layout.DISPATCHED)
        self.dispatch = Dispatch(
            self._key(number),
            self,
            target,
            self._call.place,
            self._expiry_ns,
            operation=self._call.operation,
            by_ns=self._expiry_ns if self._hop.row.propagate_deadline else INFINITE,
            via=None if self._proxy is None else self._proxy.zone,
        )
        self._dispatched_ns = self._clock.now_ns
        return self.dispatch

    def _launch(self, dispatch: Dispatch) -> None:
        """Start the balancer's own wait and put the dispatch on its way (D5)."""
        timeout_ns = self._hop.balancer.service.balancer_timeout_ns
        if timeout_ns < INFINITE:
            expiry_ns = self._clock.now_ns + timeout_ns
            self._timer(expiry_ns, Kind.BALANCER_TIMEOUT, lambda: self._balancer_hears(Outcome.TIMEOUT), dispatch)
        pool = self._hop.pool(self._call.client, dispatch.target)
        if pool is None:
            self._hop.network.send(dispatch, self._hop.row.connect_timeout_ns)
            return
        connection = pool.take()
        if connection is not None:
            self.connected(connection)
            return
        pool.waiting.append(self)
        self._awaits_of = pool
        acquire_ns = self._hop.policy.pool_acquire_ns
        if acquire_ns < INFINITE:
            self._timer(self._clock.now_ns + acquire_ns, Kind.ACQUIRE_TIMEOUT, self._acquire_times_out, dispatch)

    def connected(self, connection: Connection) -> None:
        """Put the dispatch on its way over a connection (D124)."""
        self._awaits_of, self._connection = None, connection
        dispatch, policy = self.dispatch, self._hop.policy
        assert dispatch is not None
        if connection.fresh:
            dispatch.handshake_trips, dispatch.handshake_ns = policy.handshake_trips, policy.handshake_ns
        self._hop.network.send(dispatch, self._hop.row.connect_timeout_ns)

    def _acquire_times_out(self) -> None:
        """There was no connection in time (D125)."""
        if self._awaits_of is not None:
            self._time_out()

    def _leave_connection(self, outcome: Outcome | None) -> None:
        """The dispatch is over. None: the call was given up, and who waits for the connection is seen to later."""
        if self._awaits_of is not None:
            self._awaits_of.waiting.remove(self)
            self._awaits_of = None
        elif self._connection is not None:
            pool = self._connection.pool
            self._connection.end(kept=outcome in (Outcome.OK, Outcome.ERROR, Outcome.OVERLOAD))
            self._connection = None
            if outcome is not None:
                pool.fill()

    def lost(self, dispatch: Dispatch) -> None:
        """A dispatch was lost: a connect timeout may tell, counted from the first dispatch's send (D6, D26)."""
        connect_timeout_ns = self._hop.row.connect_timeout_ns
        if not self.awaits(dispatch) or connect_timeout_ns >= INFINITE:
            return
        if dispatch.via is not None:
            return  # the caller is connected, to a node
        notice_ns = self.sent_ns + connect_timeout_ns
        if notice_ns < self._expiry_ns:
            at_ns = max(notice_ns, self._clock.now_ns)
            self._timer(at_ns, Kind.CONNECT_TIMEOUT, lambda: self._end(Outcome.TIMEOUT), dispatch)

    # What may happen to it in flight.

    def awaits(self, dispatch: Dispatch) -> bool:
        """Whether an answer to this dispatch still finds its caller waiting (D12)."""
        return self.open and self.dispatch is dispatch

    def answered(self, dispatch: Dispatch, outcome: Outcome) -> None:
        """An answer is at the balancer, and perhaps at the caller (D12)."""
        if outcome is Outcome.OK:
            self._call.degraded = dispatch.degraded
            self._call.answered_in = dispatch.target.zone
        self._balancer_hears(outcome)

    def _balancer_hears(self, outcome: Outcome) -> None:
        service = self._hop.balancer.service
        assert self.dispatch is not None
        following = self.dispatch.key.tag % 16 + 1
        if service.redispatch_on >> outcome & 1 and following < service.redispatch_attempts:
            target = self._choose(following, self.dispatch.target)
            if target is not None:
                self._dispatch_ended(outcome, True)
                self._launch(self._dispatch_to(target, following))
                if self._proxy is not None:
                    self._proxy.pump()
                return
        self._end(outcome)

    def _time_out(self) -> None:
        """The caller's own timeout (D13)."""
        self.cancel()
        # Only a caller that is its own proxy blames the target for it (D104).
        self._end(Outcome.TIMEOUT, self._proxy is not None and self._proxy.is_callers)

    def cancel(self) -> None:
        """Tell its target that nobody waits for it, where the hop does so (D13)."""
        if self._hop.row.cancel and self.dispatch is not None and self._awaits_of is None:
            self._hop.network.cancel(self.dispatch)

    def _end(self, outcome: Outcome, judged: bool = True) -> None:
        had_target = self.dispatch is not None
        self.stop_waiting(outcome, judged)
        if self._proxy is not None and had_target:
            self._proxy.pump()
        self._call.attempt_ended(self, outcome)

    def stop_waiting(self, outcome: Outcome | None, judged: bool) -> None:
        """Wait for it no more. None: it was cancelled; judged: its outcome tells of the target (D104)."""
        self.open = False
        if self.dispatch is not None:
            self._dispatch_ended(outcome, judged)
        elif self._proxy is not None:
            self._proxy.leave(self)

    def _dispatch_ended(self, outcome: Outcome | None, judged: bool) -> None:
        """The balancer stops counting its dispatch; None: it was cancelled (D104)."""
        assert self.dispatch is not None
        self._leave_connection(outcome)
        target = self.dispatch.target
        self._hop.balancer.outstanding[target] -= 1
        if self._proxy is not None:
            self._proxy.ended(target, self._dispatched_ns, outcome, judged)

    def _timer(self, t_ns: int, kind: Kind, act: Callable[[], None], dispatch: Dispatch | None = None) -> None:
        """Let something happen at t_ns if the attempt, or (if given) this dispatch of it, is still waited for then.

        On a paused host it waits (D17, D25).
        """
        key = self._key(0) if dispatch is None else dispatch.key
        self._call.timer(t_ns, kind, key, lambda: self.open and dispatch in (None, self.dispatch), act)
