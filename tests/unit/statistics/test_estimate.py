"""An estimate holds its order, its confidence and plain Python floats, or is not made."""

from __future__ import annotations

import dataclasses
import math
import operator

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.statistics import Estimate


def test_prints_best_interval_and_confidence():
    assert str(Estimate(0.004, 0.012, 0.031, 0.95, "Clopper-Pearson")) == "0.0120 [0.0040, 0.0310] at 95 %"


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0, 0, 0, 1, "exact (no fault can reach)"), "0.0000 [0.0000, 0.0000] at 100 %"),
        (Estimate(-math.inf, 2.909104, math.inf, 0.975, "t"), "2.9091 [-inf, inf] at 97.5 %"),
        (Estimate(1e-7, 2e-5, 123456.0, 0.999, "t"), "2e-05 [1e-07, 1.235e+05] at 99.9 %"),
    ],
)
def test_prints_every_magnitude(estimate, text):
    assert str(estimate) == text


@pytest.mark.parametrize("values", [(0.2, 0.1, 0.3), (0.1, 0.4, 0.3), (math.nan, 0.1, 0.2), (0.1, math.nan, 0.2)])
def test_refuses_disorder_and_nan(values):
    with pytest.raises(InputError, match=r"low <= best <= high without NaN; got low .*: widen the interval"):
        Estimate(*values, 0.95, "t")


@pytest.mark.parametrize("confidence", [0, -0.5, 1.01, 95, math.nan])
def test_refuses_impossible_confidence(confidence):
    with pytest.raises(InputError, match=r"is not in \(0, 1\]: write 0.95 for 95 %"):
        Estimate(0, 0, 0, confidence, "t")


def test_holds_python_floats_whatever_it_was_given():
    estimate = Estimate(np.float32(0), np.int64(1), np.float64(2), np.float64(0.95), "t")
    assert [type(v) for v in (estimate.low, estimate.best, estimate.high, estimate.confidence)] == [float] * 4


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Estimate(0, 0, 0, 1, "t").best = 1.0


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
@pytest.mark.parametrize("turned", [False, True])
def test_a_comparison_says_what_to_compare(compare, turned):
    estimate = Estimate(0.1, 0.2, 0.3, 0.95, "made up")
    with pytest.raises(TypeError, match=r"compare its \.best, \.low or \.high with 0\.6; \.high < x says that"):
        compare(0.6, estimate) if turned else compare(estimate, 0.6)
