"""The law of stacks: they hold what each fault set's patches say, whatever else is beside it."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.faults import FaultSet
from tests.unit.engines.cpu.test_run import random_network

pytestmark = pytest.mark.usefixtures("jax")


@pytest.mark.parametrize("kind", ["one width", "own widths"])
def test_stacks_are_the_patches_of_each_set(kind: str) -> None:
    from fkeras.engines.gpu.stacks import stacks_of

    network, _ = random_network(4, kind)
    space, rng = network.memory.space(biases=True), np.random.default_rng(0)
    bits = [np.sort(rng.choice(len(space), 40, replace=False)) for _ in range(5)]
    sets = [FaultSet(), *(FaultSet(part[:20], part[10:30], part[30:]) for part in bits), FaultSet(bits[0][:1])]
    stacks = stacks_of(space, sets, [tensor.path for tensor in space.tensors])
    for number, fault in enumerate(sets):
        patches = {space.tensors[patch.tensor].path: patch for patch in fault.patches(space)}
        for tensor in space.tensors:
            expected, stack = tensor.golden.reshape(-1).copy(), stacks[tensor.path]
            if tensor.path in patches:
                expected[patches[tensor.path].elements] = patches[tensor.path].values
            np.testing.assert_array_equal(stack.values[number].reshape(-1), expected)
            growth = (np.abs(expected.astype(np.float64)) - np.abs(tensor.golden.reshape(-1))).clip(0).sum()
            assert stack.growth[number] == pytest.approx(growth)
            assert stack.n_wrong[number] == (patches[tensor.path].elements.size if tensor.path in patches else 0)
    assert all((stack.values[len(sets) :] == stack.values[0]).all() for stack in stacks.values())
