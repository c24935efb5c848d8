"""What an operation of a network must know: what it computes, of which shape, and on which grid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Shape = tuple[int, ...]
"""The shape of one sample; arrays have the samples in front."""
Values = Mapping[str, Floats]
"""Parameters by name: what the stored words decode to, and constants."""

EXACT_STEPS = 2.0**24
"""float32 holds every whole number up to here, so sums of fewer steps are exact in any order."""


@dataclass(frozen=True, slots=True)
class Grid:
    """What is known of a tensor whatever the data are: every value is a multiple of step, a power of two (None: no
    grid is known), and none is larger than bound; reproducible: whoever computes it gets the same bits."""

    step: float | None
    bound: float
    reproducible: bool


UNKNOWN = Grid(None, np.inf, False)
Numbers = NDArray[Any]


class Weights(Protocol):
    """What grids depend on: the parameters, and what any one wrong word may add to them."""

    def values(self, name: str) -> Floats:
        """The parameter, in its shape."""

    def step(self, name: str) -> float | None:
        """The power of two that every value of it is a multiple of, whatever word is wrong; None without one."""

    def spare(self, name: str) -> float:
        """The most by which one wrong word changes a value of it."""


class Operation(ABC):
    """A frozen dataclass of numbers, texts and names of parameters. Arrays are float32, samples first."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters that it reads."""
        return ()

    @abstractmethod
    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        """The shape of a sample of its result. ValueError for shapes that it cannot take."""

    @abstractmethod
    def compute(self, values: Values, *given: Floats) -> Floats:
        """Its result: slow and obvious. Sums are made in float64, where they are exact, and rounded once."""

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        """What is known of its result."""
        return UNKNOWN


class Linear(Operation):
    """An operation that is linear in every input and parameter, so that it takes complex numbers as well."""

    @abstractmethod
    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        """The result for float64, float32 or complex numbers."""

    def compute(self, values: Values, *given: Floats) -> Floats:
        return np.asarray(self.on(values, *given), np.float32)


FEW = 4096


def grid_of(values: NDArray[np.floating]) -> Grid:
    """The grid that numbers lie on: the largest power of two, 2**-24 at least, that divides every one.

    The bound is a power of two as well, so that parts of a data set mostly have the same grid.
    """
    most = float(np.max(np.abs(values), initial=0.0))
    bound = float(2.0 ** np.ceil(np.log2(most))) if 0 < most < np.inf else most
    wide = np.asarray(values, np.float64).reshape(-1)
    for exponent in range(8, -25, -1):
        # A few numbers tell of most steps that they do not divide all.
        if all(_divides(2.0**exponent, part) for part in (wide[:FEW], wide)):
            return Grid(2.0**exponent, bound, True)
    return Grid(None, bound, True)


def _divides(step: float, values: NDArray[np.float64]) -> bool:
    scaled = values / step
    return np.array_equal(scaled, np.rint(scaled))
