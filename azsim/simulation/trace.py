"""What one run leaves behind, before anyone judges it."""

from __future__ import annotations

from dataclasses import dataclass

from azsim.dataplane.layout import Plan, Recording
from azsim.simulation.lower import Scenario


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling: `source` is who did or saw it (`fault`, `health.web`, `router.web`, `abort`, `end`)."""

    t_ns: int
    source: str
    what: str


@dataclass(frozen=True, slots=True)
class FaultSpan:
    """When a fault was active. `end_ns` is None where it still was at the end of the run."""

    id: str
    kind: str
    what: str  # "zone c power", "cpu stress 80% on web (12 hosts)"
    start_ns: int
    end_ns: int | None
    instances: tuple[int, ...] = ()  # that it acts on, ascending; none for a traffic spike


@dataclass(frozen=True, slots=True)
class Trace:
    """A finished run: its input, what the data plane recorded and what the control plane did."""

    scenario: Scenario
    plan: Plan
    recording: Recording
    events: tuple[Event, ...]  # in the order in which they happened
    faults: tuple[FaultSpan, ...]  # those that started, by start, then as listed in the scenario
    view_changes: tuple[tuple[int, int, bool], ...]  # (t_ns, instance, healthy) as the balancers learned it
    aborted_at_ns: int | None
    end_ns: int
    engine: str
    seed: int
    replicate: int
    wall_s: float  # of the simulation itself, without lowering and compilation
    code_version: str
