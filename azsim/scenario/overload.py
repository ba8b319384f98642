"""What an instance does when more is asked of it than it can do: order, limits, slowness (I1, I4, I5)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Strict, Tag, model_validator

from azsim.scenario.fields import (
    COUNT_MAX,
    RATE_LIMIT_MAX,
    Count,
    CountOrZero,
    Model,
    Number,
    OrNone,
    PositiveDuration,
    PositiveNumber,
    PresetName,
    Rate,
    Share,
    key,
    preset_key,
    refuse,
)

DISCIPLINES: tuple[str, ...] = ("fifo", "lifo", "adaptive-lifo", "codel")


class Overload(Model):
    """How work slows as more of it is in service (I4).

    With n slots busy it takes 1 + contention x (n - 1) + coherency x n x (n - 1) times longer.
    """

    contention: Number = key("Slowdown for each other request in service.", default=0, example=0.02)
    coherency: Number = key("Slowdown for each ordered pair of requests in service.", default=0, example=0.001)


def _zeros_are_none(overload: Overload | None) -> Overload | None:
    return None if overload is None or not (overload.contention or overload.coherency) else overload


OverloadOrNone = Annotated[OrNone[Overload], AfterValidator(_zeros_are_none)]


class StandingQueue(Model):
    """A discipline that changes while a queue stands: every wait in an interval was over the target (I1).

    `adaptive-lifo` then serves the newest first, `codel` drops what has waited more than twice the target.
    """

    kind: Literal["adaptive-lifo", "codel"] = key("The discipline.", example="codel")
    beyond: OrNone[CountOrZero] = key(
        "adaptive-lifo: newest first also while more than so many wait; `none` goes by the waits alone.",
        default="none",
        example=16,
    )
    interval: PositiveDuration = key("How long waits must be too long.", default="100ms", example="100ms")
    target: PositiveDuration = key("The wait that is acceptable.", default="5ms", example="5ms")

    @model_validator(mode="after")
    def _beyond_is_for_lifo(self) -> StandingQueue:
        if self.kind == "codel" and self.beyond is not None:
            refuse("codel goes by the waits alone: only adaptive-lifo takes beyond", "none", "beyond")
        return self


Discipline = Annotated[
    Annotated[Literal["fifo", "lifo", "adaptive-lifo", "codel"], Tag("<word>")]
    | Annotated[StandingQueue, Tag("<mapping>")],
    Discriminator(lambda value: "<word>" if isinstance(value, str) else "<mapping>"),
]


def discipline_kind(discipline: Any) -> str:
    """The word of a discipline, however it is written."""
    return discipline if isinstance(discipline, str) else str(discipline.kind)


LIMITS: tuple[str, ...] = ("fixed", "aimd", "gradient2", "vegas")


def _kind(word: str) -> Any:
    return key("How the limit is found.", example=word, choices=LIMITS)


def _start() -> Any:
    return key("The limit at the start, and after a restart.", default=20, example=20)


class _Limit(Model):
    preset: PresetName = preset_key("limit", "netflix-gradient2")


class FixedLimit(_Limit):
    """So many requests at once, waiting ones included; the rest is answered `overload` (I1)."""

    kind: Literal["fixed"] = _kind("fixed")
    max: Count = key("The limit.", example=100)


class AimdLimit(_Limit):
    """Grows by one while it is at least half used, shrinks by a share after a drop or a slow answer (Netflix)."""

    kind: Literal["aimd"] = _kind("aimd")
    start: Count = _start()
    min: Count = key("The least limit.", default=20, example=20)
    max: Count = key("The greatest limit.", default=200, example=200)
    backoff: Share = key("What a drop leaves of the limit.", default="90%", example="90%")
    timeout: PositiveDuration = key("An answer slower than this counts as a drop.", default="5s", example="5s")

    @model_validator(mode="after")
    def _in_order(self) -> AimdLimit:
        _check_order(self.min, self.start, self.max)
        return self


class Gradient2Limit(_Limit):
    """Follows the ratio of the long-term time of requests to the latest (Netflix)."""

    kind: Literal["gradient2"] = _kind("gradient2")
    start: Count = _start()
    min: Count = key("The least limit.", default=20, example=20)
    max: Count = key("The greatest limit.", default=200, example=200)
    smoothing: Share = key("How much of a new limit is taken at once.", default="20%", example="20%")
    queue: CountOrZero = key("Requests beyond the estimate that may wait.", default=4, example=4)
    tolerance: PositiveNumber = key("How many times longer than usual is still usual.", default=1.5, example=1.5)
    window: Annotated[int, Strict(), Field(ge=10, le=COUNT_MAX)] = key(
        "Requests over which the long-term time is averaged.", default=600, example=600
    )

    @model_validator(mode="after")
    def _in_order(self) -> Gradient2Limit:
        _check_order(self.min, self.start, self.max)
        return self


class VegasLimit(_Limit):
    """Estimates the queue from the shortest time seen, as TCP Vegas does (Netflix)."""

    kind: Literal["vegas"] = _kind("vegas")
    start: Count = _start()
    max: Count = key("The greatest limit.", default=1000, example=1000)

    @model_validator(mode="after")
    def _in_order(self) -> VegasLimit:
        _check_order(1, self.start, self.max)
        return self


def _check_order(least: int, start: int, most: int) -> None:
    if not least <= start <= most:
        refuse("start must be between min and max", str(least), "start")


def _limit_tag(value: Any) -> str:
    word = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return f"<{word}>" if isinstance(word, str) and word in LIMITS else "<fixed>"


Limit = Annotated[
    Annotated[FixedLimit, Tag("<fixed>")]
    | Annotated[AimdLimit, Tag("<aimd>")]
    | Annotated[Gradient2Limit, Tag("<gradient2>")]
    | Annotated[VegasLimit, Tag("<vegas>")],
    Discriminator(_limit_tag),
]


class RateLimit(Model):
    """A token bucket at the door of each instance: beyond it requests are answered `overload` (throttled)."""

    rate: Rate = key("Requests that one instance lets in, in the long run.", example="100/s")
    burst: Count = key("Requests let in at once after a calm.", default=1, example=20)

    @model_validator(mode="after")
    def _can_be_kept(self) -> RateLimit:
        if not 0 < self.rate <= RATE_LIMIT_MAX:
            refuse("a limit is more than 0 and at most 1000000 requests per second", "100/s", "rate")
        return self


class Warmup(Model):
    """Cold caches and code: work takes longer at first, less and less in a straight line (I5)."""

    slowdown: PositiveNumber = key("How many times longer work takes at the start.", example=3)
    for_: OrNone[PositiveDuration] = key(
        "How long it takes, from the end of booting; or `requests`.", alias="for", default="none", example="60s"
    )
    requests: OrNone[Count] = key("How many requests it takes; or `for`.", default="none", example=10000)

    @model_validator(mode="after")
    def _one_measure(self) -> Warmup:
        if (self.for_ is None) == (self.requests is None):
            refuse("warmup takes either for or requests", "60s", "for")
        if self.slowdown <= 1:
            refuse("slowdown must be more than 1", "3", "slowdown")
        return self
