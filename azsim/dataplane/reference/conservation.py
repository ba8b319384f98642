"""What must add up at every instant (C1-C3): each check recounts one thing and raises InternalError."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from azsim.base.errors import InternalError
from azsim.dataplane import layout
from azsim.dataplane.codes import OUTCOMES
from azsim.dataplane.reference.balancer import Balancer
from azsim.dataplane.reference.call import Call
from azsim.dataplane.reference.hop import Hop
from azsim.dataplane.reference.instance import Instance
from azsim.dataplane.reference.ledger import Ledger
from azsim.dataplane.reference.population import Population


def check_requests(ledger: Ledger, populations: Sequence[Population]) -> None:
    """C1: offered = succeeded + failed + in flight, both as it happened and by start."""
    total = np.sum(ledger.populations, axis=0)
    for number, population in enumerate(populations):
        row = total[number]
        in_flight = len(population.calls)
        failed = row[layout.FAILED : layout.FAILED + OUTCOMES].sum()
        started_failed = row[layout.STARTED_FAILED : layout.STARTED_FAILED + OUTCOMES].sum()
        if row[layout.OFFERED] != row[layout.SUCCEEDED] + failed + in_flight:
            raise InternalError(
                f"population {number}: {row[layout.OFFERED]} requests are not {row[layout.SUCCEEDED]} succeeded, "
                f"{failed} failed and {in_flight} in flight"
            )
        if row[layout.SUCCEEDED] != row[layout.STARTED_SUCCEEDED] or failed != started_failed:
            raise InternalError(f"population {number}: outcomes by time and by start differ")
        if row[layout.ATTEMPTS] != row[layout.STARTED_ATTEMPTS]:
            raise InternalError(f"population {number}: attempts by time and by start differ")
    succeeded = sum(row[:, layout.STARTED_SUCCEEDED].sum() for row in ledger.populations)
    if succeeded != sum(row.sum() for row in ledger.latency):
        raise InternalError("the latency histogram does not hold every success")


def check_attempts(ledger: Ledger, hops: Sequence[Hop], calls: Sequence[Call]) -> None:
    """C2: attempts = outcomes + in flight, per hop."""
    in_flight = Counter(call.hop.number for call in calls for _ in call.open)
    for hop in hops:
        sent, ended = ledger.hop_attempts[hop.number], sum(ledger.hop_outcomes[hop.number])
        if sent != ended + in_flight[hop.number]:
            raise InternalError(
                f"hop {hop.number}: {sent} attempts are not {ended} ended and {in_flight[hop.number]} in flight"
            )


def check_targets(balancers: Sequence[Balancer], calls: Sequence[Call]) -> None:
    """The balancers count as outstanding exactly the dispatches that callers wait for."""
    attempts = [attempt for call in calls for attempt in call.open]
    waited_for = Counter(attempt.dispatch.target.number for attempt in attempts if attempt.dispatch is not None)
    waiters = {waiter for balancer in balancers for proxy in balancer.proxies for waiter in proxy.waiting}
    if not waiters <= {attempt for attempt in attempts if attempt.dispatch is None}:
        raise InternalError("a proxy holds attempts that do not wait for a target")
    for balancer in balancers:
        for target in balancer.outstanding if balancer.proxies else ():
            pending = sum(proxy.standings[target].pending for proxy in balancer.proxies)
            if pending != balancer.outstanding[target]:
                raise InternalError(
                    f"instance {target.number}: {pending} pending at proxies, not all of those waited for"
                )
        for target, outstanding in balancer.outstanding.items():
            if outstanding != waited_for[target.number]:
                raise InternalError(
                    f"instance {target.number}: {outstanding} outstanding, {waited_for[target.number]} waited for"
                )


def check_instances(instances: Sequence[Instance]) -> None:
    """Slots, queue places and the CPU hold exactly the jobs that are there."""
    for instance in instances:
        contradiction = instance.check()
        if contradiction:
            raise InternalError(f"instance {instance.number}: {contradiction}")


def check_cpu(ledger: Ledger, instances: Sequence[Instance], in_progress: int) -> None:
    """C3: CPU time = useful + wasted + in progress."""
    used = sum(instance.cpu.reading()[0] for instance in instances)
    settled = sum(int(row[:, [layout.USEFUL, layout.WASTED]].sum()) for row in ledger.services)
    if used != settled + in_progress:
        raise InternalError(f"CPU time {used} is not {settled} settled and {in_progress} in progress")


def check_budgets(hops: Sequence[Hop]) -> None:
    """No bucket is overdrawn or overfull."""
    for hop in hops:
        if hop.row.buckets_first >= 0:
            for tokens in hop.tokens[hop.row.buckets_first : hop.row.buckets_first + hop.clients]:
                if not 0 <= tokens <= hop.row.budget_capacity:
                    raise InternalError(f"hop {hop.number}: a bucket holds {tokens} of {hop.row.budget_capacity}")
