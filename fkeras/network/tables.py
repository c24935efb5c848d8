"""Tables of quantizers that are read, not computed: their levels as stored words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fkeras.errors import Argument, ModelError, said
from fkeras.memory import BitSpace, LayerChoice, MixedFixedPoint, Uncovered, WordTensor
from fkeras.memory.inventory import LayerMemory
from fkeras.network.network import Network
from fkeras.network.pointwise import Steps
from fkeras.network.registers import layer_of, words_of_levels


def table_space(network: Network, layers: str | Sequence[str] = "*") -> BitSpace:
    """The tables of the chosen layers: the levels of quantizers. ModelError where there are none."""
    choice = LayerChoice(layers)
    choice.require_matches(list(dict.fromkeys(layer_of(node.name) for node in network.nodes)))
    tensors: dict[str, WordTensor] = {}
    uncovered: dict[str, Uncovered] = {}
    for node in network.nodes:
        if not isinstance(node.operation, Steps):
            continue
        path, tensor = node.operation.levels, _table(network, node.operation.levels)
        if tensor is not None and choice(layer_of(path)):
            tensors[path] = tensor
        else:
            why = ("not chosen by ", Argument("layers")) if tensor else ("its levels are no words that are known",)
            uncovered[path] = Uncovered(path, network.values[path].size, said(why), why, layer_of(path))
    if not tensors:
        why_none = "; ".join(map(str, uncovered.values())) or "its quantizers are computed, and none has a table"
        raise ModelError(f"model '{network.name}' holds no tables: {why_none}")
    return BitSpace(tuple(tensors.values()), tuple(uncovered.values()), network.memory.memory)


def with_tables(network: Network, tensors: Sequence[WordTensor]) -> Network:
    """The network in which the tables among some tensors are stored."""
    levels = {node.operation.levels for node in network.nodes if isinstance(node.operation, Steps)}
    tables = {tensor.path: tensor for tensor in tensors if tensor.path in levels and tensor.path in network.constants}
    if not tables:
        return network
    held = tuple(LayerMemory(layer_of(path), (tensor,)) for path, tensor in tables.items())
    constants = {path: values for path, values in network.constants.items() if path not in tables}
    return replace(network, memory=replace(network.memory, layers=network.memory.layers + held), constants=constants)


def _table(network: Network, path: str) -> WordTensor | None:
    levels = network.values[path].reshape(-1)
    words = words_of_levels(levels)
    if words is None or isinstance(words[0], MixedFixedPoint):
        return None
    codec, scale = words
    units = levels.astype(np.float64) / scale
    held = codec.encode(np.rint(units / codec.step) * codec.step)
    return WordTensor(path, levels.shape, codec, held, np.full(levels.size, scale, np.float32), levels.copy())
