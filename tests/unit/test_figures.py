"""The picture: its panels, labels and marks for a given result, and that it is drawn the same every time."""

from __future__ import annotations

import json
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from azsim.dataplane.codes import Outcome
from azsim.report.axes import POINTS_MAX, log_ticks
from azsim.report.figures import image, timeline
from azsim.report.palette import FAILURES
from azsim.report.spans import Span, broken_spans, fault_spans, marks, packed

DATA = Path(__file__).parents[1] / "data" / "storm_result.json"


@pytest.fixture
def facts() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


def panel(figure: Figure, name: str) -> Axes:
    (found,) = [axes for axes in figure.axes if axes.get_label() == name]
    return found


def legend(axes: Axes) -> list[str]:
    drawn = axes.get_legend()
    assert drawn is not None
    return [text.get_text() for text in drawn.get_texts()]


def line(axes: Axes, label: str) -> np.ndarray[Any, Any]:
    (found,) = [line for line in axes.get_lines() if line.get_label() == label]
    return np.asarray(found.get_ydata(), dtype=float)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_the_panels_stand_below_one_another_on_one_time_axis(facts: dict[str, Any]) -> None:
    figure = timeline(facts)
    assert [axes.get_label() for axes in figure.axes] == ["story", "requests", "latency", "view", "utilisation"]
    assert {axes.get_xlim() for axes in figure.axes} == {(0.0, 1200.0)}
    tops = [axes.get_position().y1 for axes in figure.axes]
    bottoms = [axes.get_position().y0 for axes in figure.axes]
    assert all(lower <= bottom for bottom, lower in zip(bottoms, tops[1:], strict=False))


def test_the_title_is_the_verdict(facts: dict[str, Any]) -> None:
    title, below = [text.get_text() for text in timeline(facts).texts]
    assert title == "COLLAPSE (capacity was enough; it stays down by itself)"
    assert below == "zone-loss-retry-storm, seed 1: hypothesis falsified"


def test_faults_and_marks_are_labelled_and_shaded(facts: dict[str, Any]) -> None:
    figure = timeline(facts)
    story = panel(figure, "story")
    assert set(texts(story)) == {
        "zone c power",
        "traffic of shoppers x1.5",
        "detected after 15 s",
        "back in rotation after 30 s",
        "collapse 09:05",
        "service level broken",
    }
    for name in ("requests", "latency", "view", "utilisation"):
        axes = panel(figure, name)
        shaded = [tuple(patch.get_extents().transformed(axes.transData.inverted()).intervalx) for patch in axes.patches]
        assert any(np.allclose(span, (300, 900), atol=1) for span in shaded)
        upright = [line.get_xdata()[0] for line in axes.get_lines() if list(line.get_ydata()) == [0, 1]]  # type: ignore[index,arg-type]
        assert {315.0, 545.0, 930.0} <= set(upright)


def test_requests_are_stacked_by_what_became_of_them(facts: dict[str, Any]) -> None:
    axes = panel(timeline(facts), "requests")
    assert legend(axes) == ["attempts", "offered", "overload (HTTP 503)", "timeout (HTTP 504)", "succeeded"]
    series = facts["timeline"]
    stride = len(series["t_s"]) // POINTS_MAX
    offered = np.array(series["offered"], dtype=float).reshape(-1, stride).mean(axis=1)
    np.testing.assert_allclose(line(axes, "offered"), offered)
    tops = [collection.get_paths()[0].vertices[:, 1].max() for collection in axes.collections]
    finished = np.array(series["succeeded"]) + np.array(series["failed"])
    assert max(tops) == pytest.approx(finished.reshape(-1, stride).mean(axis=1).max())
    assert axes.get_ylim()[0] == 0
    assert axes.get_yscale() == "linear"


def test_every_failure_has_a_colour_and_a_name() -> None:
    assert set(FAILURES) == {outcome.word for outcome in Outcome} - {"ok"}
    assert len({colour for colour, _ in FAILURES.values()}) == len(FAILURES)


def test_latency_is_on_a_log_scale_with_its_limit(facts: dict[str, Any]) -> None:
    axes = panel(timeline(facts), "latency")
    assert axes.get_yscale() == "log"
    assert legend(axes) == ["p99", "p50", "p99 limit"]
    assert set(line(axes, "p99 limit")) == {0.5}
    assert np.nanmax(line(axes, "p99")) == max(v for v in facts["timeline"]["latency_p99_s"] if v is not None)
    assert texts(axes) == ["no request succeeds"]


