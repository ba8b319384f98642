"""Circuit breakers: what a client process stops sending when too much of it fails (R6)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Strict, Tag, model_validator

from azsim.scenario.fields import Count, Model, OrNone, PositiveDuration, PresetName, Share, key, preset_key, refuse
from azsim.scenario.retry import OUTCOMES, Outcome

BREAKERS: Final = ("consecutive", "count-window", "time-window", "cumulative")
WINDOW_MAX: Final = 100_000


def _kind(word: str) -> Any:
    return key("What makes it trip.", example=word, choices=BREAKERS)


def _on() -> Any:
    return key("The outcomes that count as failures.", default=OUTCOMES, example=["timeout", "error"])


def _open(default: str) -> Any:
    return key("How long it lets nothing through once it has tripped.", default=default, example=default)


def _probes(default: int) -> Any:
    return key("Attempts let through after that, by which it closes or opens again.", default=default, example=default)


def _rate(default: str) -> Any:
    return key("The share of failures at which it trips.", default=default, example=default)


Failures = Annotated[tuple[Outcome, ...], Field(min_length=1)]


class _Breaker(Model):
    preset: PresetName = preset_key("breaker", "resilience4j")


class Consecutive(_Breaker):
    """A breaker that trips after failures in a row, one per client process (R6)."""

    kind: Literal["consecutive"] = _kind("consecutive")
    failures: Count = key("Failures in a row that trip it.", default=5, example=5)
    open: PositiveDuration = _open("5s")
    probes: Count = _probes(1)
    on: Failures = _on()


class _ByRate(_Breaker):
    @model_validator(mode="after")
    def _has_a_rate(self) -> _ByRate:
        if getattr(self, "rate", 1) <= 0:
            refuse("rate must be more than 0%: at 0% anything trips it", "50%", "rate")
        return self


class CountWindow(_ByRate):
    """A breaker that judges the last attempts, one per client process (R6); as Resilience4j's."""

    kind: Literal["count-window"] = _kind("count-window")
    window: Annotated[int, Strict(), Field(ge=1, le=WINDOW_MAX)] = key(
        "How many attempts are judged, the newest ones.", default=100, example=100
    )
    rate: Share = _rate("50%")
    volume: Count = key("Attempts it takes to judge at all.", follows="window", example=100)
    open: PositiveDuration = _open("60s")
    probes: Count = _probes(10)
    on: Failures = _on()

    @model_validator(mode="after")
    def _can_trip(self) -> CountWindow:
        if self.volume > self.window:
            refuse("volume must be at most the window: it could never trip", str(self.window), "volume")
        return self


class TimeWindow(_ByRate):
    """A breaker that judges the attempts of the last seconds, one per client process (R6); as Hystrix's and Polly's."""

    kind: Literal["time-window"] = _kind("time-window")
    window: PositiveDuration = key(
        "How long an attempt counts; the window moves on by a tenth of it.", default="10s", example="10s"
    )
    rate: Share = _rate("50%")
    volume: Count = key("Attempts it takes to judge at all.", default=20, example=20)
    open: PositiveDuration = _open("5s")
    probes: Count = _probes(1)
    on: Failures = _on()


class Cumulative(_ByRate):
    """A breaker of retries alone, one per client process (R6): none while failures exceed a share of all calls."""

    kind: Literal["cumulative"] = _kind("cumulative")
    rate: Share = key(
        "The share of failed attempts to calls above which nothing is retried.", default="10%", example="10%"
    )
    on: Failures = _on()


def _tag(value: Any) -> str:
    word = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return f"<{word}>" if isinstance(word, str) and word in BREAKERS else "<consecutive>"


Breaker = Annotated[
    Annotated[Consecutive, Tag("<consecutive>")]
    | Annotated[CountWindow, Tag("<count-window>")]
    | Annotated[TimeWindow, Tag("<time-window>")]
    | Annotated[Cumulative, Tag("<cumulative>")],
    Discriminator(_tag),
]
BreakerOrNone = OrNone[Breaker]
EXAMPLE: Final = {"kind": "consecutive", "failures": 5, "open": "5s"}
