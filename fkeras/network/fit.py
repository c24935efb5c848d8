"""Whether a network computes what the framework that it was made from computes, on the data at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.network.network import Network, Node
from fkeras.network.operation import Grid, grid_of
from fkeras.network.pointwise import Quantize, Steps
from fkeras.network.sums import WeightedSum

TOLERANCE = 1e-6
"""Of outputs behind a float tail; relative where they are larger than 1."""
MOST_FLOATS = 2**24
"""Bounds the tensors that are held at once."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Where a network is not to be relied on, and why; node: its name, or that of an output."""

    node: str
    why: str


def rounds_reproducibly(node: Node, grids: Mapping[str, Grid]) -> bool:
    """Whether a node rounds nothing whose last bits depend on who computes it."""
    return not isinstance(node.operation, Quantize | Steps) or all(grids[name].reproducible for name in node.inputs)


def exact_nodes(network: Network, grids: Mapping[str, Grid]) -> frozenset[str]:
    """The weighted sums that are the same in any order."""
    return frozenset(
        node.name
        for node in network.nodes
        if isinstance(node.operation, WeightedSum) and grids[node.name].step is not None
    )


def rounding_misfit(network: Network, inputs: Sequence[NDArray[Any]]) -> Misfit | None:
    """The first quantizer that rounds what another order of additions computes differently in the last bits."""
    given = {part.name: grid_of(x) for part, x in zip(network.inputs, inputs, strict=True)}
    return unreproducible(network, network.grids(given))


def unreproducible(network: Network, grids: Mapping[str, Grid]) -> Misfit | None:
    """The same where the grids of the tensors are known."""
    for node in network.before(network.outputs):
        if not rounds_reproducibly(node, grids):
            return Misfit(node.name, "rounds sums that are not exact in float32")
    return None


def golden_misfit(network: Network, inputs: Sequence[NDArray[Any]], golden: Sequence[NDArray[Any]]) -> Misfit | None:
    """The first output that differs from the framework's: at all, or behind a float tail by more than 1e-6."""
    given = {part.name: grid_of(x) for part, x in zip(network.inputs, inputs, strict=True)}
    grids = network.grids(given)
    rows = max(1, MOST_FLOATS // sum(map(prod, network.shapes.values())))
    parts = [slice(start, start + rows) for start in range(0, len(inputs[0]), rows)]
    misfits = (
        outputs_misfit(network, grids, network([x[at] for x in inputs]), [y[at] for y in golden]) for at in parts
    )
    return next((misfit for misfit in misfits if misfit is not None), None)


def outputs_misfit(
    network: Network, grids: Mapping[str, Grid], outputs: Sequence[NDArray[Any]], golden: Sequence[NDArray[Any]]
) -> Misfit | None:
    """The first of a network's outputs on some data that differs from the framework's; grids: of its tensors."""
    for name, called, output, expected in zip(network.outputs, network.output_names, outputs, golden, strict=True):
        exact = grids[name].reproducible
        difference = _difference(output, np.asarray(expected, np.float64), exact)
        if difference:
            allowed = "must be equal" if exact else f"may differ by {TOLERANCE:g}"
            return Misfit(called, f"differs from the framework's by {difference:.3g} and {allowed}")
    return None


def _difference(output: NDArray[Any], expected: NDArray[Any], exact: bool) -> float:
    """The largest difference that is not allowed, 0.0 without one."""
    if output.shape != expected.shape:
        return np.inf
    with np.errstate(all="ignore"):
        apart = np.abs(output - expected) / (1.0 if exact else np.maximum(np.abs(expected), 1.0))
    apart[(output == expected) | (np.isnan(output) & np.isnan(expected))] = 0.0
    wrong = ~(apart <= (0.0 if exact else TOLERANCE))
    return float(np.nan_to_num(apart[wrong], nan=np.inf).max(initial=0.0))
