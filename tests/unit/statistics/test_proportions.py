"""Clopper-Pearson bounds: closed forms at the ends, and impossible counts."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.statistics.proportions import clopper_pearson, lower_bound, upper_bound


def test_fifty_nine_clean_trials_exclude_five_per_cent_and_fifty_eight_do_not():
    assert upper_bound(0, 58, 0.95) > 0.05 > upper_bound(0, 59, 0.95)


@pytest.mark.parametrize("trials", [1, 2, 3, 59, 1000])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_no_failures_and_all_failures_have_closed_forms(trials, confidence):
    alpha = 1 - confidence
    assert upper_bound(0, trials, confidence) == pytest.approx(1 - alpha ** (1 / trials), rel=1e-12)
    assert lower_bound(trials, trials, confidence) == pytest.approx(alpha ** (1 / trials), rel=1e-12)
    assert lower_bound(0, trials, confidence) == 0.0
    assert upper_bound(trials, trials, confidence) == 1.0


def test_without_trials_nothing_is_known():
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0.0, 1.0)
    with pytest.raises(InputError, match="no trials, so no share to estimate: run at least 1 trial"):
        clopper_pearson(0, 0)


def test_two_sided_interval_is_two_one_sided_bounds_at_half_the_risk():
    estimate = clopper_pearson(3, 40, 0.9)
    assert (estimate.low, estimate.high) == (lower_bound(3, 40, 0.95), upper_bound(3, 40, 0.95))
    assert (estimate.best, estimate.confidence, estimate.method) == (3 / 40, 0.9, "Clopper-Pearson")


@pytest.mark.parametrize(("failures", "trials"), [(-1, 5), (6, 5), (0, -1)])
def test_refuses_impossible_counts(failures, trials):
    with pytest.raises(InputError, match=rf"{failures} failures in {trials} trials cannot be: give counts"):
        clopper_pearson(failures, trials)


def test_refuses_fractions_of_a_failure_but_takes_numpy_integers():
    with pytest.raises(TypeError, match="float"):
        clopper_pearson(1.5, 5)
    assert clopper_pearson(np.int64(1), np.int32(5)) == clopper_pearson(1, 5)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_refuses_certainty(confidence):
    with pytest.raises(InputError, match=r"is not in \(0, 1\): write 0.95 for 95 %; no data gives certainty"):
        upper_bound(0, 5, confidence)
