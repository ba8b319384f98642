"""The outcome of one replicate as a row: short, plain, and the same wherever it was run."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from azsim.base.units import SECOND_NS
from azsim.scenario import Scenario
from azsim.simulation.judging import judged, span_block
from azsim.simulation.metrics import COVERING_ZONE_COLUMNS, headroom, least_headroom, metrics
from azsim.simulation.replay import settled_verdict
from azsim.simulation.run import code_version, simulate
from azsim.simulation.series import per_second

DOWN: Final = frozenset(("collapse", "outage", "invalid", "down"))
"""Verdicts of a system that was still broken at a deadline, or before anything had happened to it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One replicate. The first three fields say which; sums and shares are of all requests after the warm-up.

    `verdict` is `down` where nobody has told a collapse from an outage; `code_version` says so, too (`/light`).
    `digest` is of the scenario as it was run: with its seed and the values drawn for what varies, without `vary`.
    Wall times are left out on purpose: the rows of two machines are equal byte for byte.
    """

    digest: str
    replicate: int
    code_version: str
    scenario: str
    seed: int
    verdict: str
    hypothesis: str
    offered: int
    attempts: int
    succeeded: int
    failed: int
    success: float | None
    goodput_per_s: float | None
    amplification: float | None
    wasted_share: float | None
    utilisation: float | None
    latency_p50_s: float | None
    latency_p99_s: float | None
    time_to_detect_s: float | None
    time_to_recover_s: float | None  # None where it never did, or had nothing to recover from
    headroom_min: float | None  # None where attempts met no capacity at all
    aborted_at_s: float | None

    @property
    def key(self) -> tuple[str, int, str]:
        """What identifies the replicate: digest, number, code version."""
        return self.digest, self.replicate, self.code_version

    @property
    def down(self) -> bool:
        """Whether the system was still broken at a deadline, or before anything had happened to it."""
        return self.verdict in DOWN

    @property
    def values(self) -> tuple[Any, ...]:
        """Every field, in order."""
        return tuple(getattr(self, name) for name in COLUMNS)


COLUMNS: Final[Sequence[str]] = tuple(field.name for field in fields(Row))


def version(*, light: bool = False) -> str:
    """The code that makes rows, and whether it looks into what is broken at a deadline."""
    return code_version() + ("/light" if light else "")


def replicate_row(
    scenario: Scenario, replicate: int, memory_limit_bytes: int | None = None, *, light: bool = False
) -> Row:
    """Run one replicate of a scenario and judge it. Where the level is broken at a deadline, a reset replay tells a
    collapse from an outage (J4), unless `light`; further replays are not made.
    """
    again = functools.partial(simulate, memory_limit_bytes=memory_limit_bytes)
    trace = again(scenario, replicate=replicate)
    seconds = per_second(trace.recording, COVERING_ZONE_COLUMNS)
    view = judged(trace, seconds)
    broken = light and view.verdict() == "collapse"
    verdict = "collapse" if broken else settled_verdict(trace, view, again)
    window_s = scenario.hypothesis.window // SECOND_NS
    least = headroom(trace.plan, seconds, window_s, -(-scenario.warmup // SECOND_NS))
    whole = metrics(trace.plan, span_block(trace, scenario.warmup, trace.end_ns))
    return Row(
        digest=scenario.digest,
        replicate=replicate,
        code_version=version(light=light),
        scenario=scenario.name,
        seed=trace.seed,
        verdict="down" if broken else verdict,
        hypothesis=view.status(verdict),
        offered=whole["offered"],
        attempts=whole["attempts"],
        succeeded=whole["succeeded"],
        failed=sum(whole["failed"].values()),
        success=whole["success"],
        goodput_per_s=whole["goodput_per_s"],
        amplification=whole["amplification"],
        wasted_share=whole["wasted_share"],
        utilisation=whole["utilisation"],
        latency_p50_s=whole["latency_s"]["p50"],
        latency_p99_s=whole["latency_s"]["p99"],
        time_to_detect_s=_seconds(view.time_to_detect_ns),
        time_to_recover_s=_seconds(view.judgement.time_to_recover_ns),
        headroom_min=least_headroom(trace.plan, least)["min"],
        aborted_at_s=_seconds(trace.aborted_at_ns),
    )


def _seconds(t_ns: int | None) -> float | None:
    return None if t_ns is None else t_ns / SECOND_NS
