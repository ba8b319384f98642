"""Instances that come back: boot and warm-up, reckoned by hand. One slot, work of 100 ns."""

from __future__ import annotations

from typing import Any

import pytest

from azsim.dataplane import layout
from azsim.dataplane.codes import InstanceState, Outcome
from azsim.policy.cpu import warmup_slowdown
from tests.plans import make_plan, population, service
from tests.story import ONE, Control, play, state

OK, REFUSED, RESET = Outcome.OK, Outcome.REFUSED, Outcome.RESET
CRASH: dict[int, Control] = {200: state(InstanceState.CRASHED), 300: state(InstanceState.UP)}


def one(arrivals_ns: list[int], **fields: Any) -> Any:
    return make_plan(
        populations=[population(arrivals_ns=arrivals_ns)], services=[service(per_zone=ONE, work_ns=100, **fields)]
    )


def test_who_comes_while_it_boots_is_refused() -> None:
    """Up at 300, ready at 350: that instant is served."""
    story = play(one([10, 250, 340, 350], boot_ns=50), 1000, CRASH)
    assert story.ends() == [(110, OK), (250, REFUSED), (340, REFUSED), (450, OK)]
    assert story.served(layout.REFUSED) == [250, 340]
    up = dict(zip(story.recording.start_ns.tolist(), story.recording.zones[:, 0, 0, layout.UP].tolist(), strict=True))
    # A row shows what is at its end.
    assert [up[t] for t in (180, 190, 290, 330, 340)] == [1, 1, 0, 0, 1]


def test_a_pause_on_top_of_a_boot_ends_with_refusals() -> None:
    control = {200: state(InstanceState.DEAD), 300: state(InstanceState.PAUSED), 320: state(InstanceState.UP)}
    story = play(one([310, 360], boot_ns=50), 1000, control)
    assert story.ends() == [(320, REFUSED), (460, OK)]


def test_work_is_slow_at_first_and_less_so_with_time() -> None:
    """3 times for 1000 ns: at 300 it takes 300, at 800 (half way) 200, after 1300 100; before the crash 100."""
    story = play(one([10, 300, 800, 1400], warm_slowdown=3.0, warm_ns=1000), 2000, CRASH)
    assert story.latencies() == {10: 100, 300: 300, 800: 200, 1400: 100}


def test_work_is_slow_at_first_and_less_so_with_requests() -> None:
    """3 times over 2 requests: 300, then 200, then 100; what was served before does not count."""
    story = play(one([10, 300, 700, 1000, 1200], warm_slowdown=3.0, warm_requests=2), 2000, CRASH)
    assert story.latencies() == {10: 100, 300: 300, 700: 200, 1000: 100, 1200: 100}


def test_warm_up_begins_when_it_has_booted() -> None:
    story = play(one([10, 400], warm_slowdown=3.0, warm_ns=1000, boot_ns=100), 2000, CRASH)
    assert story.latencies() == {10: 100, 400: 300}


def test_a_pause_leaves_it_warm() -> None:
    control = {200: state(InstanceState.PAUSED), 300: state(InstanceState.UP)}
    story = play(one([10, 300], warm_slowdown=3.0, warm_ns=1000, boot_ns=100), 2000, control)
    assert story.latencies() == {10: 100, 300: 100}


@pytest.mark.parametrize(
    ("elapsed", "warm", "served", "requests", "expected"),
    [
        (0, 100, 9, 0, 3),
        (50, 100, 9, 0, 2),
        (100, 100, 0, 0, 1),
        (300, 100, 0, 0, 1),
        (7, 0, 0, 4, 3),
        (7, 0, 1, 4, 2.5),
    ],
)
def test_slowdowns(elapsed: int, warm: int, served: int, requests: int, expected: float) -> None:
    assert warmup_slowdown(3.0, elapsed, warm, served, requests) == expected
