"""The layers with faults of their own: equal to their QKeras layer without, to an injected twin with."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.errors import InputError

FIXED = {"flips": [0, 7, 11], "set_to_1": [3], "set_to_0": [1, 5]}


@pytest.fixture(scope="module")
def network(tf, q):
    """All four kinds in one network, as QKeras' own layers or as FQ layers."""
    from fkeras import layers

    def build(faulty: bool = True, **arguments):
        names = ("Conv2D", "DepthwiseConv2D", "Conv2DBatchnorm", "Dense")
        conv, depthwise, folded, dense = (getattr(layers, f"FQ{n}") if faulty else getattr(q, f"Q{n}") for n in names)
        inputs = tf.keras.Input((6, 6, 2))
        h = conv(3, 3, kernel_quantizer="quantized_bits(6,0,1)", name="conv", **arguments)(inputs)
        h = depthwise(2, depthwise_quantizer="quantized_bits(5,0,1,alpha=0.37)", name="depth", **arguments)(h)
        h = folded(2, 2, kernel_quantizer="quantized_bits(6,0,1,alpha='auto')", name="folded", **arguments)(h)
        h = tf.keras.layers.Flatten()(h)
        return tf.keras.Model(
            inputs,
            dense(3, kernel_quantizer="ternary()", bias_quantizer="quantized_bits(6,0,1)", name="dense", **arguments)(
                h
            ),
        )

    return build


@pytest.fixture(scope="module")
def plain(network, kit):
    model = kit.randomize(network(faulty=False))
    return model, kit.data_for(model), model.predict(kit.data_for(model), verbose=0)


@pytest.fixture(scope="module")
def fixed(network, plain):
    model = network(faults=FIXED)
    model.set_weights(plain[0].get_weights())
    return model


def test_without_faults_they_are_qkeras_layers(network, plain, kit):
    model, x, golden = plain
    for arguments in ({}, {"ber": 0.0}, {"faults": []}):
        same = network(**arguments)
        same.set_weights(model.get_weights())
        assert kit.same(same.predict(x, verbose=0), golden)


def everywhere(space):
    """FIXED in every tensor of a space."""
    return fkeras.FaultSet(
        *(
            np.concatenate([start + np.array(FIXED[name]) for start in space.offsets[:-1]])
            for name in ("flips", "set_to_1", "set_to_0")
        )
    )


def test_fixed_faults_are_those_of_an_injected_twin(plain, fixed, kit):
    model, x, golden = plain
    with fkeras.injected(model, everywhere(fkeras.bit_space(model))) as view:
        expected = view.predict(x)
    assert kit.same(fixed.predict(x, verbose=0), expected)
    assert not kit.same(expected, golden)


def test_their_memory_is_free_of_their_own_faults(plain, fixed, kit):
    """Reading gives the fault-free words; a view has the faults given to it and no others."""
    model, x, golden = plain
    space = fkeras.bit_space(fixed)
    assert space.content_digest == fkeras.bit_space(model).content_digest
    with fkeras.injected(fixed, fkeras.FaultSet(), space=space) as view:
        assert kit.same(view.predict(x), golden)
    with fkeras.injected(fixed, everywhere(space), space=space) as view:
        assert kit.same(view.predict(x), fixed.predict(x, verbose=0))


@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
def test_save_and_load(plain, fixed, kit, tmp_path, name):
    _, x, _ = plain
    fixed.save(tmp_path / name)
    loaded = fkeras.load_model(tmp_path / name)
    assert kit.same(loaded.predict(x, verbose=0), fixed.predict(x, verbose=0))
    assert loaded.get_layer("conv").faults == fkeras.FaultSet(**FIXED)


