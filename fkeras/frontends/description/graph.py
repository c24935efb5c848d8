"""The layers that a model's graph applies, nested models expanded, skips and shared layers included."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import count
from typing import Any

from fkeras.frontends.description.draft import Application

Keys = tuple[Hashable, ...]
"""What identifies tensors: the call path of nested models, then the tensor of Keras."""


def expanded(
    graph: Any,
    read: Callable[[Any], Sequence[Any]],
    written: Callable[[Any], Sequence[Any]],
    nested: Callable[[Any, Keys], tuple[Any, Sequence[Hashable]] | None],
    application: Callable[[Any, Keys, Keys], Application],
) -> tuple[list[Application], Callable[[Any], Hashable]]:
    """The layers in an order in which each reads only what stands before it, and what identifies a tensor of the graph.

    graph: what has `inputs`, `outputs` and `_nodes_by_depth`, as nested ones do. Of a node: read, written: its tensors;
    nested: the graph that it applies, and what feeds it in the order of its inputs, None for a layer; application: the
    layer, with what it reads and writes.
    """
    applications: list[Application] = []
    numbers = count(1)
    names: dict[Hashable, Hashable] = {}

    def resolve(key: Hashable) -> Hashable:
        while key in names:
            key = names[key]
        return key

    def expand(graph: Any, scope: tuple[int, ...]) -> None:
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                inputs = tuple(resolve((*scope, id(tensor))) for tensor in read(node))
                outputs = tuple((*scope, id(tensor)) for tensor in written(node))
                model = nested(node, inputs)
                if model is None:
                    applications.append(application(node, inputs, outputs))
                    continue
                (inner, fed), deeper = model, (*scope, next(numbers))
                names.update(((*deeper, id(symbol)), key) for symbol, key in zip(inner.inputs, fed, strict=True))
                expand(inner, deeper)
                ends = [resolve((*deeper, id(symbol))) for symbol in inner.outputs]
                names.update(zip(outputs, ends, strict=True))

    expand(graph, ())
    return applications, lambda tensor: resolve((id(tensor),))
