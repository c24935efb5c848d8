"""endurance, critical_bits and protection_curve on a model: the library's front door agrees with its parts."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.errors import InputError


@pytest.fixture(scope="module")
def subject(tf, q):
    rng = np.random.default_rng(0)
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Input((4,)),
            q.QDense(5, kernel_quantizer=q.quantized_bits(4, 0, alpha=1), use_bias=False, name="hidden"),
            tf.keras.layers.ReLU(),
            tf.keras.layers.Dense(3, name="scores"),
        ]
    )
    model.set_weights([rng.uniform(-1, 1, array.shape).astype(np.float32) for array in model.get_weights()])
    x = rng.normal(size=(60, 4)).astype(np.float32)
    return model, (x, model.predict(x, verbose=0).argmax(axis=1))


LIMITS = {"max_accuracy_drop": 0.1}


def test_critical_bits_are_those_of_the_oracle(subject):
    found = fkeras.critical_bits(*subject, metric="accuracy", limits=LIMITS)
    oracle = fkeras.oracle(*subject, metric="accuracy")
    assert found.bits.tolist() == np.flatnonzero(oracle.golden - oracle.values > 0.1).tolist()
    assert 0 < len(found) < 80
    assert fkeras.critical_bits(*subject, metric="accuracy", limits=LIMITS, bits=[3, 5]).bits.tolist() == [
        bit for bit in (3, 5) if bit in found
    ]
    with pytest.raises(InputError, match="can never be broken"):
        fkeras.critical_bits(*subject, metric="accuracy", limits={"max_accuracy_drop": 1.0})


def test_endurance_in_flips_and_in_seconds(subject):
    flips = fkeras.endurance(*subject, metric="accuracy", limits=LIMITS, max_failure_rate=0.3, trials=60)
    assert 1 <= flips.largest < flips.exceeded_at <= 40
    assert flips.space.content_digest == fkeras.bit_space(subject[0]).content_digest
    # An upset is a flip, 1 per second: hits on one bit that cancel are few, so both survive about the same.
    seconds = fkeras.endurance(
        *subject, metric="accuracy", limits=LIMITS, max_failure_rate=0.3, trials=60, upsets_per_second=1.0
    )
    assert flips.largest / 5 < seconds.largest < flips.exceeded_at * 2
    assert seconds.accumulation.unit == "seconds"
    again = fkeras.endurance(*subject, metric="accuracy", limits=LIMITS, max_failure_rate=0.3, trials=60)
    assert again.to_dict() == flips.to_dict()


def test_triplicated_bits_endure_longer(subject):
    space = fkeras.bit_space(subject[0])
    keywords = {"metric": "accuracy", "limits": LIMITS, "max_failure_rate": 0.3, "trials": 60, "max_flips": 40}
    bare = fkeras.endurance(*subject, **keywords)
    tmr = fkeras.endurance(*subject, **keywords, protected=fkeras.TMR(range(len(space))))
    assert tmr.largest > bare.largest
    # Two hits on one triple win the vote, so it does not endure for ever.
    assert tmr.survey.residual[:, -1].max() > 0


def test_what_does_not_belong_together_is_refused(subject):
    with pytest.raises(InputError, match="exposure_seconds= does not go with looks in flips; write max_flips"):
        fkeras.endurance(*subject, metric="accuracy", exposure_seconds=3)
    with pytest.raises(InputError, match="max_flips= does not go with looks in seconds; write exposure_seconds"):
        fkeras.endurance(*subject, metric="accuracy", upsets_per_second=1, max_flips=3)
    with pytest.raises(InputError, match="can never be broken"):
        fkeras.endurance(*subject, metric="accuracy", limits={"min_accuracy": 0})


def test_the_protection_curve_ends_where_a_campaign_passes(subject):
    ranking = fkeras.rank(subject[0], method="msb")
    keywords = {"metric": "accuracy", "faults": 4, "limits": LIMITS, "seed": 2}
    curve = fkeras.protection_curve(*subject, **keywords, ranking=ranking, max_trials=300)

    def outcome(k):
        result = fkeras.campaign(*subject, **keywords, protected=ranking[:k], max_trials=300)
        return result.verdict(result.plan.requirement).outcome.value

    assert outcome(curve.smallest) == "PASS" != outcome(curve.largest_failing)
    assert curve.largest_failing < curve.smallest < 80


def test_a_layer_that_nothing_looks_at_is_dead_on_these_samples_and_the_others_live():
    from fkeras.frontends.qkeras.setup import qkeras, tensorflow

    tf, q = tensorflow(), qkeras()
    inputs = tf.keras.Input((4,))
    hidden = q.QDense(3, kernel_quantizer="quantized_bits(4,0,1,alpha=1)", use_bias=False, name="unseen")(inputs)
    other = q.QDense(3, kernel_quantizer="quantized_bits(4,0,1,alpha=1)", use_bias=False, name="seen")(inputs)
    silent = tf.keras.layers.Lambda(lambda x: 0 * x)(hidden)
    model = tf.keras.Model(inputs, tf.keras.layers.Add()([silent, other]))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.4, weight.shape) for weight in model.get_weights()])
    x = rng.normal(size=(40, 4)).astype(np.float32)
    study = fkeras.Study(model, (x, model.predict(x, verbose=0)), "mean_squared_error")
    expected = ["unseen/kernel: no flip of its 48 bits changes an output on these 40 samples"]
    assert [str(dead) for dead in study.dead_tensors()] == expected
    assert [str(dead) for dead in study.but().dead_tensors(study.campaign(faults=3, trials=20))] == expected
