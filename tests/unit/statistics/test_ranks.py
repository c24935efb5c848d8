"""Spearman's rho: by hand, with ties, and for inputs that order nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.statistics.ranks import average_ranks, spearman


def test_ties_share_the_average_of_their_ranks():
    np.testing.assert_array_equal(average_ranks([30, 10, 20, 20, 20, -0.0, 0.0]), [7, 3, 5, 5, 5, 1.5, 1.5])


def test_by_hand_without_ties():
    # 1 - 6 sum d^2 / (n (n^2 - 1)) with d = (-1, 1, 0, -1, 1): 1 - 24 / 120
    assert spearman([1, 2, 3, 4, 5], [2, 1, 3, 5, 4]) == pytest.approx(0.8)


def test_order_and_reverse_order():
    values = np.array([0.1, -math.inf, 7.0, math.inf, 3.0])
    assert spearman(values, np.arctan(values)) == pytest.approx(1.0)
    assert spearman(values, -values) == pytest.approx(-1.0)


@pytest.mark.parametrize("constant", [[5.0, 5.0, 5.0], [math.inf] * 3])
def test_a_constant_orders_nothing(constant):
    assert spearman(constant, [1, 2, 3]) == spearman([1, 2, 3], constant) == spearman(constant, constant) == 0.0


def test_one_number_orders_nothing():
    assert spearman([1.0], [2.0]) == 0.0


def test_inputs_are_left_alone():
    values = np.array([3.0, 1.0, 2.0])
    spearman(values, values)
    np.testing.assert_array_equal(values, [3.0, 1.0, 2.0])


@pytest.mark.parametrize(("a", "b"), [([], []), ([1, 2], [1]), ([[1, 2]], [[1, 2]])])
def test_refuses_shapes_without_a_correlation(a, b):
    with pytest.raises(InputError, match="have no rank correlation: give two equally long lists"):
        spearman(a, b)


def test_refuses_nan():
    with pytest.raises(InputError, match="NaN has no rank: got 1 in the first and 0 in the second"):
        spearman([1, math.nan], [1, 2])
