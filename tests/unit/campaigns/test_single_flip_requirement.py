"""Critical bits: those that break a limit alone."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import Limit, Outcome, measure_oracle
from fkeras.campaigns.exhaustive import run_exhaustive
from fkeras.campaigns.verdict import most_critical, most_sensitive
from fkeras.errors import InputError
from fkeras.faults import protection
from fkeras.progress import silent

LIMITS = (Limit("mse", "max", 96.5),)


def damage(bits):
    return float(bits.sum())


def test_an_oracle_names_the_bits_that_break_a_limit_alone(function_run):
    run = function_run(damage)
    oracle = measure_oracle(run, "mse", np.array([99, 3, 98, 50]), silent)
    found = oracle.critical(max_mse=97)
    assert found.bits.tolist() == [98, 99]
    assert found.layout_digest == run.space.layout_digest
    assert repr(found) == "<BitSet of 2 bits: critical(max_mse=97)>"
    assert oracle.critical(max_mse=98, min_mse=4).bits.tolist() == [3, 99]
    assert oracle.critical(max_mse_increase=99).bits.tolist() == []


def test_limits_of_other_metrics_and_none_are_refused(function_run):
    oracle = measure_oracle(function_run(damage), "mse", np.array([1]), silent)
    with pytest.raises(InputError, match="no metric 'emd'; there are mse"):
        oracle.critical(max_emd=1)
    with pytest.raises(InputError, match=r"needs a limit, as in critical\(max_mse=...\)"):
        oracle.critical()


@pytest.mark.parametrize(("most", "outcome"), [(3, Outcome.PASS), (2, Outcome.FAIL), (0, Outcome.FAIL)])
def test_a_number_of_critical_bits_is_compared_exactly(function_run, most, outcome):
    result = run_exhaustive(function_run(damage), protection(None, function_run(damage).space), silent)
    verdict = result.verdict(most_critical(LIMITS, most, 100))
    assert (verdict.outcome, verdict.failures, verdict.exact) == (outcome, 3, True)


@pytest.mark.parametrize("n_bits", [3, 7, 49, 12_720, 459_520])
def test_a_share_made_of_a_number_loses_nothing(n_bits):
    for most in {0, 1, n_bits // 3, n_bits - 1}:
        share = most_critical(LIMITS, most, n_bits).max_failure_rate
        assert most / n_bits <= share < (most + 1) / n_bits


def test_protected_bits_are_not_critical(function_run):
    run = function_run(damage)
    result = run_exhaustive(run, protection([97, 98, 99], run.space), silent)
    assert result.verdict(most_critical(LIMITS, 0, 100)).outcome is Outcome.PASS


def test_requirements_say_what_they_mean():
    texts = [str(most_critical(LIMITS, most, 10_000)) for most in (0, 1, 1200)]
    assert texts == [
        "no bit critical: one flip alone breaks max_mse=96.5",
        "at most 1 bit critical: one flip alone breaks max_mse=96.5",
        "at most 1,200 bits critical: one flip alone breaks max_mse=96.5",
    ]
    assert str(most_sensitive((Limit("mse", "increase", 0.01),), 0.3)) == (
        "at most 30 % of bits sensitive: one flip alone breaks max_mse_increase=0.01"
    )


def test_a_number_that_nothing_exceeds_is_refused():
    with pytest.raises(
        InputError, match="max_critical_bits=100 could not fail: the memory has 100 bits; allowed are 0"
    ):
        most_critical(LIMITS, 100, 100)
