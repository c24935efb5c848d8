"""States: the wrong values of one channel that some fault gives some sample, and what they cost.

Faults that leave a sample as it was need no evaluation. Where a channel is one number per sample, faults that move a
sample to the same level share one evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from fkeras.engines.cpu import channels
from fkeras.engines.cpu.channels import Arithmetic, Floats, Ints
from fkeras.engines.cpu.pointwise import Pointwise
from fkeras.engines.cpu.sites import Inputs

MOST_CELLS = 2**22
"""Entries of the largest scratch array."""
MOST_LEVELS = 4096
"""Beyond that many levels few faults share one."""


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """The wrong states of a block of samples under a block of faults.

    samples: slice of the chunk; faults: slice of the channel's faults; of: (faults, samples) int32, -1 for an unchanged
    sample, else the number of its state; sample: (k,) int32 within the chunk; values: (k, positions) the channel, in
    steps; changed: (k,), whether a state differs from golden at all: others are never asked for.
    """

    samples: slice
    faults: slice
    of: Ints
    sample: Ints
    values: Floats
    changed: NDArray[np.bool_]

    @classmethod
    def of_one_fault(cls, of: Ints, sample: Ints) -> States:
        """What one fault makes of all samples of a chunk, whose values are not held: of (1, n), sample (k,)."""
        nothing = np.empty((sample.size, 0), np.float32)
        return cls(slice(0, of.shape[1]), slice(0, 1), of, sample, nothing, np.ones(sample.size, np.bool_))


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One output channel over the samples of a chunk: number; golden sums (n, height, width) in units of their grid
    and golden levels (n, height x width); the faults' places in the inputs and their deltas, (faults,)."""

    number: int
    sums: Floats
    golden: Floats
    places: Ints
    deltas: Floats


def states_of(pointwise: Pointwise, channel: Channel, inputs: Inputs) -> Iterator[States]:
    """All wrong states of one channel, in blocks that fit into memory."""
    one_place = channel.golden.shape[1] == 1
    if one_place and pointwise.rounds and pointwise.span < MOST_LEVELS:
        yield from _collapsed(pointwise, channel, inputs)
    else:
        yield from _pairs(pointwise, channel, inputs)


def _arithmetic(pointwise: Pointwise, channel: int) -> Arithmetic:
    scale, low, high = (np.float32(value) for value in (pointwise.scale, pointwise.low, pointwise.high))
    return Arithmetic(scale, pointwise.offset[channel], low, high, pointwise.rounds)


def _blocks(n: int, size: int) -> Iterator[slice]:
    size = max(1, size)
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def _collapsed(pointwise: Pointwise, channel: Channel, inputs: Inputs) -> Iterator[States]:
    sums, golden, arithmetic = channel.sums.ravel(), channel.golden.ravel(), _arithmetic(pointwise, channel.number)
    n_levels = int(pointwise.span) + 1
    for rows in _blocks(sums.size, MOST_CELLS // n_levels):
        needed = np.zeros((rows.stop - rows.start, n_levels), np.int32)
        given = sums[rows], inputs.flat[rows]
        channels.mark_states(*given, channel.places, channel.deltas, arithmetic, golden[rows], needed)
        sample, level = np.nonzero(needed)
        needed[sample, level] = np.arange(sample.size)
        values = (level[:, None] + pointwise.low).astype(np.float32)
        for part in _blocks(channel.places.size, MOST_CELLS // needed.shape[0]):
            of = np.empty((part.stop - part.start, needed.shape[0]), np.int32)
            faults = channel.places[part], channel.deltas[part]
            channels.look_up_states(*given, *faults, arithmetic, golden[rows], needed, of)
            yield States(rows, part, of, (sample + rows.start).astype(np.int32), values, np.ones(sample.size, np.bool_))


def _pairs(pointwise: Pointwise, channel: Channel, inputs: Inputs) -> Iterator[States]:
    n, positions = channel.golden.shape
    for part in _blocks(channel.places.size, MOST_CELLS // channel.golden.size):
        size = part.stop - part.start
        values, changed = np.empty((n * size, positions), np.float32), np.empty(n * size, np.bool_)
        channels.shift_channel(
            channel.sums,
            inputs.flat,
            inputs.pitch,
            channel.places[part],
            channel.deltas[part],
            _arithmetic(pointwise, channel.number),
            channel.golden,
            values,
            changed,
        )
        of = np.where(changed, np.arange(n * size, dtype=np.int32), -1).reshape(n, size).T
        sample = np.repeat(np.arange(n, dtype=np.int32), size)
        yield States(slice(0, n), part, np.ascontiguousarray(of), sample, values, changed)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def add_up_one(
    fault: int,
    of: Ints,
    errors: NDArray[np.float64],
    undefined: NDArray[np.bool_],
    golden: NDArray[np.float64],
    golden_undefined: NDArray[np.bool_],
    sign: float,
    sums: NDArray[np.float64],
    undefined_counts: NDArray[np.int64],
    harmed: NDArray[np.int64],
) -> None:  # pragma: no cover - compiled
    """Add a fault's errors over a block of samples to its sums; sign is +1 where lower is better."""
    total, lost, worse = 0.0, 0, 0
    for sample in range(of.shape[1]):
        state = of[fault, sample]
        if state < 0:
            total += golden[sample]
            lost += golden_undefined[sample]
        else:
            total += errors[state]
            lost += undefined[state]
            worse += sign * (errors[state] - golden[sample]) > 0
    sums[fault] += total
    undefined_counts[fault] += lost
    harmed[fault] += worse


@numba.njit(parallel=True, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def add_up(
    of: Ints,
    errors: NDArray[np.float64],
    undefined: NDArray[np.bool_],
    golden: NDArray[np.float64],
    golden_undefined: NDArray[np.bool_],
    sign: float,
    sums: NDArray[np.float64],
    undefined_counts: NDArray[np.int64],
    harmed: NDArray[np.int64],
) -> None:  # pragma: no cover - compiled
    """The same for every fault, shared out among threads."""
    for fault in numba.prange(of.shape[0]):
        add_up_one(fault, of, errors, undefined, golden, golden_undefined, sign, sums, undefined_counts, harmed)
