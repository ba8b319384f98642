"""What one run leaves behind, before anyone judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from azsim.dataplane.layout import Plan, Recording
from azsim.simulation.lower import Scenario
from azsim.simulation.presence import Presence


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
class Scaled:
    """What scaling groups did. `absent`: the plan's instances that did not exist at first."""

    absent: tuple[int, ...] = ()
    presence: tuple[Presence, ...] = ()
    # By group: (t_ns, how many, why).
    desired: Mapping[str, tuple[tuple[int, int, str], ...]] = field(default_factory=dict)
    refusals: tuple[tuple[str, int, int], ...] = ()  # launches that a zone refused: (group, t_ns, zone)

    def absent_at(self, t_ns: int) -> set[int]:
        """The plan's instances that do not exist at an instant."""
        found = set(self.absent)
        for at_ns, instance, exists in self.presence:
            if at_ns <= t_ns:
                (found.discard if exists else found.add)(instance)
        return found


@dataclass(frozen=True, slots=True)
class Trace:
    """A finished run: its input, what the data plane recorded and what the control plane did."""

    scenario: Scenario
    plan: Plan
    recording: Recording
    events: tuple[Event, ...]  # in the order in which they happened
    faults: tuple[FaultSpan, ...]  # those that started, by start, then as listed in the scenario
    view_changes: tuple[tuple[int, int, bool], ...]  # (t_ns, instance, healthy) as the balancers learned it
    scaling: Scaled
    aborted_at_ns: int | None
    end_ns: int
    engine: str
    seed: int
    replicate: int
    wall_s: float  # of the simulation itself, without lowering and compilation
    code_version: str
