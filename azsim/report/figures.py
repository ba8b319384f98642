"""The picture of a run: what was asked and answered, how fast, what the balancer saw, how busy the zones were."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, MultipleLocator, NullLocator

from azsim.report import words
from azsim.report.axes import Floats, limits_s, log_ticks, stride, thinned, time_step_s
from azsim.report.palette import (
    BLACK,
    BLUE,
    FAILURES,
    MARK_COLOURS,
    ORANGE,
    PALE,
    SKY,
    VERDICT_COLOURS,
    VERMILION,
    ZONE_STYLES,
)
from azsim.report.spans import Mark, Span, broken_spans, fault_spans, marks, packed

if TYPE_CHECKING:
    from azsim.scenario import Scenario
    from azsim.simulation.result import Result

SICK: Final[Mapping[str, Any]] = {"facecolor": "white", "edgecolor": ORANGE, "hatch": "//////"}
"""The look of targets that a balancer holds for sick and uses all the same."""
WASTED_MIN: Final = 0.005  # of the utilisation; less cannot be seen
STORY_ROWS_MAX: Final = 8
ROW_IN: Final = 0.21
WIDTH_IN: Final = 11.0
LEFT, RIGHT = 0.075, 0.815  # of the width; the legends stand to the right, where no data are
LABEL_PT: Final = 8.5
_STYLE: Final = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.hashsalt": "azsim",
}


def timeline(result: Result | Mapping[str, Any], scenario: Scenario | None = None) -> Figure:
    """The picture of a result: a `Result`, or the mapping its `to_dict` gives.

    With the result's scenario every limit that the hypothesis sets on latency is drawn, without it those that were
    broken.

    Panels from the top, on one time axis: faults and marks; requests per second; latency; share of each zone's
    targets in the balancer's view; utilisation of each zone. The last two show the service with the least headroom.
    """
    facts: Mapping[str, Any] = result if isinstance(result, Mapping) else result.to_dict()
    with style.context(["default", _STYLE]):
        return _Timeline(facts, scenario).draw()


def image(figure: Figure, kind: Literal["svg", "png"]) -> bytes:
    """The picture as a file's bytes; the same figure gives the same SVG, whenever it is drawn."""
    buffer = io.BytesIO()
    with style.context(["default", _STYLE]):
        if kind == "svg":
            figure.savefig(buffer, format="svg", metadata={"Date": None})
        else:
            figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


