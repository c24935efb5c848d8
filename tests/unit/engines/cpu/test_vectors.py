"""The vector loops against the obvious loops."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from fkeras.engines.cpu.vectors import Window, add_products, add_windows, list_changes


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


@numba.njit
def call_add_windows(golden, sums, outputs, length, weights, place, factors, at, window):
    add_windows(golden, sums, outputs, length, weights, place, factors, at, window)


@pytest.mark.parametrize("length", [1, 3, 4, 8, 11, 32, 43, 75])
@pytest.mark.parametrize(("outputs", "step"), [(1, 1), (3, 2), (4, 1), (9, 3)])
def test_windows_are_convolved(length: int, outputs: int, step: int) -> None:
    rng = np.random.default_rng(length)
    rows, columns, n_channels, channel = 3, 2, 5, 2
    kernel = rng.integers(-100, 100, (rows, columns, n_channels, length)).astype(np.float32)
    image = rng.integers(-100, 100, (rows + 1, (outputs - 1) * step + columns + 1)).astype(np.float32)
    golden = rng.integers(-1000, 1000, outputs * length + 20).astype(np.float32)
    expected = golden.copy()
    for p in range(outputs):
        part = image[1 : 1 + rows, p * step : p * step + columns]
        expected[p * length : (p + 1) * length] += np.tensordot(part, kernel[:, :, channel], 2)
    sums, across = golden.copy(), n_channels * length
    window = Window(step, image.shape[1], across, columns * across, rows, columns)
    at, place = image.shape[1], channel * length
    call_add_windows(golden, sums, outputs, length, kernel.reshape(-1), place, image.reshape(-1), at, window)
    np.testing.assert_array_equal(sums, expected)


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("begin", "stop"), [(0, 1), (3, 64), (0, 128), (5, 200)])
def test_changes_are_listed_in_order(share: float, begin: int, stop: int) -> None:
    rng = np.random.default_rng(stop)
    golden = rng.integers(0, 9, 200).astype(np.float32)
    values = golden + (rng.random(200) < share) * 2
    terms, changes = np.full(210, -1, np.int32), np.full(210, np.nan, np.float32)
    count = list_changes(values.astype(np.float32), golden, begin, stop, 1000, 4, terms, changes)
    where = np.flatnonzero(values[begin:stop] != golden[begin:stop])
    assert count == 4 + where.size
    np.testing.assert_array_equal(terms[4:count], where + 1000)
    np.testing.assert_array_equal(changes[4:count], np.full(where.size, 2.0))
    assert (terms[:4] == -1).all()
    assert (terms[count:] == -1).all()
