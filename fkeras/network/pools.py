"""Pools: the largest value or the mean of every window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from fkeras.network.operation import EXACT_STEPS, UNKNOWN, Floats, Grid, Operation, Shape, Values, Weights
from fkeras.network.windows import n_windows, windows


@dataclass(frozen=True, slots=True)
class _Pool(Operation):
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        (x,) = given
        return (*n_windows(x[:-1], self.size, self.strides, (1,) * len(self.size), self.padding), x[-1])

    def _windows(self, x: Floats, fill: float) -> Floats:
        return windows(x, self.size, self.strides, (1,) * len(self.size), self.padding, fill)

    @property
    def _over(self) -> tuple[int, ...]:
        return tuple(range(-len(self.size), 0))


@dataclass(frozen=True, slots=True)
class MaxPool(_Pool):
    """The largest value of each window, padding left out."""

    def compute(self, values: Values, *given: Floats) -> Floats:
        return np.asarray(self._windows(given[0], -np.inf).max(self._over), np.float32)

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        return given[0]


@dataclass(frozen=True, slots=True)
class AveragePool(_Pool):
    """The mean of each window, padding left out."""

    def compute(self, values: Values, *given: Floats) -> Floats:
        (x,) = given
        total = self._windows(x, 0.0).sum(self._over, dtype=np.float64)
        count = self._windows(np.ones_like(x[:1]), 0.0).sum(self._over)
        return np.asarray(total / count, np.float32)

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        """The mean of a power of two of values is exact."""
        (x,), n = given, prod(self.size)
        if x.step is None or self.padding != "valid" or n & (n - 1) or not x.bound * n < EXACT_STEPS * x.step:
            return UNKNOWN
        return Grid(x.step / n, x.bound, x.reproducible)
