"""Budget campaigns of a made-up damage: what is kept of each trial, and where they end."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from fkeras.campaigns import FixedTrials, Limit, Requirement, Setting, UntilDecided, run_campaign
from fkeras.engine import Scores
from fkeras.faults import AssumedImmune, FaultSet, FlipCount, protection
from fkeras.memory import BitSet
from fkeras.progress import silent

REQUIREMENT = Requirement((Limit("mse", "max", 1e9),), 0.001)


def setting_of(run, protected=None):
    return Setting(FlipCount(20), protection(protected, run.space), 1, run.engine, 1, run.space)


def living_fault_sets():
    # By type: `isinstance` asks a weak proxy that another test left behind for its dead referent's class.
    return sum(type(one) is FaultSet for one in gc.get_objects())


@pytest.mark.parametrize("plan", [FixedTrials(1000), UntilDecided(REQUIREMENT, 1000)])
def test_no_faults_are_kept_of_trials_that_are_done(function_run, plan):
    run = function_run(lambda bits: float(bits.size))
    before, most, usual = living_fault_sets(), [], run.fault_sets

    def counting(faults):
        if len(most) % 10 == 0:
            most.append(living_fault_sets() - before)
        else:
            most.append(0)
        return usual(faults)

    run.fault_sets = counting
    result = run_campaign(run, setting_of(run), plan, silent)
    assert len(result) == 1000
    assert (result.values == 20).all()
    assert result.hits.tolist() == result.residual.tolist() == [20] * 1000
    assert 0 < max(most) <= 4 * run.batch_size


def test_out_of_reach_is_decided_at_once(function_run):
    run = function_run(lambda bits: float(bits.size))
    everything = AssumedImmune(BitSet(np.arange(len(run.space))))
    result = run_campaign(run, setting_of(run, everything), UntilDecided(REQUIREMENT, 1000), silent)
    assert result.is_exact
    assert len(result) == run.batch_size
    assert run.evaluations == 0


def test_undefined_scores_stay_with_their_trials(function_run):
    run = function_run(lambda bits: float(bits.size))
    usual = run.fault_sets

    def some_undefined(faults):
        scores = usual(faults)["mse"]
        return {"mse": Scores(scores.values, np.array([one.flips[0] % 3 for one in faults]), scores.harmed)}

    run.fault_sets = some_undefined
    setting = setting_of(run)
    result = run_campaign(run, setting, FixedTrials(30), silent)
    assert result.by_metric["mse"].undefined.tolist() == [setting.draw(i).faults.flips[0] % 3 for i in range(30)]
    assert result.undefined > 0
