"""One wrong weight changes one channel of its layer's output by (step x input): the arithmetic, in whole numbers.

A layer's golden sums and inputs are kept as integers in units of their grids, so that a faulted sum is
sum + delta x input, exactly. What follows within the channel (bias, activation, quantizer) is a function of that
integer, tabulated with the network's own operations.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]


@numba.njit(inline="always", nogil=True, cache=True)  # type: ignore[untyped-decorator]
def at(table: Ints, place: int) -> int:  # pragma: no cover - compiled
    """The entry of a table; beyond its ends it goes on as it ends."""
    return table[min(max(place, 0), table.size - 1)]  # type: ignore[no-any-return]


@numba.njit(parallel=True, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def mark_states(
    sums: Ints, inputs: Ints, terms: Ints, deltas: Ints, table: Ints, low: int, golden: Ints, needed: NDArray[np.int32]
) -> None:  # pragma: no cover - compiled
    """Mark the levels that some fault moves a sample to; one position per channel.

    sums (n,), inputs (n, terms), terms and deltas (faults,), table: levels of low, low + 1, ... (constant beyond
    its ends), golden (n,) levels, needed (n, n_levels) zeros, set to 1.
    """
    for sample in numba.prange(sums.size):
        for fault in range(terms.size):
            level = at(table, sums[sample] + deltas[fault] * inputs[sample, terms[fault]] - low)
            if level != golden[sample]:
                needed[sample, level] = 1


@numba.njit(parallel=True, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def look_up_states(
    sums: Ints,
    inputs: Ints,
    terms: Ints,
    deltas: Ints,
    table: Ints,
    low: int,
    golden: Ints,
    state_of_level: NDArray[np.int32],
    state_of: NDArray[np.int32],
) -> None:  # pragma: no cover
    """The state of each (fault, sample): -1 while unchanged, else its number in `state_of_level` (n, n_levels)."""
    for fault in numba.prange(terms.size):
        for sample in range(sums.size):
            level = at(table, sums[sample] + deltas[fault] * inputs[sample, terms[fault]] - low)
            state_of[fault, sample] = -1 if level == golden[sample] else state_of_level[sample, level]


@numba.njit(parallel=True, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def shift_channel(
    sums: Ints,
    padded: Ints,
    rows: Ints,
    columns: Ints,
    channels: Ints,
    deltas: Ints,
    stride: tuple[int, int],
    table: Ints,
    low: int,
    golden: Ints,
    levels: NDArray[np.int32],
    changed: NDArray[np.bool_],
) -> None:  # pragma: no cover - compiled
    """The levels of a whole channel under each fault; many positions per channel.

    sums, golden (n, height, width); padded (n, channels, padded height, padded width) inputs; rows, columns, channels,
    deltas (faults,): where in the padded input a fault's weight begins to read. Fills levels (faults, n, height,
    width) and changed (faults, n).
    """
    n, height, width = sums.shape
    for pair in numba.prange(deltas.size * n):
        fault, sample = pair // n, pair % n
        different = False
        for y in range(height):
            for x in range(width):
                value = padded[sample, channels[fault], rows[fault] + y * stride[0], columns[fault] + x * stride[1]]
                level = at(table, sums[sample, y, x] + deltas[fault] * value - low)
                levels[fault, sample, y, x] = level
                different |= level != golden[sample, y, x]
        changed[fault, sample] = different


def as_integers(values: Any, step: float) -> Ints:
    """Values on a grid in units of its step."""
    return np.rint(np.asarray(values, np.float64) / step).astype(np.int32)
