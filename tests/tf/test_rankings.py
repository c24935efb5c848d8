"""Rankings of real models, and the loss that they differentiate."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.errors import InputError
from fkeras.frontends.evidence import FrameworkSubject
from fkeras.frontends.losses import final_activation
from fkeras.models import start_run
from fkeras.models.keras import KerasModel
from fkeras.models.kinds import model_of
from fkeras.models.network import NetworkSubject
from fkeras.sensitivity.evidence import SubjectEvidence
from fkeras.sensitivity.losses import implied_metric, resolve_loss
from fkeras.sensitivity.methods import METHODS


def dense_model(n_out: int, activation: str):
    from fkeras.frontends.qkeras.setup import qkeras, tensorflow

    tf, q = tensorflow(), qkeras()
    tf.keras.utils.set_random_seed(1)
    return tf.keras.Sequential(
        [
            tf.keras.layers.Input((6,)),
            q.QDense(
                5, kernel_quantizer="quantized_bits(4, 0, alpha=1)", bias_quantizer="quantized_bits(4, 0, alpha=1)"
            ),
            q.QActivation("quantized_relu(6, 2)"),
            q.QDense(
                n_out, kernel_quantizer="quantized_bits(4, 0, alpha=1)", bias_quantizer="quantized_bits(4, 0, alpha=1)"
            ),
            tf.keras.layers.Activation(activation),
        ]
    )


@pytest.fixture(scope="module")
def classifier():
    """(model, x, y): 6 inputs, 3 classes, labels that the model itself gives to 90 % of the samples."""
    model = dense_model(3, "softmax")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(400, 6)).astype(np.float32)
    y = model.predict(x, verbose=0).argmax(axis=1)
    y[::10] = draw.integers(0, 3, 40)
    return model, x, y


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_ranks_a_classifier(classifier, name):
    model, x, y = classifier
    before = [weight.copy() for weight in model.get_weights()]
    ranking = fkeras.rank(model, (x, y), method=name, metric="accuracy")
    assert (len(ranking), ranking.method) == (180, name)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("name", sorted(name for name in METHODS if not name.startswith("adaptive")))
def test_every_method_is_reproducible(classifier, name):
    model, x, y = classifier
    first, second = (fkeras.rank(model, (x[:100], y[:100]), method=name, seed=3) for _ in range(2))
    assert np.array_equal(first.order, second.order)


def test_methods_without_targets_need_none(classifier):
    model, x, _ = classifier
    for name in (name for name, method in METHODS.items() if "y" not in method.needs):
        assert len(fkeras.rank(model, (x, None), method=name)) == 180


def test_a_method_that_needs_targets_says_so(classifier):
    model, x, _ = classifier
    with pytest.raises(InputError, match="no loss"):
        fkeras.rank(model, (x, None), method="gradient")


def test_a_callable_ranks_with_evidence(classifier):
    model, x, y = classifier

    def by_gradient(space, evidence):
        return np.repeat(np.abs(evidence.derivatives().gradient()), 4)

    assert fkeras.rank(model, (x, y), method=by_gradient).method == "by_gradient"


def test_the_space_may_be_chosen(classifier):
    model, x, y = classifier
    space = fkeras.bit_space(model, biases=True)
    assert len(fkeras.rank(model, (x, y), method="hessian", space=space)) == len(space) == 212


def test_metric_aware_rankings_know_the_damage_best(classifier):
    model, x, y = classifier
    oracle = fkeras.oracle(model, (x[200:], y[200:]), metric="accuracy", sample_groups=4)
    assert oracle.group_deltas.mean(axis=1) == pytest.approx(oracle.delta)
    area = {
        name: fkeras.ranking_quality(
            fkeras.rank(model, (x[:200], y[:200]), method=name, metric="accuracy"), oracle
        ).area.best
        for name in ("msb", "adaptive_tenth", "random")
    }
    assert area["adaptive_tenth"] > area["msb"] > area["random"]


def loss_of(loss, metric, model, y, outputs):
    return resolve_loss(loss, metric, final_activation(model), y, outputs, KerasModel(model).users_loss)


class TestLoss:
    """Which loss stands for the damage when none is given."""

    def test_class_targets_have_cross_entropy_of_probabilities(self, classifier):
        model, x, y = classifier
        outputs = model.predict(x, verbose=0)
        loss = loss_of(None, None, model, y, outputs)
        expected = -np.log(outputs[np.arange(400), y])
        assert loss.name == "cross_entropy"
        assert loss.per_sample(loss.targets, (outputs,)) == pytest.approx(expected, rel=1e-4, abs=1e-6)

    def test_without_a_softmax_outputs_are_logits(self, classifier):
        _, x, y = classifier
        model = dense_model(3, "linear")
        outputs = model.predict(x, verbose=0)
        loss = loss_of(None, None, model, y, outputs)
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        expected = -np.log((shifted / shifted.sum(axis=1, keepdims=True))[np.arange(400), y])
        assert loss.per_sample(loss.targets, (outputs,)) == pytest.approx(expected, rel=1e-4, abs=1e-6)

    def test_a_single_score_is_told_apart_where_accuracy_does(self, tf):
        y, probabilities = np.array([0, 1, 1, 0]), np.array([[0.2], [0.9], [0.5], [0.6]], np.float32)
        from_logits = tf.keras.losses.BinaryCrossentropy(from_logits=True, reduction="none")
        for model, given, logits in (
            (dense_model(1, "sigmoid"), probabilities, np.log(probabilities / (1 - probabilities))),
            (dense_model(1, "linear"), probabilities, 4 * (probabilities - 0.5)),
            (dense_model(1, "linear"), probabilities * 8 - 4, probabilities * 8 - 4),  # no probabilities: logits
        ):
            loss = loss_of(None, None, model, y, given)
            expected = from_logits(y[:, None], logits).numpy()
            assert loss.per_sample(loss.targets, (given,)) == pytest.approx(expected, rel=1e-4)

    def test_one_hot_targets_are_classes(self, classifier):
        model, x, y = classifier
        loss = loss_of(None, None, model, np.eye(3, dtype=int)[y], model.predict(x, verbose=0))
        assert (loss.name, loss.targets.tolist()) == ("cross_entropy", y.tolist())

    def test_targets_shaped_like_the_outputs_have_squared_error(self, classifier):
        model, x, _ = classifier
        outputs = model.predict(x, verbose=0)
        loss = loss_of(None, None, model, outputs + 0.5, outputs)
        assert loss.name == "squared_error"
        assert loss.per_sample(loss.targets, (outputs,)) == pytest.approx(np.full(400, 0.25), rel=1e-5)

    def test_emd_has_the_squared_difference_of_normalized_cells(self):
        model = dense_model(4, "sigmoid")
        metric = fkeras.metrics.emd([[0.0, 0], [1, 0], [0, 1], [1, 1]], cells=[2, 0, 1, 3])
        outputs = np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)
        loss = loss_of(None, metric, model, np.array([[0, 1, 0, 3]]), outputs)
        # cells in the order of the coordinates: 0.3, 0.1, 0.2, 0.4 against 0, 1/4, 0, 3/4
        assert loss.per_sample(loss.targets, (outputs,)) == pytest.approx([0.09 + 0.0225 + 0.04 + 0.1225])

    def test_keras_names_objects_and_functions_agree(self, classifier):
        from fkeras.frontends.qkeras.setup import tensorflow

        tf = tensorflow()
        model, x, _ = classifier
        outputs = model.predict(x[:9], verbose=0)
        targets = outputs[::-1].copy()

        def mean(y_true, y_pred):
            return tf.reduce_mean(tf.square(y_true - y_pred))

        values = [
            np.mean(loss.per_sample(loss.targets, (outputs,)))
            for loss in (
                loss_of(given, None, model, targets, outputs)
                for given in ("mse", tf.keras.losses.MeanSquaredError(), tf.keras.losses.mean_squared_error, mean)
            )
        ]
        assert values == pytest.approx([np.square(targets - outputs).mean()] * 4)

    def test_a_loss_of_the_user_wins_over_the_metric(self, classifier):
        model, x, y = classifier
        hot = np.eye(3, dtype=np.float32)[y]
        by_name = fkeras.rank(model, (x, hot), method="gradient", loss="mae")
        assert not np.array_equal(by_name.order, fkeras.rank(model, (x, hot), method="gradient").order)

    @pytest.mark.parametrize("y", [np.zeros((400, 7)), np.zeros(400), np.zeros((400, 3, 1))])
    def test_when_nothing_fits_the_error_names_loss(self, classifier, y):
        model, x, _ = classifier
        with pytest.raises(InputError, match=r"no loss fits .*pass loss="):
            fkeras.rank(model, (x, y), method="gradient")

    def test_a_word_that_is_no_loss(self, classifier):
        model, x, y = classifier
        with pytest.raises(InputError, match="loss='mispredictions' is no Keras loss"):
            fkeras.rank(model, (x, y), method="gradient", loss="mispredictions")

    def test_the_last_activation_is_found_in_nested_models_and_layers(self):
        from fkeras.frontends.qkeras.setup import qkeras, tensorflow

        keras, q = tensorflow().keras, qkeras()
        inner = dense_model(3, "softmax")
        given = keras.Input((6,))
        assert final_activation(keras.Model(given, inner(given))) == "softmax"
        assert final_activation(keras.Sequential([keras.Input((6,)), keras.layers.Softmax()])) == "softmax"
        last = q.QDense(2, kernel_quantizer="quantized_bits(4, 0, alpha=1)", activation="softmax")
        assert final_activation(keras.Sequential([keras.Input((6,)), last])) == "softmax"
        assert final_activation(dense_model(3, "linear")) == "linear"

    def test_targets_suggest_a_metric(self, classifier):
        model, x, y = classifier
        outputs = model.predict(x, verbose=0)
        assert implied_metric(y, outputs).name == "mispredictions"
        assert implied_metric(outputs, outputs).name == "mean_squared_error"
        with pytest.raises(InputError, match="suggest no metric; pass metric="):
            implied_metric(np.zeros((400, 7)), outputs)


def test_a_data_set_metric_cannot_be_sampled(classifier):
    model, x, y = classifier
    metric = fkeras.metrics.dataset_metric(lambda t, o: 0.5, "half", "lower")
    with pytest.raises(InputError, match="'half' is one number for the whole data set"):
        fkeras.rank(model, (x, y), method="adaptive", metric=metric)


@pytest.mark.parametrize("name", ["econ_t_small", "econ_t_medium", "econ_t_large", "rn07_cifar10"])
def test_a_network_is_differentiated_as_tensorflow_differentiates_its_model(shared_data, name):
    model = fkeras.load_model(shared_data / "models" / f"{name}.h5")
    x = (np.random.default_rng(0).integers(0, 256, (8, *model.input_shape[1:])) / 256).astype(np.float32)
    y = np.arange(8) if name == "rn07_cifar10" else np.zeros((8, *model.output_shape[1:]), np.float32)
    data, space = (x, y), fkeras.bit_space(model)
    subject = model_of(model).subject(space, data)
    assert isinstance(subject, NetworkSubject)
    gradients = [
        SubjectEvidence(space, lambda by=by: by, None, None, 0).derivatives().gradient()
        for by in (subject, KerasModel(model).framework_subject(space, data, start_run))
    ]
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-5 * np.abs(gradients[1]).max())


def test_a_model_that_its_network_does_not_compute_is_differentiated_by_tensorflow(q, tf, kit):
    inputs = tf.keras.Input((4,))
    hidden = q.QDense(3, kernel_quantizer="quantized_bits(4,0,alpha=0.3)")(inputs)
    model = kit.randomize(tf.keras.Model(inputs, q.QActivation("quantized_relu(4,1)")(hidden)))
    subject = model_of(model).subject(fkeras.bit_space(model), (kit.data_for(model), None))
    assert isinstance(subject, FrameworkSubject)
