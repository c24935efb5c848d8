"""The smallest number of protected bits with which a campaign passes is the one that passes when it is run."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import FixedTrials, Limit, Outcome, Requirement, Setting, UntilDecided, run_campaign
from fkeras.campaigns.protection_curve import protection_curve
from fkeras.faults import AssumedImmune, FlipCount, protection
from fkeras.memory import BitSet
from fkeras.plain import plain
from fkeras.progress import silent

REQUIREMENT = Requirement((Limit("mse", "max", 0.5),))
DANGEROUS = 37


def curve_of(run, plan, **keywords):
    setting = Setting(FlipCount(10), protection(None, run.space), 3, "function", 1, run.space)
    return protection_curve(run, setting, plan, REQUIREMENT, protect, 100, **keywords), setting


def protect(k):
    return AssumedImmune(BitSet(np.arange(k)))


def passes(run, setting, plan, k):
    level = Setting(setting.fault_model, protect(k), 3, "function", 1, run.space)
    return run_campaign(run, level, plan, silent).judge(REQUIREMENT).outcome is Outcome.PASS


@pytest.mark.parametrize("plan", [FixedTrials(150), UntilDecided(REQUIREMENT, 500)])
@pytest.mark.parametrize("start", [0, 20])
def test_the_smallest_k_that_passes_is_found_where_damage_is_monotone(function_run, plan, start):
    run = function_run(lambda bits: float((bits < DANGEROUS).any()))
    curve, setting = curve_of(run, plan, start=start)
    by_hand = {k: passes(run, setting, plan, k) for k in {0, 36, 37, 100, *(point.k for point in curve.points)}}
    assert curve.largest_failing == curve.smallest - 1
    # One dangerous bit may be left: it is among 10 of 100 flips too often, so none is.
    assert curve.smallest == DANGEROUS
    for point in curve.points:
        assert (point.verdict.outcome == "PASS") == by_hand[point.k]
    assert [point.k for point in curve.points] == sorted({point.k for point in curve.points})


def test_a_search_that_runs_out_gives_what_it_knows(function_run):
    run = function_run(lambda bits: float((bits < DANGEROUS).any()))
    curve, _ = curve_of(run, UntilDecided(REQUIREMENT, 500), max_evaluations=250)
    assert run.evaluations <= 250
    assert curve.largest_failing < DANGEROUS < curve.smallest
    assert plain(curve)["points"][0]["outcome"] == "FAIL"


def test_protection_that_never_helps_has_no_smallest(function_run):
    run = function_run(lambda bits: 1.0)
    run.golden["mse"] = run.golden["mse"].__class__(1.0, 0.0, 0, None)
    curve, _ = curve_of(run, UntilDecided(REQUIREMENT, 500))
    assert (curve.smallest, curve.largest_failing) == (None, 100)


def test_a_campaign_that_passes_needs_no_protection(function_run):
    curve, _ = curve_of(function_run(lambda bits: 0.0), UntilDecided(REQUIREMENT, 500))
    assert (curve.smallest, curve.largest_failing, len(curve.points)) == (0, None, 1)
