"""Pools: the largest value or the mean of every window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from fkeras.network.operation import (
    EXACT_STEPS,
    UNKNOWN,
    Floats,
    Grid,
    Linear,
    Numbers,
    Operation,
    Shape,
    Values,
    Weights,
)
from fkeras.network.windows import n_windows, windows


@dataclass(frozen=True, slots=True)
class Pool(Operation):
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        (x,) = given
        return (*n_windows(x[:-1], self.size, self.strides, (1,) * len(self.size), self.padding), x[-1])

    def windows(self, x: Numbers, fill: float) -> Numbers:
        """Every window of x (n, *windows, channels, *size), `fill` around it."""
        return windows(x, self.size, self.strides, (1,) * len(self.size), self.padding, fill)

    @property
    def _over(self) -> tuple[int, ...]:
        return tuple(range(-len(self.size), 0))


@dataclass(frozen=True, slots=True)
class MaxPool(Pool):
    """The largest value of each window, padding left out."""

    def compute(self, values: Values, *given: Floats) -> Floats:
        return np.asarray(self.windows(given[0], -np.inf).max(self._over), np.float32)

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        return given[0]


@dataclass(frozen=True, slots=True)
class AveragePool(Pool, Linear):
    """The mean of each window, padding left out."""

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        (x,) = given
        total = self.windows(x, 0.0).sum(self._over, dtype=np.result_type(x, np.float64))
        return np.asarray(total / self.counts(x.shape[1:]))

    def counts(self, shape: Shape) -> Numbers:
        """How many elements of a sample each window holds, (*windows, channels)."""
        return np.asarray(self.windows(np.ones((1, *shape), np.float32), 0.0).sum(self._over)[0])

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        """The mean of a power of two of values is exact, that of others is an exact sum divided once."""
        (x,), n = given, prod(self.size)
        if x.step is None or not x.bound * n < EXACT_STEPS * x.step:
            return UNKNOWN
        return Grid(None if self.padding != "valid" or n & (n - 1) else x.step / n, x.bound, x.reproducible)
