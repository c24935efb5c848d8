"""What each operation of a network is for JAX.

Convolutions are matrix products of shifted inputs: no library can then choose Winograd or FFT, which are not exact.
Compilers divide by multiplying, and join product and sum: what is rounded in between is rounded where they cannot see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from itertools import product
from math import prod
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from fkeras.engines.gpu.operand import Operand
from fkeras.network import (
    Affine,
    AveragePool,
    Bias,
    Concatenate,
    Convolution,
    Cropping,
    Dense,
    DepthwiseConvolution,
    Einsum,
    Function,
    MaxPool,
    Merge,
    Operation,
    Permute,
    Quantize,
    Relu,
    Repeat,
    Reshape,
    Steps,
    TransposedConvolution,
    ZeroPadding,
)
from fkeras.network.operation import Shape
from fkeras.network.windows import Pads, n_windows, pads

Array = Any
"""Of JAX, samples first."""
Values = Mapping[str, Array]
INVERSE = "1 / {}"
"""The parameter by which to multiply instead of dividing by one."""
ZERO = "zero"
"""A parameter, int32: 0, which compilers do not know."""


def _rounded(x: Array, values: Values) -> Array:
    """x as float32 holds it, with whatever it is computed next."""
    return _as_float(_as_bits(x) ^ values[ZERO])


def _as_bits(x: Array) -> Array:
    return jax.lax.bitcast_convert_type(x, jnp.int32)


def _as_float(bits: Array) -> Array:
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


def _quotient(x: Array, divisor: NDArray[np.float32], values: Values) -> Array:
    """x / divisor, rounded once; divisor: whole numbers below 2**12.

    What an approximate quotient leaves is exact, as each half of its bits times the divisor is.
    """
    inverse = (1 / divisor).astype(np.float32)
    quotient = _rounded(x * inverse, values)
    upper = _as_float(_as_bits(quotient) & -(2**12))
    rest = (x - upper * divisor) - (quotient - upper) * divisor
    return quotient + rest * inverse


def _read(x: Array, place: Shape, strides: Shape, dilation: Shape, counts: Shape) -> Array:
    """What all windows read at one of their places: of padded x (n, *lengths, channels), (n, *windows, channels)."""
    begins = [at * rate for at, rate in zip(place, dilation, strict=True)]
    axes = [slice(at, at + (n - 1) * by + 1, by) for at, n, by in zip(begins, counts, strides, strict=True)]
    return x[(slice(None), *axes)]


def _padded(x: Array, around: Pads, fill: float = 0.0) -> Array:
    return jnp.pad(x, ((0, 0), *around, (0, 0)), constant_values=fill)


def _places(size: Shape) -> list[Shape]:
    return list(product(*map(range, size)))


def _dense(operation: Dense, values: Values, operand: Operand, x: Array) -> Array:
    return operand.einsum("...k,ko->...o", x, values[operation.kernel])


def _einsum(operation: Einsum, values: Values, operand: Operand, x: Array) -> Array:
    return operand.einsum(operation.equation, x, values[operation.kernel])


def _windows(
    operation: Convolution | DepthwiseConvolution, size: Shape, x: Array
) -> tuple[Array, Callable[..., Array]]:
    """Padded x, and what reads a place of all its windows."""
    geometry = operation.strides, operation.dilation
    counts = n_windows(x.shape[1:-1], size, *geometry, operation.padding)
    around = pads(x.shape[1:-1], size, *geometry, operation.padding)
    return _padded(x, around), lambda padded, place: _read(padded, place, *geometry, counts)


def _convolution(operation: Convolution, values: Values, operand: Operand, x: Array) -> Array:
    kernel, groups = values[operation.kernel], operation.groups
    *size, inputs, outputs = kernel.shape
    padded, read = _windows(operation, tuple(size), operand.narrow(x))
    places = _places(tuple(size))
    if groups == 1 and outputs < inputs and set(operation.strides) == {1}:
        # What is smaller is shifted: the products.
        products = operand.einsum("...c,pco->p...o", padded, kernel.reshape(-1, inputs, outputs))
        return reduce(add, (read(part, place) for part, place in zip(products, places, strict=True)))
    if groups == 1:
        side_by_side = jnp.concatenate([read(padded, place) for place in places], -1)
        return operand.einsum("...k,ko->...o", side_by_side, kernel.reshape(-1, outputs))
    stacked = jnp.stack([read(padded, place) for place in places], -2)
    stacked = stacked.reshape(*stacked.shape[:-1], groups, inputs)
    columns = kernel.reshape(-1, inputs, groups, outputs // groups)
    sums = operand.einsum("...pgc,pcgo->...go", stacked, columns)
    return sums.reshape(*sums.shape[:-2], outputs)


def _depthwise(operation: DepthwiseConvolution, values: Values, operand: Operand, x: Array) -> Array:
    kernel = values[operation.kernel]
    padded, read = _windows(operation, kernel.shape[:-2], operand.narrow(x))
    stacked = jnp.stack([read(padded, place) for place in _places(kernel.shape[:-2])], -2)
    sums = operand.einsum("...pc,pcm->...cm", stacked, kernel.reshape(-1, *kernel.shape[-2:]))
    return sums.reshape(*sums.shape[:-2], -1)


def _transposed(operation: TransposedConvolution, values: Values, operand: Operand, x: Array) -> Array:
    kernel = values[operation.kernel]
    size = kernel.shape[:-2]
    products = operand.einsum("...c,poc->p...o", x, kernel.reshape(-1, *kernel.shape[-2:]))

    def spread(part: Array, place: Shape) -> Array:
        before = [
            at * rate - begin for at, rate, begin in zip(place, operation.dilation, operation.start(size), strict=True)
        ]
        lengths = zip(before, x.shape[1:-1], operation.strides, operation.lengths, strict=True)
        axes = [(low, length - low - (n - 1) * by - 1, by - 1) for low, n, by, length in lengths]
        return jax.lax.pad(part, jnp.float32(0), ((0, 0, 0), *axes, (0, 0, 0)))

    return reduce(add, (spread(part, place) for part, place in zip(products, _places(size), strict=True)))


def _quantize(operation: Quantize, values: Values, operand: Operand, x: Array) -> Array:
    step, low, high = operation.limits(values.__getitem__)
    inverse = values[INVERSE.format(operation.step)] if isinstance(operation.step, str) else np.float32(1 / step)
    levels = x * inverse
    match operation.rounding:
        case "half_even":
            levels = jnp.rint(levels)
        case "half_up":
            levels = jnp.floor(levels + np.float32(0.5))
        case _:
            levels = jnp.floor(levels)
    if operation.overflow == "wrap":
        levels = jnp.mod(levels - low, high - low + np.float32(1)) + low
    return _via(jnp.clip(levels, low, high) * step, x, operation.through, high * step)


def _via(quantized: Array, x: Array, through: str, largest: Array) -> Array:
    """As `fkeras.network` has it."""
    if not through:
        return quantized
    base = x if through == "input" else jnp.maximum(x, np.float32(0))
    base = jnp.minimum(base, largest) if through == "range" else base
    return base + (quantized - base)


def _steps(operation: Steps, values: Values, operand: Operand, x: Array) -> Array:
    levels = values[operation.levels]
    level = levels[jnp.searchsorted(values[operation.thresholds], x, side="right")]
    return _via(jnp.where(jnp.isnan(x), x, level), x, operation.through, levels[-1])


def _relu(operation: Relu, values: Values, operand: Operand, x: Array) -> Array:
    below = _rounded(np.float32(operation.slope) * x, values) if operation.slope else np.float32(0)
    return jnp.minimum(jnp.where(x > 0, x, below), np.float32(operation.most))


def _max_pool(operation: MaxPool, values: Values, operand: Operand, x: Array) -> Array:
    return _pooled(operation, x, -np.inf, jax.lax.max)


def _average_pool(operation: AveragePool, values: Values, operand: Operand, x: Array) -> Array:
    return _quotient(_pooled(operation, x, 0.0, jax.lax.add), operation.counts(x.shape[1:]), values)


def _pooled(operation: MaxPool | AveragePool, x: Array, start: float, together: Any) -> Array:
    size, strides = (1, *operation.size, 1), (1, *operation.strides, 1)
    around = pads(x.shape[1:-1], operation.size, operation.strides, (1,) * len(operation.size), operation.padding)
    return jax.lax.reduce_window(x, np.float32(start), together, size, strides, ((0, 0), *around, (0, 0)))


_MERGED: Mapping[str, Callable[[Array, Array], Array]] = {
    "add": jnp.add, "average": jnp.add, "subtract": jnp.subtract, "multiply": jnp.multiply, "product": jnp.multiply,
    "maximum": jnp.maximum, "minimum": jnp.minimum,
}  # fmt: skip


def _merge(operation: Merge, values: Values, operand: Operand, *given: Array) -> Array:
    rank = max(x.ndim for x in given)
    result = reduce(_MERGED[operation.kind], (x.reshape(len(x), *(1,) * (rank - x.ndim), *x.shape[1:]) for x in given))
    if operation.kind == "product":
        return _rounded(result, values)
    return result * np.float32(1 / len(given)) if operation.kind == "average" else result


def _repeat(operation: Repeat, values: Values, operand: Operand, x: Array) -> Array:
    return reduce(lambda part, axis: jnp.repeat(part, operation.times[axis - 1], axis), range(1, x.ndim - 1), x)


FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "softmax": lambda x: jax.nn.softmax(x, axis=-1),
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "exponential": jnp.exp,
    "softplus": lambda x: jnp.logaddexp(x, np.float32(0)),
    "softsign": jax.nn.soft_sign,
    "swish": jax.nn.swish,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "hard_sigmoid": lambda x: jnp.clip(np.float32(0.2) * x + np.float32(0.5), 0, 1),
}

Compute = Callable[..., Array]
OPERATIONS: Mapping[type[Operation], Compute] = {
    Dense: _dense,
    Einsum: _einsum,
    Convolution: _convolution,
    DepthwiseConvolution: _depthwise,
    TransposedConvolution: _transposed,
    Bias: lambda op, values, _, x: x + values[op.bias],
    Affine: lambda op, values, _, x: _rounded(x * values[op.scale], values) + values[op.offset],
    Quantize: _quantize,
    Steps: _steps,
    Relu: _relu,
    Function: lambda op, values, _, x: FUNCTIONS[op.name](x),
    MaxPool: _max_pool,
    AveragePool: _average_pool,
    Merge: _merge,
    Concatenate: lambda op, values, _, *given: jnp.concatenate(given, op.axis + 1),
    Reshape: lambda op, values, _, x: x.reshape(len(x), *op.to),
    Permute: lambda op, values, _, x: x.transpose(0, *(axis + 1 for axis in op.axes)),
    ZeroPadding: lambda op, values, _, x: _padded(x, op.pads),
    Cropping: lambda op, values, _, x: op.on(values, x),
    Repeat: _repeat,
}
"""By kind of operation: (operation, parameters, operand, *inputs) -> result."""


def largest_scratch(
    operation: Operation, values: Mapping[str, NDArray[np.float32]], given: Shape, result: Shape
) -> int:
    """Floats per sample that computing a node takes at once, beside its inputs."""
    if isinstance(operation, Convolution | DepthwiseConvolution):
        return prod(result[:-1]) * prod(values[operation.kernel].shape[:-2]) * given[-1] + prod(result)
    if isinstance(operation, TransposedConvolution):
        return (prod(values[operation.kernel].shape[:-2]) + 1) * prod(result)
    return prod(result)
