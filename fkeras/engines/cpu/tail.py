"""Weighted sums in a row, biases and relus between them, in a core's cache: a float tail.

A layer is a sparse matrix, whatever windows it has, and multiplies the values of 32 samples at once, which lie side by
side. No quantizer follows a sum that is not exact, so that the order of additions is free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.passes import Floats, Ints, next_of, share_out
from fkeras.compiled import compiled
from fkeras.engines.cpu.vectors import LANES, ROWS, add_row, add_rows
from fkeras.network import Network, Node
from fkeras.network.operation import Operation, Shape
from fkeras.network.pointwise import Relu
from fkeras.network.shapes import Reshape
from fkeras.network.sums import Bias, Convolution, Dense, TransposedConvolution
from fkeras.network.windows import pads

VECTOR = 16
"""Samples that one instruction adds to."""


class Program(NamedTuple):
    """Layers in a row. rows (layers + 1,): where each one's outputs begin, counted through all layers; blocks
    (layers + 1,): where each one's blocks begin, of outputs that have the same terms: first (blocks + 1,), their first
    output; starts (blocks + 1,): where their terms begin; terms: which of the layer's inputs; at (blocks,): where the
    factors begin, term by term, a factor an output; offsets: plus what, at least low (layers,)."""

    rows: Ints
    blocks: Ints
    first: Ints
    starts: Ints
    terms: Ints
    at: Ints
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
        flat = np.ascontiguousarray(x.reshape(len(x), -1)), self.program, results.reshape(len(x), -1)
        share_out(run, *flat, cost=len(x) * self.program.factors.size / VECTOR)
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
    sizes = np.array([part.size for part in offsets])
    blocks = [_blocks(*layer) for layer in layers]
    counts = np.concatenate([layer.n_outputs for layer in blocks])
    n_terms = np.concatenate([layer.n_terms for layer in blocks])
    return Program(
        _begins(sizes),
        _begins(np.array([layer.n_terms.size for layer in blocks])),
        _begins(counts),
        _begins(n_terms),
        np.concatenate([layer.terms for layer in blocks]),
        _begins(counts * n_terms)[:-1],
        np.concatenate([layer.factors for layer in blocks]),
        np.concatenate(offsets),
        np.array(low, np.float32),
    )


def _begins(sizes: NDArray[Any]) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)


class Blocks(NamedTuple):
    """Outputs of a layer that have the same terms, (blocks,) each: how many; how many terms; the terms and the factors,
    flat."""

    n_outputs: Ints
    n_terms: Ints
    terms: Ints
    factors: Floats


def _blocks(counts: Ints, terms: Ints, factors: Floats) -> Blocks:
    """The same outputs, ROWS at once where neighbours have the same terms."""
    starts = _begins(counts)
    by_output = np.split(terms, starts[1:-1]), np.split(factors, starts[1:-1])
    n_outputs, lists, flat = list[int](), list[Ints](), list[Floats]()
    output = 0
    while output < counts.size:
        same, *others = by_output[0][output : output + ROWS]
        alike = len(others) == ROWS - 1 and all(np.array_equal(same, other) for other in others)
        n_outputs.append(ROWS if alike else 1)
        lists.append(same)
        flat.append(np.stack(by_output[1][output : output + n_outputs[-1]], 1).reshape(-1))
        output += n_outputs[-1]
    sizes = np.array([part.size for part in lists], np.int32)
    return Blocks(np.array(n_outputs, np.int32), sizes, np.concatenate(lists), np.concatenate(flat))


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


@compiled
def run(x: Floats, program: Program, results: Floats, turn: NDArray[np.int64]) -> None:  # pragma: no cover - compiled
    """All layers of all samples: x (n, inputs), results (n, outputs); turn: shared by all threads."""
    rows, most = program.rows, x.shape[1]
    for layer in range(rows.size - 1):
        most = max(most, rows[layer + 1] - rows[layer])
    terms, factors, offsets = program.terms, program.factors, program.offsets
    values, others = np.zeros((most, LANES), np.float32), np.zeros((most, LANES), np.float32)
    while True:
        first = next_of(turn) * LANES
        if first >= x.shape[0]:
            break
        n = min(LANES, x.shape[0] - first)
        values[: x.shape[1], :n] = x[first : first + n].T
        for layer in range(rows.size - 1):
            low = program.low[layer]
            for number in range(program.blocks[layer], program.blocks[layer + 1]):
                output, begin, stop = program.first[number], program.starts[number], program.starts[number + 1]
                row, at = output - rows[layer], program.at[number]
                if program.first[number + 1] - output == ROWS:
                    add_rows(others, row, values, terms, begin, stop, factors, at, offsets, output, low)
                else:
                    add_row(others, row, values, terms, begin, stop, factors, at, offsets, output, low)
            values, others = others, values
        results[first : first + n] = values[: results.shape[1], :n].T
