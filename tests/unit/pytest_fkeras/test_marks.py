"""What a fault_budget may state, and what it says to everything else."""

from __future__ import annotations

import inspect
import re
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest

from fkeras.campaigns import Limit, Requirement
from fkeras.campaigns.exhaustive import EachBitAlone
from fkeras.campaigns.verdict import most_critical, most_sensitive
from fkeras.faults import SECDED, TMR, BitErrorRate, Exposure, FlipCount
from pytest_fkeras import TMR as plugin_tmr
from pytest_fkeras import fault_budget, mask, ranking
from pytest_fkeras.marks import THE_ONLY_METRIC, BudgetError, keywords, parse_budget

GOOD = {"bits": 3, "max_mse": 1.0}
MAX_EMD = Limit("emd", "max", 1.25)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "states no faults; write exactly one of bits=, ber="),
        ({"bits": 3, "ber": 0.1}, "states bits= and ber="),
        ({"bits": 0}, "bits=0 is no count of flipped bits; allowed are whole numbers from 1 up"),
        ({"bits": 0.01}, "fault_budget: bits is 0.01; allowed are whole numbers from 0 up"),
        ({"bits": True}, "bits is True; allowed are whole numbers"),
        ({"ber": 2}, "ber is 2, a probability per bit; allowed are 0 to 1"),
        ({"upsets_per_second": 1}, "upsets_per_second= needs exposure_seconds="),
        (
            {"upsets_per_second": -1, "exposure_seconds": 3},
            "upsets_per_second is -1; allowed are finite numbers from 0 up",
        ),
        ({"upsets_per_bit_second": 1, "exposure_seconds": float("inf")}, "exposure_seconds is inf"),
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
        ({**GOOD, "protected": TMR([1], 60), "exposure_seconds": -3}, "exposure_seconds is -3; allowed are finite"),
        ({"faults": 960}, "faults=960 is no fault model"),
        ({**GOOD, "trials": 0}, "trials is 0; allowed are whole numbers from 1 to"),
        (
            {**GOOD, "max_failure_rate": 0},
            "max_failure_rate=0 cannot be shown by drawing faults, however many trials hold",
        ),
        ({**GOOD, "trials": "all"}, 'write bits=1, trials="all"'),
        ({**GOOD, "trials": "many"}, "trials='many'; allowed are whole numbers from 1 up, or \"all\" with bits=1"),
        ({**GOOD, "trials": 3, "margin": 0.1}, "trials= and margin= contradict one another"),
        ({**GOOD, "trials": 3, "max_trials": 5}, "trials= and max_trials= contradict one another"),
        ({**GOOD, "margin": 5}, "margin 5 is not in (0, 1): write 0.01 for +- 1 %"),
        ({**GOOD, "max_trials": 0}, "max_trials is 0; allowed are whole numbers from 1 to"),
        (
            {**GOOD, "max_failure_rate": 1},
            "max_failure_rate is 1, a share of trials; allowed are 0 up to, not including, 1",
        ),
        ({**GOOD, "confidence": 95}, "confidence is 95; allowed are numbers from 0.5 up to, not including, 1"),
        ({**GOOD, "seed": -1}, "seed=-1"),
        ({**GOOD, "protected": ranking}, "protected=ranking is a whole ranking; write ranking[:k]"),
        ({**GOOD, "protected": ranking("msb")}, "write ranking('msb')[:k]"),
        ({**GOOD, "protected": 4040}, "protected=4040: allowed are bits (ranking[:k], flat indices), a protection"),
        ({**GOOD, "protected": "msb"}, "protected='msb': allowed are bits (ranking[:k]"),
        ({**GOOD, "protected": [0.5]}, "bits are flat indices, whole numbers in one dimension; got float64"),
        ({**GOOD, "method": 3}, "method=3; write the name of a ranking method"),
        ({**GOOD, "layers": 3}, "layers=3: allowed are a glob such as 'conv*'"),
        ({**GOOD, "biases": "yes"}, "biases='yes'; write True or False"),
        ({**GOOD, "engine": 3}, "engine=3; allowed are auto, cpu, gpu, framework"),
        ({**GOOD, "engine": "slow"}, "engine='slow'; allowed are auto, cpu, gpu, framework"),
        ({**GOOD, "seed": 0.5}, "seed is 0.5; allowed are whole numbers"),
        ({"bits": 3, "max_failure_rate": "5 %"}, "max_failure_rate is '5 %', a share of trials"),
        ({"bits": 3, "confidence": 0.4}, "confidence is 0.4; allowed are numbers from 0.5 up"),
        ({"min_flips_survived": 2.5, "max_mse": 1}, "min_flips_survived is 2.5; allowed are whole numbers"),
        ({"faults": FlipCount(0), "max_mse": 1}, "this budget could not fail: with faults=FlipCount(n_faults=0)"),
        ({"faults": object(), "max_mse": 1}, "allowed are a number of flips or a fault model"),
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
        ({"max_sensitive_fraction": 0.3, "min_change": -1}, "min_change is -1; allowed are finite numbers from 0 up"),
        ({"bits": 3, "min_change": 0.1}, "min_change= says from which change on a bit is sensitive; write max_sens"),
    ],
)
def test_wrong_budgets_say_what_to_write(keywords, message):
    for check in (lambda: parse_budget((), keywords), lambda: fault_budget(**keywords)):
        with pytest.raises(BudgetError, match=re.escape(message)):
            check()


