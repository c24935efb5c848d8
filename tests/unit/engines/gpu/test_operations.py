"""The law of operations on the device: what the network rounds in steps is rounded in these steps, compiled too."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras import network as fn

pytestmark = pytest.mark.usefixtures("jax")


def compiled(operation: fn.Operation, parameters: dict[str, np.ndarray], *given: np.ndarray) -> np.ndarray:
    """What the device computes."""
    import jax

    from fkeras.engines.gpu.operand import WIDE
    from fkeras.engines.gpu.operations import OPERATIONS, ZERO

    values = {**parameters, ZERO: np.int32(0)}
    function = jax.jit(lambda values, *given: OPERATIONS[type(operation)](operation, values, WIDE, *given))
    return np.asarray(function(values, *given))


def test_products_are_rounded_before_they_are_added() -> None:
    rng = np.random.default_rng(0)
    x, scale, offset = (rng.normal(size=shape).astype(np.float32) for shape in ((500, 64), 64, 64))
    parameters, norm = {"scale": scale, "offset": offset}, fn.Affine("scale", "offset")
    np.testing.assert_array_equal(compiled(norm, parameters, x), norm.compute(parameters, x))
    for operation, given in ((fn.Relu(0.3), (x,)), (fn.Merge("product"), (x, x[::-1].copy()))):
        np.testing.assert_array_equal(compiled(operation, {}, *given), operation.compute({}, *given))


@pytest.mark.parametrize("size", [2, 3, 5, 7, 13, 63])
@pytest.mark.parametrize("most", [300, 2**17])
def test_means_are_quotients_that_are_rounded_once(size: int, most: int) -> None:
    x = np.random.default_rng(size).integers(-most, most, (400, 2 * size + 1, 3)).astype(np.float32) / 16
    pool = fn.AveragePool((size,), (2,), "same")
    np.testing.assert_array_equal(compiled(pool, {}, x), pool.compute({}, x))
