"""The kernel's proxies: balancers that keep count of their targets and choose by it (B3, B5, D100-D105).

All of it is compiled into the full variant alone. A proxy lists the candidates of a choice afresh each time: what it
holds of a target may have changed with time alone.
"""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.base.seeds import CHOICE, LOCALITY, LOCALITY_ZONE, NODE, SECOND_CHOICE, SLOW_START, ZONE, key_hash
from azsim.dataplane.codes import INFINITE
from azsim.dataplane.names import zone_of_node
from azsim.dataplane.policy_state import extras_of
from azsim.dataplane.proxy_pools import (
    balancing_of,
    hop_callers_of,
    hop_proxies_of,
    picks_of,
    proxies_of,
    standings_of,
    turns_of,
    weights_of,
)
from azsim.dataplane.standings import is_out, standing_of, sweep
from azsim.dataplane.state import (
    NONE,
    calls_of,
    hops_of,
    instances_of,
    np_int,
    services_of,
)
from azsim.policy.balancing import (
    CALLER,
    LEAST_OUTSTANDING,
    PEAK_EWMA,
    RANDOM,
    ROUND_ROBIN,
    WEIGHTED_RANDOM,
    ZONAL,
    decayed_cost,
    fails_open,
    stays_in_zone,
    warmth,
)
from azsim.policy.distributions import index_below, unit
from azsim.policy.locality import ANYWHERE, PREFER, residual, share_that_stays, zone_aware_share
from azsim.policy.outliers import (
    MAX_FAILS,
)

FULL = -2  # targets there are, but all at their limit

_ANY = -1  # no restriction; z >= 0: zone z alone; -2 - z: all zones but z


@part
def proxy_of(a: Any, c: int) -> int:
    """The proxy that a call's next attempt goes through (D100, D112); NONE: its name does not resolve."""
    h = calls_of(a)[c].hop
    b = balancing_of(a)[hops_of(a)[h].service]
    if b.placement == CALLER:
        return hop_proxies_of(a)[h] + extras_of(a)[c].client
    first = np_int(b.proxies_first)
    count = np_int(b.proxies_count)
    if b.placement == ZONAL:
        zone = zone_of_node(a, c)
        if zone < 0:
            return NONE
        count = np_int(b.nodes_per_zone)
        first += zone * count
    if count == 1:
        return first
    call = calls_of(a)[c]
    return first + index_below(key_hash(a.key, call.request, call.path, call.tag, NODE), count)


@part
def origin(a: Any, p: int, c: int) -> int:
    """The place whose zone counts in a choice: a zonal node's own, else the caller's."""
    zone = np_int(proxies_of(a)[p].zone)
    return zone if zone >= 0 else np_int(calls_of(a)[c].place)


@part
def is_split(a: Any, p: int, h: int) -> bool:
    """Whether one call may find no target where another one does, because the balancer restricts its zones."""
    s = proxies_of(a)[p].service
    if hops_of(a)[h].same_zone == 1 or hops_of(a)[h].prefer_zone == 1:
        return True
    return balancing_of(a)[s].locality != ANYWHERE or services_of(a)[s].cross_zone == 0


# --- candidates ----------------------------------------------------------------------------------------------------


@part
def _list_eligible(a: Any, p: int) -> int:
    """Put the targets that a proxy may use into `picks` (D101); how many."""
    proxy = proxies_of(a)[p]
    s = proxy.service
    service = services_of(a)[s]
    instances = instances_of(a)
    picks = picks_of(a)
    own = NONE  # the only zone whose targets it may use
    if service.cross_zone == 0:
        own = np_int(proxy.zone)
    n = 0
    members = 0
    for k in range(service.instances_count):
        i = service.instances_first + k
        if instances[i].member == 0 or (own >= 0 and instances[i].zone != own):
            continue
        members += 1
        if instances[i].in_view == 1 and not is_out(a, s, proxy.standings_first + k):
            picks[n] = i
            n += 1
    if n < members and fails_open(n, members, service.fail_open_below, service.fail_open_fewer):
        n = 0
        for i in range(service.instances_first, service.instances_first + service.instances_count):
            if instances[i].member == 1 and (own < 0 or instances[i].zone == own):
                picks[n] = i
                n += 1
    return n


@part
def _count_in(a: Any, n: int, zone: int) -> int:
    instances = instances_of(a)
    picks = picks_of(a)
    count = 0
    for k in range(n):
        if instances[picks[k]].zone == zone:
            count += 1
    return count


