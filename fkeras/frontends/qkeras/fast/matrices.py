"""Small transposed convolutions as matrix products: the same linear map, many times faster on a CPU.

Compilers run a transposed convolution of a few channels at a small fraction of a matrix product's speed. Only the
float tail is treated so, where no quantizer follows and the order of a sum is free within 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.frontends.qkeras.fast.exactness import is_rounding
from fkeras.frontends.qkeras.graph import Call, Graph
from fkeras.frontends.qkeras.setup import tensorflow

MOST_ENTRIES = 2**20
WORTH_SPLITTING = 2**18
"""Entries of a matrix from which on products with its bands save more than they cost."""


def as_matrix_products(graph: Graph, calls: list[Call]) -> dict[int, Callable[[Any], Any]]:
    """By call index, a function that replaces the call: matrix product, bias, the layer's own activation."""
    return {
        call.index: _product(call, *shapes)
        for call in calls
        if type(call.layer).__name__ == "Conv2DTranspose"
        and call.layer.data_format == "channels_last"
        and (shapes := _shapes(call)) is not None
        and prod(shapes[0]) * prod(shapes[1]) <= MOST_ENTRIES
        and not any(is_rounding(after) for after in (call, *graph.downstream(call.outputs)))
    }


def _shapes(call: Call) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The shapes of the input and the output of a sample; None where one is open."""
    shapes = [tuple(tensor.shape[1:]) for tensor in (call.node.keras_inputs[0], call.node.outputs)]
    return None if None in shapes[0] + shapes[1] else (shapes[0], shapes[1])


def _product(call: Call, shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Callable[[Any], Any]:
    tf = tensorflow()
    layer = call.layer
    n = prod(shape)
    basis = np.eye(n, dtype=np.float32).reshape(n, *shape)
    columns = tf.keras.backend.conv2d_transpose(
        basis,
        layer.kernel,
        (n, *output_shape),
        strides=layer.strides,
        padding=layer.padding,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
    )
    matrix = np.reshape(columns.numpy(), (n, -1))
    bands_of = bands(matrix, -(-output_shape[0] // layer.strides[0]) if matrix.size >= WORTH_SPLITTING else 1)
    bias = layer.bias.numpy() if layer.use_bias else np.zeros(output_shape[-1], np.float32)

    def apply(x: Any) -> Any:
        flat = tf.reshape(x, (-1, n))
        parts = [flat[:, rows] @ tf.constant(band) for rows, band in bands_of]
        sums = tf.reshape(tf.concat(parts, axis=1), (-1, *output_shape)) + bias
        return sums if layer.activation is None else layer.activation(sums)

    return apply


def bands(matrix: NDArray[np.float32], n_bands: int) -> list[tuple[slice, NDArray[np.float32]]]:
    """Consecutive columns of a matrix and the rows that they need: image rows that lie apart do not meet.

    matrix (inputs, outputs); the product is the concatenation of x[:, rows] @ band.
    """
    found = []
    for part in np.array_split(matrix, n_bands, axis=1):
        needed = np.flatnonzero(part.any(axis=1))
        rows = slice(int(needed[0]), int(needed[-1]) + 1) if needed.size else slice(0, 1)
        found.append((rows, np.ascontiguousarray(part[rows])))
    return found
