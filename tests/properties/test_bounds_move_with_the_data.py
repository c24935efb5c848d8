"""Law: bounds rise with failures, fall with clean trials, widen with confidence; looking at any time costs width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkeras.statistics.proportions import lower_bound, upper_bound
from fkeras.statistics.sequential import anytime_lower_bound, anytime_upper_bound, share_decision

counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n)))
confidences = st.floats(0.5, 0.9999)
slack = 1e-12
bounds = pytest.mark.parametrize("bound", [upper_bound, lower_bound, anytime_upper_bound, anytime_lower_bound])


@bounds
@given(counts=counts, confidence=confidences)
def test_one_more_failure_raises_the_bound(bound, counts, confidence):
    k, n = counts
    assert bound(k, n, confidence) <= bound(k + 1, n, confidence) + slack
    assert bound(k, n, confidence) <= bound(k + 1, n + 1, confidence) + slack


@bounds
@given(counts=counts, confidence=confidences)
def test_one_more_clean_trial_lowers_the_bound(bound, counts, confidence):
    k, n = counts
    assert bound(k, n + 1, confidence) <= bound(k, n, confidence) + slack


@bounds
@given(counts=counts, pair=st.tuples(confidences, confidences).map(sorted))
def test_more_confidence_widens(bound, counts, pair):
    sure, surer = (bound(*counts, confidence) for confidence in pair)
    if bound in (upper_bound, anytime_upper_bound):
        assert surer >= sure - slack
    else:
        assert surer <= sure + slack


@given(counts=counts, confidence=confidences)
def test_looking_at_any_time_is_never_free(counts, confidence):
    # A fixed number of trials is one way to stop, and Clopper-Pearson is the sharpest monotone bound for it.
    assert anytime_upper_bound(*counts, confidence) >= upper_bound(*counts, confidence) - slack
    assert anytime_lower_bound(*counts, confidence) <= lower_bound(*counts, confidence) + slack


@given(counts=counts, limit=st.floats(0, 1), confidence=confidences)
def test_a_pass_survives_fewer_failures_and_more_clean_trials(counts, limit, confidence):
    k, n = counts
    if share_decision(k, n, limit, confidence) == "below":
        assert share_decision(k, n + 1, limit, confidence) == "below"
        assert share_decision(max(k - 1, 0), n, limit, confidence) == "below"
