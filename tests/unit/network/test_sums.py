"""Weighted sums: what an einsum is, and the grids of sums and products."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras.network as fn
from fkeras.errors import ModelError
from fkeras.memory.inventory import Inventory


def network(operation: fn.Operation, shape: tuple[int, ...], kernel: np.ndarray) -> fn.Network:
    inputs, node = (fn.Input("x", shape),), fn.Node("y", operation, ("x",))
    return fn.Network("m", inputs, (node,), ("y",), ("y",), Inventory("m", ()), {"k": kernel.astype(np.float32)})


def test_an_einsum_of_rows_and_a_matrix_is_dense() -> None:
    generator = np.random.default_rng(0)
    x, kernel = generator.normal(size=(5, 3, 4)), generator.normal(size=(4, 2))
    dense, einsum = network(fn.Dense("k"), (3, 4), kernel), network(fn.Einsum("k", "nab,bc->nac"), (3, 4), kernel)
    assert einsum.shapes == dense.shapes
    np.testing.assert_array_equal(einsum([x])[0], dense([x])[0])
    grid = {"x": fn.Grid(0.25, 4.0, True)}
    coarse = network(fn.Einsum("k", "nab,bc->nac"), (3, 4), np.rint(kernel))
    same = network(fn.Dense("k"), (3, 4), np.rint(kernel))
    assert coarse.grids(grid)["y"] == same.grids(grid)["y"]


def test_no_sum_of_an_einsum_is_larger_than_its_grid_says() -> None:
    generator = np.random.default_rng(0)
    x, kernel = generator.integers(-3, 4, (200, 3, 4)), generator.integers(-2, 3, (3, 4, 2, 3))
    einsum = network(fn.Einsum("k", "nab,abcd->ndc"), (3, 4), kernel)
    (y,) = einsum([x])
    expected = sum(x[:, a, b, None, None] * kernel[a, b].T for a in range(3) for b in range(4))
    np.testing.assert_array_equal(y, expected)
    assert np.abs(y).max() <= einsum.grids({"x": fn.grid_of(x)})["y"].bound


@pytest.mark.parametrize(
    "equation",
    ["", "ab", "nab,bc", "abn,bc->nac", "nab,nbc->nac", "nab,bc->nacc", "nab,bc->na", "nab,c->nac", "na...,ab->nb..."],
)
def test_equations_that_are_none(equation: str) -> None:
    with pytest.raises(ValueError, match="equation"):
        fn.Einsum("k", equation)


def test_a_kernel_that_does_not_fit() -> None:
    with pytest.raises(ModelError, match="a kernel of shape"):
        _ = network(fn.Einsum("k", "nab,bc->nac"), (3, 4), np.zeros((3, 2))).shapes


def test_the_product_of_two_grids() -> None:
    merge = fn.Merge("multiply")
    exact = merge.grid(None, fn.Grid(0.5, 4.0, True), fn.Grid(0.25, 8.0, True))  # type: ignore[arg-type]
    assert exact == fn.Grid(0.125, 32.0, True)
    wide = merge.grid(None, fn.Grid(2.0**-12, 4.0, True), fn.Grid(2.0**-12, 8.0, True))  # type: ignore[arg-type]
    assert not wide.reproducible


def test_the_grid_of_a_constant_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []

    def grid_of(values: np.ndarray) -> fn.Grid:
        looked_at.append(values)
        return fn.grid_of(values)

    monkeypatch.setattr("fkeras.network.network.grid_of", grid_of)
    dense = network(fn.Dense("k"), (4,), np.full((4, 2), 0.3))
    grids = [dense.grids({"x": fn.Grid(0.25, 4.0, True)}, values) for values in (None, dense.values, dense.values)]
    assert all(grid == {"x": fn.Grid(0.25, 4.0, True), "y": fn.Grid(None, np.inf, False)} for grid in grids)
    assert len(looked_at) == 1
