"""Nothing is judged against a golden value that is no number: inf - inf breaks no limit."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import FixedTrials, Limit, Requirement, Setting, UntilDecided, measure_oracle, run_campaign
from fkeras.campaigns.exhaustive import run_exhaustive
from fkeras.engine import GoldenScore
from fkeras.errors import InputError
from fkeras.faults import FlipCount, protection
from fkeras.progress import silent

PER_SAMPLE = np.array([0.0, np.inf, 1.0, np.inf])


@pytest.fixture(params=[np.inf, -np.inf, np.nan])
def run(function_run, request):
    run = function_run(lambda bits: request.param if request.param == np.inf else 0.0)
    run.golden = {"mse": GoldenScore(request.param, np.nan, 2, PER_SAMPLE)}
    return run


def campaign(run, plan):
    setting = Setting(FlipCount(2), protection(None, run.space), 1, run.engine, 4, run.space)
    return run_campaign(run, setting, plan, silent)


SAID = r"metric 'mse' is (inf|-inf|nan) without any fault, so no limit on it can be judged: sample 1, 3 has no finite"


@pytest.mark.parametrize("kind", ["max", "increase"])
def test_no_requirement_on_it_is_judged(run, kind):
    requirement = Requirement((Limit("mse", kind, 1.0),))
    with pytest.raises(InputError, match=SAID):
        campaign(run, UntilDecided(requirement))
    result = campaign(run, FixedTrials(5))
    for ask in (
        lambda: result.verdict(requirement),
        lambda: result.failure_rate(1.0),
        lambda: result.failure_rate(max_mse_increase=1.0),
        lambda: run_exhaustive(run, protection(None, run.space), silent).verdict(requirement),
    ):
        with pytest.raises(InputError, match=SAID):
            ask()


def test_no_bit_is_critical_against_it(run):
    oracle = measure_oracle(run, "mse", np.arange(4), silent)
    for limit in ("max_mse", "max_mse_increase"):
        with pytest.raises(InputError, match=r"is (inf|-inf|nan) without any fault, so no limit on it can be judged"):
            oracle.critical(**{limit: 1.0})


def test_what_a_test_reads_it_cannot_change(function_run):
    result = campaign(function_run(lambda bits: bits.sum()), FixedTrials(5))
    for array in (result.values, result.hits, result.residual, result["mse"].values):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
