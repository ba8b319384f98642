"""The kernel's names: to which zone's node a client's attempt goes (B2, D112); in rich kernels."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import part
from azsim.base.seeds import ADDRESS, LOOKUP, key_hash
from azsim.dataplane.codes import Outcome
from azsim.dataplane.policy_state import extras_of
from azsim.dataplane.program_pools import branches_of
from azsim.dataplane.proxy_pools import addresses_of, balancing_of, hop_addresses_of, listed_of, unresolved_of
from azsim.dataplane.state import NONE, calls_of, hops_of, np_int
from azsim.policy.distributions import index_below, unit
from azsim.policy.names import nth_zone, zones_in

_BROKEN = 1 << Outcome.TIMEOUT | 1 << Outcome.REFUSED | 1 << Outcome.RESET  # a connection does not outlive these


@part
def zone_of_node(a: Any, c: int) -> int:
    """The zone whose node a call's attempt goes to; NONE if its client has no address."""
    bound = np_int(branches_of(a)[c].zone)
    if bound >= 0:
        return bound
    call = calls_of(a)[c]
    s = hops_of(a)[call.hop].service
    b = balancing_of(a)[s]
    address = addresses_of(a)[hop_addresses_of(a)[call.hop] + extras_of(a)[c].client]
    if a.now_ns < address.open_until_ns:
        return address.zone
    if a.now_ns >= address.fresh_until_ns:
        if unresolved_of(a)[s] == 0:
            address.answer = _look_up(a, c, s)
            address.fresh_until_ns = a.now_ns + b.dns_ttl_ns
        elif b.dns_stale == 0 or address.answer == 0:
            return NONE
    n = index_below(key_hash(a.key, call.request, call.path, call.tag, ADDRESS), zones_in(address.answer, a.zones))
    address.zone = nth_zone(address.answer, n, a.zones)
    address.open_until_ns = a.now_ns + b.dns_keep_ns
    return address.zone


@part
def _look_up(a: Any, c: int, s: int) -> int:
    call = calls_of(a)[c]
    listed = listed_of(a)
    if call.place < a.zones and listed[s * a.zones + call.place] == 1:
        u = unit(key_hash(a.key, call.request, call.path, call.tag, LOOKUP))
        if u < balancing_of(a)[s].dns_own_zone:
            return 1 << call.place
    answer = 0
    for zone in range(a.zones):
        answer |= listed[s * a.zones + zone] << zone
    return answer


@part
def close_connection(a: Any, c: int, outcome: int) -> None:
    """An attempt has failed in a way after which its client makes a new connection."""
    first = hop_addresses_of(a)[calls_of(a)[c].hop]
    if first >= 0 and (_BROKEN >> outcome) & 1 == 1:
        address = addresses_of(a)[first + extras_of(a)[c].client]
        address.open_until_ns = min(address.open_until_ns, a.now_ns)


@part
def forget_address(a: Any, h: int, client: int) -> None:
    """A client process starts anew (D33)."""
    if hop_addresses_of(a)[h] >= 0:
        address = addresses_of(a)[hop_addresses_of(a)[h] + client]
        address.answer = 0
        address.fresh_until_ns = 0
        address.open_until_ns = 0
