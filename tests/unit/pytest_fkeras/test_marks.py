"""What a fault_budget may state, and what it says to everything else."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fkeras.faults import SECDED, TMR, Exposure, FlipCount
from pytest_fkeras import TMR as plugin_tmr
from pytest_fkeras import fault_budget, mask, ranking
from pytest_fkeras.marks import Budget, BudgetError, parse_budget

GOOD = {"bits": 3, "max_mse": 1.0}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "states no faults; write exactly one of bits=, ber="),
        ({"bits": 3, "ber": 0.1}, "states bits= and ber="),
        ({"bits": 0}, "bits=0 is no count of flipped bits; allowed are whole numbers from 1 up"),
        ({"bits": 0.01}, "bits=0.01 is no count of flipped bits"),
        ({"bits": True}, "bits=True is no count"),
        ({"ber": 2}, "ber=2 is no probability per bit"),
        ({"upsets_per_second": 1}, "upsets_per_second= needs exposure_seconds="),
        (
            {"upsets_per_second": -1, "exposure_seconds": 3},
            "upsets_per_second=-1; allowed are finite numbers from 0 up",
        ),
        ({"upsets_per_bit_second": 1, "exposure_seconds": float("inf")}, "exposure_seconds=inf"),
        ({"bits": 3, "exposure_seconds": 3}, "exposure_seconds= needs a rate"),
        (
            {**GOOD, "protected": TMR([1], 60)},
            "scrub_interval_seconds=60.0 needs to know how long the faults take: write exposure_seconds=14400",
        ),
        ({**GOOD, "protected": plugin_tmr(ranking[:2], scrub_interval_seconds=60)}, "or leave scrub_interval_seconds"),
        (
            {"faults": FlipCount(3), "protected": TMR([1], 60), "max_mse": 1},
            "write faults=fkeras.FlipCount(960, exposure_seconds=14400)",
        ),
        ({**GOOD, "protected": TMR([1]), "exposure_seconds": 3}, "bits= and ber= take it only with a protection that"),
        ({**GOOD, "protected": TMR([1], 60), "exposure_seconds": -3}, "exposure_seconds=-3; allowed are finite"),
        ({"faults": 960}, "faults=960 is no fault model"),
        ({**GOOD, "trials": 0}, 'trials=0; allowed are whole numbers from 1 up, or "all" with bits=1'),
        (
            {**GOOD, "max_failure_rate": 0},
            "max_failure_rate=0 cannot be shown by drawing faults, however many trials hold",
        ),
        ({**GOOD, "trials": "all"}, 'write bits=1, trials="all"'),
        ({**GOOD, "trials": "many"}, "trials='many'"),
        ({**GOOD, "trials": 3, "margin": 0.1}, "trials= and margin= contradict one another"),
        ({**GOOD, "trials": 3, "max_trials": 5}, "trials= and max_trials= contradict one another"),
        ({**GOOD, "margin": 5}, "margin=5 is no margin of a proportion"),
        ({**GOOD, "max_trials": 0}, "max_trials=0"),
        ({**GOOD, "max_failure_rate": 1}, "max_failure_rate=1 is no share of trials"),
        ({**GOOD, "confidence": 95}, "confidence=95; allowed are numbers from 0.5 up to, not including, 1"),
        ({**GOOD, "seed": -1}, "seed=-1"),
        ({**GOOD, "protected": ranking}, "protected=ranking is a whole ranking; write ranking[:k]"),
        ({**GOOD, "protected": ranking("msb")}, "write ranking('msb')[:k]"),
        ({**GOOD, "protected": 4040}, "protected=4040; write ranking[:k]"),
        ({**GOOD, "protected": "msb"}, "protected='msb'; write ranking[:k]"),
        ({**GOOD, "method": 3}, "method=3; write the name of a ranking method"),
        ({**GOOD, "layers": 3}, "layers=3; write a glob"),
        ({**GOOD, "biases": "yes"}, "biases='yes'; write True or False"),
        ({**GOOD, "engine": 3}, "engine=3"),
        ({**GOOD, "bit": 3}, "unknown keyword bit=; did you mean bits=?"),
        ({**GOOD, "emd": 3}, "unknown keyword emd=; "),
        ({"bits": 3, "max_emd": "1"}, "max_emd='1': a limit is a finite number"),
        ({"bits": 3, "max_emd": float("nan")}, "max_emd=nan: a limit is a finite number"),
        ({"bits": 3, "min_accuracy": None}, "min_accuracy=None: a limit is a finite number"),
        ({"bits": 3, "max_": 3}, "unknown keyword max_="),
        ({"ber": 0, "max_mse": 1}, "this budget could not fail: with ber=0 nothing is ever hit"),
        (
            {"upsets_per_second": 1, "exposure_seconds": 0, "max_mse": 1},
            "this budget could not fail: with exposure_seconds=0 nothing is ever hit",
        ),
        ({"min_flips_survived": 3, "bits": 3, "max_mse": 1}, "says how many bits flip; leave out bits="),
        ({"min_flips_survived": 3, "max_critical_bits": 3, "max_mse": 1}, "leave out max_critical_bits="),
        ({"min_flips_survived": 3, "trials": "all", "max_mse": 1}, "leave out trials="),
        ({"min_flips_survived": 0, "max_mse": 1}, "min_flips_survived=0 is no count of flipped bits"),
        ({"min_flips_survived": 3}, "needs a limit that is kept, as in min_flips_survived=500, max_emd=1.25"),
        ({"max_critical_bits": 3}, "needs the limit that one flip must not break, as in max_critical_bits=12,"),
        ({"max_critical_bits": -1, "max_mse": 1}, "max_critical_bits=-1 is no count of bits"),
        ({"max_critical_bits": 0.1, "max_mse": 1}, "max_critical_bits=0.1 is no count of bits"),
        ({"max_critical_bits": 3, "bits": 5, "max_mse": 1}, "flips every bit alone and counts; leave out bits=5"),
        ({"max_critical_bits": 3, "trials": 5, "max_mse": 1}, "leave out trials=5"),
        ({"max_critical_bits": 3, "max_failure_rate": 0.1, "max_mse": 1}, "leave out max_failure_rate=0.1"),
        ({"max_critical_bits": 3, "ber": 0.1, "max_mse": 1}, "states bits= and ber="),
        ({"max_critical_bits": 3, "max_trials": 9, "max_mse": 1}, "trials= and max_trials= contradict one another"),
        (
            {"max_critical_bits": 3, "max_sensitive_fraction": 0.1, "max_mse": 1},
            "max_critical_bits= and max_sensitive_fraction= ask two questions; write two tests",
        ),
        (
            {"max_sensitive_fraction": 1, "min_change": 0.1},
            "max_sensitive_fraction=1 is no share of bits that could be",
        ),
        ({"max_sensitive_fraction": 0.3}, "max_sensitive_fraction= needs either min_change=, how much worse"),
        ({"max_sensitive_fraction": 0.3, "min_change": 0.1, "max_mse": 1}, "needs either min_change="),
        ({"max_sensitive_fraction": 0.3, "min_change": -1}, "min_change=-1; allowed are finite numbers from 0 up"),
        ({"bits": 3, "min_change": 0.1}, "min_change= says from which change on a bit is sensitive; write max_sens"),
    ],
)
def test_wrong_budgets_say_what_to_write(keywords, message):
    for check in (lambda: parse_budget((), keywords), lambda: fault_budget(**keywords)):
        with pytest.raises(BudgetError, match=re.escape(message)):
            check()


def test_positional_arguments_are_refused():
    with pytest.raises(BudgetError, match=r"positional arguments \(960,\) are not allowed; write keywords"):
        parse_budget((960,), {})
    with pytest.raises(TypeError):
        fault_budget(960)


@pytest.mark.parametrize(
    "keywords",
    [
        {"bits": 960, "protected": ranking[:4040], "max_emd": 1.25},
        {"ber": 1e-4, "min_accuracy": 0.9, "max_accuracy_drop": 0.02},
        {"upsets_per_second": 1 / 15, "exposure_seconds": 14400, "max_emd_increase": 0.1},
        {"faults": Exposure(3600, upsets_per_second=1), "max_emd": 1},
        {"bits": 1, "trials": "all", "max_emd": 1},
        {"min_flips_survived": 500, "max_emd": 1},
        {"max_critical_bits": 0, "max_emd": 1},
        {"max_critical_bits": 3, "bits": 1, "trials": "all", "max_emd": 1, "protected": ranking[:4]},
        {"max_sensitive_fraction": 0.3, "min_change": 0.01},
        {"max_sensitive_fraction": 0, "max_emd_increase": 0.01},
        {"bits": 3, "protected": ranking[:3].under(TMR), "max_emd": 1},
        {"bits": 3, "protected": SECDED([1, 2]), "max_emd": 1},
        {
            "bits": 3,
            "exposure_seconds": 60,
            "protected": plugin_tmr(ranking[:3], scrub_interval_seconds=6),
            "max_emd": 1,
        },
        {"ber": 0.1, "exposure_seconds": 60, "protected": TMR([1], 6), "max_emd": 1},
        {"faults": FlipCount(3, 60), "protected": TMR([1], 6), "max_emd": 1},
        {"bits": 1, "trials": "all", "protected": TMR([1], 6), "max_emd": 1},
        {"bits": 3, "protected": mask("protection.json") | ranking[:3], "max_emd": 1},
        {"bits": 3, "protected": [1, 2], "margin": 0.01, "max_emd": 1},
        {"bits": 3, "layers": ["conv*", "!dense"], "biases": True, "engine": "reference", "seed": 0, "max_emd": 1},
    ],
)
def test_the_decorator_s_mark_states_the_same_budget(keywords):
    @fault_budget(**keywords)
    def test():
        pass

    by_name = {mark.name: mark for mark in test.pytestmark}
    assert by_name["usefixtures"].args == ("fkeras_campaign",)
    mark = by_name["fault_budget"]
    assert parse_budget(mark.args, mark.kwargs) == parse_budget((), keywords)


def test_numpy_numbers_are_numbers():
    budget = parse_budget((), {"bits": np.int64(3), "max_emd": np.float32(1.5), "seed": np.int32(2)})
    assert (budget.bits, budget.limits, budget.seed) == (3, (("max_emd", 1.5),), 2)


def test_limits_are_separate_from_the_other_keywords():
    budget = parse_budget((), {"bits": 960, "max_emd": 1.25, "max_trials": 80, "max_failure_rate": 0.1})
    assert budget == Budget(bits=960, max_trials=80, max_failure_rate=0.1, limits=(("max_emd", 1.25),))
    assert not budget.is_exhaustive


def test_counts_of_bits_are_exhaustive_budgets():
    for keywords in ({"max_critical_bits": 3, "max_emd": 1}, {"max_sensitive_fraction": 0.3, "min_change": 0.1}):
        budget = parse_budget((), keywords)
        assert (budget.bits, budget.trials, budget.is_exhaustive, budget.judges) == (1, "all", True, True)


def test_survival_is_a_budget_of_that_many_flips():
    budget = parse_budget((), {"min_flips_survived": 500, "max_emd": 1})
    assert (budget.bits, budget.is_exhaustive) == (500, False)


@pytest.mark.parametrize("keyword", ["max", "min", "worst", "max_worst_emd", "quantile_emd", "Percentile"])
def test_worst_cases_are_stated_as_shares_of_trials(keyword):
    remedy = "the worst trial so far is no bound.*max_failure_rate=0.01 is a 99 % quantile"
    with pytest.raises(BudgetError, match=f"{keyword}=: {remedy}"):
        fault_budget(bits=3, **{keyword: 1.25})
