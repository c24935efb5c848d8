"""What products are made of: the narrowest numbers that hold both factors exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fkeras.engines.cpu.plan import Plan
from fkeras.network import Node
from fkeras.network.network import AnyWordWrong
from fkeras.network.sums import WeightedSum

BFLOAT16_LEVELS, TENSOR_FLOAT_LEVELS = 2.0**8, 2.0**11
"""Whole numbers up to here fit into the significant bits of bfloat16, and of what tensor cores take of float32."""


@dataclass(frozen=True, slots=True)
class Operand:
    """What factors are held in; products are exact, and summed in float32.

    Sums below 2**24 steps are then exact in any order; others belong to float tails, whose factors stay float32.
    """

    dtype: Any
    precision: Any

    def narrow(self, x: Any) -> Any:
        """Numbers as they are multiplied."""
        return x.astype(self.dtype)

    def einsum(self, equation: str, x: Any, kernel: Any) -> Any:
        """Sums of products, in float32."""
        factors = self.narrow(x), self.narrow(kernel)
        return jnp.einsum(equation, *factors, precision=self.precision, preferred_element_type=jnp.float32)


WIDE = Operand(jnp.float32, jax.lax.Precision.HIGHEST)


def operand_of(levels: float) -> Operand:
    """What holds whole numbers up to `levels`."""
    if levels <= BFLOAT16_LEVELS:
        return Operand(jnp.bfloat16, jax.lax.Precision.DEFAULT)
    return Operand(jnp.float32, jax.lax.Precision.DEFAULT) if levels <= TENSOR_FLOAT_LEVELS else WIDE


def reads_bounded(plan: Plan, node: Node) -> bool:
    """Whether what a node reads is no larger for any wrong words, as behind a quantizer."""
    return all(plan.grids[name].bound == plan.golden_grids[name].bound for name in node.inputs)


def operand_for(plan: Plan, node: Node, most: float | None = None) -> Operand:
    """What the factors of a node's products are held in, however many words are wrong.

    most: the size of what it reads, where that is not the tensor that its input is.
    """
    network, grids, operation = plan.network, plan.grids, node.operation
    if not isinstance(operation, WeightedSum) or grids[node.name].step is None or not reads_bounded(plan, node):
        return WIDE
    given, weights, kernel = grids[node.inputs[0]], AnyWordWrong(network), operation.kernel
    step, largest = weights.step(kernel), weights.spare(kernel) / 2
    if kernel not in network.tensors:
        largest = float(np.abs(network.values[kernel]).max(initial=0.0))
    assert step is not None
    assert given.step is not None
    return operand_of(max((given.bound if most is None else most) / given.step, largest / step))
