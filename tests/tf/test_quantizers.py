"""Each quantizer: its words, its scale, and what a flip makes of its values."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest

import fkeras
from fkeras.errors import UnsupportedError
from fkeras.frontends.qkeras.quantizers import codec_of, words_of
from fkeras.frontends.qkeras.setup import qkeras
from fkeras.memory import Binary, FixedPoint, PowerOfTwo, Ternary

LATENT = np.array([[0.7, -0.31, 0.05], [-0.02, 0.93, -0.6], [0.26, -1.2, 0.41], [-0.55, 0.12, 0.8]], np.float32)
Q4 = "quantized_bits(4,0,1,alpha=1)"
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
    ("quantized_po2(4,1)", PowerOfTwo(4, 0)),
    ("quantized_po2(4,0.5)", PowerOfTwo(4, -1)),
    ("quantized_po2(4,quadratic_approximation=1)", PowerOfTwo(4, spacing=2)),
    ("quantized_po2(4,1,quadratic_approximation=1)", PowerOfTwo(4, 0, 2)),
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
        if codec.largest_exponent is not None:
            exponent = codec.largest_exponent // codec.spacing - int(digits[1:], 2)
        exponent *= codec.spacing
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


SWEEP = np.exp2(np.linspace(-24, 9, 4000)).astype(np.float32) * np.tile(np.array([1, -1], np.float32), 2000)


@pytest.mark.parametrize("rounding", ["rnd", "floor"])
@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("bits", [3, 4, 5])
@pytest.mark.parametrize("most", [None, 0.25, 0.3, 0.5, 0.7, 0.71, 0.75, 1, 1.2, 2, 3, 4, 64])
def test_powers_of_two_hold_all_that_qkeras_emits_but_the_one_exponent_that_does_not_fit(
    tf, q, most, bits, even, rounding
):
    quantizer = q.quantized_po2(bits, most, quadratic_approximation=even, log2_rounding=rounding)
    emitted = np.asarray(quantizer(tf.constant(SWEEP)))
    codec = codec_of(quantizer, "d", qkeras())
    exponents = np.rint(np.log2(np.abs(emitted.astype(np.float64)))).astype(int)
    values = np.copysign(np.exp2(exponents), emitted)
    np.testing.assert_allclose(emitted, values, rtol=1e-3)
    if most is not None and most <= 1:
        assert codec.largest == 2.0 ** exponents.max()
        fits = exponents > exponents.max() - codec.spacing * 2 ** (bits - 1)
        lowest = -codec.spacing * 2 ** (bits - 1)
        assert fits.all() == (exponents.max() < 0 or lowest < -24)  # QKeras takes 1e-7 for 0
        assert set(exponents[~fits]) <= {lowest}
    else:
        assert codec.largest_exponent is None
        fits = np.ones(values.size, bool)
    assert np.array_equal(codec.decode(codec.encode(values[fits])), values[fits])
    if not fits.all():
        with pytest.raises(UnsupportedError, match="larger max_value, such as 2"):
            words_of(codec, values.astype(np.float32), np.ones(values.size, np.float32), "d/kernel")
        larger = q.quantized_po2(bits, 2, quadratic_approximation=even, log2_rounding=rounding)
        one = np.float32(1)
        emitted = np.asarray(larger(tf.constant(SWEEP)))
        assert (
            words_of(codec_of(larger, "d", qkeras()), emitted, np.full(emitted.size, one), "d/kernel").size
            == emitted.size
        )


@pytest.mark.parametrize(
    "quantizer",
    [
        "quantized_bits(4,0,1,alpha=0.0)",
        "quantized_bits(4,0,1,alpha=0)",
        "quantized_bits(4,0,1,alpha=1e-42)",
        "binary(alpha=0.0)",
        "ternary(alpha=0.0)",
        "stochastic_ternary(alpha=0.0)",
    ],
)
def test_an_alpha_of_0_hides_every_word(tf, q, quantizer):
    with pytest.raises(
        UnsupportedError, match=r"layer 'd' \(\w+\): alpha=.* makes weights 0 whatever is stored.*cannot be"
    ):
        fkeras.bit_space(dense(tf, q, quantizer))


def test_an_alpha_that_is_0_for_one_channel_hides_its_words(tf, q):
    model = dense(tf, q, q.quantized_bits(4, 0, 1, alpha=np.array([1.0, 0.0, 0.25], np.float32)))
    with pytest.raises(UnsupportedError, match=r"layer 'd' \(quantized_bits\): alpha=array.* makes weights 0"):
        fkeras.bit_space(model)


@pytest.mark.parametrize("kind", ["quantized_bits(4,0,1,alpha={})", "ternary(alpha={})", "binary(alpha={})"])
def test_a_kernel_of_zeros_has_a_scale_of_0_under_alpha_auto(tf, q, check_laws, kind):
    model = dense(tf, q, kind.format("'auto'"))
    model.set_weights([LATENT * 0])
    with pytest.raises(
        UnsupportedError, match=r"tensor 'd/kernel': the scale of 12 of 12 weights is 0.*alpha='auto_po2'"
    ):
        fkeras.bit_space(model)
    remedied = dense(tf, q, kind.format("'auto_po2'"))
    remedied.set_weights([LATENT * 0])
    assert (check_laws(remedied, X).tensors[0].scale > 0).all()


def test_a_channel_of_zeros_under_alpha_auto_holds_zeros_where_there_is_a_word_for_them(tf, q, check_laws):
    pruned = LATENT * np.array([1, 0, 1], np.float32)
    for kind in ("quantized_bits(4,0,1,alpha='auto')", "ternary(alpha='auto')"):
        model = dense(tf, q, kind)
        model.set_weights([pruned])
        (tensor,) = check_laws(model, X).tensors
        assert not tensor.words.reshape(4, 3)[:, 1].any()
    model = dense(tf, q, "binary(alpha='auto')")
    model.set_weights([pruned])
    with pytest.raises(UnsupportedError, match="the scale of 4 of 12 weights is 0"):
        fkeras.bit_space(model)


@pytest.mark.parametrize(
    ("bits", "integer", "signed"), [(25, 0, 1), (26, 0, 1), (32, 2, 1), (24, 0, 0), (25, 0, 0), (32, 2, 0)]
)
def test_wide_words_are_exact_below_a_clip_limit_that_float32_rounds_up(tf, q, check_laws, bits, integer, signed):
    rng = np.random.default_rng(0)
    latent = rng.uniform(-signed, 1, (4, 3)).astype(np.float32)
    model = dense(tf, q, f"quantized_bits({bits},{integer},0,{signed},alpha=1)")
    model.set_weights([latent])
    (tensor,) = check_laws(model, X).tensors
    assert np.array_equal(tensor.values_of(tensor.words, np.arange(12)), tensor.golden)
    assert np.array_equal(tensor.golden.reshape(4, 3), model.predict(X, verbose=0))

    latent[2, 1] = 2.0**integer
    model.set_weights([latent])
    widest = 24 + signed
    if bits <= widest:
        check_laws(model, X)
        latent[2, 1] = 1000.7  # x + (xq - x) rounds
        model.set_weights([latent])
        why, remedies = "float32 rounds what QKeras computes for weights far beyond", (f"{bits},10",)
    else:
        why = rf"float32 rounds QKeras' upper clip limit, 2\*\*{bits - signed} - 1 .* and use at most {widest} bits"
        remedies = (f"{widest},{integer}", f"{bits},{integer + 1}")
    with pytest.raises(UnsupportedError, match=rf"1 value\(s\) have no word.*{why}"):
        fkeras.bit_space(model)
    for other in remedies:
        remedied = dense(tf, q, f"quantized_bits({other},0,{signed},alpha=1)")
        remedied.set_weights([latent])
        check_laws(remedied, X)


def test_an_integer_of_31_swaps_the_clip_limits(tf, q, check_laws):
    for bits, top in ((8, 4e9), (32, 4e9)):
        model = dense(tf, q, f"quantized_bits({bits},31,0,alpha=1)")
        model.set_weights([LATENT * np.float32(1e9)])
        check_laws(model, X)
        model.set_weights([np.full((4, 3), top, np.float32)])
        with pytest.raises(
            UnsupportedError, match=r"12 value.* have no word.*2..31 in whole.*at most integer=30, and weights below"
        ):
            fkeras.bit_space(model)
    remedied = dense(tf, q, "quantized_bits(32,30,0,alpha=1)")
    remedied.set_weights([np.full((4, 3), 2.0**30 - 64, np.float32)])
    check_laws(remedied, X)


@pytest.mark.parametrize(
    ("quantizer", "remedy", "is_same"),
    [
        (
            "quantized_bits(8,-1,alpha=1)",
            "quantized_bits(9, 0, ...), which has the same step",
            "quantized_bits(9,0,alpha=1)",
        ),
        ("quantized_bits(8,-3,0,0,alpha=1)", "quantized_bits(11, 0, ...)", "quantized_bits(11,0,0,0,alpha=1)"),
        ("quantized_bits(4,-2,1)", "use integer=0, which is the same quantizer", "quantized_bits(4,0,1)"),
        ("quantized_bits(30,-9,1,alpha=1)", "scale what it quantizes up", None),
        ("quantized_bits(8,32,alpha=1)", "computes NaN; allowed are 0 to 30", None),
    ],
)
def test_what_qkeras_cannot_compute_is_said_by_layer_with_what_works(tf, q, check_laws, quantizer, remedy, is_same):
    model = dense(tf, q, quantizer)
    with pytest.raises(UnsupportedError, match=rf"^layer 'd' \(quantized_bits\): integer=-?\d+; .*{re.escape(remedy)}"):
        fkeras.bit_space(model)
    if is_same is not None:
        remedied = dense(tf, q, is_same)
        remedied.set_weights([LATENT / 32])
        step = check_laws(remedied, X).tensors[0].codec.step
        signed, integer, bits = "0,0,alpha" not in quantizer, *map(int, re.findall(r"-?\d+", quantizer)[1::-1])
        assert "alpha" not in quantizer or step == 2.0 ** (integer + signed - bits)


def test_what_qkeras_cannot_compute_is_refused_wherever_it_stands(tf, q):
    inputs = tf.keras.Input((4,))
    hidden = q.QDense(3, kernel_quantizer="quantized_bits(8,-1,alpha=1)", name="fc")(inputs)
    hidden = q.QActivation("quantized_relu(6,-2)", name="act")(hidden)
    hidden = q.QDense(
        3, kernel_quantizer="binary(alpha=1)", bias_quantizer="quantized_bits(4,-1,alpha=1)", name="biased"
    )(hidden)
    idle = q.QDense(
        3, kernel_quantizer="binary(alpha=1)", bias_quantizer="quantized_bits(4,-1)", use_bias=False, name="idle"
    )
    model = tf.keras.Model(inputs, idle(hidden))
    with pytest.raises(UnsupportedError) as error:
        fkeras.bit_space(model, layers="!fc")
    assert [part for part in ("'fc'", "'act'", "'biased'", "'idle'") if part in str(error.value)] == [
        "'fc'",
        "'act'",
        "'biased'",
    ]
    assert "layers=" not in str(error.value)


def test_every_layer_that_is_refused_is_named_at_once_with_its_reason(tf, q, check_laws):
    h = inputs = tf.keras.Input((4,))
    quantizers = {
        "one_bit": "quantized_bits(1,0,1)",
        "fine": "quantized_bits(4,0,1,alpha=1)",
        "unsigned": "quantized_bits(4,0,1,keep_negative=0)",
        "zero_a": "quantized_bits(4,0,1,alpha=0.0)",
        "wide": "quantized_bits(32,0,1,alpha=1)",
        "zero_b": "quantized_bits(4,0,1,alpha=0.0)",
        "po2": "quantized_po2(4,1)",
        "huge_po2": "quantized_po2(12)",
        "tanh": "quantized_tanh(4)",
    }
    for name, quantizer in quantizers.items():
        h = q.QDense(4, kernel_quantizer=quantizer, use_bias=False, name=name)(h)
    h = tf.keras.layers.Reshape((1, 4))(h)
    h = tf.keras.layers.TimeDistributed(q.QDense(2, kernel_quantizer=Q4), name="rnn")(h)
    model = tf.keras.Model(inputs, h)
    for layer in model.layers:
        if layer.name in quantizers:
            layer.set_weights([np.full((4, 4), 1.5 if layer.name == "wide" else 1e-8, np.float32)])
    with pytest.raises(UnsupportedError) as error:
        fkeras.bit_space(model)
    message = str(error.value)
    refused = [name for name in [*quantizers, "rnn"] if name != "fine"]
    assert all(f"'{name}" in message for name in refused)
    assert "'fine" not in message
    assert "alpha=0.0" in message
    assert message.count("alpha=0.0") == 1
    assert "(and so layer 'zero_b')" in message
    choice = ast.literal_eval(message.rpartition("layers=")[2])
    assert sorted(choice) == sorted(f"!{name}" for name in refused)
    assert [tensor.path for tensor in fkeras.bit_space(model, layers=choice).tensors] == ["fine/kernel"]


@pytest.mark.parametrize(
    ("quantizer", "message"),
    [
        (
            "quantized_bits(4,0,1,keep_negative=0)",
            "layer 'd': quantized_bits with keep_negative=0 and alpha='auto_po2' emits negative values.*layers='!d'",
        ),
        ("quantized_bits(1,0,1)", "layer 'd': quantized_bits.1. with alpha='auto_po2' emits only zeros.*layers='!d'"),
        (
            "quantized_po2(4,1)",
            r"tensor 'd/kernel': PowerOfTwo\(width=4, largest_exponent=0\): \d .*have no word.*from -7 to 0.*no sign "
            "bit for the exponent.*larger max_value, such as 2, or exclude it with layers='!d'",
        ),
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
        codec_of(Rounded(4, 0, 1, alpha=1), "a/b", qkeras())


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
