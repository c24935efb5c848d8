"""Rank correlation: do two scores put the bits into the same order?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rho: the correlation of the ranks of `a` and `b`, in [-1, 1].

    a, b: (n,) numbers, infinite ones allowed; ties get the average of their ranks. A constant input orders
    nothing and explains nothing: rho is 0 then, never NaN. Raises InputError for NaN, no values, or different
    shapes.

    >>> spearman([1, 2, 3, 4], [10, 20, 20, 90])
    0.9486832980505138
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise InputError(
            f"shapes {a.shape} and {b.shape} have no rank correlation: give two equally long lists of at least 1 number"
        )
    if np.isnan(a).any() or np.isnan(b).any():
        raise InputError(
            f"NaN has no rank: got {int(np.isnan(a).sum())} in the first and {int(np.isnan(b).sum())} in the second "
            "input; replace undefined values by the metric's worst"
        )
    x, y = average_ranks(a), average_ranks(b)
    x -= x.mean()
    y -= y.mean()
    spread = np.sqrt(x @ x) * np.sqrt(y @ y)
    return float(np.clip(x @ y / spread, -1.0, 1.0)) if spread > 0 else 0.0


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1 for the smallest, (n,) float64; equal values share the average of the ranks they span."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks
