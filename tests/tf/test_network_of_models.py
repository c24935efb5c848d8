"""The law of the front end: a model's network holds its words, and computes what the model computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import fkeras
from fkeras.frontends.description import NotDescribed
from fkeras.frontends.qkeras.forward import Forward, golden_values, patched_values
from fkeras.frontends.qkeras.framework import all_outputs
from fkeras.frontends.qkeras.inventory import inventory_of
from fkeras.frontends.qkeras.network import network_of
from fkeras.frontends.qkeras.tracing import flat_data
from fkeras.models import start_run
from fkeras.network import Network
from fkeras.network.file import write_network
from fkeras.network.fit import golden_misfit, rounding_misfit

MODELS = ["econ_t_small", "econ_t_medium", "econ_t_large", "rn07_cifar10"]


def assert_same_memory(model: Any, network: Network) -> None:
    """The network's inventory gives the spaces that the model itself gives."""
    for biases in (False, True):
        expected, actual = fkeras.bit_space(model, biases=biases), network.memory.space("*", biases)
        assert actual.layout_digest == expected.layout_digest
        assert actual.content_digest == expected.content_digest
        assert actual.uncovered == expected.uncovered
        assert [entry.parts for entry in actual.uncovered] == [entry.parts for entry in expected.uncovered]
        for mine, theirs in zip(actual.tensors, expected.tensors, strict=True):
            np.testing.assert_array_equal(mine.golden, theirs.golden)


def assert_same_outputs(model: Any, network: Network, x: Any, n_faulty: int = 3) -> None:
    """The network fits, fault-free and with many words wrong, or says why it does not."""
    space = fkeras.bit_space(model, biases=True)
    inputs, forward = flat_data(model, x), Forward(model, space)
    golden = _listed(all_outputs(forward, inputs, golden_values(space)))
    assert rounding_misfit(network, inputs) is None
    assert golden_misfit(network, inputs, golden) is None
    generator = np.random.default_rng(0)
    for _ in range(n_faulty):
        bits = generator.choice(len(space), min(5, len(space)), replace=False)
        values = patched_values(space, golden_values(space), fkeras.FaultSet(bits).patches(space))
        faulty = dict(network.values) | {tensor.path: v for tensor, v in zip(space.tensors, values, strict=True)}
        expected = _listed(all_outputs(forward, inputs, values))
        for output, theirs in zip(network(inputs, faulty), expected, strict=True):
            np.testing.assert_allclose(output, theirs, rtol=1e-6, atol=1e-6)


def _listed(outputs: Any) -> Sequence[Any]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.mark.parametrize("name", MODELS)
def test_the_networks_of_real_models(shared_data, name: str) -> None:
    model = fkeras.load_model(shared_data / "models" / f"{name}.h5")
    network = network_of(model)
    assert_same_memory(model, network)
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (20, *model.input_shape[1:])).astype(np.float32) / 256
    assert_same_outputs(model, network, x)


def test_the_network_of_a_model_with_much_in_it(q, tf, kit) -> None:
    keras = tf.keras
    bits, kernel = "quantized_bits(6,1,alpha=1)", {"kernel_quantizer": "quantized_bits(5,1,alpha=1)"}
    a, b = keras.Input((6, 6, 2), name="a"), keras.Input((36,), name="b")
    x = q.QActivation(bits)(a)
    x = q.QConv2DBatchnorm(3, 3, padding="same", bias_quantizer=bits, **kernel)(x)
    x = keras.layers.ReLU()(x)
    x = q.QActivation("quantized_relu(4,1)")(x)
    x = q.QDepthwiseConv2D(2, strides=2, depthwise_quantizer="quantized_bits(4,1,alpha=1)", bias_quantizer=bits)(x)
    x = keras.layers.MaxPooling2D(2, padding="same")(q.QActivation("quantized_relu(4,1)")(x))
    y = q.QDense(12, activation="quantized_relu(4,1)", bias_quantizer=bits, **kernel)(q.QActivation(bits)(b))
    x = keras.layers.Concatenate()([keras.layers.Flatten()(x), y])
    logits = q.QDense(4, name="logits", bias_quantizer=bits, **kernel)(x)
    model = kit.randomize(keras.Model([a, b], [keras.layers.Softmax(name="p")(logits), logits]))
    network = network_of(model)
    assert [part.name for part in network.inputs] == ["a", "b"]
    assert network.output_names == ("p", "logits")
    assert_same_memory(model, network)
    x = [np.round(part * 16) / 16 for part in kit.data_for(model)]
    assert_same_outputs(model, network, x)


@pytest.mark.parametrize(
    ("build", "layer", "why"),
    [
        (lambda q, tf: tf.keras.layers.Lambda(lambda x: x + 1, name="mine"), "mine", "type Lambda"),
        (lambda q, tf: q.QActivation("ternary(alpha='auto')", name="mine"), "mine", "depends on what it quantizes"),
        (lambda q, tf: tf.keras.layers.Activation(lambda x: x, name="mine"), "mine", "not known"),
    ],
)
def test_what_is_not_described_is_named(q, tf, build: Any, layer: str, why: str) -> None:
    inputs = tf.keras.Input((4,))
    hidden = q.QDense(3, kernel_quantizer="quantized_bits(4,0,alpha=1)")(inputs)
    model = tf.keras.Model(inputs, build(q, tf)(hidden))
    with pytest.raises(NotDescribed, match=why) as caught:
        network_of(model)
    assert caught.value.layer == layer


