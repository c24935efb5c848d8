"""Float kernels and biases as stored words: opt-in, as they are no quantizer's."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from fkeras.memory import BitSpace, Float
from fkeras.memory.codecs import FloatName
from fkeras.memory.space import kind_of
from fkeras.network.network import Network
from fkeras.network.operation import Floats
from fkeras.network.registers import with_outputs
from fkeras.network.sums import Bias, WeightedSum
from fkeras.network.tables import with_tables

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def with_float_words(network: Network, name: FloatName) -> Network:
    """The network whose kernels and biases without a quantizer are stored too, as words of IEEE floats.

    ModelError for a network that has none, and for numbers that are none of these floats.
    """
    values: dict[str, dict[str, Floats]] = defaultdict(dict)
    for path in _without_quantizer(network):
        values[path.rpartition("/")[0]][path] = network.constants[path]
    memory = network.memory.with_floats(values, name)
    stored = {tensor.path for tensor in memory.tensors}
    constants = {path: values for path, values in network.constants.items() if path not in stored}
    return replace(network, memory=memory, constants=constants)


def only_in_network(space: BitSpace) -> bool:
    """Whether some words of a space are floats or tables, which no quantizer of a framework reads."""
    return any(isinstance(tensor.codec, Float) or kind_of(tensor) == "tables" for tensor in space.tensors)


def storing(network: Network, space: BitSpace) -> Network:
    """The network, with the float words, the tables and the registers of outputs of a space where this has some."""
    network = with_outputs(with_tables(network, space.tensors), space.registers)
    names = {tensor.codec.name for tensor in space.tensors if isinstance(tensor.codec, Float)}
    missing = any(tensor.path not in network.tensors for tensor in space.tensors)
    return with_float_words(network, names.pop()) if missing and len(names) == 1 else network


def _without_quantizer(network: Network) -> list[str]:
    """The kernels and biases of layers that are constants."""
    layers = {layer.path for layer in network.memory.layers}
    paths = []
    for node in network.nodes:
        operation = node.operation
        path = (
            operation.kernel
            if isinstance(operation, WeightedSum)
            else operation.bias
            if isinstance(operation, Bias)
            else ""
        )
        layer, _, kind = path.rpartition("/")
        if path in network.constants and layer in layers and kind in (*_KERNELS, "bias"):
            paths.append(path)
    return paths
