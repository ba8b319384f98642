"""A hop: who calls which service with which policy and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azsim.dataplane.reference.balancer import Balancer
from azsim.dataplane.reference.clock import Clock
from azsim.dataplane.reference.ledger import Ledger
from azsim.dataplane.reference.network import Network


@dataclass(slots=True, eq=False)
class Hop:
    """What all calls over one hop share.

    row: its row of Plan.hops; clients: how many client processes call over it (a service's instances are its own);
    tokens: every bucket of the run, thousandths of a token. A client is the number of a client process.
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
    retries_on: bool = True

    def __post_init__(self) -> None:
        for client in range(self.clients):
            self.refill(client)

    def change(self, fields: Mapping[str, Any]) -> None:
        """Let its policy be another from now on; buckets hold no more than they now can (D57)."""
        for field, value in fields.items():
            setattr(self.row, field, value)
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

    def refill(self, client: int) -> None:
        """Fill a client's bucket."""
        self.deposit(client, self.row.budget_capacity)
