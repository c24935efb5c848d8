"""What a layer holds after bias, activation and quantizer, as arithmetic: clip(round(sum x scale + offset)) steps.

Power-of-two scales are exact in float32 and adding the offset rounds once, as adding the network's bias does. That
nothing else happens is not believed but checked, on every sum that does not saturate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.backends.tf.fast.sites import Site

Floats = NDArray[np.float32]
PROBES = 4097
"""Sums at which the ends of a quantizer's range are looked for, and compared as well."""


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

    @property
    def span(self) -> float:
        """The largest difference of two values, in steps."""
        return self.high - self.low

    def levels(self, sums: NDArray[np.float32], channel: int | slice = slice(None)) -> Floats:
        """The end tensor in steps; sums (..., channels), or any shape of one channel."""
        values = sums * np.float32(self.scale) + self.offset[channel]
        if self.rounds:
            values = np.rint(values)
        clipped: Floats = np.clip(values, np.float32(self.low), np.float32(self.high))
        return clipped


def pointwise_of(site: Site) -> Pointwise | None:
    """The arithmetic of a site; None where the network's own operations do something else."""
    n_channels = site.last_axis_columns.shape[1]
    bias = np.zeros(n_channels, np.float32) if site.bias is None else site.bias.astype(np.float32)
    if not site.rounds:
        kinds = {getattr(activation, "__name__", "") for activation in site.activations}
        low = 0.0 if "relu" in kinds else -np.inf
        return Pointwise(site.sum_step, bias, low, np.inf, 1.0, False) if kinds <= {"linear", "relu"} else None
    assert site.end_fact.step is not None
    step, found = site.end_fact.step, []
    for channel, most in enumerate(reach(site)):
        probes = np.unique(np.linspace(-most, most, PROBES).astype(np.int64))
        low, high = unsaturated(probes, site.values_after(probes, channel))
        sums = np.union1d(probes, np.arange(low, high + 1))
        found.append((sums, site.values_after(sums, channel) / np.float32(step)))
    lowest, highest = (float(limit) for limit in _limits([levels for _, levels in found]))
    pointwise = Pointwise(site.sum_step / step, bias / np.float32(step), lowest, highest, step, True)
    agrees = all(
        np.array_equal(pointwise.levels(sums.astype(np.float32), channel), levels)
        for channel, (sums, levels) in enumerate(found)
    )
    return pointwise if agrees else None


def _limits(levels: list[Floats]) -> tuple[np.float32, np.float32]:
    return min(one.min() for one in levels), max(one.max() for one in levels)


def reach(site: Site) -> list[int]:
    """The largest size of each channel's sum with any one of its words wrong, in units of the sums' grid."""
    worst = np.abs(site.last_axis_columns).sum(0) + 2 * site.tensor.codec.largest * float(site.tensor.scale.max())
    most: list[int] = np.ceil(worst * site.input_fact.bound / site.sum_step).astype(np.int64).tolist()
    return most


def unsaturated(sums: NDArray[np.int64], values: Floats) -> tuple[int, int]:
    """The sums between which monotone, bounded values may differ from those at the ends."""
    inner = np.flatnonzero((values != values[0]) & (values != values[-1]))
    steps = np.flatnonzero(values[1:] != values[:-1])
    if steps.size == 0:
        return int(sums[0]), int(sums[0])
    first, last = (inner[0], inner[-1]) if inner.size else (steps[0] + 1, steps[-1])
    return int(sums[max(first - 1, 0)]), int(sums[min(last + 1, sums.size - 1)])
