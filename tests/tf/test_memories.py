"""The words that hls4ml stores, where they are others than the quantizer's own."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.errors import InputError, UnsupportedError
from fkeras.memory import PowerOfTwo


def model(tf, q, quantizer, kernel):
    layer = q.QDense(3, kernel_quantizer=quantizer, bias_quantizer="quantized_bits(6,2,1,alpha=1)", name="d")
    built = tf.keras.Sequential([tf.keras.layers.Input((4,)), layer])
    layer.set_weights([np.asarray(kernel, np.float32), np.zeros(3, np.float32)])
    return built


KERNEL = [[0.25, -0.5, 1], [0.25, -0.125, 0.5], [0.5, 0.5, -0.25], [1, 1, 1]]


def test_powers_of_two_have_an_exponent_of_one_bit_more(tf, q):
    keras = model(tf, q, "quantized_po2(4,2)", KERNEL)
    own, wide = fkeras.bit_space(keras, biases=True), fkeras.bit_space(keras, biases=True, memory="hls4ml")
    assert (own.memory, wide.memory) == ("quantizer", "hls4ml")
    assert [tensor.codec for tensor in wide.tensors] == [PowerOfTwo(5), own.tensors[1].codec]
    np.testing.assert_array_equal(wide.tensors[0].golden, own.tensors[0].golden)
    assert own.layout_digest != wide.layout_digest
    x = np.random.default_rng(0).integers(-8, 8, (50, 4)).astype(np.float32) / 4
    y = keras.predict(x, verbose=0).argmax(1)
    fast, judge = (
        fkeras.oracle(keras, (x, y), metric="accuracy", space=wide, engine=engine) for engine in ("auto", "reference")
    )
    assert np.array_equal(fast.values, judge.values)
    assert fast.values.min() < 1


def test_a_study_of_either_memory(tf, q):
    keras = model(tf, q, "quantized_po2(4,2)", KERNEL)
    study = fkeras.Study(keras, memory="hls4ml", biases=True)
    assert study.space.content_digest == fkeras.bit_space(keras, biases=True, memory="hls4ml").content_digest
    assert study.but(memory="quantizer").space.content_digest == fkeras.bit_space(keras, biases=True).content_digest
    mask = fkeras.protect(keras, bits=3, method="msb", memory="hls4ml").mask
    assert mask.layout_digest == study.but(biases=False).space.layout_digest
    assert mask.provenance["assumptions"]["memory"] == "hls4ml"


def test_an_exponent_below_the_quantizers_own_has_a_word_there(tf, q):
    """As in hls4ml's example qkeras_mnist_dense."""
    keras = model(tf, q, "quantized_po2(4,1)", np.asarray(KERNEL) * 2.0**-6)
    with pytest.raises(UnsupportedError, match="emits an exponent below"):
        fkeras.bit_space(keras)
    (tensor,) = fkeras.bit_space(keras, memory="hls4ml").tensors
    assert tensor.golden.min() < 0
    assert np.abs(tensor.golden).min() == 2.0**-8
    np.testing.assert_array_equal(tensor.codec.decode(tensor.words).astype(np.float32), tensor.golden)


def test_a_memory_that_does_not_exist(tf, q):
    with pytest.raises(InputError, match=r"memory='chip'; allowed are 'quantizer', 'hls4ml'"):
        fkeras.bit_space(model(tf, q, "quantized_po2(4,2)", KERNEL), memory="chip")


def test_float_layers_beside_quantized_ones(tf, q):
    quantized = q.QDense(5, kernel_quantizer="quantized_bits(4,0,1,alpha=1)", use_bias=False, name="d")
    layers = [tf.keras.layers.Input((4,)), quantized, tf.keras.layers.Dense(3, activation="softmax", name="f")]
    keras = tf.keras.Sequential(layers)
    generator = np.random.default_rng(0)
    keras.set_weights([generator.normal(0, 0.5, weight.shape) for weight in keras.get_weights()])
    x = generator.integers(-8, 8, (50, 4)).astype(np.float32) / 4
    y = keras.predict(x, verbose=0).argmax(1)
    space = fkeras.bit_space(keras, words="float32")
    assert [tensor.path for tensor in space.tensors] == ["d/kernel", "f/kernel"]
    own = fkeras.bit_space(keras)
    bits = np.r_[: len(own), len(own) : len(own) + 32 : 2]
    values = fkeras.oracle(keras, (x, y), metric="accuracy", space=space, bits=bits).values
    judge = fkeras.oracle(keras, (x, y), metric="accuracy", space=own, engine="reference").values
    assert np.array_equal(values[: len(own)], judge)
    place, layer = space.locate(bits), keras.get_layer("f")
    kernel, bias = layer.get_weights()
    for number in range(len(own), bits.size):
        element, faulty = place.element[number], kernel.copy().reshape(-1)
        word = space.tensors[1].words[element] ^ place.mask[number : number + 1]
        faulty[element] = space.tensors[1].values_of(word, [element])[0]
        layer.set_weights([faulty.reshape(kernel.shape), bias])
        outputs = np.asarray(keras(x, training=False))
        right = np.isfinite(outputs).all(1) & (np.nan_to_num(outputs).argmax(1) == y)
        assert values[number] == pytest.approx(right.mean())
    layer.set_weights([kernel, bias])
    with pytest.raises(UnsupportedError, match="measured on its network alone; use engine='auto'"):
        fkeras.oracle(keras, (x, y), metric="accuracy", space=space, engine="reference")


@pytest.mark.parametrize("words", ["float32", "float16", "bfloat16"])
def test_a_network_of_floats_alone(tf, q, words):
    """Ranked, and put under many faults at once; infinity and NaN are counted, and never reach a mean."""
    layers = tf.keras.layers
    keras = tf.keras.Sequential(
        [layers.Input((4,)), layers.Dense(6, activation="relu", name="a"), layers.Dense(3, name="b")]
    )
    generator = np.random.default_rng(0)
    keras.set_weights([generator.integers(-60, 60, weight.shape) / 64 for weight in keras.get_weights()])
    x = generator.normal(0, 1, (60, 4)).astype(np.float32)
    y = np.asarray(keras(x))
    space = fkeras.bit_space(keras, words=words)
    assert len(space) == (4 * 6 + 6 * 3) * (32 if words == "float32" else 16)
    oracle = fkeras.oracle(keras, (x, y.argmax(1)), metric="accuracy", space=space)
    assert np.isfinite(oracle.values).all()
    harmful = oracle.values < oracle.golden
    for method in ("displacement", "gradient", "taylor", "hessian", "adaptive"):
        order = fkeras.rank(keras, (x, y.argmax(1)), method=method, metric="accuracy", space=space).order
        assert harmful[order[: len(space) // 20]].mean() > 1.5 * harmful.mean()
    study = fkeras.Study(keras, (x, y), "mean_squared_error", words=words)
    result = study.campaign(faults=40, trials=25)
    assert not np.isnan(result.values).any()
    # No single flip makes infinity of a small number in float16, whose exponent has five bits.
    assert (result.undefined > 0) == np.isinf(result.values).any() == (words != "float16")
    assert study.space.content_digest == space.content_digest
