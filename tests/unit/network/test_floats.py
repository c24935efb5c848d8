"""Float kernels as stored words."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras.network as fn
from fkeras.errors import ModelError
from fkeras.memory import FixedPoint, Float, Uncovered, WordTensor
from fkeras.memory.inventory import Inventory, LayerMemory
from fkeras.network.floats import storing, with_float_words


def network(kernel: np.ndarray) -> fn.Network:
    """A layer of words, then one of floats."""
    values = np.arange(-4, 4, dtype=np.float32).reshape(4, 2) / 8
    words = FixedPoint(4, 0).encode(values.reshape(-1))
    stored = WordTensor("q/kernel", (4, 2), FixedPoint(4, 0), words, np.ones(8, np.float32), values.reshape(-1))
    left_out = (Uncovered("f/kernel", 6, "not quantized"), Uncovered("f/bias", 3, "not quantized"))
    layers = (LayerMemory("q", (stored,)), LayerMemory("f", (), (), left_out, left_out, left_out))
    nodes = (
        fn.Node("q/sum", fn.Dense("q/kernel"), ("x",)),
        fn.Node("f/sum", fn.Dense("f/kernel"), ("q/sum",)),
        fn.Node("f/bias", fn.Bias("f/bias"), ("f/sum",)),
    )
    constants = {"f/kernel": kernel.astype(np.float32), "f/bias": np.float32([0.1, 0.2, 0.3])}
    return fn.Network("m", (fn.Input("x", (4,)),), nodes, ("f/bias",), ("f",), Inventory("m", layers), constants)


KERNEL = np.array([[0.1, -2, 3], [4, 5e-3, 6]])


def test_it_stores_more_and_computes_the_same() -> None:
    plain = network(KERNEL)
    floats = with_float_words(plain, "float32")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_array_equal(floats([x])[0], plain([x])[0])
    space = floats.memory.space()
    assert [(tensor.path, tensor.codec) for tensor in space.tensors] == [
        ("q/kernel", FixedPoint(4, 0)),
        ("f/kernel", Float("float32")),
    ]
    assert [entry.path for entry in space.uncovered] == ["f/bias"]
    assert [tensor.path for tensor in floats.memory.space(biases=True).tensors][2:] == ["f/bias"]
    assert storing(plain, space).tensors.keys() == floats.tensors.keys()
    assert storing(plain, plain.memory.space()) is plain
    assert storing(floats, space) is floats


def test_a_word_is_the_number_of_ieee_754() -> None:
    (_, tensor) = with_float_words(network(KERNEL), "float32").memory.space().tensors
    np.testing.assert_array_equal(tensor.words, KERNEL.astype("<f4").reshape(-1).view("<u4"))


def test_numbers_that_are_none_of_these_floats_name_the_layer() -> None:
    with pytest.raises(ModelError, match=r"layer 'f': .* round them to float16 first"):
        with_float_words(network(KERNEL), "float16")
    plain = network(np.float16(KERNEL))
    plain.constants["f/bias"][:] = 0.5
    assert with_float_words(plain, "float16").memory.space().tensors[1].n_bits == 6 * 16


def test_a_network_without_floats_says_so() -> None:
    floats = with_float_words(network(KERNEL), "float32")
    with pytest.raises(ModelError, match="has no kernel without a quantizer"):
        with_float_words(floats, "float32")
