"""Our words, their order and widths are those of the files that hls4ml writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fkeras
import fkeras.hls4ml
from fkeras.engines.hls4ml.compiling import write_sources
from fkeras.engines.hls4ml.convert import convert, default_config
from fkeras.engines.hls4ml.project import read_project
from fkeras.engines.hls4ml.words import hls4ml_order
from fkeras.frontends.qkeras.chip import chip_part
from fkeras.memory import Binary


def written(model, folder, strategy=None, reuse=1, **space):
    """The order, and the numbers in firmware/weights/*.txt by array name."""
    used = fkeras.bit_space(model, **space)
    part = chip_part(model, used)
    inputs = [np.zeros((1, *model.input_shape[1:]), np.float32)]
    project = None
    if strategy:
        config = default_config(part, inputs)
        config["HLSConfig"]["Model"] |= {"Strategy": strategy, "ReuseFactor": reuse}
        project = read_project(config)
    conversion = convert(part, inputs, project, str(folder))
    order = hls4ml_order(conversion, used)
    write_sources(conversion)
    files = {path.stem: path.read_text() for path in (Path(folder) / "firmware/weights").glob("*.txt")}
    header = (Path(folder) / "firmware/defines.h").read_text()
    return order, {name: numbers(text) for name, text in files.items() if "{" not in text}, files, header


def numbers(text):
    return np.array([float(number) for number in text.split(",")])


def assert_same(order, files):
    for held, tensor in zip(order.tensors, order.space.tensors, strict=True):
        values = tensor.codec.decode(tensor.words[held.elements])
        if isinstance(tensor.codec, Binary):
            values = (values + 1) / 2  # hls4ml writes +-1 as 1 and 0
        assert files[held.variable].tolist() == values.tolist()


@pytest.mark.parametrize(
    ("kernel", "type_in_cpp"),
    [
        ("quantized_bits(6,1,alpha=1)", "ap_fixed<6,2>"),
        ("quantized_bits(4,0,alpha=1,symmetric=1)", "ap_fixed<4,1>"),
        ("quantized_bits(6,1,alpha=0.5)", "ap_fixed<6,2>"),
        ("quantized_bits(6,1,alpha='auto_po2')", "ap_fixed<6,2>"),
        ("quantized_bits(6,1,alpha='auto')", "ap_fixed<6,2>"),
        ("binary()", "ap_uint<1>"),
        ("binary(alpha=1)", "ap_uint<1>"),
        ("ternary()", "ap_int<2>"),
        ("ternary(alpha=1)", "ap_int<2>"),
    ],
)
def test_words_of_every_quantizer_are_what_hls4ml_writes(make, tmp_path, kernel, type_in_cpp):
    model = make.chain((4,), make.bits("qin"), make.dense(5, "d1", kernel), make.relu("a1"))
    order, files, texts, header = written(model, tmp_path, biases=True)
    assert_same(order, files)
    assert f"typedef {type_in_cpp} weight3_t;" in header
    scale = order.space.tensors[0].scale.reshape(4, 5)[0]
    held = order.tensors[0].scale
    if (scale == 1).all():
        assert held is None
    else:
        # QKeras computes an "auto" scale in float32, here in a graph and in hls4ml eagerly: two roundings at most.
        assert np.broadcast_to(held, 5).tolist() == pytest.approx(
            scale.tolist(), rel=2.4e-7 if "'auto'" in kernel else 0, abs=0
        )
    if "auto_po2" in kernel:
        pairs = next(text for text in texts.values() if "{" in text).split("{")[1:]
        exponents = [int(pair.split(",")[1].strip(" }")) for pair in pairs]
        assert np.exp2(exponents).tolist() == scale.tolist()


def layers_of(make, kind):
    q, shared = make.q, {"bias_quantizer": make.bias, "name": "c"}
    return {
        "conv1d": ((8, 2), q.QConv1D(3, 3, kernel_quantizer=make.kernel, **shared)),
        "conv2d": ((6, 6, 2), q.QConv2D(3, 3, kernel_quantizer=make.kernel, **shared)),
        "pointwise": ((4, 4, 3), q.QConv2D(5, 1, kernel_quantizer=make.kernel, **shared)),
        "depthwise": ((6, 6, 2), q.QDepthwiseConv2D(3, depthwise_quantizer=make.kernel, **shared)),
        "separable": (
            (6, 6, 2),
            q.QSeparableConv2D(4, 3, depthwise_quantizer=make.kernel, pointwise_quantizer=make.kernel, **shared),
        ),
        "folded": ((6, 6, 2), q.QConv2DBatchnorm(4, 3, kernel_quantizer=make.kernel, **shared)),
        "dense": ((4,), make.dense(6, "c")),
    }[kind]


@pytest.mark.parametrize("kind", ["conv1d", "conv2d", "pointwise", "depthwise", "separable", "folded", "dense"])
def test_words_of_every_layer_are_what_hls4ml_writes(make, tmp_path, kind):
    shape, layer = layers_of(make, kind)
    order, files, _, _ = written(make.chain(shape, make.bits("qin"), layer, make.relu("a")), tmp_path, biases=True)
    assert_same(order, files)
    assert all((held.elements == np.arange(held.elements.size)).all() for held in order.tensors)


@pytest.mark.parametrize("kind", ["conv1d", "conv2d", "folded", "dense"])
def test_the_resource_strategy_reorders_and_both_orders_name_the_same_bit(make, tmp_path, kind):
    shape, layer = layers_of(make, kind)
    model = make.chain(shape, make.bits("qin"), layer, make.relu("a"))
    order, files, _, _ = written(model, tmp_path, "Resource", 2)
    assert_same(order, files)
    tensor, held = order.space.tensors[0], order.tensors[0]
    assert (held.elements != np.arange(tensor.size)).any()
    assert sorted(order.bits.tolist()) == list(range(len(order.space)))
    for bit in range(0, len(order.space), 7):
        address = order[bit].hls4ml
        place, value = address.element[0], tensor.codec.decode(tensor.words[[bit // 6]])[0]
        assert files[held.variable][place] == value
        assert address.bit == bit % 6
        keras = order.space.address(bit)
        for name in (bit, np.int64(bit), keras, str(keras), address, str(address)):
            found = order[name]
            assert (found.bit, found.keras, found.hls4ml) == (bit, keras, address)
        assert order.bits[place * 6 + address.bit] == bit


def test_an_address_that_hls4ml_does_not_have(tiny):
    order = fkeras.hls4ml.order(tiny)
    assert str(order[0].hls4ml) == "w3[0]:0"
    assert str(order[6 * 20 + 7].hls4ml) == "w6[1]:1"
    with pytest.raises(fkeras.InputError, match="array w3 has 20 words of 6 bits"):
        order["w3[20]:0"]
    with pytest.raises(fkeras.InputError, match="no array 'w9'; hls4ml holds w3, w6"):
        order["w9[0]:0"]
    with pytest.raises(fkeras.InputError, match="no tensor 'd9/kernel' in this space"):
        order["d9/kernel[0,0]:0"]
    with pytest.raises(fkeras.InputError, match="bit"):
        order[10_000]


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("quantized_po2(4)", r"PowerOfTwo\(width=4\), hls4ml 1\.3\.\d+ holds int<4>"),
        ("quantized_bits(6,1,keep_negative=0,alpha=1)", r"integer=1, signed=False\), hls4ml .* holds fixed<6,2>"),
        ("quantized_bits(4,4,alpha=1)", r"hls4ml .* holds int<4>"),
        ("quantized_bits(1,0,alpha=1)", r"Binary\(\), hls4ml .* holds fixed<1,1>"),
    ],
)
def test_words_that_hls4ml_does_not_hold_are_refused_by_name(make, kernel, message):
    model = make.chain((4,), make.bits("qin"), make.dense(5, "d1", kernel), make.relu("a1"))
    with pytest.raises(fkeras.UnsupportedError, match=rf"tensor 'd1/kernel': the model stores .*{message}"):
        fkeras.hls4ml.order(model)


def test_a_weight_without_a_quantizer_has_no_word_unless_a_project_states_one(make):
    model = make.chain((4,), make.bits("qin"), make.q.QDense(5, kernel_quantizer=make.kernel, name="d1"))
    with pytest.raises(fkeras.UnsupportedError, match="layer 'd1': its bias has no quantizer, so the word"):
        fkeras.hls4ml.order(model)
    stated = {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}}
    assert fkeras.hls4ml.order(model, project=stated).tensors[0].type == "fixed<6,2>"
    float_kernel = make.chain((4,), make.bits("qin"), make.dense(3, "d1"), make.tf.keras.layers.Dense(2, name="d2"))
    with pytest.raises(fkeras.UnsupportedError, match="layer 'd2': its kernel has no quantizer"):
        fkeras.hls4ml.order(float_kernel)
    float_slope = make.chain((4,), make.bits("qin"), make.dense(3, "d1"), make.tf.keras.layers.PReLU(name="p"))
    with pytest.raises(fkeras.UnsupportedError, match="layer 'p': its slope has no quantizer"):
        fkeras.hls4ml.order(float_slope)


def test_every_input_gets_the_type_that_its_own_quantizer_asks_for(make):
    tf, inputs = make.tf, [make.tf.keras.Input((3,), name=name) for name in ("a", "b")]
    quantized = [
        make.q.QActivation(f"quantized_bits(8,{integer},alpha=1)")(one)
        for one, integer in zip(inputs, (1, 3), strict=True)
    ]
    joined = tf.keras.layers.Concatenate()(quantized)
    model = make.randomized(tf.keras.Model(inputs, make.dense(2, "d1")(joined)))
    x = [np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32) for _ in inputs]
    layers = fkeras.hls4ml.config(model, x)["HLSConfig"]["LayerName"]
    # One bit more to the left than the quantizers have, and saturating; behind the point all of a float32.
    assert [layers[name]["Precision"]["result"] for name in ("a", "b")] == [
        "fixed<34,3,TRN,SAT>",
        "fixed<34,5,TRN,SAT>",
    ]


def test_layers_that_hls4ml_does_not_convert_are_named(make):
    tf = make.tf
    locally = make.chain((4,), make.bits("qin"), make.dense(3, "d1"), tf.keras.layers.RepeatVector(2, name="r"))
    with pytest.raises(fkeras.UnsupportedError, match=r"hls4ml .* cannot parse model 'chain': .*RepeatVector"):
        fkeras.hls4ml.order(locally)
    layer, x = make.dense(4, "twice"), tf.keras.Input((4,), name="x")
    twice = make.randomized(tf.keras.Model(x, layer(layer(make.bits("qin")(x)))))
    with pytest.raises(fkeras.UnsupportedError, match="layer 'twice' is used 2 times"):
        fkeras.hls4ml.order(twice)
    normalized = make.chain((4,), make.bits("qin"), make.dense(3, "d1"), tf.keras.layers.BatchNormalization(name="bn"))
    with pytest.raises(fkeras.UnsupportedError, match=r"layer 'bn' \(BatchNormalization\) has float weights"):
        fkeras.hls4ml.order(normalized)
