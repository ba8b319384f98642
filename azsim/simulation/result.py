"""The result of a run: what is written as JSON, under the same names in Python, and how it is made from a trace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from azsim.base.units import SECOND_NS
from azsim.base.version import __version__
from azsim.dataplane.layout import OFFERED
from azsim.simulation import metrics as summed
from azsim.simulation import scaled
from azsim.simulation.conclusions import conclude
from azsim.simulation.judging import Judged, judged, lost_writes, span_block
from azsim.simulation.segments import phases, returned_ns, segments, watched
from azsim.simulation.series import per_second
from azsim.simulation.timeline import timeline
from azsim.simulation.trace import Trace
from azsim.simulation.verdict import Status, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True)
class Result:
    """A judged run. `to_dict` and `to_json` give every field; only `engine`, `wall_s` and `requests_per_wall_s` may
    differ between two runs of the same scenario, seed and replicate.
    """

    azsim: str
    scenario: str
    digest: str
    seed: int
    replicate: int
    engine: str
    verdict: Verdict
    metastable: bool | None  # None where not looked into
    sustained_by: list[dict[str, Any]]  # {"mechanism", "recovers", "recovered_at_s"}, smallest change first
    hypothesis: Status
    violations: list[dict[str, Any]]
    deadlines: list[dict[str, Any]]  # every deadline, and whether the level held at it
    time_to_detect_s: float | None
    time_to_recover_s: float | None
    aborted_at_s: float | None
    data_loss: int | None  # acknowledged writes lost (R11); None where no service has replicated data
    faults: list[dict[str, Any]]  # as they happened
    phases: dict[str, dict[str, Any] | None]  # before, during, after; None where there is none
    segments: list[dict[str, Any]]
    totals: dict[str, Any]  # from the end of the warm-up on
    services: dict[str, dict[str, Any]]  # the same
    headroom: dict[str, Any]
    conclusions: list[dict[str, Any]]
    replays: list[dict[str, Any]]  # what further runs showed
    timeline_lists: dict[str, Any]  # `timeline` in JSON
    events: list[dict[str, Any]]
    wall_s: float
    requests_per_wall_s: float | None

    @cached_property
    def timeline(self) -> DataFrame:
        """The timeline as a table, one row a second (index `t_s`); nested names are joined with dots:
        `services.web.utilisation.a`.
        """
        import pandas

        columns = dict(_flat("", self.timeline_lists))
        return pandas.DataFrame(columns).set_index("t_s")

    def plot(self) -> Figure:
        """The picture of the run."""
        from importlib import import_module

        # By name: a result must not import the report above it.
        figure: Figure = import_module("azsim.report.figures").timeline(self)
        return figure

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON types; floats are finite or None."""
        return {field.name.removesuffix("_lists"): _copied(getattr(self, field.name)) for field in fields(self)}

    def to_json(self) -> str:
        """`to_dict` as JSON text: the same bytes for the same result."""
        return json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Result:
        """The result that `to_dict` (or JSON read back) gave; ValueError where it is none."""
        names = {field.name.removesuffix("_lists"): field.name for field in fields(cls)}
        missing, unknown = names.keys() - values.keys(), values.keys() - names.keys()
        if missing or unknown:
            wrong = [f"lacks {name}" for name in sorted(missing)] + [f"has {name}" for name in sorted(unknown)]
            raise ValueError(f"not a result of this version of azsim: it {', '.join(wrong[:5])}")
        return cls(**{names[name]: value for name, value in values.items()})


def _copied(value: Any) -> Any:
    """The same dicts and lists, made anew, so that nobody changes a result through what it gave."""
    if isinstance(value, dict):
        return {name: _copied(below) for name, below in value.items()}
    return [_copied(below) for below in value] if isinstance(value, list) else value


