"""Every kind of layer and activation as a network: it fits, or says why it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fkeras
from fkeras.frontends.description import NoOperation, NotDescribed
from fkeras.frontends.description.activations import activation_steps
from fkeras.frontends.description.steps import computed
from fkeras.frontends.qkeras.forward import Forward, golden_values, patched_values
from fkeras.frontends.qkeras.framework import all_outputs
from fkeras.frontends.qkeras.network import home, network_of
from fkeras.frontends.qkeras.tracing import flat_data
from fkeras.network.fit import golden_misfit, rounding_misfit

BITS, KERNEL = "quantized_bits(6,1,alpha=1)", "quantized_bits(5,1,alpha=1)"
FUSED = "rounds sums that are not exact in float32"


class Parts:
    """Layers in short."""

    def __init__(self, q: Any, tf: Any) -> None:
        self.q, self.tf, self.keras, self.layers, self.fq = q, tf, tf.keras, tf.keras.layers, fkeras.layers

    def dense(self, n: int = 3, **options: Any) -> Any:
        return self.q.QDense(n, kernel_quantizer=KERNEL, bias_quantizer=BITS, **options)

    def act(self, quantizer: str = BITS) -> Any:
        return self.q.QActivation(quantizer)

    def conv(self, kind: str, *arguments: Any, **options: Any) -> Any:
        quantizers = {"depthwise_quantizer": KERNEL} if "Depthwise" in kind else {"kernel_quantizer": KERNEL}
        if "Separable" in kind:
            quantizers = {"depthwise_quantizer": KERNEL, "pointwise_quantizer": KERNEL}
        return getattr(self.q, kind)(*arguments, bias_quantizer=BITS, **quantizers, **options)


def adaptive(p: Parts, quantizer: str, integers: list[int], **options: Any) -> Any:
    """A QAdaptiveActivation that has learned its range."""

    layer = p.q.QAdaptiveActivation(quantizer, 6, current_step=p.tf.Variable(0, dtype="int64"), **options)
    build = layer.build

    def learned(shape: Any) -> None:
        build(shape)
        layer.quantizer.integer.assign(integers)

    layer.build = learned
    return layer


Chain = Callable[[Parts], list[Any]]
CHAINS: dict[str, tuple[tuple[int, ...], Chain]] = {
    "separable": (
        (9, 8, 3),
        lambda p: [p.conv("QSeparableConv2D", 4, 3, padding="same", strides=2, depth_multiplier=2), p.act()],
    ),
    "separable 1D": ((9, 3), lambda p: [p.conv("QSeparableConv1D", 4, 3, dilation_rate=2), p.act()]),
    "causal": ((9, 3), lambda p: [p.conv("QConv1D", 4, 3, padding="causal", dilation_rate=2), p.act()]),
    "groups": ((9, 8, 4), lambda p: [p.conv("QConv2D", 6, 3, groups=2, strides=(2, 1)), p.act()]),
    "depthwise": (
        (9, 8, 4),
        lambda p: [p.conv("QDepthwiseConv2D", (3, 2), depth_multiplier=2, padding="same", dilation_rate=2), p.act()],
    ),
    "folded": ((9, 8, 3), lambda p: [p.conv("QConv2DBatchnorm", 6, 3), p.act()]),
    "folded, bias as it is": (
        (9, 8, 3),
        lambda p: [p.q.QConv2DBatchnorm(6, 3, kernel_quantizer=KERNEL, use_bias=False), p.act()],
    ),
    "folded depthwise": ((9, 8, 3), lambda p: [p.conv("QDepthwiseConv2DBatchnorm", 3, depth_multiplier=2), p.act()]),
    "norm": ((9,), lambda p: [p.dense(), p.layers.BatchNormalization(), p.act()]),
    "norm of images": (
        (6, 5, 3),
        lambda p: [p.conv("QConv2D", 4, 3), p.layers.BatchNormalization(fused=False), p.act()],
    ),
    "bare norm": ((9,), lambda p: [p.dense(), p.layers.BatchNormalization(center=False, scale=False), p.act()]),
    "quantized norm": ((6, 5, 3), lambda p: [p.dense(), p.q.QBatchNormalization(), p.act()]),
    "quantized norm of an axis": (
        (6, 5, 3),
        lambda p: [p.dense(), p.q.QBatchNormalization(axis=1, gamma_quantizer=BITS), p.act()],
    ),
    "quantized pool": (
        (8, 8, 3),
        lambda p: [p.dense(), p.q.QAveragePooling2D(2, average_quantizer=BITS, activation="quantized_relu(4,1)")],
    ),
    "quantized global pool": (
        (8, 8, 3),
        lambda p: [p.dense(), p.q.QGlobalAveragePooling2D(average_quantizer=BITS), p.act()],
    ),
    "pools": (
        (9, 7, 3),
        lambda p: [
            p.dense(),
            p.layers.AveragePooling2D(3, padding="same", strides=2),
            p.act(),
            p.layers.MaxPooling2D(2, padding="same"),
            p.dense(),
            p.layers.GlobalAveragePooling2D(keepdims=True),
            p.act(),
        ],
    ),
    "pools 1D": (
        (9, 3),
        lambda p: [
            p.dense(),
            p.layers.AveragePooling1D(3),
            p.act(),
            p.layers.MaxPooling1D(2),
            p.layers.GlobalMaxPooling1D(),
        ],
    ),
    "shapes": (
        (4, 6, 3),
        lambda p: [
            p.dense(),
            p.layers.ZeroPadding2D(((1, 2), (0, 3))),
            p.layers.Cropping2D(((1, 0), (2, 1))),
            p.layers.Permute((2, 3, 1)),
            p.layers.UpSampling2D((2, 1)),
            p.layers.Flatten(data_format="channels_first"),
            p.dense(4),
            p.layers.RepeatVector(3),
            p.layers.UpSampling1D(2),
            p.layers.ZeroPadding1D(2),
            p.layers.Cropping1D((1, 0)),
            p.layers.Reshape((-1, 2)),
            p.layers.Dropout(0.3),
            p.layers.SpatialDropout1D(0.2),
            p.layers.GaussianNoise(0.3),
            p.act(),
        ],
    ),
    "slopes": (
        (6,),
        lambda p: [
            p.dense(),
            p.layers.LeakyReLU(0.3),
            p.act(),
            p.dense(),
            p.layers.ReLU(6.0, negative_slope=0.1),
            p.act(),
            p.dense(),
            p.layers.ReLU(0.4),
            p.act(),
        ],
    ),
    "slopes within quantizers": (
        (6,),
        lambda p: [
            *(p.act(), p.dense(), p.act("quantized_relu(5,1,negative_slope=0.25)")),
            *(p.dense(), p.act("quantized_relu(3,1,negative_slope=0.125)")),  # half a step below 0
            *(p.dense(), p.act("quantized_relu(4,1,negative_slope=0.5,is_quantized_clip=False)")),
            *(p.dense(), p.q.QActivation(p.q.quantized_relu(6, 2, 0, 0.25, False, 2.5, False))),
        ],
    ),
    "hard swish": (
        (6,),
        lambda p: [
            *(p.act(), p.dense(), p.act("quantized_hswish(6,2,alpha=1)")),
            *(
                p.dense(),
                p.act(),
                p.q.QActivation(p.q.quantizers.quantized_hswish(8, 2, relu_shift=2, relu_upper_bound=5)),
            ),
        ],
    ),
    "straight lines": (
        (6,),
        lambda p: [
            *(p.act(), p.dense(activation="hard_tanh"), p.act(), p.dense(activation="hard_sigmoid"), p.act()),
            *(p.dense(), p.act("smooth_sigmoid"), p.act(), p.dense(), p.act("smooth_tanh"), p.act()),
            *(p.dense(), p.layers.Activation("hard_sigmoid"), p.act(), p.dense()),
            *(p.layers.Activation(p.tf.nn.leaky_relu), p.act()),
        ],
    ),
    "adaptive": ((6,), lambda p: [p.dense(), adaptive(p, "quantized_bits", [2]), p.dense()]),
    "adaptive by channel": (
        (5, 3),
        lambda p: [
            *(p.act(), p.dense(), adaptive(p, "quantized_relu", [0, 3, 1], per_channel=True)),
            *(p.dense(4), adaptive(p, "quantized_bits", [1, 0, 2, 1], per_channel=True), p.dense()),
            adaptive(p, "quantized_relu", [1, 0, 2], per_channel=True, relu_neg_slope=0.25),
        ],
    ),
    "FQ": (
        (6, 6, 2),
        lambda p: [
            *(p.fq.FQConv2D(3, 3, kernel_quantizer=KERNEL, bias_quantizer=BITS), p.act(), p.layers.Flatten()),
            *(p.fq.FQDense(4, kernel_quantizer=KERNEL, activation="quantized_relu(4,1)"), p.dense()),
        ],
    ),
    "rescaled": ((6,), lambda p: [p.layers.Rescaling(1 / 255, 0.5), p.act(), p.dense()]),
    "transposed": (
        (6, 5, 2),
        lambda p: [p.dense(), p.layers.Conv2DTranspose(3, (4, 3), strides=(2, 3), output_padding=(1, 0))],
    ),
    "transposed 1D": ((6, 2), lambda p: [p.dense(), p.layers.Conv1DTranspose(3, 4, strides=2, padding="same")]),
    "float convolutions": (
        (6, 6, 2),
        lambda p: [p.dense(), p.layers.SeparableConv2D(3, 2), p.layers.DepthwiseConv2D(2, activation="elu")],
    ),
    "softmax": ((6,), lambda p: [p.dense(), p.layers.Softmax()]),
    "sigmoid": ((6,), lambda p: [p.dense(activation="sigmoid"), p.layers.Dense(2, activation="softsign")]),
    "tanh": ((6,), lambda p: [p.dense(activation="tanh"), p.layers.Dense(2, activation="softplus")]),
    "swish": ((6,), lambda p: [p.dense(), p.layers.Dense(2, activation="swish"), p.layers.Activation("selu")]),
}


def chained(p: Parts, shape: tuple[int, ...], layers: list[Any]) -> Any:
    x = inputs = p.keras.Input(shape)
    for layer in layers:
        x = layer(x)
    return p.keras.Model(inputs, x)


def assert_fits(model: Any, kit: Any) -> None:
    """The network rounds nothing that others compute otherwise, and computes what the framework does, faults too."""
    kit.randomize(model)
    network, space = network_of(model), fkeras.bit_space(model, biases=True)
    x = flat_data(model, [np.round(part * 32) / 32 for part in _listed(kit.data_for(model, 40))])
    assert rounding_misfit(network, x) is None
    forward, generator = Forward(model, space), np.random.default_rng(0)
    assert golden_misfit(network, x, _listed(all_outputs(forward, x, golden_values(space)))) is None
    bits = generator.choice(len(space), 5, replace=False)
    faulty = patched_values(space, golden_values(space), fkeras.FaultSet(bits).patches(space))
    values = {**network.values, **{tensor.path: array for tensor, array in zip(space.tensors, faulty, strict=True)}}
    for mine, theirs in zip(network(x, values), _listed(all_outputs(forward, x, faulty)), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)


def _listed(arrays: Any) -> list[Any]:
    return list(arrays) if isinstance(arrays, list | tuple) else [arrays]


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_of_layers_fits(q, tf, kit, name: str) -> None:
    shape, layers = CHAINS[name]
    parts = Parts(q, tf)
    assert_fits(chained(parts, shape, layers(parts)), kit)


def graphs(p: Parts, name: str) -> Any:
    a, b = p.keras.Input((4,), name="z"), p.keras.Input((4,), name="a")
    if name == "shared":
        layer = p.dense(4)
        return p.keras.Model(a, layer(p.act()(layer(a))))
    if name == "shared model":
        inner = p.keras.Sequential([p.dense(4), p.act()], name="inner")
        return p.keras.Model(a, inner(inner(a)))
    if name == "nested by name":
        inner = p.keras.Model([a, b], p.layers.Subtract()([p.dense()(a), p.dense()(b)]))
        outer = [p.keras.Input((4,)) for _ in range(2)]
        return p.keras.Model(outer, inner({"z": outer[0], "a": outer[1]}))
    if name == "by name":
        return p.keras.Model({"q": a, "c": b}, {"y": p.dense()(a), "b": p.dense()(b)})
    if name == "an input as output":
        return p.keras.Model(a, [a, p.dense()(a)])
    if name == "unequal ranks":
        wide = p.keras.Input((5, 3))
        return p.keras.Model([a, wide], p.layers.Multiply()([p.dense()(a), p.dense()(wide)]))
    hidden = [p.act()(p.dense()(x)) for x in (a, b)]
    merged = getattr(p.layers, name)()(hidden)
    return p.keras.Model([a, b], p.act("quantized_bits(8,3,alpha=1)")(merged))


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
@pytest.mark.parametrize(
    "name",
    [
        *("shared", "shared model", "nested by name", "by name", "an input as output", "unequal ranks"),
        *("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average", "Concatenate"),
    ],
)
def test_a_graph_fits(q, tf, kit, name: str) -> None:
    assert_fits(graphs(Parts(q, tf), name), kit)


def test_names_of_inputs_and_outputs_are_those_of_data(q, tf) -> None:
    network = network_of(graphs(Parts(q, tf), "by name"))
    assert [part.name for part in network.inputs] == ["c", "q"]
    assert network.output_names == ("b", "y")


@pytest.mark.parametrize(
    ("shape", "layers", "why"),
    [
        ((9, 8, 3), lambda p: [p.conv("QConv2D", 6, 3), p.layers.BatchNormalization(), p.act()], "norm"),
        ((9, 9, 3), lambda p: [p.dense(), p.q.QAveragePooling2D(3, average_quantizer=BITS), p.act()], "factor"),
        ((4,), lambda p: [p.q.QDense(3, kernel_quantizer="quantized_bits(4,0,alpha=0.3)"), p.act()], "bias"),
    ],
    ids=["fused norm", "division by nine", "scale off the grid"],
)
def test_what_is_rounded_in_an_order_of_the_frameworks_own_does_not_fit(q, tf, kit, shape, layers, why) -> None:
    parts = Parts(q, tf)
    model = kit.randomize(chained(parts, shape, layers(parts)))
    network = network_of(model)
    found = rounding_misfit(network, flat_data(model, kit.data_for(model)))
    assert found is not None
    (node,) = [node for node in network.nodes if node.name == found.node]
    assert node.inputs[0].endswith(f"/{why}")


class Doubled:
    """A functional model whose call is the user's own."""

    @staticmethod
    def of(p: Parts) -> Any:
        class Own(p.keras.Model):  # type: ignore[misc, name-defined]
            def call(self, x: Any, training: Any = None) -> Any:
                return super().call(x) * 2

        inputs = p.keras.Input((4,))
        return Own(inputs, p.dense()(inputs), name="own")


