"""A pass through all layers, compiled: every core takes a few samples at a time, so that they stay in its cache."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from fkeras.arithmetic.misreads import Reads, misread_levels, misread_sums
from fkeras.arithmetic.tensors import LINE
from fkeras.arithmetic.tiles import (
    BYTES,
    FLOATS,
    LANES,
    OUTPUTS,
    WORDS,
    Ending,
    bytes_tile,
    floats_tile,
    store_levels,
    words_tile,
)
from fkeras.compiled import compiled

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
BLOCK = np.dtype([(name, np.int64) for name in ("tap", "stop_tap", "weights", "lane")])
"""Lanes that read the same inputs: what they read, where their weights begin, the first of them."""
SUMS, MAXIMUM = 0, 1
WORTH_A_THREAD = 2**20
"""Instructions that take about as long as to start a thread."""


@compiled
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
    ground: Floats,
    grounds: NDArray[np.int64],
) -> None:  # pragma: no cover - compiled
    """The weighted sums of one layer, quantized, for n samples of `size` bytes each in the arena.

    ground: sums to which those of every sample are added, if any; grounds: where in it each output's begin.
    """
    ending = Ending(step.scale, step.low, step.high, step.rounds, step.into, step.zero)
    inputs, outputs, below = np.empty(OUTPUTS, np.int64), np.empty(OUTPUTS, np.int64), np.zeros(OUTPUTS, np.int64)
    on_ground = grounds.size > 0
    starts, offsets = starts[step.lane :], offsets[step.lane :]
    room = np.empty(OUTPUTS * LANES + LINE // 4, np.int32)
    sums = room[-room.ctypes.data % LINE // 4 :]
    place, sample, last = step.place, 0, n * (step.stop_place - step.place)
    for first in range(0, last, OUTPUTS):
        for output in range(OUTPUTS):  # past the end, the last one is computed again
            inputs[output] = sample * size + places[0, place]
            outputs[output] = sample * size + places[1, place]
            if on_ground:
                below[output] = grounds[place - step.place]
            if first + output + 1 < last:
                place += 1
                if place == step.stop_place:
                    place, sample = step.place, sample + 1
        for number in range(step.block, step.stop_block):
            block = blocks[number]
            tap, stop, at, lane = block.tap, block.stop_tap, block.weights, block.lane
            if step.form == BYTES:
                bytes_tile(sums, arena, inputs, taps, tap, stop, weights, at, starts, lane)
            elif step.form == WORDS:
                words_tile(sums, arena, inputs, taps, tap, stop, weights, at, starts, lane)
            else:
                floats_tile(sums, arena, inputs, taps, tap, stop, weights, at, starts, lane)
            real = step.form == FLOATS
            store_levels(sums, real, offsets, lane, step.lanes, ending, arena, outputs, ground, below, on_ground)


@compiled
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


@compiled
def pool(step: Any, arena: Bytes, size: int, n: int) -> None:  # pragma: no cover - compiled
    """A pool of n samples of `size` bytes each in the arena."""
    for sample in range(n):
        source = arena[sample * size + step.source : (sample + 1) * size]
        target = arena[sample * size + step.target : (sample + 1) * size]
        if step.form == BYTES:
            take_largest(step, source, target)
        elif step.form == WORDS:
            take_largest(step, source.view(np.int16), target.view(np.int16))
        else:
            take_largest(step, source.view(np.float32), target.view(np.float32))


@intrinsic  # type: ignore[untyped-decorator]
def copy(typingctx: Any, source: Any, begin: Any, target: Any, at: Any, size: Any) -> Any:
    """target[at : at + size] = source[begin : begin + size] of bytes, which numba does one by one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = [
            builder.gep(context.make_array(signature.args[number])(context, builder, arguments[number]).data, [offset])
            for number, offset in ((2, arguments[3]), (0, arguments[1]))
        ]
        cgutils.raw_memcpy(builder, *places, arguments[4], 1)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def next_of(typingctx: Any, counter: Any) -> Any:
    """counter[0], which goes up by one for whoever asks, on any core."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(counter), generate


@compiled
def run_samples(
    steps: NDArray[Any],
    blocks: NDArray[Any],
    places: NDArray[np.int64],
    taps: Ints,
    blank: Bytes,
    weights: Bytes,
    starts: Ints,
    offsets: Floats,
    reads: Reads,
    images: Bytes,
    ends: Bytes,
    image: int,
    end: int,
    result: int,
    n_at_once: int,
    turn: NDArray[np.int64],
) -> None:  # pragma: no cover - compiled
    """Fill ends (n, result) from images (n, image), flat bytes: what a sample has from byte `end` on behind a pass,
    from its first tensor.

    blank: the bytes of a sample before a pass, all levels zero; reads: what is read wrongly on the way; turn: shared by
    all who work on the same pass, each of whom takes the next n_at_once samples until none are left.
    """
    size, n = blank.size, images.size // image
    nothing, nowhere = np.empty(0, np.float32), np.empty(0, np.int64)
    reads_wrongly = reads.every.size + reads.single.size > 0
    arena = np.empty(n_at_once * size, np.uint8)
    for sample in range(n_at_once):
        copy(blank, 0, arena, sample * size, size)
    while True:
        begin = next_of(turn) * n_at_once
        if begin >= n:
            break
        count = min(n_at_once, n - begin)
        for sample in range(count):
            copy(images, (begin + sample) * image, arena, sample * size, image)
        if reads_wrongly:
            misread_levels(reads, 0, begin, count, arena, size)
        for number in range(steps.size):
            step = steps[number]
            if step.kind == SUMS:
                given = blocks, places, taps, weights, starts, offsets, arena, size, count
                add_up(step, *given, nothing, nowhere)
            else:
                pool(step, arena, size, count)
            if reads_wrongly:
                lanes = blocks, taps, weights, starts, offsets
                misread_sums(reads, 2 * number + 1, begin, count, step, *lanes, arena, size)
                misread_levels(reads, 2 * number + 2, begin, count, arena, size)
        for sample in range(count):
            copy(arena, sample * size + end, ends, (begin + sample) * result, result)


def n_threads() -> int:
    """NUMBA_NUM_THREADS. `numba.get_num_threads()` would launch numba's own threads, after which numba compiles nothing
    more where that variable was set since, as by pytest-xdist's workers."""
    return int(config.NUMBA_NUM_THREADS)


def share_out(work: Callable[..., None], *arguments: Any, cost: float) -> None:
    """Run `work` on as many threads as it is worth, which take turns: a parallel loop of numba's takes three times as
    long to compile, and waits for cores that are busy.

    cost: instructions in all, about.
    """
    turn, n_cores = np.zeros(1, np.int64), max(1, min(n_threads(), int(cost / WORTH_A_THREAD)))
    if n_cores == 1:
        work(*arguments, turn)
        return
    with ThreadPoolExecutor(n_cores - 1) as threads:
        shares = [threads.submit(work, *arguments, turn) for _ in range(n_cores - 1)]
        work(*arguments, turn)
        for share in shares:
            share.result()
