"""What is done to every value alone: quantizers, activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from fkeras.network.operation import EXACT_STEPS, Floats, Grid, Operation, Shape, Values, Weights

ROUNDINGS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {"half_even": np.rint, "half_up": lambda x: np.floor(x + np.float32(0.5)), "floor": np.floor}
)
OVERFLOWS = ("saturate", "wrap")
THROUGHS = ("", "input", "relu", "range")


class _Pointwise(Operation):
    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        return given[0]


def _via(quantized: Floats, x: Floats, through: str, largest: Floats) -> Floats:
    """How float32 arrives at a quantized value; see `Quantize`."""
    if not through:
        return quantized
    base = x if through == "input" else np.maximum(x, np.float32(0))
    if through == "range":
        base = np.minimum(base, largest)
    return np.asarray(base + (quantized - base), np.float32)


@dataclass(frozen=True, slots=True)
class Quantize(_Pointwise):
    """x rounded to whole steps, low and high included.

    step: a power of two; low, high: whole numbers, in steps; each a number, or the name of a parameter that fits a
    sample. rounding: half_even, half_up or floor; overflow: saturate or wrap.
    through: how the trained network's float32 arrives at the value q: "" q itself; else b + (q - b), of b = x
    ("input"), max(x, 0) ("relu"), or x between 0 and the largest value ("range"), as a straight-through gradient has
    it. It is q exactly unless b is far outside the range and on a finer grid.
    """

    step: float | str
    low: float | str
    high: float | str
    rounding: str = "half_even"
    overflow: str = "saturate"
    through: str = ""

    def __post_init__(self) -> None:
        for name, allowed in (("rounding", ROUNDINGS), ("overflow", OVERFLOWS), ("through", THROUGHS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} {getattr(self, name)!r} is none of {', '.join(map(repr, allowed))}")
        if not isinstance(self.step, str) and not (self.step > 0 and np.frexp(self.step)[0] == 0.5):
            raise ValueError(f"step {self.step!r} is no power of two")
        for part in (self.low, self.high):
            if not isinstance(part, str) and part != np.rint(part):
                raise ValueError(f"{part!r} is no whole number of steps")

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(part for part in (self.step, self.low, self.high) if isinstance(part, str))

    def limits(self, parameter: Callable[[str], Floats]) -> tuple[Floats, Floats, Floats]:
        """step, low and high as arrays that fit a sample."""
        step, low, high = (
            parameter(part) if isinstance(part, str) else np.asarray(part, np.float32)
            for part in (self.step, self.low, self.high)
        )
        return step, low, high

    def compute(self, values: Values, *given: Floats) -> Floats:
        (x,) = given
        step, low, high = self.limits(values.__getitem__)
        levels = ROUNDINGS[self.rounding](x / step)
        if self.overflow == "wrap":
            levels = np.mod(levels - low, high - low + np.float32(1)) + low
        levels = np.clip(levels, low, high)
        quantized = np.asarray(levels * step, np.float32)
        return _via(quantized, x, self.through, high * step)

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        step, low, high = self.limits(weights.values)
        bound = float(np.max(np.maximum(np.abs(low), np.abs(high)) * step))
        return Grid(float(np.min(step)), bound, given[0].reproducible)


@dataclass(frozen=True, slots=True)
class Steps(_Pointwise):
    """A function of few values: the level behind the last threshold that x reaches.

    thresholds (n,) ascending; levels (n + 1,); through: as of `Quantize`.
    """

    thresholds: str
    levels: str
    through: str = ""

    @property
    def parameters(self) -> tuple[str, ...]:
        return (self.thresholds, self.levels)

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        (thresholds,), (levels,) = parameters[self.thresholds], parameters[self.levels]
        if levels != thresholds + 1:
            raise ValueError(f"{thresholds} thresholds lie between {levels} levels")
        return given[0]

    def compute(self, values: Values, *given: Floats) -> Floats:
        (x,) = given
        levels = values[self.levels]
        level = np.take(levels, np.searchsorted(values[self.thresholds], x, side="right"))
        level = np.where(np.isnan(x), x, level)
        return _via(level, x, self.through, levels[-1])

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        bound = float(np.abs(weights.values(self.levels)).max()) + weights.spare(self.levels)
        return Grid(weights.step(self.levels), bound, given[0].reproducible)


@dataclass(frozen=True, slots=True)
class Relu(_Pointwise):
    """max(x, 0), at most `most`; below 0 slope * x."""

    slope: float = 0.0
    most: float = np.inf

    def compute(self, values: Values, *given: Floats) -> Floats:
        (x,) = given
        below = np.float32(self.slope) * x if self.slope else np.float32(0)
        return np.minimum(np.where(x > 0, x, below), np.float32(self.most)).astype(np.float32)

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        """One multiplication and a choice: what is rounded once is reproducible."""
        (x,) = given
        slope, step = abs(float(np.float32(self.slope))), x.step
        bound = max(min(x.bound, self.most), slope * x.bound)
        if slope and step is not None:
            step = min(step, slope * step) if np.frexp(slope)[0] == 0.5 else None
        if step is not None and self.most != np.inf and self.most % step:
            step = None
        return Grid(step if step and bound < EXACT_STEPS * step else None, bound, x.reproducible)


def _softmax(x: Floats) -> Floats:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def _sigmoid(x: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)), np.float32)


_SELU, _SELU_SCALE = np.float32(1.6732632423543772), np.float32(1.0507009873554805)
FUNCTIONS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "softmax": _softmax,
        "sigmoid": _sigmoid,
        "tanh": np.tanh,
        "exponential": np.exp,
        "softplus": lambda x: np.asarray(np.logaddexp(x, 0), np.float32),
        "softsign": lambda x: np.asarray(x / (np.abs(x) + 1), np.float32),
        "swish": lambda x: np.asarray(x * _sigmoid(x), np.float32),
        "elu": lambda x: np.asarray(np.where(x > 0, x, np.expm1(np.minimum(x, 0))), np.float32),
        "selu": lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU * np.expm1(np.minimum(x, 0))),
        "hard_sigmoid": lambda x: np.clip(np.float32(0.2) * x + np.float32(0.5), 0, 1),
    }
)


@dataclass(frozen=True, slots=True)
class Function(_Pointwise):
    """A float function by name; the softmax goes over the last axis."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in FUNCTIONS:
            raise ValueError(f"function {self.name!r} is none of {', '.join(FUNCTIONS)}")

    def compute(self, values: Values, *given: Floats) -> Floats:
        return np.asarray(FUNCTIONS[self.name](given[0]), np.float32)
