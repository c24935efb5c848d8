"""Means: Student's t by hand, betting on values in bounds, infinities, and what has no mean."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.statistics.means import SPREAD, asymptotic_mean, bounded_mean, spread, standard_error


def test_student_t_by_hand():
    # t(0.975, 4 degrees of freedom) = 2.776445; the standard error is sqrt(2.5 / 5).
    estimate = asymptotic_mean([1, 2, 3, 4, 5], minimum=5)
    half = 2.7764451 * math.sqrt(0.5)
    assert (estimate.low, estimate.best, estimate.high) == pytest.approx((3 - half, 3, 3 + half), abs=1e-6)
    assert estimate.method == "Student t (asymptotic)"


def test_too_few_values_give_no_interval_and_say_how_many_are_needed():
    estimate = asymptotic_mean([1.0, 3.0])
    assert (estimate.low, estimate.best, estimate.high) == (-math.inf, 2.0, math.inf)
    assert estimate.method == "Student t (asymptotic; needs 30 values, got 2)"
    assert math.isinf(asymptotic_mean(np.arange(29.0)).high)
    assert math.isfinite(asymptotic_mean(np.arange(30.0)).high)


def test_infinite_values_give_an_infinite_mean_and_no_interval():
    estimate = asymptotic_mean([1.0] * 40 + [math.inf] * 2)
    assert (estimate.low, estimate.best, estimate.high) == (-math.inf, math.inf, math.inf)
    assert estimate.method == "no interval: 2 of 42 values are infinite"
    assert asymptotic_mean([1.0, -math.inf]).best == -math.inf


def test_infinite_values_of_both_signs_fall_back_to_the_finite_ones():
    estimate = asymptotic_mean([math.inf, -math.inf, 2.0, 4.0])
    assert (estimate.low, estimate.best, estimate.high) == (-math.inf, 3.0, math.inf)
    assert "1 values are +inf and 1 -inf" in estimate.method
    assert asymptotic_mean([math.inf, -math.inf]).best == 0.0


def test_huge_and_tiny_values_neither_overflow_nor_vanish():
    huge = asymptotic_mean(np.array([1.0, 3.0] * 20) * 1e307)
    tiny = asymptotic_mean(np.array([1.0, 3.0] * 20) * 1e-307)
    one = asymptotic_mean([1.0, 3.0] * 20)
    assert huge.high / 1e307 == pytest.approx(one.high) == tiny.high / 1e-307


def test_standard_error_by_hand():
    assert standard_error([1, 2, 3, 4, 5]) == pytest.approx(math.sqrt(0.5))
    assert standard_error([7.0, 7.0]) == 0.0
    assert standard_error([7.0]) == math.inf
    assert standard_error([7.0, math.inf]) == math.inf


def test_two_sure_bets_by_hand():
    # Two values 1 in [0, 1]: the stakes follow from the variances 1/4 and 5/32, and the fortune
    # (1 + s (1 - m)) (1 + t (1 - m)) = 40 is a quadratic equation in 1 - m.
    s, t = math.sqrt(2 * math.log(40) / (0.25 * math.log(2))), math.sqrt(2 * math.log(40) / (5 / 16 * math.log(3)))
    gain = (-(s + t) + math.sqrt((s + t) ** 2 + 4 * s * t * 39)) / (2 * s * t)
    estimate = bounded_mean([1.0, 1.0], (0, 1))
    assert (estimate.low, estimate.best, estimate.high) == pytest.approx((1 - gain, 1.0, 1.0))
    assert estimate.method == "betting (exact, bounded)"


def test_bounds_scale_and_mirror_the_interval():
    values = np.random.default_rng(3).beta(2, 5, 80)
    unit = bounded_mean(values, (0, 1))
    scaled = bounded_mean(10 * values - 4, (-4, 6))
    mirrored = bounded_mean(1 - values, (0, 1))
    assert (scaled.low, scaled.high) == pytest.approx((10 * unit.low - 4, 10 * unit.high - 4))
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - unit.high, 1 - unit.low))


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_equal_values_narrow_the_interval_but_never_to_a_point(value):
    few, many = (bounded_mean([value] * n, (0, 1)) for n in (20, 200))
    assert few.high - few.low > many.high - many.low > 0
    assert many.high - many.low < 0.04


def test_an_unlucky_order_still_holds_its_own_mean():
    # 60 high values before 300 low ones exclude their common mean on the way; the interval is widened to it.
    values = np.concatenate([np.full(60, 0.99), np.full(300, 0.01)])
    estimate = bounded_mean(values, (0, 1))
    assert estimate.low <= values.mean() <= estimate.high


def test_bounded_mean_never_leaves_its_bounds():
    estimate = bounded_mean([0.1 + 0.2], (0.0, 0.1 + 0.2))
    assert 0 <= estimate.low <= estimate.best <= estimate.high <= 0.1 + 0.2


def test_refuses_values_outside_the_bounds():
    with pytest.raises(InputError, match=r"2 of 3 values lie outside the bounds \[0, 1\], the first is .*1.5"):
        bounded_mean([0.5, 1.5, math.inf], (0, 1))


@pytest.mark.parametrize("bounds", [(1, 1), (1, 0), (0, math.inf), (math.nan, 1)])
def test_refuses_bounds_that_are_no_interval(bounds):
    with pytest.raises(InputError, match="are no interval: give two finite numbers, the lower first"):
        bounded_mean([0.5], bounds)


@pytest.mark.parametrize("mean", [asymptotic_mean, standard_error, lambda values: bounded_mean(values, (0, 1))])
def test_refuses_what_has_no_mean(mean):
    with pytest.raises(InputError, match=r"shape \(0,\) have no mean: give one number per trial"):
        mean([])
    with pytest.raises(InputError, match=r"shape \(1, 2\) have no mean"):
        mean([[0.0, 1.0]])
    with pytest.raises(InputError, match="1 of 2 values are NaN: score an undefined trial with the metric's worst"):
        mean([0.0, math.nan])


def test_refuses_a_minimum_without_a_spread():
    with pytest.raises(InputError, match="minimum 1 is too small: a spread needs at least 2 values"):
        asymptotic_mean([1.0], minimum=1)


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 19, 20, 100, 101])
def test_a_spread_is_of_the_values_and_spans_its_share(n):
    values = np.random.default_rng(n).permutation(np.arange(float(n)))
    low, median, high = spread(values)
    within = ((values >= low) & (values <= high)).mean()
    assert within >= SPREAD
    assert ((values > low) & (values < high)).mean() < SPREAD, "no wider than it must be"
    assert (values < low).sum() == (values > high).sum()
    assert (values <= median).mean() >= 0.5 <= (values >= median).mean()


def test_a_spread_reaches_infinite_values_without_arithmetic():
    assert spread([1.0] * 8 + [math.inf] * 2) == (1.0, 1.0, math.inf)
    assert spread([-math.inf, 2.0]) == (-math.inf, -math.inf, 2.0)
