"""Proxies: balancers that keep count of their targets and choose by it (B3, B5, D100-D105)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from azsim.base.seeds import CHOICE, LOCALITY, LOCALITY_ZONE, NODE_WORK, SECOND_CHOICE, SLOW_START, ZONE, key_hash
from azsim.dataplane.codes import INFINITE, Outcome
from azsim.dataplane.reference.clock import Clock, Key
from azsim.dataplane.reference.network import Host
from azsim.policy import locality, outliers
from azsim.policy.balancing import (
    CALLER,
    LEAST_OUTSTANDING,
    PEAK_EWMA,
    RANDOM,
    ROUND_ROBIN,
    WEIGHTED_RANDOM,
    cost_after,
    decayed_cost,
    fails_open,
    stays_in_zone,
    warmth,
)
from azsim.policy.distributions import index_below, sample_work, unit

_ANY = -1


class Waiter(Protocol):
    """A call that waits in a proxy for a target to get free."""

    def try_target(self) -> bool:
        """Dispatch to a target that is free for it; False if there is none."""


@dataclass(slots=True)
class Standing:
    """What a proxy holds of a target. Times in ns; `cost` is as of `stamp_ns`."""

    cost: float
    stamp_ns: int
    pending: int = 0  # dispatches that callers wait for
    errors: int = 0  # in a row, or nginx's fails
    ejections: int = 0  # multiplier of the last ejection
    ejected_until_ns: int = -INFINITE
    warm_from_ns: int = -INFINITE  # when it came back into the view
    accessed_ns: int = -INFINITE  # nginx: last fail
    checked_ns: int = -INFINITE  # nginx: last fail, or first try after the bench


class Proxy:
    """One node of a service's balancer.

    service, balancing: rows of Plan.services and Plan.balancing; targets by id, with their weights; in_view, members:
    the balancer's view and who its targets are, shared by its proxies; callers(hop, zone): how many callers of a hop
    there are in a zone; zone: where it is lost, None: it stands outside the zones.
    """

    def __init__(
        self,
        run_key: int,
        service: Any,
        balancing: Any,
        targets: Sequence[Host],
        weights: Sequence[int],
        in_view: dict[Host, bool],
        members: dict[Host, bool],
        outside: int,
        callers: Callable[[int, int], int],
        clock: Clock,
        zone: int | None = None,
    ) -> None:
        self.zone = zone
        self.life = 0  # how often it has been lost
        self.waiting: list[Waiter] = []
        self._run_key = run_key
        self._service = service
        self._row = balancing
        self._targets = targets
        self._weights = dict(zip(targets, weights, strict=True))
        self._in_view = in_view
        self._members = members
        self._outside = outside
        self._callers = callers
        self._clock = clock
        self._heard: list[tuple[Host, bool]] = []  # judged outcomes since the last sweep, and whether they were errors
        self._swept = 0  # number of the last sweep
        self._last_used: dict[int, int] = {}  # round-robin: zone or _ANY -> target's id
        self._taken_until: list[int] = []  # by slot of the node
        self._turns: list[int] = []  # when those get one that wait for it
        self.empty()
        self.standings: dict[Host, Standing] = {}
        self.forget()

    def forget(self) -> None:
        """Start anew, knowing nothing of the targets but what is pending (O7)."""
        fresh = {target: Standing(float(self._row.ewma_default_ns), self._clock.now_ns) for target in self._targets}
        for target, before in self.standings.items():
            fresh[target].pending = before.pending
        self.standings = fresh
        self._last_used.clear()
        self._heard.clear()
        self._swept = self._clock.now_ns // self._row.outlier_window_ns

    @property
    def is_callers(self) -> bool:
        """Whether it is part of a client process."""
        return bool(self._row.placement == CALLER)

    @property
    def wait_ns(self) -> int:
        """How long a call may wait for a target."""
        return int(self._row.wait_ns)

    def die(self) -> None:
        """Be lost with all that it holds, and begin anew (D111)."""
        self.life += 1
        self.empty()
        self.waiting.clear()
        self.forget()

    # Who may get a dispatch.

    def _is_out(self, target: Host) -> bool:
        """Whether it is ejected now (D104)."""
        standing, row, now_ns = self.standings[target], self._row, self._clock.now_ns
        if row.outliers == outliers.CONSECUTIVE:
            return now_ns < standing.ejected_until_ns
        if row.outliers == outliers.MAX_FAILS and len(self._targets) > 1:
            checked_ns = standing.checked_ns
            return outliers.is_benched(standing.errors, row.outlier_errors, now_ns, checked_ns, row.outlier_window_ns)
        return False

    def _eligible(self) -> list[Host]:
        """D101."""
        self._sweep()
        own = None if self._service.cross_zone else self.zone
        members = [target for target in self._targets if self._members[target] and own in (None, target.zone)]
        eligible = [target for target in members if self._in_view[target] and not self._is_out(target)]
        below, fewer_than = self._service.fail_open_below, self._service.fail_open_fewer
        return members if fails_open(len(eligible), len(members), below, fewer_than) else eligible

    def _zones_for(
        self, hop: Any, place: int, key: Key, excluded: Host | None, eligible: list[Host]
    ) -> tuple[int, Sequence[int]]:
        """Which round-robin memory a choice uses, and the zones it is restricted to (D32, D102)."""
        zones = range(self._outside)
        anywhere = (_ANY, zones)
        if place != self._outside:
            if hop.row.same_zone:
                return place, [place]
            if hop.row.prefer_zone:
                total = sum(target.zone == place for target in self._targets)
                others = sum(target.zone == place and target is not excluded for target in eligible)
                if stays_in_zone(others, total, hop.row.spill_below):
                    return place, [place]
            elif self._row.locality == locality.PREFER:
                return self._preferred(place, key, eligible)
            elif self._row.locality == locality.ZONE_AWARE:
                zone = self._zone_aware(hop.number, place, key, eligible)
                return anywhere if zone == _ANY else (zone, [zone])
        if not self._service.cross_zone:
            present = sorted({target.zone for target in eligible})
            zone = present[index_below(self._bits(ZONE, key), len(present))]
            return zone, [zone]
        return anywhere

    def _preferred(self, place: int, key: Key, eligible: list[Host]) -> tuple[int, Sequence[int]]:
        total = sum(target.zone == place for target in self._targets)
        own = sum(target.zone == place for target in eligible)
        if own == 0:
            return _ANY, range(self._outside)
        stays = locality.share_that_stays(own, total, self._row.spill_below)
        if own == len(eligible) or stays >= 1.0 or unit(self._bits(LOCALITY, key)) < stays:
            return place, [place]
        return _ANY, [zone for zone in range(self._outside) if zone != place]

    def _zone_aware(self, hop: int, place: int, key: Key, eligible: list[Host]) -> int:
        zones = range(self._outside)
        callers = [self._callers(hop, zone) for zone in zones]
        hosts = [sum(target.zone == zone for target in eligible) for zone in zones]
        if len(eligible) < self._row.locality_targets or callers[place] == 0:
            return _ANY
        stays = locality.zone_aware_share(callers[place], sum(callers), hosts[place], len(eligible))
        if unit(self._bits(LOCALITY, key)) < stays:
            return place
        rest = [locality.residual(callers[zone], sum(callers), hosts[zone], len(eligible)) for zone in zones]
        rest[place] = 0
        pick = min(sum(rest) - 1, int(unit(self._bits(LOCALITY_ZONE, key)) * float(sum(rest))))
        for zone in zones:
            pick -= rest[zone]
            if pick < 0 and zone != place:
                return zone
        return _ANY

    def _candidates(
        self, hop: Any, place: int, key: Key, excluded: Host | None, bound: int | None
    ) -> tuple[int, list[Host]]:
        """The targets that a dispatch may go to, at their limits or not, and its round-robin memory."""
        eligible = self._eligible()
        if not eligible:
            return _ANY, []
        memory, zones = (bound, [bound]) if bound is not None else self._zones_for(hop, place, key, excluded, eligible)
        return memory, [target for target in eligible if target is not excluded and target.zone in zones]

    def has_targets(self, hop: Any, place: int, key: Key, excluded: Host | None, bound: int | None) -> bool:
        """Whether there are targets for a dispatch, if only busy ones."""
        return bool(self._candidates(hop, place, key, excluded, bound)[1])

    # The choice.

    def choose(self, hop: Any, place: int, key: Key, excluded: Host | None, bound: int | None = None) -> Host | None:
        """The target of a dispatch, in zone `bound` if any; None: there is none, or all are busy (D101-D105)."""
        memory, candidates = self._candidates(hop, place, key, excluded, bound)
        free = [target for target in candidates if self.standings[target].pending < self._row.per_target]
        if not free:
            return None
        target = self._pick(free, memory, key)
        if self._row.slow_start_ns and self._warmth(target) <= unit(self._bits(SLOW_START, key)):
            warm = [target for target in free if self._warmth(target) >= 1.0]
            target = self._pick(warm, memory, key) if warm else target
        self._last_used[memory] = target.number
        standing, now_ns = self.standings[target], self._clock.now_ns
        if self._row.outliers == outliers.MAX_FAILS and now_ns - standing.checked_ns > self._row.outlier_window_ns:
            standing.checked_ns = now_ns
        return target

    def _pick(self, candidates: list[Host], memory: int, key: Key) -> Host:
        """D103."""
        algorithm, pending = self._service.algorithm, {t: self.standings[t].pending for t in candidates}
        if algorithm == ROUND_ROBIN:
            last = self._last_used.get(memory, -1)
            return next((target for target in candidates if target.number > last), candidates[0])
        bits = self._bits(CHOICE, key)
        if algorithm == LEAST_OUTSTANDING:
            candidates = [target for target in candidates if pending[target] == min(pending.values())]
        if algorithm == WEIGHTED_RANDOM:
            return self._weighted(candidates, bits)
        i = index_below(bits, len(candidates))
        if algorithm in (RANDOM, LEAST_OUTSTANDING) or len(candidates) == 1:
            return candidates[i]
        j = index_below(self._bits(SECOND_CHOICE, key), len(candidates) - 1)
        j += j >= i
        measure: Callable[[Host], float] = self._cost if algorithm == PEAK_EWMA else pending.__getitem__
        return candidates[j] if measure(candidates[j]) < measure(candidates[i]) else candidates[i]

    def _weighted(self, candidates: list[Host], bits: int) -> Host:
        weights = [self._weights[target] for target in candidates]
        if not sum(weights):
            return candidates[index_below(bits, len(candidates))]
        at = index_below(bits, sum(weights))
        for target, weight in zip(candidates, weights, strict=True):
            if at < weight:
                return target
            at -= weight
        raise AssertionError("a draw lies below the sum of the weights")

    def _cost(self, target: Host) -> float:
        standing = self.standings[target]
        elapsed_ns = self._clock.now_ns - standing.stamp_ns
        return decayed_cost(standing.cost, elapsed_ns, self._row.ewma_decay_ns) * float(standing.pending + 1)

    def _warmth(self, target: Host) -> float:
        """The part of its share that a target gets (D105)."""
        standing, row = self.standings[target], self._row
        since_ns = self._clock.now_ns - max(standing.warm_from_ns, standing.ejected_until_ns)
        return warmth(since_ns, row.slow_start_ns, row.slow_start_aggression, row.slow_start_least)

    def _bits(self, purpose: int, key: Key) -> int:
        return key_hash(self._run_key, *key, purpose)

    # What it learns.

    def dispatched(self, target: Host) -> None:
        """A dispatch to the target is pending."""
        self.standings[target].pending += 1

    def ended(self, target: Host, dispatched_ns: int, outcome: Outcome | None, judged: bool) -> None:
        """A dispatch is not pending any more; None: it was cancelled. `judged`: its outcome tells of the target."""
        standing, row, now_ns = self.standings[target], self._row, self._clock.now_ns
        standing.pending -= 1
        if outcome is None:
            return
        if self._service.algorithm == PEAK_EWMA:
            elapsed_ns, latency_ns = now_ns - standing.stamp_ns, now_ns - dispatched_ns
            standing.cost = cost_after(standing.cost, elapsed_ns, row.ewma_decay_ns, latency_ns)
            standing.stamp_ns = now_ns
        bad = bool(row.outlier_on >> outcome & 1)
        if judged and row.outliers == outliers.MAX_FAILS:
            self._count_fail(standing, bad)
        elif judged and row.outliers == outliers.CONSECUTIVE:
            self._sweep()
            self._heard.append((target, bad))
            if not self._is_out(target):
                self._count_error(standing, bad)

    def _count_fail(self, standing: Standing, bad: bool) -> None:
        """As nginx does (D104)."""
        if bad:
            standing.errors += 1
            standing.accessed_ns = standing.checked_ns = self._clock.now_ns
        elif standing.accessed_ns < standing.checked_ns:
            standing.errors = 0

    def _count_error(self, standing: Standing, bad: bool) -> None:
        """As Envoy does (D104)."""
        row, now_ns = self._row, self._clock.now_ns
        standing.errors = standing.errors + 1 if bad else 0
        if standing.errors < row.outlier_errors:
            return
        standing.errors = 0
        self._eject(standing, now_ns)

    def _eject(self, standing: Standing, t_ns: int) -> None:
        """Eject a target, if one more may be (D104)."""
        row, ejected = self._row, sum(t_ns < other.ejected_until_ns for other in self.standings.values())
        if outliers.may_eject(ejected, len(self._targets), row.outlier_share, row.outlier_at_least_one):
            before = outliers.ejections_now(standing.ejections, standing.ejected_until_ns, t_ns, row.outlier_window_ns)
            standing.ejections = before + 1
            standing.ejected_until_ns = outliers.ejected_until(
                t_ns, standing.ejections, row.outlier_base_ns, row.outlier_longest_ns, row.outlier_window_ns
            )

    def _sweep(self) -> None:
        """Compare the targets' rates, if a sweep is due; a later one of several due has heard nothing (D110)."""
        due = self._clock.now_ns // self._row.outlier_window_ns
        if due == self._swept:
            return
        t_ns = (self._swept + 1) * self._row.outlier_window_ns
        self._swept = due
        heard, self._heard = self._heard, []
        results = {target: [bad for of, bad in heard if of is target] for target in self._targets}
        row = self._row
        if row.outlier_factor:
            listed = self._in_question(results, row.outlier_factor_volume, t_ns)
            rates = {target: outliers.success_rate(len(results[target]), sum(results[target])) for target in listed}
            of_all = sum(rates.values()), sum(rate * rate for rate in rates.values()), len(rates)
            for target, rate in rates.items() if len(rates) >= row.outlier_factor_targets else ():
                if outliers.is_below_the_others(rate, *of_all, row.outlier_factor):
                    self._eject(self.standings[target], t_ns)
        if row.outlier_failures:
            listed = self._in_question(results, row.outlier_failures_volume, t_ns)
            for target in listed if len(listed) >= row.outlier_failures_targets else ():
                if outliers.fails_too_often(len(results[target]), sum(results[target]), row.outlier_failures):
                    self._eject(self.standings[target], t_ns)

    def _in_question(self, results: dict[Host, list[bool]], volume: int, t_ns: int) -> list[Host]:
        """The targets that a sweep compares: not ejected, and heard of often enough."""
        return [
            target
            for target, heard in results.items()
            if len(heard) >= volume and t_ns >= self.standings[target].ejected_until_ns
        ]

    def check_passed(self, target: Host) -> None:
        """A health check of the target has passed, which may end its ejection (D104)."""
        if self._row.outliers == outliers.CONSECUTIVE and self._row.outlier_uneject_on_check:
            self._sweep()
            standing = self.standings[target]
            standing.ejected_until_ns = min(standing.ejected_until_ns, self._clock.now_ns)

    def back_in_view(self, target: Host) -> None:
        """The target has returned to the view: its slow start begins (D105)."""
        self.standings[target].warm_from_ns = self._clock.now_ns

    # The node's own work.

    @property
    def works(self) -> bool:
        """Whether passing it on takes the node work."""
        return bool(self._row.node_slots)

    def work_for(self, key: Key) -> int:
        """What one attempt costs a node, ns (D109)."""
        request, _, tag = key
        row, apart = self._row, self._bits(NODE_WORK, key)
        return sample_work(
            row.node_work, row.node_work_a, row.node_work_b, (), 0, 0, self._run_key, request, apart, tag
        )

    def done_ns(self, work_ns: int) -> int | None:
        """When the node is done with an attempt that comes now; None if it has no place for it (D109)."""
        now_ns = self._clock.now_ns
        self._turns = [turn for turn in self._turns if turn > now_ns]
        start_ns = max(now_ns, min(self._taken_until))
        if start_ns > now_ns:
            if len(self._turns) >= self._row.node_queue:
                return None
            self._turns.append(start_ns)
        self._taken_until.remove(min(self._taken_until))
        self._taken_until.append(start_ns + work_ns)
        return start_ns + work_ns

    def empty(self) -> None:
        """Drop what the node works on and what waits for it to (D22)."""
        self._taken_until = [0] * self._row.node_slots
        self._turns = []

    # Waiting.

    def wait(self, waiter: Waiter) -> bool:
        """Let a call wait for a target to get free; False: there is no place for it (D106)."""
        if len(self.waiting) >= self._row.wait_places:
            return False
        self.waiting.append(waiter)
        return True

    def leave(self, waiter: Waiter) -> None:
        """Let a call wait no longer, if it did."""
        if waiter in self.waiting:
            self.waiting.remove(waiter)

    def pump(self) -> None:
        """Give those who wait the targets that are free for them, in the order in which they came (D106)."""
        for waiter in list(self.waiting):
            if waiter.try_target():
                self.waiting.remove(waiter)
