"""Transposed convolutions as matrix products give what the layer gives."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.frontends.qkeras.fast import matrices
from fkeras.frontends.qkeras.graph import flatten
from fkeras.frontends.qkeras.setup import tensorflow


@pytest.mark.parametrize("worth_splitting", [0, 2**18])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("kernel", "strides"), [((3, 3), (2, 2)), ((2, 5), (3, 1)), ((4, 1), (2, 3)), ((5, 3), (1, 2))]
)
def test_a_product_is_the_layer(monkeypatch, kernel, strides, padding: str, worth_splitting: int) -> None:
    keras, rng = tensorflow().keras, np.random.default_rng(0)
    monkeypatch.setattr(matrices, "WORTH_SPLITTING", worth_splitting)
    inputs = keras.Input((4, 3, 2))
    layer = keras.layers.Conv2DTranspose(3, kernel, strides=strides, padding=padding, activation="relu")
    model = keras.Model(inputs, layer(inputs))
    model.set_weights([rng.normal(0, 1, weights.shape).astype("float32") for weights in model.get_weights()])
    graph = flatten(model)
    product = matrices.as_matrix_products(graph, list(graph.calls))[0]
    x = rng.normal(0, 1, (6, 4, 3, 2)).astype("float32")
    np.testing.assert_allclose(product(x), model(x), rtol=1e-5, atol=1e-6)


def test_bands_leave_out_what_is_zero() -> None:
    matrix = np.zeros((6, 4), np.float32)
    matrix[1:3, :2], matrix[4, 3] = 1, 5
    (first, left), (second, right) = matrices.bands(matrix, 2)
    assert (first, second) == (slice(1, 3), slice(4, 5))
    np.testing.assert_array_equal(left, np.ones((2, 2)))
    np.testing.assert_array_equal(right, [[0, 5]])
