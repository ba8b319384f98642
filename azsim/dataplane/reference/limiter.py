"""How many requests one instance lets in (I1, D46, D47)."""

from __future__ import annotations

import math
from typing import Any

from azsim.base.seeds import LIMIT_PROBE, key_hash
from azsim.policy import limits


class Limiter:
    """A limit on the requests that an instance holds, which learns from those that end; `trait` is a row of TRAIT."""

    def __init__(self, trait: Any, run_key: int, instance: int) -> None:
        self._trait = trait
        self._run_key = run_key
        self._instance = instance
        self.restart()

    def restart(self) -> None:
        """Know nothing, as a new process does."""
        self._limit: float = self._trait.limit_start
        self._samples = 0  # gradient2: in the average; vegas: since the last probe
        self._probes = 0
        self._rtt = 0.0  # gradient2: the long-term average; vegas: the unloaded time
        self._full_at = 0

    def admits(self, now_ns: int, held: int) -> bool:
        """Whether one more request is let in beside the `held` ones: the rate limit first, then the other."""
        trait = self._trait
        if trait.token_interval:
            self._full_at, given = limits.token_after(now_ns, self._full_at, trait.token_interval, trait.token_burst)
            if not given:
                return False
        return trait.limit == limits.NONE or held < math.floor(self._limit)

    def learn(self, rtt_ns: int, held: int, dropped: bool) -> None:
        """A request has ended well, or was dropped; `held` were there when it came."""
        trait, rtt_ns = self._trait, max(1, rtt_ns)
        if trait.limit == limits.AIMD:
            self._limit = limits.aimd_after(
                self._limit,
                rtt_ns,
                held,
                int(dropped),
                trait.limit_least,
                trait.limit_most,
                trait.limit_ratio,
                trait.limit_timeout_ns,
            )
        elif trait.limit == limits.GRADIENT2:
            self._rtt = limits.average_after(self._rtt, self._samples, float(rtt_ns), trait.limit_window)
            self._samples += 1
            self._limit = limits.gradient2_after(
                self._limit,
                rtt_ns,
                held,
                self._rtt,
                trait.limit_least,
                trait.limit_most,
                trait.limit_ratio,
                trait.limit_queue,
                trait.limit_tolerance,
            )
            self._rtt = limits.gradient2_average_after(self._rtt, rtt_ns)
        elif trait.limit == limits.VEGAS:
            self._learn_as_vegas(rtt_ns, held, dropped)

    def _learn_as_vegas(self, rtt_ns: int, held: int, dropped: bool) -> None:
        self._samples += 1
        bits = key_hash(self._run_key, -(self._instance + 1), 0, self._probes, LIMIT_PROBE)
        if limits.vegas_probes(self._limit, self._samples, bits):
            self._probes += 1
            self._samples = 0
            self._rtt = float(rtt_ns)
        elif self._rtt == 0 or rtt_ns < self._rtt:
            self._rtt = float(rtt_ns)
        else:
            most = self._trait.limit_most
            self._limit = limits.vegas_after(self._limit, rtt_ns, held, int(dropped), int(self._rtt), most)
