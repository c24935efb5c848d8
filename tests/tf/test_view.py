"""The faulty view: what it computes, what it refuses, and that the model never notices."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.errors import FkerasError, InputError, LayoutError


@pytest.fixture(scope="module")
def trained(tf, q, kit):
    """A model with optimizer slots, a frozen layer, dropout, batch norm and two heads."""
    inputs = tf.keras.Input((5,))
    h = q.QDense(
        6,
        kernel_quantizer="quantized_bits(4,0,1)",
        bias_quantizer="quantized_bits(6,1,1)",
        name="first",
        kernel_regularizer="l2",
    )(inputs)
    h = q.QActivation("quantized_relu(6,2)")(h)
    h = tf.keras.layers.Dropout(0.5)(h)
    h = tf.keras.layers.BatchNormalization(name="norm")(h)
    classes = tf.keras.layers.Softmax(name="classes")(q.QDense(3, kernel_quantizer="ternary()", name="second")(h))
    size = tf.keras.layers.Dense(1, name="size", trainable=False)(h)
    model = tf.keras.Model(inputs, [classes, size])
    model.compile(
        "adam",
        {"classes": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights=[1.0, 0.5],
        metrics={"classes": ["accuracy"], "size": [tf.keras.metrics.MeanAbsoluteError(name="mae")]},
    )
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    y = {"classes": np.arange(40) % 3, "size": x[:, :1]}
    model.fit(x, y, epochs=2, verbose=0)
    return model, x, y


def test_laws_after_training(trained, check_laws):
    model, x, _ = trained
    check_laws(model, x)


@pytest.mark.parametrize("error", [RuntimeError("mine"), KeyboardInterrupt()])
def test_the_model_is_untouched_whatever_is_raised(trained, kit, error):
    model, x, _ = trained
    before = kit.snapshot(model)
    views = []

    def use_and_fail():
        with fkeras.injected(model, fkeras.FaultSet([0, 5])) as view:
            views.append(view)
            view.predict(x)
            raise error

    with pytest.raises(type(error)):
        use_and_fail()
    assert kit.unchanged(before, kit.snapshot(model))
    with pytest.raises(FkerasError, match=r"closed: its `with fkeras.injected\(...\)` block has ended"):
        views[0].predict(x)


def test_a_failing_trace_leaves_the_quantizers_in_place(tf, q, kit):
    class Failing(tf.keras.layers.Layer):
        fail = False

        def call(self, inputs):
            if Failing.fail:
                raise ValueError("inside")
            return inputs

    inputs = tf.keras.Input((4,))
    model = tf.keras.Model(inputs, Failing()(q.QDense(3, kernel_quantizer="ternary()", name="d")(inputs)))
    before = kit.snapshot(model)
    Failing.fail = True
    with pytest.raises(ValueError, match="inside"):
        fkeras.bit_space(model)
    assert kit.unchanged(before, kit.snapshot(model))


def test_evaluate_without_faults_is_keras_own(trained):
    model, x, y = trained
    expected = model.evaluate(x, y, verbose=0, batch_size=16, return_dict=True)
    with fkeras.injected(model, fkeras.FaultSet()) as view:
        measured = view.evaluate(x, y, batch_size=16, return_dict=True)
        as_list = view.evaluate(x, y, batch_size=16)
    assert measured.keys() == expected.keys()
    assert measured == pytest.approx(expected, rel=1e-6)
    assert as_list == pytest.approx(list(expected.values()), rel=1e-6)


def test_evaluate_with_faults_is_that_of_the_faulty_outputs(trained):
    model, x, y = trained
    with fkeras.injected(model, fkeras.FaultSet([0, 40, 120])) as view:
        classes, size = view.predict(x)
        measured = view.evaluate(x, y, return_dict=True)
    assert measured["classes_accuracy"] == pytest.approx((classes.argmax(1) == y["classes"]).mean())
    assert measured["size_mae"] == pytest.approx(np.abs(size - y["size"]).mean(), rel=1e-5)


def test_evaluate_does_not_mix_its_metrics_with_the_models(trained):
    model, x, y = trained
    model.evaluate(x, y, verbose=0)
    before = [metric.result().numpy() for metric in model.metrics]
    with fkeras.injected(model, fkeras.FaultSet([0])) as view:
        view.evaluate(x, y)
    assert [metric.result().numpy() for metric in model.metrics] == before


def test_batches_do_not_matter(trained, kit):
    model, x, _ = trained
    with fkeras.injected(model, fkeras.FaultSet([3])) as view:
        whole = view.predict(x, batch_size=40)
        for one, other in zip(view.predict(x, batch_size=7), whole, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(view(x)[0].numpy(), whole[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["fit", "compile", "save", "set_weights", "load_weights", "train_on_batch"])
def test_a_view_is_read_only(trained, name):
    with (
        fkeras.injected(trained[0], fkeras.FaultSet()) as view,
        pytest.raises(InputError, match=f"a faulty view is read-only: `{name}` is not allowed"),
    ):
        getattr(view, name)()


def test_a_view_has_nothing_else(trained):
    with fkeras.injected(trained[0], fkeras.FaultSet()) as view:
        assert not hasattr(view, "layers")
        with pytest.raises(InputError, match="inference mode only"):
            view(trained[1], training=True)
        with pytest.raises(InputError, match="batch_size is 0; allowed are whole numbers from 1 up"):
            view.predict(trained[1], batch_size=0)


def test_two_views_at_once_keep_their_own_faults(trained, kit):
    model, x, _ = trained
    space = fkeras.bit_space(model)
    with fkeras.injected(model, fkeras.FaultSet([0]), space=space) as one:
        alone = one.predict(x)
        with fkeras.injected(model, fkeras.FaultSet([24]), space=space) as two:
            assert not kit.same(two.predict(x), alone)
            assert kit.same(one.predict(x), alone)


def test_what_cannot_be_injected_is_refused(trained):
    model = trained[0]
    with pytest.raises(InputError, match="faults is list; allowed is a FaultSet"), fkeras.injected(model, [1]):
        pass
    with (
        pytest.raises(LayoutError, match="this fault set belongs to a memory of layout"),
        fkeras.injected(model, fkeras.FaultSet([1], layout_digest="0" * 64)),
    ):
        pass
    with (
        pytest.raises(InputError, match="bit 100000 does not exist"),
        fkeras.injected(model, fkeras.FaultSet([100_000])),
    ):
        pass


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 4), np.float32), r"shape \(3, 4\); the model expects \(None, 5\)"),
        (np.zeros((0, 5), np.float32), "no samples; give at least one"),
        (np.array([["a"] * 5]), "allowed are numbers"),
        (np.full((1, 5), np.nan), "5 values are NaN or infinite; clean the data first"),
        ({"nobody": np.zeros((1, 5))}, "x names the inputs"),
    ],
)
def test_data_that_do_not_fit_are_refused(trained, x, message):
    with fkeras.injected(trained[0], fkeras.FaultSet()) as view, pytest.raises(InputError, match=message):
        view.predict(x)


def test_a_model_without_a_loss_is_not_evaluated(tf, q):
    inputs = tf.keras.Input((2,))
    model = tf.keras.Model(inputs, q.QDense(1, kernel_quantizer="ternary()", name="d")(inputs))
    with fkeras.injected(model, fkeras.FaultSet()) as view, pytest.raises(InputError, match="is not compiled"):
        view.evaluate(np.zeros((1, 2)), np.zeros((1, 1)))


def test_a_cached_trace_does_not_keep_its_model_alive(tf, q):
    import gc
    import weakref

    inputs = tf.keras.Input((2,))
    model = tf.keras.Model(inputs, q.QDense(1, kernel_quantizer="ternary()", name="d")(inputs))
    with fkeras.injected(model, fkeras.FaultSet()) as view:
        view.predict(np.zeros((1, 2)))
    kept = weakref.ref(model)
    del model, view, inputs
    tf.keras.backend.clear_session()
    gc.collect()
    assert kept() is None
