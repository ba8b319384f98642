"""Connections: how many a caller keeps to each instance it calls, and what a new one costs (R9)."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, Strict

from azsim.scenario.fields import Duration, Model, OrNone, PositiveDuration, key

CONNECTIONS_MAX: Final = 10_000
TRIPS_MAX: Final = 10


class Handshake(Model):
    """What a new connection takes before its first request (R9)."""

    round_trips: Annotated[int, Strict(), Field(ge=0, le=TRIPS_MAX)] = key(
        "Round trips: 1 for TCP, 2 with TLS 1.3, 3 with TLS 1.2.", default=1, example=2
    )
    work: Duration = key("CPU time at the instance that is called.", default="0s", example="2ms")


class Pool(Model):
    """The connections of a client process to each instance it calls; each carries one request at a time (R9)."""

    max: Annotated[int, Strict(), Field(ge=1, le=CONNECTIONS_MAX)] = key(
        "The most connections of one client process to one instance.", default=20, example=20
    )
    acquire: OrNone[PositiveDuration] = key(
        "How long an attempt waits for a connection, and then fails as `timeout`; `none` waits as long as the attempt.",
        default="none",
        example="100ms",
    )
    idle: OrNone[PositiveDuration] = key(
        "After how long unused a connection is closed; `none` keeps it.", default="none", example="60s"
    )
    handshake: OrNone[Handshake] = key(
        "What a new connection takes; `none` is free.", default="none", example={"round_trips": 2, "work": "2ms"}
    )


PoolOrNone = OrNone[Pool]
EXAMPLE: Final = {"max": 20, "acquire": "100ms", "handshake": {"round_trips": 2, "work": "2ms"}}
