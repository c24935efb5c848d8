"""Layers that compute something else at each call: no verdict can rest on them, so they are refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fkeras.errors import UnsupportedError

_CHANGES = re.compile("Random|Multinomial|Rng|Normal|Binomial|Poisson|Gamma|Assign|Scatter|Timestamp")
"""What stateful operations are called that draw numbers, or write into variables that the outputs depend on."""
_PYTHON = ("PyFunc", "EagerPyFunc", "PyFuncStateless")
_BRANCHES = ("If", "StatelessIf", "Case", "StatelessCase")


def refuse_randomness(graph: Any, model: Any) -> bool:
    """UnsupportedError for a graph that holds such an operation, by the name of its layer.

    Returns whether the graph cannot tell: code of Python in it, or an operation in a branch that may never be taken.
    """
    is_open = False
    for path, kind, is_certain in _operations(graph):
        if kind in _PYTHON or not is_certain:
            is_open = True
        else:
            raise random_layer(model, path, f"the operation {kind}")
    return is_open


def random_layer(model: Any, path: str, what: str) -> UnsupportedError:
    """The error for a layer that is random, by the place of an operation in the graph; "" where that is not known."""
    names = {layer.name for layer in model._flatten_layers(include_self=False)}
    name = next((part for part in reversed(path.split("/")) if part in names), None)
    where = f"layer '{name}'" if name else f"model '{model.name}'"
    return UnsupportedError(
        f"{where} gives other outputs at each call ({what}): what faults do cannot be told from that; use a layer that "
        "is random while it trains only (training=True is not passed, ber=None), or a fixed seed and no state"
    )


def _operations(graph: Any) -> Iterator[tuple[str, str, bool]]:
    """Path, kind and certainty to be run of the operations that matter, functions that the graph calls included."""
    from tensorflow.python.framework import op_def_registry

    definition = graph.as_graph_def()
    functions = {function.signature.name: function.node_def for function in definition.library.function}
    open_calls = [("", definition.node, True)]
    seen = set()
    while open_calls:
        path, nodes, is_certain = open_calls.pop()
        for node in nodes:
            here = f"{path}/{node.name}"
            known = op_def_registry.get(node.op)
            if node.op in _PYTHON or (known is not None and known.is_stateful and _CHANGES.search(node.op)):
                yield here, node.op, is_certain
            certain = is_certain and node.op not in _BRANCHES
            for attribute in node.attr.values():
                for name in (attribute.func.name, *(function.name for function in attribute.list.func)):
                    if name in functions and (name, certain) not in seen:
                        seen.add((name, certain))
                        open_calls.append((here, functions[name], certain))
