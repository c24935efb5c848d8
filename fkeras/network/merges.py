"""What becomes one tensor out of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from math import prod
from types import MappingProxyType

import numpy as np

from fkeras.network.operation import EXACT_STEPS, UNKNOWN, Grid, Linear, Numbers, Shape, Weights

KINDS: Mapping[str, Callable[[Numbers, Numbers], Numbers]] = MappingProxyType(
    {
        "add": np.add,
        "subtract": np.subtract,
        "multiply": np.multiply,
        "product": np.multiply,
        "maximum": np.maximum,
        "minimum": np.minimum,
    }
)


@dataclass(frozen=True, slots=True)
class Merge(Linear):
    """Elementwise, one after the other: add, subtract, multiply, maximum, minimum; and average. Linear in each input,
    but for maximum and minimum.

    product: multiply, where whoever computes it rounds products before they are used.
    """

    kind: str

    def __post_init__(self) -> None:
        if self.kind not in (*KINDS, "average"):
            raise ValueError(f"kind {self.kind!r} is none of {', '.join(KINDS)}, average")

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        return tuple(np.broadcast_shapes(*given))

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        rank = max(x.ndim for x in given)
        alike = [x.reshape(len(x), *(1,) * (rank - x.ndim), *x.shape[1:]) for x in given]
        result = reduce(KINDS["add" if self.kind == "average" else self.kind], alike)
        return np.asarray(result / np.float32(len(given)) if self.kind == "average" else result)

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        """Sums are rounded one by one, in order. Compilers may fuse products with sums, and divide by multiplying."""
        if not all(x.reproducible for x in given):
            return UNKNOWN
        n = len(given)
        steps = [x.step for x in given if x.step is not None]
        step, bounds = min(steps, default=None) if len(steps) == n else None, [x.bound for x in given]
        if self.kind in ("maximum", "minimum"):
            return Grid(step, max(bounds), True)
        multiplies = self.kind in ("multiply", "product")
        bound = prod(bounds) if multiplies else sum(bounds)
        if multiplies:
            step = None if step is None else prod(steps)
        if step is not None and not bound < EXACT_STEPS * step:
            step = None
        if self.kind in ("add", "subtract", "product"):
            return Grid(step, bound, True)
        if step is None or (self.kind == "average" and n & (n - 1)):
            return UNKNOWN
        return Grid(step / n, bound / n, True) if self.kind == "average" else Grid(step, bound, True)


@dataclass(frozen=True, slots=True)
class Concatenate(Linear):
    """Side by side on an axis of a sample, counted from 0."""

    axis: int

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        if len({(*x[: self.axis], *x[self.axis + 1 :]) for x in given}) != 1:
            raise ValueError(f"{', '.join(map(str, given))} do not fit side by side on axis {self.axis}")
        return (*given[0][: self.axis], sum(x[self.axis] for x in given), *given[0][self.axis + 1 :])

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        return np.concatenate(given, axis=self.axis + 1)

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        steps = [x.step for x in given if x.step is not None]
        step = min(steps) if len(steps) == len(given) else None
        return Grid(step, max(x.bound for x in given), all(x.reproducible for x in given))
