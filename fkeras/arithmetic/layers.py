"""What the layers of a fixed-point network compute, in whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError

Pair = tuple[int, int]
Shape = tuple[int, int, int]
NO_PADS = ((0, 0), (0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class WeightedSum:
    """levels = clip(round(sum of weight x level, x scale, + offset), low, high), in float32 as a network has them.

    kernel: (rows, columns, input channels, output channels), whole numbers; with the input channels of one group where
    channels are in groups: (rows, columns, 1, output channels) is depthwise. A dense layer is a window as large as the
    input. words: the least and the largest number that a word of the kernel may stand for, faults included.
    offsets: (output channels,); scale: a power of two; low, high: where levels saturate; rounds: to whole ones, half to
    even; strides, dilation: (vertical, horizontal); pads: zeros ((above, below), (left, right)).
    """

    kernel: NDArray[np.integer[Any]]
    words: Pair
    offsets: NDArray[np.float32]
    scale: float
    low: float
    high: float
    rounds: bool = True
    strides: Pair = (1, 1)
    pads: tuple[Pair, Pair] = NO_PADS
    dilation: Pair = (1, 1)

    def __post_init__(self) -> None:
        kernel, offsets = np.asarray(self.kernel), np.asarray(self.offsets, np.float32)
        if kernel.ndim != 4 or offsets.shape != kernel.shape[3:]:
            raise InputError(f"a kernel of shape {kernel.shape} and offsets of shape {offsets.shape} make no layer")
        object.__setattr__(self, "kernel", kernel.astype(np.int64))
        object.__setattr__(self, "offsets", offsets)
        if frexp(self.scale)[0] != 0.5:
            raise InputError(f"scale={self.scale} is no power of two")
        if self.rounds and any(isfinite(end) and end != round(end) for end in (self.low, self.high)):
            raise InputError(f"levels that are rounded do not end at {self.low} and {self.high}")

    @property
    def reach(self) -> Pair:
        """Height and width of a window."""
        rows, columns = self.kernel.shape[:2]
        return (rows - 1) * self.dilation[0] + 1, (columns - 1) * self.dilation[1] + 1

    def channels(self, n_inputs: int) -> int:
        """Output channels; InputError unless the kernel fits so many input channels."""
        *_, inputs, outputs = self.kernel.shape
        if n_inputs % inputs or outputs % (n_inputs // inputs):
            raise InputError(f"a kernel of shape {self.kernel.shape} does not fit an input of {n_inputs} channels")
        return int(outputs)


@dataclass(frozen=True, slots=True)
class MaxPool:
    """The largest level of each channel in a window.

    size, strides: (vertical, horizontal); pads: places ((above, below), (left, right)) that count for nothing.
    """

    size: Pair
    strides: Pair
    pads: tuple[Pair, Pair] = NO_PADS

    @property
    def reach(self) -> Pair:
        """Height and width of a window."""
        return self.size

    def channels(self, n_inputs: int) -> int:
        """Output channels: those of the input."""
        return n_inputs


@dataclass(frozen=True, slots=True)
class Merge:
    """The sum of several tensors of one shape, each times a whole number: levels as of a `WeightedSum`.

    weights: of each tensor, which bring them to one grid; scale, low, high, rounds: as of a `WeightedSum`.
    """

    weights: tuple[int, ...]
    scale: float
    low: float
    high: float
    rounds: bool = True

    def on(self, n_channels: int) -> WeightedSum:
        """The same as a sum over windows whose rows lie in different tensors."""
        kernel = np.repeat(np.array(self.weights, np.int32), n_channels).reshape(-1, 1, 1, n_channels)
        words = min(self.weights), max(self.weights)
        offsets = np.zeros(n_channels, np.float32)
        return WeightedSum(kernel, words, offsets, self.scale, self.low, self.high, self.rounds)


Layer = WeightedSum | MaxPool | Merge


def output_shape(layer: Layer, *shapes: Shape) -> Shape:
    """(height, width, channels) of what a layer makes of its inputs; InputError where it does not fit them."""
    if len(shapes) != (len(layer.weights) if isinstance(layer, Merge) else 1):
        raise InputError(f"a {type(layer).__name__} reads {len(shapes)} tensors, which is not what it takes")
    shape = shapes[0]
    if isinstance(layer, Merge):
        if len(set(shapes)) != 1:
            raise InputError(f"tensors of shapes {', '.join(map(str, shapes))} do not merge")
        return shape
    height, width = (
        (length + sum(pads) - reach) // stride + 1
        for length, pads, reach, stride in zip(shape, layer.pads, layer.reach, layer.strides, strict=False)
    )
    if min(height, width) < 1:
        raise InputError(f"a window of {layer.reach} does not fit into an image of {shape[:2]} with pads {layer.pads}")
    return height, width, layer.channels(shape[2])


def largest_sum(kernel: NDArray[Any], bounds: NDArray[np.float64]) -> float:
    """The largest size of a weighted sum; bounds: of the levels that each row of the kernel reads."""
    rows = np.abs(kernel).reshape(len(kernel), -1, kernel.shape[-1]).sum(1, dtype=np.float64)
    return float((bounds @ rows).max())
