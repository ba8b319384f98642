"""Distributions of work, as the data plane draws from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from azsim.dataplane.layout import Int64s
from azsim.policy import distributions
from azsim.policy.distributions import natural_log
from azsim.scenario.work import Constant, Empirical, Exponential, Gamma, Lognormal, Pareto, Uniform, Work

Row = dict[str, Any]


class WorkTable:
    """Collects the measured work that empirical distributions draw from; equal sets of values stand there once."""

    def __init__(self) -> None:
        self._values: list[int] = []
        self._first: dict[tuple[int, ...], int] = {}

    def row(self, work: Work) -> Row:
        """The fields that INSTANCE and STEP have for a distribution."""
        kind, a, b = work_parameters(work)
        values = tuple(work.values or ()) if isinstance(work, Empirical) else ()
        if values and values not in self._first:
            self._first[values] = len(self._values)
            self._values += values
        place = {"table_first": self._first.get(values, 0), "table_count": len(values)}
        return {"work": kind, "work_a": a, "work_b": b} | place

    @property
    def table(self) -> Int64s:
        """All values, ns."""
        return np.array(self._values, np.int64)


def work_parameters(work: Work) -> tuple[int, float, float]:
    """Kind, a and b of a distribution, as `policy.distributions.sample_work` takes them.

    The mean m and the coefficient of variation c become: lognormal, variance of the logarithm s2 = ln(1 + c2), mean of
    the logarithm ln(m) - s2 / 2; gamma, shape 1 / c2, scale m c2; Pareto, scale m (shape - 1) / shape.
    """
    match work:
        case Constant():
            return distributions.CONSTANT, float(work.mean), 0.0
        case Exponential():
            return distributions.EXPONENTIAL, float(work.mean), 0.0
        case Lognormal():
            # No C library's logarithm: all machines get the same bits (O2).
            variance = natural_log(1.0 + work.cv * work.cv)
            return distributions.LOGNORMAL, natural_log(float(work.mean)) - 0.5 * variance, math.sqrt(variance)
        case Gamma():
            return distributions.GAMMA, 1.0 / (work.cv * work.cv), work.mean * (work.cv * work.cv)
        case Pareto():
            return distributions.PARETO, 1.0 / work.shape, work.mean * ((work.shape - 1.0) / work.shape)
        case Uniform():
            return distributions.UNIFORM, float(work.low), float(work.high - work.low)
        case Empirical():
            return distributions.EMPIRICAL, 0.0, 0.0
