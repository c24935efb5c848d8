"""Derivatives of a network's outputs in its parameters: forwards once, backwards once, straight through roundings.

Each kind of node has a rule for its slope backwards, and one for first-order changes forwards. Changes are carried as
the imaginary parts of complex numbers, so that one set of rules gives first derivatives, and, run on complex numbers,
products with second ones to machine precision (complex-step differentiation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from itertools import product
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.memory import Register
from fkeras.network.fit import exact_nodes
from fkeras.network.merges import Concatenate, Merge
from fkeras.network.network import Network, Node
from fkeras.network.operation import Linear, Operation, grid_of
from fkeras.network.pointwise import Function, Quantize, Relu, Steps
from fkeras.network.pools import AveragePool, MaxPool, Pool
from fkeras.network.registers import pointwise_behind
from fkeras.network.shapes import Cropping, Permute, Repeat, Reshape, ZeroPadding
from fkeras.network.sums import (
    Affine,
    Bias,
    Convolution,
    Dense,
    DepthwiseConvolution,
    Einsum,
    TransposedConvolution,
    WeightedSum,
)
from fkeras.network.windows import pads, spread, windows

Array = NDArray[Any]
Parameters = Mapping[str, Array]
Slopes = tuple[tuple[Array, ...], dict[str, Array]]
"""Of the inputs in order, and of the parameters by name."""
TINY = 1e-20
"""The size of a first-order change: its square is nothing beside 1."""
MOST_FLOATS = 2**22
"""Bounds the windows that are copied at once."""


class Trace:
    """A network evaluated on some samples, ready to be differentiated.

    inputs: arrays in the network's order; values: parameters by name, complex where changes are to be followed.
    """

    def __init__(self, network: Network, inputs: Sequence[Array], values: Parameters | None = None) -> None:
        self._network, self._values = network, network.values if values is None else values
        self._nodes = network.before(network.outputs)
        self._tensors: dict[str, Array] = {
            part.name: np.asarray(x, np.float32) for part, x in zip(network.inputs, inputs, strict=True)
        }
        grids = network.grids({name: grid_of(x) for name, x in self._tensors.items()}, network.values)
        exact = exact_nodes(network, grids) if values is None else frozenset()
        with np.errstate(all="ignore"):
            for node in self._nodes:
                operation, given = node.operation, [self._tensors[name] for name in node.inputs]
                read = [self._values[name] for name in operation.parameters]
                if any(map(np.iscomplexobj, (*given, *read))):
                    result = changed(operation, self._values, *given)
                elif node.name in exact and isinstance(operation, WeightedSum):
                    result = operation.on(self._values, *given)  # in float32, for half the time
                else:
                    result = operation.compute(self._values, *given)
                self._tensors[node.name] = result

    @property
    def outputs(self) -> tuple[Array, ...]:
        """The outputs."""
        return tuple(self._tensors[name] for name in self._network.outputs)

    def tensor(self, name: str) -> Array:
        """What an input or a node is, of each sample."""
        return self._tensors[name]

    def pull(self, slopes: Sequence[Array], parameters: Sequence[str], tensors: Sequence[str] = ()) -> list[Array]:
        """J^T slopes: of a number whose slopes in the outputs are given, the slopes in `parameters`, summed over the
        samples, and in `tensors`, of each sample."""
        wanted = set(parameters)
        reached = self._depending_on(wanted, tensors)
        whole: dict[str, Array] = {}
        found: dict[str, Array] = {}
        for name, slope in zip(self._network.outputs, slopes, strict=True):
            _add(whole, name, slope)
        with np.errstate(all="ignore"):
            for node in reversed(self._nodes):
                if node.name not in whole or not self._leads_to(node, wanted, reached):
                    continue
                given = [self._tensors[name] for name in node.inputs]
                slope = whole[node.name] if node.name in tensors else whole.pop(node.name)
                read, of_operation = pulled(node.operation, self._values, given, self._tensors[node.name], slope)
                for name, part in zip(node.inputs, read, strict=True):
                    if name in reached:
                        _add(whole, name, part)
                for name in wanted.intersection(of_operation):
                    _add(found, name, of_operation[name])
        of_parameters = [found.get(name, np.zeros(self._values[name].shape)) for name in parameters]
        return [*of_parameters, *(whole.get(name, np.zeros(self._tensors[name].shape)) for name in tensors)]

    def _depending_on(self, parameters: set[str], tensors: Sequence[str]) -> set[str]:
        reached = set(tensors)
        for node in self._nodes:
            if self._leads_to(node, parameters, reached):
                reached.add(node.name)
        return reached

    @staticmethod
    def _leads_to(node: Node, parameters: set[str], reached: set[str]) -> bool:
        return bool(parameters.intersection(node.operation.parameters) or reached.intersection(node.inputs))


def _add(sums: dict[str, Array], name: str, slope: Array) -> None:
    sums[name] = sums[name] + slope if name in sums else slope


def _summed_to(slope: Array, shape: tuple[int, ...]) -> Array:
    """`slope` summed over the axes along which an array of `shape` was repeated."""
    extra = slope.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + axis for axis, size in enumerate(shape) if size == 1 and slope.shape[extra + axis] != 1
    )
    return slope.sum(axes).reshape(shape) if axes else slope


# Forwards: the result of real numbers, and what their changes make of it.


@singledispatch
def changed(operation: Operation, values: Parameters, *given: Array) -> Array:
    """The result for complex numbers; their imaginary parts are followed to first order."""
    raise NotImplementedError(f"no rule for {type(operation).__name__}")


@changed.register
def _(operation: Linear, values: Parameters, *given: Array) -> Array:
    return operation.on(values, *given)


def _real_plus(operation: Operation, values: Parameters, x: Array, change: Array) -> Array:
    real = {name: values[name].real for name in operation.parameters}
    return operation.compute(real, x.real.astype(np.float32)) + 1j * change


@changed.register
def _(operation: Quantize, values: Parameters, *given: Array) -> Array:
    (x,) = given
    return _real_plus(operation, values, x, x.imag * _passes(operation, values, x))


@changed.register
def _(operation: Steps, values: Parameters, *given: Array) -> Array:
    (x,) = given
    return _real_plus(operation, values, x, x.imag * (operation.through == "input"))


@changed.register
def _(operation: Relu, values: Parameters, *given: Array) -> Array:
    (x,) = given
    return _real_plus(operation, values, x, x.imag * _relu_slope(operation, x))


@changed.register
def _(operation: Function, values: Parameters, *given: Array) -> Array:
    (x,) = given
    if operation.name == "softmax":
        y = operation.compute({}, x.real.astype(np.float32)).astype(np.float64)
        return np.asarray(y + 1j * y * (x.imag - (y * x.imag).sum(-1, keepdims=True)))
    return _real_plus(operation, values, x, x.imag * SLOPES[operation.name](x.real))


@changed.register
def _(operation: MaxPool, values: Parameters, *given: Array) -> Array:
    (x,) = given
    view, largest = _largest(operation, x)
    return np.take_along_axis(view, largest[..., None], -1)[..., 0]


@changed.register
def _(operation: Merge, values: Parameters, *given: Array) -> Array:
    if operation.kind in ("maximum", "minimum"):
        result = given[0]
        for x in given[1:]:
            first = result.real >= x.real if operation.kind == "maximum" else result.real <= x.real
            result = np.where(first, result, x)
        return result
    return operation.on(values, *given)


# Backwards: slopes of the result to slopes of what it was made of.


@singledispatch
def pulled(operation: Operation, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    """The slopes of a node's inputs and parameters, of the slope of its result."""
    raise NotImplementedError(f"no rule for {type(operation).__name__}")