@part
def _callers_in(a: Any, h: int, zone: int) -> int:
    """Callers of a hop in a zone: shares of a population, or members in view of a calling service (D102)."""
    hop = hops_of(a)[h]
    if hop.caller < 0:
        return hop_callers_of(a)[h * a.zones + zone]
    service = services_of(a)[hop.caller]
    instances = instances_of(a)
    count = 0
    for i in range(service.instances_first, service.instances_first + service.instances_count):
        if instances[i].zone == zone and instances[i].in_view == 1 and instances[i].member == 1:
            count += 1
    return count


@part
def _zone_aware(a: Any, s: int, h: int, place: int, n: int, request: int, path: int, tag: int) -> int:
    """Envoy's zone-aware routing (D102)."""
    if n < balancing_of(a)[s].locality_targets:
        return _ANY
    callers = 0
    for z in range(a.zones):
        callers += _callers_in(a, h, z)
    here = _callers_in(a, h, place)
    if here == 0:
        return _ANY
    own = _count_in(a, n, place)
    if unit(key_hash(a.key, request, path, tag, LOCALITY)) < zone_aware_share(here, callers, own, n):
        return place
    rest = 0
    for z in range(a.zones):
        if z != place:
            rest += residual(_callers_in(a, h, z), callers, _count_in(a, n, z), n)
    pick = min(rest - 1, int(unit(key_hash(a.key, request, path, tag, LOCALITY_ZONE)) * float(rest)))
    for z in range(a.zones):
        if z != place:
            pick -= residual(_callers_in(a, h, z), callers, _count_in(a, n, z), n)
            if pick < 0:
                return z
    return _ANY


@part
def _restriction(a: Any, s: int, h: int, place: int, excluded: int, n: int, request: int, path: int, tag: int) -> int:
    """To which zones a choice among the n eligible is restricted (D32, D102)."""
    service = services_of(a)[s]
    b = balancing_of(a)[s]
    if place < a.zones:
        if hops_of(a)[h].same_zone == 1:
            return place
        total = 0
        instances = instances_of(a)
        for i in range(service.instances_first, service.instances_first + service.instances_count):
            if instances[i].zone == place:
                total += 1
        own = _count_in(a, n, place)
        if hops_of(a)[h].prefer_zone == 1:
            others = own
            for k in range(n):
                if picks_of(a)[k] == excluded and instances[excluded].zone == place:
                    others -= 1
            if stays_in_zone(others, total, hops_of(a)[h].spill_below):
                return place
        elif b.locality == PREFER:
            if own == 0:
                return _ANY
            if own == n:
                return place
            stays = share_that_stays(own, total, b.spill_below)
            if stays >= 1.0 or unit(key_hash(a.key, request, path, tag, LOCALITY)) < stays:
                return place
            return -2 - place
        elif b.locality != ANYWHERE:
            return _zone_aware(a, s, h, place, n, request, path, tag)
    if service.cross_zone == 0 and n > 0:
        zones_with = 0
        for z in range(a.zones):
            if _count_in(a, n, z) > 0:
                zones_with += 1
        pick = index_below(key_hash(a.key, request, path, tag, ZONE), zones_with)
        for z in range(a.zones):
            if _count_in(a, n, z) > 0:
                if pick == 0:
                    return z
                pick -= 1
    return _ANY


@part
def _is_inside(zone: int, restriction: int) -> bool:
    if restriction >= 0:
        return zone == restriction
    return restriction == _ANY or zone != -2 - restriction


# --- the choice ----------------------------------------------------------------------------------------------------


@part
def _cost(a: Any, p: int, i: int) -> float:
    """What peak EWMA compares: the cost now, times what is pending and one more (D103)."""
    b = balancing_of(a)[proxies_of(a)[p].service]
    standing = standings_of(a)[standing_of(a, p, i)]
    return decayed_cost(standing.cost, a.now_ns - standing.stamp_ns, b.ewma_decay_ns) * float(standing.pending + 1)


@part
def _weighted(a: Any, n: int, bits: int) -> int:
    """Index of a pick by weight; by plain chance where all weigh nothing."""
    picks = picks_of(a)
    weights = weights_of(a)
    total = 0
    for k in range(n):
        total += weights[picks[k]]
    if total == 0:
        return index_below(bits, n)
    at = index_below(bits, total)
    k = 0
    while at >= weights[picks[k]]:
        at -= weights[picks[k]]
        k += 1
    return k


