"""The law of pointwise arithmetic: it is the network's bias, activation and quantizer, or it is refused."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.frontends.qkeras.fast.plan import plan_of
from fkeras.frontends.qkeras.fast.pointwise import reach, unsaturated
from fkeras.frontends.qkeras.setup import qkeras, tensorflow


def plan_with(bias: np.ndarray, *activations: str, bias_quantizer=None):
    """A dense layer of 3 channels with a bias and some activations; its plan."""
    keras, q = tensorflow().keras, qkeras()
    inputs = keras.Input((4,))
    options = {"kernel_quantizer": "quantized_bits(5,1,alpha=1)", "bias_quantizer": bias_quantizer}
    x = q.QDense(3, **options)(q.QActivation("quantized_bits(6,1,alpha=1)")(inputs))
    for activation in activations:
        x = (keras.layers.Activation("relu") if activation == "relu" else q.QActivation(activation))(x)
    model = keras.Model(inputs, x)
    kernel = np.random.default_rng(0).normal(0, 1, (4, 3)).astype("float32")
    model.set_weights([kernel, bias.astype("float32")])
    return model, plan_of(model, fkeras.bit_space(model), [np.zeros((1, 4), np.float32)])


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
@pytest.mark.parametrize("bias", [np.array([0.0, 0.1234567, -3.3]), np.array([0.25, -0.5, 1.0])])
@pytest.mark.parametrize(
    "activations",
    [
        (),
        ("relu",),
        ("quantized_relu(4,1)",),
        ("quantized_bits(6,2,alpha=1)",),
        ("relu", "quantized_bits(5,0,alpha=1)"),
    ],
)
def test_pointwise_is_what_the_network_does_for_every_sum(bias: np.ndarray, activations: tuple[str, ...]) -> None:
    model, plan = plan_with(bias, *activations)
    site = plan.sites[0]
    pointwise = plan.pointwise(site)
    assert pointwise is not None
    after = tensorflow().keras.Sequential(model.layers[3:]) if activations else (lambda x: x)
    for channel, most in enumerate(reach(site)):
        sums = np.arange(-most, most + 1)
        values = (sums * site.sum_step).astype(np.float32) + bias[channel].astype(np.float32)
        truth = np.asarray(after(values[:, None]))[:, 0]
        ours = pointwise.levels(sums.astype(np.float32), channel) * np.float32(pointwise.step)
        np.testing.assert_array_equal(ours, truth)


@pytest.mark.filterwarnings("ignore:The initializer .* is unseeded")
def test_a_second_quantizer_is_left_to_the_suffix() -> None:
    model, plan = plan_with(np.zeros(3), "quantized_bits(8,2,alpha=1)", "quantized_relu(3,1)")
    site = plan.sites[0]
    assert [call.layer for call in site.segment] == [model.layers[3]]
    assert plan.end(site) == site.end


def test_unsaturated_is_where_values_differ_from_the_ends() -> None:
    sums = np.arange(-10, 11)
    assert unsaturated(sums, np.clip(sums, -2, 3).astype(np.float32)) == (-2, 3)
    assert unsaturated(sums, np.zeros(21, np.float32)) == (-10, -10)
    assert unsaturated(sums, (sums > 4).astype(np.float32)) == (4, 5)
