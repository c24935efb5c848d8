"""A network serves where its numbers are the framework's, and says where they are not."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fkeras.metrics
from fkeras import network as fn
from fkeras.engines.cpu.fitting import misfit
from fkeras.engines.cpu.run import CpuRun
from fkeras.memory import WordTensor
from fkeras.memory.codecs import FixedPoint
from fkeras.memory.inventory import Inventory, LayerMemory

X = np.array([[0.5, 1.0], [0.25, -0.5], [1.0, 0.0]], np.float32)
Y = np.zeros(3, int)
RIGHT = {"right": fkeras.metrics.accuracy()}


def run_of(*operations: fn.Operation, constants=None) -> CpuRun:
    """A dense layer of two classes, and what follows, on three samples of class 0."""
    codec, words = FixedPoint(4, 1), np.array([2, 14, 1, 3], np.uint32)
    kernel = WordTensor("k", (2, 2), codec, words, np.ones(4, np.float32), codec.decode(words).astype(np.float32))
    nodes = [fn.Node("sum", fn.Dense("k"), ("x",))]
    for number, operation in enumerate(operations):
        nodes.append(fn.Node(f"n{number}", operation, (nodes[-1].name,)))
    memory = Inventory("m", (LayerMemory("l", (kernel,)),))
    ends = (nodes[-1].name,)
    network = fn.Network("m", (fn.Input("x", (2,)),), tuple(nodes), ends, ("y",), memory, constants or {})
    return CpuRun(network, memory.space(), X, Y, RIGHT)


def test_equal_outputs_fit() -> None:
    run = run_of(fn.Quantize(0.25, -8, 7))
    assert misfit(run, run.golden_outputs, Y) is None


@pytest.mark.parametrize(("by", "tail", "fits"), [(1e-7, False, False), (5e-7, True, True), (2e-6, True, False)])
def test_exact_outputs_are_equal_and_others_nearly(by: float, tail: bool, fits: bool) -> None:
    run = run_of(fn.Function("sigmoid")) if tail else run_of(fn.Quantize(0.25, -8, 7))
    outputs = run.golden_outputs.copy()
    outputs[1, 1] += by
    found = misfit(run, outputs, Y)
    assert (found is None) == fits
    if found is not None:
        assert re.fullmatch(r"differs from the framework's by .* and (must be equal|may differ by 1e-06)", found.why)


def test_classes_must_be_the_same() -> None:
    run = run_of(fn.Affine("none", "none"), fn.Function("sigmoid"), constants={"none": np.zeros(2, np.float32)})
    outputs = run.golden_outputs + np.array([[0, 4e-7]] * 3, np.float32)
    found = misfit(run, outputs, Y)
    assert (found.node, found.why) == ("y", "has two classes that are as good as equal in a sample")


def test_a_quantizer_of_float_sums_does_not_fit() -> None:
    run = run_of(fn.Function("sigmoid"), fn.Quantize(0.25, 0, 3))
    assert misfit(run, run.golden_outputs, Y).node == "n1"
