"""What the figures must be. A figure is named by where it is measured and what it says, `w1a.x_simpy`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A figure is good between `low` and `high`; None leaves an end open."""

    low: float | None = None
    high: float | None = None

    def met_by(self, figure: float) -> bool:
        """Whether the figure lies in the range, its ends included."""
        return (self.low is None or figure >= self.low) and (self.high is None or figure <= self.high)

    def __str__(self) -> str:
        if self.low is None:
            return f"<= {self.high:g}"
        if self.high is None:
            return f">= {self.low:g}"
        return f"{(self.low + self.high) / 2:g} +- {(self.high - self.low) / 2:.3g}"


GOALS = {
    # Speed, as ratios to the yardsticks measured in the same run.
    "w1a.x_simpy": Goal(low=100),
    "w1a.of_c": Goal(low=0.25),
    "w1b.x_simpy": Goal(low=200),
    "w1b.of_c": Goal(low=0.35),
    # Attempts at all tiers together, of one core.
    "tiers.attempts_per_cpu_s": Goal(low=1_500_000),
    # A thousand instances: of the processor time, what is not the compiled data plane's.
    "fleet.control_share": Goal(high=0.2),
    "fleet.requests": Goal(low=100e6),
    # Agreement with the yardsticks' world, whatever the random numbers: about five standard errors either way.
    "w1a.goodput_per_s": Goal(3354, 3364),  # over 20 seeds
    "w1a.latency_ms_mean": Goal(20.54, 20.64),
    "w1b.goodput_per_s": Goal(1304, 1364),  # over 100 seeds
    # What a person waits for.
    "million.wall_s": Goal(high=5.0),
    "help.wall_s": Goal(high=0.3),
    # What fits on a small machine.
    "million.memory_mb": Goal(high=400),
    "orphans.memory_mb": Goal(high=600),
}
