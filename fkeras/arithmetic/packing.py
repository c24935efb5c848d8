"""How the weights of one layer are laid out for the tiles: which inputs a step reads, and which weight each lane takes.

A layer's output channels are lanes. Where channels are few, neighbouring outputs of a row become lanes as well: their
windows overlap, and what one of them does not read has the weight zero. What a window needs is cut into steps of
neighbouring inputs that fill 32 bits; so dense layers, convolutions with any stride and dilation and, where each block
of lanes has steps of its own, grouped and depthwise ones are all the same to the tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.tiles import LANES

Ints = NDArray[np.int64]

MOST_LANES = 2 * LANES
"""Lanes that neighbouring outputs may fill."""
ENDING_COST = 8
"""Steps that it takes to quantize and store a vector of sums."""


@dataclass(frozen=True)
class Window:
    """What the outputs of a layer read. kernel: (rows, columns, input channels of a group, output channels); rows:
    where each row begins, in levels; column: from one column to the next, in pixels; stride: from one output of a row
    to the next, in pixels; pixel: channels of the input; width: outputs in a row."""

    kernel: tuple[int, int, int, int]
    rows: tuple[int, ...]
    column: int
    stride: int
    pixel: int
    width: int

    @cached_property
    def reads(self) -> Ints:
        """Where every element of the kernel finds its input, from the window's first one on."""
        _, columns, inputs, outputs = self.kernel
        groups = self.pixel // inputs
        y = np.array(self.rows)[:, None, None, None]
        x, i = (axis[..., None] for axis in np.ogrid[:columns, :inputs])
        group = np.arange(outputs) // (outputs // groups)
        reads: Ints = y + x * self.column * self.pixel + group * inputs + i
        return reads


@dataclass(frozen=True)
class Block:
    """Lanes that take the same steps. lane: the first of them; taps (steps,):
    where each step's inputs begin; elements (steps, lanes, inputs of a step): the weights, by their number in the
    kernel, or one past the last for zero."""

    lane: int
    taps: Ints
    elements: Ints


@dataclass(frozen=True)
class Layout:
    """neighbours: outputs of a row that are computed as one; blocks: their lanes."""

    neighbours: int
    blocks: tuple[Block, ...]

    @cached_property
    def elements(self) -> Ints:
        """Of all blocks, flat."""
        return np.concatenate([block.elements.ravel() for block in self.blocks])

    @property
    def n_lanes(self) -> int:
        """Lanes, those that nobody reads included."""
        return len(self.blocks) * LANES

    @property
    def cost(self) -> float:
        """Instructions an output."""
        return sum(ENDING_COST + block.taps.size for block in self.blocks) / self.neighbours


def layout_of(window: Window, inputs_of_step: int) -> Layout:
    """The cheapest layout."""
    most = min(window.width, max(1, MOST_LANES // window.kernel[3]))
    return min((_layout(window, count, inputs_of_step) for count in range(1, most + 1)), key=lambda layout: layout.cost)


def _layout(window: Window, neighbours: int, inputs_of_step: int) -> Layout:
    channels = window.kernel[3]
    step = window.stride * window.pixel
    reads = np.concatenate([window.reads.reshape(-1, channels) + n * step for n in range(neighbours)], 1)
    elements = np.tile(np.arange(reads.shape[0] * channels).reshape(-1, channels), neighbours)
    blocks = []
    for lane in range(0, reads.shape[1], LANES):
        lanes = slice(lane, lane + LANES)
        blocks.append(_block(lane, reads[:, lanes], elements[:, lanes], inputs_of_step, window.reads.size))
    return Layout(neighbours, tuple(blocks))


def _block(lane: int, reads: Ints, elements: Ints, inputs_of_step: int, zero: int) -> Block:
    needed, place = np.unique(reads, return_inverse=True)
    begins = np.diff(needed, prepend=needed[0] - 2) != 1
    run = np.maximum.accumulate(np.where(begins, np.arange(needed.size), 0))
    within = np.arange(needed.size) - run
    begins |= within % inputs_of_step == 0
    step = np.cumsum(begins) - 1
    taps = needed[begins]
    number = np.full((taps.size, LANES, inputs_of_step), zero)
    place = place.reshape(reads.shape)
    columns = np.broadcast_to(np.arange(reads.shape[1]), reads.shape)
    number[step[place], columns, (within % inputs_of_step)[place]] = elements
    return Block(lane, taps, number)
