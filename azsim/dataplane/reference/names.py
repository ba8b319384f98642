"""The name of a zonal balancer, and what its clients know of it (B2, D112)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from azsim.base.seeds import ADDRESS, LOOKUP, key_hash
from azsim.dataplane.codes import Outcome
from azsim.dataplane.reference.clock import Clock, Key
from azsim.policy.distributions import index_below, unit

_BROKEN = (Outcome.TIMEOUT, Outcome.REFUSED, Outcome.RESET)


@dataclass(slots=True)
class Address:
    """What one client process knows: the last answer, and where its connection goes. Times in ns."""

    answer: tuple[int, ...] = ()
    fresh_until_ns: int = 0
    zone: int = -1
    open_until_ns: int = 0


class Name:
    """Answers lookups with the zones that are listed. balancing: the service's row of Plan.balancing."""

    def __init__(self, run_key: int, balancing: Any, zones: int, clock: Clock) -> None:
        self.listed = [True] * zones
        self.resolves = True
        self._run_key = run_key
        self._row = balancing
        self._clock = clock

    def zone_for(self, address: Address, place: int, key: Key) -> int | None:
        """The zone whose node a client's attempt goes to; None: the client has no address."""
        now_ns = self._clock.now_ns
        if now_ns < address.open_until_ns:
            return address.zone
        if now_ns >= address.fresh_until_ns:
            if self.resolves:
                address.answer = self._look_up(place, key)
                address.fresh_until_ns = now_ns + self._row.dns_ttl_ns
            elif not self._row.dns_stale or not address.answer:
                return None
        bits = key_hash(self._run_key, *key, ADDRESS)
        address.zone = address.answer[index_below(bits, len(address.answer))]
        address.open_until_ns = now_ns + self._row.dns_keep_ns
        return address.zone

    def _look_up(self, place: int, key: Key) -> tuple[int, ...]:
        at_home = unit(key_hash(self._run_key, *key, LOOKUP)) < self._row.dns_own_zone
        if at_home and place < len(self.listed) and self.listed[place]:
            return (place,)
        return tuple(zone for zone, listed in enumerate(self.listed) if listed)

    def hears(self, address: Address, outcome: Outcome) -> None:
        """An attempt of the client has ended: after some outcomes it makes a new connection."""
        if outcome in _BROKEN:
            address.open_until_ns = min(address.open_until_ns, self._clock.now_ns)
