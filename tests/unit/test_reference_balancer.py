"""How the reference's balancer chooses (D5, D12, D32; B3, B4, O4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from azsim.base.seeds import CHOICE, SECOND_CHOICE, ZONE, key_hash
from azsim.dataplane.codes import Kind
from azsim.dataplane.reference.balancer import Balancer
from azsim.dataplane.reference.clock import Key
from azsim.dataplane.reference.network import Dispatch
from azsim.policy.balancing import LEAST_OUTSTANDING, NEVER_OPEN, RANDOM, ROUND_ROBIN, TWO_CHOICES
from azsim.policy.distributions import index_below
from tests.plans import KEY

OUTSIDE = 3


@dataclass(eq=False)
class Target:
    """As much of an instance as a balancer looks at."""

    number: int
    zone: int
    service: int = 0
    latency_ns: int = 0
    paused: bool = False

    def receive(self, dispatch: Dispatch) -> bool:
        raise NotImplementedError

    def cancel(self, dispatch: Dispatch) -> None:
        raise NotImplementedError

    def park(self, kind: Kind, key: Key, act: Callable[[], None]) -> None:
        raise NotImplementedError


def targets() -> list[Target]:
    """Numbers 10 to 15, two in each of three zones."""
    return [Target(10 + i, i // 2) for i in range(6)]


def balancer(algorithm: int, *, cross_zone: int = 1, below: float = 0.0) -> Balancer:
    service = SimpleNamespace(algorithm=algorithm, cross_zone=cross_zone, fail_open_below=below, fail_open_fewer=0)
    return Balancer(KEY, service, targets(), OUTSIDE)


def keys(n: int = 200) -> Iterator[Key]:
    return (Key(request, 7, 16) for request in range(n))


def below(key: Key, purpose: int, n: int) -> int:
    return index_below(key_hash(KEY, *key, purpose), n)


def number(target: object) -> int | None:
    return target.number if isinstance(target, Target) else None


def hide(subject: Balancer, *numbers: int) -> None:
    for target in list(subject.in_view):
        if target.number in numbers:
            subject.set_view(target, False)


def load(subject: Balancer, *outstanding: int) -> None:
    for target, n in zip(subject.outstanding, outstanding, strict=True):
        subject.outstanding[target] = n


def test_round_robin_takes_the_next_number_and_skips_what_is_out_of_view() -> None:
    subject = balancer(ROUND_ROBIN)
    hide(subject, 12)
    chosen = [number(subject.choose(False, OUTSIDE, key, None)) for key in keys(7)]
    assert chosen == [10, 11, 13, 14, 15, 10, 11]
    hide(subject, 13)
    assert number(subject.choose(False, OUTSIDE, Key(0, 0, 16), None)) == 14


def test_round_robin_remembers_for_each_zone_and_for_all_apart() -> None:
    subject = balancer(ROUND_ROBIN)
    order = [(True, 1), (False, 0), (True, 1), (True, 1), (False, 0), (True, 0)]
    chosen = [number(subject.choose(same, place, Key(0, 0, 16), None)) for same, place in order]
    assert chosen == [12, 10, 13, 12, 11, 10]


def test_random_is_the_keyed_draw_among_the_eligible() -> None:
    subject = balancer(RANDOM)
    hide(subject, 10, 14)
    eligible = [11, 12, 13, 15]
    for key in keys():
        assert number(subject.choose(False, OUTSIDE, key, None)) == eligible[below(key, CHOICE, 4)]


def test_least_outstanding_breaks_ties_by_the_keyed_draw() -> None:
    subject = balancer(LEAST_OUTSTANDING)
    load(subject, 3, 1, 2, 1, 1, 5)
    ties = [11, 13, 14]
    chosen = [number(subject.choose(False, OUTSIDE, key, None)) for key in keys()]
    assert chosen == [ties[below(key, CHOICE, 3)] for key in keys()]
    assert set(chosen) == set(ties)


def test_two_choices_takes_the_less_loaded_of_two_different_ones() -> None:
    subject = balancer(TWO_CHOICES)
    loads = (3, 1, 2, 1, 1, 5)
    load(subject, *loads)
    for key in keys():
        i, j = below(key, CHOICE, 6), below(key, SECOND_CHOICE, 5)
        j += j >= i
        expected = j if loads[j] < loads[i] else i
        assert number(subject.choose(False, OUTSIDE, key, None)) == 10 + expected
    hide(subject, 10, 11, 12, 13, 14)
    assert number(subject.choose(False, OUTSIDE, Key(0, 0, 16), None)) == 15


def test_without_cross_zone_a_zone_with_targets_is_drawn_first() -> None:
    subject = balancer(RANDOM, cross_zone=0)
    hide(subject, 12, 13, 14)
    zones = {0: [10, 11], 2: [15]}
    for key in keys():
        zone = (0, 2)[below(key, ZONE, 2)]
        expected = zones[zone][below(key, CHOICE, len(zones[zone]))]
        assert number(subject.choose(False, OUTSIDE, key, None)) == expected


def test_same_zone_binds_callers_in_zones_only() -> None:
    subject = balancer(RANDOM, cross_zone=0)
    hide(subject, 12, 13)
    assert {number(subject.choose(True, 0, key, None)) for key in keys()} == {10, 11}
    assert {number(subject.choose(True, 1, key, None)) for key in keys()} == {None}
    assert {number(subject.choose(True, OUTSIDE, key, None)) for key in keys()} == {10, 11, 14, 15}


@pytest.mark.parametrize(
    ("below", "hidden", "chosen"),
    [
        (0.0, (10, 11, 12, 13, 14), {15}),
        (0.0, (10, 11, 12, 13, 14, 15), {10, 11, 12, 13, 14, 15}),
        (NEVER_OPEN, (10, 11, 12, 13, 14, 15), {None}),
        (0.5, (10, 11, 12), {13, 14, 15}),
        (0.5, (10, 11, 12, 13), {10, 11, 12, 13, 14, 15}),
    ],
)
def test_fail_open_ignores_health_when_too_few_are_healthy(
    below: float, hidden: tuple[int, ...], chosen: set[int | None]
) -> None:
    subject = balancer(RANDOM, below=below)
    hide(subject, *hidden)
    assert {number(subject.choose(False, OUTSIDE, key, None)) for key in keys()} == chosen


def test_the_target_just_tried_is_left_out_and_nothing_stands_in_for_it() -> None:
    subject = balancer(RANDOM)
    tried = next(target for target in subject.in_view if target.number == 12)
    assert {number(subject.choose(False, OUTSIDE, key, tried)) for key in keys()} == {10, 11, 13, 14, 15}
    hide(subject, 13)
    assert subject.choose(True, 1, Key(0, 0, 17), tried) is None
