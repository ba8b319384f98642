"""The scenario: everything a run depends on, as one immutable value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, Strict, StringConstraints, ValidationError

from azsim.base.units import parse_duration
from azsim.scenario import validation
from azsim.scenario.fields import (
    NAME_PATTERN,
    SEED_MAX,
    Duration,
    FrozenDict,
    Model,
    Name,
    Names,
    PositiveDuration,
    Unbuilt,
    key,
    unbuilt,
)
from azsim.scenario.faults import Fault
from azsim.scenario.hypothesis import Abort, Hypothesis
from azsim.scenario.paths import child, entry_names, placed
from azsim.scenario.problems import first_error, problems_of
from azsim.scenario.resolve import completed, with_files
from azsim.scenario.service import Service
from azsim.scenario.traffic import Population
from azsim.scenario.tree import Node, Origin, from_plain, mapping, plain, shown
from azsim.scenario.vary import Variation

ZONES_MAX = 64


class Network(Model):
    """How long packets travel, one way."""

    same_zone: Duration = key(
        "Within a zone, and between outside and a zone.", default=parse_duration("0.25ms"), example="0.25ms"
    )
    cross_zone: Duration = key("Between two zones.", default=parse_duration("1ms"), example="1ms")
    pairs: Annotated[Mapping[str, Duration], AfterValidator(FrozenDict)] = key(
        "Between two given zones, either way, instead of `cross_zone`.", default=FrozenDict(), example={"a-b": "0.6ms"}
    )

    def delay_ns(self, zone: str, other: str) -> int:
        """One-way delay between two zones, ns."""
        if zone == other:
            return self.same_zone
        either_way = (f"{zone}-{other}", f"{other}-{zone}")
        return next((self.pairs[pair] for pair in either_way if pair in self.pairs), self.cross_zone)


class Scenario(Model):
    """A system, its traffic, what breaks and what must hold.

    Built by `azsim.scenario.load` from a file, by `from_dict` from Python values and by `with_` from another one.
    Equal scenarios have equal digests, wherever their values came from.
    """

    azsim: Literal[1] = key("The version of this format.", example=1)
    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)] = key(
        "What it is called.", example="zone-loss"
    )
    description: Annotated[str, StringConstraints(max_length=2000)] = key(
        "What it shows, in a sentence or two.", default="", example="One zone of three loses power."
    )
    seed: Annotated[int, Strict(), Field(ge=0, le=SEED_MAX)] = key(
        "What all chance is drawn from.", default=1, example=1
    )
    duration: PositiveDuration = key("How long the run lasts, in simulated time.", example="20min")
    warmup: Duration = key("Time at the start that is simulated but not judged (J1).", default=0, example="1min")
    zones: Annotated[tuple[Name, ...], Field(min_length=2, max_length=ZONES_MAX)] = key(
        "The availability zones, two or more.", example=["a", "b", "c"]
    )
    network: Network = key("How long packets travel.", default=Network(), example={"cross_zone": "1ms"})
    traffic: Annotated[Names[Population], Field(min_length=1)] = key(
        "Traffic populations by name.", example={"shoppers": {"to": "web", "rate": "1200/s", "timeout": "1s"}}
    )
    services: Annotated[Names[Service], Field(min_length=1)] = key(
        "Services by name.", example={"web": {"work": {"distribution": "exponential", "mean": "20ms"}}}
    )
    faults: tuple[Fault, ...] = key(
        "What breaks and when.", default=(), example=[{"at": "5min", "for": "10min", "zone_loss": {"zone": "c"}}]
    )
    hypothesis: Hypothesis = key("What must hold.", default=Hypothesis(), example={"success": ">= 99.9%"})
    abort: tuple[Abort, ...] = key(
        "Conditions that end all faults.", default=(), example=[{"error_rate": "> 20%", "for": "60s"}]
    )
    vary: Annotated[Mapping[str, Variation], AfterValidator(FrozenDict)] = key(
        "Uncertain parameters by dotted path, for studies.",
        default=FrozenDict(),
        example={"traffic.shoppers.rate": {"uniform": ["2600/s", "3000/s"]}},
    )
    operators: Unbuilt = unbuilt("People who watch and act.", "faults at the times they would act")
    observability: Unbuilt = unbuilt("Telemetry with its own limits.", "balancer: {health: {propagation: 1s}}")
    quorum: Unbuilt = unbuilt("Replicated stores.", "calls to a service in every zone")
    standby: Unbuilt = unbuilt("Components that are promoted when their zone is lost.", "instances in several zones")
    cache: Unbuilt = unbuilt("Caches that can be cold.", "a traffic_spike on the service behind it")
    hazards: Unbuilt = unbuilt("Flaws on the wires of controllers.", "balancer: {health: {propagation: 30s}}")

    _given: Node | None = PrivateAttr(default=None)
    _whole: Node | None = PrivateAttr(default=None)
    _folder: FilePath = PrivateAttr(default=FilePath())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], folder: str | FilePath = ".") -> Scenario:
        """The scenario in a mapping shaped like the file; CSV files are looked for in `folder`.

        >>> shop = Scenario.from_dict({
        ...     "azsim": 1, "name": "shop", "duration": "1min", "zones": ["a", "b"],
        ...     "traffic": {"shoppers": {"to": "web", "rate": "100/s"}},
        ...     "services": {"web": {"work": {"distribution": "constant", "mean": "20ms"}}},
        ... })
        >>> shop.services["web"].slots
        8
        """
        return cls.from_tree(from_plain(values, Origin("<dict>")), FilePath(folder))

    @classmethod
    def from_tree(cls, given: Node, folder: FilePath) -> Scenario:
        """The scenario in a tree of written values; ScenarioError where there is none."""
        given = with_files(given, folder)
        whole = completed(given)
        if not isinstance(whole.value, dict):
            raise first_error(cls, whole, [validation.Problem((), "a scenario is a mapping of keys", "azsim: 1")])
        try:
            scenario = cls.model_validate(plain(whole))
        except ValidationError as error:
            raise first_error(cls, whole, problems_of(cls, whole, error)) from None
        problems = validation.problems_across(scenario)
        if problems:
            raise first_error(cls, whole, problems)
        scenario._given, scenario._whole, scenario._folder = given, whole, folder
        validation.check_variations(scenario)
        return scenario

    def with_(self, changes: Mapping[str, Any]) -> Scenario:
        """Another scenario in which the values at dotted paths are replaced; `none` takes something away.

        What was written changes, so a default that follows another key (`cores` follows `slots`) follows it still.

        >>> base.with_({"traffic.shoppers.retry.attempts": 1, "faults.loss.for": "2min"})  # doctest: +SKIP
        """
        tree = self.given
        for path, value in changes.items():
            origin = Origin(f"with_({{{path!r}: {shown(value)!r}}})")
            tree = placed(Scenario, tree, path, from_plain(value, origin, ("",)))
        return self.from_tree(tree, self._folder)

    @property
    def given(self) -> Node:
        """What was written, without defaults, with its origins."""
        return self._given if self._given is not None else from_plain(self.to_dict(), Origin("<scenario>"))

    def to_dict(self) -> dict[str, Any]:
        """The whole scenario, every default filled in, as JSON values with units; `from_dict` reads it back."""
        return _without_nulls(self.model_dump(mode="json", by_alias=True))

    @cached_property
    def digest(self) -> str:
        """The identity of the scenario: sha256, in hex, of its values in canonical JSON."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    @cached_property
    def sources(self) -> Mapping[str, str]:
        """Where each value came from, by dotted path: `file:line`, `--set path=value` or `default`."""
        whole = self._whole if self._whole is not None else mapping({}, Origin("<scenario>"))
        return FrozenDict(_sources("", self.to_dict(), whole))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scenario) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def _without_nulls(value: Any) -> Any:
    """JSON values without null: `none` is written as a word, null is only what a mapping does not have."""
    if isinstance(value, dict):
        return {key: _without_nulls(below) for key, below in value.items() if below is not None}
    if isinstance(value, list):
        return [_without_nulls(below) for below in value]
    return value


def _sources(path: str, value: Any, node: Node | None) -> dict[str, str]:
    prefix = f"{path}." if path else ""
    found: dict[str, str] = {}
    if isinstance(value, dict) and value and path != "vary":
        for name, below in value.items():
            found |= _sources(f"{prefix}{name}", below, child(node, name))
        return found
    if isinstance(value, list) and node is not None and isinstance(node.value, list):
        names = entry_names(node.value)
        if value and all(isinstance(entry, dict) for entry in value) and not names[0].isdigit():
            for name, below, entry in zip(names, value, node.value, strict=True):
                found |= _sources(f"{prefix}{name}", below, entry)
            return found
    return {path: "default" if node is None else str(node.origin)}
