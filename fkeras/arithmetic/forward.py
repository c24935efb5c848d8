"""Forward passes of a fixed-point network in whole numbers, at the speed of the processor's dot products.

A pass takes as many samples at once as fit into a core's cache, through all layers. Levels are stored as bytes where
they and the weights fit into eight bits, as words of 16 bits where they fit there, else as float32. Sums are exact in
each: the largest level times the sum of the sizes of a channel's weights, faults included, stays below 2**24, which is
checked for every kernel; there float32 sums are exact in any order as well, and all agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.layers import Layer, MaxPool, Merge, Shape, WeightedSum, largest_sum
from fkeras.arithmetic.misreads import CHECK, Misread, Reads, reads_of
from fkeras.arithmetic.packing import Layout, Window, layout_of
from fkeras.arithmetic.passes import Bytes, Floats, Ints, n_threads, run_samples, share_out
from fkeras.arithmetic.program import BLOCK, MAXIMUM, STEP, Kernels, Program
from fkeras.arithmetic.tensors import LINE, TYPES, Tensor, placed
from fkeras.arithmetic.tiles import BYTES, LANES, OUTPUTS
from fkeras.errors import InputError

EXACT = 2**24
"""Whole numbers up to it are exact in float32."""
CACHE = 2**19
"""Bytes of activations that stay in a core's cache."""
NO_MISREADS: Mapping[int, Misread] = MappingProxyType({})
TURNS = 4
"""Turns that each core takes at least, so that a busy one can leave some to the others."""


