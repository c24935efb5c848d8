"""Operations against something that computes them another way: scipy's correlation, adjoints, loops over places."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.signal import correlate

import fkeras.network as fn
from fkeras.network.windows import pads

RANDOM = np.random.default_rng(0)
GEOMETRIES = [
    ((7, 6), (3, 2), (1, 1), (1, 1), "valid"),
    ((7, 6), (3, 3), (2, 3), (1, 1), "same"),
    ((9, 8), (2, 3), (1, 1), (2, 2), "same"),
    ((8,), (3,), (2,), (1,), "same"),
    ((8,), (3,), (1,), (2,), "causal"),
    ((5, 5), (2, 2), (4, 4), (1, 1), "same"),
]


def halves(*shape: int) -> Any:
    """Numbers on a grid, so that sums are exact whoever makes them."""
    return (RANDOM.integers(-8, 9, shape) / 2).astype(np.float32)


def correlated(image: Any, kernel: Any, strides: Any, dilation: Any, padding: str) -> Any:
    """One channel of a sample correlated with one of a kernel, by scipy."""
    around = pads(image.shape, kernel.shape, strides, dilation, padding)
    wide = np.zeros([(size - 1) * rate + 1 for size, rate in zip(kernel.shape, dilation, strict=True)])
    wide[tuple(slice(None, None, rate) for rate in dilation)] = kernel
    whole = correlate(np.pad(image, around).astype(np.float64), wide, mode="valid", method="direct")
    return whole[tuple(slice(None, None, stride) for stride in strides)]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("lengths", "size", "strides", "dilation", "padding"), GEOMETRIES)
def test_a_convolution_is_scipys_correlation(lengths, size, strides, dilation, padding, groups) -> None:
    x, kernel = halves(2, *lengths, 4), halves(*size, 4 // groups, 6)
    operation = fn.Convolution("k", strides, padding, dilation, groups)
    result = operation.compute({"k": kernel}, x)
    assert result.shape[1:] == operation.shape({"k": kernel.shape}, x.shape[1:])
    for sample, out in product(range(2), range(6)):
        begin = out // (6 // groups) * (4 // groups)
        expected = sum(
            correlated(x[sample, ..., begin + c], kernel[..., c, out], strides, dilation, padding)
            for c in range(4 // groups)
        )
        np.testing.assert_array_equal(result[sample, ..., out], expected)


@pytest.mark.parametrize(("lengths", "size", "strides", "dilation", "padding"), GEOMETRIES)
def test_a_depthwise_convolution_is_scipys_correlation_of_each_channel(
    lengths, size, strides, dilation, padding
) -> None:
    x, kernel = halves(2, *lengths, 3), halves(*size, 3, 2)
    operation = fn.DepthwiseConvolution("k", strides, padding, dilation)
    result = operation.compute({"k": kernel}, x)
    assert result.shape[1:] == operation.shape({"k": kernel.shape}, x.shape[1:])
    for sample, channel, each in product(range(2), range(3), range(2)):
        expected = correlated(x[sample, ..., channel], kernel[..., channel, each], strides, dilation, padding)
        np.testing.assert_array_equal(result[sample, ..., channel * 2 + each], expected)


@pytest.mark.parametrize(
    ("lengths", "size", "strides", "dilation", "padding"), [g for g in GEOMETRIES if g[4] != "causal"]
)
def test_a_transposed_convolution_is_the_adjoint_of_the_convolution(lengths, size, strides, dilation, padding) -> None:
    """<y, conv(x)> = <transposed(y), x> for all x and y."""
    x, kernel = halves(1, *lengths, 3), halves(*size, 3, 2)
    forth = fn.Convolution("k", strides, padding, dilation).compute({"k": kernel}, x)
    y = halves(*forth.shape)
    operation = fn.TransposedConvolution("k", strides, padding, dilation, lengths)
    back = operation.compute({"k": kernel}, y)
    assert back.shape[1:] == operation.shape({"k": kernel.shape}, y.shape[1:]) == x.shape[1:]
    assert np.vdot(y.astype(float), forth.astype(float)) == np.vdot(back.astype(float), x.astype(float))


@pytest.mark.parametrize("kind", [fn.MaxPool, fn.AveragePool])
@pytest.mark.parametrize(
    ("lengths", "size", "strides", "padding"),
    [((7, 6), (3, 2), (2, 2), "valid"), ((7, 6), (3, 3), (2, 1), "same"), ((7,), (3,), (3,), "same")],
)
def test_a_pool_is_a_loop_over_its_windows(kind, lengths, size, strides, padding) -> None:
    x = halves(2, *lengths, 3)
    result = kind(size, strides, padding).compute({}, x)
    assert result.shape[1:] == kind(size, strides, padding).shape({}, x.shape[1:])
    before = [first for first, _ in pads(lengths, size, strides, (1,) * len(size), padding)]
    for place in np.ndindex(*result.shape[1:-1]):
        begin = [at * stride - first for at, stride, first in zip(place, strides, before, strict=True)]
        inside = tuple(slice(max(at, 0), max(at, 0) + n + min(at, 0)) for at, n in zip(begin, size, strict=True))
        window = x[(slice(None), *inside)].reshape(2, -1, 3)
        expected = window.max(1) if kind is fn.MaxPool else window.mean(1, dtype=np.float64).astype(np.float32)
        np.testing.assert_array_equal(result[(slice(None), *place)], expected)


def test_steps_are_the_level_behind_the_last_threshold() -> None:
    values = {"t": np.float32([-1, 0.5, 2]), "l": np.float32([-2, 0, 1, 3])}
    x = np.float32([-5, -1, 0, 0.49, 0.5, 1.9, 2, 9, np.nan])
    np.testing.assert_array_equal(fn.Steps("t", "l").compute(values, x), [-2, 0, 0, 0, 1, 1, 3, 3, np.nan])


@pytest.mark.parametrize(
    ("overflow", "rounding", "expected"),
    [
        ("saturate", "half_even", [-1.0, -1.0, -0.5, 0.0, 0.0, 0.5, 0.5, 0.5]),
        ("saturate", "half_up", [-1.0, -1.0, -0.5, 0.0, 0.5, 0.5, 0.5, 0.5]),
        ("saturate", "floor", [-1.0, -1.0, -1.0, -0.5, 0.0, 0.0, 0.5, 0.5]),
        ("wrap", "half_even", [0.0, -1.0, -0.5, 0.0, 0.0, 0.5, -1.0, -1.0]),
    ],
)
def test_a_quantizer_rounds_and_overflows(overflow, rounding, expected) -> None:
    x = np.float32([-2.0, -1.0, -0.6, -0.2, 0.25, 0.4, 0.9, 1.0])
    operation = fn.Quantize(0.5, -2.0, 1.0, rounding, overflow)
    np.testing.assert_array_equal(operation.compute({}, x), expected)


@pytest.mark.parametrize("through", ["input", "relu", "range"])
def test_what_float32_adds_and_subtracts_shows_only_far_outside(through) -> None:
    plain, way = (fn.Quantize(0.25, 0.0, 7.0, through=name) for name in ("", through))
    x = halves(1000)
    np.testing.assert_array_equal(way.compute({}, x), plain.compute({}, x))
    far = np.float32([1e9 + 64])
    assert (way.compute({}, far) == plain.compute({}, far)).all() == (through == "range")


def test_merges_of_unequal_ranks_broadcast_samples_not_batches() -> None:
    a, b = halves(4, 3), halves(4, 4, 3)
    merge = fn.Merge("multiply")
    result = merge.compute({}, a, b)
    assert merge.shape({}, (3,), (4, 3)) == result.shape[1:] == (4, 3)
    for sample in range(4):
        np.testing.assert_array_equal(result[sample], a[sample] * b[sample])


@pytest.mark.parametrize("kind", ["add", "subtract", "maximum", "minimum", "average"])
def test_grids_of_merges_hold_what_they_say(kind: str) -> None:
    x, y = halves(100), halves(100) / 2
    grids = [fn.grid_of(part) for part in (x, y)]
    grid, result = fn.Merge(kind).grid(None, *grids), fn.Merge(kind).compute({}, x, y)  # type: ignore[arg-type]
    assert grid.reproducible
    assert grid.step is not None
    np.testing.assert_array_equal(result, np.rint(result / grid.step) * np.float32(grid.step))
    assert np.abs(result).max() <= grid.bound


def test_a_mean_of_three_is_no_exact_sum_but_one_division() -> None:
    pool, given = fn.AveragePool((3,), (1,), "valid"), fn.Grid(0.5, 4.0, True)
    assert pool.grid(None, given) == fn.Grid(None, 4.0, True)  # type: ignore[arg-type]
    assert not pool.grid(None, fn.Grid(2.0**-22, 4.0, True)).reproducible  # type: ignore[arg-type]
    assert not fn.Merge("average").grid(None, given, given, given).reproducible  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("relu", "expected"),
    [
        (fn.Relu(), fn.Grid(0.5, 4.0, True)),
        (fn.Relu(most=1.5), fn.Grid(0.5, 1.5, True)),
        (fn.Relu(most=1.2), fn.Grid(None, 1.2, True)),
        (fn.Relu(slope=0.25), fn.Grid(0.125, 4.0, True)),
        (fn.Relu(slope=0.3), fn.Grid(None, 4.0, True)),
    ],
)
def test_the_grid_behind_a_relu(relu, expected) -> None:
    assert relu.grid(None, fn.Grid(0.5, 4.0, True)) == expected


class Weights:
    """Parameters on a grid, none of them wrong."""

    def __init__(self, **values: Any) -> None:
        self._values = {name: np.asarray(value, np.float32) for name, value in values.items()}

    def values(self, name: str) -> Any:
        return self._values[name]

    def step(self, name: str) -> float | None:
        return fn.grid_of(self._values[name]).step

    def spare(self, name: str) -> float:
        return 0.0


def test_an_affine_map_in_order_is_reproducible_and_a_fused_one_where_it_is_exact() -> None:
    given = fn.Grid(0.5, 4.0, True)
    exact, off = Weights(s=[0.5], o=[0.25]), Weights(s=[0.3], o=[0.1])
    for in_order in (True, False):
        assert fn.Affine("s", "o", in_order).grid(exact, given).step == 0.25  # type: ignore[arg-type]
        assert fn.Affine("s", "o", in_order).grid(off, given).reproducible == in_order  # type: ignore[arg-type]
