"""Float kernels and biases as stored words: opt-in, as they are no quantizer's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fkeras.errors import InputError, ModelError
from fkeras.memory import BitSpace, Float, WordTensor
from fkeras.memory.codecs import FloatName
from fkeras.memory.inventory import LayerMemory
from fkeras.memory.space import kind_of
from fkeras.network.network import Network
from fkeras.network.sums import Bias, WeightedSum
from fkeras.network.tables import with_tables

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def with_float_words(network: Network, name: FloatName) -> Network:
    """The network whose kernels and biases without a quantizer are stored too, as words of IEEE floats.

    ModelError for a network that has none, and for numbers that are none of these floats.
    """
    words = Float(name)
    tensors = {tensor.path: tensor for tensor in _tensors(network, words)}
    if not tensors:
        raise ModelError(f"model '{network.name}' has no kernel without a quantizer, so none is stored as {name}")
    layers = tuple(_extended(layer, tensors) for layer in network.memory.layers)
    constants = {path: values for path, values in network.constants.items() if path not in tensors}
    return replace(network, memory=replace(network.memory, layers=layers), constants=constants)


def only_in_network(space: BitSpace) -> bool:
    """Whether some words of a space are floats or tables, which no quantizer of a framework reads."""
    return any(isinstance(tensor.codec, Float) or kind_of(tensor) == "tables" for tensor in space.tensors)


def storing(network: Network, space: BitSpace) -> Network:
    """The network, with the float words and the tables of a space where this has some."""
    network = with_tables(network, space.tensors)
    names = {tensor.codec.name for tensor in space.tensors if isinstance(tensor.codec, Float)}
    missing = any(tensor.path not in network.tensors for tensor in space.tensors)
    return with_float_words(network, names.pop()) if missing and len(names) == 1 else network


def _tensors(network: Network, words: Float) -> Iterator[WordTensor]:
    layers = {layer.path for layer in network.memory.layers}
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
        if path not in network.constants or layer not in layers or kind not in (*_KERNELS, "bias"):
            continue
        golden = network.constants[path].reshape(-1).astype(np.float32)
        try:
            encoded = words.encode(golden)
        except InputError as error:
            raise ModelError(f"layer '{layer}': {error}") from error
        shape = network.constants[path].shape
        yield WordTensor(path, shape, words, encoded, np.ones(golden.size, np.float32), golden)


def _extended(layer: LayerMemory, tensors: dict[str, WordTensor]) -> LayerMemory:
    """The layer, with what it stores besides."""
    here = [tensor for path, tensor in tensors.items() if path.rpartition("/")[0] == layer.path]
    biases = tuple(tensor for tensor in here if tensor.path.endswith("/bias"))
    kernels = tuple(tensor for tensor in here if tensor not in biases)
    stored, chosen = {tensor.path for tensor in here}, {tensor.path for tensor in kernels}
    return replace(
        layer,
        kernels=(*layer.kernels, *kernels),
        biases=(*layer.biases, *biases),
        without_biases=tuple(entry for entry in layer.without_biases if entry.path not in chosen),
        with_biases=tuple(entry for entry in layer.with_biases if entry.path not in stored),
    )
