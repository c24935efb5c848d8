"""One wrong level of one tensor at a time: what it changes is followed element by element, and no further than there is
anything.

A level that is off adds its difference times its slices of the next layer's kernel to the sums that read it; of these,
levels that come out as without a fault end there. Most flips of low bits die in the next quantizer, and most of those
before a pool in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.changes import Longs, level_of
from fkeras.arithmetic.forward import Forward
from fkeras.arithmetic.layers import MaxPool, Merge
from fkeras.arithmetic.passes import Bytes, Floats, next_of, share_out
from fkeras.compiled import compiled
from fkeras.errors import InputError

_SIZES = "given made height width channels height_out width_out channels_out rows columns down across above left"
_STEP = np.dtype(
    [
        *((name, np.int64) for name in (*_SIZES.split(), "apart_down", "apart_across", "inputs", "kernel", "offsets")),
        *((name, np.float32) for name in ("scale", "low", "high")),
        *((name, np.bool_) for name in ("is_sum", "rounds")),
    ],
    align=True,
)
"""A layer: where what it reads and what it makes begin among all levels of a sample, and its geometry."""


class Layers(NamedTuple):
    """Layers in a row: kernels (rows, columns, inputs, outputs) and offsets one after the other; n_levels: of all
    tensors of a sample; n_most: of the largest."""

    steps: NDArray[Any]
    kernels: Floats
    offsets: Floats
    n_levels: int
    n_most: int


class Word(NamedTuple):
    """In what words levels are held: all bits, and the sign's, 0 for none."""

    every: int
    sign: int


@compiled
def flipped(level: np.float32, mask: int, word: Word) -> np.float32:  # pragma: no cover - compiled
    """The level whose word differs in the bits of a mask."""
    held = (np.int64(level) & word.every) ^ mask
    return np.float32(held - 2 * (held & word.sign))


