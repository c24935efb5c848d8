"""What a layer holds after bias, activation and quantizer, as arithmetic: clip(round(sum x scale + offset)) steps.

Power-of-two scales are exact in float32 and adding the offset rounds once, as adding the network's bias does. That
nothing else happens is not believed but checked, on every sum that does not saturate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fkeras.engines.cpu.sites import Site
from fkeras.network.pointwise import Relu
from fkeras.network.sums import Bias

Floats = NDArray[np.float32]
PROBES = 4097
"""Sums at which the ends of a quantizer's range are looked for, and compared as well."""
MOST_COMPARED = 2**22
"""Sums that are compared in all; a quantizer of so many levels is left to the network's own operations."""
AT_ONCE = 2**18
"""Sums that are compared at once, which bounds the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Pointwise:
    """From weighted sums in units of their grid to the end tensor in units of `step`.

    scale: a power of two; offset: (channels,) float32; low, high: where values saturate; rounds: whether values are
    rounded to whole steps, half to even.
    """

    scale: float
    offset: Floats
    low: float
    high: float
    step: float
    rounds: bool

    def levels(self, sums: NDArray[np.float32], channel: int | slice = slice(None)) -> Floats:
        """The end tensor in steps; sums (..., channels), or any shape of one channel."""
        values = sums * np.float32(self.scale) + self.offset[channel]
        if self.rounds:
            values = np.rint(values)
        clipped: Floats = np.clip(values, np.float32(self.low), np.float32(self.high))
        return clipped


def pointwise_of(site: Site, most: int) -> Pointwise | None:
    """The arithmetic of a site; None where the network's own operations do something else.

    most: the largest size of a sum in units of its grid.
    """
    if not site.rounds:
        return _unrounded(site)
    assert site.end_grid.step is not None
    step = site.end_grid.step
    unclipped = Pointwise(site.sum_step / step, site.bias / np.float32(step), -np.inf, np.inf, step, True)
    ends = []
    for channel in range(site.bias.size):
        found = _compared(site, unclipped, channel, most)
        if found is None:
            return None
        ends.append(found)
    # A channel that reaches less than the others must not be cut off where they are.
    made, held = (np.array(part) for part in zip(*ends, strict=True))
    pointwise = replace(unclipped, low=float(held.min()), high=float(held.max()))
    return pointwise if np.array_equal(np.clip(made, pointwise.low, pointwise.high), held) else None


def _unrounded(site: Site) -> Pointwise | None:
    low, high = -np.inf, np.inf
    for node in site.segment:
        match node.operation:
            case Bias():
                pass
            case Relu(slope=0.0, most=most):
                low, high = max(low, 0.0), min(high, most)
            case _:
                return None
    return Pointwise(site.sum_step, site.bias, low, high, 1.0, False)


def _compared(site: Site, unclipped: Pointwise, channel: int, most: int) -> tuple[Floats, Floats] | None:
    """The levels of the smallest and the largest sum, unclipped and as the network has them.

    None unless the network's, on every sum that may not saturate, are the unclipped ones cut off at these.
    """
    probes = np.unique(np.linspace(-most, most, PROBES).astype(np.int64))
    low, high = unsaturated(probes, site.values_after(probes, channel))
    if high - low > MOST_COMPARED:
        return None
    for sums in (probes, *(np.arange(at, min(at + AT_ONCE, high + 1)) for at in range(low, high + 1, AT_ONCE))):
        held = site.values_after(sums, channel) / np.float32(unclipped.step)
        made = unclipped.levels(sums.astype(np.float32), channel)
        if sums is probes:
            ends = made[[0, -1]], held[[0, -1]]
            limits = held.min(), held.max()
        if not np.array_equal(np.clip(made, *limits), held):
            return None
    return ends


def unsaturated(sums: NDArray[np.int64], values: Floats) -> tuple[int, int]:
    """The sums between which monotone, bounded values may differ from those at the ends."""
    inner = np.flatnonzero((values != values[0]) & (values != values[-1]))
    steps = np.flatnonzero(values[1:] != values[:-1])
    if steps.size == 0:
        return int(sums[0]), int(sums[0])
    first, last = (inner[0], inner[-1]) if inner.size else (steps[0] + 1, steps[-1])
    return int(sums[max(first - 1, 0)]), int(sums[min(last + 1, sums.size - 1)])
