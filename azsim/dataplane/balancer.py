"""The kernel's balancers: eligible targets and the choice among them (B3, B4, O4, D5)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import hot, part
from azsim.base.seeds import CHOICE, SECOND_CHOICE, ZONE, key_hash
from azsim.dataplane.codes import INFINITE
from azsim.dataplane.state import (
    NONE,
    instances_of,
    np_int,
    services_of,
    shelves_of,
    targets_of,
)
from azsim.policy.balancing import LEAST_OUTSTANDING, RANDOM, ROUND_ROBIN, fails_open, stays_in_zone
from azsim.policy.distributions import index_below


@part
def list_targets(a: Any, s: int, rich: Any) -> None:
    """Make anew the list of a service's eligible targets, from its view (B4)."""
    service = services_of(a)[s]
    instances = instances_of(a)
    targets = targets_of(a)
    shelves = shelves_of(a)
    first = service.instances_first
    end = first + service.instances_count
    healthy = 0
    members = 0
    for i in range(first, end):
        members += instances[i].member
        healthy += instances[i].in_view * instances[i].member
    everyone = fails_open(healthy, members, service.fail_open_below, service.fail_open_fewer)
    for z in range(a.zones):
        shelf = shelves[s * a.zones + z]
        shelf.count = 0
        shelf.position = NONE
    k = service.targets_first
    for i in range(first, end):
        if instances[i].member == 1 and (everyone or instances[i].in_view == 1):
            shelf = shelves[s * a.zones + instances[i].zone]
            if shelf.count == 0:
                shelf.first = k
            shelf.count += 1
            targets[k] = i
            k += 1
    service.targets_count = k - service.targets_first
    service.position = NONE


@part
def _next_in_turn(targets: Any, first: int, count: int, last: int, position: int, excluded: int) -> int:
    """Position of the next target after `last`, the excluded one passed over; `count` targets, one of them allowed."""
    k = 0
    if position >= 0:
        k = position + 1
        if k >= count:
            k = 0
    else:
        while k < count and targets[first + k] <= last:
            k += 1
        if k >= count:
            k = 0
    if targets[first + k] == excluded:
        k += 1
        if k >= count:
            k = 0
    return k


@part
def _least_outstanding(a: Any, first: int, count: int, excluded: int, request: int, path: int, tag: int) -> int:
    targets = targets_of(a)
    instances = instances_of(a)
    least = INFINITE
    ties = 0
    for k in range(first, first + count):
        i = targets[k]
        if i == excluded:
            continue
        n = instances[i].outstanding
        if n < least:
            least = n
            ties = 1
        elif n == least:
            ties += 1
    pick = 0
    if ties > 1:
        pick = index_below(key_hash(a.key, request, path, tag, CHOICE), ties)
    for k in range(first, first + count):
        i = targets[k]
        if i != excluded and instances[i].outstanding == least:
            if pick == 0:
                return i
            pick -= 1
    return NONE


@part
def _choose(
    a: Any, s: int, place: int, same_zone: int, excluded: int, request: int, path: int, tag: int, rich: Any
) -> int:
    service = services_of(a)[s]
    shelves = shelves_of(a)
    targets = targets_of(a)
    first = service.targets_first
    count = np_int(service.targets_count)
    shelf = NONE
    if same_zone == 1 and place < a.zones:
        shelf = s * a.zones + place
    elif service.cross_zone == 0 and count > 0:
        zones_with = 0
        for z in range(a.zones):
            if shelves[s * a.zones + z].count > 0:
                zones_with += 1
        pick = index_below(key_hash(a.key, request, path, tag, ZONE), zones_with)
        for z in range(a.zones):
            if shelves[s * a.zones + z].count > 0:
                if pick == 0:
                    shelf = s * a.zones + z
                    break
                pick -= 1
    if shelf >= 0:
        first = shelves[shelf].first
        count = np_int(shelves[shelf].count)
    out = 0  # position of the excluded target, count if it is not a candidate
    allowed = count
    if excluded >= 0:
        while out < count and targets[first + out] != excluded:
            out += 1
        if out < count:
            allowed = count - 1
    if allowed <= 0:
        return NONE
    if service.algorithm == ROUND_ROBIN:
        if shelf >= 0:
            k = _next_in_turn(targets, first, count, shelves[shelf].last, shelves[shelf].position, excluded)
            shelves[shelf].position = k
            shelves[shelf].last = targets[first + k]
        else:
            k = _next_in_turn(targets, first, count, service.last, service.position, excluded)
            service.position = k
            service.last = targets[first + k]
        return np_int(targets[first + k])
    if service.algorithm == LEAST_OUTSTANDING:
        return _least_outstanding(a, first, count, excluded, request, path, tag)
    k = index_below(key_hash(a.key, request, path, tag, CHOICE), allowed)
    if service.algorithm == RANDOM or allowed == 1:
        if allowed < count and k >= out:
            k += 1
        return np_int(targets[first + k])
    # Two choices, without replacement.
    m = index_below(key_hash(a.key, request, path, tag, SECOND_CHOICE), allowed - 1)
    if m >= k:
        m += 1
    if allowed < count:
        if k >= out:
            k += 1
        if m >= out:
            m += 1
    instances = instances_of(a)
    i = np_int(targets[first + k])
    j = np_int(targets[first + m])
    return j if instances[j].outstanding < instances[i].outstanding else i


@part
def spills(a: Any, s: int, zone: int, spill_below: float, excluded: int) -> bool:
    """Whether a call from `zone` that prefers it goes to any zone all the same (D48)."""
    shelf = shelves_of(a)[s * a.zones + zone]
    eligible = np_int(shelf.count)
    if excluded >= 0 and instances_of(a)[excluded].zone == zone:
        targets = targets_of(a)
        for k in range(shelf.first, shelf.first + shelf.count):
            if targets[k] == excluded:
                eligible -= 1
    return not stays_in_zone(eligible, shelf.present, spill_below)


@hot
def choose(
    a: Any, s: int, place: int, same_zone: int, excluded: int, request: int, path: int, tag: int, rich: Any
) -> int:
    """The instance that gets a dispatch, NONE if there is none."""
    service = services_of(a)[s]
    whole = service.cross_zone == 1 and (same_zone == 0 or place == a.zones)
    if whole and service.algorithm == ROUND_ROBIN and service.position >= 0 and excluded < 0:
        # The common case, without detours: the turn goes to the next on the list.
        k = service.position + 1
        if k >= service.targets_count:
            k = 0
        i = np_int(targets_of(a)[service.targets_first + k])
        service.position = k
        service.last = i
        return i
    return _choose(a, s, place, same_zone, excluded, request, path, tag, rich)
