"""Law: a share is decided below (above) a limit exactly when its anytime bound lies below (above) it."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from fkeras.statistics.sequential import (
    anytime_lower_bound,
    anytime_upper_bound,
    confidence_sequence,
    share_decision,
)

counts = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
confidences = st.floats(0.5, 0.9999)


@given(counts=counts, limit=st.floats(0, 1), confidence=confidences)
def test_decision_agrees_with_bounds(counts, limit, confidence):
    low, high = anytime_lower_bound(*counts, confidence), anytime_upper_bound(*counts, confidence)
    # Within rounding of a bound either answer is right.
    assume(abs(limit - high) > 1e-9 * high and abs(limit - low) > 1e-9 * low)
    expected = "below" if high < limit else "above" if limit < low else None
    assert share_decision(*counts, limit, confidence) == expected


@given(counts=counts, confidence=confidences, distance=st.floats(1e-6, 0.5), upper=st.booleans())
def test_the_answer_changes_at_the_bound(counts, confidence, distance, upper):
    bound = anytime_upper_bound(*counts, confidence) if upper else anytime_lower_bound(*counts, confidence)
    beyond, short = (
        (bound * (1 + distance), bound * (1 - distance)) if upper else (bound * (1 - distance), bound * (1 + distance))
    )
    if 0 < beyond <= 1 and 0 < bound < 1:
        assert share_decision(*counts, beyond, confidence) == ("below" if upper else "above")
    share = counts[0] / counts[1]
    if 0 < bound < 1 and (share <= short if upper else short <= share):
        assert share_decision(*counts, short, confidence) is None


@given(counts=counts, confidence=st.floats(0.01, 0.999))
def test_the_interval_holds_the_observed_share(counts, confidence):
    estimate = confidence_sequence(*counts, confidence)
    assert 0 <= estimate.low <= counts[0] / counts[1] <= estimate.high <= 1
