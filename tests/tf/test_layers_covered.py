"""Each covered layer: injected outputs against the layer's float twin with the faulty kernel written by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fkeras

FAULTS_PER_TENSOR = 5
KERNEL = "quantized_bits(5,0,1)"
BIAS = "quantized_bits(6,1,1,alpha=1)"
KINDS = (
    "QDense",
    "QConv1D",
    "QConv2D",
    "QDepthwiseConv2D",
    "QSeparableConv1D",
    "QSeparableConv2D",
    "QConv2DBatchnorm",
    "QDepthwiseConv2DBatchnorm",
)


@dataclass(frozen=True)
class Twin:
    """The same computation in float: tensor names, their Keras shapes, and outputs = compute(x, kernels)."""

    tensors: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    compute: Callable[[Any, list[np.ndarray]], np.ndarray]


def bias_on_its_grid(bias: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(bias * 16), -31, 31) / 16


def folded_bias(layer: Any) -> np.ndarray:
    norm = layer.batchnorm
    gain = norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    return gain * (layer.bias.numpy() - norm.moving_mean.numpy()) + norm.beta.numpy()


@pytest.fixture(scope="session")
def model_of(tf, q, kit) -> Callable[[str], tuple[Any, Any, Twin]]:
    """Model, data and float twin of one layer kind; each is made once."""
    made: dict[str, tuple[Any, Any, Twin]] = {}
    depthwise = {"depthwise_quantizer": KERNEL, "bias_quantizer": BIAS, "name": "layer"}
    plain = {"kernel_quantizer": KERNEL, "bias_quantizer": BIAS, "name": "layer"}
    separable = {**depthwise, "pointwise_quantizer": "quantized_bits(4,0,1,alpha='auto')"}

    def conv(x, kernel, stride=1, padding="VALID"):
        return tf.nn.conv2d(x, kernel, stride, padding).numpy()

    def separable_1d(x, kernels):
        wide = tf.nn.separable_conv2d(x[:, None], kernels[0][None], kernels[1][None], [1, 1, 1, 1], "VALID")
        return wide.numpy()[:, 0]

    recipes: dict[str, tuple[Any, tuple[int, ...], tuple[str, ...], tuple[tuple[int, ...], ...], Any]] = {
        "QDense": (lambda: q.QDense(3, **plain), (5,), ("kernel",), ((5, 3),), lambda x, k: x @ k[0]),
        "QConv1D": (
            lambda: q.QConv1D(3, 2, **plain),
            (6, 2),
            ("kernel",),
            ((2, 2, 3),),
            lambda x, k: tf.nn.conv1d(x, k[0], 1, "VALID").numpy(),
        ),
        "QConv2D": (
            lambda: q.QConv2D(3, 3, strides=2, padding="same", **plain),
            (6, 6, 2),
            ("kernel",),
            ((3, 3, 2, 3),),
            lambda x, k: conv(x, k[0], 2, "SAME"),
        ),
        "QDepthwiseConv2D": (
            lambda: q.QDepthwiseConv2D(2, depth_multiplier=2, **depthwise),
            (4, 4, 2),
            ("depthwise_kernel",),
            ((2, 2, 2, 2),),
            lambda x, k: tf.nn.depthwise_conv2d(x, k[0], [1, 1, 1, 1], "VALID").numpy(),
        ),
        "QSeparableConv1D": (
            lambda: q.QSeparableConv1D(3, 2, **separable),
            (6, 2),
            ("depthwise_kernel", "pointwise_kernel"),
            ((2, 2, 1), (1, 2, 3)),
            separable_1d,
        ),
        "QSeparableConv2D": (
            lambda: q.QSeparableConv2D(3, 2, **separable),
            (4, 4, 2),
            ("depthwise_kernel", "pointwise_kernel"),
            ((2, 2, 2, 1), (1, 1, 2, 3)),
            lambda x, k: tf.nn.separable_conv2d(x, k[0], k[1], [1, 1, 1, 1], "VALID").numpy(),
        ),
        "QConv2DBatchnorm": (
            lambda: q.QConv2DBatchnorm(3, 2, **plain),
            (4, 4, 2),
            ("kernel",),
            ((2, 2, 2, 3),),
            lambda x, k: conv(x, k[0]),
        ),
        "QDepthwiseConv2DBatchnorm": (
            lambda: q.QDepthwiseConv2DBatchnorm(2, **depthwise),
            (4, 4, 2),
            ("depthwise_kernel",),
            ((2, 2, 2, 1),),
            lambda x, k: tf.nn.depthwise_conv2d(x, k[0], [1, 1, 1, 1], "VALID").numpy(),
        ),
    }

    def make(kind: str) -> tuple[Any, Any, Twin]:
        if kind not in made:
            build, shape, tensors, shapes, linear = recipes[kind]
            inputs = tf.keras.Input(shape)
            layer = build()
            model = kit.randomize(tf.keras.Model(inputs, layer(inputs)))
            bias = bias_on_its_grid(folded_bias(layer) if "Batchnorm" in kind else layer.bias.numpy())
            twin = Twin(tensors, shapes, lambda x, kernels: linear(x, kernels) + bias)
            made[kind] = model, kit.data_for(model), twin
        return made[kind]

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_injected_values_are_those_of_a_float_twin(model_of, check_laws, kind):
    model, x, twin = model_of(kind)
    space = check_laws(model, x)
    assert [tensor.path for tensor in space.tensors] == [f"layer/{name}" for name in twin.tensors]

    rng = np.random.default_rng(3)
    bits = [
        int(b)
        for start, end in zip(space.offsets, space.offsets[1:], strict=False)
        for b in rng.choice(np.arange(start, end), FAULTS_PER_TENSOR, replace=False)
    ]
    with fkeras.injected(model, fkeras.FaultSet(bits), space=space) as view:
        faulty = view.predict(x)

    kernels = []
    for number, tensor in enumerate(space.tensors):
        words = tensor.words.copy()
        touched = set()
        for bit in bits:
            if space.offsets[number] <= bit < space.offsets[number + 1]:
                element, position = divmod(bit - int(space.offsets[number]), tensor.codec.width)
                words[element] ^= np.uint32(1 << (tensor.codec.width - 1 - position))
                touched.add(element)
        kernel = tensor.golden.copy()
        for element in touched:
            kernel[element] = np.float32(tensor.codec.decode(words[[element]])[0] * np.float64(tensor.scale[element]))
        kernels.append(kernel.reshape(tensor.shape))
        assert tensor.shape == twin.shapes[number]
    expected = twin.compute(x, kernels)
    np.testing.assert_allclose(faulty, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(faulty - model.predict(x, verbose=0)).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_covered_is_listed(model_of, kind):
    model, _, _ = model_of(kind)
    left = fkeras.bit_space(model).uncovered
    assert [(entry.path, entry.reason) for entry in left] == [("layer/bias", "bias; biases=True covers it")]
    assert left[0].n_values == model.layers[-1].output_shape[-1]
    with_biases = fkeras.bit_space(model, biases=True)
    assert with_biases.uncovered == ()
    assert with_biases.tensors[-1].path == "layer/bias"
    assert with_biases.tensors[-1].size == left[0].n_values


def test_a_flipped_bias_moves_its_channel_alone(model_of):
    model, x, _ = model_of("QDense")
    space = fkeras.bit_space(model, biases=True)
    bit = space.index("layer/bias[1]:0")
    bias = space.tensors[-1]
    flipped = bias.codec.decode(bias.words[[1]] ^ np.uint32(1 << bias.codec.width - 1))[0]
    with fkeras.injected(model, fkeras.FaultSet([bit]), space=space) as view:
        moved: Any = view.predict(x) - model.predict(x, verbose=0)
    np.testing.assert_allclose(moved[:, 1], flipped - bias.golden[1], atol=1e-6)
    assert not moved[:, [0, 2]].any()