def test_a_quantizer_of_rounded_sums_does_not_fit(q, tf, kit) -> None:
    inputs = tf.keras.Input((4,))
    hidden = q.QDense(3, kernel_quantizer="quantized_bits(4,0,alpha=0.3)", name="dense")(inputs)
    model = kit.randomize(tf.keras.Model(inputs, q.QActivation("quantized_relu(4,1)", name="relu")(hidden)))
    found = rounding_misfit(network_of(model), flat_data(model, kit.data_for(model)))
    assert found is not None
    assert found.node == "relu/activation"


def test_the_inventory_of_a_model_holds_what_a_choice_leaves_out(q, tf, kit) -> None:
    inputs = tf.keras.Input((4,))
    hidden = q.QDense(3, kernel_quantizer="quantized_bits(4,0,alpha=1)", name="a")(inputs)
    outputs = tf.keras.layers.Dense(2, name="c")(q.QDense(3, kernel_quantizer="ternary(alpha=1)", name="b")(hidden))
    model = kit.randomize(tf.keras.Model(inputs, outputs))
    inventory = inventory_of(model)
    for layers in ("a", "b", ["*", "!a"]):
        for biases in (False, True):
            expected, actual = fkeras.bit_space(model, layers, biases), inventory.space(layers, biases)
            assert actual.content_digest == expected.content_digest
            assert actual.uncovered == expected.uncovered
    messages = []
    for space in (inventory.space, lambda layers: fkeras.bit_space(model, layers)):
        with pytest.raises(fkeras.ModelError, match="no quantized kernel") as caught:
            space("c")
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def model_with_unknown_words(q: Any, tf: Any, kit: Any) -> Any:
    """Of which nobody knows the words of odd/kernel and of half/bias."""
    known, unknown = "quantized_bits(4,0,alpha=1)", "quantized_tanh(4)"
    inputs = tf.keras.Input((4,))
    x = q.QActivation("quantized_relu(4,1)")(q.QDense(5, kernel_quantizer=known, name="first")(inputs))
    x = q.QActivation("quantized_relu(4,1)")(q.QDense(5, kernel_quantizer=unknown, name="odd")(x))
    x = q.QDense(3, kernel_quantizer=known, bias_quantizer=unknown, name="half")(x)
    return kit.randomize(tf.keras.Model(inputs, x))


def test_words_that_nobody_knows_are_refused_where_they_are_asked_for(q, tf, kit, tmp_path) -> None:
    model = model_with_unknown_words(q, tf, kit)
    write_network(network_of(model), tmp_path / "model.fkn")
    networks = network_of(model), fkeras.load_model(tmp_path / "model.fkn")
    for layers, biases in (("!odd", False), ("first", True), (["first", "half"], False), (["!odd", "!half"], True)):
        expected = fkeras.bit_space(model, layers, biases)
        for network in networks:
            actual = network.memory.space(layers, biases)
            assert actual.content_digest == expected.content_digest
            assert actual.uncovered == expected.uncovered
    for layers, biases in (("*", False), ("*", True), ("half", True), ("odd", False), ("!odd", True)):
        with pytest.raises(
            fkeras.UnsupportedError, match="the words of quantizer quantized_tanh are not known"
        ) as error:
            fkeras.bit_space(model, layers, biases)
        for network in networks:
            with pytest.raises(fkeras.UnsupportedError) as same:
                network.memory.space(layers, biases)
            assert str(same.value) == str(error.value)


def test_layers_that_are_left_out_do_not_keep_a_model_from_the_cpu_engine(q, tf, kit) -> None:
    model = model_with_unknown_words(q, tf, kit)
    x = (np.random.default_rng(0).integers(-32, 32, (20, 4)) / 16).astype(np.float32)
    data = x, np.zeros((20, 3))
    oracles = [
        fkeras.Study(model, data, "mean_squared_error", layers="!odd", engine=engine).oracle()
        for engine in ("auto", "framework")
    ]
    assert [oracle.engine for oracle in oracles] == ["cpu", "framework"]
    np.testing.assert_allclose(oracles[0].values, oracles[1].values, rtol=1e-6, atol=1e-9)


def test_what_judges_golden_outputs_does_not_score_them(q, tf, kit) -> None:
    inputs = tf.keras.Input((4,))
    model = kit.randomize(tf.keras.Model(inputs, q.QDense(3, kernel_quantizer="quantized_bits(4,0,alpha=1)")(inputs)))
    scored = []

    def error(targets: Any, outputs: Any) -> Any:
        scored.append(len(outputs))
        return np.zeros(len(outputs))

    data = np.zeros((20, 4), np.float32), np.zeros((20, 3))
    metrics = {"mine": fkeras.metrics.sample_metric(error, "mine", "lower")}
    assert start_run(model, data, metrics).engine == "cpu"
    assert scored == [20]
