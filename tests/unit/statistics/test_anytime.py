"""Bounds on means that hold at all trials at once: from where they start, how wide they are, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.statistics.means import bounded_mean
from fkeras.statistics.paired import anytime_mean


def test_bounded_means_are_bounded_on_each_side_at_the_confidence():
    values = np.random.default_rng(1).random(60)
    one, both = anytime_mean(values, (0, 1), 0.95), bounded_mean(values, (0, 1), 0.9)
    assert (one.low, one.high) == pytest.approx((both.low, both.high))
    assert one.confidence == 0.95


@pytest.mark.parametrize("confidence", [0.5, 0.05, 0.999])
def test_every_confidence_has_bounds(confidence):
    values = np.random.default_rng(2).random(200)
    for bounds in (None, (0.0, 1.0)):
        estimate = anytime_mean(values, bounds, confidence)
        assert estimate.low <= estimate.best <= estimate.high
        assert estimate.low < estimate.high


def test_the_mixtures_bound_by_hand():
    # 400 values of mean 0 and standard error s: the bound is s x sqrt(2 (1 + 1/u) log(1 + sqrt(u + 1) / 0.1)) with
    # u = 400 / 300 x (2 log 10 + log(2 log 10) + 1).
    values = np.array([1.0, -1.0] * 200)
    error = math.sqrt(400 / 399) / 20
    u = 400 / 300 * (2 * math.log(10) + math.log(2 * math.log(10)) + 1)
    expected = error * math.sqrt(2 * (1 + 1 / u) * math.log(1 + math.sqrt(u + 1) / 0.1))
    estimate = anytime_mean(values)
    assert (estimate.low, estimate.high) == pytest.approx((-expected, expected))
    # Looking at every trial costs: one look at Student's t would take 1.65 standard errors.
    assert 2.5 < expected / error < 3.2


def test_asymptotic_bounds_start_at_100_values():
    values = np.random.default_rng(3).normal(size=100)
    assert math.isinf(anytime_mean(values[:99]).high)
    assert math.isfinite(anytime_mean(values).high)


def test_infinite_values_bound_nothing():
    values = np.append(np.zeros(200), math.inf)
    estimate = anytime_mean(values)
    assert (estimate.low, estimate.best, estimate.high) == (-math.inf, math.inf, math.inf)
    assert estimate.method == "no interval: 1 of 201 values are infinite"


@pytest.mark.parametrize("values", [[], [math.nan], [[1.0]]])
def test_what_has_no_mean_is_refused(values):
    with pytest.raises(InputError):
        anytime_mean(values)


def test_trials_that_show_no_change_are_four_ranges_per_tolerance():
    # What docs/statistics.md promises: 4 x range / tolerance, at 95 %.
    for tolerance in (0.01, 0.05):
        n = round(4 / tolerance)
        assert anytime_mean(np.zeros(round(1.03 * n)), (-1, 1)).high <= tolerance
        assert anytime_mean(np.zeros(round(0.95 * n)), (-1, 1)).high > tolerance
