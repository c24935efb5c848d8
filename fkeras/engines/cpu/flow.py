"""A changed channel flows on through the exact layers behind it: only what changed is added, one state at a time.

A changed activation adds (change x weight) to the sums that read it; a row of sums that was touched goes through bias
and quantizer again; what differs there is the change that flows on, and a state in which nothing does is done. All
numbers are whole and below 2**24 in float32, so that any order of summation gives the same bits. One state's
activations fit into a core's cache, and only its end is written to memory.

The first layer reads one changed channel, often changed in a third of its places: a map of the changes, convolved
without asking which are zero. Further layers read many channels, changed here and there: a list.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from fkeras.engines.cpu.channels import Arithmetic, Floats, Ints, level_of
from fkeras.engines.cpu.vectors import Window, add_products, add_windows, list_changes

LAYER = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("height_in", "width_in", "channels_in", "height", "width", "channels"),
            *("rows", "columns", "stride_y", "stride_x", "before_y", "before_x"),
            *("weights", "values", "offsets"),
        )
    ]
    + [(name, np.float32) for name in ("scale", "low", "high")]
    + [("rounds", np.bool_)]
)
"""One layer: the shapes of its input and output; its window, and the zeros above and to the left; where its weights,
its values within a sample and its offsets begin; its pointwise arithmetic."""


class Program(NamedTuple):
    """Exact layers in a row: layers (layers,) of dtype LAYER; weights: all kernels (rows, columns, input channels,
    output channels), flat, in units of their grids; offsets: one row of each layer's output, flat; step: what the last
    layer's output is counted in."""

    layers: NDArray[Any]
    weights: Floats
    offsets: Floats
    step: np.float32


class Golden(NamedTuple):
    """Without a fault: channel (n, positions), what the first layer reads of the channel that changes, in steps; sums
    and levels (n, values) of all layers."""

    channel: Floats
    sums: Floats
    levels: Floats


class Changes(NamedTuple):
    """What differs in a layer's input.

    Listed: position p has the entries starts[p] ... starts[p + 1] - 1 of terms, which number the input's columns and
    channels within its row, and of values; so what one row of a window reads are neighbours. Mapped, where only
    `channel` differs: map (padded rows, pitch), flat, with touched (padded rows,), and an empty list; else pitch is 0.
    """

    starts: Ints
    terms: Ints
    values: Floats
    map: Floats
    touched: NDArray[np.bool_]
    pitch: int
    channel: int


class Row(NamedTuple):
    """One row of a layer's output, (width x channels) and more each: scratch."""

    sums: Floats
    levels: Floats


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def push_row(
    layer: Any, row: int, weights: Floats, changes: Changes, golden: Floats, sums: Floats
) -> bool:  # pragma: no cover - compiled
    """One row of sums (width x channels): the golden ones, and what changed inputs add; False when none reach it."""
    if changes.pitch:
        top = row * layer.stride_y
        if not changes.touched[top : top + layer.rows].any():
            return False
        across = layer.channels_in * layer.channels
        window = Window(layer.stride_x, changes.pitch, across, layer.columns * across, layer.rows, layer.columns)
        place, at = layer.weights + changes.channel * layer.channels, top * changes.pitch
        add_windows(golden, sums, layer.width, layer.channels, weights, place, changes.map, at, window)
        return True
    above = row * layer.stride_y - layer.before_y
    above_in, below_in = max(above, 0), min(above + layer.rows, layer.height_in)
    starts = changes.starts
    if starts[above_in * layer.width_in] == starts[below_in * layer.width_in]:
        return False
    width = layer.width * layer.channels
    sums[:width] = golden[:width]
    for y in range(above_in, below_in):
        begin = y * layer.width_in
        if starts[begin] == starts[begin + layer.width_in]:
            continue
        for x in range(layer.width):
            left = x * layer.stride_x - layer.before_x
            first = starts[begin + max(left, 0)]
            stop = starts[begin + min(left + layer.columns, layer.width_in)]
            if first < stop:
                place = ((y - above) * layer.columns - left) * layer.channels_in * layer.channels + layer.weights
                terms, values = changes.terms, changes.values
                add_products(sums, x * layer.channels, layer.channels, weights, place, terms, values, first, stop)
    return True


