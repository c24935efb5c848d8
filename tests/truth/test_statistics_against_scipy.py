"""Intervals and rank correlations against scipy's own, which share no code path with ours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fkeras.statistics.means import asymptotic_mean, standard_error
from fkeras.statistics.proportions import clopper_pearson, lower_bound, upper_bound
from fkeras.statistics.ranks import average_ranks, spearman


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
@pytest.mark.parametrize("trials", [1, 2, 7, 59, 400])
def test_clopper_pearson_is_the_exact_binomial_interval(trials, confidence):
    for failures in sorted({0, 1, trials // 3, trials - 1, trials}):
        truth = stats.binomtest(failures, trials).proportion_ci(confidence, method="exact")
        estimate = clopper_pearson(failures, trials, confidence)
        assert (estimate.low, estimate.high) == pytest.approx((truth.low, truth.high), abs=1e-9)


@pytest.mark.parametrize(("failures", "trials"), [(0, 3), (2, 59), (59, 60), (5, 5)])
def test_one_sided_bounds_are_where_the_binomial_test_turns(failures, trials):
    high, low = upper_bound(failures, trials, 0.95), lower_bound(failures, trials, 0.95)
    if failures < trials:
        assert stats.binom.cdf(failures, trials, high) == pytest.approx(0.05)
    if failures > 0:
        assert stats.binom.sf(failures - 1, trials, low) == pytest.approx(0.05)


def test_student_intervals():
    generator = np.random.default_rng(5)
    new = generator.gamma(2, 1.5, 45)
    truth = stats.ttest_1samp(new, 0).confidence_interval(0.9)
    mean = asymptotic_mean(new, 0.9)
    assert (mean.low, mean.high) == pytest.approx((truth.low, truth.high))
    assert standard_error(new) == pytest.approx(stats.sem(new))


@pytest.mark.parametrize("levels", [2, 5, 10**9])
def test_spearman_with_and_without_ties(levels):
    generator = np.random.default_rng(levels)
    a = generator.integers(0, levels, 500).astype(float)
    b = a + generator.integers(0, levels, 500)
    np.testing.assert_array_equal(average_ranks(a), stats.rankdata(a))
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
