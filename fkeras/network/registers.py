"""Which tensors of a network are held in words that are written anew for every sample, and in which words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod

import numpy as np

from fkeras.errors import Argument, ModelError, Name, said
from fkeras.faults.register_patch import RegisterPatch
from fkeras.memory import (
    Binary,
    BitSpace,
    Codec,
    FixedPoint,
    LayerChoice,
    MixedFixedPoint,
    PowerOfTwo,
    Register,
    Ternary,
    Uncovered,
)
from fkeras.memory.layout import MAX_WIDTH, Bits
from fkeras.memory.register import Registers
from fkeras.network.merges import Concatenate
from fkeras.network.network import Network, Node
from fkeras.network.operation import UNKNOWN, Floats, Grid, Shape, grid_of
from fkeras.network.pointwise import Function, Quantize, Relu, Steps
from fkeras.network.pools import MaxPool
from fkeras.network.shapes import Cropping, Permute, Repeat, Reshape, ZeroPadding
from fkeras.network.sums import Affine, Bias, WeightedSum

_MOVES = (Reshape, Permute, ZeroPadding, Cropping, Repeat, MaxPool)
_POINTWISE = (Bias, Affine, Relu, Function, Quantize, Steps)
Words = tuple[Codec | MixedFixedPoint, float]
"""A codec, and what its numbers are multiplied with."""
Why = tuple[str | Argument, ...]
Holder = tuple[str, Register | Uncovered]
"""A layer, and what it holds."""


def register_space(
    network: Network, kind: Registers, layers: str | Sequence[str] = "*", input_format: FixedPoint | None = None
) -> BitSpace:
    """The registers of one kind in the chosen layers. ModelError where there are none.

    input_format: in which words inputs come that no quantizer reads.
    """
    holders = list(_KINDS[kind](network, input_format))
    choice = LayerChoice(layers)
    choice.require_matches(list(dict.fromkeys([*(layer for layer, _ in holders), *_layers(network)])))
    registers: list[Register] = []
    uncovered: list[Uncovered] = []
    for layer, held in holders:
        if isinstance(held, Uncovered):
            uncovered.append(held)
        elif choice(layer):
            registers.append(held)
        else:
            uncovered.append(_left_out(held.path, held.shape, ("not chosen by ", Argument("layers"))))
    if not registers:
        parts: list[Why] = [(f"{one.path} ({one.n_values} values: ", *one.parts, ")") for one in uncovered[:5]]
        why = [part for one in parts for part in ("; ", *one)][1:] or ["nothing of that kind"]
        raise ModelError(f"model '{network.name}' holds no {kind} in words of known width: ", *why)
    return BitSpace((), tuple(uncovered), registers=tuple(registers))


def faulty_reads(
    network: Network, patches: Iterable[RegisterPatch], rows: Bits
) -> dict[str, Callable[[Floats], Floats]]:
    """By tensor, what is read in place of its values, of the samples with these numbers, ascending."""
    reads: dict[str, Callable[[Floats], Floats]] = {}
    for patch in patches:
        tensor = patch.register.tensor
        reads[tensor] = partial(_read, network, patch, rows, reads.get(tensor))
    return reads


def _read(
    network: Network, patch: RegisterPatch, rows: Bits, before: Callable[[Floats], Floats] | None, x: Floats
) -> Floats:
    """What is read through a register in place of x, of which another one may have been read before."""
    values = x if before is None else before(x)
    quantizer = network.operations.get(patch.register.quantizer)
    words = values if quantizer is None else quantizer.compute(network.values, values)
    return patch.read(values, words, rows)


def with_outputs(network: Network, registers: Iterable[Register]) -> Network:
    """The network in which what goes out through registers stands apart from what layers read."""
    paths = [f"{called}/output" for called in network.output_names]
    apart = {register.tensor for register in registers if register.memory == "outputs"}.difference(network.shapes)
    nodes = [
        Node(path, Reshape(network.shapes[name]), (name,))
        for path, name in zip(paths, network.outputs, strict=True)
        if path in apart
    ]
    outputs = [path if path in apart else name for path, name in zip(paths, network.outputs, strict=True)]
    return replace(network, nodes=(*network.nodes, *nodes), outputs=tuple(outputs)) if nodes else network


def pointwise_behind(network: Network, tensor: str) -> list[Node]:
    """The functions of one number that a tensor goes through, one after the other, before anything else reads it."""
    nodes: list[Node] = []
    while tensor not in network.outputs and len(readers := network.readers(tensor)) == 1:
        operation = readers[0].operation
        if not isinstance(operation, _POINTWISE) or (isinstance(operation, Function) and operation.name == "softmax"):
            break
        nodes.append(readers[0])
        tensor = readers[0].name
    return nodes


def _layers(network: Network) -> list[str]:
    names = [*(part.name for part in network.inputs), *(layer_of(node.name) for node in network.nodes)]
    return list(dict.fromkeys(names))


def layer_of(node: str) -> str:
    """The path of the layer that a node is a part of."""
    return node.rpartition("/")[0]


def _left_out(path: str, shape: Shape, why: Why) -> Uncovered:
    return Uncovered(path, prod(shape), said(why), why, layer_of(path))


def _activations(network: Network, input_format: FixedPoint | None) -> Iterator[Holder]:
    for node in network.nodes:
        shape, layer = network.shapes[node.name], layer_of(node.name)
        if isinstance(node.operation, Quantize | Steps):
            words = words_of(network, node.operation, shape)
            if words is None:
                yield layer, _left_out(node.name, shape, ("its quantizer's levels are no words that are known",))
            else:
                yield layer, Register(node.name, shape, words[0], "activations", node.name, words[1])
        elif _is_float(network, node):
            yield layer, _left_out(node.name, shape, ("no quantizer makes words of it",))


def _is_float(network: Network, node: Node) -> bool:
    """Whether others than quantizers read what a node makes, or users do, and it is in no quantizer's words."""
    if isinstance(node.operation, (*_MOVES, Quantize, Steps, Concatenate)):
        return False
    readers = network.readers(node.name)
    return node.name in network.outputs or any(not isinstance(each.operation, _POINTWISE) for each in readers)


