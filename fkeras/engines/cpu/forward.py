"""Tensors of a network on data: exact sums as matrix products, everything else as the network has it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.passes import Floats
from fkeras.engines.cpu.rows import Pass, Rows, floats_between
from fkeras.network import Grid, Network, Node
from fkeras.network.fit import exact_nodes
from fkeras.network.network import NO_READS, Reads
from fkeras.network.operation import Values
from fkeras.network.sums import WeightedSum

Key = TypeVar("Key")
Array = TypeVar("Array", bound=NDArray[Any])
SCRATCH_BYTES = 4 * 2**20
"""Bounds one activation while others are computed of it; a window's inputs need some ten times that."""
PASSED_BYTES = 64 * 2**20
"""Bounds what lies between passes, which themselves take a few samples at a time."""


def compute(
    network: Network,
    nodes: Sequence[Node],
    tensors: dict[str, Floats],
    exact: Collection[str],
    values: Values | None = None,
    reads: Reads = NO_READS,
) -> dict[str, Floats]:
    """As `network.compute`; exact: nodes whose sums may be made in any order."""
    parameters = network.values if values is None else values
    for node in nodes:
        if node.name in exact and isinstance(node.operation, WeightedSum):
            sums = node.operation.on(parameters, *(tensors[name] for name in node.inputs))
            tensors[node.name] = reads[node.name](sums) if node.name in reads else sums
        else:
            network.compute([node], tensors, parameters, reads)
    return tensors


def floats_per_sample(network: Network, nodes: Sequence[Node]) -> int:
    """The size of the largest tensor that some nodes read or write."""
    names = {name for node in nodes for name in (node.name, *node.inputs)}
    return max((prod(network.shapes[name]) for name in names), default=1)


class Golden:
    """The fault-free values of some tensors of a network; rows: samples of a call that keep its scratch small."""

    def __init__(self, network: Network, grids: Mapping[str, Grid], rows: Rows, names: Iterable[str]) -> None:
        """grids: of the network with nothing wrong."""
        self._names = tuple(dict.fromkeys(names))
        self._network, self._exact = network, exact_nodes(network, grids)
        self._steps = list(rows.passes(network.before(self._names), network.values, self._names))
        nodes = [step for step in self._steps if isinstance(step, Node)]
        floats = floats_per_sample(network, nodes), floats_between(self._steps, network)
        self.rows = max(1, min(SCRATCH_BYTES // (4 * floats[0]), PASSED_BYTES // (4 * floats[1])))

    def __call__(self, inputs: Mapping[str, Floats], rows: slice) -> dict[str, Floats]:
        """By name, the tensors of the samples `rows`."""
        tensors = {name: x[rows] for name, x in inputs.items()}
        for step in self._steps:
            if isinstance(step, Pass):
                tensors[step.end] = step(step.stored(tensors[step.given]))
            else:
                compute(self._network, [step], tensors, self._exact)
        return {name: tensors[name] for name in self._names}


def gathered(compute: Callable[[slice], Mapping[Key, Array]], rows: slice, size: int) -> dict[Key, Array]:
    """By key, what `compute` gives for `rows`, asked for `size` samples at a time so that its scratch stays small."""
    whole: dict[Key, Array] = {}
    for start in range(rows.start, rows.stop, size):
        part = slice(start, min(start + size, rows.stop))
        for name, values in compute(part).items():
            if name not in whole:
                whole[name] = np.empty_like(values, shape=(rows.stop - rows.start, *values.shape[1:]))
            whole[name][part.start - rows.start : part.stop - rows.start] = values
    return whole
