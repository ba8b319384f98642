"""The sheet of a scenario: what it says, defaults included, and what follows from it without a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azsim.report import words
from azsim.report.blocks import Blocks, Cell, Column

if TYPE_CHECKING:
    from azsim.scenario import Scenario
    from azsim.scenario.figures import Figures, ServiceFigures

_LINE_MAX: Final = 54  # what is longer is written key by key
_WITHOUT_END: Final = "no limit"


def sheet(scenario: Scenario, figures: Figures, file: str) -> RenderableType:
    """Resolved values with their sources, the arithmetic (A1 to A5) and the findings; `file` is the scenario's."""
    parts: list[RenderableType] = [
        Text.assemble((scenario.name, "bold"), f"   scenario {scenario.digest[:12]}"),
        Text(),
        Text("RESOLVED", style="bold"),
        resolved(scenario, file),
        Text(),
        Text(f"ARITHMETIC at the busiest instant, {words.clock(figures.peak_at_s)}", style="bold"),
        Text(),
        _services(figures),
        Text(),
        _hops(figures),
        Text(),
        Text("FINDINGS", style="bold"),
    ]
    if not figures.findings:
        parts.append(Text("none"))
    findings = Table.grid(padding=(0, 1, 0, 0))
    for number, finding in enumerate(figures.findings, start=1):
        findings.add_row(f"{number}.", Text(finding))
    parts.append(findings)
    return Group(*parts)


def resolved(scenario: Scenario, file: str) -> Table:
    """Every value of a scenario as a file would write it, each with its source at the right."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(overflow="fold", style="dim")
    for depth, text, source in lines(scenario):
        line = source.removeprefix(f"{file}:")
        told = f"line {line}" if line != source else source
        table.add_row(Text("  " * depth + text), told)
    return table


def lines(scenario: Scenario) -> Iterator[tuple[int, str, str]]:
    """(depth, text, source) of each line of a scenario with every value it resolved to."""
    return _lines(scenario.to_dict(), _tree(scenario.sources), 0)


def _tree(sources: Mapping[str, str]) -> dict[str, Any]:
    """The sources nested as the scenario is: a mapping for what has parts, the source itself for what has none."""
    tree: dict[str, Any] = {}
    for path, source in sources.items():
        *above, last = path.split(".")
        branch = tree
        for name in above:
            branch = branch.setdefault(name, {})
        branch[last] = source
    return tree


def _lines(value: Any, sources: Mapping[str, Any], depth: int) -> Iterator[tuple[int, str, str]]:
    """(depth, text, source) of each line; parts of one source go on one line where they fit."""
    for position, (name, source) in enumerate(sources.items()):
        part = value[name] if isinstance(value, Mapping) else value[position]
        line = f"{name}: {_flow(part)}"
        common = source if isinstance(source, str) else _common(source)
        if common is not None and (isinstance(source, str) or 2 * depth + cell_len(line) <= _LINE_MAX):
            yield depth, line, common
        else:
            yield depth, f"{name}:", ""
            yield from _lines(part, source, depth + 1)


def _common(sources: Mapping[str, Any]) -> str | None:
    """The one source of all parts, None where there are several."""
    found = {source if isinstance(source, str) else _common(source) for source in sources.values()}
    return found.pop() if len(found) == 1 else None


def _flow(value: Any) -> str:
    """A value on one line, as YAML writes it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_flow(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _services(figures: Figures) -> Blocks:
    services = figures.services.values()
    zones = list(next(iter(services)).without)
    slows = any(service.load.full_per_s < service.load.capacity_per_s for service in services)
    is_limited = any(math.isfinite(service.load.let_in_per_s) for service in services)
    cold = [zone for zone in zones if any(zone in service.cold for service in services)]
    labels = [
        "requests", "capacity", *["capacity, all slots full"] * slows, *["let in by rate limits"] * is_limited,
        "busy", *(f"busy, zone {zone} gone" for zone in zones), *(f"busy, zone {zone} back, cold" for zone in cold),
        "full queue waits", "slot held up to", "wait for a slot up to", "attempts per request up to",
        "refused target out after", "silent target out after",
    ]  # fmt: skip
    columns = [Column(name, _service(service, slows, is_limited, cold)) for name, service in figures.services.items()]
    return Blocks(labels, columns)


def _service(service: ServiceFigures, slows: bool, is_limited: bool, cold: list[str]) -> list[Cell]:
    """The cells of a service; the flags and `cold` say which rows there are beyond the usual."""
    load = service.load
    limits = _WITHOUT_END if math.isinf(load.let_in_per_s) else words.rate(load.let_in_per_s)
    found = service.detection
    if found is None:
        refused = silent = Cell("never", bad=True)
    else:
        refused = Cell(_between(found.refused_s_min, found.refused_s_max))
        silent = Cell(_between(found.silent_s_min, found.silent_s_max))
    return [
        Cell(words.rate(load.rate_per_s)),
        Cell(words.rate(load.capacity_per_s)),
        *[Cell(words.rate(load.full_per_s), bad=load.full_per_s <= load.rate_per_s)] * slows,
        *[Cell(limits, bad=load.let_in_per_s < load.rate_per_s)] * is_limited,
        _busy(load.busiest),
        *(_busy(left.busiest) for left in service.without.values()),
        *(_busy(service.cold[zone]) if zone in service.cold else Cell("-") for zone in cold),
        Cell(_time(service.queue_wait_s)),
        Cell(_time(service.slot_s_max)),
        Cell(_time(service.wait_s_max)),
        Cell(f"{service.attempts_product:.3g}"),
        refused,
        silent,
    ]


def _busy(share: float) -> Cell:
    return Cell("nothing left" if math.isinf(share) else words.percent(share), bad=share >= 1)


def _between(low_s: float, high_s: float) -> str:
    """A range of times: `5 to 15 s` where both have one unit."""
    low, high = words.seconds(low_s), words.seconds(high_s)
    if low == high:
        return low
    return f"{low.split()[0]} to {high}" if low.split()[1] == high.split()[1] else f"{low} to {high}"


def _time(duration_s: float) -> str:
    return _WITHOUT_END if math.isinf(duration_s) else words.seconds(duration_s)


def _hops(figures: Figures) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    bold = ("hop", "attempts", "timeout", "retries its budgets pay for at once")
    table.add_row(*(Text(name, style="bold") for name in bold))
    for hop in figures.hops:
        timeout = "none" if hop.timeout_s is None else words.seconds(hop.timeout_s)
        burst = _count(hop.burst)
        if hop.burst_timeouts != hop.burst:
            burst = f"{burst}; of timeouts {_count(hop.burst_timeouts)}"
        table.add_row(Text(f"{hop.path} to {hop.to}"), str(hop.attempts), timeout, burst)
    return table


def _count(number: float) -> str:
    return _WITHOUT_END if math.isinf(number) else words.count(number)
