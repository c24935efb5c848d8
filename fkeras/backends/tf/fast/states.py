"""States: the distinct wrong values of one channel that some fault gives some sample, and what they cost.

Faults that leave a sample as it was need no evaluation; faults that move a sample to the same values share one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from fkeras.backends.tf.fast import channels
from fkeras.backends.tf.fast.channels import Ints
from fkeras.backends.tf.fast.sites import Faults, Site
from fkeras.backends.tf.fast.tables import ChannelTable, channel_table

MOST_CELLS = 2**23
"""Entries of the largest scratch array."""


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """The wrong states of a block of samples under a block of faults.

    samples: slice of the chunk; faults: slice of the site's faults; of: (faults, samples) int32, -1 for an unchanged
    sample, else the number of its state; sample: (n_states,) index within the chunk; values: (n_states, positions)
    float32, the channel of the end tensor.
    """

    samples: slice
    faults: slice
    of: Ints
    sample: Ints
    values: NDArray[np.float32]


def states_of(site: Site, channel: int, faults: Faults, sums: Ints, inputs: Ints) -> Iterator[States]:
    """All wrong states of one channel, in blocks that fit into memory.

    sums (n, height, width) of the channel; inputs (n, channels, padded height, padded width); `faults` all of this
    channel.
    """
    reach = int(np.abs(faults.delta).max(initial=0)) * int(np.abs(inputs).max(initial=0))
    table = channel_table(site, channel, int(sums.min()) - reach, int(sums.max()) + reach)
    golden = table.levels_of(sums)
    blocks = _points if sums.shape[1] * sums.shape[2] == 1 else _maps
    yield from blocks(site, faults, sums, inputs, table, golden)


def _blocks(n: int, size: int) -> Iterator[slice]:
    size = max(1, size)
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def _points(
    site: Site, faults: Faults, sums: Ints, inputs: Ints, table: ChannelTable, golden: Ints
) -> Iterator[States]:
    flat_sums, flat_golden = sums.reshape(-1), golden.reshape(-1)
    terms = (faults.term * inputs.shape[2] + faults.row) * inputs.shape[3] + faults.column
    flat_inputs = inputs.reshape(inputs.shape[0], -1)
    for rows in _blocks(flat_sums.size, MOST_CELLS // table.values.size):
        needed = np.zeros((rows.stop - rows.start, table.values.size), np.int32)
        given = flat_sums[rows], flat_inputs[rows], terms
        channels.mark_states(*given, faults.delta, table.level, table.low, flat_golden[rows], needed)
        sample, level = np.nonzero(needed)
        needed[sample, level] = np.arange(sample.size)
        values = table.values[level][:, None]
        for part in _blocks(terms.size, MOST_CELLS // needed.shape[0]):
            of = np.empty((part.stop - part.start, needed.shape[0]), np.int32)
            channels.look_up_states(
                given[0],
                given[1],
                terms[part],
                faults.delta[part],
                table.level,
                table.low,
                flat_golden[rows],
                needed,
                of,
            )
            yield States(rows, part, of, (sample + rows.start).astype(np.int32), values)


def _maps(site: Site, faults: Faults, sums: Ints, inputs: Ints, table: ChannelTable, golden: Ints) -> Iterator[States]:
    n, height, width = sums.shape
    for part in _blocks(faults.delta.size, MOST_CELLS // sums.size):
        size = part.stop - part.start
        levels = np.empty((size, n, height, width), np.int32)
        changed = np.empty((size, n), np.bool_)
        channels.shift_channel(
            sums,
            inputs,
            faults.row[part],
            faults.column[part],
            faults.term[part],
            faults.delta[part],
            site.window.stride,
            table.level,
            table.low,
            golden,
            levels,
            changed,
        )
        of = np.where(changed, np.cumsum(changed).reshape(changed.shape) - 1, -1).astype(np.int32)
        sample = np.nonzero(changed)[1].astype(np.int32)
        yield States(slice(0, n), part, of, sample, table.values[levels[changed].reshape(sample.size, height * width)])


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
    """Add each fault's errors over a block of samples to its sums; sign is +1 where lower is better."""
    for fault in numba.prange(of.shape[0]):
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
