"""A Keras 3 model's graph as a network."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from fkeras.frontends.description import Home, NotDescribed, drafted, sample_shape
from fkeras.frontends.keras3.graph import graph_of, walk
from fkeras.frontends.keras3.identity import model_state
from fkeras.frontends.keras3.inventory import inventory_of
from fkeras.frontends.keras3.layers import describe
from fkeras.frontends.keras3.qkeras import folded
from fkeras.frontends.keras3.setup import array, keras
from fkeras.memory.space import Memory
from fkeras.network import Input, Network
from fkeras.network.operation import Floats


def network_of(model: Any, memory: Memory = "quantizer") -> Network:
    """What a model stores and computes. NotDescribed where a network cannot say it.

    memory: as of `inventory_of`; a layer whose words are not known computes with constants.
    """
    inventory = inventory_of(model, memory)
    graph, applications, key_of = graph_of(model, {id(layer): path for path, layer in walk(model)})
    inputs = {
        key_of(tensor): Input(
            tensor.name, sample_shape(model.name, tensor.shape), _dtype(model.name, str(tensor.dtype))
        )
        for tensor in graph.inputs
    }
    outputs = [(tensor._keras_history.operation.name, key_of(tensor)) for tensor in graph.outputs]
    return drafted(model.name, inputs, applications, outputs, inventory, home(), describe)


_RECENT: WeakKeyDictionary[Any, dict[tuple[str, str], Network]] = WeakKeyDictionary()
"""The networks of models that were read last."""


def recent_network(model: Any, memory: Memory) -> Network:
    """What a model stores and computes now; read once while nothing has changed."""
    key = model_state(model), memory
    known = _RECENT.setdefault(model, {})
    if key not in known:
        for old in [old for old in known if old[0] != key[0]]:
            del known[old]
        known[key] = network_of(model, memory)
    return known[key]


def home() -> Home:
    """Keras 3, with the QKeras that the process has loaded."""
    on_tensorflow = keras().backend.backend() == "tensorflow"
    functions = (sys.modules["tensorflow"].nn,) if on_tensorflow else ()
    qkeras = sys.modules.get("qkeras")
    return Home(
        keras(),
        qkeras if hasattr(qkeras, "quantizers") else None,
        functions,
        keras().ops.rsqrt,
        evaluated,
        lambda function: partial(evaluated, function),
        folded,
        in_order=on_tensorflow,
    )


def evaluated(function: Any, x: Floats) -> Floats:
    """A function of tensors applied to numbers."""
    return np.asarray(array(function(keras().ops.convert_to_tensor(x))), np.float32)


def _dtype(layer: str, name: str) -> str:
    if name.startswith(("int", "uint")):
        return name
    if name not in ("float32", "float64"):
        raise NotDescribed(layer, f"an input of type {name}")
    return "float32"
