"""The page of a run: its card, its course over time, zone by zone and tier by tier, and all it was made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from azsim.report import card, sheet, words
from azsim.report.axes import Floats, limits_s
from azsim.report.blocks import Cell
from azsim.report.document import Block, Code, Facts, Happenings, Page, Prose, Section, Story, Table
from azsim.report.next_step import next_step
from azsim.report.palette import FAILURES
from azsim.report.plots import Curve, Lane, Lanes, Limit, Plot, TimeAxis
from azsim.report.spans import fault_spans

if TYPE_CHECKING:
    from azsim.scenario import Scenario
    from azsim.simulation.result import Result

# Names in the style sheet; dashes tell lines apart where colour does not.
SERIES: Final = (
    ("blue", ""),
    ("orange", "7 3"),
    ("green", "2 2"),
    ("purple", "8 3 2 3"),
    ("black", ""),
    ("grey", "5 2"),
)
FAILURE_COLOURS: Final[Mapping[str, str]] = {
    "timeout": "vermilion",
    "deadline": "orange",
    "overload": "purple",
    "no-target": "black",
    "error": "maroon",
    "refused": "yellow",
    "reset": "brown",
    "budget-exhausted": "grey",
    "breaker-open": "grey",
    "cancelled": "pale",
}
SEPARATE_MAX: Final = len(SERIES)  # lines of one plot that a reader can tell apart
SERVICES_MAX: Final = 4  # drawn; all are in the tables
LANES_MAX: Final = 12  # zones with a lane each; more share one
EVENTS_MAX: Final = 400
EVENTS_OPEN_MAX: Final = 25  # more are folded
LINE_MAX: Final = 300  # characters of a line of the configuration, such as a recorded trace
ROWS_MAX: Final = 60  # of the table that stands for the pictures


def run_page(
    result: Result | Mapping[str, Any],
    scenario: Scenario,
    *,
    file: str,
    changes: Mapping[str, str] | None = None,
    sources: bool = True,
) -> Page:
    """The page of a result: a `Result`, or the mapping its `to_dict` gives.

    `file` is the scenario's file as the reader would name it, `changes` what `--set` had laid over it; `sources` says
    whether the scenario knows where its values were written.
    """
    facts: Mapping[str, Any] = result if isinstance(result, Mapping) else result.to_dict()
    axis = TimeAxis(facts)
    return Page(
        title=facts["scenario"],
        lead=scenario.description,
        outcome=words.verdict_line(facts),
        kind=facts["verdict"],
        sections=[
            Section("summary", "Summary", list(_summary(facts, scenario, file, changes or {}))),
            Section("timeline", "Timeline", list(_timeline(facts, scenario, axis)), axis),
            Section("zones", "Zone by zone", list(_zones(facts, axis)), axis),
            Section("tiers", "Attempts by tier", list(_tiers(facts, axis)), axis),
            Section("waste", "Wasted work", list(_waste(facts, axis)), axis),
            Section("events", "Events", list(_events(facts))),
            Section("configuration", "Configuration", list(_configuration(scenario, file, sources))),
            Section("provenance", "Provenance", list(_provenance(facts))),
        ],
    )


def _summary(facts: Mapping[str, Any], scenario: Scenario, file: str, changes: Mapping[str, str]) -> Iterator[Block]:
    faults = [f"{words.clock(span.start_s)}-{words.clock(span.end_s)} {span.label}" for span in fault_spans(facts)]
    yield Facts(
        [
            ("Outcome", [words.verdict_line(facts), f"hypothesis {facts['hypothesis']}"]),
            ("Load", [card.load(scenario)]),
            ("Faults", faults or ["none"]),
            ("Hypothesis", [card.hypothesis(scenario)]),
        ]
    )
    columns = [card.cells(segment, scenario) for segment in facts["segments"]]
    yield Table(
        "The run from warm-up to its end, cut where faults start, are detected and end",
        ["", *(segment["name"] for segment in facts["segments"])],
        [[label, *(column[row] for column in columns)] for row, label in enumerate(card.LABELS)],
    )
    if facts["conclusions"]:
        yield Happenings(
            [
                (words.clock(one["t_s"]), one["text"], "" if one["kind"] == "expected" else str(one["kind"]))
                for one in facts["conclusions"]
            ]
        )
    reasons: list[tuple[str, Sequence[str]]] = []
    if why := card.why(facts):
        reasons.append(("Why", why))
    if left := card.margin(facts, of_service=len(scenario.services) > 1):
        reasons.append(("Margin", [left]))
    asks, command = next_step(facts, scenario, file, changes)
    yield Facts([*reasons, ("Next", [asks])])
    yield Code("The command that answers it", command)
    if facts["replays"]:
        yield Table(
            "Further runs with the same random numbers",
            ["change", "the level holds", "from"],
            [[str(one["change"]), *_replayed(one)] for one in facts["replays"]],
            numeric=False,
            folded=True,
        )


def _replayed(replay: Mapping[str, Any]) -> tuple[str, str]:
    if replay["skipped"] is not None:
        return f"skipped: {replay['skipped']}", words.MISSING
    at_s = replay["recovered_at_s"]
    since = words.MISSING if at_s is None else words.clock(at_s)
    return ("yes" if replay["recovers"] else "no"), since


def _timeline(facts: Mapping[str, Any], scenario: Scenario, axis: TimeAxis) -> Iterator[Block]:
    series = facts["timeline"]
    yield Story()
    layers = [Curve("succeeded", "sky", axis.mean(series["succeeded"]), "layer")]
    layers += [
        Curve(name, FAILURE_COLOURS[outcome], axis.mean(series["failed_by"][outcome]), "layer")
        for outcome, (_, name) in FAILURES.items()
        if any(series["failed_by"].get(outcome, ()))
    ]
    lines = [
        Curve("attempts", "blue", axis.mean(series["attempts"])),
        Curve("offered", "black", axis.mean(series["offered"])),
    ]
    note = "The stack is what became of requests; what attempts have above offered is retries."
    yield Plot(f"Requests and attempts {axis.unit}", "count", [*layers, *lines], note=note)
    limits = [
        Limit(f"{name} limit", "blue" if name == "p50" else "vermilion", limit)
        for name, limit in limits_s(facts, scenario).items()
    ]
    percentiles = [
        Curve("p99", "vermilion", axis.worst(series["latency_p99_s"])),
        Curve("p50", "blue", axis.worst(series["latency_p50_s"]), dash="7 3"),
    ]
    note = "Of requests that succeed, by their start; where there is no line, none succeeds."
    yield Plot("Latency", "seconds", percentiles, log=True, limits=limits, note=note)
    yield _figures(facts, axis)


def _figures(facts: Mapping[str, Any], axis: TimeAxis) -> Table:
    """The timeline as a table of at most `ROWS_MAX` rows."""
    series = facts["timeline"]
    every = max(1, -(-axis.points // ROWS_MAX))
    rows = []
    for first in range(0, axis.points, every):
        span = slice(first * axis.stride, (first + every) * axis.stride)
        counted = [words.count(float(np.mean(series[name][span]))) for name in ("offered", "attempts", "succeeded")]
        failed = words.count(float(np.mean(series["failed"][span])))
        late = [
            words.seconds(max((value for value in series[name][span] if value is not None), default=None))
            for name in ("latency_p50_s", "latency_p99_s")
        ]
        rows.append([axis.clock(first), *counted, failed, *late])
    caption = f"The timeline as a table: means per second and longest latencies of {every * axis.stride} s"
    return Table(caption, ["from", "offered", "attempts", "succeeded", "failed", "p50", "p99"], rows, folded=True)


def _drawn(facts: Mapping[str, Any]) -> list[str]:
    """The services that are drawn: the one with the least headroom first, then in the scenario's order."""
    names = list(facts["timeline"]["services"])
    scarce = facts["headroom"]["service"]
    return sorted(names, key=lambda name: name != scarce)[:SERVICES_MAX]


