"""Nothing is lost and nothing is made, at any instant of any world (C1-C4); no bucket is overdrawn or too full."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from azsim.dataplane import layout
from azsim.dataplane.codes import Reason
from azsim.dataplane.kernel import Kernel
from azsim.dataplane.layout import Plan
from azsim.dataplane.protocol import DataPlane
from azsim.dataplane.reference import Reference
from tests.twin.worlds import END_NS, World, run_world, worlds


def capacities(plan: Plan, changed: Mapping[int, int]) -> list[int]:
    """What each token bucket holds at most, thousandths; `changed`: the capacity of hops that control has changed."""
    found = [0] * plan.buckets
    for number, hop in enumerate(plan.hops):
        if hop["buckets_first"] >= 0:
            owners = (
                plan.populations["clients"][hop["population"]]
                if hop["population"] >= 0
                else plan.services["instances_count"][hop["caller"]]
            )
            for bucket in range(int(hop["buckets_first"]), int(hop["buckets_first"]) + int(owners)):
                found[bucket] = changed.get(number, int(hop["budget_capacity"]))
    return found


def within_bounds(tokens: list[int], plan: Plan, changed: Mapping[int, int]) -> None:
    assert all(0 <= held <= most for held, most in zip(tokens, capacities(plan, changed), strict=True)), tokens


def noted(changed: Mapping[int, int], hop: int, changes: Mapping[str, float]) -> dict[int, int]:
    """`changed` after one more `set_hop`, which leaves all but `changes` as the plan has it."""
    kept = {number: capacity for number, capacity in changed.items() if number != hop}
    return kept | ({hop: int(changes["budget_capacity"])} if "budget_capacity" in changes else {})


class CheckedKernel(Kernel):
    """Looks after itself at every instant at which control may act."""

    changed: Mapping[int, int] = {}

    def set_hop(self, hop: int, changes: Mapping[str, float]) -> None:
        super().set_hop(hop, changes)
        self.changed = noted(self.changed, hop, changes)

    def advance(self, until_ns: int) -> Reason:
        reason = super().advance(until_ns)
        self.check()
        within_bounds(self._pools["tokens"].tolist(), self.plan, self.changed)
        return reason


class CheckedReference(Reference):
    """The same for the reference."""

    changed: Mapping[int, int] = {}

    def set_hop(self, hop: int, changes: Mapping[str, float]) -> None:
        super().set_hop(hop, changes)
        self.changed = noted(self.changed, hop, changes)

    def advance(self, until_ns: int) -> Reason:
        reason = super().advance(until_ns)
        self.check()
        within_bounds(self._hops[0].tokens, self.plan, self.changed)
        return reason


instants = st.lists(st.integers(1, END_NS - 1), min_size=5, max_size=40).map(tuple)


def accounts(world: World, engine: DataPlane, chunks: tuple[int, ...]) -> None:
    """Run a world and add up what it recorded."""
    recording, _ = run_world(world, engine, chunks)
    offered = recording.populations[..., layout.OFFERED].sum(axis=0)
    ended = recording.populations[..., layout.SUCCEEDED].sum(axis=0)
    ended = ended + recording.populations[..., layout.FAILED : layout.STARTED_FAILED].sum(axis=(0, 2))
    assert (offered == ended + recording.in_flight).all()
    # What is counted when it happens and what is counted by start are the same things.
    failed = recording.populations[..., layout.FAILED : layout.STARTED_FAILED].sum(axis=0)
    assert (failed == recording.populations[..., layout.STARTED_FAILED :].sum(axis=0)).all()
    for at, by_start in ((layout.SUCCEEDED, layout.STARTED_SUCCEEDED), (layout.ATTEMPTS, layout.STARTED_ATTEMPTS)):
        assert (recording.populations[..., at].sum(axis=0) == recording.populations[..., by_start].sum(axis=0)).all()
    assert recording.latency.sum() == recording.populations[..., layout.SUCCEEDED].sum()
    assert (recording.hop_attempts == recording.hop_outcomes.sum(axis=1) + recording.attempts_in_flight).all()
    cores_ns = world.plan.instances["cores"].sum() * END_NS * 1024
    assert 0 <= recording.zones[..., layout.CPU].sum() <= cores_ns
    spent = recording.services[..., [layout.USEFUL, layout.WASTED]].sum() + recording.cpu_in_progress
    assert spent == recording.zones[..., layout.CPU].sum()


@settings(max_examples=150)
@given(worlds(), instants)
def test_the_kernel_keeps_account(world: World, chunks: tuple[int, ...]) -> None:
    accounts(world, CheckedKernel(world.plan), chunks)


@settings(max_examples=40)
@given(worlds(), instants)
def test_the_reference_keeps_account(world: World, chunks: tuple[int, ...]) -> None:
    accounts(world, CheckedReference(world.plan), chunks)
