"""Quantized layers within others: their words are covered, and a flip there does what the faulty number does."""

from __future__ import annotations

from typing import Any

import numpy as np

import fkeras
from fkeras.frontends.keras3.graph import walk


def assert_covered(model: Any, paths: list[str]) -> None:
    """All tensors are stored, and a flip of each one's first last bit is measured by Keras and undone."""
    space = fkeras.bit_space(model, biases=True)
    assert [tensor.path for tensor in space.tensors] == paths
    x = np.random.default_rng(0).normal(size=(12, *model.input_shape[1:])).astype(np.float32)
    golden, layers = np.asarray(model(x)), dict(walk(model))
    bits = [
        int(start + tensor.layout.widths[0] - 1) for start, tensor in zip(space.offsets, space.tensors, strict=False)
    ]
    oracle = fkeras.oracle(model, (x, golden), metric="mean_squared_error", space=space, bits=bits)
    assert oracle.engine.startswith("framework (layer ")
    assert oracle.golden == 0
    for bit, value, tensor in zip(bits, oracle.values, space.tensors, strict=True):
        place = space.locate(np.array([bit]))
        path, name = tensor.path.rsplit("/", 1)
        variable = getattr(layers[path], name)
        before = np.array(variable)
        faulty = tensor.golden.copy()  # which the quantizer leaves as it is
        faulty[0] = tensor.values_of(tensor.words[:1] ^ place.mask, np.array([0]))[0]
        variable.assign(faulty.reshape(before.shape))
        expected = np.square(np.asarray(model(x), np.float64) - golden).mean()
        variable.assign(before)
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-12, err_msg=tensor.path)
    assert (oracle.values > 0).any()
    np.testing.assert_array_equal(np.asarray(model(x)), golden)
    assert len(fkeras.rank(model, (x, golden), space=space, method="displacement")) == len(space)
