"""Bits are named where trials can tell which ones did the damage, and not otherwise."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fkeras.campaigns import CampaignResult, FixedTrials, MetricTrials, Setting, culprits, most_damaging
from fkeras.campaigns.exhaustive import EachBitAlone, ExhaustiveSetting
from fkeras.engine import GoldenScore
from fkeras.faults import BitErrorRate, FlipCount, protection
from fkeras.memory import BitSpace, FixedPoint, WordTensor

CODEC = FixedPoint(8, 0)


def space_of(n_words: int) -> BitSpace:
    zeros = np.zeros(n_words, np.float32)
    return BitSpace((WordTensor("d/kernel", (n_words,), CODEC, CODEC.encode(zeros), np.ones(n_words), zeros),))


def result_of(setting: Setting, values, better="lower") -> CampaignResult:
    n = len(values)
    residual = np.array([len(setting.residual(trial)) for trial in range(n)]) if n < 1000 else np.ones(n, np.int64)
    trials = MetricTrials("emd", better, None, np.asarray(values, float), np.zeros(n, int), GoldenScore(0, 0, 0, None))
    return CampaignResult({"emd": trials}, setting, FixedTrials(n), residual, np.zeros(n, int), residual)


def sampled(n_faults: int, trials: int, culprit: int, better="lower"):
    """Every trial in which the culprit flips has the damage 9, every other one 1."""
    space = space_of(8)
    setting = Setting(FlipCount(n_faults), protection(None, space), 3, "numpy", 1, space)
    hit = np.array([culprit in setting.residual(trial).flips for trial in range(trials)])
    values = np.where(hit, 9.0, 1.0)
    return result_of(setting, values if better == "lower" else -values, better), hit


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_many_failing_trials_name_the_culprit(better):
    result, broken = sampled(8, 200, culprit=21, better=better)
    first = most_damaging(result, broken)[0]
    assert (first.bit, first.evidence) == (21, f"in {broken.sum()} of {broken.sum()} failing trials")


@pytest.mark.parametrize("model", [FlipCount(8), BitErrorRate(0.1)], ids=repr)
@pytest.mark.parametrize("rate", [0.03, 0.3, 0.97])
def test_where_no_bit_goes_with_failing_bits_are_named_in_one_campaign_of_twenty_at_most(monkeypatch, model, rate):
    space = space_of(8)
    result = result_of(Setting(model, protection(None, space), 3, "numpy", 1, space), np.ones(80))
    drawn = [culprits._bits(result, trial) for trial in range(80)]
    monkeypatch.setattr(culprits, "_bits", lambda _, trial: drawn[trial])
    labels = np.random.default_rng(1).random((400, 80)) < rate
    assert sum(bool(most_damaging(result, broken)) for broken in labels) <= 20


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("trials", [80, 300])
def test_a_bit_that_fails_is_found_among_failures_of_other_causes(trials, noise):
    result, hit = sampled(6, trials, culprit=21)
    others = np.random.default_rng(1).random(trials) < noise
    assert [one.bit for one in most_damaging(result, hit | others)] == [21]


def test_how_the_damage_is_spread_names_nobody():
    # A bit in 2 of 33 failing trials, with the largest damage of all, is chance.
    space = space_of(64)
    result = result_of(Setting(FlipCount(20), protection(None, space), 3, "numpy", 1, space), np.ones(300))
    failing = np.arange(300) < 33
    bit = int(result.setting.residual(0).flips[0])
    damage = np.array([100.0 if bit in result.setting.residual(trial).flips else 1.0 for trial in range(300)])
    assert most_damaging(result_of(result.setting, damage), failing) == []


def test_where_every_trial_fails_nothing_tells_one_bit_from_another():
    result, _ = sampled(8, 200, culprit=21)
    assert most_damaging(result, np.ones(200, bool)) == []


def test_a_single_fault_that_fails_is_to_blame_for_certain():
    result, broken = sampled(1, 100, culprit=21)
    assert 1 <= broken.sum() < 10
    assert [str(one) for one in most_damaging(result, broken)] == ["d/kernel[2]:5 alone: emd 9"]


def test_trials_that_no_fault_reached_blame_nobody():
    result, _ = sampled(1, 20, culprit=21)
    unreached = CampaignResult(
        result.by_metric, result.setting, result.plan, result.hits, result.cancelled, np.zeros(20, np.int64)
    )
    assert most_damaging(unreached, np.ones(20, bool)) == []


def test_an_exhaustive_campaign_names_its_worst_bits_at_once():
    space = space_of(57_440)
    setting = ExhaustiveSetting(EachBitAlone(), protection(None, space), 0, "numpy", 1, space)
    values = np.zeros(len(space))
    values[[5, 800, 459_519, 40]] = 3, 7, np.inf, 1
    result = result_of(setting, values)
    start = time.process_time()
    named = most_damaging(result, np.ones(len(space), bool))
    assert time.process_time() - start < 2
    assert [one.bit for one in named] == [459_519, 800, 5]
    assert str(named[1]) == "d/kernel[100]:0 (sign) alone: emd 7"
