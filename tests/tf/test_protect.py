"""`fkeras.protect` on real models: one, and retrainings that share a mask."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.errors import InputError, LayoutError
from fkeras.faults import Draw


@pytest.fixture(scope="module")
def models(q, tf):
    """Two trainings of one network, one of another, and two of the first with small weights, which use few words."""

    def make(units, seed, spread=0.4):
        layers = tf.keras.layers
        model = tf.keras.Sequential(
            [
                layers.Input((6,)),
                q.QDense(units, kernel_quantizer=q.quantized_bits(4, 0, alpha=1), name="first"),
                q.QDense(3, kernel_quantizer=q.quantized_bits(4, 0, alpha=1), name="second"),
            ]
        )
        rng = np.random.default_rng(seed)
        model.set_weights([rng.normal(0, spread, array.shape) for array in model.get_weights()])
        return model

    return make(5, 1), make(5, 2), make(4, 3), make(5, 4, 0.1), make(5, 5, 0.1)


@pytest.fixture(scope="module")
def data(models):
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    return x, models[0].predict(x, verbose=0)


def test_a_mask_of_a_size(models, data, tmp_path):
    choice = fkeras.protect(models[0], data, share=0.25, method="displacement", granularity="word", under=fkeras.SECDED)
    space = fkeras.bit_space(models[0])
    assert len(choice.mask.bits) == 44  # of 180 bits, in words of 4
    choice.mask.write(tmp_path / "protection.json")
    read = fkeras.read_mask(tmp_path / "protection.json")
    assert read.on(space) == choice.mask.bits
    # The same mask protects a retraining, and no other layout.
    result = fkeras.campaign(
        models[1], data, metric="mean_squared_error", faults=5, trials=3,
        protected=fkeras.SECDED(read.on(fkeras.bit_space(models[1]))),
    )  # fmt: skip
    assert "44 bits of 11 words under SECDED" in result.setting.protection.describe(180)
    with pytest.raises(LayoutError, match=r"'first/kernel' .* in the mask is 'first/kernel'"):
        read.on(fkeras.bit_space(models[2]))


def test_one_mask_for_two_trainings_is_judged_by_the_campaign_of_each(models, data):
    campaign = {"metric": "mean_squared_error", "faults": 60, "limits": {"max_mean_squared_error_increase": 0.2}}
    choice = fkeras.protect(models[:2], data, bits=150, method="displacement", names=["a", "b"], **campaign)
    assert [model.name for model in choice.models] == ["a", "b"]
    assert len(choice.mask.bits) == 150
    for model, trained in zip(choice.models, models[:2], strict=True):
        by_hand = fkeras.campaign(trained, data, protected=choice.mask.bits, allow_chance=True, **campaign)
        verdict = by_hand.verdict(by_hand.plan.requirement)
        record = model.common.verdict
        assert (record.outcome, record.failures) == (verdict.outcome, verdict.failures)
        assert 0.5 < model.shared < 1


def test_one_model_given_twice_does_not_wait_for_itself(models, data, tmp_path):
    campaign = {"metric": "mean_squared_error", "faults": 60, "limits": {"max_mean_squared_error_increase": 0.2}}
    once, twice = (
        fkeras.protect(given, data, bits=150, method="msb", store=tmp_path / "store", **campaign)
        for given in (models[0], [models[0], models[0]])
    )
    assert twice.mask.digest == once.mask.digest
    assert [one.common for one in twice.models] == [once.models[0].common] * 2


def test_one_store_keeps_models_data_metrics_and_engines_apart(models, data, tmp_path):
    (x, y), looks = data, {"looks": [3, 30], "trials": 5}
    signs = fkeras.metrics.sample_metric(lambda true, out: (np.sign(true) != np.sign(out)).mean(1), "signs", "lower",
                                         identity="1")  # fmt: skip
    cases = [
        (models[0], (x, y), "mean_squared_error", "auto"),
        (models[1], (x, y), "mean_squared_error", "auto"),
        (models[0], (x[:20], y[:20]), "mean_squared_error", "auto"),
        (models[0], (x, y), signs, "auto"),
        (models[0], (x, y), "mean_squared_error", "framework"),
    ]
    for model, part, metric, engine in cases:
        plain, kept = (
            fkeras.endurance(model, part, metric=metric, engine=engine, store=store, **looks)
            for store in (None, tmp_path / "store")
        )
        assert kept.survey.values.tolist() == plain.survey.values.tolist()
    assert len([*(tmp_path / "store" / "fault_sets").iterdir()]) == len(cases)


def test_what_a_later_model_is_refused_for_is_found_before_anything_is_ranked(models, data, tmp_path):
    campaign = {"metric": "mean_squared_error", "faults": 60, "limits": {"max_mean_squared_error": 1e-3}}
    with pytest.raises(InputError, match=r"model 2: the golden model breaks max_mean_squared_error=0\.001 already"):
        fkeras.protect(models[:2], data, store=tmp_path / "store", **campaign)
    with pytest.raises(LayoutError, match="to be shared by model 2"):
        fkeras.protect([models[0], models[2]], data, bits=3, store=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_what_makes_no_sense_is_refused(models, data):
    with pytest.raises(InputError, match="needs faults=, metric=, limits= and data"):
        fkeras.protect(models[0], data, faults=3)
    with pytest.raises(InputError, match="1 models with 2 names"):
        fkeras.protect(models[0], data, bits=3, names=["a", "b"])
    with pytest.raises(
        LayoutError, match="the mask of model 1, to be shared by model 2, belongs to a memory of layout"
    ):
        fkeras.protect([models[0], models[2]], bits=3, method="msb")


@pytest.fixture(scope="module")
def small(models):
    """Two trainings that use few words, with data of the first."""
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    return models[3:], (x, models[3].predict(x, verbose=0))


def test_a_check_beside_the_mask_is_made_from_the_words_of_each_training(small):
    trainings, data = small
    campaign = {"metric": "mean_squared_error", "faults": 9, "limits": {"max_mean_squared_error_increase": 0.5}}
    alone = fkeras.protect(trainings, data, method="displacement", **campaign)
    under = lambda bits: [fkeras.KnownWords(), fkeras.AssumedImmune(bits)]  # noqa: E731
    beside = fkeras.protect(trainings, data, method="displacement", under=under, **campaign)
    assert len(beside.mask.bits) < len(alone.mask.bits)
    assert beside.to_dict()["n_protected"] == len(beside.mask.bits)
    assert "known words of these weights" in beside.protection
    for trained, model in zip(trainings, beside.models, strict=True):
        bits = beside.mask.on(fkeras.bit_space(trained))
        verdict = model.common.verdict
        result = fkeras.campaign(
            trained, data, protected=under(bits), trials=verdict.trials, allow_chance=True, **campaign
        )
        assert int(result.failure_rate(**campaign["limits"]).best * verdict.trials + 0.5) == verdict.failures
        assert model.common.n_bits == len(bits)


def test_bits_beside_a_check_are_chosen_by_what_flips_do_behind_it(small):
    (model, _), data = small
    check = fkeras.Recoded()
    under = lambda bits: [check, fkeras.AssumedImmune(bits)]  # noqa: E731
    mask = fkeras.protect(model, data, bits=9, under=under, method="displacement").mask
    behind = fkeras.rank(model, data, method="displacement", behind=check)
    assert mask.bits == behind[:9] != fkeras.rank(model, data, method="displacement")[:9]
    assert behind.method == "displacement behind recoded words"


def test_a_check_is_a_protection_wherever_one_is_taken(small):
    (model, _), data = small
    space, faults = fkeras.bit_space(model), {"metric": "mean_squared_error", "faults": 9}
    bare = fkeras.campaign(model, data, trials=20, **faults)
    for check in (fkeras.RangeCheck, fkeras.KnownWords, fkeras.Recoded):
        result = fkeras.campaign(model, data, protected=check(), trials=20, **faults)
        assert result.estimate.best < bare.estimate.best / 2
        assert result.golden.value == bare.golden.value
    endured = fkeras.endurance(
        model, data, metric="mean_squared_error", looks=[2, 9], trials=20, protected=fkeras.KnownWords()
    )
    assert "known words of these weights" in endured.record.protection
    order = fkeras.rank(model, data, method="displacement")
    limits = {"max_mean_squared_error_increase": 0.5}
    alone, beside = (
        fkeras.protection_curve(model, data, ranking=order, limits=limits, under=under, max_trials=100, **faults)
        for under in (fkeras.AssumedImmune, lambda bits: [fkeras.KnownWords(), fkeras.AssumedImmune(bits)])
    )
    assert beside.smallest < alone.smallest
    assert len(space) == len(order)


def test_each_flip_alone_under_a_check_is_what_the_faults_left_give(small):
    (model, _), data = small
    flips = fkeras.campaign(
        model, data, metric="mean_squared_error", faults=1, trials="all", protected=[fkeras.KnownWords(), range(8)]
    )
    assert len(flips) == len(fkeras.bit_space(model))
    assert not flips.residual[:8].any()
    assert (flips.values[flips.residual == 0] == flips.golden.value).all()
    for bit in np.flatnonzero(flips.residual)[:5].tolist():
        left = flips.setting.residual(bit)
        again = fkeras.campaign(model, data, metric="mean_squared_error", faults=_These(left), trials=1)
        assert (len(left), again.values[0]) == (flips.residual[bit], flips.values[bit])


class _These:
    """The same faults in every trial."""

    def __init__(self, faults):
        self.faults, self.key = faults, "these"

    def draw(self, n_bits, stream):
        return Draw(self.faults, len(self.faults))

    def describe(self, n_bits):
        return "these"


FREE = {"metric": "mean_squared_error", "faults": 9, "limits": {"max_mean_squared_error_increase": 0.5}, "free": True}


def test_a_free_check_leaves_fewer_bits_and_is_judged_on_trials_that_chose_nothing(small, tmp_path):
    (model, _), data = small
    choice = fkeras.protect(model, data, method="displacement", seed=3, **FREE)
    free, (judged,), order = choice.free, choice.models, fkeras.rank(model, data, method="displacement")
    assert free.n_bits < free.n_bits_without
    assert free.seed != 3
    assert choice.outcome == "PASS"
    assert len(choice.mask.bits) >= free.n_bits
    assert judged.common.n_bits == len(choice.mask.bits)
    for seed, n_bits in ((3, len(choice.mask.bits)), (free.seed, free.n_bits)):
        campaign = {key: value for key, value in FREE.items() if key != "free"}
        result = fkeras.campaign(model, data, seed=seed, protected=[free.check, order[:n_bits]], **campaign)
        assert result.verdict(result.plan.requirement).outcome == "PASS"
    assert f"beside {free.check!r}: {free.n_bits} bits, {free.n_bits_without} without a check" in str(choice)
    choice.mask.write(tmp_path / "protection.json")
    assumed = fkeras.read_mask(tmp_path / "protection.json").provenance["assumptions"]
    assert assumed["free"] == choice.to_dict()["free"]
    assert assumed["note"].startswith("check and size were found on the trials of another seed")


def test_a_free_check_for_several_trainings_passes_for_each(small):
    trainings, data = small
    choice = fkeras.protect(trainings, data, method="displacement", **FREE)
    assert [model.common.verdict.outcome for model in choice.models] == ["PASS", "PASS"]


def test_a_free_check_needs_what_must_pass_and_no_size(small):
    (model, _), data = small
    for keywords in ({"free": True}, {"bits": 3, **FREE}, {"overhead": 0.5, **FREE}):
        with pytest.raises(InputError, match=r"free=True chooses a check.*give faults=, limits= and data, and no size"):
            fkeras.protect(model, data, method="displacement", **keywords)
