"""A call: attempts until one succeeds or the policy gives up, some of them side by side (D3, D14, D15, D120-D123)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import simpy

from azsim.base.seeds import JITTER, key_hash
from azsim.dataplane.codes import INFINITE, Kind, Outcome
from azsim.dataplane.reference.attempt import Attempt
from azsim.dataplane.reference.clock import Key
from azsim.dataplane.reference.hop import Hop
from azsim.dataplane.reference.network import Host
from azsim.policy.retry import backoff


class Call:
    """One request of a client, or one call of a job, over one hop.

    place, client: where the caller is, and the number of its client process; host: the calling instance, None for a
    client; ended: hears the outcome; operation: what is asked for, -1 the callee's own; zone: the only one that will
    do, None: as the hop says; by_ns: when its caller stops waiting (R7). `open` holds the attempts in flight, by
    number; `tried` is the target of the last dispatch; `degraded` says whether the answer of a successful call is.
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
        self.request = request
        self.path = path
        self.place = place
        self.client = client
        self.host = host
        self.operation = operation
        self.zone = zone
        self.start_row = hop.ledger.row
        self.open: list[Attempt] = []
        self.tried: Host | None = None
        self.degraded = False
        self.answered_in = -1  # the zone of the answer that ended it
        self._ended = ended
        self._clock = hop.clock
        self._ledger = hop.ledger
        deadline_ns = hop.row.deadline_ns
        self.deadline_ns = min(by_ns, hop.clock.now_ns + deadline_ns if deadline_ns < INFINITE else INFINITE)
        self._made = 0  # attempts
        self._hedges = 0  # of them
        self._backoff_ns = hop.row.backoff_base_ns  # the last one drawn
        self._wait_ns = 0  # before the next attempt
        self._paid = 0  # for the last retry
        self._over = False
        self._wake = hop.clock.event()
        hop.clock.process(self._run())

    def _run(self) -> Generator[simpy.Event, Any, None]:
        """The life of the call (D4, D14, D15)."""
        hop = self.hop
        hop.guards[self.client].call_begins()
        if hop.row.budget_on_request:
            hop.deposit(self.client, hop.row.budget_deposit)
        while True:
            if self._made == 0 and self._clock.now_ns >= self.deadline_ns:
                outcome = Outcome.DEADLINE  # no time is left for a first attempt (D49)
                break
            refused = self._try(is_hedge=False, excluded=self.tried if hop.policy.avoid_previous else None)
            if refused is None:
                self._await_hedge()
            outcome = (yield self._wake) if refused is None else refused
            if outcome is Outcome.OK:
                self._deposit_for_success()
                if self.zone is None and hop.store is not None:
                    hop.store.acknowledge(self.operation, [self.answered_in])
                break
            failure = self._failure(outcome)
            if failure is not None:
                outcome = failure
                break
            wake_ns = self._clock.now_ns + self._wait_ns
            self.timer(wake_ns, Kind.BACKOFF_END, self._key(), lambda: not self._over, self._go_on)
            yield self._wake
        self._over = True
        self._ended(self, outcome)

    def _go_on(self, outcome: Outcome | None = None) -> None:
        """Wake the call's process: it goes on at once."""
        wake, self._wake = self._wake, self._clock.event()
        wake.succeed(outcome)

    def _key(self) -> Key:
        return Key(self.request, self.path, 16 * self._made)

    # Attempts.

    def _try(self, is_hedge: bool, excluded: Host | None) -> Outcome | None:
        """Make the next attempt; its outcome if it has one at once, and is not in flight."""
        self._made += 1
        attempt = Attempt(self, self._made, is_hedge)
        refused = attempt.send(excluded)
        if refused is None:
            self.open.append(attempt)
        else:
            self._book(attempt, refused)
        return refused

    def _book(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt has its outcome: count it, and let the client process learn from it."""
        self._ledger.attempt_ended(self.hop.number, self.hop.row.population, outcome)
        self.hop.hears(self.client, attempt.period, outcome)

    def attempt_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt that was in flight has its outcome: a first success ends the call, and a last failure (D122)."""
        self.open.remove(attempt)
        self._book(attempt, outcome)
        if outcome is Outcome.OK or outcome is Outcome.TIMEOUT:
            self._note_time(attempt)
        if outcome is Outcome.OK and self._hedges:
            for other in self.open:
                self._note_time(other)
            self._give_up_attempts(cancel=True)
            self.hop.pump()
        if outcome is Outcome.OK or not self.open:
            self._go_on(outcome)

    def give_up(self, cancel: bool = False) -> None:
        """Wait for nothing any more (D27); `cancel`: the targets hear of it where the hop does so (D44)."""
        self._over = True
        self._give_up_attempts(cancel)

    def _give_up_attempts(self, cancel: bool) -> None:
        given_up, self.open = self.open, []
        for attempt in given_up:
            if cancel:
                attempt.cancel()
            self._book(attempt, Outcome.CANCELLED)
            attempt.stop_waiting(None, False)

    def timer(self, t_ns: int, kind: Kind, key: Key, stands: Callable[[], bool], act: Callable[[], None]) -> None:
        """Let something happen to the call at t_ns, if it still stands then. On a paused host it waits (D17, D25)."""
        self._clock.at(t_ns, kind, key, lambda: self._ring(kind, key, stands, act))

    def _ring(self, kind: Kind, key: Key, stands: Callable[[], bool], act: Callable[[], None]) -> None:
        if not stands():
            return
        if self.host is not None and self.host.paused:
            self.host.park(kind, key, lambda: self._ring(kind, key, stands, act))
        else:
            act()

    # Hedges.

    def _await_hedge(self) -> None:
        """Let a hedge follow the attempt that was just made, if the call may have one more (D120)."""
        if self._hedges >= self.hop.policy.hedges:
            return
        made, due_ns = self._made, self._clock.now_ns + self.hop.guards[self.client].hedge_delay_ns
        if due_ns < self.deadline_ns:
            self.timer(due_ns, Kind.HEDGE, self._key(), lambda: bool(self.open) and self._made == made, self._hedge)

    def _hedge(self) -> None:
        if self.hop.allows_hedge(self.client):
            self._hedges += 1
            self._try(is_hedge=True, excluded=self.tried)
            self._await_hedge()

    def _note_time(self, attempt: Attempt) -> None:
        """How long an attempt took, or at least took until a hedge was faster (D123)."""
        if not attempt.is_hedge:
            self.hop.guards[self.client].note_time(self._clock.now_ns - attempt.sent_ns)

    # The policy: what follows from the outcome of the last attempt.

    @property
    def _tries(self) -> int:
        """Attempts so far, hedges aside."""
        return self._made - self._hedges

    def _failure(self, outcome: Outcome) -> Outcome | None:
        """What the call fails with after a failed attempt, None: it is retried after `_wait_ns` (D15)."""
        row, now_ns = self.hop.row, self._clock.now_ns
        if now_ns >= self.deadline_ns:
            return Outcome.DEADLINE
        if not row.retry_on >> outcome & 1 or self._tries >= row.attempts or not self.hop.retries_on:
            return outcome
        self._wait_ns = self._wait_after(outcome)
        if now_ns + self._wait_ns >= self.deadline_ns:
            return Outcome.DEADLINE
        if self.hop.guards[self.client].breaker.stops_retries:
            return Outcome.BREAKER_OPEN
        cost = row.budget_timeout_cost if outcome is Outcome.TIMEOUT else row.budget_cost
        if not self.hop.pay(self.client, cost) or not self.hop.allows_retry(self.client):
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
            self._tries,
            self._backoff_ns,
            key_hash(self.hop.run_key, *self._key(), JITTER),
            policy.backoff_spread,
        )
        return self._backoff_ns

    def _deposit_for_success(self) -> None:
        """D14, D33."""
        row = self.hop.row
        if row.budget_on_request:
            return
        if self._tries == 1:
            amount = row.budget_deposit
        else:
            amount = self._paid if row.budget_deposit_after_retry < 0 else row.budget_deposit_after_retry
        self.hop.deposit(self.client, amount)