def _flat(prefix: str, values: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    found: list[tuple[str, list[Any]]] = []
    for name, value in values.items():
        found += _flat(f"{prefix}{name}.", value) if isinstance(value, Mapping) else [(f"{prefix}{name}", value)]
    return found


def build(trace: Trace) -> Result:
    """Judge a run. Where it is broken at a deadline the verdict is `collapse` until a replay has shown whether
    capacity suffices: `replay.investigate` settles it.
    """
    plan, recording, scenario = trace.plan, trace.recording, trace.scenario
    seconds = per_second(recording, summed.COVERING_ZONE_COLUMNS)
    view = judged(trace, seconds)
    verdict = view.verdict()
    window_s, warmup_s = scenario.hypothesis.window // SECOND_NS, -(-scenario.warmup // SECOND_NS)
    headroom = summed.headroom(plan, seconds, window_s, warmup_s)
    whole = span_block(trace, scenario.warmup, trace.end_ns)
    offered = int(recording.populations[..., OFFERED].sum())
    found = Result(
        azsim=__version__,
        scenario=scenario.name,
        digest=scenario.digest,
        seed=trace.seed,
        replicate=trace.replicate,
        engine=trace.engine,
        verdict=verdict,
        metastable=None if verdict in ("collapse", "invalid", "undecided") else False,
        sustained_by=[],
        hypothesis=view.status(verdict),
        violations=view.violations,
        deadlines=[
            {"t_s": one.t_ns / SECOND_NS, "fault": one.fault or None, "since": one.since, "level": one.state.word}
            for one in view.judgement.deadlines
        ],
        time_to_detect_s=_seconds(view.time_to_detect_ns),
        time_to_recover_s=_seconds(view.judgement.time_to_recover_ns),
        aborted_at_s=_seconds(trace.aborted_at_ns),
        data_loss=lost_writes(trace),
        faults=[
            {
                "id": fault.id,
                "kind": fault.kind,
                "what": fault.what,
                "start_s": _seconds(fault.start_ns),
                "end_s": _seconds(fault.end_ns),
                "detected_s": _seconds(detected),
                "returned_s": _seconds(returned_ns(fault, trace.view_changes)),
            }
            for fault, detected in zip(trace.faults, view.detections_ns, strict=True)
        ],
        phases={
            name: None if span is None else summed.metrics(plan, span_block(trace, *span))
            for name, span in phases(trace.faults, scenario.warmup, trace.end_ns).items()
        },
        segments=_segments(trace, view),
        totals=summed.metrics(plan, whole),
        services={
            name: figures | scaled.services(trace, whole.start_ns, whole.end_ns)[name]
            for name, figures in summed.services(plan, whole).items()
        },
        headroom=summed.least_headroom(plan, headroom),
        conclusions=[],
        replays=[],
        timeline_lists=timeline(plan, recording, seconds, headroom, scaled.desired(trace, len(seconds))),
        events=[{"t_s": _seconds(one.t_ns), "source": one.source, "what": one.what} for one in trace.events],
        wall_s=trace.wall_s,
        requests_per_wall_s=offered / trace.wall_s if trace.wall_s > 0 else None,
    )
    return replace(found, conclusions=conclude(vars(found), trace, seconds))


def concluded(found: Result, trace: Trace) -> Result:
    """The result with its conclusions drawn anew."""
    seconds = per_second(trace.recording, summed.COVERING_ZONE_COLUMNS)
    return replace(found, conclusions=conclude(vars(found), trace, seconds))


def _segments(trace: Trace, view: Judged) -> list[dict[str, Any]]:
    main = watched(trace.faults)
    detected = view.detections_ns[trace.faults.index(main)] if main is not None else None
    columns = []
    for segment in segments(trace.faults, detected, trace.scenario.warmup, trace.end_ns):
        span = span_block(trace, segment.start_ns, segment.end_ns)
        columns.append(
            {
                "name": segment.name,
                "start_s": _seconds(segment.start_ns),
                "end_s": _seconds(segment.end_ns),
                **summed.metrics(trace.plan, span),
                "busiest_zone": summed.busiest_zone(trace.plan, span),
            }
        )
    return columns


def _seconds(t_ns: int | None) -> float | None:
    return None if t_ns is None else t_ns / SECOND_NS