def told(p: Parts) -> Any:
    inputs = p.keras.Input((4,))
    return p.keras.Model(inputs, p.layers.BatchNormalization(name="told")(p.dense()(inputs), training=True))


def nested_told(p: Parts) -> Any:
    inputs = p.keras.Input((4,))
    inner = p.keras.Sequential([p.dense(4), p.layers.BatchNormalization()])
    return p.keras.Model(inputs, inner(inputs, training=True), name="outer")


@pytest.mark.parametrize(
    ("build", "layer", "why"),
    [
        (Doubled.of, "own", "graph"),
        (lambda p: chained(p, (4,), [p.dense(), p.fq.FQDense(2, kernel_quantizer=KERNEL, faults=[3], name="f")]), "f",
         "faults of its own"),
        (lambda p: chained(p, (4,), [p.dense(), p.fq.FQDense(2, kernel_quantizer=KERNEL, ber=0.1, name="f")]), "f",
         "faults of its own"),
        (told, "told", "training=True"),
        (nested_told, "outer", "more than its inputs"),
        (lambda p: chained(p, (None, 2), [p.dense(name="d")]), None, "open"),
        (lambda p: chained(p, (4,), [p.dense(), p.layers.Dense(2, dtype="float64", name="d")]), "d", "float64"),
        (lambda p: chained(p, (5, 3), [p.layers.Masking(name="m"), p.dense()]), "m", "Masking"),
        (lambda p: chained(p, (4, 4, 2), [p.dense(), p.layers.UpSampling2D(2, interpolation="bilinear", name="u")]),
         "u", "bilinear"),
        (lambda p: chained(p, (6, 3), [p.dense(), p.layers.Softmax(axis=1, name="s")]), "s", "last axis"),
        (lambda p: chained(p, (6,), [p.dense(), p.layers.ELU(0.3, name="e")]), "e", "is not what"),
        (lambda p: chained(p, (3, 6, 6), [p.layers.MaxPooling2D(2, data_format="channels_first", name="m"),
                                          p.layers.Flatten(), p.dense()]), "m", "channels come first"),
    ],
)  # fmt: skip
def test_what_is_not_described_is_named_with_its_reason(q, tf, build, layer: str | None, why: str) -> None:
    model = build(Parts(q, tf))
    with pytest.raises(NotDescribed, match=why) as caught:
        network_of(model)
    assert caught.value.layer == (model.name if layer is None else layer)


