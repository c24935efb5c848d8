"""A changed channel flows on through the exact layer that follows: only what changed is added.

A changed activation adds (change x weight) to the sums that read it; a sum that changed is looked up in its channel's
table; what the quantizer swallows ends there. One layer is worth it: behind it nearly everything has changed, and a
matrix product is faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from fkeras.backends.tf.fast.channels import Ints, as_integers
from fkeras.backends.tf.fast.graph import Graph, Key
from fkeras.backends.tf.fast.sites import Site, Window, as_image
from fkeras.backends.tf.fast.tables import channel_table


@dataclass(frozen=True, eq=False)
class Stage:
    """An exact layer and its quantizer, ready to add the changes of one input channel to.

    kernel (input channels, rows, phases, runs, output channels) float32 in grid units: the columns of the window that
    one input column meets at a given stride phase, in the order of the output columns they add to; window: its
    geometry; tables (channels, entries) int32, the end tensor in units of its grid for sums low[channel], ... ; a
    table ends where its channel saturates.
    """

    site: Site
    window: Window
    kernel: NDArray[np.float32]
    low: Ints
    tables: Ints

    @property
    def end(self) -> Key:
        """The tensor after the stage."""
        return self.site.end

    @property
    def step(self) -> float:
        """The grid of the end tensor."""
        assert self.site.end_fact.step is not None
        return self.site.end_fact.step

    def golden(self, tensors: Mapping[Key, Any]) -> tuple[Ints, Ints]:
        """Golden sums and end tensor of a chunk in grid units, (n, height, width, channels) each."""
        x = np.asarray(tensors[self.site.call.inputs[0]])
        ends = as_image(np.asarray(tensors[self.end]))
        return self.site.sums(self.site.padded(x)), as_integers(ends, self.step)

    def flow(
        self, changes: Ints, channel: int, samples: Ints, sums: Ints, ends: Ints
    ) -> tuple[Ints, NDArray[np.bool_]]:
        """Push the changes (k, height, width) of one input channel of k states through the stage.

        Returns the changes of the end tensor, (k, height, width, channels), and which states have any, (k,).
        """
        rows, columns = self.window.pads(changes.shape[1:])
        after = np.empty((samples.size, *sums.shape[1:]), np.int32)
        changed = np.empty(samples.size, np.bool_)
        kernel = self.kernel[channel].reshape(self.window.size[0], self.window.stride[1], -1)
        flow(
            np.ascontiguousarray(changes),
            samples,
            kernel,
            self.window.size,
            self.window.stride,
            (rows[0], columns[0]),
            self.low,
            self.tables,
            sums,
            ends,
            after,
            changed,
        )
        return after, changed


def stage_after(graph: Graph, sites: Mapping[int, Site], site: Site) -> Stage | None:
    """The stage through which everything that `site` changes flows; None when what follows is none."""
    following, flattened = _next(graph, site.end)
    found = [one for one in sites.values() if one.call.index == following]
    if not site.rounds or not found or found[0].depthwise or not found[0].rounds or found[0].window.dilation != (1, 1):
        return None
    return _stage(found[0], _image_shape(site) if flattened else None)


def _image_shape(site: Site) -> tuple[int, int, int]:
    call = site.segment[-1] if site.segment else site.call
    height, width, channels = as_image(np.empty((1, *call.node.outputs.shape[1:]))).shape[1:]
    return height, width, channels


def _next(graph: Graph, key: Key) -> tuple[int | None, bool]:
    """The only call that reads a tensor, and whether a Flatten stands between."""
    flattened = False
    while key not in graph.outputs:
        readers = graph.consumers(key)
        if len(readers) != 1:
            return None, flattened
        if type(readers[0].layer).__name__ != "Flatten":
            return readers[0].index, flattened
        flattened, key = True, readers[0].outputs[0]
    return None, flattened


def _stage(site: Site, flattened_from: tuple[int, int, int] | None) -> Stage:
    kernel = as_integers(site.kernel, site.kernel_step)
    window = site.window
    if flattened_from is not None:
        kernel = kernel.reshape(*flattened_from, -1)
        window = Window(flattened_from[:2], (1, 1), (1, 1), "valid")
    most = np.abs(kernel).sum((0, 1, 2), dtype=np.int64) * round(site.input_fact.bound / (site.input_fact.step or 1))
    tables = [channel_table(site, channel, -int(reach), int(reach)) for channel, reach in enumerate(most)]
    size = max(table.level.size for table in tables)
    entries = np.stack(
        [
            np.pad(
                as_integers(table.values[table.level], site.end_fact.step or 1),
                (0, size - table.level.size),
                mode="edge",
            )
            for table in tables
        ]
    )
    return Stage(
        site, window, _by_phase(kernel, window.stride[1]), np.array([table.low for table in tables], np.int32), entries
    )


def _by_phase(kernel: Ints, stride: int) -> NDArray[np.float32]:
    height, width, n_in, n_out = kernel.shape
    runs = -(-width // stride)
    padded = np.pad(kernel, ((0, 0), (0, runs * stride - width), (0, 0), (0, 0)))
    phases = padded.reshape(height, runs, stride, n_in, n_out)[:, ::-1]
    return np.ascontiguousarray(phases.transpose(3, 0, 2, 1, 4), np.float32)


@numba.njit(parallel=True, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def flow(
    changes: Ints,
    samples: Ints,
    kernel: NDArray[np.float32],
    size: tuple[int, int],
    stride: tuple[int, int],
    before: tuple[int, int],
    low: Ints,
    tables: Ints,
    sums: Ints,
    golden: Ints,
    after: Ints,
    changed: NDArray[np.bool_],
) -> None:  # pragma: no cover - compiled
    """Push the changes of k states through one stage.

    changes (k, height, width), samples (k,), kernel (window rows, phases, run x output channels) float32, before:
    zeros added above and to the left; sums and golden (n, height, width, channels) of the chunk; fills after (k,
    height, width, channels) with the changes of the end tensor, and changed (k,).
    """
    height, width, n_out = sums.shape[1], sums.shape[2], sums.shape[3]
    runs = kernel.shape[2] // n_out
    for state in numba.prange(samples.size):
        sample = samples[state]
        # Each row has `runs` columns to spare at either end, so that a run may stick out.
        extra = np.zeros((height, (width + 2 * runs) * n_out), np.float32)
        for y in range(changes.shape[1]):
            for x in range(changes.shape[2]):
                if changes[state, y, x] == 0:
                    continue
                change = np.float32(changes[state, y, x])
                phase = (x + before[1]) % stride[1]
                first = (x + before[1]) // stride[1] + 1
                if first < 0 or first > width + runs:
                    continue
                for i in range(size[0]):
                    row = y + before[0] - i
                    if row < 0 or row % stride[0] != 0 or row // stride[0] >= height:
                        continue
                    target = extra[row // stride[0], first * n_out : (first + runs) * n_out]
                    weights = kernel[i, phase]
                    for k in range(target.size):
                        target[k] += change * weights[k]
        different = False
        for y in range(height):
            for x in range(width):
                for out in range(n_out):
                    moved = np.int32(0)
                    more = extra[y, (x + runs) * n_out + out]
                    if more != 0:
                        place = sums[sample, y, x, out] + np.int32(more) - low[out]
                        moved = tables[out, min(max(place, 0), tables.shape[1] - 1)] - golden[sample, y, x, out]
                    after[state, y, x, out] = moved
                    different |= moved != 0
        changed[state] = different


@numba.njit(parallel=True, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def changed_ends(
    golden: NDArray[np.float32], samples: Ints, changes: Ints, step: np.float32, ends: NDArray[np.float32]
) -> None:  # pragma: no cover - compiled
    """ends[state] = golden[sample of state] + step x changes[state]; (k, floats) each, exact on the grid."""
    for state in numba.prange(samples.size):
        for i in range(golden.shape[1]):
            ends[state, i] = golden[samples[state], i] + step * np.float32(changes[state, i])
