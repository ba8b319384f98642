"""A hop: who calls which service with which policy and budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from azsim.base.seeds import NODE, key_hash
from azsim.dataplane.codes import Outcome
from azsim.dataplane.reference.balancer import Balancer
from azsim.dataplane.reference.clock import Clock, Key
from azsim.dataplane.reference.connections import Pool
from azsim.dataplane.reference.guard import Guard
from azsim.dataplane.reference.ledger import Ledger
from azsim.dataplane.reference.names import Address, Name
from azsim.dataplane.reference.network import Action, Host, Network
from azsim.dataplane.reference.proxy import Proxy
from azsim.dataplane.reference.store import Store
from azsim.policy.distributions import index_below
from azsim.policy.guards import GRPC, grpc_allows
from azsim.policy.hedging import OF_RETRIES


@dataclass(slots=True, eq=False)
class Hop:
    """What all calls over one hop share.

    row, policy: its rows of Plan.hops and Plan.policies; clients: how many client processes call over it (a service's
    instances are its own); tokens: every bucket of the run, thousandths of a token. A client is the number of a client
    process.
    """

    number: int
    row: Any
    clients: int
    run_key: int
    balancer: Balancer
    clock: Clock
    network: Network
    ledger: Ledger
    tokens: list[int]
    policy: Any
    store: Store | None  # of the service that is called
    retries_on: bool = True
    proxies: Sequence[Proxy] = ()  # of its client processes, or one for all of them; none: the balancer itself (D100)
    name: Name | None = None  # of a zonal balancer
    addresses: list[Address] = field(default_factory=list)  # of that name, by client process
    pump: Action = lambda: None  # lets proxies use what attempts that were given up have left
    guards: list[Guard] = field(init=False)
    pools: dict[tuple[int, int], Pool] = field(default_factory=dict)  # by client and number of the target

    def __post_init__(self) -> None:
        self.guards = [self._new_guard() for _ in range(self.clients)]
        for client in range(self.clients):
            self.refill(client)

    def _new_guard(self) -> Guard:
        return Guard(self.policy, self.run_key, self.clock)

    def change(self, fields: Mapping[str, Any], of_policy: Mapping[str, Any]) -> None:
        """Let fields of its two rows be others from now on; buckets hold no more than they now can (D57)."""
        for row, values in ((self.row, fields), (self.policy, of_policy)):
            for name, value in values.items():
                setattr(row, name, value)
        for client in range(self.clients):
            self.deposit(client, 0)

    def deposit(self, client: int, amount: int) -> None:
        """Put tokens into a client's bucket, up to its capacity."""
        if self.row.buckets_first >= 0:
            bucket = self.row.buckets_first + client
            self.tokens[bucket] = min(self.row.budget_capacity, self.tokens[bucket] + amount)

    def pay(self, client: int, cost: int) -> bool:
        """Take tokens from a client's bucket; False if it holds too few."""
        if self.row.buckets_first >= 0:
            bucket = self.row.buckets_first + client
            if self.tokens[bucket] < cost:
                return False
            self.tokens[bucket] -= cost
        return True

    def pool(self, client: int, target: Host) -> Pool | None:
        """A client's connections to a target; None: they cost nothing (R9)."""
        if not self.policy.pool_max:
            return None
        return self.pools.setdefault((client, target.number), Pool(self.policy, self.clock))

    def fill_pools(self) -> None:
        """Let those who wait for connections have what is free, client by client, target by target."""
        for key in sorted(self.pools):
            self.pools[key].fill()

    def close(self, client: int | None = None, target: Host | None = None) -> None:
        """All connections of a client process, or to a target, are gone (D126)."""
        for (whose, where), pool in self.pools.items():
            if whose == client or (target is not None and where == target.number):
                pool.close()

    def proxy_of(self, client: int, key: Key, zone: int | None = None) -> Proxy | None:
        """The proxy that a client's attempt goes through (D100): its own, or one drawn by key, in a zone if given."""
        if not self.proxies:
            return None
        if self.proxies[0].is_callers:
            return self.proxies[client]
        nodes = [proxy for proxy in self.proxies if zone is None or proxy.zone == zone]
        return nodes[index_below(key_hash(self.run_key, *key, NODE), len(nodes))]

    def zone_for(self, client: int, place: int, key: Key) -> int | None:
        """The zone whose node a client's attempt goes to, None: the name does not resolve (D112)."""
        assert self.name is not None
        return self.name.zone_for(self.addresses[client], place, key)

    def resolve_by(self, name: Name) -> None:
        """Let the clients find their balancer by a name."""
        self.name = name
        self.addresses = [Address() for _ in range(self.clients)]

    def refill(self, client: int) -> None:
        """Fill a client's bucket."""
        self.deposit(client, self.row.budget_capacity)

    def restart(self, client: int) -> None:
        """A client process starts anew: its bucket is full, and it remembers nothing (D33)."""
        self.refill(client)
        self.guards[client] = self._new_guard()
        self.close(client=client)
        if self.name is not None:
            self.addresses[client] = Address()

    def hears(self, client: int, period: int | None, outcome: Outcome) -> None:
        """An attempt of a client has its outcome (D62, D63, D68); `period` is what the breaker gave it."""
        self.guards[client].breaker.hears(period, outcome)
        if self.policy.budget == GRPC and self.row.retry_on >> outcome & 1:
            bucket = self.row.buckets_first + client
            self.tokens[bucket] = max(0, self.tokens[bucket] - 1000)
        self.guards[client].hears(outcome)
        if self.name is not None:
            self.name.hears(self.addresses[client], outcome)

    def allows_hedge(self, client: int) -> bool:
        """Whether a client may make a hedge, which then takes its share of the budget (D121)."""
        if not self.retries_on:
            return False
        if self.policy.hedge_budget == OF_RETRIES:
            guard = self.guards[client]
            return (
                not guard.breaker.stops_retries and self.pay(client, self.row.budget_cost) and self.allows_retry(client)
            )
        return self.guards[client].allows_hedge()

    def allows_retry(self, client: int) -> bool:
        """Whether a client's budget, if it is no bucket to pay from, lets it retry (D61, D62)."""
        if self.policy.budget == GRPC:
            return grpc_allows(self.tokens[self.row.buckets_first + client], self.row.budget_capacity)
        return self.guards[client].allows_retry()
