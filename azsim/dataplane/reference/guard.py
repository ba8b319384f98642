"""What one client process knows of its own calls over one hop, and what it does not do for it (R6, D60 to D63)."""

from __future__ import annotations

from collections import deque
from typing import Any

from azsim.base.seeds import THROTTLE, key_hash
from azsim.dataplane.codes import Outcome
from azsim.dataplane.reference.breaker import Breaker
from azsim.dataplane.reference.clock import Clock, Key
from azsim.dataplane.reference.window import Window
from azsim.policy.distributions import unit
from azsim.policy.guards import (
    CLIENT_THROTTLING,
    RATIO,
    ratio_allows,
    share_held_back,
)
from azsim.policy.hedging import OF_ITS_OWN


class Guard:
    """The memory of one client process, made anew with it. `policy`: the hop's row of Plan.policies."""

    def __init__(self, policy: Any, run_key: int, clock: Clock) -> None:
        self._policy = policy
        self._run_key = run_key
        self._requests = Window(clock, policy.budget_part_ns)  # calls (ratio), attempts (client throttling)
        self._retries = Window(clock, policy.budget_part_ns)
        self._accepts = Window(clock, policy.budget_part_ns)
        self._hedge_calls = Window(clock, policy.hedge_part_ns)
        self._hedges = Window(clock, policy.hedge_part_ns)
        self._times_ns: deque[int] = deque(maxlen=policy.hedge_samples)
        self.breaker = Breaker(policy, clock)

    def call_begins(self) -> None:
        """A new call (D61, D68)."""
        self.breaker.call_begins()
        if self._policy.budget == RATIO:
            self._requests.add()
        self._hedge_calls.add()

    def refusal(self, key: Key) -> Outcome | None:
        """The outcome of an attempt that is not sent at all, None: it is (D63)."""
        if self._policy.budget != CLIENT_THROTTLING:
            return None
        share = share_held_back(self._requests.total, self._accepts.total, self._policy.throttle_k)
        self._requests.add()
        held_back = unit(key_hash(self._run_key, *key, THROTTLE)) < share
        return Outcome.BUDGET_EXHAUSTED if held_back else None

    def hears(self, outcome: Outcome) -> None:
        """An attempt has its outcome (D63)."""
        if self._policy.budget == CLIENT_THROTTLING and outcome in (Outcome.OK, Outcome.ERROR):
            self._accepts.add()

    def allows_retry(self) -> bool:
        """Whether the ratio of retries leaves room for one more, which is then counted (D61)."""
        policy = self._policy
        if policy.budget != RATIO:
            return True
        if not ratio_allows(self._retries.total, self._requests.total, policy.budget_ratio, policy.budget_reserve):
            return False
        self._retries.add()
        return True

    def allows_hedge(self) -> bool:
        """Whether the hedges' own budget leaves room for one more, which is then counted (D121)."""
        policy = self._policy
        if policy.hedge_budget != OF_ITS_OWN:
            return True
        calls = self._hedge_calls.total
        if not ratio_allows(self._hedges.total, calls, policy.hedge_ratio, policy.hedge_reserve):
            return False
        self._hedges.add()
        return True

    def note_time(self, time_ns: int) -> None:
        """An attempt took so long, or was waited for so long (D123)."""
        self._times_ns.append(time_ns)

    @property
    def hedge_delay_ns(self) -> int:
        """How long an attempt is waited for before a hedge is made (D120, D123)."""
        policy = self._policy
        if 0 < policy.hedge_samples == len(self._times_ns):
            return sorted(self._times_ns)[policy.hedge_place]
        return int(policy.hedge_delay_ns)
