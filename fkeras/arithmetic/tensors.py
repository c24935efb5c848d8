"""Where the levels of one sample lie in a pass's memory, and as which numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.layers import Layer, MaxPool, Merge, Pair, Shape, WeightedSum, output_shape
from fkeras.arithmetic.tiles import BYTES, FLOATS, HAS_DOT_PRODUCTS, WORDS
from fkeras.errors import InputError

LINE = 64
"""Bytes of a cache line; tensors and weights begin with one."""
TYPES = (np.dtype(np.uint8), np.dtype(np.int16), np.dtype(np.float32))


@dataclass(frozen=True, slots=True)
class Tensor:
    """Levels in an image with margins of zeros.

    shape: (height, width, channels); low, high: the least and the largest level; form: how they are stored; before,
    after: margins (vertical, horizontal); at: where it begins in a sample's bytes.
    """

    shape: Shape
    low: float
    high: float
    form: int
    before: Pair
    after: Pair
    at: int

    @property
    def zero(self) -> int:
        """What level 0 is stored as."""
        return max(0, -int(self.low)) if self.form == BYTES else 0

    @property
    def bound(self) -> float:
        """The largest size of a level."""
        return max(abs(self.low), abs(self.high))

    @property
    def item(self) -> int:
        """Bytes of a level."""
        return TYPES[self.form].itemsize

    @property
    def image(self) -> Shape:
        """The shape with margins."""
        height, width, channels = self.shape
        return height + self.before[0] + self.after[0], width + self.before[1] + self.after[1], channels

    @property
    def pitch(self) -> int:
        """Levels from one row to the next."""
        return self.image[1] * self.shape[2]

    @property
    def size(self) -> int:
        """Bytes with margins."""
        return prod(self.image) * self.item

    def pixels(self, rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.int64]:
        """Where in a sample's bytes pixels begin."""
        levels = (rows + self.before[0]) * self.pitch + (columns + self.before[1]) * self.shape[2]
        pixels: NDArray[np.int64] = self.at + levels * self.item
        return pixels

    def begins(self, rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.int64]:
        """The same of all pixels of these rows and columns, flat, row by row."""
        return self.pixels(rows[:, None], columns).ravel()

    def stored(self, levels: NDArray[Any]) -> NDArray[np.uint8]:
        """(n, size) bytes of levels (n, height, width, channels)."""
        images = np.full((len(levels), *self.image), self.zero, TYPES[self.form])
        (top, left), (height, width, _) = self.before, self.shape
        wide = np.float32 if levels.dtype.kind == "f" else np.int64
        images[:, top : top + height, left : left + width] = np.add(levels, self.zero, dtype=wide, casting="unsafe")
        return images.reshape(len(levels), -1).view(np.uint8)

    def levels(self, arenas: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, height, width, channels) levels, from the bytes of samples with all their tensors."""
        (top, left), (height, width, _) = self.before, self.shape
        images = np.ascontiguousarray(arenas[:, self.at : self.at + self.size]).view(TYPES[self.form])
        inner = images.reshape(len(arenas), *self.image)[:, top : top + height, left : left + width]
        return np.asarray(inner, np.float32) - np.float32(self.zero)


def form_of_levels(low: float, high: float, whole: bool) -> int:
    """The smallest form for levels from `low` to `high`."""
    if whole and HAS_DOT_PRODUCTS and high - min(low, 0) <= 255:
        return BYTES
    return WORDS if whole and _are_words(low, high) else FLOATS


def form_of_weights(low: int, high: int) -> int:
    """The smallest form whose weights go from `low` to `high`."""
    if low >= -128 and high <= 127:
        return BYTES
    return WORDS if _are_words(low, high) else FLOATS


def _are_words(low: float, high: float) -> bool:
    return low >= -(2**15) and high < 2**15


def placed(
    shape: Shape, low: float, high: float, layers: Sequence[Layer], sources: Sequence[Sequence[int]]
) -> tuple[Tensor, ...]:
    """The input and what each layer makes of those that it reads, one behind the other; the last one is float32.
    InputError where they do not fit together."""
    shapes, ranges = [shape], [(low, high, True)]
    for number, (layer, reads) in enumerate(zip(layers, sources, strict=True)):
        if not all(0 <= source <= number for source in reads):
            raise InputError(f"layer {number} reads tensors {reads}; before it there are 0 to {number}")
        if not isinstance(layer, MaxPool) and not all(ranges[source][2] for source in reads):
            raise InputError(f"layer {number} reads levels that are not rounded; its sums would not be exact")
        shapes.append(output_shape(layer, *(shapes[source] for source in reads)))
        ranges.append(ranges[reads[0]] if isinstance(layer, MaxPool) else (layer.low, layer.high, layer.rounds))
    forms = [form_of_levels(*levels) for levels in ranges[:-1]] + [FLOATS]
    pads = np.zeros((len(shapes), 4), np.int64)
    before = None
    while (forms, pads.tolist()) != before:  # until whoever must agree does
        before = forms.copy(), pads.tolist()
        for number, (layer, reads) in enumerate(zip(layers, sources, strict=True), 1):
            same = [*reads, number] if isinstance(layer, MaxPool) else reads  # a pool hands on what is stored
            least = BYTES if isinstance(layer, MaxPool) else form_of_weights(*_words(layer))
            form = max(least, *(forms[tensor] for tensor in same))
            around = pads[list(reads)].max(0)
            if isinstance(layer, WeightedSum):
                around = np.maximum(around, np.ravel(layer.pads))
            for tensor in same:
                forms[tensor] = form
            pads[list(reads)] = around
    tensors: list[Tensor] = []
    at = 0
    for shape, (low, high, _), form, (above, below, left, right) in zip(
        shapes, ranges, forms, pads.tolist(), strict=True
    ):
        tensors.append(Tensor(shape, low, high, form, (above, left), (below, right), at))
        at += -(-tensors[-1].size // LINE) * LINE
    return tuple(tensors)


def _words(layer: WeightedSum | Merge) -> Pair:
    return layer.words if isinstance(layer, WeightedSum) else (min(layer.weights), max(layer.weights))
