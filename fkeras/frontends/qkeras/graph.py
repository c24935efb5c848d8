"""A model as a flat list of layer calls: nested models expanded, skips and shared layers included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fkeras.frontends.qkeras.setup import tensorflow

Key = tuple[int, ...]
"""Names a tensor: the call path of nested models, then the Keras tensor."""


@dataclass(frozen=True, eq=False)
class Call:
    """One layer applied once. inputs, outputs: the keys of its tensors; index: its place in the topological order."""

    index: int
    layer: Any
    node: Any
    inputs: tuple[Key, ...]
    outputs: tuple[Key, ...]

    @property
    def settings(self) -> tuple[str, ...]:
        """What the layer is told besides its tensors, other than to be in inference mode."""
        return settings_of(self.node)


@dataclass(frozen=True, eq=False)
class Graph:
    """All calls in topological order; inputs and outputs in the order of the model's."""

    calls: tuple[Call, ...]
    inputs: tuple[Key, ...]
    outputs: tuple[Key, ...]


def _is_symbolic(x: Any) -> bool:
    return isinstance(x, tensorflow().keras.__internal__.KerasTensor)


class _SettingsError(Exception):
    """A nested model is told something besides its inputs."""


def settings_of(node: Any) -> tuple[str, ...]:
    """What a layer is told besides its tensors, other than to be in inference mode."""
    nest = tensorflow().nest
    told = [repr(x) for x in nest.flatten(node.call_args) if not _is_symbolic(x)]
    for name, value in node.call_kwargs.items():
        if not (name == "training" and value is False) and value is not None:
            told.append(name if any(map(_is_symbolic, nest.flatten(value))) else f"{name}={value!r}")
    return tuple(told)


def is_functional(model: Any) -> bool:
    """Whether a layer is a model whose graph Keras knows, and computes what that graph says."""
    if not getattr(model, "_is_graph_network", False):
        return False
    caller = next(base for base in type(model).__mro__ if "call" in vars(base))
    home = tensorflow().keras.layers.Layer.__module__.split(".")[0]
    return bool(caller.__module__.split(".")[0] == home)


def _in_order(model: Any, node: Any, inputs: Sequence[Key]) -> Sequence[Key]:
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


def flatten(model: Any) -> Graph | None:
    """The calls of a functional or Sequential model.

    None for a model whose graph Keras does not know, and for one that tells a nested model more than its inputs.
    """
    if not is_functional(model):
        return None
    calls: list[Call] = []
    names: dict[Key, Key] = {}

    def resolve(key: Key) -> Key:
        while key in names:
            key = names[key]
        return key

    def expand(network: Any, scope: Key, counter: list[int]) -> None:
        for depth in sorted(network._nodes_by_depth, reverse=True):
            for node in network._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                inputs = tuple(resolve((*scope, id(tensor))) for tensor in node.keras_inputs)
                outputs = tuple((*scope, id(tensor)) for tensor in tensorflow().nest.flatten(node.outputs))
                inner = node.layer
                if is_functional(inner):
                    if settings_of(node):
                        raise _SettingsError
                    counter[0] += 1
                    deeper = (*scope, counter[0])
                    for symbolic, key in zip(inner.inputs, _in_order(inner, node, inputs), strict=True):
                        names[(*deeper, id(symbolic))] = key
                    expand(inner, deeper, counter)
                    for symbolic, key in zip(inner.outputs, outputs, strict=True):
                        names[key] = resolve((*deeper, id(symbolic)))
                else:
                    calls.append(Call(len(calls), inner, node, inputs, outputs))

    try:
        expand(model, (), [0])
    except _SettingsError:
        return None
    return Graph(
        tuple(calls),
        tuple((id(tensor),) for tensor in model.inputs),
        tuple(resolve((id(tensor),)) for tensor in model.outputs),
    )
