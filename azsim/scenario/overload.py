"""What an instance does when more is asked of it than it can do (I1, I4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Tag, model_validator

from azsim.scenario.fields import CountOrZero, Model, Number, OrNone, PositiveDuration, key, refuse

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