def test_a_lane_for_each_zone_shows_targets_that_are_gone_but_still_get_requests(facts: dict[str, Any]) -> None:
    axes = panel(timeline(facts), "view")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert legend(axes) == ["in rotation", "gone, but used", "out of rotation"]
    vermilion = pytest.approx([0.8353, 0.3686, 0.0], abs=1e-3)
    (gone,) = [found for found in axes.collections if found.get_facecolor()[0].tolist()[:3] == vermilion]
    middle_of_c = 0.4
    painted = [t_s for t_s in range(0, 1200, 5) if gone.get_paths()[0].contains_point((t_s + 3, middle_of_c))]
    assert painted == [300, 305, 310]


def test_nothing_is_gone_where_view_and_truth_agree(facts: dict[str, Any]) -> None:
    web = facts["timeline"]["services"]["web"]
    web["healthy_view"] = web["instances"]
    assert "gone, but used" not in legend(panel(timeline(facts), "view"))


PLACES = {
    (650.5, 2.5): True,
    (650.5, 2.1): False,  # the quarter of zone a that is healthy
    (650.5, 1.4): False,  # zone b is whole
    (650.5, 0.4): False,  # zone c is gone, not sick
    (750.5, 2.5): False,  # no longer fails open
}


def test_targets_that_a_balancer_holds_for_sick_but_uses_are_hatched(facts: dict[str, Any]) -> None:
    web = facts["timeline"]["services"]["web"]
    assert "sick, but used (fail-open)" not in legend(panel(timeline(facts), "view"))
    for t in range(600, 700):
        web["fail_open"][t] = True
        web["healthy_view"]["a"][t] = 1  # of 4 that are up; those of zone c are out of view and gone
    axes = panel(timeline(facts), "view")
    assert legend(axes) == ["in rotation", "sick, but used (fail-open)", "gone, but used", "out of rotation"]
    hatched = [found for found in axes.collections if found.get_hatch()]
    places = {(t_s, y): any(found.get_paths()[0].contains_point((t_s, y)) for found in hatched) for t_s, y in PLACES}
    assert places == PLACES


def test_utilisation_has_a_line_for_each_zone(facts: dict[str, Any]) -> None:
    axes = panel(timeline(facts), "utilisation")
    assert legend(axes) == ["zone a", "zone b", "zone c", "wasted (all zones)"]
    assert axes.get_ylim()[0] == 0
    assert line(axes, "zone c")[200] == 0


def test_what_of_the_utilisation_is_wasted_is_an_area_below_it(facts: dict[str, Any]) -> None:
    axes = panel(timeline(facts), "utilisation")
    (area,) = [found for found in axes.collections if found.get_label() == "wasted (all zones)"]
    outline = area.get_paths()[0].vertices
    middle = 1001.0  # the storm: two of three zones busy, all in vain; two seconds a point
    assert outline[outline[:, 0] == middle, 1].max() == pytest.approx(1.0, abs=0.01)
    assert outline[outline[:, 0] == 701.0, 1].max() == pytest.approx(2 / 3, abs=0.01)
    assert outline[outline[:, 0] == 201.0, 1].max() == 0
    facts["timeline"]["services"]["web"]["wasted_utilisation"] = [None] + [0.004] * 1199
    assert legend(panel(timeline(facts), "utilisation")) == ["zone a", "zone b", "zone c"]


def with_zones(facts: dict[str, Any], count: int) -> dict[str, Any]:
    web = facts["timeline"]["services"]["web"]
    for name in ("instances", "healthy_view", "utilisation", "queue"):
        web[name] = {f"z{k:02d}": web[name]["abc"[k % 3]] for k in range(count)}
    return facts


@pytest.mark.parametrize("count", [2, 6, 7, 30])
def test_any_number_of_zones_can_be_drawn(count: int, facts: dict[str, Any]) -> None:
    figure = timeline(with_zones(facts, count))
    shown = legend(panel(figure, "utilisation"))
    assert len(shown) == (count if count <= 6 else 2) + 1  # and what is wasted
    assert len(panel(figure, "view").get_yticks()) <= 15


def test_a_zone_without_instances_has_no_lane(facts: dict[str, Any]) -> None:
    web = facts["timeline"]["services"]["web"]
    web["instances"]["c"] = web["healthy_view"]["c"] = [0] * 1200
    web["utilisation"]["c"] = [None] * 1200
    figure = timeline(facts)
    assert [label.get_text() for label in panel(figure, "view").get_yticklabels()] == ["a", "b"]
    assert legend(panel(figure, "utilisation")) == ["zone a", "zone b", "wasted (all zones)"]


def test_the_lower_panels_show_the_service_with_the_least_headroom(facts: dict[str, Any]) -> None:
    services = facts["timeline"]["services"]
    services["stock"] = services["web"]
    facts["headroom"]["service"] = "stock"
    figure = timeline(facts)
    assert panel(figure, "utilisation").get_title(loc="left") == "Utilisation of stock by zone"
    assert "stock" in panel(figure, "view").get_title(loc="left")


