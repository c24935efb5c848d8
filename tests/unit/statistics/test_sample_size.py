"""Leveugle's sample sizes: the known answers and the finite form."""

from __future__ import annotations

import math

import pytest

from fkeras.errors import InputError
from fkeras.statistics import leveugle


@pytest.mark.parametrize(("confidence", "faults"), [(0.95, 9604), (0.98, 13530), (0.99, 16587)])
def test_infinite_populations(confidence, faults):
    assert leveugle(None, 0.01, confidence=confidence) == leveugle(math.inf, 0.01, confidence=confidence) == faults


def test_finite_population_by_hand():
    # 10,000 / (1 + 0.0001 * 9,999 / (1.96^2 / 4)) = 4,899.1
    assert leveugle(10_000, 0.01, t=1.96) == 4899
    # With p = 0.1 the spread is 1.96^2 * 0.09 = 0.345744: 10,000 / (1 + 0.9999 / 0.345744) = 2,569.4
    assert leveugle(10_000, 0.01, t=1.96, p=0.1) == 2569


def test_the_quantile_may_be_given_itself():
    assert leveugle(None, 0.01, t=1.96) == 9604
    assert leveugle(None, 0.01, t=2.58) == 16641


def test_a_population_of_one_is_looked_at_and_certainty_needs_no_look():
    assert leveugle(1, 0.01, confidence=0.95) == 1
    assert leveugle(1, 0.01, confidence=0.95, p=0) == leveugle(None, 0.01, confidence=0.95, p=1) == 0


@pytest.mark.parametrize("population", [1, 2, 10, 1000, 10**6])
def test_never_more_than_there_are(population):
    assert 0 < leveugle(population, 0.01, t=2.58) <= population


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"population": 0, "margin": 0.01, "t": 1.96}, "population 0 is no number of faults"),
        ({"population": None, "margin": 0.0, "t": 1.96}, r"margin 0.0 is not in \(0, 1\): write 0.01"),
        ({"population": None, "margin": 1, "t": 1.96}, r"margin 1 is not in \(0, 1\)"),
        ({"population": None, "margin": 0.01, "t": 1.96, "p": 1.2}, "p 1.2 is no proportion"),
        ({"population": None, "margin": 0.01, "t": -1}, "t -1 is no normal quantile: give a positive number"),
        ({"population": None, "margin": 0.01, "confidence": 95}, r"confidence 95 is not in \(0, 1\)"),
        ({"population": None, "margin": 0.01}, "give exactly one of confidence= .* and t="),
        ({"population": None, "margin": 0.01, "t": 1.96, "confidence": 0.95}, "give exactly one of"),
    ],
)
def test_refuses_and_says_what_is_allowed(arguments, message):
    with pytest.raises(InputError, match=message):
        leveugle(**arguments)
