"""A network that belongs to no framework: what is stored, and what is computed with it, in plain numbers.

A `Network` is a list of `Node`s, each one `Operation` (`sums`, `pointwise`, `shapes`, `pools`, `merges`) on tensors
that stand before it. It evaluates itself slowly and obviously; engines do it fast.
"""

from fkeras.network.merges import Concatenate, Merge
from fkeras.network.network import Input, Network, Node
from fkeras.network.operation import Grid, Operation, grid_of
from fkeras.network.pointwise import Function, Quantize, Relu, Steps
from fkeras.network.pools import AveragePool, MaxPool
from fkeras.network.shapes import Cropping, Permute, Repeat, Reshape, ZeroPadding
from fkeras.network.sums import Affine, Bias, Convolution, Dense, DepthwiseConvolution, Einsum, TransposedConvolution

OPERATIONS = {
    kind.__name__: kind
    for kind in (
        Affine,
        AveragePool,
        Bias,
        Concatenate,
        Convolution,
        Cropping,
        Dense,
        DepthwiseConvolution,
        Einsum,
        Function,
        MaxPool,
        Merge,
        Permute,
        Quantize,
        Relu,
        Repeat,
        Reshape,
        Steps,
        TransposedConvolution,
        ZeroPadding,
    )
}
"""Every kind of node, by the name that files give it."""

__all__ = [
    "OPERATIONS",
    "Affine",
    "AveragePool",
    "Bias",
    "Concatenate",
    "Convolution",
    "Cropping",
    "Dense",
    "DepthwiseConvolution",
    "Einsum",
    "Function",
    "Grid",
    "Input",
    "MaxPool",
    "Merge",
    "Network",
    "Node",
    "Operation",
    "Permute",
    "Quantize",
    "Relu",
    "Repeat",
    "Reshape",
    "Steps",
    "TransposedConvolution",
    "ZeroPadding",
    "grid_of",
]
