"""Models of QKeras on Keras 3 as networks: their words, and what they compute, fault-free and with flipped bits."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkeras
from fkeras.engines.cpu.run import CpuRun
from fkeras.errors import UnsupportedError
from fkeras.metrics.named import resolve
from fkeras.network.fit import golden_misfit, rounding_misfit

MODELS = ("q3_mlp", "q3_cnn")


@pytest.fixture(scope="session")
def qkeras(keras: Any) -> Any:
    from fkeras.frontends.keras3.setup import qkeras

    return qkeras()


@pytest.mark.parametrize("name", MODELS)
def test_trained_models(keras3_data: Path, keras: Any, qkeras: Any, name: str) -> None:
    from fkeras.frontends.keras3.network import network_of

    model = keras.models.load_model(keras3_data / "models" / f"{name}.keras", compile=False)
    with np.load(keras3_data / f"{name}.npz") as file:
        truth = dict(file)
    x = (truth["x16"] / np.float32(16)).reshape(len(truth["x16"]), *model.input_shape[1:])
    network = network_of(model)
    space, bits = network.memory.space(), truth["flip_bit"].astype(np.int64)
    assert [tensor.path for tensor in space.tensors] == [f"{layer}/kernel" for layer in truth["layers"]]
    for number, tensor in enumerate(space.tensors):
        np.testing.assert_array_equal(tensor.words, truth[f"L{number}_word"].reshape(-1))
        np.testing.assert_array_equal(tensor.scale, truth[f"L{number}_scale"].reshape(-1))
        np.testing.assert_array_equal(tensor.golden, truth[f"L{number}_value"].reshape(-1))
    place = space.locate(bits)
    for part, mine in (("layer", place.tensor), ("element", place.element), ("pos", place.bit)):
        np.testing.assert_array_equal(mine, truth[f"flip_{part}"])
    assert rounding_misfit(network, [x]) is None
    assert golden_misfit(network, [x], [truth["golden"]]) is None
    run = CpuRun(network, space, x, truth["labels"], {"mispredictions": resolve("mispredictions")})
    mispredictions = run.flips(bits)["mispredictions"].values * len(x)
    np.testing.assert_allclose(mispredictions, truth["flip_wrong"], rtol=1e-12)
    apart = 2.0 * float(np.abs(run.golden_outputs - truth["golden"]).max())  # softmax: golden and faulty outputs
    assert apart <= 1e-6
    run = CpuRun(network, space, x, run.golden_outputs, {"mean_squared_error": resolve("mean_squared_error")})
    error, expected = run.flips(bits)["mean_squared_error"].values, truth["flip_mse"]
    assert (np.abs(error - expected) <= 2 * apart * np.sqrt(expected) + apart**2 + 1e-12 * expected).all()


WORDS_UNDER_QKERAS_0_9 = {
    "econ_t_small": ("016885463ffc", "d341fffd3d6b"),
    "econ_t_medium": ("8115e2cef5b3", "2fdb1a9fbaac"),
    "econ_t_large": ("a28765b6afdf", "7d96e2b3290f"),
    "rn07_cifar10": ("2b9d61e71055", "e87b0b7cd205"),
}
"""How the digests of layout and content begin of these files, read by QKeras 0.9 on Keras 2."""


@pytest.mark.parametrize("name", WORDS_UNDER_QKERAS_0_9)
def test_files_of_keras_2_hold_the_words_that_they_hold_there(shared_data: Path, qkeras: Any, name: str) -> None:
    space = fkeras.bit_space(fkeras.load_model(shared_data / "models" / f"{name}.h5"))
    digests = space.layout_digest, space.content_digest
    assert tuple(digest[:12] for digest in digests) == WORDS_UNDER_QKERAS_0_9[name]


@pytest.mark.parametrize("name", WORDS_UNDER_QKERAS_0_9)
@pytest.mark.parametrize("engine", ["auto", "framework"])
def test_flips_of_files_of_keras_2_do_what_they_do_there(
    shared_data: Path, qkeras: Any, name: str, engine: str
) -> None:
    truth = runpy.run_path(str(Path(__file__).with_name("flips_of_keras_2.py")))
    expected = json.loads(truth["TRUTH"].read_text())[name]
    assert len({round(value / expected[0], 5) for value in expected}) >= 7  # some flips change nothing
    measured = truth["damage"](shared_data / "models" / f"{name}.h5", engine)
    np.testing.assert_allclose(measured, expected, rtol=1e-5)  # sigmoids part in their last bits


def test_sequential_models_within_a_model_of_keras_2(qkeras: Any) -> None:
    """The example's encoder and decoder: what its network computes is what Keras 3 computes."""
    model = fkeras.load_model(Path(__file__).parents[2] / "example_project" / "econ_t" / "econ_t_medium.h5")
    space = fkeras.bit_space(model)
    assert [(tensor.path, tensor.n_bits) for tensor in space.tensors] == [
        ("encoder/conv/kernel", 432), ("encoder/latent/kernel", 12288),
    ]  # fmt: skip
    x = np.random.default_rng(0).integers(0, 8, (20, *model.input_shape[1:])).astype(np.float32) / 8
    y = np.asarray(model(x))
    oracle = fkeras.oracle(model, (x, y), metric="mean_squared_error", bits=range(0, 12720, 1000))
    assert oracle.engine == "cpu"
    assert oracle.golden < 1e-12
    assert (oracle.values > 1e-9).any()


