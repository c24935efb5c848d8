"""What a pass does, and what it multiplies with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

STEP = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("kind", "form", "into", "zero", "lane", "lanes", "place", "stop_place", "block", "stop_block"),
            *("source", "target", "height", "width", "height_out", "width_out", "pitch", "pitch_out"),
            *("rows", "columns", "down", "across", "above", "left"),
        )
    ]
    + [(name, np.float32) for name in ("scale", "low", "high")]
    + [("rounds", np.bool_)]
)
"""One layer: weighted sums or a pool; how its input and output are stored; its lanes, outputs and blocks of lanes; a
pool's images and window."""
BLOCK = np.dtype([(name, np.int64) for name in ("tap", "stop_tap", "weights", "lane")])
"""Lanes that read the same inputs: what they read, where their weights begin, the first of them."""
SUMS, MAXIMUM = 0, 1


class Program(NamedTuple):
    """Steps, blocks of lanes, where outputs read and write, what each step of a block reads, and the bytes of a sample
    before a pass, all levels zero."""

    steps: NDArray[Any]
    blocks: NDArray[Any]
    places: NDArray[np.int64]
    taps: NDArray[np.int32]
    blank: NDArray[np.uint8]


class Kernels(NamedTuple):
    """What a pass multiplies with and adds: weights, as the tiles read them; starts: what each lane's sums begin with;
    offsets of each lane."""

    weights: NDArray[np.uint8]
    starts: NDArray[np.int32]
    offsets: NDArray[np.float32]
