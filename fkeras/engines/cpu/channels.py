"""One wrong weight changes one channel of its layer's output by (step x input): the arithmetic, in whole numbers.

A layer's golden sums and inputs are kept in units of their grids, so that a faulted sum is sum + delta x input,
exactly: whole numbers below 2**24 in float32. What follows within the channel is pointwise arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]


class Arithmetic(NamedTuple):
    """`Pointwise` in one channel."""

    scale: np.float32
    offset: np.float32
    low: np.float32
    high: np.float32
    rounds: bool


@numba.njit(inline="always", nogil=True, cache=True)  # type: ignore[untyped-decorator]
def level_of(total: np.float32, pointwise: Arithmetic) -> np.float32:  # pragma: no cover - compiled
    """`Pointwise.levels` of one sum."""
    value = total * pointwise.scale + pointwise.offset
    if pointwise.rounds:
        value = np.rint(value)
    return min(max(value, pointwise.low), pointwise.high)


@numba.njit(parallel=True, fastmath={"contract"}, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def mark_states(
    sums: Floats,
    inputs: Floats,
    places: Ints,
    deltas: Floats,
    pointwise: Arithmetic,
    golden: Floats,
    needed: Ints,
) -> None:  # pragma: no cover - compiled
    """Mark the levels that some fault moves a sample to; one position per channel, rounded values.

    sums and golden (n,); inputs (n, floats); places and deltas (faults,): which input a fault's weight reads, and by
    how much the weight is off; needed (n, n_levels) zeros, set to 1 where level low, low + 1, ... is needed.
    """
    for sample in numba.prange(sums.size):
        for fault in range(places.size):
            total = sums[sample] + deltas[fault] * inputs[sample, places[fault]]
            level = level_of(total, pointwise)
            if level != golden[sample]:
                needed[sample, int(level - pointwise.low)] = 1


@numba.njit(parallel=True, fastmath={"contract"}, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def look_up_states(
    sums: Floats,
    inputs: Floats,
    places: Ints,
    deltas: Floats,
    pointwise: Arithmetic,
    golden: Floats,
    state_of_level: Ints,
    state_of: Ints,
) -> None:  # pragma: no cover
    """The state of each (fault, sample): -1 while unchanged, else its number in `state_of_level` (n, n_levels)."""
    for fault in numba.prange(places.size):
        for sample in range(sums.size):
            total = sums[sample] + deltas[fault] * inputs[sample, places[fault]]
            level = level_of(total, pointwise)
            state_of[fault, sample] = (
                -1 if level == golden[sample] else state_of_level[sample, int(level - pointwise.low)]
            )


@numba.njit(parallel=True, fastmath={"contract"}, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def shift_channel(
    sums: Floats,
    inputs: Floats,
    pitch: int,
    places: Ints,
    deltas: Floats,
    pointwise: Arithmetic,
    golden: Floats,
    values: Floats,
    changed: NDArray[np.bool_],
) -> None:  # pragma: no cover - compiled
    """A whole channel under each fault; pair (sample, fault) has number sample x faults + fault.

    sums (n, height, width); inputs (n, floats), `pitch` from row to row; golden (n, height x width) levels; fills
    values (n x faults, height x width) with levels and changed (n x faults,).
    """
    n, height, width = sums.shape
    for pair in numba.prange(n * places.size):
        sample, fault = pair // places.size, pair % places.size
        different = False
        for y in range(height):
            begin = places[fault] + y * pitch
            read, delta = inputs[sample, begin : begin + width], deltas[fault]
            row, was = sums[sample, y], golden[sample, y * width : (y + 1) * width]
            levels = values[pair, y * width : (y + 1) * width]
            for x in range(width):
                level = level_of(row[x] + delta * read[x], pointwise)
                levels[x] = level
                different |= level != was[x]
        changed[pair] = different


def as_integers(values: NDArray[np.float32], step: float) -> Floats:
    """Values on a power-of-two grid in units of its step: whole numbers, exact."""
    return np.asarray(values, np.float32) * np.float32(1 / step)
