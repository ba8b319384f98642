"""How a run is cut: phases (J1), detection (J11), the columns of its card (J12)."""

from __future__ import annotations

import pytest

from azsim.simulation.segments import detected_ns, is_loss, phases, returned_ns, segments, short, watched
from azsim.simulation.trace import FaultSpan

S = 1_000_000_000


def span(kind: str, start_s: float, end_s: float | None, *instances: int, name: str = "") -> FaultSpan:
    end_ns = None if end_s is None else round(end_s * S)
    return FaultSpan(name or f"{kind}-{start_s:g}", kind, kind, round(start_s * S), end_ns, instances)


LOSS = span("zone_loss", 300, 900, 8, 9)
SPIKE = span("traffic_spike", 540, 550)


def names(*faults: FaultSpan, detected_s: float | None = None, end_s: float = 1200) -> list[tuple[str, float, float]]:
    detected = None if detected_s is None else round(detected_s * S)
    found = segments(faults, detected, 60 * S, round(end_s * S))
    return [(one.name, one.start_ns / S, one.end_ns / S) for one in found]


def test_a_spike_while_a_zone_is_lost() -> None:
    assert names(LOSS, SPIKE, detected_s=315) == [
        ("before", 60, 300),
        ("undetected", 300, 315),
        ("detected", 315, 540),
        ("spike", 540, 550),
        ("after spike", 550, 900),
        ("after", 900, 1200),
    ]


@pytest.mark.parametrize(
    ("faults", "detected_s", "expected"),
    [
        ((), None, ["before"]),
        ((SPIKE,), None, ["before", "spike", "after"]),
        ((LOSS,), None, ["before", "undetected", "after"]),
        ((span("cpu_stress", 300, 400, 1),), None, ["before", "stress", "after"]),
        ((span("cpu_stress", 300, 400, 1),), 310, ["before", "undetected", "detected", "after"]),
        ((span("pause", 300, None, 1),), 310, ["before", "undetected", "detected"]),
        (
            (LOSS, span("traffic_spike", 1000, 1010)),
            315,
            ["before", "undetected", "detected", "between", "spike", "after"],
        ),
        (
            (span("traffic_spike", 300, 600), span("crash", 400, 500, 1)),
            410,
            ["before", "spike", "undetected", "detected", "spike", "after"],
        ),
        ((span("zone_loss", 0, 30, 1), span("pause", 100, 110, 2)), 5, ["between", "pause", "after"]),
    ],
)
def test_names_say_what_the_cut_was(
    faults: tuple[FaultSpan, ...], detected_s: float | None, expected: list[str]
) -> None:
    assert [name for name, _, _ in names(*faults, detected_s=detected_s)] == expected


def test_segments_follow_one_another_and_are_six_at_most() -> None:
    flapping = [span("crash", 100 + 20 * k, 105 + 20 * k, 1) for k in range(12)]
    found = names(*flapping)
    assert len(found) == 6
    assert (found[0][0], found[-1][0]) == ("before", "after")
    assert [start for _, start, _ in found[1:]] == [end for _, _, end in found[:-1]]
    assert (found[0][1], found[-1][2]) == (60, 1200)


def test_phases() -> None:
    def seconds(*faults: FaultSpan, warmup_s: int = 60) -> list[tuple[float, float] | None]:
        found = phases(faults, warmup_s * S, 1200 * S)
        assert list(found) == ["before", "during", "after"]
        return [None if one is None else (one[0] / S, one[1] / S) for one in found.values()]

    assert seconds(LOSS, SPIKE) == [(60, 300), (300, 900), (900, 1200)]
    assert seconds(LOSS, span("pause", 1000, None, 1)) == [(60, 300), (300, 1200), None]
    assert seconds() == [(60, 1200), None, None]
    assert seconds(LOSS, warmup_s=400) == [None, (400, 900), (900, 1200)]


PROPAGATION = {1: 1 * S, 8: 1 * S, 9: 1 * S}


@pytest.mark.parametrize(
    ("changes", "expected_s"),
    [
        ([(310, 8, False), (312, 9, False)], 310),
        ([(299, 8, False), (310, 1, False), (311, 9, True), (320, 9, False)], 320),  # before, elsewhere, back
        ([(900.5, 8, False)], 900.5),  # sensed before the end
        ([(901.5, 8, False)], None),  # sensed after it
        ([], None),
    ],
)
def test_detection(changes: list[tuple[float, int, bool]], expected_s: float | None) -> None:
    view_changes = [(round(t * S), instance, healthy) for t, instance, healthy in changes]
    found = detected_ns(LOSS, view_changes, PROPAGATION)
    assert found == (None if expected_s is None else round(expected_s * S))


def test_a_fault_without_end_may_be_detected_any_time() -> None:
    assert detected_ns(span("crash", 300, None, 8), [(1199 * S, 8, False)], PROPAGATION) == 1199 * S


def test_a_loss_is_watched_before_anything_else() -> None:
    stress, pause = span("cpu_stress", 10, 20, 1), span("pause", 30, 40, 2)
    assert watched([SPIKE, stress, pause]) is pause
    assert watched([SPIKE, stress]) is stress
    assert watched([SPIKE]) is None
    assert [is_loss(one) for one in (LOSS, stress, pause, SPIKE)] == [True, False, True, False]
    assert [short(one) for one in (LOSS, stress, pause, SPIKE)] == ["zone loss", "stress", "pause", "spike"]


@pytest.mark.parametrize(
    ("fault", "changes", "expected"),
    [
        # (t, instance, healthy); the loss of 8 and 9 ends at 900
        (LOSS, [(315, 8, False), (316, 9, False), (940, 9, True), (945, 8, True)], 945),
        (LOSS, [(315, 8, False), (316, 9, False), (945, 8, True)], None),  # 9 stays out
        (LOSS, [(315, 8, False), (400, 8, True), (316, 9, False), (930, 9, True)], 930),  # 8 was back before
        (LOSS, [(315, 8, False), (945, 8, True), (950, 8, False), (960, 8, True)], 945),  # what comes later is not its
        (LOSS, [(315, 8, False), (920, 9, False), (945, 8, True), (990, 9, True)], 945),
        (LOSS, [(300, 1, False), (945, 1, True)], None),  # none of its own
        (LOSS, [(910, 8, False), (945, 8, True)], None),  # in rotation as it ended
        (LOSS, [], None),
        (span("pause", 300, None, 8), [(315, 8, False), (945, 8, True)], None),
        (span("cpu_stress", 300, 900, 8), [(315, 8, False), (945, 8, True)], None),  # nothing went away
    ],
)
def test_the_return_to_rotation_after_a_loss(
    fault: FaultSpan, changes: list[tuple[float, int, bool]], expected: float | None
) -> None:
    ordered = sorted((round(t_s * S), instance, healthy) for t_s, instance, healthy in changes)
    assert returned_ns(fault, ordered) == (None if expected is None else expected * S)
