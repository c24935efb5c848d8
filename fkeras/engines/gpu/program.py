"""Nodes of a network compiled for the device, and how much of its memory they may take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from fkeras.engines.cpu.plan import Plan
from fkeras.engines.gpu.operand import operand_for
from fkeras.engines.gpu.operations import INVERSE, OPERATIONS, ZERO, Array, Values, largest_scratch
from fkeras.network import Node, Quantize

SHARE = 8
"""Which part of the device's memory one call may take, as the compiler's own scratch is not known."""
BYTES_WITHOUT_A_LIMIT = 256 * 2**20


def scratch_bytes() -> int:
    """What one call may take of the device's memory."""
    statistics = jax.devices()[0].memory_stats() or {}
    return int(statistics.get("bytes_limit", SHARE * BYTES_WITHOUT_A_LIMIT)) // SHARE


def faults_at_once(bytes_each: int) -> int:
    """How many faults are computed side by side: a power of two, so that filled calls leave no rest to compile."""
    return 1 << (max(1, scratch_bytes() // bytes_each).bit_length() - 1)


def padded_to(n: int) -> int:
    """Up to how many a call is filled, so that few shapes are compiled."""
    return next((size for size in (1, 8, 64) if n <= size), 1 << (n - 1).bit_length())


class Device:
    """A plan's network on the device: its parameters, and its nodes with the operands that hold their factors."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.network = plan, plan.network
        self.operands = {node.name: operand_for(plan, node) for node in plan.network.nodes}
        self.values: Values = {name: jnp.asarray(values) for name, values in _parameters(plan).items()}
        self._golden: dict[tuple[str, ...], Callable[..., dict[str, Array]]] = {}

    def compute(
        self,
        nodes: Iterable[Node],
        tensors: Mapping[str, Array],
        values: Values,
        reads: Mapping[str, Callable[[Array], Array]] = MappingProxyType({}),
    ) -> dict[str, Array]:
        """`tensors` with the results of nodes; traced, not compiled by itself. reads: what is read of some results."""
        results = dict(tensors)
        for node in nodes:
            given = (results[name] for name in node.inputs)
            function = OPERATIONS[type(node.operation)]
            result = function(node.operation, values, self.operands[node.name], *given)
            results[node.name] = reads[node.name](result) if node.name in reads else result
        return results

    def golden(self, names: Iterable[str], inputs: Mapping[str, NDArray[Any]]) -> dict[str, Array]:
        """Fault-free tensors of some samples."""
        wanted = tuple(dict.fromkeys(names))
        if wanted not in self._golden:
            nodes = self.network.before(wanted)

            def computed(inputs: Mapping[str, Array], values: Values) -> dict[str, Array]:
                results = self.compute(nodes, inputs, values)
                return {name: results[name] for name in wanted}

            self._golden[wanted] = jax.jit(computed)
        return self._golden[wanted]({name: jnp.asarray(x) for name, x in inputs.items()}, self.values)

    def scratch(self, nodes: Sequence[Node]) -> int:
        """Bytes per sample that computing nodes takes at most at once, inputs and results."""
        shapes = self.network.shapes
        floats = [
            sum(prod(shapes[name]) for name in node.inputs)
            + largest_scratch(node.operation, self.network.values, shapes[node.inputs[0]], shapes[node.name])
            for node in nodes
        ]
        return 4 * max(floats, default=1)

    def held(self, names: Iterable[str]) -> int:
        """Bytes per sample of some tensors."""
        return 4 * sum(prod(self.network.shapes[name]) for name in set(names))


def _parameters(plan: Plan) -> dict[str, Any]:
    values: dict[str, Any] = {**plan.network.values, ZERO: np.int32(0)}
    steps = [node.operation.step for node in plan.network.nodes if isinstance(node.operation, Quantize)]
    return values | {INVERSE.format(step): np.float32(1) / values[step] for step in steps if isinstance(step, str)}
