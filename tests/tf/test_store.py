"""The store on real models: identities see all that outputs depend on, and stored numbers are the measured ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fkeras
from fkeras.engines.cpu.run import CpuRun
from fkeras.errors import ChangedError, IdentityError, InputError, NotStored
from fkeras.frontends.qkeras.framework import FrameworkRun
from fkeras.frontends.qkeras.identity import model_identity
from fkeras.metrics import sample_metric
from fkeras.study import Study


def dense(tf, q, seed=0, activation="relu"):
    """A quantized layer and a float one."""
    kernel = q.quantized_bits(4, 0, alpha=1)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input((5,)),
            q.QDense(6, kernel_quantizer=kernel, bias_quantizer=kernel, name="hidden"),
            layers.Activation(activation),
            layers.Dense(3, activation="softmax", name="top"),
        ]
    )
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.4, weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture
def model(tf, q):
    return dense(tf, q)


@pytest.fixture
def data():
    rng = np.random.default_rng(2)
    return rng.normal(size=(40, 5)).astype(np.float32), rng.integers(0, 3, 40)


@pytest.fixture
def measured(monkeypatch):
    """The calls that measure faults so far; the fault-free network computes without one."""
    calls = []

    def noting(kind, name):
        method = getattr(kind, name)

        def noted(run, faults):
            calls.append(name)
            return method(run, faults)

        monkeypatch.setattr(kind, name, noted)

    for kind in (CpuRun, FrameworkRun):
        for name in ("flips", "fault_sets"):
            noting(kind, name)
    return calls


def test_an_identity_outlives_the_object_and_the_session(tf, q, model, tmp_path):
    model.save(tmp_path / "model.h5")
    assert model_identity(fkeras.load_model(tmp_path / "model.h5")) == model_identity(
        fkeras.load_model(tmp_path / "model.h5")
    )
    assert model_identity(model) == model_identity(model)


@pytest.mark.parametrize(("layer", "weight"), [("hidden", 0), ("hidden", 1), ("top", 0), ("top", 1)])
def test_every_weight_counts_not_only_the_words(model, layer, weight):
    before, space = model_identity(model), fkeras.bit_space(model)
    weights = model.get_layer(layer).get_weights()
    weights[weight].flat[0] += 0.01  # less than a word's step, too
    model.get_layer(layer).set_weights(weights)
    after = model_identity(model)
    assert {key for key in before if before[key] != after[key]} == {"weights"}
    assert fkeras.bit_space(model).content_digest == space.content_digest or (layer, weight) == ("hidden", 0)


def test_saving_a_model_of_models_is_no_change(tf, q, tmp_path):
    inside, inputs = dense(tf, q), tf.keras.layers.Input((5,))
    outside = tf.keras.Model(inputs, inside(inputs))
    before = model_identity(outside), model_identity(inside)
    outside.save(tmp_path / "model.h5")
    assert (model_identity(outside), model_identity(inside)) == before


def test_the_architecture_counts(tf, q):
    one, other = (model_identity(dense(tf, q, activation=name)) for name in ("relu", "tanh"))
    assert {key for key in one if one[key] != other[key]} == {"architecture"}


def test_code_of_a_users_own_needs_an_identity(tf, q):
    class Doubled(tf.keras.layers.Layer):
        def call(self, x):
            return 2 * x

    def squared(x):
        return x * x

    inner = dense(tf, q)
    own = tf.keras.Sequential([*inner.layers, Doubled(name="twice"), tf.keras.layers.Activation(squared, name="sq")])
    own.build((None, 5))
    with pytest.raises(IdentityError, match=r"layer 'twice' of class .*Doubled is code without an identity; set .*'1'"):
        model_identity(own)
    Doubled.fkeras_identity = "1"
    with pytest.raises(IdentityError, match=r"layer 'sq', activation= .*squared is code without an identity"):
        model_identity(own)
    squared.fkeras_identity = "7"
    named = model_identity(own)
    Doubled.fkeras_identity = "2"
    assert [key for key in named if named[key] != model_identity(own)[key]] == ["own_code"]


def test_everything_is_stored_and_nothing_is_measured_again(model, data, measured, tmp_path):
    store = tmp_path / "store"
    order = fkeras.rank(model, data, store=store)

    def everything():
        return (
            fkeras.oracle(model, data, metric="accuracy", store=store),
            fkeras.oracle(model, data, metric="accuracy", sample_groups=2, store=store),
            fkeras.rank(model, data, store=store),
            fkeras.campaign(model, data, metric="accuracy", faults=5, trials=12, protected=order[:20], store=store),
            fkeras.sensitive_bits(model, data, store=store),
        )

    everything()
    measured.clear()
    oracle, grouped, ranking, campaign, sensitive = everything()
    assert measured == []
    assert (oracle.reused, grouped.reused, ranking.reused, campaign.reused) == (120, 120, True, 12)
    fresh = fkeras.oracle(model, data, metric="accuracy")
    assert oracle.values.tolist() == fresh.values.tolist()
    assert oracle.harmed.tolist() == fresh.harmed.tolist()
    assert (oracle.golden, oracle.golden_standard_error) == (fresh.golden, fresh.golden_standard_error)
    assert grouped.group_deltas.tolist() == (
        fkeras.oracle(model, data, metric="accuracy", sample_groups=2).group_deltas.tolist()
    )
    assert ranking.order.tolist() == order.order.tolist()
    assert ranking.scores.tolist() == order.scores.tolist()
    assert ranking.method == order.method
    again = fkeras.campaign(model, data, metric="accuracy", faults=5, trials=12, protected=order[:20])
    assert campaign.values.tolist() == again.values.tolist()
    assert replace(campaign, reused=0).estimate == again.estimate
    assert sensitive.tolist() == fkeras.sensitive_bits(model, data).tolist()


def test_shards_merged_are_the_whole(model, data, measured, tmp_path):
    whole = fkeras.oracle(model, data, metric="accuracy", store=tmp_path / "whole")
    parts = [
        fkeras.oracle(model, data, metric="accuracy", store=tmp_path / f"{i}", shard=f"{i}/3").bits for i in (1, 2, 3)
    ]
    assert sorted(np.concatenate(parts).tolist()) == whole.bits.tolist()
    stores = [tmp_path / f"{i}" for i in (1, 2, 3)]
    fkeras.merge(stores, into=tmp_path / "all")
    measured.clear()
    assert (
        fkeras.oracle(model, data, metric="accuracy", store=tmp_path / "all").values.tolist() == whole.values.tolist()
    )
    assert measured == []
    tables = [sorted((path / "oracle").glob("*/rows/*")) for path in (tmp_path / "whole", tmp_path / "all")]
    assert [path.name for path in tables[0]] == [path.name for path in tables[1]]
    assert [path.read_bytes() for path in tables[0]] == [path.read_bytes() for path in tables[1]]


def test_shards_of_different_data_are_refused_by_name(model, data, tmp_path):
    other = (data[0] + 1, data[1])
    fkeras.rank(model, data, method="msb", store=tmp_path / "1")
    fkeras.rank(model, other, method="msb", store=tmp_path / "2")
    with pytest.raises(IdentityError, match=r"(?s)do not add up:\n  data: \w+... against \w+...\nto keep both"):
        fkeras.merge([tmp_path / "1", tmp_path / "2"], into=tmp_path / "3")


@pytest.mark.parametrize("n", [1, 7, 60])
def test_a_bits_value_does_not_depend_on_what_it_is_measured_with(model, data, n):
    """What makes resumed and shared-out results byte-identical."""
    whole = fkeras.oracle(model, data, metric="mispredictions")
    bits = np.sort(np.random.default_rng(n).choice(120, n, replace=False))
    assert fkeras.oracle(model, data, metric="mispredictions", bits=bits).values.tolist() == whole.values[bits].tolist()


def own_metric(identity=None):
    return sample_metric(lambda y, z: 1.0 - z[np.arange(len(y)), y], "doubt", "lower", (0, 1), identity)


def test_a_function_without_an_identity_is_measured_and_not_stored(model, data, measured, tmp_path):
    for _ in range(2):
        with pytest.warns(NotStored, match="metric 'doubt' is a function without an identity; pass identity='1'"):
            fkeras.oracle(model, data, metric=own_metric(), bits=[1, 2], store=tmp_path)
    n_calls = len(measured)
    with pytest.raises(IdentityError, match="without an identity"):
        fkeras.oracle(model, data, metric=own_metric(), store=tmp_path, shard="1/2")
    for _ in range(2):
        found = fkeras.oracle(model, data, metric=own_metric("1"), bits=[1, 2], store=tmp_path)
    assert (2 * len(measured), found.reused) == (3 * n_calls, 2)
    assert fkeras.oracle(model, data, metric=own_metric("2"), bits=[1, 2], store=tmp_path).reused == 0


def test_rankings_by_a_users_function_or_loss(model, data, tmp_path):
    def mine(space):
        return np.arange(len(space))

    with pytest.warns(NotStored, match="the ranking method .*mine is code without an identity"):
        fkeras.rank(model, data, method=mine, store=tmp_path)
    mine.fkeras_identity = "1"
    assert [fkeras.rank(model, data, method=mine, store=tmp_path).reused for _ in range(2)] == [False, True]
    with pytest.warns(NotStored, match="the loss .* is code without an identity"):
        fkeras.rank(model, data, method="gradient", loss=lambda y, z: z[:, 0], store=tmp_path)


def test_a_shard_needs_a_store(model, data):
    with pytest.raises(InputError, match=r"shard='1/2' needs store=: that is where the shares are put together"):
        fkeras.oracle(model, data, metric="accuracy", shard="1/2")


@pytest.mark.parametrize("what", ["words", "bias", "a layer outside the memory", "its configuration", "x", "y"])
@pytest.mark.parametrize("ask", ["campaign", "oracle", "rank", "sensitive_bits", "endurance"])
def test_a_study_measures_what_it_began_with(model, data, tmp_path, what, ask):
    study = Study(model, data, "accuracy", store=tmp_path)
    asks = {
        "campaign": lambda: study.campaign(faults=5, trials=3),
        "oracle": lambda: study.oracle(bits=[1, 2]),
        "rank": lambda: study.rank("displacement"),
        "sensitive_bits": lambda: study.sensitive_bits([1]),
        "endurance": lambda: study.endurance(looks=[1], trials=3),
    }
    asks[ask]()
    {
        "words": lambda: model.layers[0].kernel.assign_add(0 * model.layers[0].kernel + 0.25),
        "bias": lambda: model.layers[0].bias.assign_add([0.25] * 6),
        "a layer outside the memory": lambda: model.layers[-1].bias.assign([1, 2, 3]),
        "its configuration": lambda: setattr(model.layers[-1], "activation", None),
        "x": lambda: np.multiply(data[0], 2, out=data[0]),
        "y": lambda: np.add(data[1], 1, out=data[1]),
    }[what]()
    with pytest.raises(ChangedError, match="changed since this study first measured with it"):
        asks[ask]()


def test_the_identity_of_a_campaigns_trials_sees_all_that_computes(tf, q, model, data, monkeypatch):
    def identity(*, of=model, xy=data, metric="accuracy", faults=2, protected=None, **study):
        asked = Study(of, xy, metric, **study)
        name = asked.which()
        return asked.trials_identity(name, asked.campaign(faults=faults, trials=1, protected=protected).setting).digest

    first = identity()
    assert identity() == identity(of=model, xy=tuple(part.copy() for part in data)) == first
    biased = dense(tf, q)
    weights = biased.get_layer("top").get_weights()
    weights[1][0] += 0.01
    biased.get_layer("top").set_weights(weights)
    mine = sample_metric(lambda y, o: o.argmax(1) == y, "accuracy", "higher", bounds=(0.0, 1.0), identity="mine")
    others = [
        identity(of=biased),
        identity(xy=(data[0], data[1][::-1].copy())),
        identity(metric=mine),
        identity(faults=3),
        identity(protected=[0, 1]),
        identity(protected=[2, 3]),
        identity(seed=1),
        identity(engine="framework"),
    ]
    monkeypatch.setattr(tf, "__version__", "2.99")
    others.append(identity())
    assert len({first, *others}) == 1 + len(others)
