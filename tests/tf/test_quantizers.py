"""Each quantizer: its words, its scale, and what a flip makes of its values."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.backends.tf.quantizers import codec_of
from fkeras.errors import UnsupportedError
from fkeras.memory import Binary, FixedPoint, PowerOfTwo, Ternary

LATENT = np.array([[0.7, -0.31, 0.05], [-0.02, 0.93, -0.6], [0.26, -1.2, 0.41], [-0.55, 0.12, 0.8]], np.float32)
X = np.eye(4, dtype=np.float32)
"""With unit vectors in and no bias the outputs are the kernel itself."""


def dense(tf, q, quantizer):
    inputs = tf.keras.Input((4,))
    model = tf.keras.Model(inputs, q.QDense(3, use_bias=False, kernel_quantizer=quantizer, name="d")(inputs))
    model.set_weights([LATENT])
    return model


CASES = [
    ("quantized_bits(4,0,1,alpha=1)", FixedPoint(4, 0)),
    ("quantized_bits(4,1,0,alpha=1)", FixedPoint(4, 1)),
    ("quantized_bits(4,0,0,keep_negative=0,alpha=1)", FixedPoint(4, 0, signed=False)),
    ("quantized_bits(4,0,1,alpha=0.37)", FixedPoint(4, 0)),
    ("quantized_bits(4,0,1)", FixedPoint(4, 0)),
    ("quantized_bits(5,0,1,alpha='auto')", FixedPoint(5, 0)),
    ("quantized_bits(4,2,1,alpha='auto_po2')", FixedPoint(4, 2)),
    ("quantized_bits(4,0,1,alpha=1,use_stochastic_rounding=1)", FixedPoint(4, 0)),
    ("quantized_bits(1,0,1,alpha=1)", Binary()),
    ("binary(alpha=1)", Binary()),
    ("binary()", Binary()),
    ("binary(alpha='auto')", Binary()),
    ("binary(use_01=1,alpha=1)", FixedPoint(1, 1, signed=False)),
    ("stochastic_binary()", Binary()),
    ("ternary(alpha=0.7)", Ternary()),
    ("ternary()", Ternary()),
    ("stochastic_ternary(alpha='auto')", Ternary()),
    ("quantized_po2(4)", PowerOfTwo(4)),
    ("quantized_po2(4,8,use_stochastic_rounding=1)", PowerOfTwo(4)),
]


@pytest.mark.parametrize(("quantizer", "codec"), CASES, ids=[case[0] for case in CASES])
def test_a_flip_gives_the_value_of_the_other_word_times_the_frozen_scale(tf, q, check_laws, quantizer, codec):
    model = dense(tf, q, quantizer)
    space = check_laws(model, X)
    (tensor,) = space.tensors
    assert tensor.codec == codec
    golden = model.predict(X, verbose=0)
    assert np.array_equal(tensor.golden.reshape(4, 3), golden)

    # the scale, computed by a second quantizer of the same kind, outside of any model
    twin = model.get_layer("d").kernel_quantizer_internal.__class__.from_config(
        model.get_layer("d").kernel_quantizer_internal.get_config()
    )
    emitted = np.asarray(twin(tf.constant(LATENT)))
    scale = np.broadcast_to(np.asarray(1.0 if getattr(twin, "scale", None) is None else twin.scale, np.float32), (4, 3))
    np.testing.assert_allclose(emitted, golden, rtol=1e-6)
    np.testing.assert_allclose(tensor.scale.reshape(4, 3), scale, rtol=1e-6)

    # one flip in every word, each bit position in turn, by hand
    bits = [element * codec.width + element % codec.width for element in range(12)]
    expected = np.empty(12, np.float32)
    for element, word in enumerate(tensor.words.tolist()):
        digits = list(format(word, f"0{codec.width}b"))
        digits[element % codec.width] = "10"[int(digits[element % codec.width])]
        expected[element] = np.float32(value_by_hand(codec, "".join(digits)) * np.float64(tensor.scale[element]))
    with fkeras.injected(model, fkeras.FaultSet(bits), space=space) as view:
        assert np.array_equal(view.predict(X), expected.reshape(4, 3))


def value_by_hand(codec, digits: str) -> float:
    if isinstance(codec, Binary):
        return {"1": 1.0, "0": -1.0}[digits]
    if isinstance(codec, Ternary):
        return {"00": 0.0, "01": 1.0, "11": -1.0, "10": 1.0}[digits]
    if isinstance(codec, PowerOfTwo):
        exponent = int(digits[2:], 2) - (4 if digits[1] == "1" else 0)
        return (-1.0) ** int(digits[0]) * 2.0**exponent
    if not codec.signed:
        return int(digits, 2) * 2.0 ** (codec.integer - codec.width)
    code = int(digits[1:], 2) - (2 ** (codec.width - 1) if digits[0] == "1" else 0)
    return code * 2.0 ** (codec.integer + 1 - codec.width)


def test_one_scale_per_output_channel(tf, q):
    (tensor,) = fkeras.bit_space(dense(tf, q, "quantized_bits(5,0,1,alpha='auto')")).tensors
    scale = tensor.scale.reshape(4, 3)
    assert (scale == scale[0]).all()
    assert len(set(scale[0].tolist())) == 3


def test_an_array_of_scales(tf, q, check_laws):
    model = dense(tf, q, q.quantized_bits(4, 0, 1, alpha=np.array([1.0, 0.3, 0.25], np.float32)))
    (tensor,) = check_laws(model, X).tensors
    assert np.array_equal(tensor.scale.reshape(4, 3)[2], np.array([1.0, 0.3, 0.25], np.float32))


def test_elements_without_a_fault_keep_their_own_float(tf, q):
    """With alpha=0.37 QKeras' x + (xq - x) is off the grid by a rounding for some weights."""
    model = dense(tf, q, "quantized_bits(4,0,1,alpha=0.37)")
    space = fkeras.bit_space(model)
    (tensor,) = space.tensors
    exact = tensor.values_of(tensor.words, np.arange(12))
    assert (tensor.golden != exact).any()
    with fkeras.injected(model, fkeras.FaultSet([0]), space=space) as view:
        assert np.array_equal(view.predict(X).reshape(-1)[1:], tensor.golden[1:])


