"""Weighted sums in a row, biases and relus between them, in a core's cache: a float tail.

A layer is a sparse matrix, whatever windows it has, and multiplies the values of 32 samples at once, which lie side by
side. No quantizer follows a sum that is not exact, so that the order of additions is free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numba
import numpy as np

from fkeras.engines.cpu.channels import Floats, Ints
from fkeras.engines.cpu.vectors import add_products
from fkeras.network import Network, Node
from fkeras.network.operation import Operation, Shape
from fkeras.network.pointwise import Relu
from fkeras.network.shapes import Reshape
from fkeras.network.sums import Bias, Convolution, Dense, TransposedConvolution
from fkeras.network.windows import pads

LANES = 32
MOST_TERMS = 2**21
"""Entries of the largest matrix."""


class Program(NamedTuple):
    """Layers in a row. rows (layers + 1,): where each one's outputs begin, counted through all layers; starts: where
    each output's terms begin; terms: which of its layer's inputs; factors: times what; offsets: plus what, at least
    low (layers,)."""

    rows: Ints
    starts: Ints
    terms: Ints
    factors: Floats
    offsets: Floats
    low: Floats


@dataclass(frozen=True, eq=False)
class Tail:
    """Nodes in a row, each the only reader of the one before it."""

    nodes: tuple[Node, ...]
    program: Program
    shape: Shape

    def __call__(self, x: Floats) -> Floats:
        """The last node's result for samples of the first one's input."""
        results = np.empty((len(x), *self.shape), np.float32)
        run(np.ascontiguousarray(x.reshape(len(x), -1)), self.program, results.reshape(len(x), -1))
        return results


def tail_from(network: Network, nodes: Sequence[Node]) -> Tail | None:
    """The longest row of weighted sums that begins with the first of some nodes; None where not even that is one."""
    row: list[Node] = []
    for node in nodes:
        if row and (node.inputs != (row[-1].name,) or len(network.readers(row[-1].name)) > 1):
            break
        if row and row[-1].name in network.outputs:
            break
        if not _goes_on(node.operation, [part.operation for part in row]):
            break
        row.append(node)
    if not row:
        return None
    return Tail(tuple(row), _packed(network, row), network.shapes[row[-1].name])


def _goes_on(operation: Operation, row: Sequence[Operation]) -> bool:
    """Whether a row can have the operation next: sums; behind them biases, then relus."""
    match operation:
        case Dense() | TransposedConvolution() | Convolution(groups=1):
            return True
        case Bias():
            before = next((part for part in reversed(row) if not isinstance(part, Reshape)), None)
            return before is not None and not isinstance(before, Relu)
        case _:
            return bool(row) and (isinstance(operation, Reshape) or operation == Relu())


def _packed(network: Network, nodes: Sequence[Node]) -> Program:
    layers: list[tuple[Ints, Ints, Floats]] = []
    offsets: list[Floats] = []
    low: list[float] = []
    for node in nodes:
        shape = network.shapes[node.name]
        match node.operation:
            case Bias(bias=bias):
                offsets[-1] += np.broadcast_to(network.values[bias], shape).reshape(-1)
            case Relu():
                low[-1] = 0
            case Dense() | Convolution() | TransposedConvolution() as operation:
                layers.append(_terms(operation, network.values, network.shapes[node.inputs[0]], shape))
                offsets.append(np.zeros(prod(shape), np.float32))
                low.append(-np.inf)
    counts, terms, factors = (np.concatenate(parts) for parts in zip(*layers, strict=True))
    return Program(
        np.cumsum([0, *(part.size for part in offsets)], dtype=np.int32),
        np.cumsum([0, *counts], dtype=np.int32),
        terms,
        factors,
        np.concatenate(offsets),
        np.array(low, np.float32),
    )


def _terms(
    operation: Dense | Convolution | TransposedConvolution, values: Mapping[str, Floats], shape: Shape, result: Shape
) -> tuple[Ints, Ints, Floats]:
    """Of each output, how many terms it has; of all of them, one after the other, the inputs and the factors."""
    kernel, reached = _by_input(operation, values, shape, result)
    place, tap = np.nonzero(reached >= 0)
    n_in, _, n_out = kernel.shape
    one_place = np.broadcast_to(place[:, None, None], (place.size, n_in, n_out))
    channel_in, channel = np.indices((n_in, n_out))
    rows = (reached[place, tap][:, None, None] * n_out + channel).reshape(-1)
    columns = (one_place * n_in + channel_in).reshape(-1)
    factors = kernel[:, tap].swapaxes(0, 1).reshape(-1)
    order = np.lexsort((columns, rows))
    counts = np.bincount(rows, minlength=prod(result))
    return counts.astype(np.int32), columns[order].astype(np.int32), np.ascontiguousarray(factors[order])


def _by_input(
    operation: Dense | Convolution | TransposedConvolution, values: Mapping[str, Floats], shape: Shape, result: Shape
) -> tuple[Floats, Ints]:
    """The kernel (input channels, taps, channels), and the output place that each input place reaches by each tap."""
    kernel = values[operation.kernel]
    if isinstance(operation, Dense):
        return kernel[:, None], np.arange(prod(shape[:-1]), dtype=np.int32)[:, None]
    size, lengths = kernel.shape[:-2], shape[:-1]
    taps = kernel.reshape(-1, *kernel.shape[-2:])
    outputs, stride, rate = result[:-1], np.array(operation.strides), np.array(operation.dilation)
    place = np.stack(np.unravel_index(np.arange(prod(lengths)), lengths), axis=-1)[:, None]
    tap = np.stack(np.unravel_index(np.arange(prod(size)), size), axis=-1)[None]
    if isinstance(operation, TransposedConvolution):
        target, apart = place * stride + tap * rate - np.array(operation.start(size)), np.ones_like(stride)
        taps = taps.transpose(2, 0, 1)
    else:
        before = [part[0] for part in pads(lengths, size, operation.strides, operation.dilation, operation.padding)]
        target, apart = place + np.array(before) - tap * rate, stride
        taps = taps.transpose(1, 0, 2)
    inside = ((target >= 0) & (target % apart == 0) & (target // apart < outputs)).all(axis=-1)
    reached = np.ravel_multi_index(tuple(np.moveaxis(np.where(inside[..., None], target // apart, 0), -1, 0)), outputs)
    return np.ascontiguousarray(taps), np.where(inside, reached, -1).astype(np.int32)


@numba.njit(parallel=True, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def run(x: Floats, program: Program, results: Floats) -> None:  # pragma: no cover - compiled
    """All layers of all samples: x (n, inputs), results (n, outputs)."""
    rows, most = program.rows, x.shape[1]
    for layer in range(rows.size - 1):
        most = max(most, rows[layer + 1] - rows[layer])
    for block in numba.prange((x.shape[0] + LANES - 1) // LANES):
        first, n = block * LANES, min(LANES, x.shape[0] - block * LANES)
        values, others = np.zeros((most, LANES), np.float32), np.zeros((most, LANES), np.float32)
        values[: x.shape[1], :n] = x[first : first + n].T
        for layer in range(rows.size - 1):
            given, low = values.reshape(-1), program.low[layer]
            for row in range(rows[layer], rows[layer + 1]):
                sums = others[row - rows[layer]]
                sums[:] = program.offsets[row]
                begin, stop = program.starts[row], program.starts[row + 1]
                add_products(sums, 0, LANES, given, 0, program.terms, program.factors, begin, stop)
                for lane in range(LANES):
                    sums[lane] = max(sums[lane], low)
            values, others = others, values
        results[first : first + n] = values[: results.shape[1], :n].T
