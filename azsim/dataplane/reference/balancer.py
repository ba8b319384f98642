"""The routing service in front of one service (D5; B3, B4, O4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from azsim.base.seeds import CHOICE, SECOND_CHOICE, ZONE, key_hash
from azsim.dataplane.reference.clock import Key
from azsim.dataplane.reference.network import Host
from azsim.dataplane.reference.proxy import Proxy
from azsim.policy.balancing import LEAST_OUTSTANDING, RANDOM, ROUND_ROBIN, fails_open, stays_in_zone
from azsim.policy.distributions import index_below

_ALL_ZONES = -1


class Balancer:
    """Chooses targets from its view of their health.

    service: row of Plan.services; targets: the service's instances by id; outside: the place that is no zone.
    """

    def __init__(self, run_key: int, service: Any, targets: Sequence[Host], outside: int) -> None:
        self._run_key = run_key
        self._outside = outside
        self._targets = targets
        self.service = service
        self.in_view = dict.fromkeys(targets, True)
        self.members = dict.fromkeys(targets, True)
        self.outstanding = dict.fromkeys(targets, 0)  # dispatches whose caller waits
        self._last_used: dict[int, int] = {}  # round-robin: zone or _ALL_ZONES -> target's id
        self._eligible: list[Host] = []
        self._eligible_in: dict[int, list[Host]] = {}  # by zone
        self.proxies: Sequence[Proxy] = ()  # where the service is proxied they choose, not the balancer (D100)
        self._update_eligible()

    def set_view(self, target: Host, healthy: bool) -> None:
        """Learn about a target's health (D19)."""
        if self.in_view[target] == healthy:
            return
        self.in_view[target] = healthy
        self._update_eligible()
        for proxy in self.proxies:
            if healthy:
                proxy.back_in_view(target)
        for proxy in self.proxies:
            proxy.pump()

    def check_passed(self, target: Host) -> None:
        """A health check of a target has passed (D104)."""
        for proxy in self.proxies:
            proxy.check_passed(target)

    def set_member(self, target: Host, member: bool) -> None:
        """Take a target in, or out for good whatever its health (D52)."""
        if self.members[target] == member:
            return
        self.members[target] = member
        self._update_eligible()
        for proxy in self.proxies:
            proxy.pump()

    def counts(self, target: Host) -> bool:
        """Whether a target is a member, and healthy in view."""
        return self.members[target] and self.in_view[target]

    def _update_eligible(self) -> None:
        members = [target for target in self._targets if self.members[target]]
        healthy = [target for target in members if self.in_view[target]]
        below, fewer_than = self.service.fail_open_below, self.service.fail_open_fewer
        ignores_health = fails_open(len(healthy), len(members), below, fewer_than)
        self._eligible = members if ignores_health else healthy
        self._eligible_in = {}
        for target in self._eligible:
            self._eligible_in.setdefault(target.zone, []).append(target)

    def keeps_to_zone(self, hop: Any, place: int, excluded: Host | None) -> bool:
        """Whether a dispatch over a hop (a row of Plan.hops) is bound to its caller's zone (D32, D48)."""
        if not hop.prefer_zone or place == self._outside:
            return bool(hop.same_zone)
        eligible = [target for target in self._eligible_in.get(place, []) if target is not excluded]
        present = sum(target.zone == place for target in self._targets)
        return stays_in_zone(len(eligible), present, hop.spill_below)

    def choose(self, same_zone: bool, place: int, key: Key, excluded: Host | None) -> Host | None:
        """The target of a dispatch, None if there is none.

        same_zone: callers inside a zone stay in it (D32); place: the caller's; excluded: the target just tried (D12).
        """
        zone = _ALL_ZONES
        if same_zone and place != self._outside:
            zone = place
        elif not self.service.cross_zone and self._eligible:
            zones = sorted(self._eligible_in)
            zone = zones[self._draw(ZONE, key, len(zones))]
        candidates = self._eligible if zone == _ALL_ZONES else self._eligible_in.get(zone, [])
        if excluded is not None:
            candidates = [target for target in candidates if target is not excluded]
        return self._pick(candidates, zone, key) if candidates else None

    def _pick(self, candidates: list[Host], group: int, key: Key) -> Host:
        algorithm, outstanding = self.service.algorithm, self.outstanding
        if algorithm == ROUND_ROBIN:
            last = self._last_used.get(group, -1)
            target = next((target for target in candidates if target.number > last), candidates[0])
            self._last_used[group] = target.number
            return target
        if algorithm == LEAST_OUTSTANDING:
            least = min(outstanding[target] for target in candidates)
            candidates = [target for target in candidates if outstanding[target] == least]
        i = self._draw(CHOICE, key, len(candidates))
        if algorithm in (RANDOM, LEAST_OUTSTANDING) or len(candidates) == 1:
            return candidates[i]
        j = self._draw(SECOND_CHOICE, key, len(candidates) - 1)  # two choices, without replacement
        j += j >= i
        return candidates[j] if outstanding[candidates[j]] < outstanding[candidates[i]] else candidates[i]

    def _draw(self, purpose: int, key: Key, n: int) -> int:
        return index_below(key_hash(self._run_key, *key, purpose), n)