def test_a_bit_error_rate_draws_anew_at_each_call_and_the_same_after_loading(network, plain, kit, tmp_path):
    model, x, golden = plain
    noisy = network(ber=0.02, seed=3)
    noisy.set_weights(model.get_weights())
    noisy.save(tmp_path / "m.keras")
    outputs = [noisy(x).numpy() for _ in range(3)]
    assert len({output.tobytes() for output in [*outputs, golden]}) == 4
    again = fkeras.load_model(tmp_path / "m.keras")
    assert all(kit.same(again(x).numpy(), output) for output in outputs)
    other = network(ber=0.02, seed=4)
    other.set_weights(model.get_weights())
    assert not kit.same(other(x).numpy(), outputs[0])


def test_every_bit_is_hit_at_the_rate(tf, q):
    """10,000 binary weights: the outputs of a unit vector are the weights themselves."""
    from fkeras.layers import FQDense

    layer = FQDense(
        10_000, use_bias=False, kernel_quantizer=q.binary(alpha=1.0), kernel_initializer="ones", ber=0.1, name="rate"
    )
    wrong = [(layer(np.ones((1, 1), np.float32)).numpy() == -1).mean() for _ in range(4)]
    assert all(abs(share - 0.1) < 5 * 0.003 for share in wrong)
    assert len(set(wrong)) > 1


def test_gradients_pass_straight_through(tf, q):
    from fkeras.layers import FQDense

    layer = FQDense(3, use_bias=False, kernel_quantizer="quantized_bits(6,0,1,alpha=1)", faults=[0, 6, 17])
    twin = q.QDense(3, use_bias=False, kernel_quantizer="quantized_bits(6,0,1,alpha=1)")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    gradients = []
    for one in (layer, twin):
        one.build((None, 4))
        one.kernel.assign(np.random.default_rng(1).normal(0, 0.3, (4, 3)))
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(one(x) * np.arange(15, dtype=np.float32).reshape(5, 3))
        gradients.append(tape.gradient(loss, one.kernel).numpy())
    assert np.array_equal(*gradients)
    assert np.abs(gradients[0]).min() > 0


def test_faults_act_while_training(network, plain):
    model, x, _ = plain
    noisy = network(ber=0.02, seed=3)
    noisy.set_weights(model.get_weights())
    noisy.compile("sgd", "mse")
    noisy.fit(x, np.zeros((7, 3)), epochs=1, verbose=0)
    model.compile("sgd", "mse")
    before = model.get_weights()
    try:
        model.fit(x, np.zeros((7, 3)), epochs=1, verbose=0)
        assert [w.shape for w in noisy.get_weights()] == [w.shape for w in model.get_weights()]
        assert np.abs(noisy.get_weights()[0] - model.get_weights()[0]).max() > 1e-6
    finally:
        model.set_weights(before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"faults": [0], "ber": 0.1}, "layer 'd': faults and ber are both given"),
        ({"ber": 2}, "ber is 2, a probability per bit"),
        ({"ber": 0.1, "seed": 0.5}, "layer 'd': seed is 0.5; allowed are whole numbers"),
        ({"faults": [72]}, "layer 'd': bit 72 does not exist: its kernel has 12 words of 6 bits, 0 to 71"),
        ({"faults": [1, 1]}, "flips: bit 1 is named twice"),
        ({"faults": {"flip": [1]}}, "layer 'd': faults has the key 'flip'; allowed are flips, set_to_1, set_to_0"),
        ({"faults": fkeras.FaultSet([1], layout_digest="a" * 64)}, "belong to the memory of a whole model"),
        ({"faults": [0], "kernel_quantizer": None}, "layer 'd': faults hit the words of a quantized kernel"),
        (
            {"faults": [0], "kernel_quantizer": "quantized_bits(20,0,1,alpha=1)"},
            "20-bit words; a layer with faults takes",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(tf, arguments, message):
    from fkeras.layers import FQDense

    with pytest.raises(InputError, match=message):
        FQDense(3, name="d", **{"kernel_quantizer": "quantized_bits(6,0,1,alpha=1)", **arguments}).build((None, 4))
