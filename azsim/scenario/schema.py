"""The scenario: everything a run depends on, as one immutable value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from pydantic import PrivateAttr, ValidationError

from azsim.base.errors import ScenarioError
from azsim.scenario.changing import kept, unchangeable
from azsim.scenario.contents import Contents
from azsim.scenario.faults import Fault
from azsim.scenario.fields import FrozenDict
from azsim.scenario.paths import child, entry_names, placed
from azsim.scenario.problems import Problem, first_error, problems_of
from azsim.scenario.resolve import completed, with_files
from azsim.scenario.tree import Node, Origin, from_plain, mapping, plain, shown
from azsim.scenario.validation import problems_across


class Scenario(Contents):
    """A system, its traffic, what breaks and what must hold.

    Built by `azsim.scenario.load` from a file, by `from_dict` from Python values and by `with_` from another one.
    Equal scenarios have equal digests, wherever their values came from.
    """

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
    def from_tree(cls, given: Node, folder: FilePath, *, check_vary: bool = True) -> Scenario:
        """The scenario in a tree of written values; ScenarioError where there is none.

        `check_vary` tries what `vary` says; a scenario made from one that was tried can do without.
        """
        given = with_files(given, folder)
        whole = completed(given)
        if not isinstance(whole.value, dict):
            raise first_error(cls, whole, [Problem((), "a scenario is a mapping of keys", "azsim: 1")])
        try:
            scenario = cls.model_validate(plain(whole))
        except ValidationError as error:
            raise first_error(cls, whole, problems_of(cls, whole, error)) from None
        problems = problems_across(scenario)
        if problems:
            raise first_error(cls, whole, problems)
        scenario._given, scenario._whole, scenario._folder = given, whole, folder
        if check_vary:
            scenario._check_variations()
            scenario._check_changes()
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
        check_vary = any(path == "vary" and value for path, value in changes.items())
        return self.from_tree(tree, self._folder, check_vary=check_vary)

    def changed_by(self, fault: Fault) -> Scenario:
        """The scenario as it is while a change of configuration is active."""
        assert fault.change is not None
        after = self.with_(fault.change.set)
        as_before = kept(self, after)
        return after.with_(as_before) if as_before else after

    def _check_changes(self) -> None:
        """Refuses changes of configuration that could not have been written in the first place."""
        for position, fault in enumerate(self.faults):
            if fault.change is None:
                continue
            blamed = next(iter(fault.change.set))
            try:
                after = self.changed_by(fault)
                for path, rule in unchangeable(self.to_dict(), after.to_dict()):
                    blamed = next((one for one in fault.change.set if path.startswith(one)), blamed)
                    raise ScenarioError(rule)
                for name, population in after.traffic.items():
                    if len({*population.profile, *self.traffic[name].profile}) > 2:
                        raise ScenarioError(f"only a constant rate can change, not that of {name}")
            except ScenarioError as error:
                given = child(child(child(child(self._whole, "faults"), position), "change"), "set")
                node = child(given, blamed)
                origin = node.key_origin if node is not None else Origin("<scenario>")
                raise ScenarioError(
                    f"cannot change so: {error.rule}",
                    file=origin.file,
                    line=origin.line,
                    column=origin.column,
                    key=f"faults.{fault.id}.change.set.{blamed}",
                    value=error.value,
                    example="change: {set: {traffic.shoppers.retry.attempts: 1}}",
                ) from None

    def _check_variations(self) -> None:
        """Refuses paths that lead nowhere and values that their keys cannot hold, naming the variation."""
        for path, variation in self.vary.items():
            node = child(child(self._whole, "vary"), path)
            for value in variation.probes():
                try:
                    self.with_({"vary": {}, path: value})
                except ScenarioError as error:
                    origin = node.key_origin if node is not None else Origin("<scenario>")
                    raise ScenarioError(
                        f"cannot vary so: {error.rule}",
                        file=origin.file,
                        line=origin.line,
                        column=origin.column,
                        key=f"vary.{path}",
                        value=shown(value),
                        example="traffic.shoppers.rate: {uniform: [2600/s, 3000/s]}",
                    ) from None

    @property
    def given(self) -> Node:
        """What was written, without defaults, with its origins."""
        return self._given if self._given is not None else from_plain(self.to_dict(), Origin("<scenario>"))

    def to_dict(self) -> dict[str, Any]:
        """The whole scenario, every default filled in, as JSON values with units; `from_dict` reads it back."""
        written: dict[str, Any] = _without_nulls(self.model_dump(mode="json", by_alias=True))
        return written

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
    if isinstance(value, dict) and value and path != "vary" and not path.endswith(".change.set"):
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
