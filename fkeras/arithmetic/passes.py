"""A pass through all layers, compiled: every core takes a few samples at a time, so that they stay in its cache."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from fkeras.arithmetic.misreads import Reads, misread_levels, misread_sums
from fkeras.arithmetic.program import SUMS, Kernels, Program
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

WORTH_A_THREAD = 2**20
"""Instructions that take about as long as to start a thread."""


class Sums(NamedTuple):
    """Sums to which those of a layer are added, and where each of its outputs' begin; both empty: none."""

    values: Floats
    begins: NDArray[np.int64]


@compiled
def add_up(
    step: Any, program: Program, kernels: Kernels, arena: Bytes, n: int, ground: Sums
) -> None:  # pragma: no cover - compiled
    """The weighted sums of one layer of a program, quantized, for n samples in the arena, on top of the same ground."""
    blocks, places, taps, size = program.blocks, program.places, program.taps, program.blank.size
    ending = Ending(step.scale, step.low, step.high, step.rounds, step.into, step.zero)
    inputs, outputs, below = np.empty(OUTPUTS, np.int64), np.empty(OUTPUTS, np.int64), np.zeros(OUTPUTS, np.int64)
    on_ground = ground.begins.size > 0
    weights, starts, offsets = kernels.weights, kernels.starts[step.lane :], kernels.offsets[step.lane :]
    room = np.empty(OUTPUTS * LANES + LINE // 4, np.int32)
    sums = room[-room.ctypes.data % LINE // 4 :]
    place, sample, last = step.place, 0, n * (step.stop_place - step.place)
    for first in range(0, last, OUTPUTS):
        for output in range(OUTPUTS):  # past the end, the last one is computed again
            inputs[output] = sample * size + places[0, place]
            outputs[output] = sample * size + places[1, place]
            if on_ground:
                below[output] = ground.begins[place - step.place]
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
            store_levels(sums, real, offsets, lane, step.lanes, ending, arena, outputs, ground.values, below, on_ground)


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
def run_step(step: Any, program: Program, kernels: Kernels, arena: Bytes, n: int) -> None:  # pragma: no cover
    """One layer of a program, for n samples in the arena."""
    if step.kind == SUMS:
        add_up(step, program, kernels, arena, n, Sums(np.empty(0, np.float32), np.empty(0, np.int64)))
    else:
        pool(step, arena, program.blank.size, n)


@compiled
def run_samples(
    program: Program,
    kernels: Kernels,
    reads: Reads,
    images: NDArray[np.uint8],
    ends: NDArray[np.uint8],
    begin: int,
    n_at_once: int,
    turn: NDArray[np.int64],
) -> None:  # pragma: no cover - compiled
    """Fill ends (n, bytes), what a sample has from byte `begin` on behind a pass, from images (n, bytes), its first
    tensor.

    reads: what is read wrongly on the way; turn: shared by all who work on the same pass, each of whom takes the next
    n_at_once samples until none are left.
    """
    (n, image), result, size = images.shape, ends.shape[1], program.blank.size
    reads_wrongly = reads.every.size + reads.single.size + reads.checks.size > 0
    arena = np.empty(n_at_once * size, np.uint8)
    for sample in range(n_at_once):
        copy(program.blank, 0, arena, sample * size, size)
    while True:
        first = next_of(turn) * n_at_once
        if first >= n:
            break
        count = min(n_at_once, n - first)
        for sample in range(count):
            copy(images, (first + sample) * image, arena, sample * size, image)
        if reads_wrongly:
            misread_levels(reads, 0, first, count, arena, size)
        for number in range(program.steps.size):
            step = program.steps[number]
            run_step(step, program, kernels, arena, count)
            if reads_wrongly:
                misread_sums(reads, 2 * number + 1, first, count, step, program, kernels, arena)
                misread_levels(reads, 2 * number + 2, first, count, arena, size)
        for sample in range(count):
            copy(arena, sample * size + begin, ends, (first + sample) * result, result)


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
