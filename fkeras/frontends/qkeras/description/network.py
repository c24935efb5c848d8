"""A model's graph as a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fkeras.frontends.qkeras.description.inventory import inventory_of
from fkeras.frontends.qkeras.description.layers import describe
from fkeras.frontends.qkeras.description.steps import NoOperation, NotDescribed, Place
from fkeras.frontends.qkeras.graph import Call, Key, flatten
from fkeras.frontends.qkeras.refusals import Refused
from fkeras.frontends.qkeras.slots import walk
from fkeras.frontends.qkeras.tracing import input_names, output_names
from fkeras.memory.inventory import Inventory
from fkeras.network import Input, Network, Node
from fkeras.network.operation import Floats, Shape


def network_of(model: Any) -> Network:
    """What a model stores and computes. NotDescribed where a network cannot say it."""
    try:
        memory = inventory_of(model)
    except Refused as refused:
        first = refused.refusals[0]
        raise NotDescribed(first.layer_path, first.reason.lstrip(" :")) from refused
    graph = flatten(model)
    if graph is None:
        raise NotDescribed(model.name, "Keras does not know the graph of this model")
    inputs = tuple(
        Input(name, _sample(model.name, tensor.shape), _dtype(model.name, tensor))
        for name, tensor in zip(input_names(model), model.inputs, strict=True)
    )
    draft = _Draft({id(layer): path for path, layer in walk(model)}, memory)
    draft.names.update({key: part.name for key, part in zip(graph.inputs, inputs, strict=True)})
    draft.taken.update(part.name for part in inputs)
    for call in graph.calls:
        draft.add(call)
    return Network(
        model.name,
        inputs,
        tuple(draft.nodes),
        tuple(draft.names[key] for key in graph.outputs),
        tuple(output_names(model)),
        memory,
        draft.constants,
    )


def _sample(layer: str, shape: Any) -> Shape:
    sample = tuple(shape[1:])
    if None in sample:
        raise NotDescribed(layer, f"the shape {tuple(shape)} is open")
    return sample


def _dtype(layer: str, tensor: Any) -> str:
    name = str(tensor.dtype.name)
    if not tensor.dtype.is_integer and name not in ("float32", "float64"):
        raise NotDescribed(layer, f"an input of type {name}")
    return name if tensor.dtype.is_integer else "float32"


class _Draft:
    """The nodes so far."""

    def __init__(self, paths: Mapping[int, str], memory: Inventory) -> None:
        self.names: dict[Key, str] = {}
        self.nodes: list[Node] = []
        self.constants: dict[str, Floats] = {}
        self.taken: set[str] = set()
        self._paths = paths
        self._stored = {tensor.path for tensor in memory.tensors}

    def add(self, call: Call) -> None:
        """The nodes of a layer where it is applied."""
        layer = getattr(call.layer, "layer", None) if type(call.layer).__name__ == "PruneLowMagnitude" else call.layer
        path = self._paths.get(id(layer), call.layer.name)
        if call.settings:
            raise NotDescribed(path, f"it is called with {', '.join(call.settings)}")
        if len(call.outputs) != 1:
            raise NotDescribed(path, "it has several outputs")
        shape = _sample(path, call.node.outputs.shape)
        shapes = tuple(_sample(path, tensor.shape) for tensor in call.node.keras_inputs)
        read = tuple(self.names[key] for key in call.inputs)
        try:
            for step in describe(Place(path, layer, shapes, shape, self._stored)):
                name = self._unique(f"{path}/{step.part}")
                self.nodes.append(Node(name, step.operation, read))
                self.constants.update(step.constants)
                read = (name,)
        except NoOperation as error:
            raise NotDescribed(path, str(error)) from error
        (self.names[call.outputs[0]],) = read

    def _unique(self, name: str) -> str:
        """The name, with the number of its call where a layer is applied several times."""
        unique, number = name, 2
        while unique in self.taken:
            unique, number = f"{name}#{number}", number + 1
        self.taken.add(unique)
        return unique
