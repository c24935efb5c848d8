"""The law of pointwise arithmetic: it is the network's bias, activation and quantizer, or it is refused."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras import network as fn
from fkeras.engines.cpu.plan import plan_of
from fkeras.engines.cpu.pointwise import pointwise_of, unsaturated
from fkeras.engines.cpu.rows import largest_sum
from fkeras.memory import WordTensor
from fkeras.memory.codecs import FixedPoint
from fkeras.memory.inventory import Inventory, LayerMemory

RELU_4, BITS_6, BITS_5 = fn.Quantize(0.125, 0, 15), fn.Quantize(0.125, -32, 31), fn.Quantize(0.0625, -16, 15)


def plan_with(bias: np.ndarray, *operations: fn.Operation, **constants: np.ndarray):
    """A dense layer of 3 channels with a bias and what follows; its plan."""
    codec, rng = FixedPoint(5, 1), np.random.default_rng(0)
    words = rng.integers(0, 32, 12).astype(np.uint32)
    kernel = WordTensor("kernel", (4, 3), codec, words, np.ones(12, np.float32), codec.decode(words).astype(np.float32))
    nodes = [fn.Node("input", fn.Quantize(0.0625, -32, 31), ("x",)), fn.Node("sum", fn.Dense("kernel"), ("input",))]
    for number, operation in enumerate((fn.Bias("bias"), *operations)):
        nodes.append(fn.Node(f"after {number}", operation, (nodes[-1].name,)))
    memory = Inventory("m", (LayerMemory("dense", (kernel,)),))
    constants["bias"] = bias.astype(np.float32)
    network = fn.Network("m", (fn.Input("x", (4,)),), tuple(nodes), (nodes[-1].name,), ("y",), memory, constants)
    return plan_of(network, memory.space(), {"x": fn.Grid(None, 1.0, True)})


@pytest.mark.parametrize("bias", [np.array([0.0, 0.1234567, -3.3]), np.array([0.25, -0.5, 1.0])])
@pytest.mark.parametrize(
    "operations",
    [
        (),
        (fn.Relu(),),
        (fn.Relu(0.0, 1.5),),
        (RELU_4,),
        (BITS_6,),
        (fn.Relu(), BITS_5),
        (fn.Quantize(0.125, 0, 15, through="relu"),),
    ],
)
def test_pointwise_is_what_the_network_does_for_every_sum(bias, operations) -> None:
    plan = plan_with(bias, *operations)
    site = plan.sites[0]
    pointwise = pointwise_of(site, largest_sum(site))
    assert pointwise is not None
    sums = np.arange(-largest_sum(site), largest_sum(site) + 1)
    for channel in range(site.bias.size):
        truth = (sums * site.sum_step).astype(np.float32) + bias[channel].astype(np.float32)
        for operation in operations:
            truth = operation.compute({}, truth)
        ours = pointwise.levels(sums.astype(np.float32), channel) * np.float32(pointwise.step)
        np.testing.assert_array_equal(ours, truth)


@pytest.mark.parametrize(
    "operation",
    [
        fn.Quantize(0.125, -32, 31, rounding="half_up"),
        fn.Quantize(0.125, -8, 7, overflow="wrap"),
        fn.Quantize(0.125, "low", 31),
        fn.Steps("thresholds", "levels"),
    ],
)
def test_what_is_no_such_arithmetic_is_refused(operation) -> None:
    constants = {"low": [-3, -4, -9], "thresholds": [-0.3, 0.3], "levels": [-1, 0, 1]}
    used = {name: np.array(constants[name], np.float32) for name in operation.parameters}
    site = plan_with(np.zeros(3), operation, **used).sites[0]
    assert pointwise_of(site, largest_sum(site)) is None


def test_a_second_quantizer_is_left_to_the_suffix() -> None:
    plan = plan_with(np.zeros(3), fn.Quantize(2.0**-5, -128, 127), fn.Quantize(0.25, 0, 7))
    site = plan.sites[0]
    assert [node.name for node in site.segment] == ["after 0", "after 1"]
    row, _ = plan.flow(site)
    assert row.links[-1].end == site.end


def test_unsaturated_is_where_values_differ_from_the_ends() -> None:
    sums = np.arange(-10, 11)
    assert unsaturated(sums, np.clip(sums, -2, 3).astype(np.float32)) == (-2, 3)
    assert unsaturated(sums, np.zeros(21, np.float32)) == (-10, -10)
    assert unsaturated(sums, (sums > 4).astype(np.float32)) == (4, 5)
