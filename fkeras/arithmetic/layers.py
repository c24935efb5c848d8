"""What the layers of a fixed-point network compute, in whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
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


Layer = WeightedSum | MaxPool


def output_shape(layer: Layer, shape: Shape) -> Shape:
    """(height, width, channels) of what a layer makes of an input; InputError where it fits none."""
    height, width = (
        (length + sum(pads) - reach) // stride + 1
        for length, pads, reach, stride in zip(shape, layer.pads, layer.reach, layer.strides, strict=False)
    )
    if min(height, width) < 1:
        raise InputError(f"a window of {layer.reach} does not fit into an image of {shape[:2]} with pads {layer.pads}")
    return height, width, layer.channels(shape[2])


def largest_sum(kernel: NDArray[Any], bound: float) -> float:
    """The largest size of a weighted sum of levels of at most `bound`."""
    n_outputs = kernel.shape[-1]
    return float(np.abs(kernel).reshape(-1, n_outputs).sum(0, dtype=np.float64).max()) * bound