def chain(keras: Any, qkeras: Any) -> Any:
    x = inputs = keras.Input((10,))
    x = qkeras.QActivation(qkeras.quantized_bits(8, 3, alpha=1))(x)
    x = qkeras.QDense(
        7, kernel_quantizer="quantized_bits(4,0,1,alpha='auto_po2')", bias_quantizer="quantized_bits(6,2)"
    )(x)
    x = qkeras.QActivation("quantized_relu(5,2)")(x)
    x = qkeras.QDense(6, kernel_quantizer="ternary(alpha=1)", bias_quantizer="quantized_po2(4,2)")(x)
    x = qkeras.QActivation("quantized_tanh(4)")(x)
    x = qkeras.QDense(5, kernel_quantizer="binary(alpha=1)", use_bias=False)(x)
    x = keras.layers.ReLU(max_value=4.0)(x)
    x = qkeras.QActivation(qkeras.quantized_linear(6, 3))(x)
    x = qkeras.QDense(4, kernel_quantizer=qkeras.quantized_linear(5, 1), bias_quantizer="quantized_bits(8,3,alpha=1)")(
        x
    )
    x = qkeras.QActivation("quantized_relu(4,1)")(x)
    return keras.Model(inputs, qkeras.QDense(3, kernel_quantizer="quantized_po2(4,2)", use_bias=False)(x))


def folded(keras: Any, qkeras: Any) -> Any:
    x = inputs = keras.Input((8, 8, 2))
    x = qkeras.QActivation("quantized_bits(8,3,alpha=1)")(x)
    x = qkeras.QConv2DBatchnorm(4, 3, kernel_quantizer="quantized_bits(5,1,alpha=1)")(x)
    x = qkeras.QActivation("quantized_relu(6,3)")(x)
    x = qkeras.QDepthwiseConv2DBatchnorm(3, depthwise_quantizer="quantized_bits(5,1,alpha=1)")(x)
    x = qkeras.QActivation("quantized_relu(6,3)")(x)
    x = qkeras.QDepthwiseConv2D(
        2, depthwise_quantizer="quantized_bits(5,1,alpha=1)", bias_quantizer="quantized_bits(6,2)"
    )(x)
    x = keras.layers.Flatten()(qkeras.QActivation("quantized_relu(6,3)")(x))
    x = qkeras.QDenseBatchnorm(
        5, kernel_quantizer="quantized_bits(5,1,alpha=1)", bias_quantizer="quantized_bits(8,4,alpha=1)"
    )(x)
    x = keras.layers.BatchNormalization()(x)
    x = qkeras.QActivation("quantized_relu(6,3)")(x)
    x = qkeras.QDense(3, kernel_quantizer="quantized_bits(5,1,alpha=1)", bias_quantizer="quantized_bits(6,2)")(x)
    return keras.Model(inputs, keras.layers.Activation("softmax")(x))


