"""How many bit flips the digits network survives (15,984 bits of kernels)."""

from __future__ import annotations

import pytest

import fkeras
from pytest_fkeras import fault_budget, ranking


@fault_budget(bits=400, protected=ranking.fraction(1 / 3), max_accuracy_drop=0.03)
def test_survives_400_flips_with_a_third_of_its_bits_protected():
    pass  # the budget is the assertion


@fault_budget(bits=400, protected=ranking("msb").fraction(1 / 2), min_accuracy=0.94)
def test_survives_400_flips_with_the_upper_half_of_every_word_protected():
    pass


@pytest.mark.xfail(raises=fkeras.BudgetExceeded, strict=True, reason="nothing is protected")
@fault_budget(bits=400, max_accuracy_drop=0.03)
def test_does_not_survive_400_flips_unprotected():
    pass


@fault_budget(bits=20, trials=200)
def test_a_handful_of_flips_costs_little_accuracy(fkeras_campaign):
    assert fkeras_campaign.failure_rate(min_accuracy=0.9).high <= 0.2
