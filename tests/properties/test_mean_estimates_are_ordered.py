"""Law: every mean of any values is an ordered interval without NaN, within its bounds, and moves with its data."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkeras.statistics.means import asymptotic_mean, bounded_mean, standard_error
from fkeras.statistics.paired import paired_difference, unpaired_difference

anything = st.floats(-1e300, 1e300) | st.sampled_from([math.inf, -math.inf])
shares = st.lists(st.floats(0, 1), min_size=1, max_size=60)
pairs = st.lists(st.tuples(anything, anything), min_size=1, max_size=60)


@given(values=st.lists(anything, min_size=1, max_size=60))
def test_any_values_have_an_ordered_estimate(values):
    estimate = asymptotic_mean(values, minimum=2)
    assert estimate.low <= estimate.best <= estimate.high
    assert standard_error(values) >= 0


@given(pairs=pairs)
def test_any_campaigns_have_an_ordered_difference(pairs):
    new, old = zip(*pairs, strict=True)
    for estimate in (paired_difference(new, old), unpaired_difference(new, old)):
        assert estimate.low <= estimate.best <= estimate.high


@given(values=shares, confidence=st.floats(0.01, 0.999))
def test_bounded_means_stay_within_their_bounds(values, confidence):
    estimate = bounded_mean(values, (0, 1), confidence)
    assert 0 <= estimate.low <= estimate.best <= estimate.high <= 1


@given(values=shares, shift=st.floats(-100, 100), scale=st.floats(0.1, 100))
def test_bounded_means_follow_a_change_of_unit(values, shift, scale):
    unit = bounded_mean(values, (0, 1))
    bounds = (shift, shift + scale)
    moved = bounded_mean([min(max(shift + scale * value, bounds[0]), bounds[1]) for value in values], bounds)
    for name in ("low", "best", "high"):
        assert getattr(moved, name) == pytest.approx(shift + scale * getattr(unit, name), abs=1e-6 * scale)
