"""What a verdict comes down to, read from a result's own figures; the conclusions and the card say it in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

EJECTION: Final = "health ejection off"
CACHES: Final = "caches kept"
REJOINED: Final = "all in rotation"
REFILLED: Final = "caches as at the start"
INTERRUPTED: Final = "interrupted"
SPAN_S: Final = 10  # before a deadline, over which zones are compared
SATURATED: Final = 0.95
APART: Final = 0.05  # of utilisation, from which on the load counts as unequally spread


def proven(replays: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a reset replay has shown that capacity suffices (J4)."""
    return any(one["reset_at_s"] is not None and one["recovers"] for one in replays)


def ejected(replays: Sequence[Mapping[str, Any]]) -> bool:
    """Whether only a reset that also put ejected instances back in rotation let the level hold (J13)."""
    return any(str(one["change"]).endswith(REJOINED) and one["recovers"] for one in replays)


def refilled(replays: Sequence[Mapping[str, Any]]) -> bool:
    """Whether only a reset that also filled the caches again let the level hold (J13)."""
    return any(str(one["change"]).endswith(REFILLED) and one["recovers"] for one in replays)


def singled_out(replays: Sequence[Mapping[str, Any]]) -> str | None:
    """The mechanism that the resets have singled out: without it emptying would have been enough."""
    return EJECTION if ejected(replays) else CACHES if refilled(replays) else None


def telling_first(
    sustained_by: Sequence[Mapping[str, Any]], replays: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The mechanisms that cure, smallest change first, but led by the one that the resets have singled out.

    Many a change cures a cascade of health checks, for it keeps queues short enough for the checks to pass. That the
    ejection is what holds the system down shows in the resets: emptied it breaks again, back in rotation it holds. So
    with cold caches.
    """
    leads = singled_out(replays)
    return sorted(sustained_by, key=lambda one: one["mechanism"] != leads)


def ill_spread(verdict: str, deadlines: Sequence[Mapping[str, Any]], timeline: Mapping[str, Any]) -> str | None:
    """The service of an outage that would have the capacity if its balancer sent the load where there is some.

    So it is where, in the seconds up to the last broken deadline, the requests without their retries are less than what
    is in rotation can do, and one zone is saturated while another is not.
    """
    broken = [one for one in deadlines if one["level"] == "broken"]
    if verdict != "outage" or not broken:
        return None
    last = min(int(broken[-1]["t_s"]), len(timeline["t_s"]))
    span = slice(max(0, last - SPAN_S), last)
    offered, attempts = sum(timeline["offered"][span]), sum(timeline["attempts"][span])
    found: list[tuple[float, str]] = []
    for name, service in timeline["services"].items():
        headroom = service["headroom"][last - 1]
        if headroom is None or not attempts or (1.0 - headroom) * offered / attempts >= 1.0:
            continue
        busy = [
            sum(value or 0.0 for value in values[span]) / (span.stop - span.start)
            for zone, values in service["utilisation"].items()
            if any(service["healthy_view"][zone][span])
        ]
        if busy and max(busy) >= SATURATED and max(busy) - min(busy) >= APART:
            found.append((max(busy) - min(busy), name))
    return max(found)[1] if found else None
