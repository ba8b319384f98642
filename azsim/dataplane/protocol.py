"""What the control plane may ask of a data plane. The kernel and the reference both keep to it.

Time: `advance(until_ns)` lets every event with t < until_ns happen (closed left, open right). The calls below it act at
the instant the data plane has reached, before any event of that instant; after a notice at t they act after all data of
t, and what they change affects data from t + 1 ns on (O1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from azsim.dataplane.codes import InstanceState, Reason
from azsim.dataplane.layout import Int64s, Plan, Recording


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a controller waits for: the sensed health of a target has flipped (O9)."""

    t_ns: int
    instance: int
    healthy: bool


class DataPlane(Protocol):
    """A simulated data plane. Build one with `Kernel(plan)` or `Reference(plan)`."""

    @property
    def plan(self) -> Plan:
        """The tables this data plane runs on."""
        ...

    @property
    def now_ns(self) -> int:
        """The instant reached: every event before it has happened."""
        ...

    def advance(self, until_ns: int) -> Reason:
        """Let all events before `until_ns` happen, or stop early.

        REACHED: now is until_ns. NOTICE: at least one notice was raised at some t < until_ns; all data of t has
        happened, now is t, and `take_notices` has them. Raises LimitError when memory passes the user's bound.
        """
        ...

    def take_notices(self) -> list[Notice]:
        """The notices raised since last asked, in the order of their events."""
        ...

    def cut_row(self) -> int:
        """End the current row of the recording here and begin the next; its number."""
        ...

    def ended(self) -> tuple[int, int]:
        """Requests that have succeeded and that have failed so far, all populations together (J6 reads it)."""
        ...

    def lost_writes(self) -> int:
        """Acknowledged writes that no replica holds any more, of all stores, so far (R11; J6 reads it)."""
        ...

    def set_view(self, instance: int, healthy: bool) -> None:
        """What the balancer of the instance's service holds of it (B4). At first every target is healthy."""
        ...

    def set_instance_state(self, instance: int, state: InstanceState, backlog: int) -> None:
        """Change what an instance is (D17); `backlog`: places of a paused one. The same state again does nothing."""
        ...

    def set_stress(self, instance: int, threads: float, load: float, competition: int) -> None:
        """CPU stressors of an instance: threads in all, the cores they want in all, policy/cpu.py competition (I3)."""
        ...

    def set_link(self, place_a: int, place_b: int, cut: bool) -> None:
        """Cut or mend the link between two different places, both ways."""
        ...

    def set_latency(self, instance: int, add_ns: int) -> None:
        """What packets to this instance take longer (one way)."""
        ...

    def set_error_share(self, instance: int, share: float) -> None:
        """The share of jobs that fail at their start (D9)."""
        ...

    def set_loss(self, place_a: int, place_b: int, share: float) -> None:
        """The share of packets between two places (or within one) that get lost, both ways."""
        ...

    def set_instance_loss(self, instance: int, share: float) -> None:
        """The share of packets to and from an instance that get lost, beside those of the link."""
        ...

    def set_malformed_share(self, instance: int, share: float) -> None:
        """The share of an instance's answers that turn out to be errors after all the work."""
        ...

    def set_work_factor(self, instance: int, factor: float) -> None:
        """Multiply the work of the jobs that start on an instance from now on."""
        ...

    def set_member(self, instance: int, member: bool) -> None:
        """Whether an instance belongs to its service's targets at all, healthy or not. At first every one does."""
        ...

    def set_probing(self, instance: int, on: bool) -> None:
        """Whether an instance is probed at all. One that begins to be is held unhealthy until its first pass (D69)."""
        ...

    def readings(self) -> Int64s:
        """What each instance has used so far and holds now: (I, READING_COLUMNS), layout.CPU_USED and following."""
        ...

    def sent(self) -> Int64s:
        """Attempts that callers have made to each service so far (D4): (S,)."""
        ...

    def set_nodes(self, zone: int, state: InstanceState) -> None:
        """Whether the nodes of zonal balancers in a zone are there: UP, CRASHED (they refuse) or DEAD (D111)."""
        ...

    def set_listed(self, service: int, zone: int, listed: bool) -> None:
        """Whether a zone is among the answers to lookups of a service's name (B2). At first every zone is."""
        ...

    def set_resolves(self, service: int, resolves: bool) -> None:
        """Whether lookups of a service's name are answered at all (D112)."""
        ...

    def set_hop(self, hop: int, changes: Mapping[str, float]) -> None:
        """Let a hop be as the plan says but for these fields (layout.HOP_CHANGEABLE and, in rich plans,
        POLICY_CHANGEABLE); buckets hold what fits.
        """
        ...

    def set_instance(self, instance: int, changes: Mapping[str, float]) -> None:
        """Let an instance be as the plan says but for these fields (layout.INSTANCE_CHANGEABLE)."""
        ...

    def set_rate_factor(self, population: int, factor: float) -> None:
        """Multiply a population's rate from now on; 1 is the profile's own."""
        ...

    def reset(self) -> None:
        """Empty queues, slots and pending retries (D22), for replays."""
        ...

    def refill_caches(self) -> None:
        """Let every cache hold what it did at the start, for replays (I6)."""
        ...

    def set_retries(self, on: bool) -> None:
        """Off: from now on no failed attempt of any hop is retried (it fails with its own outcome, D15)."""
        ...

    def finish(self) -> Recording:
        """End the last row at `now_ns` and hand over the recording. Call once, at the end."""
        ...

    def check(self) -> None:
        """Assert conservation (C1-C4) at this instant; raises InternalError naming what does not add up."""
        ...
