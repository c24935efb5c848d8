"""`fkeras.protect` on real models: one, and retrainings that share a mask."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.errors import InputError, LayoutError


@pytest.fixture(scope="module")
def models(q, tf):
    """Two trainings of one network, and one of another."""

    def make(units, seed):
        layers = tf.keras.layers
        model = tf.keras.Sequential(
            [
                layers.Input((6,)),
                q.QDense(units, kernel_quantizer=q.quantized_bits(4, 0, alpha=1), name="first"),
                q.QDense(3, kernel_quantizer=q.quantized_bits(4, 0, alpha=1), name="second"),
            ]
        )
        rng = np.random.default_rng(seed)
        model.set_weights([rng.normal(0, 0.4, array.shape) for array in model.get_weights()])
        return model

    return make(5, 1), make(5, 2), make(4, 3)


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
        by_hand = fkeras.campaign(trained, data, protected=choice.mask.bits, **campaign)
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
        (models[0], (x, y), "mean_squared_error", "reference"),
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
