"""Who asks for what, how often and how patiently: traffic populations (R1, R2, R5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Strict, Tag, model_validator

from azsim.base.units import SECOND_NS
from azsim.scenario import breaker, hedge, pool
from azsim.scenario.breaker import BreakerOrNone
from azsim.scenario.fields import (
    COUNT_MAX,
    PRIORITY_MAX,
    Count,
    Duration,
    Flag,
    Model,
    Name,
    Names,
    OrNoEntries,
    OrNoNames,
    OrNone,
    PositiveDuration,
    Rate,
    Share,
    key,
    refuse,
)
from azsim.scenario.hedge import HedgeOrNone
from azsim.scenario.pool import PoolOrNone
from azsim.scenario.retry import Retry


class RatePoint(Model):
    """One point of a rate profile."""

    at: Duration = key("When the rate changes, from the start of the run.", example="5min")
    rate: Rate = key("The rate from then on.", example="900/s")
    ramp: Duration = key(
        "How long the rate takes to get there in a straight line, from `at` on.", default="0s", example="30s"
    )


class RateFile(Model):
    """Arrivals in a file: how many there are, or when each one is."""

    csv: str | None = key(
        "A CSV file beside the scenario with the columns `at,rate` (with units) or `at_s,rate_per_s` (plain numbers).",
        default=None,
        example="load.csv",
    )
    trace: str | None = key(
        "A CSV file beside the scenario with the column `at` (with units) or `at_s` (plain numbers), and perhaps "
        "`operation`: recorded requests, in their order, each replayed at its time.",
        default=None,
        example="requests.csv",
    )
    times: Annotated[tuple[Duration, ...], Field(min_length=1)] | None = key(
        "The times of a trace, instead of a file.", default=None, example=["10ms", "12ms"]
    )
    operations: OrNoEntries[Name] = key(
        "What each request of `times` asks for; `none`: as the population says.", default=(), example=["browse", "buy"]
    )

    @model_validator(mode="after")
    def _one_source(self) -> RateFile:
        if (self.csv is not None) + (self.trace is not None) + (self.times is not None) != 1:
            refuse("takes either csv, trace or times", "load.csv", "csv")
        if self.times is not None and any(later < earlier for earlier, later in pairwise(self.times)):
            refuse("recorded requests stand in the order of their times", "[10ms, 12ms]", "times")
        if self.operations and len(self.operations) != len(self.times or ()):
            rule = f"names one operation for each of the {len(self.times or ())} times, not {len(self.operations)}"
            refuse(rule, "none", "operations")
        return self


class Users(Model):
    """Users in a closed loop: each thinks, asks, waits for the outcome, and thinks again (R1)."""

    count: Count = key("How many.", example=5000)
    think: PositiveDuration = key("How long each thinks between two requests, on average.", example="8s")
    distribution: Literal["exponential", "constant"] = key(
        "How think times vary: `exponential`, or `constant` (the same each time).",
        default="exponential",
        example="exponential",
    )


def _rate_tag(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "<profile>"
    return "<file>" if isinstance(value, dict | RateFile) else "<constant>"


RateProfile = Annotated[
    Annotated[Rate, Tag("<constant>")]
    | Annotated[Annotated[tuple[RatePoint, ...], Field(min_length=1)], Tag("<profile>")]
    | Annotated[RateFile, Tag("<file>")],
    Discriminator(_rate_tag),
]


class Population(Model):
    """Clients that behave alike: requests by a rate (a Poisson process), by a trace, or of users who think (R1)."""

    to: Name = key("The service they ask.", example="web")
    rate: OrNone[RateProfile] = key(
        "Requests per second of the whole population: one rate, a list of points, or a CSV file; or a trace.",
        default="none",
        default_text="required without `users`",
        example="1200/s",
    )
    users: OrNone[Users] = key(
        "Users who think between requests, instead of `rate`.", default="none", example={"count": 5000, "think": "8s"}
    )
    from_: Annotated[
        Annotated[Literal["outside"], Tag("<outside>")] | Annotated[Names[Share], Tag("<shares>")],
        Discriminator(lambda value: "<shares>" if isinstance(value, dict) else "<outside>"),
    ] = key(
        "Where they are: `outside` all zones, or the share of them that lives in each zone.",
        alias="from",
        rule="must be `outside` or a mapping of zones to shares",
        default="outside",
        example="outside",
    )
    clients: Annotated[int, Strict(), Field(ge=1, le=COUNT_MAX)] = key(
        "Client processes; each has its own retry budget (R2).", default=1, example=100
    )
    timeout: OrNone[PositiveDuration] = key(
        "How long an attempt may take from its send (R5).", default="none", example="1s"
    )
    connect_timeout: OrNone[PositiveDuration] = key(
        "How long an unreachable target is waited for; `none` waits for `timeout`.", default="none", example="300ms"
    )
    deadline: OrNone[PositiveDuration] = key(
        "How long a request may take, retries and all.", default="none", example="5s"
    )
    retry: OrNone[Retry] = key(
        "How failed attempts are tried again.", default="none", example={"attempts": 3, "backoff": {"base": "50ms"}}
    )
    cancel: Flag = key("Whether giving up an attempt stops the work done for it (R5).", default=False, example=False)
    priority: Annotated[int, Strict(), Field(ge=0, le=PRIORITY_MAX)] = key(
        "Class of its requests in every queue, 0 to 3: the higher go first, the lower make room in a full queue (I1).",
        default=0,
        example=1,
    )
    propagate_deadline: Flag = key(
        "Whether the calls made for an attempt must end when its client stops waiting for it (R7).",
        default=False,
        example=True,
    )
    operations: OrNoNames[Share] = key(
        "What they ask for: the share of each of the service's operations; `none` asks for its own work and calls "
        "(R8).",
        default={},
        example={"browse": "80%", "buy": "20%"},
    )
    breaker: BreakerOrNone = key("A circuit breaker in each client process.", default="none", example=breaker.EXAMPLE)
    pool: PoolOrNone = key(
        "Connections to its instances: how many, and what a new one costs (R9); `none`: free and without limit.",
        default="none",
        example=pool.EXAMPLE,
    )
    hedge: HedgeOrNone = key(
        "A second attempt while the first is still open (R6).", default="none", example=hedge.EXAMPLE
    )

    @model_validator(mode="after")
    def _one_kind_of_traffic(self) -> Population:
        if self.rate is None and self.users is None:
            refuse("takes either a rate or users", "1200/s", "rate")
        if self.rate is not None and self.users is not None:
            refuse("takes either a rate or users: users need `rate: none`", "none", "users")
        return self

    @property
    def recorded(self) -> tuple[int, ...]:
        """The times of a trace, ns; empty where there is none."""
        return self.rate.times or () if isinstance(self.rate, RateFile) else ()

    @property
    def recorded_operations(self) -> tuple[str, ...]:
        """What each request of a trace asks for; empty where the trace does not say."""
        return self.rate.operations if isinstance(self.rate, RateFile) else ()

    @property
    def mix(self) -> Mapping[str, float]:
        """What its requests ask for, by shares; empty: the service's own work and calls."""
        recorded = self.recorded_operations
        counts = Counter(recorded)
        return {name: counts[name] / len(recorded) for name in sorted(counts)} if recorded else self.operations

    @property
    def has_rate(self) -> bool:
        """Whether its requests come by a rate, which can be multiplied."""
        return self.users is None and not self.recorded

    @property
    def profile(self) -> tuple[RatePoint, ...]:
        """The rate as points, the first at 0: of users the most they can ask for, of a trace its mean."""
        if isinstance(self.rate, tuple):
            return self.rate
        if self.users is not None:
            most = self.users.count * SECOND_NS / self.users.think
            return (RatePoint.model_construct(at=0, rate=most, ramp=0),)
        if isinstance(self.rate, RateFile):
            if self.rate.times is None:
                raise ValueError("the rate still stands in a file; Scenario.from_dict and load read it")
            mean = len(self.rate.times) * SECOND_NS / max(1, self.rate.times[-1])
            return (RatePoint.model_construct(at=0, rate=mean, ramp=0),)
        assert self.rate is not None  # _one_kind_of_traffic
        return (RatePoint.model_construct(at=0, rate=self.rate, ramp=0),)

    @property
    def peak_rate(self) -> float:
        """The highest rate of the profile, per second."""
        return max(point.rate for point in self.profile)
