"""Decisions that may be taken at any trial: where they fall, at the edges and in the open."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.statistics.sequential import (
    MOST_TRIALS,
    anytime_lower_bound,
    anytime_upper_bound,
    confidence_sequence,
    log_evidence_above,
    log_evidence_below,
    share_decision,
    trials_to_decide,
)


@pytest.mark.parametrize(
    ("limit", "confidence", "needed"), [(0.05, 0.95, 69), (0.05, 0.99, 102), (0.01, 0.95, 349), (0.5, 0.95, 5)]
)
def test_clean_campaigns_pass_after_so_many_trials(limit, confidence, needed):
    assert share_decision(0, needed - 1, limit, confidence) is None
    assert share_decision(0, needed, limit, confidence) == "below"
    # No rule can be faster than the fixed number of trials that excludes the limit without looking.
    assert needed >= math.ceil(math.log(1 - confidence) / math.log1p(-limit))


def test_campaigns_that_always_fail_end_after_two_trials():
    assert [share_decision(n, n, 0.05) for n in (0, 1, 2)] == [None, None, "above"]


def test_limit_zero_is_never_proven_and_broken_by_the_first_failure():
    assert share_decision(0, 10**9, 0) is None
    assert share_decision(1, 10**9, 0) == "above"


def test_limit_one_is_never_broken_and_proven_by_the_first_clean_trial():
    assert share_decision(10**9, 10**9, 1) is None
    assert share_decision(10**9 - 1, 10**9, 1) == "below"


def test_nothing_is_decided_before_the_first_trial_or_at_the_limit_itself():
    assert {share_decision(0, 0, limit) for limit in (0, 0.05, 1)} == {None}
    assert {share_decision(n // 20, n, 0.05) for n in range(20, 20_001, 20)} == {None}


def test_evidence_starts_at_one():
    limits = np.array([0.01, 0.05, 0.5, 0.99])
    # The stakes sum to one, so before any trial the fortune is one; a sum that is not makes every claim false.
    for evidence in (log_evidence_below, log_evidence_above):
        np.testing.assert_allclose(evidence(0, 0, limits), 0, atol=1e-12)


@pytest.mark.parametrize("evidence", [log_evidence_below, log_evidence_above])
@pytest.mark.parametrize("limit", [0.001, 0.05, 0.3, 0.97])
def test_evidence_is_a_fair_game_at_the_limit(evidence, limit):
    k, n = np.array([[0, 0], [0, 7], [3, 7], [7, 7], [12, 300], [40, 300]]).T
    expected = np.logaddexp(
        math.log(limit) + evidence(k + 1, n + 1, limit), math.log1p(-limit) + evidence(k, n + 1, limit)
    )
    np.testing.assert_allclose(expected, evidence(k, n, limit), rtol=1e-9, atol=1e-9)


def test_huge_campaigns_stay_finite():
    assert share_decision(49_000_000, 10**9, 0.05) == "below"
    assert share_decision(51_000_000, 10**9, 0.05) == "above"
    assert share_decision(0, 10**9, 0.05) == "below"
    assert share_decision(10**9, 10**9, 0.05) == "above"


def test_bounds_without_trials_or_failures_or_successes():
    assert (anytime_lower_bound(0, 0), anytime_upper_bound(0, 0)) == (0.0, 1.0)
    assert anytime_lower_bound(0, 50) == 0.0
    assert anytime_upper_bound(50, 50) == 1.0


def test_confidence_sequence_spends_half_the_risk_on_each_side():
    estimate = confidence_sequence(3, 100, 0.9)
    assert (estimate.low, estimate.high) == (anytime_lower_bound(3, 100, 0.95), anytime_upper_bound(3, 100, 0.95))
    assert (estimate.best, estimate.confidence) == (0.03, 0.9)
    assert estimate.method == "confidence sequence (beta mixture)"


def test_confidence_sequence_needs_a_trial():
    with pytest.raises(InputError, match="no trials, so no share to estimate"):
        confidence_sequence(0, 0)


@pytest.mark.parametrize("limit", [-0.01, 1.01, 5, math.nan])
def test_refuses_a_limit_that_is_no_share(limit):
    with pytest.raises(InputError, match=r"is no share: write a number from 0 to 1, such as 0.05 for 5 %"):
        share_decision(0, 5, limit)


@pytest.mark.parametrize("confidence", [0.0, 0.49, 1.0, 95, math.nan])
def test_refuses_a_confidence_without_meaning(confidence):
    with pytest.raises(InputError, match=r"is not in \[0.5, 1\): write 0.95 for 95 %"):
        share_decision(0, 5, 0.05, confidence)


@pytest.mark.parametrize(("failures", "trials"), [(0, 0), (0, 30), (1, 100), (30, 100), (3, 4), (2, 100)])
def test_trials_to_decide_is_what_deciding_takes(failures, trials):
    share = failures / trials if trials else 0.0
    more = trials_to_decide(failures, trials, 0.05)
    assert more is not None
    evidence = log_evidence_below if share < 0.05 else log_evidence_above
    reached = [evidence(failures + share * m, trials + m, 0.05) >= math.log(20) for m in range(more + 1)]
    assert reached[-1]
    assert not any(reached[:-1])


def test_trials_to_decide_knows_when_nothing_will():
    assert trials_to_decide(5, 100, 0.05) is None
    assert trials_to_decide(0, 100, 0.0) is None
    assert trials_to_decide(100, 100, 1.0) is None
    # 4.999 % is told from 5 % only after hundreds of millions of trials.
    assert trials_to_decide(4_999, 100_000, 0.05) is None
    assert trials_to_decide(0, 0, 1e-9) is None


def test_trials_to_decide_is_zero_once_decided_and_large_when_close():
    assert trials_to_decide(0, 69, 0.05) == 0
    near = trials_to_decide(49, 1000, 0.05)
    assert near is not None
    assert 100_000 < near < MOST_TRIALS


def test_a_decision_takes_less_than_a_millisecond():
    share_decision(0, 1, 0.05)
    start = time.perf_counter()
    for trials in range(1, 501):
        share_decision(trials // 20, trials, 0.05)
    assert (time.perf_counter() - start) / 500 < 1e-3
