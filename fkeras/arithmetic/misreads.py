"""Words that a pass reads wrongly on its way: levels of its tensors, and sums before they become levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.program import Kernels, Program
from fkeras.arithmetic.tensors import LINE
from fkeras.arithmetic.tiles import BYTES, FLOATS, LANES, OUTPUTS, WORDS, bytes_tile, floats_tile, words_tile
from fkeras.compiled import compiled

Bytes = NDArray[np.uint8]
Longs = NDArray[np.int64]

READ = np.dtype(
    [
        (name, np.int64)
        for name in ("place", "form", "zero", "every", "sign", "flips", "ones", "zeros", "input", "block", "lane")
    ]
)
"""One word: where among a sample's levels its own lies, and how they are stored; all bits and the sign's, 0 for none;
which bits flip and which are stuck; of a sum, where its inputs begin, its block of lanes and its lane."""


CHECK = np.dtype([(name, np.int64) for name in ("place", "form", "begin", "rows", "row", "pitch", "limits")])
"""The levels of a tensor that are read through limits: at which place on the way; how they are stored, where among a
sample's the first one lies, how many rows of how many there are, how far apart; where their limits begin."""


class Reads(NamedTuple):
    """What a pass reads wrongly, in every sample and in single ones besides, by place on its way: 2 t is tensor t, 2 l
    + 1 the sums of layer l.

    begins, single_begins: where the reads of each place begin, and of each place and sample; checks: tensors that are
    read through limits, which are (4, levels) of all: as they are stored, the least and the largest level that is read
    as it is, and what is read of those below and above.
    """

    every: NDArray[Any]
    begins: Longs
    single: NDArray[Any]
    single_begins: Longs
    checks: NDArray[Any]
    limits: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Misread:
    """Words of one tensor, or of the sums of one layer, of which bits flip or are stuck.

    width, signed: of the words; elements: flat places, ascending, wrong in every sample, masks (3, elements) the bits
    that flip, read 1 and read 0; rows, ascending: samples in which the bits row_flips of row_elements flip as well;
    limits (4, words), or (4, 0) for none: the least and the largest level of each word that is read as it is, and what
    is read of those below and above.
    """

    width: int
    signed: bool
    elements: Longs
    masks: Longs
    rows: Longs
    row_elements: Longs
    row_flips: Longs
    limits: Longs

    def table(self, together: bool) -> tuple[Longs, NDArray[Any]]:
        """The elements in which something is wrong, in every sample first, and how they are read, but for where they
        lie; together: those of single samples say all that is wrong there, else what is besides."""
        reads = np.zeros(self.elements.size + self.row_elements.size, READ)
        reads["every"], reads["sign"] = (1 << self.width) - 1, 1 << (self.width - 1) if self.signed else 0
        every, single = np.split(reads, [self.elements.size])
        single["flips"] = self.row_flips
        at = np.searchsorted(self.elements, self.row_elements)
        same = np.append(self.elements, -1)[at] == self.row_elements if together else np.zeros(at.size, np.bool_)
        for name, mask in zip(("flips", "ones", "zeros"), self.masks, strict=True):
            every[name] = mask
            single[name][same] ^= mask[at[same]]
        return np.concatenate([self.elements, self.row_elements]), reads


@compiled
def misread(number: Any, read: Any) -> Any:  # pragma: no cover - compiled
    """What is read in place of a number; what is beyond its word stays."""
    held = number & read.every
    word = ((held ^ read.flips) | read.ones) & ~read.zeros
    return number + (word - 2 * (word & read.sign)) - (held - 2 * (held & read.sign))


@compiled
def change(
    reads: NDArray[Any], first: int, stop: int, levels: NDArray[Any], base: int
) -> None:  # pragma: no cover - compiled
    """Change levels of one sample, which begins at `base`."""
    for number in range(first, stop):
        read = reads[number]
        at = base + read.place
        levels[at] = misread(np.int64(levels[at]) - read.zero, read) + read.zero


