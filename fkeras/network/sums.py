"""Weighted sums of stored words, and what is added to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fkeras.network.operation import (
    EXACT_STEPS,
    UNKNOWN,
    Floats,
    Grid,
    Linear,
    Numbers,
    Shape,
    Values,
    Weights,
    grid_of,
)
from fkeras.network.windows import n_windows, pads, spread, windows


def as_columns(kernel: Floats, depthwise: bool = False) -> Floats:
    """A kernel as (terms, output channels)."""
    if depthwise:
        return kernel.reshape(int(np.prod(kernel.shape[:-2])), -1)
    return kernel.reshape(-1, kernel.shape[-1])


@dataclass(frozen=True, slots=True)
class WeightedSum(Linear):
    """A sum of products of inputs and the words of a kernel."""

    kernel: str

    @property
    def parameters(self) -> tuple[str, ...]:
        return (self.kernel,)

    def columns(self, kernel: Floats) -> Floats:
        """The kernel as (terms, output channels)."""
        return as_columns(kernel)

    def compute(self, values: Values, *given: Floats) -> Floats:
        """Summed in float64, where it is exact, and rounded once."""
        wide = {self.kernel: values[self.kernel].astype(np.float64)}
        return np.asarray(self.on(wide, given[0].astype(np.float64)), np.float32)

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        (x,), step = given, weights.step(self.kernel)
        if step is None or x.step is None:
            return UNKNOWN
        columns = np.abs(self.columns(weights.values(self.kernel)).astype(np.float64)).sum(0)
        bound = x.bound * float(columns.max(initial=0.0) + weights.spare(self.kernel))
        return Grid(step * x.step, bound, x.reproducible) if bound < EXACT_STEPS * step * x.step else UNKNOWN


@dataclass(frozen=True, slots=True)
class Dense(WeightedSum):
    """x @ kernel over the last axis; kernel (inputs, outputs)."""

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        (x,), (inputs, outputs) = given, parameters[self.kernel]
        if x[-1] != inputs:
            raise ValueError(f"a kernel for {inputs} inputs reads {x[-1]}")
        return (*x[:-1], outputs)

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        return np.asarray(given[0] @ values[self.kernel])


@dataclass(frozen=True, slots=True)
class Einsum(WeightedSum):
    """A product summed as numpy's einsum writes it; equation: of x, samples first, and the kernel, as in "nab,bc->nac".
    Each axis of x is one of the kernel's or of the result's, and each of the kernel's one of theirs."""

    equation: str

    def __post_init__(self) -> None:
        read, held, written = self.axes
        if not (read and written and read[0] == written[0] and read[0] not in held):
            raise ValueError(f"equation {self.equation!r} does not keep the samples in front")
        for axes, others in ((read, held + written), (held, read + written), (written, read + held)):
            if len(set(axes)) != len(axes) or not axes.isalpha() or not set(axes) <= set(others):
                raise ValueError(f"equation {self.equation!r} names an axis twice or nowhere else")

    @property
    def axes(self) -> tuple[str, str, str]:
        """The axes of x, of the kernel and of the result."""
        read, _, rest = self.equation.partition(",")
        held, _, written = rest.partition("->")
        return read, held, written

    def columns(self, kernel: Floats) -> Floats:
        """The kernel with the axes that are summed in front."""
        _, held, written = self.axes
        order = sorted(range(len(held)), key=lambda axis: held[axis] in written)
        terms = [kernel.shape[axis] for axis in order if held[axis] not in written]
        return kernel.transpose(order).reshape(int(np.prod(terms)), -1)

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        (x,), kernel = given, parameters[self.kernel]
        read, held, written = self.axes
        lengths = dict(zip(read[1:], x, strict=True))
        for axis, length in zip(held, kernel, strict=True):
            if lengths.setdefault(axis, length) != length:
                raise ValueError(f"a kernel of shape {kernel} reads {x} by {self.equation}")
        return tuple(lengths[axis] for axis in written[1:])

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        return np.asarray(np.einsum(self.equation, given[0], values[self.kernel]))


@dataclass(frozen=True, slots=True)
class Convolution(WeightedSum):
    """Channels last, over one axis or two; kernel (*size, input channels / groups, output channels)."""

    strides: tuple[int, ...]
    padding: str
    dilation: tuple[int, ...]
    groups: int = 1

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        (x,), (*size, inputs, outputs) = given, parameters[self.kernel]
        if x[-1] != inputs * self.groups or outputs % self.groups:
            raise ValueError(f"a kernel for {inputs} channels in {self.groups} group(s) reads {x[-1]}")
        return (*n_windows(x[:-1], tuple(size), self.strides, self.dilation, self.padding), outputs)

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        (x,), kernel = given, values[self.kernel]
        size = kernel.shape[:-2]
        parts = []
        for group, columns in zip(
            np.split(x, self.groups, axis=-1), np.split(kernel, self.groups, axis=-1), strict=True
        ):
            view = windows(group, size, self.strides, self.dilation, self.padding)
            rank = len(size)
            over = [rank + 1 + axis for axis in (*range(1, rank + 1), 0)]  # the window's axes, then the channels
            parts.append(np.tensordot(view, columns, (over, list(range(rank + 1)))))
        return np.concatenate(parts, axis=-1)


