"""From faulty states of one tensor to the model's outputs: only what lies downstream, many states a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from fkeras.arithmetic.passes import Floats, Ints
from fkeras.engines.cpu.forward import floats_per_sample
from fkeras.engines.cpu.tail import tail_from
from fkeras.metrics.metric import Outputs
from fkeras.network import Network
from fkeras.network.sums import WeightedSum

MOST_ROW_BYTES = 16 * 2**20
"""Bounds the largest activation of one call."""


class Suffix:
    """The network's outputs when the tensor `end` holds something else for some samples.

    Sums are made in float32: they are exact, or no quantizer follows.
    """

    def __init__(self, network: Network, end: str) -> None:
        self._network, self.end = network, end
        needed = {node.name for node in network.before(network.outputs)}
        self.nodes = [node for node in network.behind([end]) if node.name in needed]
        results = {end, *(node.name for node in self.nodes)}
        read = [name for node in self.nodes for name in node.inputs] + list(network.outputs)
        self.side = tuple(dict.fromkeys(name for name in read if name not in results))
        self.rows = int(np.clip(MOST_ROW_BYTES // (4 * floats_per_sample(network, self.nodes)), 16, 8192))
        self._steps: list[tuple[str, Callable[..., Floats], tuple[str, ...]]] = []
        nodes = self.nodes
        while nodes:
            row = tail_from(network, nodes)
            if row is not None:
                self._steps.append((row.nodes[-1].name, row, row.nodes[0].inputs))
                nodes = nodes[len(row.nodes) :]
            else:
                operation = nodes[0].operation
                function = operation.on if isinstance(operation, WeightedSum) else operation.compute
                self._steps.append((nodes[0].name, partial(function, network.values), nodes[0].inputs))
                nodes = nodes[1:]

    def __call__(self, samples: Ints, ends: Floats, golden: Mapping[str, Floats]) -> Outputs:
        """Outputs for k states: ends (k, ...) the end tensor, samples (k,) whose side inputs to use."""
        tensors = {self.end: ends, **{name: golden[name][samples] for name in self.side}}
        with np.errstate(all="ignore"):
            for name, function, inputs in self._steps:
                tensors[name] = function(*(tensors[part] for part in inputs))
        outputs = tuple(tensors[name] for name in self._network.outputs)
        return outputs[0] if len(outputs) == 1 else outputs
