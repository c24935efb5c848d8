"""What stands beside the covered layers: passed through untouched and listed, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.errors import UnsupportedError
from fkeras.frontends.qkeras.setup import keras_version

Q4 = "quantized_bits(4,0,1,alpha=1)"


def test_everything_around_passes_through_and_is_listed(tf, q, kit, check_laws):
    layers = tf.keras.layers

    class Gain(layers.Layer):
        def build(self, shape):
            self.gain = self.add_weight(name="gain", shape=(shape[-1],), initializer="ones")

        def call(self, inputs):
            if tf.reduce_sum(inputs) > 1e9:  # converted by autograph, as in Keras' own predict
                return inputs
            return inputs * self.gain

    inputs = tf.keras.Input((8, 8, 2))
    h = layers.ZeroPadding2D(1)(inputs)
    h = q.QConv2D(3, 3, kernel_quantizer=Q4, name="conv")(h)
    h = q.QBatchNormalization(name="qnorm")(h)
    h = q.QActivation("quantized_relu(6,2)")(h)
    h = q.QAveragePooling2D((2, 2), average_quantizer="quantized_bits(6,0,1,alpha=1)")(h)
    h = layers.BatchNormalization(name="norm")(h)
    h = layers.Concatenate()([h, layers.MaxPooling2D(1)(h)])
    h = Gain(name="gain")(h)
    h = layers.Multiply()([h, layers.Permute((1, 2, 3))(h)])
    flat = layers.Dropout(0.3)(layers.Reshape((-1,))(h))
    pooled = q.QGlobalAveragePooling2D(average_quantizer="quantized_bits(6,0,1,alpha=1)")(h)
    pooled = q.QDense(4, name="unquantized")(pooled)
    sequence = layers.LSTM(3, name="lstm")(layers.Reshape((4, 24))(flat))
    out = layers.Dense(2, name="tail", activation="softmax")(layers.Concatenate()([flat, pooled, sequence]))
    model = kit.randomize(tf.keras.Model(inputs, out))
    space = check_laws(model, kit.data_for(model))
    assert [tensor.path for tensor in space.tensors] == ["conv/kernel"]
    assert {(entry.path, entry.n_values, entry.reason) for entry in space.uncovered} == {
        ("conv/bias", 3, "bias without a quantizer"),
        ("qnorm/gamma", 3, "not a kernel"),
        ("qnorm/beta", 3, "not a kernel"),
        ("qnorm/moving_mean", 3, "not a kernel"),
        ("qnorm/moving_variance", 3, "not a kernel"),
        ("norm/gamma", 3, "not a QKeras layer"),
        ("norm/beta", 3, "not a QKeras layer"),
        ("norm/moving_mean", 3, "not a QKeras layer"),
        ("norm/moving_variance", 3, "not a QKeras layer"),
        ("gain/gain", 6, "not a QKeras layer"),
        ("unquantized/kernel", 24, "no quantizer"),
        ("unquantized/bias", 4, "no quantizer"),
        ("lstm/lstm_cell/kernel", 288, "not a QKeras layer"),
        ("lstm/lstm_cell/recurrent_kernel", 36, "not a QKeras layer"),
        ("lstm/lstm_cell/bias", 12, "not a QKeras layer"),
        ("tail/kernel", 206, "not a QKeras layer"),
        ("tail/bias", 2, "not a QKeras layer"),
    }
    assert {entry.layer for entry in space.uncovered} == {
        "conv",
        "qnorm",
        "norm",
        "gain",
        "unquantized",
        "lstm",
        "tail",
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lstm", r"layer 'lstm' \(QLSTM\) is not supported; exclude it with layers='!lstm'"),
        (
            "spread",
            r"layer 'spread' \(TimeDistributed around QDense\) is not supported; put the QDense into the model "
            "directly, or exclude it with layers='!spread'",
        ),
        ("spread_model", r"layer 'spread_model' \(TimeDistributed around QDense\) is not supported"),
        ("odd", "layer 'odd': the words of quantizer quantized_tanh are not known.*layers='!odd'"),
    ],
)
def test_unsupported_layers_are_refused_by_name_and_can_be_excluded(tf, q, kit, check_laws, name, message):
    layers = tf.keras.layers
    quantizers = {"kernel_quantizer": Q4, "recurrent_quantizer": Q4, "bias_quantizer": Q4, "state_quantizer": Q4}
    inner = tf.keras.Sequential([tf.keras.Input((3,)), q.QDense(2, kernel_quantizer=Q4)])
    layer = {
        "lstm": lambda: q.QLSTM(3, name="lstm", **quantizers),
        "spread": lambda: layers.TimeDistributed(q.QDense(2, kernel_quantizer=Q4), name="spread"),
        "spread_model": lambda: layers.TimeDistributed(inner, name="spread_model"),
        "odd": lambda: q.QDense(2, kernel_quantizer="quantized_tanh(4)", name="odd"),
    }[name]()
    inputs = tf.keras.Input((4, 3))
    covered = q.QDense(2, kernel_quantizer=Q4, use_bias=False, name="d")(layers.Flatten()(layer(inputs)))
    model = tf.keras.Model(inputs, covered)
    with pytest.raises(UnsupportedError, match=message):
        fkeras.bit_space(model)
    space = check_laws(model, kit.data_for(model), layers=f"!{name}")
    assert [tensor.path for tensor in space.tensors] == ["d/kernel"]
    assert {entry.reason for entry in space.uncovered} == {"not chosen by layers="}
    assert all(entry.path.startswith(f"{name}/") for entry in space.uncovered)


@pytest.mark.parametrize("kind", ["QConv2DTranspose", "QGRU"])
def test_a_layer_kind_that_cannot_be_built_is_refused_with_the_reason(q, kind):
    from fkeras.frontends.qkeras.slots import slots_of_layer

    layer = {"QConv2DTranspose": lambda: q.QConv2DTranspose(2, 3), "QGRU": lambda: q.QGRU(3)}[kind]()
    with pytest.raises(
        UnsupportedError,
        match=rf"layer 'up' \({kind}\) is not supported \(QKeras 0.9 cannot build it "
        r"on current TensorFlow\); exclude it with layers='!up'",
    ):
        slots_of_layer("up", layer, biases=False)


def test_a_model_without_quantized_kernels_says_what_it_has(tf):
    inputs = tf.keras.Input((4,))
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(2, name="plain")(inputs))
    with pytest.raises(
        fkeras.ModelError,
        match=r"no quantized kernel among the chosen layers; it has plain/kernel "
        r"\(8 values: not a QKeras layer\), plain/bias",
    ):
        fkeras.bit_space(model)


def test_layers_that_write_while_they_compute_do_not_write_under_faults(tf, q, kit):
    """QAdaptiveActivation moves its averages in inference too; a view must leave them alone."""
    inputs = tf.keras.Input((4,))
    h = q.QDense(3, kernel_quantizer=Q4, name="d")(inputs)
    model = tf.keras.Model(inputs, q.QAdaptiveActivation("quantized_relu", 6, ema_freeze_delay=100, name="a")(h))
    x = kit.data_for(model)
    before = [v.numpy() for v in model.variables], kit.snapshot(model)
    with fkeras.injected(model, fkeras.FaultSet()) as view:
        first = view.predict(100 * x)
        assert kit.same(view.predict(100 * x), first)
    assert all(np.array_equal(a, v.numpy()) for a, v in zip(before[0], model.variables, strict=True))
    assert kit.unchanged(before[1], kit.snapshot(model))


def test_a_custom_layer_keeps_its_own_quantizers_state(tf, q, kit, check_laws):
    class Holder(tf.keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.parts = {"deep": [q.quantized_bits(4, 0, 1, alpha="auto")]}

        def call(self, inputs):
            return self.parts["deep"][0](inputs)

    inputs = tf.keras.Input((4,))
    model = tf.keras.Model(inputs, Holder()(q.QDense(3, kernel_quantizer=Q4, name="d")(inputs)))
    check_laws(model, kit.data_for(model))


@pytest.mark.skipif(keras_version() < "2.15", reason="QKeras computes nothing in float16 on Keras 2.14")
def test_half_precision(tf, q, kit, check_laws):
    """Quantizers that compute in the layer's own float16: the words are the same, the values exact in both."""
    inputs = tf.keras.Input((4,))
    dense = q.QDense(
        3,
        kernel_quantizer="binary(alpha=1)",
        use_bias=False,
        name="d",
        dtype=tf.keras.mixed_precision.Policy("mixed_float16"),
    )
    model = kit.randomize(tf.keras.Model(inputs, dense(inputs)))
    x = kit.data_for(model)
    space = check_laws(model, x)
    kernel = np.where(model.get_weights()[0] < 0, -1.0, 1.0)
    kernel[1, 2] *= -1
    with fkeras.injected(model, fkeras.FaultSet([space.index("d/kernel[1,2]:0")]), space=space) as view:
        np.testing.assert_allclose(view.predict(x), x @ kernel, atol=2e-2)
