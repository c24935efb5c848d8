"""From faulty states of one tensor to the model's outputs: only what lies downstream, many states a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from fkeras.engines.cpu.channels import Floats, Ints
from fkeras.engines.cpu.forward import floats_per_sample
from fkeras.engines.cpu.matrices import as_matrix
from fkeras.metrics.metric import Outputs
from fkeras.network import Network, Node
from fkeras.network.pointwise import Function, Relu
from fkeras.network.shapes import Reshape
from fkeras.network.sums import Bias, TransposedConvolution, WeightedSum

MOST_ROW_BYTES = 4 * 2**20
"""Bounds the largest activation of one call."""


class Suffix:
    """The network's outputs when the tensor `end` holds something else for some samples.

    Sums are made in float32: they are exact, or no quantizer follows.
    """

    def __init__(self, network: Network, end: str) -> None:
        self._network, self.end = network, end
        needed = network.before(network.outputs)
        self.nodes = [node for node in network.behind([end]) if node in needed]
        results = {end, *(node.name for node in self.nodes)}
        read = [name for node in self.nodes for name in node.inputs] + list(network.outputs)
        self.side = tuple(dict.fromkeys(name for name in read if name not in results))
        self.rows = int(np.clip(MOST_ROW_BYTES // (4 * floats_per_sample(network, self.nodes)), 16, 8192))
        self._functions = [(node, self._function(node)) for node in self.nodes]

    def _function(self, node: Node) -> Callable[..., Floats]:
        """What a node computes of its inputs; in place where nobody else reads them."""
        operation, values = node.operation, self._network.values
        if isinstance(operation, TransposedConvolution):
            matrix = as_matrix(operation, values[operation.kernel], self._network.shapes[node.inputs[0]])
            if matrix is not None:
                return matrix
        if isinstance(operation, WeightedSum):
            return partial(operation.on, values)
        if self._is_scratch(node.inputs[0]):
            if isinstance(operation, Bias):
                bias = values[operation.bias]
                return lambda x: np.add(x, bias, out=x)
            if operation == Relu():
                return lambda x: np.maximum(x, np.float32(0), out=x)
            if operation == Function("sigmoid"):
                return _sigmoid_in_place
        return partial(operation.compute, values)

    def _is_scratch(self, name: str) -> bool:
        """Whether a tensor was made for one reader only, who may overwrite it."""
        maker = next((node for node in self.nodes if node.name == name), None)
        if maker is None or name in self._network.outputs or len(self._network.readers(name)) > 1:
            return False
        if isinstance(maker.operation, Reshape):
            return self._is_scratch(maker.inputs[0])
        return isinstance(maker.operation, WeightedSum | Bias | Relu)

    def __call__(self, samples: Ints, ends: Floats, golden: Mapping[str, Floats]) -> Outputs:
        """Outputs for k states: ends (k, ...) the end tensor, samples (k,) whose side inputs to use."""
        tensors = {self.end: ends, **{name: golden[name][samples] for name in self.side}}
        with np.errstate(all="ignore"):
            for node, function in self._functions:
                tensors[node.name] = function(*(tensors[name] for name in node.inputs))
        outputs = tuple(tensors[name] for name in self._network.outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def _sigmoid_in_place(x: Floats) -> Floats:
    np.negative(x, out=x)
    np.exp(x, out=x)
    np.add(x, np.float32(1), out=x)
    return np.reciprocal(x, out=x)
