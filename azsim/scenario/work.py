"""How long the work of a request takes: distributions of CPU time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from azsim.scenario.fields import Duration, Model, PositiveNumber, key, refuse

DISTRIBUTIONS: tuple[str, ...] = (
    "constant",
    "exponential",
    "lognormal",
    "gamma",
    "pareto",
    "uniform",
    "empirical",
)


def _distribution(word: str) -> Any:
    return key("The distribution of the work.", example=word, choices=DISTRIBUTIONS)


class Constant(Model):
    """Always the same."""

    distribution: Literal["constant"] = _distribution("constant")
    mean: Duration = key("The work of every request.", example="20ms")

    @property
    def mean_ns(self) -> float:
        """Mean work, ns."""
        return float(self.mean)


class Exponential(Model):
    """Exponentially distributed."""

    distribution: Literal["exponential"] = _distribution("exponential")
    mean: Duration = key("The mean.", example="20ms")

    @property
    def mean_ns(self) -> float:
        """Mean work, ns."""
        return float(self.mean)


class Lognormal(Model):
    """Log-normally distributed: mostly near the middle, with a long tail."""

    distribution: Literal["lognormal"] = _distribution("lognormal")
    mean: Duration = key("The mean.", example="20ms")
    cv: PositiveNumber = key("Standard deviation over mean.", example=1.5)

    @property
    def mean_ns(self) -> float:
        """Mean work, ns."""
        return float(self.mean)


class Gamma(Model):
    """Gamma distributed."""

    distribution: Literal["gamma"] = _distribution("gamma")
    mean: Duration = key("The mean.", example="20ms")
    cv: PositiveNumber = key("Standard deviation over mean.", example=0.5)

    @property
    def mean_ns(self) -> float:
        """Mean work, ns."""
        return float(self.mean)


class Pareto(Model):
    """Pareto distributed: a tail that falls as a power."""

    distribution: Literal["pareto"] = _distribution("pareto")
    mean: Duration = key("The mean.", example="20ms")
    shape: PositiveNumber = key("The power of the tail, more than 1; the variance is finite above 2.", example=2.5)

    @model_validator(mode="after")
    def _has_a_mean(self) -> Pareto:
        if self.shape <= 1:
            refuse("shape must be more than 1: a Pareto distribution has no mean otherwise", "2.5", "shape")
        return self

    @property
    def mean_ns(self) -> float:
        """Mean work, ns."""
        return float(self.mean)


class Uniform(Model):
    """Anything between two bounds, equally likely."""

    distribution: Literal["uniform"] = _distribution("uniform")
    low: Duration = key("The least work.", example="10ms")
    high: Duration = key("The most work.", example="30ms")

    @model_validator(mode="after")
    def _in_order(self) -> Uniform:
        if self.high < self.low:
            refuse("high must be at least low", "30ms", "high")
        return self

    @property
    def mean_ns(self) -> float:
        """Mean work, ns."""
        return (self.low + self.high) / 2


class Empirical(Model):
    """Drawn from measured values, each equally likely."""

    distribution: Literal["empirical"] = _distribution("empirical")
    csv: str | None = key(
        "A CSV file beside the scenario with one column, `work` (with units) or `work_s` (plain numbers).",
        default=None,
        example="work.csv",
    )
    values: Annotated[tuple[Duration, ...], Field(min_length=1)] | None = key(
        "The measured values, instead of a file.", default=None, example=["18ms", "20ms", "35ms"]
    )

    @model_validator(mode="after")
    def _one_source(self) -> Empirical:
        if (self.csv is None) == (self.values is None):
            refuse("empirical work takes either csv or values", "work.csv", "csv")
        return self

    @property
    def mean_ns(self) -> float:
        """Mean work, ns."""
        if self.values is None:
            raise ValueError("the work still stands in a file; Scenario.from_dict and load read it")
        return sum(self.values) / len(self.values)


def _tag(value: Any) -> str:
    word = value.get("distribution") if isinstance(value, dict) else getattr(value, "distribution", None)
    return f"<{word}>" if isinstance(word, str) and word in DISTRIBUTIONS else "<constant>"


Work = Annotated[
    Annotated[Constant, Tag("<constant>")]
    | Annotated[Exponential, Tag("<exponential>")]
    | Annotated[Lognormal, Tag("<lognormal>")]
    | Annotated[Gamma, Tag("<gamma>")]
    | Annotated[Pareto, Tag("<pareto>")]
    | Annotated[Uniform, Tag("<uniform>")]
    | Annotated[Empirical, Tag("<empirical>")],
    Discriminator(_tag),
]
