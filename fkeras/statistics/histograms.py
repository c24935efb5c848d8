"""Bins of a histogram."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_NOISE = 1e-9
"""Values closer than this share of their range are the same but for rounding."""


def bin_edges(values: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Edges of at most `most` even bins around finite values, each a whole number of the values' own smallest step
    wide: narrower or broken ones would show gaps and peaks that are none of the data's."""
    distinct = np.unique(values)
    low, high = float(distinct[0]), float(distinct[-1])
    room, one_bin = high - low, np.array([low, math.nextafter(high, math.inf)])
    if not math.isfinite(max(-low, high) + 2 * room):
        return one_bin
    steps = np.diff(distinct)
    steps = steps[steps > _NOISE * room]
    if not steps.size:
        return one_bin
    step = float(steps.min())
    width = step * math.ceil(room / ((most - 1) * step) - _NOISE)
    n_bins = math.ceil((room + step) / width - _NOISE)
    edges = np.linspace(low - step / 2, low - step / 2 + n_bins * width, n_bins + 1)
    return edges if (np.diff(edges) > 0).all() else one_bin