@compiled
def reading(offset: int, stride: int, apart: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """The first part of a window that may read what lies so far from the first window's begin, and how far it is to the
    next one: only every `stride`th does."""
    return (offset % stride, stride) if apart == 1 else (0, 1)


@compiled
def output_of(offset: int, stride: int) -> int:  # pragma: no cover - compiled
    """Which window begins so far from the first one, -1 for none."""
    if stride == 1 or offset < 0:
        return offset
    return offset // stride if offset % stride == 0 else -1


@compiled
def add_to_sums(
    step: Any, kernels: Floats, place: int, level: np.float32, sums: Floats, is_touched: NDArray[np.bool_],
    touched: Longs, n_touched: int
) -> int:  # pragma: no cover - compiled  # fmt: skip
    """Add what one level of a layer's input contributes to the sums; the outputs that it reaches are listed, and how
    many there are then."""
    channel = place % step.channels
    x = place // step.channels % step.width
    y = place // step.channels // step.width
    group = channel // step.inputs
    outputs = step.channels_out // (step.channels // step.inputs)
    first_row, next_row = reading(y + step.above, step.down, step.apart_down)
    first_column, next_column = reading(x + step.left, step.across, step.apart_across)
    for row in range(first_row, step.rows, next_row):
        down = output_of(y + step.above - row * step.apart_down, step.down)
        if down < 0 or down >= step.height_out:
            continue
        for column in range(first_column, step.columns, next_column):
            across = output_of(x + step.left - column * step.apart_across, step.across)
            if across < 0 or across >= step.width_out:
                continue
            output = down * step.width_out + across
            if not is_touched[output]:
                is_touched[output] = True
                touched[n_touched] = output
                n_touched += 1
            begin = (row * step.columns + column) * step.inputs + channel % step.inputs
            begin = step.kernel + begin * step.channels_out + group * outputs
            factors = kernels[begin : begin + outputs]
            begin = step.made + output * step.channels_out + group * outputs
            totals = sums[begin : begin + outputs]
            for number in range(outputs):
                totals[number] += level * factors[number]
    return n_touched


@compiled
def largest_of(step: Any, output: int, values: Floats) -> np.float32:  # pragma: no cover - compiled
    """What a pool makes of its window of levels."""
    channel = output % step.channels
    x = output // step.channels % step.width_out
    y = output // step.channels // step.width_out
    largest = np.float32(-np.inf)
    for row in range(max(0, y * step.down - step.above), min(step.height, y * step.down - step.above + step.rows)):
        begin = max(0, x * step.across - step.left)
        for column in range(begin, min(step.width, x * step.across - step.left + step.columns)):
            largest = max(largest, values[step.given + (row * step.width + column) * step.channels + channel])
    return largest


@compiled
def run_golden(layers: Layers, golden: Floats, sums: Floats, is_touched: NDArray[np.bool_], touched: Longs) -> None:
    # pragma: no cover - compiled
    """All levels and sums of a sample without a fault, of which the first tensor's levels are there."""
    sums[:] = 0
    for number in range(layers.steps.size):
        step = layers.steps[number]
        n_made = step.height_out * step.width_out * step.channels_out
        if not step.is_sum:
            for output in range(n_made):
                golden[step.made + output] = largest_of(step, output, golden)
            continue
        n_touched = 0
        for place in range(step.height * step.width * step.channels):
            level = golden[step.given + place]
            if level != 0:
                n_touched = add_to_sums(step, layers.kernels, place, level, sums, is_touched, touched, n_touched)
        for nth in range(n_touched):
            is_touched[touched[nth]] = False
        for output in range(n_made):
            offset = layers.offsets[step.offsets + output % step.channels_out]
            golden[step.made + output] = level_of(sums[step.made + output], step, offset)


@compiled
def follow_sum(
    layers: Layers, step: Any, golden: Floats, now: Floats, sums: Floats, change: Floats,
    is_touched: NDArray[np.bool_], touched: Longs, changed: Longs, n_changed: int, changes: Longs
) -> int:  # pragma: no cover - compiled  # fmt: skip
    """The outputs of a weighted sum that change with some of its inputs; their number."""
    n_touched, count = 0, 0
    for nth in range(n_changed):
        place = changed[nth]
        off = now[step.given + place] - golden[step.given + place]
        n_touched = add_to_sums(step, layers.kernels, place, off, change, is_touched, touched, n_touched)
    for nth in range(n_touched):
        is_touched[touched[nth]] = False
        first = touched[nth] * step.channels_out
        for channel in range(step.channels_out):
            at = step.made + first + channel
            if change[at] != 0:
                level = level_of(sums[at] + change[at], step, layers.offsets[step.offsets + channel])
                change[at] = 0
                if level != golden[at]:
                    now[at] = level
                    changes[count] = first + channel
                    count += 1
    return count


@compiled
def follow_pool(
    step: Any, golden: Floats, now: Floats, is_touched: NDArray[np.bool_], touched: Longs, changed: Longs,
    n_changed: int, changes: Longs
) -> int:  # pragma: no cover - compiled  # fmt: skip
    """The same of a pool."""
    n_touched, count = 0, 0
    for nth in range(n_changed):
        channel = changed[nth] % step.channels
        x = changed[nth] // step.channels % step.width + step.left
        y = changed[nth] // step.channels // step.width + step.above
        for row in range(max(0, (y - step.rows) // step.down + 1), min(step.height_out, y // step.down + 1)):
            begin = max(0, (x - step.columns) // step.across + 1)
            for column in range(begin, min(step.width_out, x // step.across + 1)):
                output = (row * step.width_out + column) * step.channels_out + channel
                if not is_touched[output]:
                    is_touched[output] = True
                    touched[n_touched] = output
                    n_touched += 1
    for nth in range(n_touched):
        output = touched[nth]
        is_touched[output] = False
        level = largest_of(step, output, now)
        if level != golden[step.made + output]:
            now[step.made + output] = level
            changes[count] = output
            count += 1
    return count


@compiled
def run_cells(
    levels: Floats, layers: Layers, word: Word, places: Longs, masks: Longs, end: int, same_as: NDArray[np.int32],
    ends: Floats, turn: Longs
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """What each flip makes of each sample: same_as (n, k) and ends (n, k, floats), as of `Changes`.

    levels (n, size): of the tensor without a fault; end: where the last tensor begins; turn: shared by all threads.
    """
    golden, now = np.empty(layers.n_levels, np.float32), np.empty(layers.n_levels, np.float32)
    sums, change = np.empty(layers.n_levels, np.float32), np.zeros(layers.n_levels, np.float32)
    is_touched, touched = np.zeros(layers.n_most, np.bool_), np.empty(layers.n_most, np.int64)
    changed, changes = np.empty(layers.n_most, np.int64), np.empty(layers.n_most, np.int64)
    while True:
        sample = next_of(turn)
        if sample >= levels.shape[0]:
            break
        golden[: levels.shape[1]] = levels[sample]
        run_golden(layers, golden, sums, is_touched, touched)
        now[:] = golden
        for fault in range(places.size):
            changed[0], n_changed, given = places[fault], 1, 0
            now[places[fault]] = flipped(golden[places[fault]], masks[fault], word)
            for number in range(layers.steps.size):
                step = layers.steps[number]
                if step.is_sum:
                    count = follow_sum(
                        layers, step, golden, now, sums, change, is_touched, touched, changed, n_changed, changes
                    )
                else:
                    count = follow_pool(step, golden, now, is_touched, touched, changed, n_changed, changes)
                for nth in range(n_changed):
                    now[step.given + changed[nth]] = golden[step.given + changed[nth]]
                changed, changes, n_changed, given = changes, changed, count, step.made
                if not count:
                    break
            same_as[sample, fault] = fault if n_changed else -1
            if n_changed:
                ends[sample, fault] = now[end : end + ends.shape[2]]
            for nth in range(n_changed):
                now[given + changed[nth]] = golden[given + changed[nth]]


@dataclass(frozen=True, eq=False)
class Cells:
    """The levels of one tensor of a pass, one of them wrong at a time; InputError where layers are not in a row.

    tensor: its number, 0 for the pass's input; width, signed: of the words in which its levels are held.
    """

    forward: Forward
    tensor: int
    width: int
    signed: bool

    def __post_init__(self) -> None:
        if self.forward.sources is not None or any(isinstance(layer, Merge) for layer in self.forward.layers):
            raise InputError("only layers in a row are followed; these read others as well")

    def __call__(self, arenas: Bytes, places: Longs, masks: Longs) -> tuple[NDArray[np.int32], Floats]:
        """What flips of bits make of samples, as `Changes` says it.

        arenas: what `Forward.arenas` gives; places: of the flat tensor; masks: which bits of its word flip.
        """
        last = self.forward.tensors[-1]
        levels = self.forward.tensors[self.tensor].levels(arenas)
        same_as = np.empty((len(arenas), places.size), np.int32)
        ends = np.empty((*same_as.shape, prod(last.shape)), np.float32)
        word = Word((1 << self.width) - 1, 1 << (self.width - 1) if self.signed else 0)
        given = levels.reshape(len(levels), -1), self._layers, word, places, masks
        end = self._layers.n_levels - prod(last.shape)
        share_out(run_cells, *given, end, same_as, ends, cost=len(arenas) * (self.forward.cost + 1000 * places.size))
        return same_as, ends.reshape(*same_as.shape, *last.shape)

    @cached_property
    def _layers(self) -> Layers:
        tensors, layers = self.forward.tensors[self.tensor :], self.forward.layers[self.tensor :]
        sizes = [prod(tensor.shape) for tensor in tensors]
        begins = np.cumsum([0, *sizes])
        steps = np.zeros(len(layers), _STEP)
        kernels, offsets = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)]
        for number, (step, layer) in enumerate(zip(steps, layers, strict=True)):
            assert not isinstance(layer, Merge)
            step["given"], step["made"] = begins[number], begins[number + 1]
            step["height"], step["width"], step["channels"] = tensors[number].shape
            step["height_out"], step["width_out"], step["channels_out"] = tensors[number + 1].shape
            (step["down"], step["across"]), (step["above"], _), (step["left"], _) = layer.strides, *layer.pads
            if isinstance(layer, MaxPool):
                step["rows"], step["columns"] = layer.size
                continue
            step["rows"], step["columns"], step["inputs"], _ = layer.kernel.shape
            step["apart_down"], step["apart_across"] = layer.dilation
            step["kernel"], step["offsets"] = sum(map(np.size, kernels)), sum(map(np.size, offsets))
            step["scale"], step["low"], step["high"] = layer.scale, layer.low, layer.high
            step["is_sum"], step["rounds"] = True, layer.rounds
            kernels.append(layer.kernel.astype(np.float32).reshape(-1))
            offsets.append(layer.offsets)
        return Layers(steps, np.concatenate(kernels), np.concatenate(offsets), int(begins[-1]), max(sizes))
