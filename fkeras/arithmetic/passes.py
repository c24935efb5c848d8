"""A pass through all layers, compiled: every core takes a few samples at a time, so that they stay in its cache."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.tiles import (
    BYTES,
    OUTPUTS,
    WORDS,
    Ending,
    bytes_pair,
    bytes_tile,
    floats_pair,
    floats_tile,
    words_pair,
    words_tile,
)

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

STEP = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("kind", "form", "into", "zero", "lane", "lanes", "place", "stop_place", "block", "stop_block"),
            *("source", "target", "height", "width", "height_out", "width_out", "pitch", "pitch_out"),
            *("rows", "columns", "down", "across", "above", "left"),
        )
    ]
    + [(name, np.float32) for name in ("scale", "low", "high")]
    + [("rounds", np.bool_)]
)
"""One layer: weighted sums or a pool; how its input and output are stored; its lanes, outputs and blocks of lanes; a
pool's images and window."""
BLOCK = np.dtype([(name, np.int64) for name in ("tap", "stop_tap", "weights", "lane", "vectors")])
"""Lanes that read the same inputs: what they read, where their weights begin, the first of them, vectors of them."""
SUMS, MAXIMUM = 0, 1
LINE = 64
"""Bytes of a cache line; tensors and weights begin with one."""


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def add_up(
    step: Any,
    blocks: NDArray[Any],
    places: NDArray[np.int64],
    taps: Ints,
    weights: Bytes,
    starts: Ints,
    offsets: Floats,
    arena: Bytes,
    size: int,
    n: int,
) -> None:  # pragma: no cover - compiled
    """The weighted sums of one layer, quantized, for n samples of `size` bytes each in the arena."""
    ending = Ending(step.scale, step.low, step.high, step.rounds, step.into, step.zero)
    inputs, outputs = np.empty(OUTPUTS, np.int64), np.empty(OUTPUTS, np.int64)
    starts, offsets = starts[step.lane :], offsets[step.lane :]
    place, sample, last = step.place, 0, n * (step.stop_place - step.place)
    for first in range(0, last, OUTPUTS):
        for output in range(OUTPUTS):  # past the end, the last one is computed again
            inputs[output] = sample * size + places[0, place]
            outputs[output] = sample * size + places[1, place]
            if first + output + 1 < last:
                place += 1
                if place == step.stop_place:
                    place, sample = step.place, sample + 1
        for number in range(step.block, step.stop_block):
            block = blocks[number]
            tap, stop, at, lane, lanes = block.tap, block.stop_tap, block.weights, block.lane, step.lanes
            if step.form == BYTES:
                if block.vectors == 2:
                    bytes_pair(
                        arena, inputs, taps, tap, stop, weights, at, starts, offsets, lane, lanes, ending, outputs
                    )
                else:
                    bytes_tile(
                        arena, inputs, taps, tap, stop, weights, at, starts, offsets, lane, lanes, ending, outputs
                    )
            elif step.form == WORDS:
                if block.vectors == 2:
                    words_pair(
                        arena, inputs, taps, tap, stop, weights, at, starts, offsets, lane, lanes, ending, outputs
                    )
                else:
                    words_tile(
                        arena, inputs, taps, tap, stop, weights, at, starts, offsets, lane, lanes, ending, outputs
                    )
            elif block.vectors == 2:
                floats_pair(arena, inputs, taps, tap, stop, weights, at, starts, offsets, lane, lanes, ending, outputs)
            else:
                floats_tile(arena, inputs, taps, tap, stop, weights, at, starts, offsets, lane, lanes, ending, outputs)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def take_largest(step: Any, source: NDArray[Any], target: NDArray[Any]) -> None:  # pragma: no cover - compiled
    """The largest levels of a pool's windows, for one sample; source, target: from the first pixel on."""
    n_channels = step.lanes
    for row in range(step.height_out):
        top = row * step.down - step.above
        for column in range(step.width_out):
            left = column * step.across - step.left
            at = row * step.pitch_out + column * n_channels
            largest = target[at : at + n_channels]
            fresh = True
            for y in range(max(top, 0), min(top + step.rows, step.height)):
                for x in range(max(left, 0), min(left + step.columns, step.width)):
                    begin = y * step.pitch + x * n_channels
                    levels = source[begin : begin + n_channels]
                    for channel in range(n_channels):
                        level = levels[channel]
                        largest[channel] = level if fresh else max(level, largest[channel])
                    fresh = False


@numba.njit(parallel=True, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def run_pass(
    steps: NDArray[Any],
    blocks: NDArray[Any],
    places: NDArray[np.int64],
    taps: Ints,
    blank: Bytes,
    weights: Bytes,
    starts: Ints,
    offsets: Floats,
    images: Bytes,
    ends: Bytes,
    n_at_once: int,
    n_chunks: int,
) -> None:  # pragma: no cover - compiled
    """Fill ends (n, bytes of the last tensor) from images (n, bytes of the first).

    blank: the bytes of a sample before a pass, all levels zero; n_at_once: samples that a core takes at a time.
    """
    n, size = images.shape[0], blank.size
    end = size - (ends.shape[1] + LINE - 1) // LINE * LINE
    for chunk in numba.prange(n_chunks):
        arena = np.empty(n_at_once * size, np.uint8)
        for sample in range(n_at_once):
            arena[sample * size : (sample + 1) * size] = blank
        stop = (chunk + 1) * n // n_chunks
        for begin in range(chunk * n // n_chunks, stop, n_at_once):
            count = min(n_at_once, stop - begin)
            for sample in range(count):
                arena[sample * size : sample * size + images.shape[1]] = images[begin + sample]
            for number in range(steps.size):
                step = steps[number]
                if step.kind == SUMS:
                    add_up(step, blocks, places, taps, weights, starts, offsets, arena, size, count)
                    continue
                for sample in range(count):
                    source = arena[sample * size + step.source : (sample + 1) * size]
                    target = arena[sample * size + step.target : (sample + 1) * size]
                    if step.form == BYTES:
                        take_largest(step, source, target)
                    elif step.form == WORDS:
                        take_largest(
                            step,
                            source[: source.size // 2 * 2].view(np.int16),
                            target[: target.size // 2 * 2].view(np.int16),
                        )
                    else:
                        take_largest(
                            step,
                            source[: source.size // 4 * 4].view(np.float32),
                            target[: target.size // 4 * 4].view(np.float32),
                        )
            for sample in range(count):
                ends[begin + sample] = arena[sample * size + end : sample * size + end + ends.shape[1]]