def _inputs(network: Network, input_format: FixedPoint | None) -> Iterator[Holder]:
    for part in network.inputs:
        path, readers = f"{part.name}/input", network.readers(part.name)
        first = readers[0].operation if readers else None
        words = words_of(network, first, part.shape) if isinstance(first, Quantize | Steps) else None
        if words is not None and all(reader.operation == first for reader in readers):
            yield part.name, Register(path, part.shape, words[0], "inputs", part.name, words[1], readers[0].name)
        elif input_format is not None:
            yield part.name, Register(path, part.shape, input_format, "inputs", part.name)
        else:
            stated = Argument("input_format", Name("fkeras.memory.FixedPoint(8, 0)"))
            why = "no quantizer reads it; ", stated, " says in which words it comes"
            yield part.name, _left_out(path, part.shape, why)


def _outputs(network: Network, input_format: FixedPoint | None) -> Iterator[Holder]:
    for name, called in zip(network.outputs, network.output_names, strict=True):
        path, shape, source = f"{called}/output", network.shapes[name], name
        while isinstance(network.operations.get(source), Reshape):
            source = network.makers[source].inputs[0]
        operation = network.operations.get(source)
        words = (
            words_of(network, operation, network.shapes[source]) if isinstance(operation, Quantize | Steps) else None
        )
        if words is None:
            yield called, _left_out(path, shape, ("no quantizer makes words of it",))
        else:
            is_apart = network.readers(name) or network.outputs.count(name) > 1  # who reads it there reads it right
            yield called, Register(path, shape, words[0], "outputs", path if is_apart else name, words[1])