@numba.njit(fastmath={"contract"}, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def round_row(layer: Any, offsets: Floats, row: Row) -> None:  # pragma: no cover - compiled
    """The levels of one row of sums."""
    width = layer.width * layer.channels
    offset = offsets[layer.offsets : layer.offsets + width]
    scale, low, high, rounds = layer.scale, layer.low, layer.high, layer.rounds
    for k in range(width):
        row.levels[k] = level_of(row.sums[k], Arithmetic(scale, offset[k], low, high, rounds))


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def list_channel(values: Floats, golden: Floats, layer: Any, changes: Changes) -> None:  # pragma: no cover - compiled
    """List the changes of one channel of a map (positions, channels) that `layer` reads flattened."""
    count, n_channels = 0, layer.channels_in // values.size
    for p in range(values.size):
        if values[p] != golden[p]:
            changes.terms[count] = p * n_channels + changes.channel
            changes.values[count] = values[p] - golden[p]
            count += 1
    changes.starts[1] = count


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def map_channel(values: Floats, golden: Floats, layer: Any, changes: Changes) -> None:  # pragma: no cover - compiled
    """Fill the map with the changes of the only channel that differs; its margins hold zeros."""
    for y in range(layer.height_in):
        begin, differs = (y + layer.before_y) * changes.pitch + layer.before_x, False
        row = changes.map[begin : begin + layer.width_in]
        now = values[y * layer.width_in : (y + 1) * layer.width_in]
        was = golden[y * layer.width_in : (y + 1) * layer.width_in]
        for x in range(layer.width_in):
            row[x] = now[x] - was[x]
            differs |= now[x] != was[x]
        changes.touched[y + layer.before_y] = differs


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def flow_through(
    layer: Any, after: Any, program: Program, sums: Floats, levels: Floats, changes: Changes, found: Changes, row: Row
) -> int:  # pragma: no cover - compiled
    """From the changes of a layer's input to those of its output, listed as `after` reads them; their number."""
    width, count = layer.width * layer.channels, 0
    flattened = after.height_in * after.width_in != layer.height * layer.width
    for y in range(layer.height):
        begin = layer.values + y * width
        golden = levels[begin : begin + width]
        touched = push_row(layer, y, program.weights, changes, sums[begin : begin + width], row.sums)
        if touched:
            round_row(layer, program.offsets, row)
        for x in range(layer.width):
            if touched:
                low, high = x * layer.channels, (x + 1) * layer.channels
                first = low + y * width if flattened else low
                count = list_changes(row.levels, golden, low, high, first, count, found.terms, found.values)
            found.starts[1 if flattened else y * layer.width + x + 1] = count
    return count


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def flow_to_end(
    layer: Any, program: Program, sums: Floats, levels: Floats, changes: Changes, end: Floats, row: Row
) -> bool:  # pragma: no cover - compiled
    """From the changes of the last layer's input to its output; whether it differs from golden."""
    width, different = layer.width * layer.channels, False
    for y in range(layer.height):
        begin = layer.values + y * width
        golden = levels[begin : begin + width]
        if push_row(layer, y, program.weights, changes, sums[begin : begin + width], row.sums):
            round_row(layer, program.offsets, row)
        else:
            row.levels[:width] = golden
        for k in range(width):
            different |= row.levels[k] != golden[k]
            end[y * width + k] = row.levels[k] * program.step + np.float32(0)  # plus zero: the network has 0.0 for -0.0
    return different


@numba.njit(parallel=True, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def flow(
    values: Floats,
    samples: Ints,
    changed: NDArray[np.bool_],
    channel: int,
    golden: Golden,
    program: Program,
    ends: Floats,
    n_blocks: int,
) -> None:  # pragma: no cover - compiled
    """Push k states of one input channel through all layers of a program.

    values (k, positions): the channel in each state, in steps; samples (k,): whose golden ones it differs from; changed
    (k,): states that differ, overwritten with those whose end differs; ends (k, size of the last layer's output):
    filled in for the changed ones.
    """
    layers, n, most, places = program.layers, samples.size, 1, 1
    for layer in layers:
        most = max(most, layer.height_in * layer.width_in * layer.channels_in, layer.width * layer.channels)
        places = max(places, layer.height_in * layer.width_in)
    first = layers[0]
    flattened = first.height_in * first.width_in != values.shape[1]
    pitch = 0 if flattened else max(first.before_x + first.width_in, (first.width - 1) * first.stride_x + first.columns)
    rows = max(first.before_y + first.height_in, (first.height - 1) * first.stride_y + first.rows)
    for block in numba.prange(n_blocks):
        row = Row(np.empty(most, np.float32), np.empty(most, np.float32))
        starts = np.zeros((2, places + 1), np.int32)
        terms, listed = np.empty((2, most), np.int32), np.empty((2, most), np.float32)
        margins, touched = np.zeros(rows * pitch, np.float32), np.zeros(rows, np.bool_)
        for state in range(block * n // n_blocks, (block + 1) * n // n_blocks):
            if not changed[state]:
                continue
            sums, levels = golden.sums[samples[state]], golden.levels[samples[state]]
            changes = Changes(starts[0], terms[0], listed[0], margins, touched, pitch, channel)
            if flattened:
                list_channel(values[state], golden.channel[samples[state]], layers[0], changes)
            else:
                map_channel(values[state], golden.channel[samples[state]], layers[0], changes)
            count, now = 1, 0
            for number in range(layers.size - 1):
                now = 1 - now
                found = Changes(starts[now], terms[now], listed[now], margins, touched, 0, 0)
                count = flow_through(layers[number], layers[number + 1], program, sums, levels, changes, found, row)
                changes = found
                if count == 0:
                    break
            changed[state] = count > 0 and flow_to_end(layers[-1], program, sums, levels, changes, ends[state], row)