def sequence(keras: Any, qkeras: Any) -> Any:
    x = inputs = keras.Input((12, 2))
    x = qkeras.QActivation("quantized_bits(8,3,alpha=1)")(x)
    x = qkeras.QConv1D(
        4, 3, padding="same", kernel_quantizer="quantized_bits(5,1,alpha=1)", bias_quantizer="quantized_bits(6,2)"
    )(x)
    x = keras.layers.MaxPooling1D(2)(qkeras.QActivation("quantized_relu(6,3)")(x))
    y = qkeras.QConv1D(4, 1, kernel_quantizer="quantized_bits(5,1,alpha=1)", use_bias=False)(x)
    x = keras.layers.Add()([x, y])
    x = keras.layers.GlobalMaxPooling1D()(x)
    return keras.Model(inputs, qkeras.QDense(3, kernel_quantizer="quantized_bits(5,1,alpha=1)")(x))


ZOO = (chain, folded, sequence)


@pytest.mark.parametrize("build", ZOO)
def test_networks_of_random_models(keras: Any, qkeras: Any, build: Any) -> None:
    from fkeras.frontends.keras3.network import network_of

    keras.utils.set_random_seed(0)
    model = build(keras, qkeras)
    generator = np.random.default_rng(1)
    for layer in model._flatten_layers(include_self=False):
        for variable in layer.weights:
            name = variable.path.rpartition("/")[2]
            if name in ("kernel", "depthwise_kernel", "bias", "beta", "moving_mean", "gamma"):
                variable.assign(generator.normal(0.1, 0.7, variable.shape))
            elif name == "moving_variance":
                variable.assign(generator.uniform(0.3, 3, variable.shape))
    x = np.round(generator.normal(0, 2, (40, *model.input_shape[1:])) * 8).astype(np.float32) / 8
    before = [np.asarray(variable) for variable in model.variables]
    network = network_of(model)
    assert_same_outputs(model, network, x)
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, np.asarray(variable))


def test_a_quantizer_is_described_as_it_computes(keras: Any, qkeras: Any) -> None:
    """Of numbers below 0 quantized_relu_po2 of qkeras-v3 1.2 makes powers of two, for want of a slope of 0."""
    from fkeras.frontends.keras3.network import network_of

    x = inputs = keras.Input((3,))
    model = keras.Model(inputs, qkeras.QActivation("quantized_relu_po2(4,4)", name="odd")(x))
    data = np.random.default_rng(0).normal(0, 4, (500, 3)).astype(np.float32)
    golden = np.asarray(model(data, training=False))
    assert (golden[data < 0] > 0).any()
    np.testing.assert_array_equal(network_of(model)([data])[0], golden)


def assert_same_outputs(model: Any, network: Any, x: Any) -> None:
    """The network fits, and computes with wrong words what the layers compute that hold them."""
    from fkeras.frontends.keras3.forward import Forward

    assert rounding_misfit(network, [x]) is None
    assert golden_misfit(network, [x], [np.asarray(model(x, training=False))]) is None
    space = network.memory.space(biases=True)
    forward, generator = Forward(model, space), np.random.default_rng(0)
    for _ in range(4):
        place = space.locate(generator.choice(len(space), 5, replace=False))
        wrong = {}
        for number in np.unique(place.tensor).tolist():
            tensor, here = space.tensors[number], place.tensor == number
            words = tensor.words.copy()
            np.bitwise_xor.at(words, place.element[here], place.mask[here])
            values = tensor.golden.copy()
            changed = words != tensor.words
            values[changed] = tensor.values_of(words, np.arange(tensor.size))[changed]
            wrong[tensor.path] = values.reshape(tensor.shape)
        held = [wrong.get(tensor.path, tensor.golden.reshape(tensor.shape)) for tensor in space.tensors]
        expected = forward([x], held)[0]
        np.testing.assert_allclose(network([x], dict(network.values) | wrong)[0], expected, rtol=1e-6, atol=1e-6)


