"""What of a scenario can change while it runs (F3, D57)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from azsim.scenario.contents import Contents
from azsim.scenario.operation import Call
from azsim.scenario.paths import entry_names
from azsim.scenario.retry import TokenBucket
from azsim.scenario.traffic import Population
from azsim.scenario.tree import Node, Origin, from_plain, plain

_CALL: Final = r"services\.[^.]+\.(?:calls\.[^.]+|operations\.[^.]+\.[^.]+\.(?:call|quorum|parallel\.[^.]+))"
_HOP: Final = rf"(?:traffic\.[^.]+|{_CALL})"
_INSTANCE: Final = r"services\.[^.]+\.(?:overrides\.[^.]+\.)?"
_PATIENCE: Final = "timeout|connect_timeout|deadline|cancel"
# What may be set, in parts or as a whole; a whole may differ from what was only in what can change.
SETTABLE: Final = re.compile(
    rf"traffic\.[^.]+\.rate|{_HOP}\.(?:{_PATIENCE}|(?:retry|breaker)(?:\..+)?)|{_INSTANCE}(?:queue|drop_expired)"
)
_CHANGEABLE: Final = re.compile(
    rf"traffic\.[^.]+\.rate(?:\..+)?|{_INSTANCE}(?:queue|drop_expired)"
    rf"|{_HOP}\.(?:{_PATIENCE}|retry\.(?:attempts|on|avoid_previous|backoff(?:\..+)?)"
    r"|retry\.budget\.(?:capacity|cost|timeout_cost|deposit|deposit_after_retry|max_tokens|ratio|floor|k)"
    r"|breaker\.(?:failures|rate|volume|open|on))"
)
_HINTS: Final = (
    (r"\.retry\.budget\.(?:window|deposit_on)$", "the window of a budget and when it deposits stay as they are"),
    (r"\.retry\.budget", "a running system's budgets do not appear or become others; their amounts can change"),
    (r"\.breaker\.(?:window|probes)$", "a breaker's window and probes stay as they are; rate and open can change"),
    (r"\.breaker", "a running system's breakers do not come, go or become others; their amounts can change"),
)


def kept(before: Contents, after: Contents) -> dict[str, Any]:
    """By path, what stays as it was though it was not asked for: who may not retry any more keeps the policy with a
    single attempt, and a token bucket that is there no more pays for everything.
    """
    found: dict[str, Any] = {}
    for path, old, new in _hops(before, after):
        if old.retry is None:
            continue
        if new.retry is None:
            found[f"{path}.retry"] = _written(old.retry) | {"attempts": 1}
        elif new.retry.budget is None and isinstance(old.retry.budget, TokenBucket):
            found[f"{path}.retry.budget"] = _written(old.retry.budget) | {"cost": 0, "timeout_cost": 0}
    return found


def unchangeable(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and rule of everything that differs in two written scenarios and cannot change while the system runs."""
    was, is_now = (dict(_leaves("", from_plain(written, Origin("")))) for written in (before, after))
    for path in {**was, **is_now}:
        if was.get(path) != is_now.get(path) and not _CHANGEABLE.fullmatch(path) and not _first_retry(path, was):
            hint = next((hint for pattern, hint in _HINTS if re.search(pattern, path)), "")
            yield path, hint or f"{path} cannot change while the system runs"


def _first_retry(path: str, was: Mapping[str, Any]) -> bool:
    """Whether it is a policy that nothing stood in for, as far as a hop without one has room for it."""
    found = re.fullmatch(r"(.+\.retry)(\.budget\..+)?(?:\..+)?", path)
    return found is not None and was.get(found[1]) == "none" and found[2] is None


def _hops(before: Contents, after: Contents) -> Iterator[tuple[str, Population | Call, Population | Call]]:
    """Path, old and new of every hop; what may be set takes none away."""
    for name, population in before.traffic.items():
        yield f"traffic.{name}", population, after.traffic[name]
    for name, service in before.services.items():
        for old, new in zip(service.every_call, after.services[name].every_call, strict=True):
            yield f"services.{name}.{old.name}", old.call, new.call


def _written(block: Any) -> dict[str, Any]:
    values: dict[str, Any] = block.model_dump(mode="json", by_alias=True)
    return values


def _leaves(path: str, node: Node) -> Iterator[tuple[str, Any]]:
    """Values by dotted path, the entries of lists by name."""
    children: list[tuple[str, Node]] = []
    if isinstance(node.value, dict):
        children = list(node.value.items())
    elif isinstance(node.value, list) and all(isinstance(entry.value, dict) for entry in node.value):
        children = list(zip(entry_names(node.value), node.value, strict=True))
    if not children:
        yield path, plain(node)
    for name, below in children:
        yield from _leaves(f"{path}.{name}".lstrip("."), below)