@dataclass(frozen=True, eq=False)
class Forward:
    """The layers of a network, in an order in which each reads what stands before it.

    shape: (height, width, channels) of the input; low, high: its least and largest level; sources: the tensors that
    each layer reads, 0 for the input, n for what layer n - 1 makes; unless said, the one before it.
    """

    shape: Shape
    low: float
    high: float
    layers: tuple[Layer, ...]
    sources: tuple[tuple[int, ...], ...] | None = None

    def part(self, first: int, stop: int | None = None) -> Forward:
        """The layers from number `first` to before number `stop`, as a pass of their own that begins with what stands
        before them; InputError where they read something else as well."""
        source, read = self.tensors[first], self._sources[first:stop]
        if any(number < first for numbers in read for number in numbers):
            raise InputError(f"behind layer {first - 1} not everything goes through tensor {first}")
        sources = tuple(tuple(number - first for number in numbers) for numbers in read)
        return Forward(source.shape, source.low, source.high, self.layers[first:stop], sources)

    def stored(self, levels: NDArray[Any]) -> Bytes:
        """Inputs (n, height, width, channels) as a pass reads them; InputError unless they are levels of the input."""
        if levels.shape[1:] != self.shape:
            raise InputError(f"the inputs have shape {levels.shape[1:]}; the layers take {self.shape}")
        if levels.size and not (self.low <= levels.min() and levels.max() <= self.high):
            raise InputError(f"the inputs go from {levels.min()} to {levels.max()}; said was {self.low} to {self.high}")
        if levels.dtype.kind == "f" and not np.array_equal(levels, np.rint(levels)):
            raise InputError("the inputs are not whole numbers; divide them by their step")
        return self.tensors[0].stored(levels)

    def levels(
        self, stored: Bytes, kernels: Kernels | None = None, misreads: Mapping[int, Misread] = NO_MISREADS
    ) -> Floats:
        """What the last layer makes of stored inputs: levels (n, height, width, channels), on all cores.

        misreads: what is read wrongly on the way, at 2 t of tensor t, at 2 l + 1 of the sums of layer l.
        """
        target = self.tensors[-1]
        ends = np.empty((len(stored), target.size), np.uint8)
        self._pass(stored, kernels or self.golden, target.at, ends, self._reads(misreads, len(stored)))
        return ends.view(np.float32).reshape(-1, *target.shape)

    def arenas(self, stored: Bytes, into: Bytes | None = None) -> Bytes:
        """What every layer makes of stored inputs: (n, bytes of all tensors), each where `tensors` says; those of
        `into`, if given."""
        arenas = np.empty((len(stored), self.program.blank.size), np.uint8) if into is None else into
        self._pass(stored, self.golden, 0, arenas, self._reads({}, 0))
        return arenas

    def _reads(self, misreads: Mapping[int, Misread], n: int) -> Reads:
        """What is read wrongly on the way of n samples."""
        tables, checks = {}, []
        for place, words in misreads.items():
            elements, reads = words.table(together=place % 2 == 1)
            self._locate(place, elements, reads)
            every, single = np.split(reads, [words.elements.size])
            order, by_sample = np.argsort(every["block"]), np.lexsort((single["block"], words.rows))
            tables[place] = every[order], single[by_sample], words.rows  # sums of a block are made together
            if words.limits.size:
                checks.append(self._check(place, words.limits))
        return reads_of(tables, checks, 2 * len(self.layers) + 1, n)

    def _check(self, place: int, limits: NDArray[np.int64]) -> tuple[NDArray[Any], Ints]:
        """A tensor that is read through limits, and these as its levels are stored."""
        tensor, check, first = self.tensors[place // 2], np.zeros(1, CHECK), np.zeros(1, np.int64)
        height, width, channels = tensor.shape
        begin = int(tensor.pixels(first, first)[0]) // tensor.item
        check[0] = place, tensor.form, begin, height, width * channels, tensor.pitch, 0
        return check, np.clip(limits + tensor.zero, -(2**31), 2**31 - 1).astype(np.int32)

    def _locate(self, place: int, elements: NDArray[np.int64], reads: NDArray[Any]) -> None:
        """Say where the words of a place on the way lie."""
        number = place // 2
        tensor = self.tensors[number + place % 2]
        row, column, channel = np.unravel_index(elements, tensor.shape)
        reads["place"] = tensor.pixels(row, column) // tensor.item + channel
        reads["form"], reads["zero"] = tensor.form, tensor.zero
        if place % 2:
            step, neighbours = self.program.steps[number], self._layouts[number].neighbours
            firsts = _columns(tensor.shape[1], neighbours)
            output = column // neighbours
            lane = (column - firsts[output]) * tensor.shape[2] + channel
            reads["input"] = self.program.places[0, step["place"] + row * firsts.size + output]
            reads["block"], reads["lane"] = step["block"] + lane // LANES, lane

    def _pass(self, stored: Bytes, kernels: Kernels, begin: int, ends: Bytes, reads: Reads) -> None:
        """Fill ends (n, bytes) with what each sample has from byte `begin` on behind a pass, on all cores."""
        source, blank = self.tensors[0], self.program.blank
        if stored.dtype != np.uint8 or stored.shape[1:] != (source.size,):
            raise InputError(
                f"inputs of shape {stored.shape} are not what this pass has stored, {source.size} bytes each"
            )
        if kernels.weights.size != self.golden.weights.size or kernels.starts.size != self.golden.starts.size:
            raise InputError("the kernels are those of another pass")
        n_at_once = max(OUTPUTS, min(CACHE // blank.size, len(stored) // (TURNS * n_threads())))
        share_out(
            *(run_samples, self.program, kernels, reads, np.ascontiguousarray(stored), ends, begin, n_at_once),
            cost=len(stored) * self.cost,
        )

    @cached_property
    def golden(self) -> Kernels:
        """The layers' own kernels. InputError where a sum may not be exact."""
        parts = [(np.zeros(0, np.uint8), np.zeros(0, np.int32), np.zeros(0, np.float32))]
        for number, layer in self._sums.items():
            packed = self.packed(number, layer.kernel)
            if packed is None:
                raise InputError(f"the sums of layer {number} may reach 2**24, where float32 is not exact")
            parts.append((*packed, self._by_lane(number, layer.offsets)))
        weights, starts, offsets = (np.concatenate(kind) for kind in zip(*parts, strict=True))
        return Kernels(aligned(weights), starts, offsets)

    def faulty(self, words: Mapping[int, tuple[NDArray[Any], NDArray[Any]]]) -> Kernels | None:
        """The kernels with some words replaced; None where sums may pass what is exact.

        words: by the layer's number, (elements of its flat kernel, what they are instead).
        """
        golden = self.golden
        weights, starts = aligned(golden.weights), golden.starts.copy()
        for number, (elements, values) in words.items():
            kernel = self._sums[number].kernel.copy()
            kernel.reshape(-1)[elements] = values
            packed = self.packed(number, kernel)
            if packed is None:
                return None
            weights_at, lane = self._begins[number]
            weights[weights_at : weights_at + packed[0].size] = packed[0]
            starts[lane : lane + packed[1].size] = packed[1]
        return golden._replace(weights=weights, starts=starts)

    def shifted(self, kernels: Kernels, offsets: Mapping[int, Floats]) -> Kernels:
        """Kernels with the offsets of some layers replaced, (output channels,) by the layer's number."""
        by_lane = kernels.offsets.copy()
        for number, values in offsets.items():
            _, lane = self._begins[number]
            lanes = self._by_lane(number, values)
            by_lane[lane : lane + lanes.size] = lanes
        return kernels._replace(offsets=by_lane)

    @cached_property
    def _sources(self) -> tuple[tuple[int, ...], ...]:
        return self.sources or tuple((number,) for number in range(len(self.layers)))

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """The input, and what each layer makes."""
        return placed(self.shape, self.low, self.high, self.layers, self._sources)

    @cached_property
    def _sums(self) -> dict[int, WeightedSum]:
        """The layers that add up, by number."""
        return {
            number: layer.on(self.tensors[number + 1].shape[2]) if isinstance(layer, Merge) else layer
            for number, layer in enumerate(self.layers)
            if not isinstance(layer, MaxPool)
        }

    def _read(self, number: int) -> list[Tensor]:
        """The tensor that each row of a layer's windows lies in."""
        sources = [self.tensors[source] for source in self._sources[number]]
        return sources if len(sources) > 1 else sources * len(self._sums[number].kernel)

    @cached_property
    def _layouts(self) -> dict[int, Layout]:
        layouts = {}
        for number, layer in self._sums.items():
            source, *_ = read = self._read(number)
            row = 0 if isinstance(self.layers[number], Merge) else layer.dilation[0] * source.pitch
            rows = tuple((tensor.at - source.at) // source.item + y * row for y, tensor in enumerate(read))
            width = self.tensors[number + 1].shape[1]
            window = Window(layer.kernel.shape, rows, layer.dilation[1], layer.strides[1], source.shape[2], width)
            layouts[number] = layout_of(window, 4 // source.item)
        return layouts

    @cached_property
    def cost(self) -> float:
        """Instructions a sample, about."""
        numbers = self._layouts.items()
        return sum(layout.cost * prod(self.tensors[number + 1].shape[:2]) for number, layout in numbers)

    @cached_property
    def _begins(self) -> dict[int, tuple[int, int]]:
        """Where the weights and the lanes of each layer begin."""
        begins, weights, lane = {}, 0, 0
        for number, layout in self._layouts.items():
            begins[number] = weights, lane
            weights += layout.elements.size * self._read(number)[0].item
            lane += layout.n_lanes
        return begins

    def _by_lane(self, number: int, values: NDArray[Any]) -> NDArray[Any]:
        """Values of a layer's output channels for its lanes, those that nobody reads included."""
        layout = self._layouts[number]
        tiled = np.tile(values, layout.neighbours)
        return np.pad(tiled, (0, layout.n_lanes - tiled.size))

    def packed(self, number: int, kernel: NDArray[Any]) -> tuple[Bytes, Ints] | None:
        """A layer's weights and what its sums begin with; None where sums may pass what is exact."""
        layer, read = self._sums[number], self._read(number)
        least, most = kernel.min(), kernel.max()
        if not layer.words[0] <= least <= most <= layer.words[1]:
            raise InputError(f"layer {number}: weights go from {least} to {most}; said was {layer.words}")
        if largest_sum(kernel, np.array([tensor.bound for tensor in read])) >= EXACT:
            return None
        kind = np.dtype(np.int8) if read[0].form == BYTES else TYPES[read[0].form]
        weights = np.append(kernel.astype(kind), kind.type(0))[self._layouts[number].elements]
        zeros = np.array([tensor.zero for tensor in read])
        starts = -(zeros @ kernel.sum((1, 2), dtype=np.int64)) if zeros.any() else np.zeros(kernel.shape[3], np.int64)
        return weights.view(np.uint8), self._by_lane(number, starts).astype(np.int32)

    def outputs(self, number: int, target: Tensor) -> NDArray[np.int64]:
        """Where in a sample's bytes a layer's tiles store what they make in `target`."""
        height, width, _ = target.shape
        neighbours = self._layouts[number].neighbours
        return target.begins(np.arange(height), _columns(width, neighbours))

    @cached_property
    def program(self) -> Program:
        """What a pass does, whatever it multiplies with."""
        steps, blocks = np.zeros(len(self.layers), STEP), list[tuple[int, ...]]()
        places, taps = [np.zeros((2, 0), np.int64)], [np.zeros(0, np.int64)]
        n_places = n_taps = 0
        for number, (layer, step) in enumerate(zip(self.layers, steps, strict=True)):
            source, target = self.tensors[self._sources[number][0]], self.tensors[number + 1]
            height, width, channels = target.shape
            step["form"], step["into"], step["zero"] = source.form, target.form, target.zero
            if isinstance(layer, MaxPool):
                first = np.zeros(1, np.int64)
                step["kind"], step["lanes"] = MAXIMUM, channels
                step["source"], step["target"] = source.begins(first, first)[0], target.begins(first, first)[0]
                step["pitch"], step["pitch_out"] = source.pitch, target.pitch
                step["height"], step["width"], _ = source.shape
                step["height_out"], step["width_out"] = height, width
                (step["rows"], step["columns"]), (step["down"], step["across"]) = layer.size, layer.strides
                (step["above"], _), (step["left"], _) = layer.pads
                continue
            layer = self._sums[number]
            (above, _), (left, _) = layer.pads
            layout = self._layouts[number]
            weights, step["lane"] = self._begins[number]
            step["lanes"] = channels * layout.neighbours
            step["scale"], step["low"], step["high"], step["rounds"] = layer.scale, layer.low, layer.high, layer.rounds
            rows, columns = np.arange(height), _columns(width, layout.neighbours)
            inputs = source.begins(rows * layer.strides[0] - above, columns * layer.strides[1] - left)
            places.append(np.stack([inputs, target.begins(rows, columns)]))
            step["place"], step["stop_place"] = n_places, n_places + inputs.size
            step["block"], step["stop_block"] = len(blocks), len(blocks) + len(layout.blocks)
            n_places += inputs.size
            for block in layout.blocks:
                blocks.append((n_taps, n_taps + block.taps.size, weights, block.lane))
                taps.append(block.taps * source.item)
                n_taps += block.taps.size
                weights += block.elements.size * source.item
        blank = [tensor.stored(np.zeros((1, *tensor.shape), np.float32))[0] for tensor in self.tensors]
        lines = [np.pad(tensor, (0, -tensor.size % LINE)) for tensor in blank]
        return Program(
            steps,
            np.array(blocks, BLOCK),
            np.concatenate(places, 1),
            np.concatenate(taps).astype(np.int32),
            np.concatenate(lines),
        )


def _columns(width: int, neighbours: int) -> NDArray[np.int64]:
    """The first of the neighbouring outputs of a row that are computed as one; the last ones may overlap."""
    return np.minimum(np.arange(0, width, neighbours), width - neighbours)


def aligned(weights: Bytes) -> Bytes:
    """A copy that begins with a cache line."""
    room = np.empty(weights.size + LINE, np.uint8)
    begin = -room.ctypes.data % LINE
    room[begin : begin + weights.size] = weights
    return room[begin : begin + weights.size]
