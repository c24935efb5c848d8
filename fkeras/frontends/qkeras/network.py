"""A model's graph as a network."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from fkeras.frontends.description import Application, Home, NoOperation, NotDescribed, describe, drafted, sample_shape
from fkeras.frontends.description.graph import Keys, expanded
from fkeras.frontends.qkeras.freshness import weights_digest
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


def graph_of(model: Any, paths: Mapping[int, str]) -> tuple[list[Application], Callable[[Any], Hashable]]:
    """The calls of a functional or Sequential model, and what identifies its tensors; paths: those of its layers, by
    identity. NotDescribed where Keras does not know the graph, or a nested model is told more than its inputs."""
    unknown = NotDescribed(model.name, "its graph is not known, or a model in it is called with more than its inputs")
    if not is_functional(model):
        raise unknown

    def nested(node: Any, inputs: Keys) -> tuple[Any, Sequence[Hashable]] | None:
        if not is_functional(node.layer):
            return None
        if settings_of(node):
            raise unknown
        return node.layer, _in_order(node.layer, node, inputs)

    def application(node: Any, inputs: Keys, outputs: Keys) -> Application:
        layer = getattr(node.layer, "layer", None) if type(node.layer).__name__ == "PruneLowMagnitude" else node.layer
        read = tuple(tensor.shape for tensor in node.keras_inputs)
        written = getattr(node.outputs, "shape", None)  # of several outputs, which the draft refuses
        path = paths.get(id(layer), node.layer.name)
        return Application(path, layer, inputs, outputs, read, written, settings_of(node))

    flat = tensorflow().nest.flatten
    return expanded(model, lambda node: node.keras_inputs, lambda node: flat(node.outputs), nested, application)


def settings_of(node: Any) -> tuple[str, ...]:
    """What a layer is told besides its tensors, other than to be in inference mode."""
    nest, symbolic = tensorflow().nest, tensorflow().keras.__internal__.KerasTensor
    told = [repr(x) for x in nest.flatten(node.call_args) if not isinstance(x, symbolic)]
    for name, value in node.call_kwargs.items():
        if not (name == "training" and value is False) and value is not None:
            tensors = any(isinstance(x, symbolic) for x in nest.flatten(value))
            told.append(name if tensors else f"{name}={value!r}")
    return tuple(told)


def is_functional(model: Any) -> bool:
    """Whether a layer is a model whose graph Keras knows, and computes what that graph says."""
    if not getattr(model, "_is_graph_network", False):
        return False
    caller = next(base for base in type(model).__mro__ if "call" in vars(base))
    home = tensorflow().keras.layers.Layer.__module__.split(".")[0]
    return bool(caller.__module__.split(".")[0] == home)


def _in_order(model: Any, node: Any, inputs: Keys) -> Sequence[Hashable]:
    """The inputs of a nested model as its graph lists them: Keras matches those that are given by name."""
    (given,) = node.call_args
    if not isinstance(given, dict):
        return inputs
    expected = model._nested_inputs
    if isinstance(expected, dict):
        names = sorted(expected)
    else:
        names = [tensor._keras_history.layer.name for tensor in tensorflow().nest.flatten(expected)]
    by_name = dict(zip(sorted(given), inputs, strict=True))
    return [by_name[name] for name in names]