def _by_zone(values: Mapping[str, Sequence[float | None]], axis: TimeAxis, zones: Sequence[str]) -> list[Curve]:
    """A line for each zone; where nobody could tell so many apart, the highest, the mean and the lowest."""
    curves = {zone: axis.mean(values[zone]) for zone in zones}
    if len(zones) <= SEPARATE_MAX:
        return [
            Curve(f"zone {zone}", colour, curves[zone], dash=dash)
            for zone, (colour, dash) in zip(zones, SERIES, strict=False)
        ]
    every = np.vstack(list(curves.values()))
    known = np.isfinite(every).any(axis=0)
    found: list[Curve] = []
    summaries: dict[str, Any] = {"highest": np.nanmax, "mean": np.nanmean, "lowest": np.nanmin}
    for (colour, dash), (name, how) in zip(SERIES, summaries.items(), strict=False):
        line = np.full(every.shape[1], np.nan)
        line[known] = how(every[:, known], axis=0)
        found.append(Curve(f"{name} of {len(zones)} zones", colour, line, dash=dash))
    return found


def _zones(facts: Mapping[str, Any], axis: TimeAxis) -> Iterator[Block]:
    for name in _drawn(facts):
        series = facts["timeline"]["services"][name]
        zones = [zone for zone, view in series["healthy_view"].items() if any(view)]
        if not zones:
            continue
        yield _rotation(name, series, zones, axis)
        busy = _by_zone(series["utilisation"], axis, zones)
        wasted = np.nan_to_num(axis.mean(series["wasted_utilisation"]))
        area = [Curve("wasted (all zones)", "vermilion", wasted, "area")] if (wasted > 0.005).any() else []
        yield Plot(f"Utilisation of {name}", "percent", [*area, *busy], top=1.05)
        if any(any(series["queue"][zone]) for zone in zones):
            yield Plot(f"Waiting in the queues of {name}", "count", _by_zone(series["queue"], axis, zones))
    yield from _left_out(facts)
    services = facts["services"]
    columns = list(next(iter(services.values()))["utilisation"])
    yield Table(
        "Utilisation of each service in each zone, from warm-up to the end",
        ["service", *(f"zone {zone}" for zone in columns), "all"],
        [
            [
                name,
                *(words.percent(one["utilisation"][zone]) for zone in columns),
                words.percent(one["utilisation_all"]),
            ]
            for name, one in services.items()
        ],
    )


