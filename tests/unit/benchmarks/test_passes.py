"""The benchmark of passes measures what is there, every way."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.passes import VARIANTS, network, operations
from fkeras.arithmetic import tensors, tiles


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_gives_the_numbers(name):
    levels = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3))
    ours = network()
    expected = ours.levels(ours.stored(levels))
    with VARIANTS[name]():
        other = network()
        np.testing.assert_array_equal(other.levels(other.stored(levels)), expected)
        forms = {tensor.form for tensor in other.tensors[:-1]}
    narrowest = tensors.form_of_levels(0, 255, True)
    assert forms == {{"words": tiles.WORDS, "float32": tiles.FLOATS}.get(name.split()[0], narrowest)}


def test_operations_are_those_of_the_network():
    assert sum(operations(network())) == pytest.approx(12.8e6, rel=0.005)
