"""The card of a run: what a person should know of it in ten seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azsim.base.units import SECOND_NS, format_share
from azsim.report import words
from azsim.report.blocks import Blocks, Cell, Column, Items
from azsim.report.next_step import next_step
from azsim.report.spans import fault_spans
from azsim.scenario.arithmetic import arithmetic
from azsim.simulation.explained import INTERRUPTED, ejected, refilled, telling_first

if TYPE_CHECKING:
    from azsim.scenario import Scenario
    from azsim.scenario.hypothesis import Abort
    from azsim.simulation.result import Result

VERDICT_STYLES: Final[Mapping[str, str]] = {
    "collapse": "bold red",
    "outage": "bold red",
    "degraded": "bold yellow",
    "invalid": "bold yellow",
    "undecided": "bold yellow",
    "no-impact": "bold green",
    "improved": "bold green",
}
LABEL_WIDTH: Final = 12


def card(
    result: Result | Mapping[str, Any],
    scenario: Scenario,
    *,
    file: str,
    changes: Mapping[str, str] | None = None,
    outputs: Sequence[str] = (),
) -> RenderableType:
    """The card of a result: a `Result`, or the mapping its `to_dict` gives.

    `file` is the scenario's file as the reader would name it, `changes` what `--set` had laid over it, `outputs` are
    the files that the run left.
    """
    facts: Mapping[str, Any] = result if isinstance(result, Mapping) else result.to_dict()
    parts: list[RenderableType] = [_head(facts), _labelled(_givens(facts, scenario)), Text()]
    parts += [_labelled([("OUTCOME", _outcome(facts))]), Text(), _segments(facts, scenario), Text()]
    if facts["conclusions"]:
        parts += [Text("WHAT HAPPENED", style="bold"), _happened(facts), Text()]
    parts.append(_labelled(_reasons(facts, scenario)))
    asks, command = next_step(facts, scenario, file, changes or {})
    parts.append(_labelled([("NEXT", Text(asks))]))
    # Too long a command is left to the terminal to wrap, so that it can be copied whole.
    parts.append(Text(f"{' ' * LABEL_WIDTH}{command}", no_wrap=True, overflow="ignore"))
    if outputs:
        parts.append(_labelled([("FILES", Text("  ".join(outputs)))]))
    return Group(*parts)


def _head(facts: Mapping[str, Any]) -> Text:
    told = [f"seed {facts['seed']}", words.seconds(facts["wall_s"])]
    if facts["requests_per_wall_s"] is not None:
        told.append(f"{words.short_count(facts['requests_per_wall_s'])} requests/s")
    return Text.assemble((facts["scenario"], "bold"), "   ", "   ".join(told))


def _labelled(rows: Sequence[tuple[str, RenderableType]]) -> Table:
    """Rows of a label and what belongs to it."""
    table = Table.grid(padding=0)
    table.add_column(width=LABEL_WIDTH, style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, content in rows:
        table.add_row(label, content)
    return table


def _givens(facts: Mapping[str, Any], scenario: Scenario) -> list[tuple[str, RenderableType]]:
    spans = [f"{words.clock(span.start_s)}-{words.clock(span.end_s)} {span.label}" for span in fault_spans(facts)]
    rows: list[tuple[str, RenderableType]] = [
        ("LOAD", Text(load(scenario))),
        ("FAULTS", Items(spans or ["none"])),
        ("HYPOTHESIS", Text(hypothesis(scenario))),
    ]
    if scenario.abort:
        rows.append(("ABORT IF", Items([abort_condition(one) for one in scenario.abort])))
    return rows


def abort_condition(abort: Abort) -> str:
    """When an experiment is stopped, in words: `error rate > 20% for 1 min`."""
    measure = "error rate" if abort.error_rate is not None else "instances"
    return f"{measure} {abort.condition}" + (f" for {words.seconds(abort.for_ / SECOND_NS)}" if abort.for_ else "")


def load(scenario: Scenario) -> str:
    """How busy the service is that a lost zone leaves worst off: now, and with that zone gone (A1).

    The zone is the first that a fault takes, else the one whose loss is hardest.
    """
    figures = arithmetic(scenario)
    taken = [fault.zone_loss.zone for fault in scenario.faults if fault.zone_loss is not None]
    zones = taken[:1] or scenario.zones
    name, zone = max(
        ((name, zone) for name in figures.services for zone in zones),
        key=lambda one: figures.services[one[0]].without[one[1]].busiest,
    )
    now, left = figures.services[name].load, figures.services[name].without[zone]
    whose = f"{name} " if len(figures.services) > 1 else ""
    said = f"{whose}{words.percent(now.busiest)} busy; with zone {zone} gone "
    if math.isinf(left.busiest):
        return said + "nothing is left to serve"
    if left.busiest == 0:
        return said + "nothing comes"
    spare_per_s = left.rate_per_s / left.busiest - left.rate_per_s
    what = "to spare" if spare_per_s >= 0 else "too much"
    return f"{said}{words.percent(left.busiest)} ({words.rate(abs(spare_per_s))} {what})"


def hypothesis(scenario: Scenario) -> str:
    """What must hold, in words: `success >= 99.9% per 10 s, p99 <= 500 ms, recovered within 5 min`."""
    said = scenario.hypothesis
    bounds = []
    for name, bound in said.bounds.items():
        limit = format_share(bound.limit) if bound.dimension == "share" else words.seconds(bound.limit / SECOND_NS)
        bounds.append(f"{name.removeprefix('latency_')} {bound.relation} {limit}")
    window = f"per {words.seconds(said.window / SECOND_NS)}"
    bounds[0] = f"{bounds[0]} {window}"
    return ", ".join([*bounds, f"recovered within {words.seconds(said.recover_within / SECOND_NS)}"])


def _outcome(facts: Mapping[str, Any]) -> Text:
    told = Text.assemble((words.verdict_line(facts), VERDICT_STYLES[facts["verdict"]]))
    if facts["data_loss"]:
        told.append(f"\n{words.count(facts['data_loss'])} acknowledged writes lost")
    return told.append(f"\nhypothesis {facts['hypothesis']}")


LABELS: Final = ("success", "p99 of all", "attempts/req", "wasted CPU", "busiest zone")


def _segments(facts: Mapping[str, Any], scenario: Scenario) -> Blocks:
    """The metrics of each segment of the run, a column each; what breaks the hypothesis stands out."""
    return Blocks(LABELS, [Column(segment["name"], cells(segment, scenario)) for segment in facts["segments"]])


def cells(segment: Mapping[str, Any], scenario: Scenario) -> list[Cell]:
    """A segment's metrics, one for each of `LABELS`; what breaks the hypothesis is bad."""
    bounds = scenario.hypothesis.bounds
    success, p99_s = segment["success"], segment["latency_all_p99_s"]
    # Where no request came to an end nothing is broken; an infinite percentile is null, and longer than any limit (J2).
    ended = success is not None
    low = ended and "success" in bounds and not bounds["success"].holds(success)
    late = ended and "latency_p99" in bounds and (p99_s is None or not bounds["latency_p99"].holds(p99_s * SECOND_NS))
    busiest = segment["busiest_zone"]
    return [
        Cell(words.share(success), bad=low),
        Cell(words.seconds(p99_s), bad=late),
        Cell(words.MISSING if segment["amplification"] is None else f"{segment['amplification']:.2f}"),
        Cell(words.percent(segment["wasted_share"])),
        Cell(words.percent(busiest["utilisation"])),
    ]


