"""The layers of a Keras 3 model and where they are applied, nested models expanded."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from fkeras.frontends.description import Application, NotDescribed
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


@dataclass(frozen=True, eq=False)
class Graph:
    """applications: in an order in which each reads only what stands before it; inputs, outputs: names, and what
    identifies the tensors."""

    applications: tuple[Application, ...]
    inputs: tuple[tuple[str, Hashable, Any], ...]
    outputs: tuple[tuple[str, Hashable], ...]


def graph_of(model: Any, paths: Mapping[int, str]) -> Graph:
    """The calls of a functional or Sequential model; paths: those of its layers, by identity. NotDescribed without."""
    function = _function(model)
    if function is None:
        raise NotDescribed(model.name, "Keras does not know the graph of this model")
    calls: list[Application] = []
    numbers = count(1)
    names: dict[Hashable, Hashable] = {}

    def resolve(key: Hashable) -> Hashable:
        while key in names:
            key = names[key]
        return key

    def expand(network: Any, scope: tuple[int, ...]) -> None:
        for depth in sorted(network._nodes_by_depth, reverse=True):
            for node in network._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                inputs = tuple(resolve((*scope, id(tensor))) for tensor in node.input_tensors)
                outputs = tuple((*scope, id(tensor)) for tensor in node.output_tensors)
                inner = _function(node.operation)
                if inner is None:
                    calls.append(_application(node, paths, inputs, outputs))
                    continue
                if len(node.arguments.args) != 1 or isinstance(node.arguments.args[0], dict):
                    raise NotDescribed(node.operation.name, "it is called with inputs by name")
                deeper = (*scope, next(numbers))
                names.update(((*deeper, id(symbol)), key) for symbol, key in zip(inner._inputs, inputs, strict=True))
                expand(inner, deeper)
                names.update(
                    (key, resolve((*deeper, id(symbol)))) for symbol, key in zip(inner._outputs, outputs, strict=True)
                )

    expand(function, ())
    return Graph(
        tuple(calls),
        tuple((tensor.name, (id(tensor),), tensor) for tensor in function._inputs),
        tuple((tensor._keras_history.operation.name, resolve((id(tensor),))) for tensor in function._outputs),
    )


def _function(operation: Any) -> Any:
    """The graph behind a model, None for anything else."""
    function = getattr(operation, "_functional", None) or operation
    return function if hasattr(function, "_nodes_by_depth") and isinstance(operation, keras().Model) else None


def _application(
    node: Any, paths: Mapping[int, str], inputs: tuple[Hashable, ...], outputs: tuple[Hashable, ...]
) -> Application:
    layer = node.operation
    written = [tensor.shape for tensor in node.output_tensors]
    tree, symbolic = keras().tree, keras().KerasTensor
    told = [repr(x) for x in tree.flatten(list(node.arguments.args)) if not isinstance(x, symbolic) and x is not None]
    for name, value in node.arguments.kwargs.items():
        if value is not None and not (name == "training" and value is False):
            tensors = any(isinstance(x, symbolic) for x in tree.flatten(value))
            told.append(name if tensors else f"{name}={value!r}")
    read = tuple(tensor.shape for tensor in node.input_tensors)
    path = paths.get(id(layer), layer.name)
    return Application(path, layer, inputs, outputs, read, written[0] if written else None, tuple(told))
