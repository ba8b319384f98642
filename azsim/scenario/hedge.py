"""Hedging: a second attempt while the first is still open (R6)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Discriminator, Field, Strict, Tag, model_validator

from azsim.scenario.fields import Duration, Model, OrNone, PositiveDuration, Share, key, refuse
from azsim.scenario.retry import Ratio

HEDGES_MAX: Final = 10
SAMPLES_MAX: Final = 10_000


class Percentile(Model):
    """A delay that a client process learns: how long so many of its attempts take at most."""

    percentile: Share = key("The share of attempts that are answered sooner.", example="95%")
    samples: Annotated[int, Strict(), Field(ge=2, le=SAMPLES_MAX)] = key(
        "How many attempts are looked at, the newest of each client process.", default=100, example=100
    )
    start: PositiveDuration = key("The delay until there are so many.", example="100ms")

    @model_validator(mode="after")
    def _leaves_some(self) -> Percentile:
        if not 0 < self.percentile < 1:
            refuse("percentile must lie between 0% and 100%", "95%", "percentile")
        return self


class Hedge(Model):
    """A second attempt on another target while the first is still open; the first answer wins (R6)."""

    delay: Annotated[
        Annotated[Duration, Tag("<time>")] | Annotated[Percentile, Tag("<percentile>")],
        Discriminator(lambda value: "<percentile>" if isinstance(value, dict | Percentile) else "<time>"),
    ] = key(
        "How long an attempt is waited for before the next one is made beside it: a time, or a percentile of how long "
        "attempts take.",
        example={"percentile": "95%", "start": "100ms"},
        rule="must be a duration or {percentile: a share, start: a duration}",
    )
    max: Annotated[int, Strict(), Field(ge=1, le=HEDGES_MAX)] = key(
        "The most hedges of a request; they are attempts, but none of those that `retry` counts.", default=1, example=1
    )
    budget: OrNone[
        Annotated[
            Annotated[Literal["retry"], Tag("<word>")] | Annotated[Ratio, Tag("<ratio>")],
            Discriminator(lambda value: "<word>" if isinstance(value, str) else "<ratio>"),
        ]
    ] = key(
        "What limits the hedges of one client process: a ratio of its requests, `retry` (each takes what a retry does "
        "from the budget of `retry`) or `none`.",
        default="none",
        example={"kind": "ratio", "ratio": "10%", "floor": "1/s"},
        rule="must be `none`, `retry` or a ratio",
    )


HedgeOrNone = OrNone[Hedge]
EXAMPLE: Final = {"delay": "50ms", "budget": {"kind": "ratio", "ratio": "10%", "floor": "1/s"}}
