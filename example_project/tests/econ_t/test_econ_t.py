"""Four hours in the beam: 960 bit flips, one in 15 seconds, in the encoder's 12,720 bits."""

from __future__ import annotations

import pytest

import fkeras
from pytest_fkeras import TMR, fault_budget, ranking

FOUR_HOURS = 4 * 60 * 60 // 15
SENSITIVE_THIRD = ranking[:4240]


@fault_budget(bits=FOUR_HOURS, protected=SENSITIVE_THIRD, max_emd=1.0)
def test_four_hours_in_the_beam():
    pass  # the budget is the assertion


@fault_budget(
    bits=FOUR_HOURS,
    exposure_seconds=4 * 60 * 60,
    protected=TMR(SENSITIVE_THIRD, scrub_interval_seconds=60),
    max_emd=1.0,
)
def test_four_hours_under_tmr_written_anew_every_minute():
    pass  # its copies are hit too; never written anew, 69 of the 4,240 bits would be wrong in the end


@fault_budget(bits=FOUR_HOURS, protected=ranking("msb").fraction(1 / 2), max_emd_increase=0.2)
def test_four_hours_with_the_upper_half_of_every_word_protected():
    pass


@pytest.mark.xfail(raises=fkeras.BudgetExceeded, strict=True, reason="nothing is protected")
@fault_budget(bits=FOUR_HOURS, max_emd=1.0)
def test_four_hours_unprotected():
    pass
