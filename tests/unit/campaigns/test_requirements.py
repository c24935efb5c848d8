"""What a requirement, a plan and a sample size may say: each rule in one place, and the argument's name with it."""

from __future__ import annotations

import pytest

from fkeras.campaigns import FixedTrials, Limit, Requirement, UntilDecided
from fkeras.campaigns.verdict import most_critical, most_sensitive
from fkeras.errors import Argument, InputError
from fkeras.faults.protected import covering
from fkeras.statistics import leveugle

LIMITS = (Limit("mse", "max", 1.0),)
WRONG = {
    "max_failure_rate": (lambda value: Requirement(LIMITS, value), (1, -0.1, "0.1", True, float("nan"), None)),
    "confidence": (lambda value: Requirement(LIMITS, 0.05, value), (1, 0.4999, 95, "95 %", float("nan"), True)),
    "trials": (FixedTrials, (0, 2.5, "all", True, 10**9)),
    "max_trials": (lambda value: UntilDecided(Requirement(LIMITS), value), (0, 2.5, None, True)),
    "max_critical_bits": (lambda value: most_critical(LIMITS, value), (-1, 0.1, True)),
    "max_sensitive_fraction": (lambda value: most_sensitive(LIMITS, value), (1, -0.1, "some", True)),
    "protected": (covering, (4040, "msb", {"bits": 3}, object)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_refused_with_the_name_of_its_argument(name):
    make, values = WRONG[name]
    for value in values:
        with pytest.raises(InputError, match="allowed are") as caught:
            make(value)
        (argument,) = [part for part in caught.value.args if isinstance(part, Argument)]
        assert (argument.name, argument.value) == (name, value) or value != value


def test_a_margin_is_a_number():
    with pytest.raises(InputError, match=r"margin '0\.1' is not in"):
        leveugle(None, "0.1", 0.95)


def test_a_share_of_bits_is_one_once_the_memory_is_known():
    requirement = most_critical(LIMITS, 3)
    assert requirement.on(LIMITS, 60) == most_critical(LIMITS, 3, 60)
    assert requirement.on(LIMITS, 60).max_failure_rate == 0.05
    with pytest.raises(
        InputError, match="max_critical_bits=3 could not fail: the memory has 3 bits; allowed are 0 to 2"
    ):
        requirement.on(LIMITS, 3)


def test_confidence_of_a_half_is_the_least():
    assert Requirement(LIMITS, 0.05, 0.5).confidence == 0.5