def test_a_run_without_faults_failures_or_successes_can_be_drawn(facts: dict[str, Any]) -> None:
    series = facts["timeline"]
    series |= {"failed_by": {}, "succeeded": [0] * 1200, "latency_p50_s": [None] * 1200, "latency_p99_s": [None] * 1200}
    facts |= {"faults": [], "violations": [], "verdict": "no-impact", "metastable": None}
    assert image(timeline(facts), "svg")


def test_a_run_of_one_second_can_be_drawn(facts: dict[str, Any]) -> None:
    def first(value: Any) -> Any:
        return {name: first(part) for name, part in value.items()} if isinstance(value, dict) else value[:1]

    facts |= {"timeline": first(facts["timeline"]), "faults": [], "violations": []}
    assert panel(timeline(facts), "requests").get_xlim() == (0.0, 1.0)


def test_the_same_result_gives_the_same_svg(facts: dict[str, Any]) -> None:
    first, second = (image(timeline(facts), "svg") for _ in range(2))
    assert first == second
    assert b"<dc:date>" not in first
    assert xml.etree.ElementTree.fromstring(first).tag.endswith("svg")
    assert image(timeline(facts), "png").startswith(b"\x89PNG")


def test_legends_stand_outside_the_data(facts: dict[str, Any]) -> None:
    figure = timeline(facts)
    figure.draw_without_rendering()
    for axes in figure.axes[1:]:
        drawn = axes.get_legend()
        assert drawn is not None
        assert drawn.get_window_extent().x0 >= axes.get_window_extent().x1
        assert drawn.get_window_extent().x1 <= figure.bbox.x1


def test_labels_do_not_overlap(facts: dict[str, Any]) -> None:
    crowd = [
        {
            "id": f"f{k}",
            "kind": "crash",
            "what": f"crash of web ({k} hosts)",
            "start_s": 60.0 * k,
            "end_s": 60.0 * k + 20,
            "detected_s": None,
            "returned_s": None,
        }
        for k in range(1, 12)
    ]
    figure = timeline(facts | {"faults": crowd})
    assert not any("more faults" in text for text in texts(panel(figure, "story")))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in panel(figure, "story").texts]
    assert len(boxes) > 11
    overlapping = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    assert overlapping == []


def test_spans_and_marks_of_a_result(facts: dict[str, Any]) -> None:
    assert fault_spans(facts) == [
        Span("fault", 300.0, 900.0, "zone c power"),
        Span("fault", 540.0, 550.0, "traffic of shoppers x1.5"),
    ]
    assert [(span.start_s, span.end_s) for span in broken_spans(facts)] == [(300.0, 325.0), (545.0, 1200.0)]
    assert [(mark.kind, mark.t_s) for mark in marks(facts)] == [
        ("collapse", 545.0),
        ("detected", 315.0),
        ("returned", 930.0),
    ]


def test_a_fault_without_end_lasts_to_the_end_of_the_run(facts: dict[str, Any]) -> None:
    facts["faults"][0]["end_s"] = None
    assert fault_spans(facts)[0].end_s == 1200.0


def test_a_level_that_holds_again_and_an_abort_are_marked(facts: dict[str, Any]) -> None:
    facts |= {"verdict": "degraded", "aborted_at_s": 330.0, "violations": facts["violations"][:2]}
    assert [(mark.kind, mark.t_s) for mark in marks(facts)] == [
        ("recovered", 325.0),
        ("aborted", 330.0),
        ("detected", 315.0),
        ("returned", 930.0),
    ]


def test_rules_beside_the_level_do_not_break_it(facts: dict[str, Any]) -> None:
    facts["violations"] = [
        {"rule": "detect_within", "first_s": 300, "last_s": 330},
        {"rule": "during.success", "first_s": 300, "last_s": 900},
    ]
    assert broken_spans(facts) == []


def test_rows_are_shared_without_overlap() -> None:
    assert packed([(0, 2), (1, 3), (2, 4), (3, 5)], lambda item: item) == [[(0, 2), (2, 4)], [(1, 3), (3, 5)]]


def test_faults_that_do_not_fit_are_counted_and_the_collapse_is_still_marked(facts: dict[str, Any]) -> None:
    crowd = [
        facts["faults"][0] | {"id": f"f{k}", "kind": "crash", "what": "crash", "start_s": 100.0 + k, "end_s": 1100.0}
        for k in range(40)
    ]
    story = panel(timeline(facts | {"faults": crowd}), "story")
    shown = texts(story)
    assert f"and {40 - shown.count('crash')} more faults" in shown
    assert "collapse 09:05" in shown


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.03, 3.0, [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]),
        (0.12, 0.24, [0.2]),
        (0.0001, 20.0, [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0]),
    ],
)
def test_ticks_of_latency_are_round_and_few(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(ticks)