def _happened(facts: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    for conclusion in facts["conclusions"]:
        kind = str(conclusion["kind"])
        shown = "" if kind == "expected" else kind.replace("-", " ").upper()
        table.add_row(words.clock(conclusion["t_s"]), conclusion["text"], Text(shown, style="bold"))
    return table


def why(facts: Mapping[str, Any]) -> list[str]:
    """Why it stays down, as further runs with the same random numbers showed (J4)."""
    if facts["verdict"] != "collapse":
        return []
    interrupted = any(one["skipped"] == INTERRUPTED for one in facts["replays"])
    if facts["metastable"] is None:
        return ["interrupted before it was found out" if interrupted else "not looked into: --no-replays"]
    cures = [_cure(one) for one in telling_first(facts["sustained_by"], facts["replays"])]
    # A reset replay has no verdict of its own: it shows whether capacity suffices, not what would cure.
    helpless = [str(one["change"]) for one in facts["replays"] if one["verdict"] is not None and not one["recovers"]]
    said = []
    if ejected(facts["replays"]):
        said.append("health ejection holds it down: emptied it breaks again, emptied with all in rotation it holds")
    elif refilled(facts["replays"]):
        said.append("cold caches hold it down: emptied it breaks again, emptied with its caches filled it holds")
    if cures:
        said.append(f"same random numbers, one change, and it recovers: {', '.join(cures)}")
    if helpless:
        said.append(f"no cure by itself: {', '.join(helpless)}")
    return [*said, "interrupted: not all replays were made"] if interrupted else said


def _cure(cure: Mapping[str, Any]) -> str:
    """A mechanism and when the level was last broken without it."""
    at_s = cure["recovered_at_s"]
    return f"{cure['mechanism']} ({'never broken' if at_s is None else words.clock(at_s)})"


def _reasons(facts: Mapping[str, Any], scenario: Scenario) -> list[tuple[str, RenderableType]]:
    reasons = "\n".join(why(facts))
    rows: list[tuple[str, RenderableType]] = [("WHY", Text(reasons))] if reasons else []
    left = margin(facts, of_service=len(scenario.services) > 1)
    if left:
        rows.append(("MARGIN", Text(left)))
    return rows


def margin(facts: Mapping[str, Any], *, of_service: bool) -> str:
    """The least headroom in words (J5); empty where there is none to tell of."""
    least = facts["headroom"]
    if least["at_s"] is None:
        return ""
    when = words.clock(least["at_s"])
    whose = f" of {least['service']}" if of_service else ""
    if least["min"] is None:
        return f"none at {when}: work arrived, and nothing{whose} was in rotation"
    if least["min"] < 0:
        return f"none at {when}: work arrived at {1 - least['min']:.1f} times the capacity{whose} in rotation"
    return f"least headroom{whose} {words.percent(least['min'])} at {when}"
