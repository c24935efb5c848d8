"""Transposed convolutions as matrix products: the same linear map, many times faster on a CPU.

Compilers run a transposed convolution of a few channels at a small fraction of a matrix product's speed. Only the
float tail is treated so, where no quantizer follows and the order of a sum is free within 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from fkeras.backends.tf.fast.exactness import is_rounding
from fkeras.backends.tf.fast.graph import Call, Graph
from fkeras.backends.tf.setup import tensorflow

MOST_ENTRIES = 2**18
"""Beyond that the whole map as one matrix takes more time than moving its inputs to where they are read."""

Map = Callable[[Any], Any]


def as_matrix_products(graph: Graph, calls: list[Call]) -> dict[int, Map]:
    """By call index, a function that replaces the call: matrix product, bias, the layer's own activation."""
    products: dict[int, Map] = {}
    for call in calls:
        shapes = _shapes(call)
        if (
            type(call.layer).__name__ == "Conv2DTranspose"
            and call.layer.data_format == "channels_last"
            and shapes is not None
            and not any(is_rounding(after) for after in (call, *graph.downstream(call.outputs)))
        ):
            whole = prod(shapes[0]) * prod(shapes[1]) <= MOST_ENTRIES
            if whole or tuple(call.layer.dilation_rate) == (1, 1):
                product = _one_matrix(call.layer, *shapes) if whole else _by_windows(call.layer, *shapes)
                products[call.index] = _with_bias_and_activation(call.layer, product)
    return products


def _shapes(call: Call) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The shapes of the input and the output of a sample; None where one is open."""
    shapes = [tuple(tensor.shape[1:]) for tensor in (call.node.keras_inputs[0], call.node.outputs)[:2]]
    return None if None in shapes[0] + shapes[1] else (shapes[0], shapes[1])


def _with_bias_and_activation(layer: Any, product: Map) -> Map:
    bias = layer.bias.numpy() if layer.use_bias else np.zeros(layer.filters, np.float32)

    def apply(x: Any) -> Any:
        sums = product(x) + bias
        return sums if layer.activation is None else layer.activation(sums)

    return apply


def _one_matrix(layer: Any, shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Map:
    """The map from all inputs of a sample to all outputs."""
    tf, n = tensorflow(), prod(shape)
    columns = tf.keras.backend.conv2d_transpose(
        np.eye(n, dtype=np.float32).reshape(n, *shape),
        layer.kernel,
        (n, *output_shape),
        strides=layer.strides,
        padding=layer.padding,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
    )
    matrix = np.reshape(columns.numpy(), (n, -1))
    return lambda x: tf.reshape(tf.reshape(x, (-1, n)) @ tf.constant(matrix), (-1, *output_shape))


def _by_windows(layer: Any, shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Map:
    """The map from windows of inputs to the blocks of stride x stride outputs that they make.

    Along one axis output o (zeros cut off above included) is made by inputs o // stride - t and the kernel's entries
    o % stride + stride x t, for t = 0, 1, ...
    """
    tf = tensorflow()
    kernel = layer.kernel.numpy()  # (height, width, output channels, input channels)
    strides, sizes, n_out, n_in = layer.strides, kernel.shape[:2], *kernel.shape[2:]
    reach = [-(-size // stride) for size, stride in zip(sizes, strides, strict=True)]
    cut = [
        max(size - stride, 0) // 2 if layer.padding == "same" else 0
        for size, stride in zip(sizes, strides, strict=True)
    ]
    blocks = [-(-(out + before) // stride) for out, before, stride in zip(output_shape, cut, strides, strict=False)]
    whole = np.pad(kernel, [(0, n * s - size) for n, s, size in zip(reach, strides, sizes, strict=True)] + [(0, 0)] * 2)
    split = whole.reshape(reach[0], strides[0], reach[1], strides[1], n_out, n_in)
    matrix = split.transpose(0, 2, 5, 1, 3, 4).reshape(prod(reach) * n_in, -1)
    pads = [(n - 1, max(count - size, 0)) for n, count, size in zip(reach, blocks, shape, strict=False)]

    def apply(x: Any) -> Any:
        padded = tf.pad(x, [(0, 0), *pads, (0, 0)])
        windows = [
            padded[:, reach[0] - 1 - i : reach[0] - 1 - i + blocks[0], reach[1] - 1 - j : reach[1] - 1 - j + blocks[1]]
            for i in range(reach[0])
            for j in range(reach[1])
        ]
        made = tf.reshape(tf.concat(windows, axis=-1), (-1, matrix.shape[0])) @ tf.constant(matrix)
        made = tf.transpose(tf.reshape(made, (-1, *blocks, *strides, n_out)), (0, 1, 3, 2, 4, 5))
        image = tf.reshape(made, (-1, blocks[0] * strides[0], blocks[1] * strides[1], n_out))
        return image[:, cut[0] : cut[0] + output_shape[0], cut[1] : cut[1] + output_shape[1]]

    return apply
