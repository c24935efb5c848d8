"""Endurance: histories add up as they say, and claims follow from counts."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from scipy.stats import binom

from fkeras.campaigns import Limit, Requirement
from fkeras.campaigns.accumulation import InTime, OneByOne, accumulating
from fkeras.campaigns.endurance import least_trials, trials_apart
from fkeras.campaigns.endurance_campaign import EnduranceCampaign, measure_endurance, one_two_five
from fkeras.errors import InputError
from fkeras.faults import TMR, Exposure, RandomStream, StuckAt, Transient, protection
from fkeras.memory import BitSpace, FixedPoint, Register
from fkeras.progress import silent
from fkeras.statistics.proportions import clopper_pearson

REQUIREMENT = Requirement((Limit("mse", "max", 0.5),))


def endurance(run, accumulation=None, requirement=REQUIREMENT, protected=None, **keywords):
    return measure_endurance(
        run,
        "mse",
        accumulation or OneByOne(),
        protection(protected, run.space),
        5,
        requirement,
        silent,
        **keywords,
    )


def test_what_must_be_survived_is_looked_at_by_all_trials(function_run):
    run = function_run(lambda bits: float(len(bits) > 12))
    assert 7.0 not in endurance(run).proof.looks
    asked = endurance(run, least=7)
    assert 7.0 in asked.proof.looks
    assert asked.proof.values.shape == (100, len(asked.proof.looks))
    assert asked.largest >= 7
    with pytest.raises(InputError, match="min_survived is 1000; allowed are whole numbers from 1 to"):
        endurance(run, least=1000)
    with pytest.raises(InputError, match="min_survived= needs limits=: what is to be survived"):
        endurance(run, requirement=None, least=7)
    with pytest.raises(InputError, match="max_flips is 1000; allowed are whole numbers from 1 to"):
        endurance(run, end=1000)


def test_flips_come_one_after_another_and_uniformly():
    looks, counts = np.array([1.0, 3, 10, 40]), np.zeros(40)
    for trial in range(400):
        history = OneByOne().history(40, looks, RandomStream("t", trial))
        flips = [state.draw.faults.flips for state in history]
        assert [len(one) for one in flips] == [1, 3, 10, 40]
        for earlier, later in itertools.pairwise(flips):
            assert set(earlier) <= set(later)
        counts[flips[2]] += 1
    # 10 of 40 bits in 400 trials: 100 each, standard deviation 8.7.
    assert np.abs(counts - 100).max() < 4 * 8.7


def test_upsets_arrive_at_the_rate_and_hits_on_one_bit_cancel():
    timed, looks = InTime(Exposure(1.0, upsets_per_second=2.0)), np.array([5.0, 20.0])
    sizes = np.array(
        [[len(s.draw.faults) for s in timed.history(30, looks, RandomStream("t", trial))] for trial in range(600)],
        float,
    )
    # A bit is wrong after an odd number of hits: with probability (1 - exp(-2 mean)) / 2.
    for column, mean in zip(sizes.T, (2.0 * 5 / 30, 2.0 * 20 / 30), strict=True):
        share = (1 - math.exp(-2 * mean)) / 2
        assert abs(column.mean() - 30 * share) < 4 * math.sqrt(30 * share * (1 - share) / 600)


def test_histories_are_the_same_whatever_the_looks_and_the_order(function_run):
    faults = EnduranceCampaign(function_run(len), OneByOne(), protection(None, function_run(len).space), 1)
    few, many = faults.history(7, np.array([10.0])), faults.history(7, np.array([1.0, 2, 10, 50]))
    assert few[0] == many[2]
    assert faults.history(8, np.array([10.0]))[0] != few[0]


@pytest.mark.parametrize(
    ("accumulation", "key", "flips"),
    [
        (OneByOne(), "OneByOne()", [[25], [20, 25], [1, 20, 25, 92, 98]]),
        (
            InTime(Exposure(1.0, upsets_per_second=0.5)),
            "InTime(rate=Exposure(exposure_seconds=1.0, upsets_per_bit_second=None, upsets_per_second=0.5))",
            [[49, 76], [17, 30, 49, 53, 76], [2, 17, 29, 30, 49, 53, 75, 76]],
        ),
    ],
)
def test_known_histories(function_run, accumulation, key, flips):
    """Pinned, as the draws of the fault models are."""
    assert accumulation.key == key
    run = function_run(len)
    history = EnduranceCampaign(run, accumulation, protection(None, run.space), 7).history(3, np.array([1.0, 2, 5]))
    assert [faults.flips.tolist() for faults in history] == flips


def test_claims_follow_from_the_number_of_failed_trials(function_run):
    # The metric is broken from the flip of bit 7 on, so 1 % of trials fail with each flip.
    run = function_run(lambda bits: float(7 in bits))
    result = endurance(run, looks=[1, 2, 5, 10, 20, 40, 80], trials=200)
    failed = result.proof.failed_by
    assert failed.tolist() == result.survey.broken.sum(axis=0).tolist()
    shown = [look for look, k in zip(result.proof.looks, failed, strict=True) if binom.cdf(k, 200, 0.05) <= 0.05]
    excluded = [look for look, k in zip(result.proof.looks, failed, strict=True) if binom.sf(k - 1, 200, 0.05) < 0.05]
    assert (result.largest, result.exceeded_at) == (shown[-1], excluded[0])
    assert result.largest in (1, 2, 5)
    assert isinstance(result.largest, int)
    assert str(result) == (
        f"survives {result.largest} flips, not {excluded[0]:.0f} flips (max_mse=0.5, broken by then in at most 5 % of "
        "trials, 200 trials, each at 0.95 confidence)"
    )


def test_a_failure_that_more_faults_undo_still_counts(function_run):
    run = function_run(lambda bits: float(len(bits) == 2))
    result = endurance(run, looks=[1, 2, 3], trials=100)
    assert result.proof.failed_by.tolist() == [0, 100, 100]
    assert (result.largest, result.exceeded_at, result.proof.recovered) == (1, 2, 100)


def test_the_looks_are_found_by_other_trials_than_the_ones_that_count(function_run):
    run = function_run(lambda bits: float((bits < 3).any()), n_words=250)
    result = endurance(run, trials=120)
    assert len(result.survey) == 30
    assert len(result.proof) == 120
    assert result.survey.looks[:4].tolist() == [1, 2, 5, 10]
    assert result.survey.looks[-1] == 500
    # Three dangerous bits of 1,000: the share that has failed by n flips is 1 - (1 - n / 1000)^3, 5 % at 17 flips.
    assert result.largest < 17 < result.exceeded_at
    faults = EnduranceCampaign(run, OneByOne(), result.protection, 5)
    looks = result.proof.looks
    assert result.proof.residual[0].tolist() == [len(one) for one in faults.history(30, looks)] == looks.tolist()
    values = [float((one.flips < 3).any()) for one in faults.history(31, looks)]
    assert result.proof.values[1].tolist() == values


def test_the_survey_ends_where_every_trial_has_failed_unless_an_end_is_given(function_run):
    run = function_run(lambda bits: float(len(bits) > 6), n_words=250)
    assert endurance(run).survey.looks.tolist() == [1, 2, 5, 10]
    assert endurance(run, end=60).survey.looks.tolist() == [1, 2, 5, 10, 20, 50, 60]
    assert 4 <= endurance(run).largest <= 6
    assert 7 <= endurance(run).exceeded_at <= 8


def test_a_network_that_fails_at_once_and_one_that_never_does(function_run):
    fragile = endurance(function_run(lambda bits: float(len(bits))))
    assert (fragile.largest, fragile.exceeded_at, fragile.proof.looks.tolist()) == (None, 1, [1])
    assert str(fragile).startswith("does not survive 1 flip, and nothing less is shown to be survived (max_mse=0.5")
    robust = endurance(function_run(lambda bits: 0.0), end=40)
    assert (robust.largest, robust.exceeded_at) == (40, None)
    assert str(robust).startswith("survives at least 40 flips (")


def test_protected_bits_absorb(function_run):
    run = function_run(lambda bits: float((bits < 50).any()))
    result = endurance(run, protected=range(50), looks=[10, 100])
    assert result.largest == 100
    assert result.proof.residual[:, 1].tolist() == [50] * 100


def test_the_time_average_is_the_area_under_the_curve(function_run):
    # The metric is the number of flips: its average over 0 to 60 flips is 30, by any looks.
    run = function_run(len)
    for looks in ([60], [1, 2, 5, 60]):
        average = endurance(run, requirement=None, looks=looks, trials=40).time_average
        assert (average.low, average.best, average.high) == pytest.approx((30, 30, 30))


def test_time_in_seconds(function_run):
    run = function_run(lambda bits: float((bits < 10).any()))
    timed = InTime(Exposure(1.0, upsets_per_bit_second=1e-4))
    result = endurance(run, timed, trials=100)
    # 10 of 100 bits at 1e-4 per second: the first hit comes after 1,000 s on average, 5 % are hit after 51 s.
    assert result.largest < 51.3 < result.exceeded_at
    assert result.survey.looks[:2].tolist() == pytest.approx([10, 20])
    assert "seconds" in str(result)
    assert result.to_dict()["faults"] == "Poisson, 0.0001 upsets/bit/s, a bit may be hit twice"


def test_survived_agrees_with_the_full_table_and_costs_less(function_run):
    def damage(bits):
        return float((bits < 2).sum() == 1)

    looks = np.array([1.0, 2, 5, 10, 20, 50])
    run = function_run(damage, n_words=250)
    whole = EnduranceCampaign(run, OneByOne(), protection(None, run.space), 9).measure(
        "mse", REQUIREMENT.limits, looks, range(59), silent
    )
    shown = [look for look, failed in zip(looks, whole.failed_by, strict=True) if failed == 0]
    cheap = function_run(damage, n_words=250)
    found = EnduranceCampaign(cheap, OneByOne(), protection(None, run.space), 9).survived(REQUIREMENT, looks)
    assert found == (shown[-1] if shown else None)
    assert cheap.evaluations < run.evaluations


def test_the_plain_form_travels_as_json(function_run):
    plain = endurance(function_run(lambda bits: float(7 in bits)), looks=[1, 10], trials=100).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert [point["look"] for point in plain["curve"]] == [1, 10]
    assert {"trials", "mean", "mean_low", "mean_high", "failed", "share_low", "share_high"} < set(plain["curve"][0])
    assert (plain["unit"], plain["limits"], plain["n_bits"]) == ("flips", ["max_mse=0.5"], 100)


def test_enough_trials_are_asked_for(function_run):
    with pytest.raises(InputError, match=r"trials=58 cannot show a share below 5 % .* allowed are 59 and more"):
        endurance(function_run(len), trials=58)
    for share, confidence in [(0.05, 0.95), (0.01, 0.95), (0.1, 0.9), (0.5, 0.5)]:
        n = least_trials(share, confidence)
        assert (1 - share) ** n <= 1 - confidence < (1 - share) ** (n - 1)
    with pytest.raises(InputError, match="no number of random trials shows that none ever fails"):
        endurance(function_run(len), requirement=Requirement(REQUIREMENT.limits, 0.0))


@pytest.mark.parametrize("looks", [[], [0], [2, 1], [1, 1], [1.5], [101], [np.nan], [[1]]])
def test_looks_that_make_no_sense_are_refused(function_run, looks):
    with pytest.raises(InputError, match="allowed are whole numbers from 1 to 100, ascending"):
        endurance(function_run(len), looks=looks)


def test_series():
    assert one_two_five(1, 60).tolist() == [1, 2, 5, 10, 20, 50, 60]
    assert one_two_five(0.05, 1).tolist() == pytest.approx([0.05, 0.1, 0.2, 0.5, 1])
    assert one_two_five(1, 1).tolist() == [1]


def test_a_look_of_both_parts_is_drawn_once_with_the_trials_that_count(function_run):
    curve = endurance(function_run(lambda bits: float((bits < 3).any()), n_words=250), trials=120).curve()
    looks = [point.look for point in curve]
    assert looks == sorted(set(looks))
    assert next(point for point in curve if point.look == 200).trials == 120
    assert next(point for point in curve if point.look == 500).trials == 30


@pytest.mark.parametrize("n_survey", [30, 120])
def test_points_know_their_trials_and_what_single_ones_give(function_run, monkeypatch, n_survey):
    monkeypatch.setattr("fkeras.campaigns.endurance_campaign.SURVEY_TRIALS", n_survey)
    result = endurance(function_run(lambda bits: float((bits < 3).sum()), n_words=250), trials=120)
    curve = result.curve()
    tables = {True: result.survey, False: result.proof}
    for point in curve:
        table = tables[point.is_survey]
        assert point.look in table.looks
        assert point.trials == len(table)
        values = table.values[:, np.searchsorted(table.looks, point.look)]
        assert {point.low, point.median, point.high} <= set(values.tolist())
        assert ((values >= point.low) & (values <= point.high)).mean() >= 0.8
    first, *rest = trials_apart(curve)
    assert [point.look for point in first] == result.proof.looks.tolist(), "what the claim rests on comes first"
    assert [point.is_survey for part in rest for point in part] == [True] * (len(curve) - len(first))


def test_looks_that_were_given_are_no_survey(function_run):
    curve = endurance(function_run(lambda bits: 0.0), looks=[1, 2]).curve()
    assert {point.is_survey for point in curve} == {False}
    assert len(trials_apart(curve)) == 1


def mixed_run(function_run, damage=len, n_samples=400):
    """400 bits of weights, 80 of activations."""
    run = function_run(damage, n_words=100)
    register = Register("d/activation", (20,), FixedPoint(4, 0), "activations", "d/activation")
    run.space, run.n_samples = BitSpace(run.space.tensors, registers=(register,)), n_samples
    return run


MIXED = {"weights": Exposure(100.0, 1e-3), "activations": Transient(ber=1e-3)}


def test_weights_fill_up_and_transients_are_of_each_look_alone(function_run):
    run, looks = mixed_run(function_run), np.array([5.0, 50, 100])
    accumulation, seconds = accumulating(MIXED, run.space)
    assert (seconds, accumulation.unit) == (100.0, "seconds")
    campaign = EnduranceCampaign(run, accumulation, protection(None, run.space), 7)
    weights = function_run(len, n_words=100)
    alone = EnduranceCampaign(weights, InTime(Exposure(1.0, 1e-3)), protection(None, weights.space), 7)
    n_transient, n_common = [], 0
    for trial in range(40):
        history = campaign.history(trial, looks)
        for faults, expected in zip(history, alone.history(trial, looks), strict=True):
            np.testing.assert_array_equal(faults.flips, expected.flips)
            assert faults.in_samples.bits.min(initial=400) >= 400
        pairs = [set(zip(f.in_samples.samples.tolist(), f.in_samples.bits.tolist(), strict=True)) for f in history]
        n_transient.append([len(each) for each in pairs])
        n_common += len(pairs[0] & pairs[2])
    for counts in np.transpose(n_transient):  # as many at every look: nothing of them stays
        interval = clopper_pearson(int(counts.sum()), 40 * 80 * 400, 0.999)
        assert interval.low <= 1e-3 <= interval.high
    assert n_common < 10
    again = campaign.history(3, looks)
    assert [f.digest for f in again] == [f.digest for f in campaign.history(3, looks)]


def test_the_end_is_that_of_the_longest_exposure_and_reports_tell_the_rates_apart(function_run):
    run = mixed_run(function_run)
    accumulation, _ = accumulating(MIXED, run.space)
    assert accumulation.pace(480) == (400, pytest.approx(0.4))
    assert accumulation.describe() == (
        "activations: transient, bit error rate 0.001 per inference, 0.08 of 80 bits expected wrong in each inference, "
        "drawn anew at each look; weights: Poisson, 0.001 upsets/bit/s, a bit may be hit twice"
    )
    some, _ = accumulating({"activations": Exposure(3.0, 1e-3)}, run.space)
    assert some.describe().endswith("; weights: no faults")
    assert some.begins_without_faults
    assert isinstance(accumulating(Exposure(9.0, 1e-3), run.space)[0], InTime)


def test_an_average_over_time_begins_with_what_transients_do(function_run):
    run = mixed_run(function_run, lambda bits: 2.0 if len(bits) else 0.0)
    steady = {"weights": Exposure(100.0, 1.0), "activations": Transient(ber=0)}
    found = [
        endurance(run, accumulating(faults, run.space)[0], None, looks=[50.0, 100.0], trials=30)
        for faults in (steady, {"weights": Exposure(100.0, 1.0)})
    ]
    assert [float(one.survey.values.min()) for one in found] == [2.0, 2.0]
    assert [one.time_average.best for one in found] == [2.0, 1.5]


def test_stuck_bits_are_so_from_the_beginning_and_copies_are_hit_in_each_inference(function_run):
    run, looks = mixed_run(function_run, n_samples=2000), np.array([1.0, 100.0])
    stuck, _ = accumulating({"weights": Exposure(100.0, 1e-3), "activations": StuckAt(1, 5)}, run.space)
    first, last = EnduranceCampaign(run, stuck, protection(None, run.space), 1).history(2, looks)
    np.testing.assert_array_equal(first.set_to_1, last.set_to_1)
    assert first.set_to_1.size == 5
    often, _ = accumulating({"weights": Exposure(100.0, 1e-9), "activations": Transient(ber=0.05)}, run.space)
    guard = protection(TMR(range(400, 480)), run.space)
    left = sum(
        len(faults.in_samples)
        for trial in range(5)
        for faults in EnduranceCampaign(run, often, guard, 1).history(trial, looks)
    )
    interval = clopper_pearson(left, 10 * 2000 * 80, 0.999)
    assert interval.low <= 3 * 0.05**2 - 2 * 0.05**3 <= interval.high


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        ({"activations": Transient(1e-3)}, "allowed are upsets in time, a fkeras.Exposure, or a dict of memories with"),
        ({"weights": 9, "activations": Exposure(1.0, 1.0)}, "allowed are upsets in time, a fkeras.Exposure, or a dict"),
        (3, r"FlipCount\(n_faults=3\): allowed are upsets in time, .* without faults="),
        (Transient(1e-3), "allowed are upsets in time"),
        (
            {"weights": Exposure(1.0, 1.0), "inputs": Transient(1e-3)},
            "faults name 'inputs', and the memory measured is",
        ),
    ],
)
def test_what_does_not_add_up_in_time_is_refused(function_run, faults, says):
    with pytest.raises(InputError, match=says):
        accumulating(faults, mixed_run(function_run).space)
