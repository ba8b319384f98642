"""How long the kernel's callers wait before a retry (R6, D15, D65)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import hot
from azsim.base.seeds import JITTER, key_hash
from azsim.dataplane.codes import Outcome
from azsim.dataplane.policy_state import policies_of
from azsim.dataplane.state import calls_of, hops_of, np_int
from azsim.policy.retry import AT_ONCE, NO_JITTER, backoff

_OVERLOAD = int(Outcome.OVERLOAD)


@hot
def wait_before_retry(a: Any, c: int, outcome: int, tries: int, rich: Any) -> int:
    """The back-off after a failed attempt, or what the answer asks for; `tries`: attempts so far, hedges aside."""
    call = calls_of(a)[c]
    hop = hops_of(a)[call.hop]
    attempt = call.tag >> 4
    wait = 0
    asked = -1  # the wait that the answer asks for
    spread = 0.0
    if rich is not None:
        spread = policies_of(a)[call.hop].backoff_spread
        if outcome == _OVERLOAD:
            asked = np_int(policies_of(a)[call.hop].retry_after_ns)
    if asked >= 0:
        wait = asked
    elif hop.backoff != AT_ONCE:
        bits = 0
        if hop.backoff != NO_JITTER:
            bits = key_hash(a.key, call.request, call.path, attempt << 4, JITTER)
        wait = backoff(
            hop.backoff,
            hop.backoff_base_ns,
            hop.backoff_factor,
            hop.backoff_cap_ns,
            tries,
            call.backoff_ns,
            bits,
            spread,
        )
        call.backoff_ns = wait
    return wait