def _left_out(facts: Mapping[str, Any]) -> Iterator[Block]:
    left = len(facts["timeline"]["services"]) - SERVICES_MAX
    if left > 0:
        yield Prose(f"{left} more services are not drawn; they are in the table.")


def _rotation(name: str, series: Mapping[str, Any], zones: Sequence[str], axis: TimeAxis) -> Lanes:
    """A lane a zone: what is in rotation and alive, used though held for sick, and used though gone."""
    fail_open = axis.mean(series["fail_open"])
    if len(zones) <= LANES_MAX:
        groups = {f"zone {zone}": [zone] for zone in zones}
    else:
        groups = {f"{len(zones)} zones": list(zones)}
    lanes, seen = [], {"sky"}
    for lane, members in groups.items():
        viewed, up = (
            np.sum([series[what][zone] for zone in members], axis=0) for what in ("healthy_view", "instances")
        )
        targets = max(int(viewed.max()), int(up.max()), 1)
        in_view: Floats = axis.mean(viewed) / targets
        used = in_view + fail_open * (1 - in_view)
        alive = np.minimum(axis.mean(up) / targets, used)
        well = np.minimum(in_view, alive)
        areas = [("vermilion", used)] if (used > alive).any() else []
        areas += [("orange", alive)] if (alive > well).any() else []
        seen |= {colour for colour, _ in areas}
        lanes.append(Lane(lane, [*areas, ("sky", well)], axis.mean(viewed)))
    legend = [("sky", "in rotation"), ("orange", "sick, but used (fail-open)"), ("vermilion", "gone, but used")]
    shown = [entry for entry in legend if entry[0] in seen]
    note = "As the balancer sees them; each lane is filled to the share of its targets."
    return Lanes(f"Targets of {name} in rotation", lanes, [*shown, ("pale", "out of rotation")], note)