ODD = (
    object(), "x", "", b"", "\x1b", -1, 0, 2.5, float("nan"), float("inf"), 10**400, 3 + 4j, True, [], {}, set(), len,
    int, [ranking], [[1], [2, 3]], range(3), np.array([1, 2]), np.array(1), np.float64(0.5), np.bool_(True),
    Fraction(1, 2),
)  # fmt: skip
BASES = (
    {},
    {"bits": 3, "max_mse": 1},
    {"max_critical_bits": 3, "max_mse": 1},
    {"max_sensitive_fraction": 0.3, "min_change": 0.1},
    {"upsets_per_second": 1, "exposure_seconds": 3, "max_mse": 1},
)


@pytest.mark.parametrize("name", [*keywords(), "max_mse", "min_mse", "max_mse_drop"])
@pytest.mark.parametrize("base", BASES, ids=lambda base: next(iter(base), "alone"))
def test_whatever_is_stated_is_a_budget_or_a_budget_error(base, name):
    for value in ODD:
        with suppress(BudgetError):
            assert parse_budget((), {**base, name: value}).faults is not None


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
        {"bits": 3, "layers": ["conv*", "!dense"], "biases": True, "engine": "framework", "seed": 0, "max_emd": 1},
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
    budget = parse_budget((), {"bits": np.int64(3), "max_emd": np.float32(1.25), "seed": np.int32(2)})
    assert (budget.faults, budget.requirement, budget.seed) == (FlipCount(3), Requirement((MAX_EMD,)), 2)


def test_limits_are_separate_from_the_other_keywords():
    budget = parse_budget((), {"bits": 960, "max_emd": 1.25, "max_trials": 80, "max_failure_rate": 0.1})
    assert (budget.faults, budget.max_trials) == (FlipCount(960), 80)
    assert budget.requirement == Requirement((MAX_EMD,), 0.1)
    assert not budget.is_exhaustive


def test_a_budget_without_limits_requires_nothing():
    assert parse_budget((), {"bits": 3, "confidence": 0.9}).requirement is None


FAULTS = {
    "bits": ({"bits": 3}, FlipCount(3)),
    "ber": ({"ber": 1e-4}, BitErrorRate(1e-4)),
    "rate": ({"upsets_per_second": 2, "exposure_seconds": 3}, Exposure(3, upsets_per_second=2)),
    "rate per bit": ({"upsets_per_bit_second": 2, "exposure_seconds": 3}, Exposure(3, 2)),
    "scrubbed bits": ({"bits": 3, "exposure_seconds": 9, "protected": TMR([1], 6)}, FlipCount(3, 9)),
    "scrubbed rate": ({"ber": 0.1, "exposure_seconds": 9, "protected": TMR([1], 6)}, BitErrorRate(0.1, 9)),
    "model": ({"faults": Exposure(3, 2)}, Exposure(3, 2)),
    "survived": ({"min_flips_survived": 500}, FlipCount(500)),
    "each bit": ({"bits": 1, "trials": "all"}, EachBitAlone()),
    "critical": ({"max_critical_bits": 3}, EachBitAlone()),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_mark_builds_the_fault_model_of_the_library(name):
    keywords, model = FAULTS[name]
    assert parse_budget((), {**keywords, "max_emd": 1.25}).faults == model


def test_every_keyword_of_the_mark_is_told_of():
    parameters = inspect.signature(fault_budget).parameters
    assert [
        name for name in parameters if not re.search(rf"\b{name}\b", fault_budget.__doc__ or "") and name != "limits"
    ] == []


def test_counts_of_bits_are_exhaustive_budgets():
    critical = parse_budget((), {"max_critical_bits": 3, "max_emd": 1.25})
    sensitive = parse_budget((), {"max_sensitive_fraction": 0.3, "min_change": 0.1})
    assert critical.is_exhaustive
    assert critical.requirement == most_critical((MAX_EMD,), 3)
    assert sensitive.is_exhaustive
    assert sensitive.requirement == most_sensitive((Limit(THE_ONLY_METRIC, "drop", 0.1),), 0.3)


def test_survival_is_a_budget_of_that_many_flips():
    budget = parse_budget((), {"min_flips_survived": 500, "max_emd": 1})
    assert (budget.faults, budget.is_exhaustive, budget.counts_flips) == (FlipCount(500), False, True)


@pytest.mark.parametrize("keyword", ["max", "min", "worst", "worst_emd", "quantile_emd", "Percentile"])
def test_worst_cases_are_stated_as_shares_of_trials(keyword):
    remedy = "the worst trial so far is no bound.*max_failure_rate=0.01 is a 99 % quantile"
    with pytest.raises(BudgetError, match=f"{keyword}=: {remedy}"):
        fault_budget(bits=3, **{keyword: 1.25})
