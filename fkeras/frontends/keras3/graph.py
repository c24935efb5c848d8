"""The layers of a Keras 3 model and where they are applied, nested models expanded."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from fkeras.frontends.description import Application, NotDescribed
from fkeras.frontends.description.graph import Keys, expanded
from fkeras.frontends.keras3 import hgq2, qkeras
from fkeras.frontends.keras3.setup import keras
from fkeras.frontends.paths import unique_paths


def walk(model: Any) -> Iterator[tuple[str, Any]]:
    """(path, layer) for every layer, in model order, depth first; a shared layer once, at its first path.

    Quantized layers within others follow these: projections of attention, cells of recurrent layers, what wrappers and
    layers of the user's own hold.
    """
    return unique_paths(_walk(model, "", set()))


def _walk(model: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        path = f"{prefix}{layer.name}"
        if isinstance(layer, keras().Model):
            yield from _walk(layer, f"{path}/", seen)
        else:
            yield path, layer
            yield from within(layer, path, seen)


def within(layer: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """The quantized layers within a layer that has no words of its own; seen: those that are known."""
    maker = maker_of(layer)
    if maker is not None and maker.kind_of(layer) not in maker.COMPOSITE:
        return
    for part in layer._layers:
        if id(part) in seen or type(part).__name__ == "MultipleQuantizers":
            continue
        seen.add(id(part))
        inner, maker = f"{path}/{part.name}", maker_of(part)
        if maker is not None and maker.kind_of(part) not in (*maker.PASS_THROUGH, *maker.COMPOSITE):
            yield inner, part
        else:
            yield from within(part, inner, seen)


def maker_of(layer: Any) -> Any:
    """The package that a layer is of, None for others than HGQ2 and QKeras."""
    return next((maker for maker in (hgq2, qkeras) if maker.kind_of(layer) is not None), None)


def graph_of(model: Any, paths: Mapping[int, str]) -> tuple[Any, list[Application], Callable[[Any], Hashable]]:
    """The graph of a functional or Sequential model, its calls, and what identifies its tensors; paths: those of its
    layers, by identity. NotDescribed without."""
    function = _function(model)
    if function is None:
        raise NotDescribed(model.name, "Keras does not know the graph of this model")

    def nested(node: Any, inputs: Keys) -> tuple[Any, Keys] | None:
        inner = _function(node.operation)
        if inner is not None and (len(node.arguments.args) != 1 or isinstance(node.arguments.args[0], dict)):
            raise NotDescribed(node.operation.name, "it is called with inputs by name")
        return None if inner is None else (inner, inputs)

    def application(node: Any, inputs: Keys, outputs: Keys) -> Application:
        layer = node.operation
        read, written = (tuple(x.shape for x in tensors) for tensors in (node.input_tensors, node.output_tensors))
        path = paths.get(id(layer), layer.name)
        return Application(path, layer, inputs, outputs, read, written[0] if written else None, _settings(node))

    calls = expanded(function, lambda node: node.input_tensors, lambda node: node.output_tensors, nested, application)
    return function, *calls


def _function(operation: Any) -> Any:
    """The graph behind a model, None for anything else."""
    function = getattr(operation, "_functional", None) or operation
    return function if hasattr(function, "_nodes_by_depth") and isinstance(operation, keras().Model) else None


def _settings(node: Any) -> tuple[str, ...]:
    """What a layer is told besides its tensors, other than to be in inference mode."""
    tree, symbolic = keras().tree, keras().KerasTensor
    told = [repr(x) for x in tree.flatten(list(node.arguments.args)) if not isinstance(x, symbolic) and x is not None]
    for name, value in node.arguments.kwargs.items():
        if value is not None and not (name == "training" and value is False):
            tensors = any(isinstance(x, symbolic) for x in tree.flatten(value))
            told.append(name if tensors else f"{name}={value!r}")
    return tuple(told)
