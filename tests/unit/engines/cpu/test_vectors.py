"""The vector loop against the obvious one."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from fkeras.engines.cpu.vectors import add_products


@numba.njit
def call_add_products(sums, begin, length, weights, place, terms, factors, first, stop):
    add_products(sums, begin, length, weights, place, terms, factors, first, stop)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 10, 32, 43, 75])
@pytest.mark.parametrize("n_terms", [1, 2, 5])
def test_products_are_added_to_their_sums_only(length: int, n_terms: int) -> None:
    rng = np.random.default_rng(length)
    weights = rng.integers(-100, 100, (9, length)).astype(np.float32)
    terms = rng.integers(0, 6, n_terms + 2).astype(np.int32)
    factors = rng.integers(-100, 100, n_terms + 2).astype(np.float32)
    sums = rng.integers(-1000, 1000, length + 20).astype(np.float32)
    expected = sums.copy()
    for m in range(1, 1 + n_terms):
        expected[5 : 5 + length] += factors[m] * weights[terms[m] + 3]
    call_add_products(sums, 5, length, weights.reshape(-1), 3 * length, terms, factors, 1, 1 + n_terms)
    np.testing.assert_array_equal(sums, expected)
