"""Differences of campaigns: what pairing buys, which label they carry, and infinite trials."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.statistics.paired import paired_difference, unpaired_difference


@pytest.fixture
def campaigns():
    generator = np.random.default_rng(11)
    luck = generator.uniform(0.2, 0.8, 100)
    return luck + 0.05 + generator.normal(0, 0.01, 100), luck


def test_pairing_cancels_the_luck_of_the_draw(campaigns):
    for bounds in (None, (0, 1)):
        paired, unpaired = paired_difference(*campaigns, bounds), unpaired_difference(*campaigns, bounds)
        assert paired.best == pytest.approx(unpaired.best)
        assert paired.high - paired.low < 0.5 * (unpaired.high - unpaired.low)
        assert paired.low < 0.05 < paired.high


def test_a_clear_loss_is_proven_by_its_interval_alone(campaigns):
    assert paired_difference(*campaigns).low > 0.04


@pytest.mark.parametrize(
    ("difference", "bounds", "method"),
    [
        (paired_difference, None, "paired Student t (asymptotic)"),
        (paired_difference, (0, 1), "paired betting (exact, bounded)"),
        (unpaired_difference, None, "unpaired Welch t (asymptotic)"),
        (unpaired_difference, (0, 1), "unpaired betting (exact, bounded)"),
    ],
)
def test_labels_and_sign(campaigns, difference, bounds, method):
    new, old = campaigns
    forth, back = difference(new, old, bounds, confidence=0.9), difference(old, new, bounds, confidence=0.9)
    assert (forth.method, forth.confidence) == (method, 0.9)
    assert (forth.low, forth.best, forth.high) == pytest.approx((-back.high, -back.best, -back.low))


def test_exact_interval_of_no_difference_holds_zero_and_stays_within_the_widest_difference():
    estimate = paired_difference([0.5] * 50, [0.5] * 50, bounds=(0, 2))
    assert -2 < estimate.low < 0 == estimate.best < estimate.high < 2


def test_welch_by_hand():
    # Means 1 and 3, 40 values each, both standard errors sqrt(40 / 39 / 40): equal spread, so 78 degrees of
    # freedom, t(0.975, 78) = 1.990847.
    old, new = np.array([0.0, 2.0] * 20), np.array([2.0, 4.0] * 20)
    half = 1.990847 * math.sqrt(2 / 39)
    estimate = unpaired_difference(new, old)
    assert (estimate.low, estimate.best, estimate.high) == pytest.approx((2 - half, 2, 2 + half), abs=1e-6)


def test_campaigns_without_spread_differ_by_a_point():
    estimate = unpaired_difference([3.0] * 30, [1.0] * 31)
    assert (estimate.low, estimate.best, estimate.high) == (2.0, 2.0, 2.0)


def test_too_few_trials_say_how_many_are_needed():
    assert paired_difference([1.0] * 5, [2.0] * 5).method == "paired Student t (asymptotic; needs 30 values, got 5)"
    estimate = unpaired_difference([1.0] * 40, [2.0] * 5)
    assert estimate.method == "unpaired Student t (asymptotic; needs 30 values, got 5)"
    assert (estimate.low, estimate.best, estimate.high) == (-math.inf, -1.0, math.inf)


def test_infinite_trials_never_make_nan():
    old = np.ones(40)
    new = old.copy()
    new[3] = math.inf
    assert paired_difference(new, old).best == unpaired_difference(new, old).best == math.inf
    assert paired_difference(new, new).best == unpaired_difference(new, new).best == 0.0
    other = old.copy()
    other[4] = math.inf
    both_ways = paired_difference(new, other)
    assert (both_ways.low, both_ways.best, both_ways.high) == (-math.inf, 0.0, math.inf)


def test_refuses_campaigns_of_different_length():
    with pytest.raises(InputError, match=r"shape \(3,\) and \(2,\) cannot be paired: .* use the unpaired difference"):
        paired_difference([1, 2, 3], [1, 2])


@pytest.mark.parametrize(("new", "old", "name"), [([2.0], [1.0], "new"), ([0.5], [-1.0], "old")])
def test_refuses_values_outside_the_bounds_by_name(new, old, name):
    with pytest.raises(InputError, match=rf"1 of 1 {name} values lie outside the bounds \[0, 1\]"):
        paired_difference(new, old, bounds=(0, 1))


@pytest.mark.parametrize("bounds", [None, (0, 1)])
def test_refuses_nan(bounds):
    with pytest.raises(InputError, match="1 of 2 values are NaN"):
        paired_difference([0.0, math.nan], [0.0, 1.0], bounds)
