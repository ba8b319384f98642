"""What a service keeps beside requests: caches in front of others (I6), and data in several zones (R11)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict, model_validator

from azsim.scenario.fields import CACHE_ENTRIES_MAX, Duration, Model, Name, OrNoEntries, Share, key, refuse


class Cache(Model):
    """A cache in each instance: a hit spares the calls behind it, and an instance that was lost comes back cold (I6).

    The share `hit_ratio` of what is asked for is one of `entries` things, all equally wanted; a full cache has them
    all, one that is filled in part hits in proportion.
    """

    hit_ratio: Share = key("The share of requests that a full cache spares their calls.", example="90%")
    entries: Annotated[int, Strict(), Field(ge=1, le=CACHE_ENTRIES_MAX)] = key(
        "How many successful misses fill it, in each instance.", example=50000
    )
    filled: Share = key("How full it is at the start.", default="100%", example="0%")
    kept: Share = key("How much of it outlives a loss or a crash of the instance.", default="0%", example="100%")

    @model_validator(mode="after")
    def _can_hit(self) -> Cache:
        if self.hit_ratio <= 0:
            refuse("a cache that never hits is none: hit_ratio must be more than 0%", "90%", "hit_ratio")
        return self


class Replication(Model):
    """Data that its zones hold copies of (R11): a zone holds a write once it has answered it, the others a while later.

    A write that was acknowledged is lost where every zone that holds it loses its power.
    """

    lag: Duration = key("How long an acknowledged write takes to all other zones.", example="500ms")
    writes: OrNoEntries[Name] = key(
        "The service's operations that write; `none`: whatever it is asked for.", default=(), example=["put"]
    )
