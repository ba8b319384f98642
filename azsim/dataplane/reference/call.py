"""A call: one attempt after another until one succeeds or the policy gives up (D3-D6, D12-D15)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import simpy

from azsim.base.seeds import JITTER, key_hash
from azsim.dataplane import layout
from azsim.dataplane.codes import INFINITE, InstanceState, Kind, Outcome
from azsim.dataplane.reference.clock import Key
from azsim.dataplane.reference.hop import Hop
from azsim.dataplane.reference.network import Dispatch, Host
from azsim.dataplane.reference.proxy import Proxy
from azsim.policy.retry import backoff


@dataclass(slots=True, eq=False)
class Attempt:
    """An attempt whose outcome is not known yet, and the dispatch of it that the caller waits for."""

    number: int  # from 1
    sent_ns: int
    expiry_ns: int
    dispatch: Dispatch | None  # None: it waits in a proxy
    dispatched_ns: int = 0


class Call:
    """One request of a client, or one call of a job, over one hop.

    place, client: where the caller is, and the number of its client process; host: the calling instance, None for a
    client; ended: hears the outcome; operation: what is asked for, -1 the callee's own; zone: the only one that will
    do, None: as the hop says; by_ns: when its caller stops waiting (R7). `attempt` is the attempt in flight, None while
    backing off; `degraded` says whether the answer of a successful call is.
    """

    def __init__(
        self,
        hop: Hop,
        request: int,
        path: int,
        place: int,
        client: int,
        host: Host | None,
        ended: Callable[[Call, Outcome], None],
        operation: int = -1,
        zone: int | None = None,
        by_ns: int = INFINITE,
    ) -> None:
        self.hop = hop
        self.degraded = False
        self.answered_in = -1  # the zone of the last answer
        self._operation = operation
        self._zone = zone
        self.host = host
        self.attempt: Attempt | None = None
        self._request = request
        self._path = path
        self._place = place
        self._client = client
        self._ended = ended
        self._clock = hop.clock
        self._ledger = hop.ledger
        self._start_row = hop.ledger.row
        deadline_ns = hop.row.deadline_ns
        self._deadline_ns = min(by_ns, hop.clock.now_ns + deadline_ns if deadline_ns < INFINITE else INFINITE)
        self._attempts = 0
        self._backoff_ns = hop.row.backoff_base_ns  # the last one drawn
        self._wait_ns = 0  # before the next attempt
        self._period: int | None = None  # its breaker's, at the last send
        self._tried: Host | None = None  # the target of the last dispatch
        self._paid = 0  # for the last retry
        self._over = False
        self._proxy: Proxy | None = None  # of the current attempt
        self._life = 0  # its proxy's when the attempt came there
        self._wake = hop.clock.event()
        hop.clock.process(self._run())

    def _run(self) -> Generator[simpy.Event, Any, None]:
        """The life of the call (D4, D14, D15)."""
        hop = self.hop
        hop.guards[self._client].call_begins()
        if hop.row.budget_on_request:
            hop.deposit(self._client, hop.row.budget_deposit)
        while True:
            if self._attempts == 0 and self._clock.now_ns >= self._deadline_ns:
                outcome = Outcome.DEADLINE  # no time is left for a first attempt (D49)
                break
            refused = self._send()
            outcome = (yield self._wake) if refused is None else refused
            self._ledger.attempt_ended(hop.number, hop.row.population, outcome)
            hop.hears(self._client, self._period, outcome)
            if outcome is Outcome.OK:
                self._deposit_for_success()
                if self._zone is None and hop.store is not None:
                    hop.store.acknowledge(self._operation, [self.answered_in])
                break
            failure = self._failure(outcome)
            if failure is not None:
                outcome = failure
                break
            self._timer(self._clock.now_ns + self._wait_ns, Kind.BACKOFF_END, self._tag(0), None, self._go_on)
            yield self._wake
        self._over = True
        self._ended(self, outcome)

    def _go_on(self, outcome: Outcome | None = None) -> None:
        """Wake the call's process: it goes on at once."""
        wake, self._wake = self._wake, self._clock.event()
        wake.succeed(outcome)

    def give_up(self, cancel: bool = False) -> None:
        """Wait for nothing any more (D27); `cancel`: the target hears of it where the hop does so (D44)."""
        self._over = True
        if self.attempt is not None:
            if cancel and self.hop.row.cancel and self.attempt.dispatch is not None:
                self.hop.network.cancel(self.attempt.dispatch)
            self._ledger.attempt_ended(self.hop.number, self.hop.row.population, Outcome.CANCELLED)
            self.hop.hears(self._client, self._period, Outcome.CANCELLED)
            self._stop_waiting(self.attempt, None, False)

    def _tag(self, dispatch: int) -> int:
        return 16 * self._attempts + dispatch

    # Sending: the caller, then the balancer.

    def _send(self) -> Outcome | None:
        """Send the next attempt, or let it wait in its proxy (D4).

        Its outcome if it has one at once: it is refused (D63, D67), or there is no target or no place for it.
        """
        hop, now_ns = self.hop, self._clock.now_ns
        self._attempts += 1
        self._ledger.attempt_made(hop.number)
        guard = hop.guards[self._client]
        self._period = guard.breaker.let_through()
        if self._period is None:
            return Outcome.BREAKER_OPEN
        refusal = guard.refusal(Key(self._request, self._path, self._tag(0)))
        if refusal is not None:
            return refusal
        self._ledger.attempt_sent(hop.row.service, hop.row.population, self._start_row)
        expiry_ns = min(now_ns + hop.row.timeout_ns, self._deadline_ns)
        attempt = Attempt(self._attempts, now_ns, expiry_ns, None)
        zone = self._zone if hop.name is None else self._zone_of_node()
        self._proxy = proxy = None if hop.name is not None and zone is None else self._proxy_in(zone)
        self._life = 0 if proxy is None else proxy.life
        refused: Outcome | None = None
        if hop.name is not None and (zone is None or not self._connects(zone)):
            refused = self._unconnected(zone, attempt)
        elif proxy is None or not proxy.works:
            refused = self._pass_on(attempt)
        else:
            done_ns = proxy.done_ns(proxy.work_for(self._key(0)))
            refused = Outcome.OVERLOAD if done_ns is None else None
            if done_ns is not None:
                self._timer(done_ns, Kind.ROUTED, self._tag(0), attempt, self._routed)
        if refused is not None:
            return refused
        self.attempt = attempt
        if expiry_ns < INFINITE:
            self._timer(expiry_ns, Kind.TIMEOUT, self._tag(0), attempt, self._time_out)
        return None

    def _zone_of_node(self) -> int | None:
        """The zone whose node a zonal balancer's attempt goes to; None: its name does not resolve (D112)."""
        return self._zone if self._zone is not None else self.hop.zone_for(self._client, self._place, self._key(0))

    def _proxy_in(self, zone: int | None) -> Proxy | None:
        return self.hop.proxy_of(self._client, self._key(0), zone if self.hop.name is not None else None)

    def _connects(self, zone: int) -> bool:
        network = self.hop.network
        reached = network.reaches(self._place, zone, self.hop.row.connect_timeout_ns)
        return reached and network.nodes[zone] is InstanceState.UP

    def _unconnected(self, zone: int | None, attempt: Attempt) -> Outcome | None:
        """No node takes the attempt: there is no address, or the node refuses, or does not answer (D111)."""
        if zone is None:
            return Outcome.NO_TARGET
        connect_timeout_ns = self.hop.row.connect_timeout_ns
        if self.hop.network.reaches(self._place, zone, connect_timeout_ns):
            return Outcome.REFUSED
        if connect_timeout_ns < INFINITE and attempt.sent_ns + connect_timeout_ns < attempt.expiry_ns:
            notice_ns = attempt.sent_ns + connect_timeout_ns
            self._timer(notice_ns, Kind.CONNECT_TIMEOUT, self._tag(0), attempt, self._connect_times_out)
        return None

    def _routed(self) -> None:
        """The node is done with the attempt (D109), unless it was lost meanwhile."""
        attempt = self.attempt
        assert attempt is not None
        assert self._proxy is not None
        if self._proxy.life != self._life:
            return
        refused = self._pass_on(attempt)
        if refused is not None:
            self.attempt = None
            self._go_on(refused)

    def _pass_on(self, attempt: Attempt) -> Outcome | None:
        """Choose a target, or wait for one in the proxy; the outcome that the attempt has at once, if any (D106)."""
        proxy = self._proxy
        if proxy is not None:
            proxy.pump()
        target = self._choose_anew()
        if target is not None:
            self.attempt = attempt
            self._launch(self._dispatch_to(target, 0, attempt))
            return None
        if proxy is None or not proxy.has_targets(self.hop, self._origin, self._key(0), None, self._zone):
            return Outcome.NO_TARGET
        if not proxy.wait(self):
            return Outcome.OVERLOAD
        if proxy.wait_ns < INFINITE:
            wait_until_ns = self._clock.now_ns + proxy.wait_ns
            self._timer(wait_until_ns, Kind.WAIT_TIMEOUT, self._tag(0), attempt, self._waited)
        return None

    def try_target(self) -> bool:
        """Take a target that has got free, after a wait in the proxy (D106)."""
        assert self.attempt is not None
        target = self._choose_anew()
        if target is None:
            return False
        self._launch(self._dispatch_to(target, 0, self.attempt))
        return True

    def _waited(self) -> None:
        """The wait in the proxy has been too long (D106)."""
        assert self.attempt is not None
        if self._proxy is not None and self in self._proxy.waiting:
            self._attempt_ends(Outcome.OVERLOAD)

    def _key(self, dispatch: int) -> Key:
        return Key(self._request, self._path, self._tag(dispatch))

    def _choose_anew(self) -> Host | None:
        """The target of the attempt's first dispatch; the last one tried only if there is no other (D64)."""
        avoided = self._tried if self.hop.policy.avoid_previous else None
        if avoided is not None and self._proxy is not None:
            others = self._proxy.has_targets(self.hop, self._origin, self._key(0), avoided, self._zone)
            return self._choose(0, avoided if others else None)
        target = self._choose(0, avoided)
        return self._choose(0, None) if target is None and avoided is not None else target

    @property
    def _origin(self) -> int:
        """The place whose zone counts in a choice: a zonal node's own, else the caller's."""
        in_zone = self._proxy is not None and self._proxy.zone is not None
        return self._proxy.zone if in_zone else self._place  # type: ignore[union-attr,return-value]

    def _choose(self, dispatch: int, excluded: Host | None) -> Host | None:
        key = self._key(dispatch)
        if self._proxy is not None:
            return self._proxy.choose(self.hop, self._origin, key, excluded, self._zone)
        if self._zone is not None:
            return self.hop.balancer.choose(True, self._zone, key, excluded)
        balancer = self.hop.balancer
        return balancer.choose(balancer.keeps_to_zone(self.hop.row, self._place, excluded), self._place, key, excluded)

    def _dispatch_to(self, target: Host, number: int, attempt: Attempt) -> Dispatch:
        self._tried = target
        self.hop.balancer.outstanding[target] += 1
        if self._proxy is not None:
            self._proxy.dispatched(target)
        self._ledger.count(target.service, layout.DISPATCHED)
        by_ns = attempt.expiry_ns if self.hop.row.propagate_deadline else INFINITE
        dispatch = Dispatch(
            self._key(number),
            self,
            target,
            self._place,
            attempt.expiry_ns,
            operation=self._operation,
            by_ns=by_ns,
            via=None if self._proxy is None else self._proxy.zone,
        )
        attempt.dispatch = dispatch
        attempt.dispatched_ns = self._clock.now_ns
        return dispatch

    def _dispatch_ended(self, attempt: Attempt, outcome: Outcome | None, judged: bool) -> None:
        """The balancer stops counting an attempt's dispatch; None: it was cancelled (D104)."""
        assert attempt.dispatch is not None
        target = attempt.dispatch.target
        self.hop.balancer.outstanding[target] -= 1
        if self._proxy is not None:
            self._proxy.ended(target, attempt.dispatched_ns, outcome, judged)

    def _launch(self, dispatch: Dispatch) -> None:
        """Start the balancer's own wait and put the dispatch on its way (D5)."""
        timeout_ns = self.hop.balancer.service.balancer_timeout_ns
        if timeout_ns < INFINITE:
            expiry_ns = self._clock.now_ns + timeout_ns
            self._timer(expiry_ns, Kind.BALANCER_TIMEOUT, dispatch.key.tag, dispatch, self._balancer_times_out)
        self.hop.network.send(dispatch, self.hop.row.connect_timeout_ns)

    def lost(self, dispatch: Dispatch) -> None:
        """A dispatch was lost: a connect timeout may tell, counted from the first dispatch's send (D6, D26)."""
        attempt, connect_timeout_ns = self.attempt, self.hop.row.connect_timeout_ns
        if attempt is None or attempt.dispatch is not dispatch or connect_timeout_ns >= INFINITE:
            return
        if dispatch.via is not None:
            return  # the caller is connected, to a node
        notice_ns = attempt.sent_ns + connect_timeout_ns
        if notice_ns < attempt.expiry_ns:
            at_ns = max(notice_ns, self._clock.now_ns)
            self._timer(at_ns, Kind.CONNECT_TIMEOUT, dispatch.key.tag, dispatch, self._connect_times_out)

    # What may happen to an attempt in flight.

    def awaits(self, dispatch: Dispatch) -> bool:
        """Whether an answer to this dispatch still finds its caller waiting (D12)."""
        return self.attempt is not None and self.attempt.dispatch is dispatch

    def answered(self, dispatch: Dispatch, outcome: Outcome) -> None:
        """An answer is at the balancer, and perhaps at the caller (D12)."""
        self.degraded = dispatch.degraded
        self.answered_in = dispatch.target.zone
        self._balancer_hears(outcome)

    def _balancer_times_out(self) -> None:
        self._balancer_hears(Outcome.TIMEOUT)

    def _balancer_hears(self, outcome: Outcome) -> None:
        attempt, service = self.attempt, self.hop.balancer.service
        assert attempt is not None
        assert attempt.dispatch is not None
        dispatch = attempt.dispatch.key.tag % 16 + 1
        if service.redispatch_on >> outcome & 1 and dispatch < service.redispatch_attempts:
            target = self._choose(dispatch, attempt.dispatch.target)
            if target is not None:
                self._dispatch_ended(attempt, outcome, True)
                self._launch(self._dispatch_to(target, dispatch, attempt))
                if self._proxy is not None:
                    self._proxy.pump()
                return
        self._attempt_ends(outcome)

    def _time_out(self) -> None:
        """The caller's own timeout (D13)."""
        assert self.attempt is not None
        if self.hop.row.cancel and self.attempt.dispatch is not None:
            self.hop.network.cancel(self.attempt.dispatch)
        # Only a caller that is its own proxy blames the target for it (D104).
        self._attempt_ends(Outcome.TIMEOUT, self._proxy is not None and self._proxy.is_callers)

    def _connect_times_out(self) -> None:
        self._attempt_ends(Outcome.TIMEOUT)

    def _attempt_ends(self, outcome: Outcome, judged: bool = True) -> None:
        assert self.attempt is not None
        had_target = self.attempt.dispatch is not None
        self._stop_waiting(self.attempt, outcome, judged)
        if self._proxy is not None and had_target:
            self._proxy.pump()
        self._go_on(outcome)

    def _stop_waiting(self, attempt: Attempt, outcome: Outcome | None, judged: bool) -> None:
        if attempt.dispatch is not None:
            self._dispatch_ended(attempt, outcome, judged)
        elif self._proxy is not None:
            self._proxy.leave(self)
        self.attempt = None

    def _timer(
        self, t_ns: int, kind: Kind, tag: int, subject: Attempt | Dispatch | None, act: Callable[[], None]
    ) -> None:
        """Let something happen to the call at t_ns, if its subject is still waited for then.

        subject: the attempt or the dispatch in flight, None for a back-off. On a paused host it waits (D17, D25).
        """
        key = Key(self._request, self._path, tag)
        self._clock.at(t_ns, kind, key, lambda: self._ring(kind, key, subject, act))

    def _ring(self, kind: Kind, key: Key, subject: Attempt | Dispatch | None, act: Callable[[], None]) -> None:
        attempt = self.attempt
        stands = subject is attempt or (attempt is not None and subject is attempt.dispatch)
        if self._over or not stands:
            return
        if self.host is not None and self.host.paused:
            self.host.park(kind, key, lambda: self._ring(kind, key, subject, act))
        else:
            act()

    # The policy: what follows from an attempt's outcome.

    def _failure(self, outcome: Outcome) -> Outcome | None:
        """What the call fails with after a failed attempt, None: it is retried after `_wait_ns` (D15)."""
        row, now_ns = self.hop.row, self._clock.now_ns
        if now_ns >= self._deadline_ns:
            return Outcome.DEADLINE
        if not row.retry_on >> outcome & 1 or self._attempts >= row.attempts or not self.hop.retries_on:
            return outcome
        self._wait_ns = self._wait_after(outcome)
        if now_ns + self._wait_ns >= self._deadline_ns:
            return Outcome.DEADLINE
        if self.hop.guards[self._client].breaker.stops_retries:
            return Outcome.BREAKER_OPEN
        cost = row.budget_timeout_cost if outcome is Outcome.TIMEOUT else row.budget_cost
        if not self.hop.pay(self._client, cost) or not self.hop.allows_retry(self._client):
            return Outcome.BUDGET_EXHAUSTED
        self._paid = cost
        return None

    def _wait_after(self, outcome: Outcome) -> int:
        """The wait before a retry: what an `overload` answer asks for (D64), else a back-off."""
        row, policy = self.hop.row, self.hop.policy
        if outcome is Outcome.OVERLOAD and policy.retry_after_ns >= 0:
            return int(policy.retry_after_ns)
        self._backoff_ns = backoff(
            row.backoff,
            row.backoff_base_ns,
            row.backoff_factor,
            row.backoff_cap_ns,
            self._attempts,
            self._backoff_ns,
            key_hash(self.hop.run_key, self._request, self._path, self._tag(0), JITTER),
            policy.backoff_spread,
        )
        return self._backoff_ns

    def _deposit_for_success(self) -> None:
        """D14, D33."""
        row = self.hop.row
        if row.budget_on_request:
            return
        if self._attempts == 1:
            amount = row.budget_deposit
        else:
            amount = self._paid if row.budget_deposit_after_retry < 0 else row.budget_deposit_after_retry
        self.hop.deposit(self._client, amount)
