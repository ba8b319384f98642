"""Operations as programs (R8): the calls a service makes, and the steps in which it works and calls."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from azsim.scenario import breaker, hedge, pool
from azsim.scenario.breaker import BreakerOrNone
from azsim.scenario.fields import (
    Count,
    Flag,
    Model,
    Name,
    OrNone,
    PositiveDuration,
    Share,
    key,
    refuse,
)
from azsim.scenario.hedge import HedgeOrNone
from azsim.scenario.pool import PoolOrNone
from azsim.scenario.retry import Retry
from azsim.scenario.work import Work

STEP_KINDS: Final = ("work", "call", "parallel", "quorum")


class Call(Model):
    """A request that a service makes while it serves one (R8); it holds the caller's slot, not its CPU."""

    to: Name = key("The service called.", example="catalog")
    id: Name = key("Its name in paths; as `to` unless said.", follows="to", example="stock")
    operation: OrNone[Name] = key(
        "Which of the callee's operations is asked for; `none` is its own work and calls.",
        default="none",
        example="search",
    )
    timeout: OrNone[PositiveDuration] = key(
        "How long an attempt may take from its send (R5).", default="none", example="300ms"
    )
    connect_timeout: OrNone[PositiveDuration] = key(
        "How long an unreachable target is waited for; `none` waits for `timeout`.", default="none", example="100ms"
    )
    deadline: OrNone[PositiveDuration] = key(
        "How long the call may take, retries and all.", default="none", example="1s"
    )
    retry: OrNone[Retry] = key("How failed attempts are tried again.", default="none", example={"attempts": 2})
    cached: Flag = key(
        "Whether a hit in the caller's cache, if it has one, spares the call (I6).", default=True, example=False
    )
    optional: Flag = key(
        "Whether the caller does without its answer: its failure degrades the request instead of failing it (R8).",
        default=False,
        example=False,
    )
    route: Literal["any-zone", "same-zone", "prefer-zone"] = key(
        "Whether a target in any zone will do, or only one in the caller's, or one there while it has enough (B3).",
        default="any-zone",
        example="prefer-zone",
    )
    spill_below: Share = key(
        "With `prefer-zone`: the share of the zone's instances that must be in rotation; below it, and without any, "
        "the call goes to any zone.",
        default="0%",
        example="50%",
    )
    propagate_deadline: Flag = key(
        "Whether the calls made for an attempt must end when its caller stops waiting for it (R7).",
        default=False,
        example=True,
    )
    cancel: Flag = key("Whether giving up an attempt stops the work done for it (R5).", default=False, example=False)
    pool: PoolOrNone = key(
        "Connections to its instances: how many, and what a new one costs (R9); `none`: free and without limit.",
        default="none",
        example=pool.EXAMPLE,
    )
    breaker: BreakerOrNone = key("A circuit breaker in each calling instance.", default="none", example=breaker.EXAMPLE)
    hedge: HedgeOrNone = key(
        "A second attempt while the first is still open (R6).", default="none", example=hedge.EXAMPLE
    )


class Quorum(Call):
    """Calls of one service in several zones at once, of which some must succeed; the rest are given up."""

    zones: Count = key("How many zones are called, one call each, the caller's own zone first.", example=3)
    need: Count = key("How many must succeed; the others are given up then.", example=2)

    @model_validator(mode="after")
    def _can_be_met(self) -> Quorum:
        if self.need > self.zones:
            refuse(f"must be at most zones, {self.zones}", str(self.zones), "need")
        if self.route != "any-zone":
            refuse("each call of a quorum has a zone of its own already", "any-zone", "route")
        return self


class Step(Model):
    """One step of an operation: exactly one of its keys."""

    work: (
        Annotated[
            Annotated[Literal["own"], Tag("<word>")] | Annotated[Work, Tag("<work>")],
            Discriminator(lambda value: "<word>" if isinstance(value, str) else "<work>"),
        ]
        | None
    ) = key(
        "CPU time, or `own`: the service's own `work`, as it is in the instance's zone.",
        default=None,
        example={"distribution": "exponential", "mean": "5ms"},
        rule="must be a distribution of work or `own`",
    )
    call: Call | None = key("One call.", default=None, example={"to": "catalog", "timeout": "300ms"})
    parallel: Annotated[tuple[Call, ...], Field(min_length=1)] | None = key(
        "Calls made at once, all of them awaited.", default=None, example=[{"to": "prices"}, {"to": "stock"}]
    )
    quorum: Quorum | None = key(
        "Calls in several zones at once, of which some must succeed.",
        default=None,
        example={"to": "store", "zones": 3, "need": 2},
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        given = [kind for kind in STEP_KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            refuse(f"a step is exactly one of {', '.join(STEP_KINDS)}; found {found}", "[{work: own}]")
        return self

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls it makes at once; a quorum stands for all of its own."""
        single = self.call or self.quorum
        return (single,) if single is not None else self.parallel or ()


def copies(call: Call) -> int:
    """How many calls are made where this one stands."""
    return call.zones if isinstance(call, Quorum) else 1