@pytest.mark.parametrize(
    ("quantizer", "message"),
    [
        (
            "quantized_bits(4,0,1,keep_negative=0)",
            "layer 'd': quantized_bits with keep_negative=0 and alpha='auto_po2' emits negative values.*layers='!d'",
        ),
        ("quantized_bits(1,0,1)", "layer 'd': quantized_bits.1. with alpha='auto_po2' emits only zeros.*layers='!d'"),
        ("quantized_po2(4,1)", "tensor 'd/kernel': PowerOfTwo.*have no word.*from -4 to 3.*layers='!d'"),
        ("quantized_po2(10)", r"layer 'd' \(quantized_po2\): power of two: a word of 10 bits.*layers='!d'"),
        (
            "quantized_relu(4)",
            "layer 'd': the words of quantizer quantized_relu are not known; supported are quantized_bits",
        ),
        (
            "quantized_bits(4,0,1,alpha=1,qnoise_factor=0.5)",
            r"values are not on the grid.*qnoise_factor=1.*layers='!d'",
        ),
    ],
)
def test_quantizers_whose_words_are_unknown_are_refused_by_layer(tf, q, quantizer, message):
    model = dense(tf, q, quantizer)
    if quantizer == "quantized_po2(4,1)":
        model.set_weights([LATENT * 2.0**-6])
    with pytest.raises(UnsupportedError, match=message):
        fkeras.bit_space(model)


def test_a_subclass_of_a_known_quantizer_is_not_taken_for_it(q):
    class Rounded(q.quantized_bits):
        pass

    with pytest.raises(UnsupportedError, match="layer 'a/b': the words of quantizer Rounded are not known"):
        codec_of(Rounded(4, 0, 1, alpha=1), "a/b")


def test_weights_that_are_not_finite_are_refused(tf, q):
    model = dense(tf, q, "quantized_bits(4,0,1,alpha=1)")
    model.set_weights([np.where(LATENT[0, 0] == LATENT, np.nan, LATENT)])
    with pytest.raises(
        UnsupportedError, match=r"tensor 'd/kernel': 1 of 12 values are not on the grid.*must be finite"
    ):
        fkeras.bit_space(model)


def test_float64_is_refused(tf, q):
    inputs = tf.keras.Input((4,), dtype="float64")
    model = tf.keras.Model(inputs, q.QDense(3, kernel_quantizer="binary(alpha=1)", name="d", dtype="float64")(inputs))
    with pytest.raises(UnsupportedError, match="layer 'd' computes in float64"):
        fkeras.bit_space(model)
