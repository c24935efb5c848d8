"""What people save loads as it was, bit for bit, in every format and without trust."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

import fkeras
from fkeras.frontends.qkeras.loading import PruningStripped

pytestmark = pytest.mark.filterwarnings("ignore:The initializer GlorotUniform is unseeded:UserWarning")  # QKeras' own

Q4 = "quantized_bits(4,0,1,alpha=1)"


def dense(q, units=4):
    return q.QDense(units, kernel_quantizer=q.quantized_bits(4, 0, 1, alpha=1), bias_quantizer=Q4)


def images(tf, q):
    layers = tf.keras.layers
    inputs = tf.keras.Input((6, 6, 2))
    h = layers.Rescaling(0.5, offset=0.1)(inputs)
    h = layers.ZeroPadding2D(1)(h)
    h = q.QConv2D(3, 3, kernel_quantizer=q.binary(), activation=q.quantized_relu(4, 0))(h)
    h = q.QConv2DBatchnorm(2, 1, kernel_quantizer=q.quantized_bits(4, 0, 1), ema_freeze_delay=1)(h)
    h = q.QDepthwiseConv2D((2, 2), depthwise_quantizer=q.ternary(alpha=1))(h)
    h = q.QSeparableConv2D(3, (2, 2), depthwise_quantizer=Q4, pointwise_quantizer=q.quantized_po2(4))(h)
    h = q.QBatchNormalization()(h)
    h = layers.UpSampling2D(2)(layers.LeakyReLU(0.2)(layers.PReLU()(h)))
    h = layers.SeparableConv2D(2, 2, activation="elu", kernel_regularizer=tf.keras.regularizers.l2(0.1))(h)
    h = layers.BatchNormalization(beta_constraint="non_neg")(h)
    h = layers.Concatenate()([layers.MaxPooling2D(2)(h), q.QAveragePooling2D(2)(h)])
    return tf.keras.Model(inputs, layers.GlobalAveragePooling2D()(h))


def sequences(tf, q):
    layers = tf.keras.layers
    inputs = tf.keras.Input((5, 4))
    h = layers.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 4.0])(inputs)
    h = q.QConv1D(4, 2, padding="causal", kernel_quantizer=q.stochastic_ternary(alpha=1))(h)
    h = layers.Bidirectional(layers.GRU(3, return_sequences=True))(layers.LSTM(4, return_sequences=True)(h))
    h = layers.RNN([layers.LSTMCell(3), layers.SimpleRNNCell(4)], return_sequences=True)(h)
    h = layers.MultiHeadAttention(2, 2)(h, h)
    h = layers.Attention()([h, h])
    h = layers.TimeDistributed(dense(q))(h)
    h = layers.LayerNormalization()(layers.Permute((2, 1))(h))
    h = layers.SpatialDropout1D(0.1)(layers.GaussianNoise(0.1)(h))
    return tf.keras.Model(inputs, layers.EinsumDense("abc,cd->abd", output_shape=(4, 2))(h))


def graphs(tf, q):
    layers = tf.keras.layers
    inner_input = tf.keras.Input((4,))
    inner = tf.keras.Model(inner_input, dense(q)(inner_input), name="inner")
    tail = tf.keras.Sequential([tf.keras.Input((4,)), dense(q), layers.Activation("mish")], name="tail")
    inputs = [tf.keras.Input((4,)), tf.keras.Input((4,))]
    shared = dense(q)
    a, b = shared(inputs[0]), shared(inputs[1])
    h = layers.Add()([inner(a), inner(b), layers.Subtract()([a, b])])
    h = tf.nn.relu(h[:, 1:]) * 0.5 + tf.math.reduce_max(tf.concat([h, a], 1), axis=1, keepdims=True)
    h = layers.Reshape((4,))(layers.Flatten()(tf.pad(h, [[0, 0], [0, 1]]) - 1.0))
    h = 1.0 - tf.where(h > 0.0, h, tf.constant([[0.5]])) + tf.transpose(tf.transpose(h))
    return tf.keras.Model(inputs, [tail(h), tail(a)])


def activations(tf, q):
    inputs = tf.keras.Input((4,))
    h = dense(q)(inputs)
    for kind in (
        *(q.quantized_relu(4, 0), q.quantized_bits(6, 2, 1, alpha=1), q.quantized_tanh(4), q.quantized_sigmoid(4)),
        *(q.quantized_ulaw(4), q.binary(alpha=1), q.ternary(alpha=1), q.quantized_po2(4), q.quantized_relu_po2(4)),
        *("quantized_relu(6,2,negative_slope=0.125)", "quantized_bits(6,2,1,alpha='auto_po2')", "smooth_sigmoid"),
        *("hard_tanh", "binary_tanh", "quantized_hswish(6,2)", "relu", "softmax", q.quantized_relu(3, 1)),
    ):
        h = q.QActivation(kind)(h)
    h = tf.keras.layers.Dense(4, activation="hard_sigmoid", kernel_initializer="he_normal")(h)
    h = q.QDense(4, kernel_quantizer=Q4, activation="hard_sigmoid")(h)  # QKeras', which is another function
    return tf.keras.Model(inputs, q.QDense(4, kernel_quantizer=Q4, activation="smooth_tanh")(h))


@pytest.fixture(scope="module", params=[images, sequences, graphs, activations], ids=lambda make: make.__name__)
def saved(request, tf, q, kit, tmp_path_factory):
    model = kit.randomize(request.param(tf, q))
    folder = tmp_path_factory.mktemp("models")
    for name in ("m.h5", "m.keras"):
        model.save(folder / name)
    model.save_weights(folder / "w.h5")
    model.save_weights(folder / "m.weights.h5")
    (folder / "m.json").write_text(model.to_json())
    x = kit.data_for(model)
    return x, model.predict(x, verbose=0), folder


@pytest.mark.parametrize(
    ("name", "weights"),
    [("m.h5", None), ("m.keras", None), ("m.json", "w.h5"), ("m.json", "m.weights.h5"), ("m.h5", "m.keras")],
)
def test_models_load_as_they_were_saved(saved, kit, name, weights):
    x, golden, folder = saved
    loaded = fkeras.load_model(folder / name, weights and folder / weights)
    assert kit.same(loaded.predict(x, verbose=0), golden)


def as_keras_2_14(source, target):
    """A copy of a .keras file with its weights where Keras 2.14 put them."""
    import h5py

    def copy(old, new):
        for name, item in old.items():
            place = "_layer_checkpoint_dependencies" if name == "layers" else name
            if isinstance(item, h5py.Group):
                copy(item, new.create_group(place))
            else:
                new[place] = item[()]

    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "model.weights.h5":
                buffer = io.BytesIO()
                with h5py.File(io.BytesIO(content)) as old, h5py.File(buffer, "w") as new:
                    copy(old, new)
                    assert any(key.startswith("_layer") for key in new)
                content = buffer.getvalue()
            after.writestr(name, content.replace(b'"tf_keras.src', b'"keras.src'))


def test_weights_are_found_where_keras_2_14_put_them(saved, kit, tmp_path):
    x, golden, folder = saved
    as_keras_2_14(folder / "m.keras", tmp_path / "m.keras")
    assert kit.same(fkeras.load_model(tmp_path / "m.keras").predict(x, verbose=0), golden)


def test_a_pruned_model_loads_from_every_format(tf, q, kit, tmp_path):
    from tensorflow_model_optimization.sparsity import keras as sparsity

    schedule = sparsity.PolynomialDecay(0.1, 0.5, 0, 10)
    inputs = tf.keras.Input((4,))
    layer = sparsity.prune_low_magnitude(dense(q), pruning_schedule=schedule)
    model = tf.keras.Model(inputs, layer(inputs))
    layer.layer.kernel.assign(np.random.default_rng(0).normal(0, 0.4, (4, 4)))
    x = kit.data_for(model)
    for name in ("m.h5", "m.keras"):
        model.save(tmp_path / name)
        with pytest.warns(PruningStripped):
            loaded = fkeras.load_model(tmp_path / name)
        assert kit.same(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("name", ["own.keras", "own.h5"])
def test_quantizer_objects_in_activations(shared_data, name):
    assert len(fkeras.bit_space(fkeras.load_model(shared_data / "field" / name))) == 48
