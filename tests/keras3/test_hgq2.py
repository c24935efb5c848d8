"""HGQ2 models as networks: their words, and what they compute, fault-free and with flipped bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fkeras.engines.cpu.run import CpuRun
from fkeras.metrics.named import resolve
from fkeras.network import Network
from fkeras.network.fit import golden_misfit, rounding_misfit

MODELS = ("hgq_mlp", "hgq_cnn", "hgq_bn")
MEMORIES = {"quantizer": "flip", "hls4ml": "uni_flip"}


@pytest.fixture(scope="session")
def trained(keras3_data: Path, keras: Any, hgq: Any) -> Callable[[str], tuple[Any, Any]]:
    """A trained model and its truth by name."""

    @cache
    def load(name: str) -> tuple[Any, Any]:
        model = keras.models.load_model(keras3_data / "models" / f"{name}.keras", compile=False)
        with np.load(keras3_data / f"{name}.npz") as truth:
            return model, dict(truth)

    return load


def inputs_of(model: Any, truth: Any) -> np.ndarray[Any, Any]:
    return (truth["x16"] / np.float32(16)).reshape(len(truth["x16"]), *model.input_shape[1:])


@pytest.mark.parametrize("name", MODELS)
def test_the_words_of_trained_models(trained: Any, name: str) -> None:
    from fkeras.frontends.keras3.inventory import inventory_of

    model, truth = trained(name)
    own, uniform = (inventory_of(model, memory).space() for memory in ("quantizer", "hls4ml"))
    assert [tensor.path for tensor in own.tensors] == [f"{layer}/kernel" for layer in truth["layers"]]
    for number, (mine, theirs) in enumerate(zip(own.tensors, uniform.tensors, strict=True)):
        width = truth[f"L{number}_width"].reshape(-1).astype(np.int64)
        code = truth[f"L{number}_code"].reshape(-1).astype(np.int64)
        np.testing.assert_array_equal(mine.layout.widths, width)
        np.testing.assert_array_equal(mine.words, np.where(width, code & ((1 << width) - 1), 0))
        np.testing.assert_array_equal(mine.golden, truth[f"L{number}_value"].reshape(-1))
        wide, integer, signed = (int(truth[f"L{number}_uni_{part}"]) for part in ("W", "I", "signed"))
        assert (theirs.codec.width, theirs.codec.integer, theirs.codec.signed) == (wide, integer - signed, signed)
        code = truth[f"L{number}_uni_code"].reshape(-1).astype(np.int64)
        np.testing.assert_array_equal(theirs.words, code & ((1 << wide) - 1))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("memory", MEMORIES)
def test_single_flips_of_trained_models(trained: Any, name: str, memory: Any) -> None:
    from fkeras.frontends.keras3.network import network_of

    model, truth = trained(name)
    network, x, flips = network_of(model, memory), inputs_of(model, truth), MEMORIES[memory]
    assert rounding_misfit(network, [x]) is None
    assert golden_misfit(network, [x], [truth["golden"]]) is None
    space, bits = network.memory.space(), truth[f"{flips}_bit"].astype(np.int64)
    place = space.locate(bits)
    for part, mine in (("layer", place.tensor), ("element", place.element), ("pos", place.bit)):
        np.testing.assert_array_equal(mine, truth[f"{flips}_{part}"])
    run = CpuRun(network, space, x, truth["labels"], {"mispredictions": resolve("mispredictions")})
    mispredictions = run.flips(bits)["mispredictions"].values * len(x)
    np.testing.assert_allclose(mispredictions, truth[f"{flips}_wrong"], rtol=1e-12)
    run = CpuRun(network, space, x, truth["golden"], {"mean_squared_error": resolve("mean_squared_error")})
    error = run.flips(bits)["mean_squared_error"].values
    np.testing.assert_allclose(error, truth[f"{flips}_mse"], rtol=1e-12)


def quantizers_of(layer: Any) -> Iterator[Any]:
    """The fixed-point quantizers that a layer holds."""
    for part in layer._flatten_layers():
        if hasattr(part, "kif"):
            yield part


def randomized(model: Any, x: Any, seed: int) -> Any:
    """The model with random numbers and widths, as if trained, its ranges traced."""
    from hgq.utils import trace_minmax

    generator = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False):
        for variable in getattr(layer, "_trainable_variables", []) + getattr(layer, "_non_trainable_variables", []):
            name = variable.path.rpartition("/")[2]
            if name in ("b", "f"):
                variable.assign(generator.uniform(1, 5.4, variable.shape))
            elif name == "i" and variable.trainable:
                variable.assign(generator.uniform(-1.4, 2.4, variable.shape))
            elif name in ("kernel", "bias", "gamma", "bn_gamma", "bn_beta", "moving_mean"):
                variable.assign(generator.normal(0.3, 1, variable.shape))
            elif name == "moving_variance":
                variable.assign(generator.uniform(0.3, 3, variable.shape))
    trace_minmax(model, x, batch_size=len(x))
    return model


@contextmanager
def holding(model: Any, values: dict[str, Any]) -> Iterator[None]:
    """Within the block the layers of a model compute with these kernels and biases, by path."""
    from fkeras.frontends.keras3.graph import walk
    from fkeras.frontends.keras3.setup import keras

    replaced = []
    try:
        for path, layer in walk(model):
            for name, attribute in (("kernel", "_kq"), ("bias", "_bq")):
                if f"{path}/{name}" in values:
                    held = keras().ops.convert_to_tensor(values[f"{path}/{name}"])
                    replaced.append((layer, attribute, layer.__dict__[attribute]))
                    object.__setattr__(layer, attribute, lambda x, training=None, held=held: held)
        yield
    finally:
        for layer, attribute, quantizer in replaced:
            object.__setattr__(layer, attribute, quantizer)


def outputs_of(model: Any, x: Sequence[Any]) -> list[Any]:
    outputs = model(list(x) if len(x) > 1 else x[0], training=False)
    return [np.asarray(output) for output in (outputs if isinstance(outputs, list | tuple) else [outputs])]


def assert_same_outputs(model: Any, network: Network, x: Sequence[Any], faulty: int = 4) -> None:
    """The network fits, and computes with wrong words what the layers compute that hold them."""
    assert rounding_misfit(network, x) is None
    assert golden_misfit(network, x, outputs_of(model, x)) is None
    space = network.memory.space(biases=True)
    generator = np.random.default_rng(0)
    for _ in range(faulty):
        bits = generator.choice(len(space), min(5, len(space)), replace=False)
        wrong = wrong_values(space, bits)
        with holding(model, wrong):
            expected = outputs_of(model, x)
        for mine, theirs in zip(network(x, dict(network.values) | wrong), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)


def wrong_values(space: Any, bits: Any) -> dict[str, Any]:
    """The tensors with flipped bits."""
    place, values = space.locate(bits), {}
    for number in np.unique(place.tensor).tolist():
        tensor, here = space.tensors[number], place.tensor == number
        words = tensor.words.copy()
        np.bitwise_xor.at(words, place.element[here], place.mask[here])
        values[tensor.path] = tensor.values_of(words, np.arange(tensor.size)).reshape(tensor.shape)
    return values


def dense(keras: Any, hgq: Any, scope: Any) -> Any:
    with scope("per_element"):
        layers = [hgq.QDense(6, activation="relu"), hgq.QDense(5), keras.layers.Dropout(0.5), hgq.QDense(3)]
    return keras.Sequential([keras.Input((7,)), *layers])


def per_tensor(keras: Any, hgq: Any, scope: Any) -> Any:
    with scope("per_tensor"):
        layers = [hgq.QDense(6, activation="relu", enable_oq=True), hgq.QDense(3, use_bias=False)]
    return keras.Sequential([keras.Input((7,)), *layers])


def sequence(keras: Any, hgq: Any, scope: Any) -> Any:
    with scope("per_tensor"):
        x = inputs = keras.Input((12, 2))
        x = hgq.QConv1D(4, 3, padding="causal", activation="relu", enable_ebops=False)(x)
        x = hgq.QMaxPooling1D(2)(x)
        x = hgq.QConv1D(3, 2, strides=2, padding="same")(x)
        x = hgq.QGlobalMaxPooling1D()(x)
    return keras.Model(inputs, x)


def image(keras: Any, hgq: Any, scope: Any) -> Any:
    with scope("per_channel"):
        x = inputs = keras.Input((8, 8, 2))
        x = hgq.QConv2D(4, 3, strides=2, padding="same", activation="relu")(x)
        x = hgq.QConv2D(4, 2, groups=2, dilation_rate=1)(x)
        x = keras.layers.ZeroPadding2D(1)(x)
        x = hgq.QAveragePooling2D(2)(x)
        x = keras.layers.Flatten()(x)
        x = hgq.QDense(3)(x)
    return keras.Model(inputs, x)


def einsum(keras: Any, hgq: Any, scope: Any) -> Any:
    with scope("per_tensor"):
        x = inputs = keras.Input((4, 3))
        x = hgq.QEinsumDense("bnc,cd->bnd", (4, 5), bias_axes="d", activation="relu")(x)
        x = hgq.QEinsumDense("bnc,ncd->bdn", (2, 4), bias_axes="dn")(x)
        x = hgq.QEinsumDense("...n,nm->...m", 3, bias_axes="m", enable_ebops=False)(x)
        x = hgq.QEinsumDense("bdn,ndk->bk", (3,))(x)
    return keras.Model(inputs, x)


def norms(keras: Any, hgq: Any, scope: Any) -> Any:
    with scope("per_element"):
        x = inputs = keras.Input((6,))
        x = hgq.QBatchNormDense(5, activation="relu")(x)
        x = hgq.QBatchNormalization()(x)
        x = hgq.QEinsumDenseBatchnorm("bc,cd->bd", (4,), bias_axes="d")(x)
        x = hgq.QDense(3)(x)
    return keras.Model(inputs, x)


def merges(keras: Any, hgq: Any, scope: Any) -> Any:
    with scope("per_element"):
        a, b = inputs = [keras.Input((6,), name="a"), keras.Input((6,), name="b")]
        x, y = hgq.QDense(4)(a), hgq.QDense(4)(b)
        parts = [
            hgq.QAdd()([x, y]),
            hgq.QSubtract()([x, y]),
            hgq.QMultiply()([x, y]),
            hgq.QMaximum()([x, y]),
            hgq.QMinimum()([x, y]),
            hgq.QAveragePow2()([x, y, x]),
        ]
        x = keras.layers.Concatenate()(parts)
        x = hgq.QSum(axes=1, scale=0.5, keepdims=True)(keras.layers.Reshape((6, 4))(x))
        outputs = [hgq.QDense(3, name="first")(keras.layers.Flatten()(x)), y]
    return keras.Model(inputs, outputs)


def tables(keras: Any, hgq: Any, scope: Any) -> Any:
    with scope("per_tensor"):
        x = inputs = keras.Input((6,))
        x = hgq.QDense(5)(x)
        x = hgq.QUnaryFunctionLUT("tanh")(x)
        x = hgq.QDense(4)(x)
        x = hgq.QSoftmax()(x)
    return keras.Model(inputs, x)


def nested(keras: Any, hgq: Any, scope: Any) -> Any:
    with scope("per_tensor"):
        inner = keras.Sequential([keras.Input((5,)), hgq.QDense(5, activation="relu", name="twice")], name="inner")
        x = inputs = keras.Input((5,))
        x = hgq.QDense(3, name="last")(inner(inner(x)))
    return keras.Model(inputs, x)


ZOO = (dense, per_tensor, sequence, image, einsum, norms, merges, tables, nested)


@pytest.fixture(scope="session")
def scope(hgq: Any) -> Callable[[str], Any]:
    """Quantizers for the layers made within it: a width for each tensor, channel, or element."""
    from contextlib import ExitStack

    from hgq.config import QuantizerConfigScope

    def enter(kind: str) -> Any:
        stack = ExitStack()
        axes = {
            "per_tensor": {"heterogeneous_axis": ()},
            "per_channel": {"heterogeneous_axis": (-1,)},
            "per_element": {},
        }[kind]
        overflow = {"per_tensor": "SAT", "per_channel": "SAT_SYM", "per_element": "WRAP"}[kind]
        rounding = {"per_tensor": "RND_CONV", "per_channel": "TRN", "per_element": "RND"}[kind]
        weight_type = {"per_tensor": "kbi", "per_channel": "kif", "per_element": "kif"}[kind]
        stack.enter_context(QuantizerConfigScope(("kbi", "kif"), overflow_mode=overflow, round_mode=rounding, **axes))
        stack.enter_context(QuantizerConfigScope(place="weight", default_q_type=weight_type))
        return stack

    return enter


@pytest.mark.parametrize("build", ZOO)
@pytest.mark.parametrize("memory", MEMORIES)
def test_networks_of_random_models(keras: Any, hgq: Any, scope: Any, build: Any, memory: Any) -> None:
    from fkeras.frontends.keras3.network import network_of

    model = build(keras, hgq, scope)
    generator = np.random.default_rng(1)
    x = [np.round(generator.normal(0, 2, (40, *part.shape[1:])) * 8).astype(np.float32) / 8 for part in model.inputs]
    randomized(model, x if len(x) > 1 else x[0], seed=2)
    assert_same_outputs(model, network_of(model, memory), x)
