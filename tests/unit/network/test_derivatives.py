"""Forwards and backwards say the same of every kind of node, and both what finite differences say."""

import numpy as np
import pytest

from fkeras import network as fn
from fkeras.memory.inventory import Inventory
from fkeras.network.derivatives import Trace
from fkeras.network.fit import exact_nodes
from fkeras.network.sums import WeightedSum
from tests.unit.engines.cpu.test_run import random_network

IMAGE, ROWS, FLAT = (6, 5, 4), (7, 4), (6,)
CASES = {
    "dense": (fn.Dense("p"), [FLAT], (6, 3)),
    "dense on rows": (fn.Dense("p"), [ROWS], (4, 3)),
    "einsum": (fn.Einsum("p", "nab,bca->nca"), [ROWS], (4, 3, 7)),
    "einsum over two axes": (fn.Einsum("p", "nab,abc->nc"), [ROWS], (7, 4, 3)),
    "convolution": (fn.Convolution("p", (1, 1), "valid", (1, 1)), [IMAGE], (3, 2, 4, 5)),
    "strided": (fn.Convolution("p", (2, 3), "same", (1, 1)), [IMAGE], (3, 3, 4, 5)),
    "dilated": (fn.Convolution("p", (1, 1), "same", (2, 1)), [IMAGE], (2, 3, 4, 5)),
    "in groups": (fn.Convolution("p", (1, 1), "same", (1, 1), groups=2), [IMAGE], (3, 3, 2, 6)),
    "causal": (fn.Convolution("p", (1,), "causal", (2,)), [ROWS], (3, 4, 5)),
    "depthwise": (fn.DepthwiseConvolution("p", (2, 1), "same", (1, 1)), [IMAGE], (3, 3, 4, 2)),
    "depthwise over rows": (fn.DepthwiseConvolution("p", (2,), "valid", (1,)), [ROWS], (3, 4, 2)),
    "transposed": (fn.TransposedConvolution("p", (2, 2), "same", (1, 1), (12, 10)), [IMAGE], (3, 3, 2, 4)),
    "transposed, valid": (fn.TransposedConvolution("p", (2, 1), "valid", (1, 1), (13, 7)), [IMAGE], (3, 3, 2, 4)),
    "bias": (fn.Bias("p"), [IMAGE], (4,)),
    "relu": (fn.Relu(), [IMAGE], None),
    "leaky, bounded": (fn.Relu(0.25, 1.0), [IMAGE], None),
    "reshape": (fn.Reshape((10, 12)), [IMAGE], None),
    "permute": (fn.Permute((2, 0, 1)), [IMAGE], None),
    "padding": (fn.ZeroPadding(((1, 2), (0, 1))), [IMAGE], None),
    "cropping": (fn.Cropping(((1, 2), (0, 1))), [IMAGE], None),
    "repeat": (fn.Repeat((2, 3)), [IMAGE], None),
    "max pool": (fn.MaxPool((2, 2), (2, 1), "same"), [IMAGE], None),
    "average pool": (fn.AveragePool((3, 2), (2, 2), "same"), [IMAGE], None),
    "concatenate": (fn.Concatenate(1), [IMAGE, IMAGE], None),
    **{kind: (fn.Merge(kind), [IMAGE, IMAGE], None) for kind in ("add", "subtract", "average", "maximum", "minimum")},
    "multiply": (fn.Merge("multiply"), [IMAGE, IMAGE, IMAGE], None),
    "add to each": (fn.Merge("add"), [IMAGE, (1, 1, 4)], None),
    **{name: (fn.Function(name), [FLAT], None) for name in fn.pointwise.FUNCTIONS},
}


