"""Differences of campaigns: what pairing buys, which label they carry, and infinite trials."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.statistics.means import bounded_mean
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
    assert paired_difference(*campaigns, (0, 1)).low > 0


@pytest.mark.parametrize(
    ("difference", "bounds", "method"),
    [
        (paired_difference, None, "paired mixture (asymptotic)"),
        (paired_difference, (0, 1), "paired betting (exact, bounded)"),
        (unpaired_difference, None, "unpaired mixture (asymptotic)"),
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


def test_campaigns_without_spread_differ_by_a_point():
    estimate = unpaired_difference([3.0] * 100, [1.0] * 101)
    assert (estimate.low, estimate.best, estimate.high) == (2.0, 2.0, 2.0)


def test_too_few_trials_say_how_many_are_needed():
    assert paired_difference([1.0] * 5, [2.0] * 5).method == "paired mixture (asymptotic; needs 100 values, got 5)"
    estimate = unpaired_difference([1.0] * 140, [2.0] * 5)
    assert estimate.method == "unpaired mixture (asymptotic; needs 100 values, got 5)"
    assert (estimate.low, estimate.best, estimate.high) == (-math.inf, -1.0, math.inf)


def test_exact_bounds_are_one_sided():
    # Two-sided at 90 % is 5 % on each side.
    new, old = np.linspace(0, 1, 80), np.linspace(0.1, 0.9, 80)
    one_sided = paired_difference(new, old, (0, 1), 0.95)
    two_sided = bounded_mean(new - old, (-1, 1), 0.9)
    assert (one_sided.low, one_sided.high) == (two_sided.low, two_sided.high)


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