def _accumulators(network: Network, input_format: FixedPoint | None) -> Iterator[Holder]:
    known = UNKNOWN if input_format is None else Grid(input_format.step, input_format.largest, True)
    grids = network.grids({part.name: known for part in network.inputs}, network.values)
    for node in network.nodes:
        if not isinstance(node.operation, WeightedSum):
            continue
        path, shape, grid = _accumulator(node.name), network.shapes[node.name], grids[node.name]
        if grid.step is None:
            why: Why = ("it reads what is in no quantizer's words, or its sums are not exact in float32",)
            yield layer_of(node.name), _left_out(path, shape, why)
        else:
            most = np.ceil(grid.bound / grid.step)
            codec = _fixed(np.float64(grid.step), -most, most)
            assert codec is not None
            yield layer_of(node.name), Register(path, shape, codec, "accumulators", node.name)


def _accumulator(node: str) -> str:
    """`layer/sum#2` is `layer/accumulator#2`, `layer/depthwise` is `layer/depthwise_accumulator`."""
    layer, slash, part = node.rpartition("/")
    part, mark, call = part.partition("#")
    return f"{layer}{slash}{'' if part == 'sum' else f'{part}_'}accumulator{mark}{call}"


_KINDS: Mapping[Registers, Callable[[Network, FixedPoint | None], Iterator[Holder]]] = {
    "activations": _activations,
    "inputs": _inputs,
    "outputs": _outputs,
    "accumulators": _accumulators,
}


def words_of(network: Network, operation: Quantize | Steps, shape: Shape) -> Words | None:
    """The narrowest words that hold all that a quantizer makes; None where none of those that are known do."""
    if isinstance(operation, Steps):
        return words_of_levels(network.values[operation.levels])
    step, low, high = (np.asarray(part, np.float64) for part in operation.limits(network.values.__getitem__))
    if step.size == low.size == high.size == 1:
        codec: Codec | MixedFixedPoint | None = _fixed(step.reshape(-1)[0], low.reshape(-1)[0], high.reshape(-1)[0])
    else:
        step, low, high = (np.broadcast_to(part, shape).reshape(-1) for part in (step, low, high))
        codec = MixedFixedPoint(*_format(step, low, high)) if (_format(step, low, high)[0] <= MAX_WIDTH).all() else None
    return None if codec is None else (codec, 1.0)


def words_of_levels(levels: Floats) -> Words | None:
    """The same for a quantizer of few levels."""
    distinct = np.unique(levels.astype(np.float64))
    most = float(np.abs(distinct).max())
    magnitudes, exponents = np.frexp(np.abs(distinct))
    if most == 0:
        return None
    if np.array_equal(distinct, [-most, most]):
        return Binary(), most
    if np.array_equal(distinct, [-most, 0, most]):
        return Ternary(), most
    if (magnitudes == 0.5).all() and distinct[0] < 0:
        low, high = int(exponents.min()) - 1, int(exponents.max()) - 1
        counted = int(high - low).bit_length()
        width = counted if high <= 0 else max(int(high).bit_length(), int(-low - 1).bit_length() if low < 0 else 0) + 1
        return (PowerOfTwo(1 + max(width, 1), high if high <= 0 else None), 1.0) if width < 8 else None
    step = grid_of(levels).step
    scale = float(np.abs(distinct[distinct != 0]).min()) if step is None else 1.0
    unit = scale if step is None else step
    codes = distinct / unit
    if not np.allclose(codes, np.rint(codes), rtol=0, atol=1e-4):
        return None
    codec = _fixed(np.float64(1.0 if step is None else step), np.rint(codes[0]), np.rint(codes[-1]))
    return None if codec is None else (codec, scale)


def _format(step: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Width, integer bits and sign of the narrowest fixed point from low to high steps."""
    signed = low < 0
    width = np.frexp(np.maximum(high, -low - 1))[1] + signed
    return width, np.frexp(step)[1] - 1 + width - signed, signed


def _fixed(step: np.float64, low: np.float64, high: np.float64) -> FixedPoint | None:
    width, integer, signed = (int(part) for part in _format(np.asarray(step), np.asarray(low), np.asarray(high)))
    return FixedPoint(width, integer, bool(signed)) if 1 <= width <= MAX_WIDTH else None