def made(operation, shapes, parameter):
    """A network of one node whose inputs are sums with parameters of their own, so that their slopes are seen too."""
    inputs = tuple(fn.Input(f"x{number}", shape) for number, shape in enumerate(shapes))
    nodes = [fn.Node(f"b{number}", fn.Bias(f"shift{number}"), (f"x{number}",)) for number in range(len(shapes))]
    nodes.append(fn.Node("y", operation, tuple(node.name for node in nodes)))
    rng = np.random.default_rng(7)
    constants = {f"shift{number}": rng.normal(size=shape).astype(np.float32) for number, shape in enumerate(shapes)}
    if parameter is not None:
        constants["p"] = rng.normal(size=parameter).astype(np.float32)
    network = fn.Network("m", inputs, tuple(nodes), ("y",), ("y",), Inventory("m", ()), constants)
    return network, [rng.normal(size=(3, *shape)).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("case", CASES)
def test_the_rules_backwards_are_the_transpose_of_those_forwards_and_of_differences(case):
    network, x = made(*CASES[case])
    rng = np.random.default_rng(1)
    names = list(network.constants)
    along = {name: rng.normal(size=network.values[name].shape) for name in names}
    wide = {name: part.astype(np.float64) for name, part in network.values.items()}
    slope = rng.normal(size=network(x)[0].shape)

    forwards = Trace(network, x, {name: wide[name] + 1e-20j * along[name] for name in names}).outputs[0].imag
    forwards = forwards * 1e20
    backwards = Trace(network, x).pull([slope.astype(np.float32)], names)

    expected = float((slope * forwards).sum())
    assert sum(float((part * along[name]).sum()) for part, name in zip(backwards, names, strict=True)) == pytest.approx(
        expected, rel=1e-4, abs=1e-4
    )
    step = 2e-3
    above, below = (
        network(x, {name: (wide[name] + sign * step * along[name]).astype(np.float32) for name in names})[0]
        for sign in (1, -1)
    )
    differences = (above.astype(np.float64) - below) / (2 * step)
    near = np.abs(differences - forwards) < 2e-2 * (1 + np.abs(forwards))
    assert near.mean() > 0.97  # a difference may straddle a kink


def test_roundings_are_passed_straight_through_as_their_quantizer_has_it():
    x = [np.array([[-3.0, -0.3, 0.3, 0.9, 3.0]], np.float32)]
    expected = {"input": [1, 1, 1, 1, 1], "relu": [0, 0, 1, 1, 1], "range": [0, 0, 1, 0, 0], "": [0, 1, 1, 0, 0]}
    for through, passes in expected.items():
        network, _ = made(fn.Quantize(0.25, -4, 3, through=through), [(5,)], None)
        network.constants["shift0"][:] = 0
        (slope,) = Trace(network, x).pull([np.ones((1, 5), np.float32)], ["shift0"])
        assert slope.tolist() == passes


def test_products_with_second_derivatives_come_from_complex_values():
    """Of sum(tanh(x W)^2) / 2, whose gradient in W is known: its change along V, to machine precision."""
    network, x = made(fn.Dense("p"), [FLAT], (6, 3))
    nodes = (*network.nodes, fn.Node("t", fn.Function("tanh"), ("y",)))
    network = fn.Network("m", network.inputs, nodes, ("t",), ("t",), Inventory("m", ()), network.constants)
    direction, tiny = np.random.default_rng(2).normal(size=(6, 3)), 1e-20
    wide = {name: part.astype(np.float64) for name, part in network.values.items()}
    given = x[0].astype(np.float64) + wide["shift0"]

    def gradient(w):
        y = np.tanh(given @ w)
        return given.T @ (y * (1 - y**2))

    trace = Trace(network, x, {**wide, "p": wide["p"] + 1j * tiny * direction})
    (slope,) = trace.pull([trace.outputs[0]], ["p"])
    step = 1e-6
    numeric = (gradient(wide["p"] + step * direction) - gradient(wide["p"] - step * direction)) / (2 * step)
    np.testing.assert_allclose(slope.imag / tiny, numeric, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_a_trace_is_the_network_to_the_last_bit_with_exact_sums_in_float32(seed, monkeypatch):
    network, x = random_network(seed, "one width")
    x = np.round(x * 16) / np.float32(16)
    truth = network([x])
    exact = exact_nodes(network, network.grids({"x": fn.grid_of(x)}, network.values))
    wide, compute = [], WeightedSum.compute
    monkeypatch.setattr(WeightedSum, "compute", lambda self, *given: [wide.append(self), compute(self, *given)][1])
    for ours, expected in zip(Trace(network, [x]).outputs, truth, strict=True):
        np.testing.assert_array_equal(ours, expected)
    sums = [node for node in network.before(network.outputs) if isinstance(node.operation, WeightedSum)]
    assert exact
    assert len(wide) == sum(node.name not in exact for node in sums)