class _Timeline:
    """One drawing of one result."""

    def __init__(self, facts: Mapping[str, Any], scenario: Scenario | None) -> None:
        self.facts = facts
        self.limits_s = limits_s(facts, scenario)
        self.series = facts["timeline"]
        t_s = np.asarray(self.series["t_s"], dtype=np.float64)
        self.stride = stride(len(t_s))
        self.t_s = t_s[:: self.stride]  # where each point's seconds begin
        self.middle_s = self.t_s + min(self.stride, len(t_s)) / 2
        self.start_s, self.end_s = float(t_s[0]), float(t_s[-1]) + 1.0
        self.service = facts["headroom"]["service"] or next(iter(self.series["services"]))
        views = self.series["services"][self.service]["healthy_view"]
        self.zones: list[str] = [zone for zone, view in views.items() if any(view)]  # those with instances
        self.faults = fault_spans(facts)
        self.broken = broken_spans(facts)
        self.marks = marks(facts)

    def draw(self) -> Figure:
        rows, hidden = self.rows()
        lanes_in = min(3.2, max(0.8, 0.26 * len(self.zones)))
        heights_in = [ROW_IN * max(1, len(rows)), 2.3, 1.7, lanes_in, 1.5]
        gap_in, top_in, bottom_in = 0.36, 0.78, 0.5
        height_in = sum(heights_in) + gap_in * (len(heights_in) - 1) + top_in + bottom_in
        figure = Figure(figsize=(WIDTH_IN, height_in))
        FigureCanvasAgg(figure)
        panels: list[Axes] = []
        upper_in = height_in - top_in
        for panel_in in heights_in:
            box = (LEFT, (upper_in - panel_in) / height_in, RIGHT - LEFT, panel_in / height_in)
            panels.append(figure.add_axes(box, sharex=panels[0] if panels else None))
            upper_in -= panel_in + gap_in
        self.title(figure, height_in)
        self.story(panels[0], rows, hidden)
        self.requests(panels[1])
        self.latency(panels[2])
        self.view(panels[3])
        self.utilisation(panels[4])
        for panel in panels[1:]:
            self.shade(panel)
        for panel in panels[:-1]:
            panel.tick_params(labelbottom=False)
        self.time_axis(panels[-1])
        return figure

    def rows(self) -> tuple[list[list[Span | Mark]], int]:
        """Faults and marks in rows with the broken service level as the last one, and how many faults are left out."""
        rows = packed([*self.faults, *self.marks], self.extent)
        shown = len(self.faults)
        if len(rows) > STORY_ROWS_MAX:
            marked = packed(self.marks, self.extent)[: STORY_ROWS_MAX // 2]
            faults = packed(self.faults, self.extent)[: STORY_ROWS_MAX - len(marked)]
            rows, shown = [*faults, *marked], sum(map(len, faults))
        if self.broken:
            rows.append(list(self.broken))
        return rows, len(self.faults) - shown

    # What is drawn where

    def title(self, figure: Figure, height_in: float) -> None:
        facts = self.facts
        figure.text(
            LEFT,
            1 - 0.2 / height_in,
            words.verdict_line(facts),
            fontsize=14,
            fontweight="bold",
            color=VERDICT_COLOURS[facts["verdict"]],
            va="top",
        )
        told = f"{facts['scenario']}, seed {facts['seed']}: hypothesis {facts['hypothesis']}"
        figure.text(LEFT, 1 - 0.5 / height_in, told, fontsize=10, color="#404040", va="top")

    def story(self, panel: Axes, rows: Sequence[Sequence[Span | Mark]], hidden: int) -> None:
        """Faults as bars, marks as points, the broken service level as the last row."""
        panel.set_label("story")
        panel.set_ylim(max(1, len(rows)) - 0.4, -0.6)
        for y, row in enumerate(rows):
            for item in row:
                if isinstance(item, Mark):
                    panel.plot(item.t_s, y, marker="D", ms=5, color=MARK_COLOURS[item.kind], ls="", clip_on=False)
                    self.label(panel, item, y)
                    continue
                colour = VERMILION if item.kind == "broken" else "#595959"
                panel.barh(y, item.end_s - item.start_s, left=item.start_s, height=0.8, color=colour, lw=0)
                if item.kind == "fault":
                    self.label(panel, item, y)
        beside: dict[str, Any] = {"transform": panel.get_yaxis_transform(), "fontsize": LABEL_PT, "va": "center"}
        if self.broken:
            panel.text(1.012, len(rows) - 1, "service level broken", color=VERMILION, **beside)
        if hidden:
            panel.text(1.012, 0, f"and {hidden} more faults", **beside)
        panel.set_axis_off()

    def label(self, panel: Axes, item: Span | Mark, y: int) -> None:
        start_s, end_s = _ends(item)
        text: dict[str, Any] = {"fontsize": LABEL_PT, "va": "center_baseline", "color": "#202020"}
        text["textcoords"] = "offset points"
        if self.inside(item):
            text["color"] = "white"
            panel.annotate(item.label, ((start_s + end_s) / 2, y), (0, 0), ha="center", **text)
        elif self.extent(item)[0] < start_s:
            panel.annotate(item.label, (start_s, y), (-6, 0), ha="right", **text)
        else:
            panel.annotate(item.label, (end_s, y), (6, 0), ha="left", **text)

    def requests(self, panel: Axes) -> None:
        """What became of the requests as a stack, with what was offered and the attempts as lines."""
        failed = self.series["failed_by"]
        succeeded = self.mean(self.series["succeeded"])
        handles: list[Any] = []
        layers = [("succeeded", SKY, succeeded)]
        for outcome, (colour, name) in FAILURES.items():
            if any(failed.get(outcome, ())):
                layers.append((name, colour, self.mean(failed[outcome])))
        base = np.zeros_like(succeeded)
        for name, colour, values in layers:
            area = panel.fill_between(self.middle_s, base, base + values, color=colour, lw=0, label=name)
            handles.insert(0, area)
            base = base + values
        (attempts,) = panel.plot(
            self.middle_s, self.mean(self.series["attempts"]), color=BLUE, lw=1.3, label="attempts"
        )
        (offered,) = panel.plot(self.middle_s, self.mean(self.series["offered"]), color=BLACK, lw=1.3, label="offered")
        unit = "per second" if self.stride == 1 else f"per second, mean of {self.stride} s"
        self.frame(panel, "requests", f"Requests and attempts {unit}", [attempts, offered, *handles])
        panel.set_ylim(bottom=0)
        panel.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: words.count(y)))

    def latency(self, panel: Axes) -> None:
        p50, p99 = (self.worst(self.series[f"latency_{name}_s"]) for name in ("p50", "p99"))
        (slow,) = panel.plot(self.middle_s, p99, color=VERMILION, lw=1.3, label="p99")
        (middle,) = panel.plot(self.middle_s, p50, color=BLUE, lw=1.3, label="p50")
        panel.set_yscale("log")
        known = np.concatenate([p50[np.isfinite(p50)], p99[np.isfinite(p99)]])
        known = np.append(known[known > 0], list(self.limits_s.values()))
        low, high = (known.min() / 1.5, known.max() * 1.8) if known.size else (1e-3, 1.0)
        panel.set_ylim(low, high)
        panel.yaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: words.seconds(y)))
        self.silent(panel, ~np.isfinite(p99) & (self.mean(self.series["offered"]) > 0))
        handles: list[Any] = [slow, middle]
        for name, limit_s in self.limits_s.items():
            colour = BLUE if name == "p50" else VERMILION
            handles.append(panel.axhline(limit_s, color=colour, lw=1.0, ls=":", label=f"{name} limit"))
        self.frame(panel, "latency", "Latency of requests that succeed, by their start", handles)

    def silent(self, panel: Axes, silent: npt.NDArray[np.bool_]) -> None:
        """Says so where requests come and none succeeds, when there is room to."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(np.int8)))
        times = np.append(self.t_s, self.end_s)
        text = "no request succeeds"
        # Above or below the limits, which are all that is drawn there.
        low, high = panel.get_ylim()
        heights = [np.log(limit_s / low) / np.log(high / low) for limit_s in self.limits_s.values()]
        height = next((height for height in (0.25, 0.5, 0.75) if all(abs(height - y) > 0.1 for y in heights)), 0.1)
        for first, after in zip(times[edges[::2]], times[edges[1::2]], strict=True):
            if after - first > self.label_s(text):
                where = ((first + after) / 2, height)
                panel.text(
                    *where, text, transform=panel.get_xaxis_transform(), ha="center", color=VERMILION, style="italic"
                )

    def view(self, panel: Axes) -> None:
        """A lane a zone, filled to the share of its targets that the balancer sends to: all of them while it fails
        open.
        """
        series = self.series["services"][self.service]
        fail_open = self.mean(series["fail_open"])
        sent_to_the_gone = sent_to_the_sick = False
        for lane, zone in enumerate(self.zones):
            targets = max(max(series["instances"][zone], default=0), max(series["healthy_view"][zone], default=0), 1)
            in_view = self.mean(series["healthy_view"][zone]) / targets
            up = self.mean(series["instances"][zone]) / targets
            floor = float(len(self.zones) - 1 - lane)
            panel.barh(floor + 0.4, self.end_s - self.start_s, left=self.start_s, height=0.8, color=PALE, lw=0)
            used = in_view + fail_open * (1 - in_view)
            t_s, in_view, up, used = self.steps(in_view, up, used)
            alive = np.minimum(up, used)
            well = np.minimum(in_view, alive)

            layers = ((0 * well, well, {"color": SKY}), (well, alive, SICK), (alive, used, {"color": VERMILION}))
            for low, high, look in layers:
                if (high > low).any():
                    panel.fill_between(t_s, floor + 0.8 * low, floor + 0.8 * high, lw=0, step="post", **look)
            sent_to_the_sick |= bool((alive > well).any())
            sent_to_the_gone |= bool((used > alive).any())
        handles = [Patch(color=SKY, label="in rotation"), Patch(color=PALE, label="out of rotation")]
        if sent_to_the_gone:
            handles.insert(1, Patch(color=VERMILION, label="gone, but used"))
        if sent_to_the_sick:
            handles.insert(1, Patch(label="sick, but used (fail-open)", lw=0, **SICK))
        self.frame(panel, "view", f"Targets of {self.service} in rotation, as the balancer sees them", handles)
        panel.set_ylim(-0.15, len(self.zones) - 0.05)
        every = max(1, len(self.zones) // 12)
        lanes = range(0, len(self.zones), every)
        panel.yaxis.set_major_locator(FixedLocator([len(self.zones) - 1 - lane + 0.4 for lane in lanes]))
        panel.set_yticklabels([self.zones[lane] for lane in lanes])
        panel.tick_params(axis="y", length=0)

    def utilisation(self, panel: Axes) -> None:
        """How busy each zone is, and below that how much of all zones' time goes into work that nobody uses."""
        series = self.series["services"][self.service]["utilisation"]
        wasted = np.nan_to_num(self.mean(self.series["services"][self.service]["wasted_utilisation"]))
        handles: list[Any] = []
        busy = {zone: self.mean(series[zone]) for zone in self.zones}
        if len(self.zones) <= len(ZONE_STYLES):
            for zone, (colour, dashes) in zip(self.zones, ZONE_STYLES, strict=False):
                handles += panel.plot(self.middle_s, busy[zone], color=colour, ls=dashes, lw=1.3, label=f"zone {zone}")
        else:
            # Nobody tells twenty lines apart: the range of all, and the one that was busiest for a while.
            every = np.vstack(list(busy.values()))
            low, high = np.nanmin(every, axis=0), np.nanmax(every, axis=0)
            handles.append(panel.fill_between(self.middle_s, low, high, color=SKY, lw=0, label="lowest to highest"))
            top = max(busy, key=lambda zone: float(np.nanpercentile(busy[zone], 95)))
            handles += panel.plot(self.middle_s, busy[top], color=BLUE, lw=1.3, label=f"zone {top}")
        if (wasted > WASTED_MIN).any():
            area = panel.fill_between(
                self.middle_s, 0, wasted, color=VERMILION, alpha=0.35, lw=0, label="wasted (all zones)"
            )
            handles.append(area)
        self.frame(panel, "utilisation", f"Utilisation of {self.service} by zone", handles)
        panel.set_ylim(0, max(1.05, 1.05 * max(float(np.nanmax(values)) for values in busy.values())))
        panel.yaxis.set_major_locator(MultipleLocator(0.25))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: words.percent(y)))

    # What all panels share

    def frame(self, panel: Axes, name: str, title: str, handles: Sequence[Any]) -> None:
        panel.set_label(name)
        panel.set_title(title)
        panel.grid(axis="y", color="#DDDDDD", lw=0.6)
        panel.set_axisbelow(True)
        panel.legend(handles=list(handles), loc="upper left", bbox_to_anchor=(1.005, 1.04), borderaxespad=0)

    def shade(self, panel: Axes) -> None:
        for fault in self.faults:
            panel.axvspan(fault.start_s, fault.end_s, color="#000000", alpha=0.07, lw=0, zorder=0.5)
        for mark in self.marks:
            panel.axvline(mark.t_s, color=MARK_COLOURS[mark.kind], lw=0.9, ls=(0, (4, 2)), zorder=4)

    def time_axis(self, panel: Axes) -> None:
        panel.set_xlim(self.start_s, self.end_s)
        length_s = self.end_s - self.start_s
        step_s = time_step_s(length_s, 12)
        panel.xaxis.set_major_locator(MultipleLocator(step_s))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda t_s, _: words.clock(t_s)))
        panel.set_xlabel("time of the run (h:min:s)" if self.end_s >= 3600 else "time of the run (min:s)")

    def extent(self, item: Span | Mark) -> tuple[float, float]:
        """From where to where an item with its label takes room, in seconds."""
        start_s, end_s = _ends(item)
        if self.inside(item):
            return start_s, end_s
        room_s = self.label_s(item.label)
        if end_s + room_s <= self.end_s:
            return start_s, end_s + room_s
        return start_s - room_s, end_s

    def inside(self, item: Span | Mark) -> bool:
        start_s, end_s = _ends(item)
        return isinstance(item, Span) and self.label_s(item.label) < end_s - start_s

    def label_s(self, label: str) -> float:
        """The width of a label in seconds of the axis, a little generous."""
        axis_pt = 72 * WIDTH_IN * (RIGHT - LEFT)
        return (0.58 * LABEL_PT * len(label) + 14) / axis_pt * (self.end_s - self.start_s)

    def steps(self, *values: Floats) -> tuple[Floats, ...]:
        """The times at which any of the series changes, and the series there, up to the end of the run."""
        changes = np.any([np.diff(series, prepend=np.nan) != 0 for series in values], axis=0)
        t_s = np.append(self.t_s[changes], self.end_s)
        return (t_s, *(np.append(series[changes], series[-1]) for series in values))

    def mean(self, values: Sequence[float | None]) -> Floats:
        return thinned(values, self.stride, np.nanmean)

    def worst(self, values: Sequence[float | None]) -> Floats:
        return thinned(values, self.stride, np.nanmax)


def _ends(item: Span | Mark) -> tuple[float, float]:
    return (item.start_s, item.end_s) if isinstance(item, Span) else (item.t_s, item.t_s)