@part
def _fewest(a: Any, p: int, n: int, bits: int) -> int:
    """Index of a pick with the fewest pending, ties by key."""
    picks = picks_of(a)
    standings = standings_of(a)
    least = INFINITE
    ties = 0
    for k in range(n):
        pending = standings[standing_of(a, p, picks[k])].pending
        if pending < least:
            least = pending
            ties = 1
        elif pending == least:
            ties += 1
    skip = index_below(bits, ties)
    for k in range(n):
        if standings[standing_of(a, p, picks[k])].pending == least:
            if skip == 0:
                return k
            skip -= 1
    return 0


@part
def _pick(a: Any, p: int, turn: int, n: int, request: int, path: int, tag: int) -> int:
    """The target among the first n of `picks`, by the algorithm (D103)."""
    picks = picks_of(a)
    algorithm = services_of(a)[proxies_of(a)[p].service].algorithm
    if algorithm == ROUND_ROBIN:
        last = turns_of(a)[turn]
        for k in range(n):
            if picks[k] > last:
                return np_int(picks[k])
        return np_int(picks[0])
    bits = key_hash(a.key, request, path, tag, CHOICE)
    if algorithm == LEAST_OUTSTANDING:
        return np_int(picks[_fewest(a, p, n, bits)])
    if algorithm == WEIGHTED_RANDOM:
        return np_int(picks[_weighted(a, n, bits)])
    k = index_below(bits, n)
    if algorithm == RANDOM or n == 1:
        return np_int(picks[k])
    m = index_below(key_hash(a.key, request, path, tag, SECOND_CHOICE), n - 1)
    if m >= k:
        m += 1
    i = np_int(picks[k])
    j = np_int(picks[m])
    if algorithm == PEAK_EWMA:
        return j if _cost(a, p, j) < _cost(a, p, i) else i
    standings = standings_of(a)
    return j if standings[standing_of(a, p, j)].pending < standings[standing_of(a, p, i)].pending else i


@part
def _warmth(a: Any, p: int, i: int) -> float:
    """The part of its share that a target gets (D105)."""
    b = balancing_of(a)[proxies_of(a)[p].service]
    standing = standings_of(a)[standing_of(a, p, i)]
    back_ns = max(standing.warm_from_ns, standing.ejected_until_ns)
    return warmth(a.now_ns - back_ns, b.slow_start_ns, b.slow_start_aggression, b.slow_start_least)


@part
def _warm_only(a: Any, p: int, n: int) -> int:
    """Keep of the first n of `picks` those that are not in slow start; how many."""
    picks = picks_of(a)
    rest = 0
    for k in range(n):
        if _warmth(a, p, picks[k]) >= 1.0:
            picks[rest] = picks[k]
            rest += 1
    return rest


@part
def choose_at(a: Any, p: int, h: int, place: int, bound: int, excluded: int, request: int, path: int, tag: int) -> int:
    """The target, in zone `bound` if that is one, of a dispatch (D101-D105); FULL, or NONE if there is none."""
    s = proxies_of(a)[p].service
    b = balancing_of(a)[s]
    picks = picks_of(a)
    instances = instances_of(a)
    standings = standings_of(a)
    sweep(a, p)
    eligible = _list_eligible(a, p)
    if eligible == 0:
        return NONE
    zone = bound
    if bound < 0:
        zone = _restriction(a, s, h, place, excluded, eligible, request, path, tag)
    others = 0  # candidates, at their limit or not
    n = 0
    for k in range(eligible):
        i = np_int(picks[k])
        if i == excluded or not _is_inside(instances[i].zone, zone):
            continue
        others += 1
        if standings[standing_of(a, p, i)].pending < b.per_target:
            picks[n] = i
            n += 1
    if n == 0:
        return FULL if others > 0 else NONE
    turn = p * (a.zones + 1) + (zone if zone >= 0 else a.zones)
    i = _pick(a, p, turn, n, request, path, tag)
    if b.slow_start_ns > 0:
        part_of_share = _warmth(a, p, i)
        if part_of_share < 1.0 and unit(key_hash(a.key, request, path, tag, SLOW_START)) >= part_of_share:
            n = _warm_only(a, p, n)
            if n > 0:
                i = _pick(a, p, turn, n, request, path, tag)
    turns_of(a)[turn] = i
    if b.outliers == MAX_FAILS:
        standing = standings[standing_of(a, p, i)]
        if a.now_ns - standing.checked_ns > b.outlier_window_ns:
            standing.checked_ns = a.now_ns
    return i
