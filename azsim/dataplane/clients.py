"""The kernel's clients: requests that arrive, whose they are and where they come from (R1, R2, D3, D54)."""

from __future__ import annotations

from typing import Any

from azsim.base.jit import hot, part
from azsim.base.seeds import CLIENT, PLACE, key_hash
from azsim.dataplane.arrivals import find_first_arrival, plan_arrivals
from azsim.dataplane.caller import begin
from azsim.dataplane.layout import OFFERED, POPULATION_COLUMNS
from azsim.dataplane.program_pools import branches_of
from azsim.dataplane.state import (
    BATCH,
    NONE,
    arrivals_of,
    calls_of,
    hops_of,
    new_call,
    places_of,
    population_rows_of,
    populations_of,
)
from azsim.policy.distributions import index_below


@hot
def request_arrives(a: Any, rich: Any) -> None:
    """D3."""
    p = a.arrival_population
    population = populations_of(a)[p]
    request = population.next_request
    c = _open_request(a, p, request, request)
    population.next_request = request + 1
    upcoming = population.upcoming
    arrivals = arrivals_of(a)
    population.threshold = arrivals[p * BATCH + upcoming].threshold
    if upcoming + 1 < population.batched:
        population.upcoming = upcoming + 1
        population.next_ns = arrivals[p * BATCH + upcoming + 1].t_ns
        find_first_arrival(a)
    else:
        plan_arrivals(a, p)
    if rich is not None:
        branches_of(a)[c].zone = NONE
    begin(a, c, _client_of(a, p, request, rich), rich)


@part
def user_asks(a: Any, p: int, request: int, rich: Any) -> None:
    """A closed-loop user has thought and sends a request (D54)."""
    first = p << 44
    home = first + (request - first) % populations_of(a)[p].users
    c = _open_request(a, p, request, home)
    branches_of(a)[c].zone = NONE
    begin(a, c, _client_of(a, p, home, rich), rich)


@hot
def _client_of(a: Any, p: int, home: int, rich: Any) -> int:
    """Which client process a request comes from; `home`: the request that chance is drawn for."""
    population = populations_of(a)[p]
    if (hops_of(a)[population.hop].buckets_first >= 0 or rich is not None) and population.clients > 1:
        return index_below(key_hash(a.key, home, a.epoch, 0, CLIENT), population.clients)
    return 0


@hot
def _open_request(a: Any, p: int, request: int, home: int) -> int:
    """A request begins, unsent as yet; its call."""
    population = populations_of(a)[p]
    t_ns = a.now_ns
    c = new_call(a)
    call = calls_of(a)[c]
    call.request = request
    call.path = a.epoch
    call.start_ns = t_ns
    call.row = a.row
    call.parent = NONE
    call.tag = 0
    call.hop = population.hop
    places = places_of(a)
    place = population.places_first
    if population.places_count > 1:
        u = key_hash(a.key, home, a.epoch, 0, PLACE) >> 31
        while u >= places[place].upto:
            place += 1
    call.place = places[place].place
    population_rows_of(a)[(a.row * a.populations_length + p) * POPULATION_COLUMNS + OFFERED] += 1
    population.in_flight += 1
    return c