def _tiers(facts: Mapping[str, Any], axis: TimeAxis) -> Iterator[Block]:
    offered = axis.mean(facts["timeline"]["offered"])
    curves = []
    for name, (colour, dash) in zip(_drawn(facts), SERIES, strict=False):
        attempts = axis.mean(facts["timeline"]["services"][name]["attempts"])
        ratio = np.divide(attempts, offered, out=np.full(len(offered), np.nan), where=offered > 0)
        curves.append(Curve(name, colour, ratio, dash=dash))
    note = "How many attempts arrive at each service for one request that comes from outside."
    yield Plot("Attempts for each request", "ratio", curves, top=1.2, note=note)
    yield from _left_out(facts)
    yield Table(
        "Attempts at each service, from warm-up to the end",
        ["service", "attempts", "for each request", "refused", "turned away", "given up in the queue"],
        [
            [
                name,
                words.count(one["attempts"]),
                words.MISSING if one["amplification"] is None else f"{one['amplification']:.2f}",
                *(words.count(one[what]) for what in ("refused", "overloads", "dropped")),
            ]
            for name, one in facts["services"].items()
        ],
    )


def _waste(facts: Mapping[str, Any], axis: TimeAxis) -> Iterator[Block]:
    curves = [
        Curve(name, colour, axis.mean(facts["timeline"]["services"][name]["wasted_share"]), dash=dash)
        for name, (colour, dash) in zip(_drawn(facts), SERIES, strict=False)
    ]
    note = "The share of CPU time whose answer nobody waited for any more."
    yield Plot("Wasted work of each service", "percent", curves, top=1.05, note=note)
    yield Table(
        "CPU time of each service, from warm-up to the end",
        ["service", "useful", "wasted"],
        [
            [name, words.share(one["useful_share"]), words.share(one["wasted_share"])]
            for name, one in facts["services"].items()
        ],
    )
    failed = facts["totals"]["failed"]
    if failed:
        ended = facts["totals"]["succeeded"] + sum(failed.values())
        by_count = sorted(failed.items(), key=lambda item: -item[1])
        yield Table(
            "Failed requests as their users saw them",
            ["outcome", "requests", "share of all"],
            [[FAILURES[outcome][1], words.count(n), words.share(n / ended)] for outcome, n in by_count],
        )


def _events(facts: Mapping[str, Any]) -> Iterator[Block]:
    events = facts["events"]
    if not events:
        yield Prose("Nothing happened apart from requests.")
        return
    shown = events[:EVENTS_MAX]
    which = f"The first {len(shown)} of {words.count(len(events))} events" if len(shown) < len(events) else "All events"
    rows: list[list[str | Cell]] = [[f"{words.clock(one['t_s'])}", one["source"], one["what"]] for one in shown]
    yield Table(which, ["time", "source", "what"], rows, numeric=False, folded=len(rows) > EVENTS_OPEN_MAX)


def _configuration(scenario: Scenario, file: str, sources: bool) -> Iterator[Block]:
    yield Prose("Every value that the run depended on, defaults included, as a scenario file would write it.")
    written = [(f"{'  ' * depth}{text}"[:LINE_MAX], source) for depth, text, source in sheet.lines(scenario)]
    if not sources:
        yield Code("The resolved scenario", "\n".join(text for text, _ in written), folded=True)
        return
    width = min(76, max(len(text) for text, _ in written)) + 2
    told = [(text, source.replace(f"{file}:", "line ", 1)) for text, source in written]
    code = "\n".join(f"{text:{width}}{f'# {source}' if source else ''}".rstrip() for text, source in told)
    yield Code("The resolved scenario, with the source of each value", code, folded=True)


def _provenance(facts: Mapping[str, Any]) -> Iterator[Block]:
    totals = facts["totals"]
    rate = facts["requests_per_wall_s"]
    yield Facts(
        [
            ("Version", [f"azsim {facts['azsim']}, {facts['engine']} engine"]),
            ("Scenario", [f"sha256 {facts['digest']} of the resolved scenario"]),
            ("Seed", [f"{facts['seed']}, replicate {facts['replicate']}"]),
            ("Simulated", [f"{words.count(totals['offered'])} requests, {words.count(totals['attempts'])} attempts"]),
            (
                "Took",
                [words.seconds(facts["wall_s"]) + (f", {words.short_count(rate)} requests/s" if rate else "")],
            ),
        ]
    )
