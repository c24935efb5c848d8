"""Small transposed convolutions as matrix products: the same linear map, many times faster on a CPU.

Only the float tail is treated so, where no quantizer follows and the order of a sum is free within 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import NDArray

from fkeras.engines.cpu.channels import Floats
from fkeras.network.operation import Shape
from fkeras.network.sums import TransposedConvolution

MOST_ENTRIES = 2**20
WORTH_SPLITTING = 2**18
"""Entries of a matrix from which on products with its bands save more than they cost."""


def as_matrix(operation: TransposedConvolution, kernel: Floats, shape: Shape) -> Callable[[Floats], Floats] | None:
    """What the operation computes of samples of `shape`; None where its matrix is too large."""
    n, output_shape = prod(shape), (*operation.lengths, kernel.shape[-2])
    if n * prod(output_shape) > MOST_ENTRIES:
        return None
    basis = np.eye(n, dtype=np.float32).reshape(n, *shape)
    matrix = operation.on({operation.kernel: kernel}, basis).reshape(n, -1)
    rows_of_output = -(-output_shape[0] // operation.strides[0])
    parts = bands(matrix, rows_of_output if matrix.size >= WORTH_SPLITTING else 1)
    stops = np.cumsum([band.shape[1] for _, band in parts])

    def apply(x: Floats) -> Floats:
        flat = x.reshape(-1, n)
        sums = np.empty((len(flat), matrix.shape[1]), np.float32)
        for (rows, band), stop in zip(parts, stops, strict=True):
            np.matmul(flat[:, rows], band, out=sums[:, stop - band.shape[1] : stop])
        return sums.reshape(-1, *output_shape)

    return apply


def bands(matrix: NDArray[np.float32], n_bands: int) -> list[tuple[slice, NDArray[np.float32]]]:
    """Consecutive columns of a matrix and the rows that they need: image rows that lie apart do not meet.

    matrix (inputs, outputs); the product is the concatenation of x[:, rows] @ band.
    """
    found = []
    for part in np.array_split(matrix, n_bands, axis=1):
        needed = np.flatnonzero(part.any(axis=1))
        rows = slice(int(needed[0]), int(needed[-1]) + 1) if needed.size else slice(0, 1)
        found.append((rows, np.ascontiguousarray(part[rows])))
    return found