@dataclass(frozen=True, slots=True)
class DepthwiseConvolution(WeightedSum):
    """Each output channel reads one input channel; kernel (*size, input channels, outputs per input channel)."""

    strides: tuple[int, ...]
    padding: str
    dilation: tuple[int, ...]

    def columns(self, kernel: Floats) -> Floats:
        return as_columns(kernel, depthwise=True)

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        (x,), (*size, inputs, each) = given, parameters[self.kernel]
        if x[-1] != inputs:
            raise ValueError(f"a kernel for {inputs} channels reads {x[-1]}")
        return (*n_windows(x[:-1], tuple(size), self.strides, self.dilation, self.padding), inputs * each)

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        (x,), kernel = given, values[self.kernel]
        view = windows(x, kernel.shape[:-2], self.strides, self.dilation, self.padding)
        window = "ij"[: kernel.ndim - 2]
        sums = np.einsum(f"...c{window},{window}cm->...cm", view, kernel)
        return np.asarray(sums.reshape(*sums.shape[:-2], -1))


@dataclass(frozen=True, slots=True)
class TransposedConvolution(WeightedSum):
    """The transpose of a convolution; kernel (*size, output channels, input channels); lengths: of its result."""

    strides: tuple[int, ...]
    padding: str
    dilation: tuple[int, ...]
    lengths: tuple[int, ...]

    def columns(self, kernel: Floats) -> Floats:
        return as_columns(np.moveaxis(kernel, -2, -1))

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        (x,), (*size, outputs, inputs) = given, parameters[self.kernel]
        if x[-1] != inputs:
            raise ValueError(f"a kernel for {inputs} channels reads {x[-1]}")
        if n_windows(self.lengths, tuple(size), self.strides, self.dilation, self.padding) != x[:-1]:
            raise ValueError(f"{x[:-1]} elements do not become {self.lengths}")
        return (*self.lengths, outputs)

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        (x,), kernel = given, values[self.kernel]
        start = self.start(kernel.shape[:-2])
        return spread(x, kernel, self.strides, self.dilation, start, self.lengths)

    def start(self, size: Shape) -> Shape:
        """Where the result begins in all that the windows reach."""
        return tuple(before for before, _ in pads(self.lengths, size, self.strides, self.dilation, self.padding))


@dataclass(frozen=True, slots=True)
class Bias(Linear):
    """x + bias; bias (channels,), or the shape of a sample."""

    bias: str

    @property
    def parameters(self) -> tuple[str, ...]:
        return (self.bias,)

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        return _broadcast(given[0], parameters[self.bias])

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        return np.asarray(given[0] + values[self.bias])

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        """A bias off the grid leaves values that were rounded once: reproducible, without a grid."""
        (x,), bias = given, weights.values(self.bias)
        if not x.reproducible:
            return UNKNOWN
        bound = x.bound + float(np.max(np.abs(bias), initial=0.0)) + weights.spare(self.bias)
        step = weights.step(self.bias)
        if x.step is not None and step is not None and bound < EXACT_STEPS * min(step, x.step):
            return Grid(min(step, x.step), bound, True)
        return Grid(None, bound, True)


@dataclass(frozen=True, slots=True)
class Affine(Linear):
    """x * scale + offset, per channel: a batch norm that is no part of a kernel.

    in_order: whether whoever computes it rounds product and sum as they are written; fused kernels do not.
    """

    scale: str
    offset: str
    in_order: bool = True

    @property
    def parameters(self) -> tuple[str, ...]:
        return (self.scale, self.offset)

    def shape(self, parameters: Mapping[str, Shape], *given: Shape) -> Shape:
        return _broadcast(_broadcast(given[0], parameters[self.scale]), parameters[self.offset])

    def on(self, values: Mapping[str, Numbers], *given: Numbers) -> Numbers:
        return np.asarray(given[0] * values[self.scale] + values[self.offset])

    def grid(self, weights: Weights, *given: Grid) -> Grid:
        (x,), scale = given, weights.values(self.scale)
        if not x.reproducible:
            return UNKNOWN
        step, offset = weights.step(self.scale), grid_of(weights.values(self.offset))
        bound = x.bound * float(np.abs(scale).max(initial=0.0)) + offset.bound
        if step is not None and x.step is not None and offset.step is not None:
            finest = min(step * x.step, offset.step)
            if bound < EXACT_STEPS * finest:
                return Grid(finest, bound, True)
        return Grid(None, bound, True) if self.in_order else UNKNOWN


def _broadcast(x: Shape, parameter: Shape) -> Shape:
    if np.broadcast_shapes(x, parameter) != x:
        raise ValueError(f"a parameter of shape {parameter} does not fit {x}")
    return x
