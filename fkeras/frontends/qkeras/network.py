"""A model's graph as a network."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fkeras.frontends.description import Home, NoOperation, NotDescribed, describe, drafted, sample_shape
from fkeras.frontends.qkeras.freshness import weights_digest
from fkeras.frontends.qkeras.graph import graph_of
from fkeras.frontends.qkeras.inventory import inventory_of
from fkeras.frontends.qkeras.setup import qkeras, tensorflow, whole_float32
from fkeras.frontends.qkeras.slots import walk
from fkeras.frontends.qkeras.tracing import input_names, output_names, pure_function
from fkeras.memory.space import Memory
from fkeras.network import Input, Network
from fkeras.network.operation import Floats

_networks: weakref.WeakKeyDictionary[Any, tuple[tuple[Any, ...], Network]] = weakref.WeakKeyDictionary()


def network_of(model: Any, memory: Memory = "quantizer") -> Network:
    """What a model stores and computes; the same object while it has the same layers and weights.

    NotDescribed where a network cannot say it.
    """
    state = (memory, weights_digest(model), *map(id, model._flatten_layers()))
    known = _networks.get(model)
    if known is None or known[0] != state:
        known = _networks[model] = state, _described(model, memory)
    return known[1]


def _described(model: Any, memory: Memory) -> Network:
    applications, key_of = graph_of(model, {id(layer): path for path, layer in walk(model)})
    inputs = {
        key_of(tensor): Input(name, sample_shape(model.name, tensor.shape), _dtype(model.name, tensor))
        for name, tensor in zip(input_names(model), model.inputs, strict=True)
    }
    return drafted(
        model.name,
        inputs,
        applications,
        list(zip(output_names(model), map(key_of, model.outputs), strict=True)),
        inventory_of(model, memory),
        home(),
        describe,
    )


def home() -> Home:
    """TensorFlow with tf-keras and QKeras."""
    tf = tensorflow()
    return Home(tf.keras, qkeras(), (tf.nn,), tf.math.rsqrt, _evaluated, _compiled, _folded, True, _kind)


def _kind(layer: Any) -> type:
    """The class of a layer; of an FQ layer without faults of its own, the QKeras class that it is made of."""
    own = type(layer)
    if own.__module__ != "fkeras.frontends.layers":
        return own
    if layer.faults is not None or layer.ber:
        raise NoOperation("it has faults of its own")
    return own.__mro__[2]


def _folded(layer: Any) -> Sequence[Any]:
    weights: Sequence[Any] = layer.get_folded_weights()
    return weights


def _compiled(function: Any) -> Callable[[Floats], Floats]:
    tf = tensorflow()
    graph = pure_function(lambda x: tf.cast(function(x), tf.float32), [tf.TensorSpec([None], tf.float32)])

    def compute(x: Floats) -> Floats:
        with whole_float32():
            (values,) = graph(x)
        return np.asarray(values)

    return compute


def _evaluated(function: Any, x: Floats) -> Floats:
    tf = tensorflow()
    with whole_float32():
        return np.asarray(tf.cast(function(tf.constant(x)), tf.float32))


def _dtype(layer: str, tensor: Any) -> str:
    name = str(tensor.dtype.name)
    if not tensor.dtype.is_integer and name not in ("float32", "float64"):
        raise NotDescribed(layer, f"an input of type {name}")
    return name if tensor.dtype.is_integer else "float32"
