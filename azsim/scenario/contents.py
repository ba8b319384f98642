"""The keys of a scenario file."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, Strict, StringConstraints

from azsim.scenario.faults import Fault
from azsim.scenario.fields import (
    SEED_MAX,
    Duration,
    Model,
    Name,
    Names,
    OrNoEntries,
    OrNoPaths,
    PositiveDuration,
    Unbuilt,
    key,
    unbuilt,
)
from azsim.scenario.hazards import Hazard
from azsim.scenario.hypothesis import Abort, Hypothesis
from azsim.scenario.observability import Observability, ZonalShift
from azsim.scenario.service import Service
from azsim.scenario.traffic import Population
from azsim.scenario.vary import Variation

ZONES_MAX: Final = 64


class Network(Model):
    """How long packets travel, one way."""

    same_zone: Duration = key("Within a zone, and between outside and a zone.", default="0.25ms", example="0.25ms")
    cross_zone: Duration = key("Between two zones.", default="1ms", example="1ms")
    pairs: OrNoPaths[Duration] = key(
        "Between two given zones, either way, instead of `cross_zone`.", default={}, example={"a-b": "0.6ms"}
    )

    def delay_ns(self, zone: str, other: str) -> int:
        """One-way delay between two zones, ns."""
        if zone == other:
            return self.same_zone
        either_way = (f"{zone}-{other}", f"{other}-{zone}")
        return next((self.pairs[pair] for pair in either_way if pair in self.pairs), self.cross_zone)


class Contents(Model):
    """A system, its traffic, what breaks and what must hold."""

    azsim: Literal[1] = key("The version of this format.", example=1)
    name: Name = key("What it is called.", example="zone-loss")
    description: Annotated[str, StringConstraints(max_length=2000)] = key(
        "What it shows, in a sentence or two.", default="", example="One zone of three loses power."
    )
    seed: Annotated[int, Strict(), Field(ge=0, le=SEED_MAX)] = key(
        "What all chance is drawn from.", default=1, example=1
    )
    duration: PositiveDuration = key("How long the run lasts, in simulated time.", example="20min")
    warmup: Duration = key("Time at the start that is simulated but not judged (J1).", default="0s", example="1min")
    zones: Annotated[tuple[Name, ...], Field(min_length=2, max_length=ZONES_MAX)] = key(
        "The availability zones, two or more.", example=["a", "b", "c"]
    )
    network: Network = key("How long packets travel.", default={}, example={"cross_zone": "1ms"})
    traffic: Annotated[Names[Population], Field(min_length=1)] = key(
        "Traffic populations by name.", example={"shoppers": {"to": "web", "rate": "1200/s", "timeout": "1s"}}
    )
    services: Annotated[Names[Service], Field(min_length=1)] = key(
        "Services by name.", example={"web": {"work": {"distribution": "exponential", "mean": "20ms"}}}
    )
    retries: Literal["as-given", "edges-only"] = key(
        "`edges-only` leaves retries to those who come from outside and to calls of services that call nobody: those "
        "between have none, whatever they say.",
        default="as-given",
        example="edges-only",
    )
    faults: OrNoEntries[Fault] = key(
        "What breaks and when.", default=(), example=[{"at": "5min", "for": "10min", "zone_loss": {"zone": "c"}}]
    )
    hypothesis: Hypothesis = key("What must hold.", default={}, example={"success": ">= 99.9%"})
    abort: OrNoEntries[Abort] = key(
        "Conditions that end all faults.", default=(), example=[{"error_rate": "> 20%", "for": "60s"}]
    )
    vary: OrNoPaths[Variation] = key(
        "Uncertain parameters by dotted path, for studies.",
        default={},
        example={"traffic.shoppers.rate": {"uniform": ["2600/s", "3000/s"]}},
    )
    observability: Observability = key("How metrics get to those who watch them.", default={}, example={"delay": "30s"})
    shifts: OrNoEntries[ZonalShift] = key(
        "Zones that are shifted away, and back.", default=(), example=[{"zone": "c", "at": "10min", "for": "25min"}]
    )
    operators: Unbuilt = unbuilt("People who watch and act.", "faults at the times they would act")
    hazards: OrNoEntries[Hazard] = key(
        "Flaws on the wires of controllers (T2).",
        default=(),
        example=[{"on": "health.web", "sensor": "delayed", "at": "5min"}],
    )
