"""Which flips break a prediction at all: yes or no, without counting."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.progress import Progress

FIRST_SAMPLES = 16
"""Samples of the first look; each later look takes twice as many as the one before."""


def find_sensitive(
    start: Callable[[NDArray[np.int64]], Run],
    margins: NDArray[np.float64],
    bits: NDArray[np.int64],
    progress: Progress,
) -> NDArray[np.bool_]:
    """Whether each bit's flip makes a sample wrong that was right, (n,) bool in the order of `bits`; exact.

    start: a run over chosen samples, with one classification metric; margins: (n_samples,) how much a sample's class
    wins by, NaN for samples that are wrong anyway. A bit is done at its first broken sample, so samples with small
    margins are tried first and most sensitive bits cost a few samples each.
    """
    sensitive = np.zeros(bits.size, np.bool_)
    right = np.flatnonzero(~np.isnan(margins))
    by_margin = right[np.argsort(margins[right], kind="stable")]
    with progress(bits.size * right.size, "pair", "sensitive bits") as advance:
        for samples in _doubling(by_margin):
            open_bits = np.flatnonzero(~sensitive)
            if open_bits.size:
                run = start(np.sort(samples))
                for part in run.batches(bits[open_bits]):
                    (scores,) = run.flips(bits[open_bits[part]]).values()
                    sensitive[open_bits[part]] = scores.harmed > 0
            advance(bits.size * samples.size)
    return sensitive


def _doubling(samples: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    start, size = 0, FIRST_SAMPLES
    while start < samples.size:
        yield samples[start : start + size]
        start, size = start + size, 2 * size