@pytest.mark.parametrize(
    "quantizer",
    [
        *("binary(alpha=1)", "binary()", "binary(alpha=0.7)", "binary(1)", "binary_tanh", "stochastic_binary()"),
        *("ternary()", "ternary(alpha=0.7,threshold=0.2)", "stochastic_ternary()"),
        *("quantized_po2(4)", "quantized_po2(4,2)", "quantized_relu_po2(4)", "quantized_relu_po2(4,4)"),
        *("quantized_tanh(5)", "quantized_tanh(4,1)", "quantized_tanh(6,use_real_tanh=True)"),
        *("quantized_sigmoid(5)", "quantized_sigmoid(6,use_real_sigmoid=True)", "quantized_ulaw(5)"),
        *("quantized_relu(4,1)", "quantized_relu(4,1,use_sigmoid=1)", "quantized_relu(4,2,is_quantized_clip=False)"),
        "quantized_relu(4,2,relu_upper_bound=3.0,is_quantized_clip=False)",
        "quantized_relu(4,2,relu_upper_bound=2.9,is_quantized_clip=False)",
        *("quantized_bits(4,1)", "quantized_bits(4,1,1)", "quantized_bits(4,1,use_ste=False)", "quantized_bits(16,6)"),
        *("quantized_bits(1,0,alpha=1)", "quantized_bits(4,0,alpha=0.3)", "quantized_bits(32,4)"),
        "quantized_bits(8,4,use_variables=True)",
        *("quantized_relu(5,1,negative_slope=0.25)", "quantized_relu(2,0,negative_slope=0.25)"),
        *("quantized_relu(8,3,negative_slope=0.125,is_quantized_clip=False)", "quantized_relu(6,2,1,0.5)"),
        "quantized_relu(4,2,negative_slope=0.5,relu_upper_bound=2.9,is_quantized_clip=False)",
        *("quantized_hswish(6,2)", "quantized_hswish(5,1,1,alpha=1,relu_shift=2,relu_upper_bound=7)"),
        *("hard_sigmoid", "hard_tanh", "smooth_sigmoid", "smooth_tanh"),
    ],
)
def test_a_quantizer_is_described_as_it_computes(q, tf, quantizer: str) -> None:
    function = q.get_quantizer(quantizer)
    steps = list(activation_steps(function, "activation", "layer", home()))
    generator = np.random.default_rng(1)
    x = np.concatenate([generator.normal(0, scale, 3000) for scale in (0.1, 1, 10, 100)]).astype(np.float32)
    expected = np.asarray(function(tf.constant(np.round(x * 64) / 64)))
    np.testing.assert_array_equal(computed(steps, np.round(x * 64) / 64), expected)
    assert steps[-1].part == "activation"


