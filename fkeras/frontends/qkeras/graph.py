"""The graph of a Keras 2 model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from fkeras.frontends.description import Application, NotDescribed
from fkeras.frontends.description.graph import Keys, expanded
from fkeras.frontends.qkeras.setup import tensorflow


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
