"""Tables from a channel's weighted sum to its value after bias, activation and quantizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.backends.tf.fast.channels import Ints
from fkeras.backends.tf.fast.sites import Site

COARSE = 4096
"""Points at which the ends of a quantizer's range are looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class ChannelTable:
    """level[sum - low] numbers a value of `values`; beyond its ends the table goes on as it ends."""

    low: int
    level: Ints
    values: NDArray[np.float32]

    def levels_of(self, sums: Ints) -> Ints:
        """The level of each sum."""
        return self.level[np.clip(sums - self.low, 0, self.level.size - 1)]


def channel_table(site: Site, channel: int, low: int, high: int) -> ChannelTable:
    """The table of one channel for sums from `low` to `high`, made with the network's own operations.

    Quantizers of the exact region are monotone and bounded, so a table need not reach beyond where they saturate.
    """
    if site.rounds and high - low > COARSE:
        low, high = _unsaturated(site, channel, low, high)
    after = site.values_after(np.arange(low, high + 1, dtype=np.int64), channel)
    values, level = np.unique(after.view(np.uint32), return_inverse=True)
    return ChannelTable(low, level.astype(np.int32).reshape(-1), values.view(np.float32))


def _unsaturated(site: Site, channel: int, low: int, high: int) -> tuple[int, int]:
    points = np.unique(np.linspace(low, high, COARSE).astype(np.int64))
    values = site.values_after(points, channel)
    inner = np.flatnonzero((values != values[0]) & (values != values[-1]))
    steps = np.flatnonzero(values[1:] != values[:-1])
    if steps.size == 0:
        return low, low
    first, last = (inner[0], inner[-1]) if inner.size else (steps[0] + 1, steps[-1])
    return int(points[max(first - 1, 0)]), int(points[min(last + 1, points.size - 1)])