@pytest.mark.parametrize(
    ("quantizer", "why"),
    [
        ("quantized_hswish(6,2,alpha=0.3)", "no row of operations"),
        ("quantized_bits(4,1,alpha='auto')", "depends on what it quantizes"),
        ("quantized_relu(4,1,qnoise_factor=0.3)", "qnoise_factor"),
        ("bernoulli()", "no monotone"),
        ("quantized_relu(5,1,negative_slope=0.25,qnoise_factor=0.3)", "qnoise_factor"),
    ],
)
def test_a_quantizer_that_is_no_known_function_is_refused(q, quantizer: str, why: str) -> None:
    with pytest.raises(NoOperation, match=why):
        list(activation_steps(q.get_quantizer(quantizer), "activation", "layer", home()))


def test_a_quantizer_is_compared_with_itself(q, tf, monkeypatch) -> None:
    """A quantizer that computes something else than its configuration says is not believed."""

    def other(self: Any, x: Any) -> Any:
        return tf.floor(x * 4) / 4 + tf.where(x > 3.0, 0.125 * tf.sin(x), 0.0)

    monkeypatch.setattr(q.quantizers.quantized_bits, "__call__", other)
    with pytest.raises(NoOperation):
        list(activation_steps(q.get_quantizer("quantized_bits(4,1,alpha=1)"), "activation", "layer", home()))