@compiled
def read_levels(
    reads: NDArray[Any], first: int, stop: int, arena: Bytes, base: int
) -> None:  # pragma: no cover - compiled
    """The same, however they are stored; base: in bytes."""
    form = reads[first].form if first < stop else BYTES
    if form == BYTES:
        change(reads, first, stop, arena, base)
    elif form == WORDS:
        change(reads, first, stop, arena.view(np.int16), base // 2)
    else:
        change(reads, first, stop, arena.view(np.float32), base // 4)


@compiled
def check(
    levels: NDArray[Any], base: int, which: Any, limits: NDArray[np.int32]
) -> None:  # pragma: no cover - compiled
    """Read the levels of one sample, which begins at `base`, through their limits."""
    for y in range(which.rows):
        begin, first = base + which.begin + y * which.pitch, which.limits + y * which.row
        row = levels[begin : begin + which.row]
        low, high = limits[0, first : first + which.row], limits[1, first : first + which.row]
        below, above = limits[2, first : first + which.row], limits[3, first : first + which.row]
        for x in range(row.size):
            level = np.int32(row[x])
            level = below[x] if level < low[x] else above[x] if level > high[x] else level
            row[x] = level


@compiled
def check_levels(reads: Reads, place: int, count: int, arena: Bytes, size: int) -> None:  # pragma: no cover - compiled
    """Read those of `count` samples of `size` bytes, however they are stored, through the limits of a place."""
    for which in reads.checks:
        if which.place == place:
            for sample in range(count):
                if which.form == BYTES:
                    check(arena, sample * size, which, reads.limits)
                elif which.form == WORDS:
                    check(arena.view(np.int16), sample * size // 2, which, reads.limits)
                else:
                    check(arena.view(np.float32), sample * size // 4, which, reads.limits)


@compiled
def misread_levels(
    reads: Reads, place: int, begin: int, count: int, arena: Bytes, size: int
) -> None:  # pragma: no cover - compiled
    """Change levels of a tensor that are read wrongly, in `count` samples of `size` bytes from number `begin` on."""
    n = (reads.single_begins.size - 1) // (reads.begins.size - 1)
    for sample in range(count):
        at = place * n + begin + sample
        read_levels(reads.single, reads.single_begins[at], reads.single_begins[at + 1], arena, sample * size)
        read_levels(reads.every, reads.begins[place], reads.begins[place + 1], arena, sample * size)
    check_levels(reads, place, count, arena, size)


@compiled
def read_sums(
    reads: NDArray[Any],
    step: Any,
    program: Program,
    kernels: Kernels,
    arena: Bytes,
    base: int,
) -> None:  # pragma: no cover - compiled
    """Make the levels of one sample anew whose sums are read wrongly."""
    inputs = np.empty(OUTPUTS, np.int64)
    room = np.empty(OUTPUTS * LANES + LINE // 4, np.int32)
    sums = room[-room.ctypes.data % LINE // 4 :]
    blocks, taps, weights = program.blocks, program.taps, kernels.weights
    starts, offsets = kernels.starts[step.lane :], kernels.offsets[step.lane :]
    words, floats = arena.view(np.int16), arena.view(np.float32)
    first = 0
    while first < reads.size:
        number, count = reads[first].block, 1
        while count < OUTPUTS and first + count < reads.size and reads[first + count].block == number:
            count += 1
        for output in range(OUTPUTS):  # past the last, it is computed again
            inputs[output] = base + reads[first + min(output, count - 1)].input
        block = blocks[number]  # as in `passes.add_up`: one function for both takes a pass a fifth more time
        tap, stop, at, lane = block.tap, block.stop_tap, block.weights, block.lane
        if step.form == BYTES:
            bytes_tile(sums, arena, inputs, taps, tap, stop, weights, at, starts, lane)
        elif step.form == WORDS:
            words_tile(sums, arena, inputs, taps, tap, stop, weights, at, starts, lane)
        else:
            floats_tile(sums, arena, inputs, taps, tap, stop, weights, at, starts, lane)
        for output in range(count):
            read = reads[first + output]
            place = output * LANES + read.lane - lane
            total = np.int64(sums.view(np.float32)[place]) if step.form == FLOATS else np.int64(sums[place])
            level = np.float32(misread(total, read)) * step.scale + offsets[read.lane]
            if step.rounds:
                level = np.rint(level)
            level = min(max(level, step.low), step.high)
            if step.into == BYTES:
                arena[base + read.place] = np.int64(level) + read.zero
            elif step.into == WORDS:
                words[base // 2 + read.place] = np.int64(level)
            else:
                floats[base // 4 + read.place] = level
        first += count


@compiled
def misread_sums(
    reads: Reads,
    place: int,
    begin: int,
    count: int,
    step: Any,
    program: Program,
    kernels: Kernels,
    arena: Bytes,
) -> None:  # pragma: no cover - compiled
    """Make the levels of a layer anew whose sums are read wrongly, in the same samples."""
    n, size = (reads.single_begins.size - 1) // (reads.begins.size - 1), program.blank.size
    for sample in range(count):
        at = place * n + begin + sample
        every = reads.every[reads.begins[place] : reads.begins[place + 1]]
        read_sums(every, step, program, kernels, arena, sample * size)
        single = reads.single[reads.single_begins[at] : reads.single_begins[at + 1]]
        read_sums(single, step, program, kernels, arena, sample * size)


def reads_of(
    tables: Mapping[int, tuple[NDArray[Any], NDArray[Any], Longs]],
    checks: Sequence[tuple[NDArray[Any], NDArray[np.int32]]],
    n_places: int,
    n: int,
) -> Reads:
    """By place on the way, what is read wrongly in every sample, what in single ones of n, and which these are; checks:
    of tensors that are read through limits, but for where these begin, and the limits."""
    nothing = np.zeros(0, READ), np.zeros(0, READ), np.zeros(0, np.int64)
    every, single, rows = zip(*(tables.get(place, nothing) for place in range(n_places)), strict=True)
    begins = np.cumsum([0, *map(len, every)])
    where = np.concatenate([place * n + part for place, part in enumerate(rows)])
    single_begins = np.searchsorted(where, np.arange(n_places * n + 1))
    checked = np.concatenate([np.zeros(0, CHECK), *(part for part, _ in checks)])
    limits = np.concatenate([np.zeros((4, 0), np.int32), *(part for _, part in checks)], axis=1)
    checked["limits"] = np.cumsum([0, *(part.shape[1] for _, part in checks)])[:-1]
    return Reads(np.concatenate(every), begins, np.concatenate(single), single_begins, checked, limits)
