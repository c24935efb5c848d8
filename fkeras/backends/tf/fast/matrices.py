"""Small transposed convolutions as matrix products: the same linear map, many times faster on a CPU.

Compilers run a transposed convolution of a few channels at a small fraction of a matrix product's speed. Only the
float tail is treated so, where no quantizer follows and the order of a sum is free within 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fkeras.backends.tf.fast.exactness import is_rounding
from fkeras.backends.tf.fast.graph import Call, Graph
from fkeras.backends.tf.setup import tensorflow

MOST_ENTRIES = 2**20


def as_matrix_products(graph: Graph, calls: list[Call]) -> dict[int, Callable[[Any], Any]]:
    """By call index, a function that replaces the call: matrix product, bias, the layer's own activation."""
    return {call.index: _product(call) for call in calls if type(call.layer).__name__ == "Conv2DTranspose"
            and _entries(call) <= MOST_ENTRIES and not any(map(is_rounding, graph.downstream(call.outputs)))
            and not is_rounding(call)}


def _shapes(call: Call) -> tuple[list[int | None], list[int | None]]:
    return list(call.node.keras_inputs[0].shape[1:]), list(call.node.outputs.shape[1:])


def _entries(call: Call) -> float:
    sizes = [size for shape in _shapes(call) for size in shape]
    return float("inf") if None in sizes else float(np.prod(sizes))


def _product(call: Call) -> Callable[[Any], Any]:
    tf = tensorflow()
    layer = call.layer
    shape, output_shape = _shapes(call)
    n = int(np.prod(shape))
    basis = np.eye(n, dtype=np.float32).reshape(n, *shape)
    kernel, output = layer.kernel, (-1, *output_shape)
    if layer.data_format != "channels_last":
        raise AssertionError("the graph is channels_last")
    columns = tf.keras.backend.conv2d_transpose(basis, kernel, (n, *output_shape), strides=layer.strides,
                                                padding=layer.padding, data_format=layer.data_format,
                                                dilation_rate=layer.dilation_rate)
    matrix = np.reshape(columns.numpy(), (n, -1))
    bias = layer.bias.numpy() if layer.use_bias else np.zeros(output_shape[-1], np.float32)

    def apply(x: Any) -> Any:
        product = tf.reshape(tf.reshape(x, (-1, n)) @ tf.constant(matrix), output) + bias
        return product if layer.activation is None else layer.activation(product)

    return apply