@pulled.register
def _(operation: Dense, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    (x,), kernel = given, values[operation.kernel]
    flat = x.reshape(-1, x.shape[-1]), slope.reshape(-1, slope.shape[-1])
    return (slope @ kernel.T,), {operation.kernel: flat[0].T @ flat[1]}


@pulled.register
def _(operation: Einsum, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    (x,), kernel = given, values[operation.kernel]
    read, held, written = operation.axes
    of_x = np.einsum(f"{written},{held}->{read}", slope, kernel)
    return (of_x,), {operation.kernel: np.einsum(f"{written},{read}->{held}", slope, x)}


@pulled.register
def _(operation: Convolution, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    (x,), kernel = given, values[operation.kernel]
    size, rank = kernel.shape[:-2], kernel.ndim - 2
    geometry = operation.strides, operation.dilation
    start = tuple(
        before for before, _ in pads(x.shape[1:-1], size, operation.strides, operation.dilation, operation.padding)
    )
    of_x, of_kernel = [], []
    for group, columns, part in zip(
        *(np.split(array, operation.groups, axis=-1) for array in (x, kernel, slope)), strict=True
    ):
        of_x.append(spread(part, columns, *geometry, start, x.shape[1:-1]))
        view = windows(group, size, *geometry, operation.padding)
        over = list(range(rank + 1))
        of_kernel.append(np.moveaxis(np.tensordot(view, part, (over, over)), 0, rank))
    return (np.concatenate(of_x, -1),), {operation.kernel: np.concatenate(of_kernel, -1)}


@pulled.register
def _(
    operation: DepthwiseConvolution, values: Parameters, given: Sequence[Array], result: Array, slope: Array
) -> Slopes:
    (x,), kernel = given, values[operation.kernel]
    size = kernel.shape[:-2]
    per_input = slope.reshape(*slope.shape[:-1], *kernel.shape[-2:])
    window = "ij"[: len(size)]
    view = windows(x, size, operation.strides, operation.dilation, operation.padding)
    of_kernel = np.einsum(f"{'nhw'[: len(size) + 1]}c{window},{'nhw'[: len(size) + 1]}cm->{window}cm", view, per_input)
    around = pads(x.shape[1:-1], size, operation.strides, operation.dilation, operation.padding)
    whole = np.zeros(
        (x.shape[0], *(n + a + b for n, (a, b) in zip(x.shape[1:-1], around, strict=True)), x.shape[-1]),
        np.result_type(slope, kernel),
    )
    for place in product(*map(range, size)):
        into = tuple(
            slice(at * rate, at * rate + (n - 1) * stride + 1, stride)
            for at, rate, n, stride in zip(place, operation.dilation, slope.shape[1:-1], operation.strides, strict=True)
        )
        whole[(slice(None), *into)] += (per_input * kernel[place]).sum(-1)
    inner = tuple(slice(a, a + n) for n, (a, _) in zip(x.shape[1:-1], around, strict=True))
    return (whole[(slice(None), *inner)],), {operation.kernel: of_kernel}


@pulled.register
def _(
    operation: TransposedConvolution, values: Parameters, given: Sequence[Array], result: Array, slope: Array
) -> Slopes:
    (x,), kernel = given, values[operation.kernel]
    rank = kernel.ndim - 2
    view = windows(slope, kernel.shape[:-2], operation.strides, operation.dilation, operation.padding)
    over = [rank + 1 + axis for axis in (*range(1, rank + 1), 0)]
    samples = list(range(rank + 1))
    of_kernel = np.moveaxis(np.tensordot(view, x, (samples, samples)), 0, rank)
    return (np.tensordot(view, kernel, (over, list(range(rank + 1)))),), {operation.kernel: of_kernel}


@pulled.register
def _(operation: Bias, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    return (slope,), {operation.bias: _summed_to(slope, values[operation.bias].shape)}


@pulled.register
def _(operation: Affine, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    return (slope * values[operation.scale],), {}


@pulled.register
def _(operation: Quantize, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    return (slope * _passes(operation, values, given[0]),), {}


@pulled.register
def _(operation: Steps, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    return (slope * np.float32(operation.through == "input"),), {}


@pulled.register
def _(operation: Relu, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    return (slope * _relu_slope(operation, given[0]),), {}


@pulled.register
def _(operation: Function, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    if operation.name == "softmax":
        return (result * (slope - (slope * result).sum(-1, keepdims=True)),), {}
    return (slope * SLOPES[operation.name](given[0]),), {}


@pulled.register
def _(operation: Reshape, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    return (slope.reshape(given[0].shape),), {}


@pulled.register
def _(operation: Permute, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    return (slope.transpose(0, *(int(axis) + 1 for axis in np.argsort(operation.axes))),), {}


@pulled.register
def _(operation: ZeroPadding, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    inner = (slice(before, before + n) for n, (before, _) in zip(given[0].shape[1:-1], operation.pads, strict=True))
    return (slope[(slice(None), *inner)],), {}


@pulled.register
def _(operation: Cropping, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    return (np.pad(slope, ((0, 0), *operation.crops, (0, 0))),), {}


@pulled.register
def _(operation: Repeat, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    split = [part for n, times in zip(given[0].shape[1:-1], operation.times, strict=True) for part in (n, times)]
    axes = tuple(range(2, 2 * len(operation.times) + 1, 2))
    return (slope.reshape(len(slope), *split, slope.shape[-1]).sum(axes),), {}


@pulled.register
def _(operation: MaxPool, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    _, largest = _largest(operation, given[0])
    places = np.arange(prod(operation.size))
    return (_unpooled(operation, given[0], slope[..., None] * (largest[..., None] == places)),), {}


@pulled.register
def _(operation: AveragePool, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    share = slope / operation.counts(given[0].shape[1:])
    return (_unpooled(operation, given[0], np.repeat(share[..., None], prod(operation.size), -1)),), {}


@pulled.register
def _(operation: Merge, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    n = len(given)
    if operation.kind in ("multiply", "product"):
        parts = [slope * prod(given[:at] + given[at + 1 :], start=1) for at in range(n)]  # type: ignore[operator]
    elif operation.kind in ("maximum", "minimum"):
        best = np.stack(np.broadcast_arrays(*(x.real for x in given)))
        chosen = best.argmax(0) if operation.kind == "maximum" else best.argmin(0)
        parts = [slope * (chosen == at) for at in range(n)]
    else:
        first, others = {"add": (1, 1), "subtract": (1, -1), "average": (1 / n, 1 / n)}[operation.kind]
        parts = [slope * np.float32(first if at == 0 else others) for at in range(n)]
    return tuple(_summed_to(part, x.shape) for part, x in zip(parts, given, strict=True)), {}


@pulled.register
def _(operation: Concatenate, values: Parameters, given: Sequence[Array], result: Array, slope: Array) -> Slopes:
    ends = np.cumsum([x.shape[operation.axis + 1] for x in given])[:-1]
    return tuple(np.split(slope, ends, operation.axis + 1)), {}


def _passes(operation: Quantize, values: Parameters, x: Array) -> Array:
    """Where a quantizer lets slopes through: as its straight-through estimator has it, or within its range."""
    step, low, high = operation.limits(lambda name: values[name].real)
    x = x.real
    inside = {
        "input": np.ones(1, np.bool_),
        "relu": x > 0,
        "range": (x > 0) & (x <= high * step),
        "": (x >= low * step) & (x <= high * step),
    }
    return inside[operation.through].astype(np.float32)


def _relu_slope(operation: Relu, x: Array) -> Array:
    slope = np.where(x.real > 0, np.float32(1), np.float32(operation.slope))
    return np.where(x.real < operation.most, slope, np.float32(0))


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


SLOPES: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {
        "sigmoid": lambda x: _sigmoid(x) * (1 - _sigmoid(x)),
        "tanh": lambda x: 1 - np.tanh(x) ** 2,
        "exponential": np.exp,
        "softplus": _sigmoid,
        "softsign": lambda x: 1 / (1 + np.where(x.real > 0, x, -x)) ** 2,
        "swish": lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))),
        "elu": lambda x: np.where(x.real > 0, 1, np.exp(x)),
        "selu": lambda x: 1.0507009873554805 * np.where(x.real > 0, 1, 1.6732632423543772 * np.exp(x)),
        "hard_sigmoid": lambda x: np.where(np.abs(x.real) < 2.5, np.float32(0.2), np.float32(0)),
    }
)
"""The derivatives of `FUNCTIONS`, the softmax aside."""


def _largest(operation: MaxPool, x: Array) -> tuple[Array, NDArray[np.intp]]:
    """Every window of x, flat, and the first place of its largest value."""
    view = operation.windows(x, -np.inf)
    flat = view.reshape(*view.shape[: -len(operation.size)], -1)
    return flat, flat.real.argmax(-1)


def _unpooled(operation: Pool, x: Array, parts: Array) -> Array:
    """The sum, at each element of x, ."""
    ones = (1,) * len(operation.size)
    around = pads(x.shape[1:-1], operation.size, operation.strides, ones, operation.padding)
    lengths = [n + a + b for n, (a, b) in zip(x.shape[1:-1], around, strict=True)]
    whole = np.zeros((len(x), *lengths, x.shape[-1]), parts.dtype)
    for number, place in enumerate(product(*map(range, operation.size))):
        into = tuple(
            slice(at, at + (n - 1) * stride + 1, stride)
            for at, n, stride in zip(place, parts.shape[1:-2], operation.strides, strict=True)
        )
        whole[(slice(None), *into)] += parts[..., number]
    inner = tuple(slice(a, a + n) for n, (a, _) in zip(x.shape[1:-1], around, strict=True))
    return whole[(slice(None), *inner)]


@dataclass(frozen=True, slots=True, eq=False)
class RegisterRead:
    """A register as some samples read it.

    values: of its words, (n, size); slopes: for each set of slopes in the outputs, those in what functions of one
    number make of the values, (n, size); change: what other values, (n, size), change in that.
    """

    register: Register
    values: Array
    slopes: tuple[Array, ...]
    change: Callable[[Array], Array]


class NetworkDerivatives:
    """A network as a function of some of its parameters, and of registers, for `fkeras.sensitivity`.

    paths: the parameters, flat and one after the other.
    """

    def __init__(self, network: Network, paths: Sequence[str], registers: Sequence[Register] = ()) -> None:
        self._network, self._paths = network, tuple(paths)
        self._registers = [(register, pointwise_behind(network, register.tensor)) for register in registers]
        windows = [
            prod(network.shapes[node.name][:-1]) * prod(network.values[kernel].shape[:-1])
            for node in network.nodes
            if (kernel := getattr(node.operation, "kernel", None)) is not None
        ]
        self._rows = max(1, MOST_FLOATS // max(windows, default=1))

    def outputs(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return _joined([trace.outputs for _, trace in self._traces(inputs, None)])

    def pulled(
        self, inputs: Sequence[Array], slopes_of: Callable[[tuple[Array, ...]], Sequence[Sequence[Array]]]
    ) -> list[NDArray[np.float64]]:
        traces = self._traces(inputs, None)
        with np.errstate(all="ignore"):
            slopes = slopes_of(_joined([trace.outputs for _, trace in traces]))
        return [self._pulled(traces, [part.astype(np.float32) for part in parts]) for parts in slopes]

    def reads(
        self, inputs: Sequence[Array], slopes_of: Callable[[tuple[Array, ...]], Sequence[Sequence[Array]]]
    ) -> Iterator[RegisterRead]:
        traces = self._traces(inputs, None)
        with np.errstate(all="ignore"):
            slopes = slopes_of(_joined([trace.outputs for _, trace in traces]))
        ends = list(dict.fromkeys(nodes[-1].name if nodes else part.tensor for part, nodes in self._registers))
        for at, trace in traces:
            of_ends = [
                dict(zip(ends, trace.pull([part[at].astype(np.float32) for part in parts], (), ends), strict=True))
                for parts in slopes
            ]
            for register, nodes in self._registers:
                yield self._read(register, nodes, trace, of_ends)

    def _read(
        self, register: Register, nodes: Sequence[Node], trace: Trace, of_ends: Sequence[Mapping[str, Array]]
    ) -> RegisterRead:
        stands, end = trace.tensor(register.tensor), nodes[-1].name if nodes else register.tensor
        quantizer, n = self._network.operations.get(register.quantizer), len(stands)
        words = (stands if quantizer is None else quantizer.compute(self._network.values, stands)).reshape(n, -1)

        def pointwise(values: Array) -> Array:
            x = values.reshape(stands.shape)
            for node in nodes:
                x = node.operation.compute(self._network.values, x)
            return x.reshape(n, -1)

        golden = pointwise(words)
        slopes = tuple(ends[end].reshape(n, -1) for ends in of_ends)
        return RegisterRead(register, words, slopes, lambda values: pointwise(values) - golden)

    def curved(
        self,
        inputs: Sequence[Array],
        direction: NDArray[np.float64],
        slopes_along: Callable[[tuple[Array, ...], tuple[Array, ...]], tuple[tuple[Array, ...], tuple[Array, ...]]],
    ) -> NDArray[np.float64]:
        """The change of J^T slopes along a direction of the parameters, summed over the samples."""
        network, values, start = self._network, dict(self._network.values), 0
        for path in self._paths:
            golden = network.values[path].astype(np.float64)
            change = direction[start : start + golden.size].reshape(golden.shape)
            values[path], start = golden + 1j * TINY * change, start + golden.size
        traces = self._traces(inputs, values)
        outputs = _joined([trace.outputs for _, trace in traces])
        slopes, bends = slopes_along(tuple(part.real for part in outputs), tuple(part.imag / TINY for part in outputs))
        return self._pulled(traces, [s + 1j * TINY * c for s, c in zip(slopes, bends, strict=True)])

    def _traces(self, inputs: Sequence[Array], values: Parameters | None) -> list[tuple[slice, Trace]]:
        """All samples, a few at a time: a sum's windows are copied while it is differentiated."""
        parts = [slice(start, start + self._rows) for start in range(0, len(inputs[0]), self._rows)]
        return [(at, Trace(self._network, [x[at] for x in inputs], values)) for at in parts]

    def _pulled(self, traces: Sequence[tuple[slice, Trace]], slopes: Sequence[Array]) -> NDArray[np.float64]:
        """J^T slopes, or their change where the slopes have one."""
        total = np.zeros(sum(self._network.values[path].size for path in self._paths))
        for at, trace in traces:
            parts = trace.pull([part[at] for part in slopes], self._paths)
            numbers = [part.imag / TINY if np.iscomplexobj(part) else part for part in parts]
            total += np.concatenate([np.zeros(0), *(np.asarray(part, np.float64).reshape(-1) for part in numbers)])
        return total


def _joined(parts: Sequence[tuple[Array, ...]]) -> tuple[Array, ...]:
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