def test_cells_and_wrapped_layers(keras: Any, qkeras: Any) -> None:
    keras.utils.set_random_seed(2)
    bits, tanh = "quantized_bits(6,1,1,alpha=1)", "quantized_tanh(6)"
    cells = {"kernel_quantizer": bits, "recurrent_quantizer": bits, "bias_quantizer": bits}
    x = inputs = keras.Input((4, 3))
    x = qkeras.QLSTM(4, **cells, return_sequences=True)(x)
    x = keras.layers.TimeDistributed(qkeras.QDense(3, kernel_quantizer=bits, use_bias=False, name="q"), name="td")(x)
    x = qkeras.QGRU(3, **cells, return_sequences=True)(x)
    model = keras.Model(inputs, qkeras.QSimpleRNN(3, **cells, activation=tanh)(x))
    _, lstm, _, gru, rnn = model.layers  # which give the names to their cells
    of_lstm, *of_others = (
        [f"{layer.name}/{layer.cell.name}/{part}" for part in ("kernel", "recurrent_kernel", "bias")]
        for layer in (lstm, gru, rnn)
    )
    paths = [*of_lstm, "td/q/kernel", *of_others[0], *of_others[1]]
    runpy.run_path(str(Path(__file__).with_name("within.py")))["assert_covered"](model, paths)


FIXED = {"flips": [0, 7, 11], "set_to_1": [3], "set_to_0": [1, 5]}


def with_faults(keras: Any, qkeras: Any, prefix: str = "FQ", **arguments: Any) -> Any:
    """All four layers that may have faults of their own, or QKeras' own layers."""
    from fkeras import layers

    home = layers if prefix == "FQ" else qkeras
    conv, depthwise, folded, dense = (
        getattr(home, f"{prefix}{kind}") for kind in ("Conv2D", "DepthwiseConv2D", "Conv2DBatchnorm", "Dense")
    )
    x = inputs = keras.Input((6, 6, 2))
    x = conv(3, 3, kernel_quantizer="quantized_bits(6,0,1)", name="conv", **arguments)(x)
    x = depthwise(2, depthwise_quantizer="quantized_bits(5,0,1,alpha=0.37)", name="depth", **arguments)(x)
    x = folded(2, 2, kernel_quantizer="quantized_bits(6,0,1,alpha='auto')", name="folded", **arguments)(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, dense(3, kernel_quantizer="ternary()", name="dense", **arguments)(x))


def test_layers_with_faults_of_their_own(keras: Any, qkeras: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    plain, fixed = with_faults(keras, qkeras, "Q"), with_faults(keras, qkeras, faults=FIXED)
    fixed.set_weights(plain.get_weights())
    x = np.random.default_rng(0).normal(size=(9, 6, 6, 2)).astype(np.float32)
    golden, space = plain.predict(x, verbose=0), fkeras.bit_space(plain)
    everywhere = fkeras.FaultSet(
        *(np.concatenate([start + np.array(bits) for start in space.offsets[:-1]]) for bits in FIXED.values())
    )
    with fkeras.injected(plain, everywhere) as view:
        expected = view.predict(x)
    outputs = fixed.predict(x, verbose=0)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(expected - golden).max() > 0.1
    assert fkeras.bit_space(fixed).content_digest == space.content_digest  # its memory is free of its own faults
    with fkeras.injected(fixed, fkeras.FaultSet()) as view:
        np.testing.assert_allclose(view.predict(x), golden, rtol=1e-5, atol=1e-6)
    fixed.save(tmp_path / "m.keras")
    loaded = fkeras.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), outputs)
    assert loaded.get_layer("conv").faults == fkeras.FaultSet(**FIXED)


def test_layers_with_a_bit_error_rate(keras: Any, qkeras: Any, tmp_path: Path) -> None:
    """Other faults at each call, the same ones after loading; they act while the model trains."""
    noisy = with_faults(keras, qkeras, ber=0.02, seed=3)
    x = np.random.default_rng(0).normal(size=(9, 6, 6, 2)).astype(np.float32)
    noisy.save(tmp_path / "m.keras")
    again = fkeras.load_model(tmp_path / "m.keras")
    outputs = [np.asarray(noisy(x)) for _ in range(3)]
    assert len({output.tobytes() for output in outputs}) == 3
    assert {np.asarray(again(x)).tobytes() for _ in range(3)} == {output.tobytes() for output in outputs}
    noisy.compile("sgd", "mse")
    before = noisy.get_weights()
    noisy.fit(x, np.zeros((9, 3)), epochs=1, verbose=0)
    after = noisy.get_weights()
    assert [part.shape for part in before] == [part.shape for part in after]
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    with pytest.raises(UnsupportedError, match="gives other outputs at each call"):
        fkeras.oracle(noisy, (x, np.zeros((9, 3), np.float32)), metric="mean_squared_error", bits=[0])
