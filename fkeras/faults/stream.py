"""Randomness that is the same on every machine and with every numpy: raw Philox words and our own sampling.

numpy promises the raw words of a bit generator, but not what `Generator` makes of them.
"""

from __future__ import annotations

import hashlib
from math import ceil, exp

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError

_POISSON_CHUNK = 8.0


def whole_seed(seed: object) -> int:
    """`seed` as an int. InputError for what is no whole number: rounding it would give two seeds the same draws."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise InputError(Argument("seed", seed, " is "), "; allowed are whole numbers")
    return int(seed)


class RandomStream:
    """A reproducible stream, keyed by text: equal keys give equal draws in any order, anywhere."""

    def __init__(self, *key: object) -> None:
        digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
        self._philox = np.random.Philox(key=int.from_bytes(digest[:16], "little"))

    def raw(self, n: int) -> NDArray[np.uint64]:
        """n uniform 64-bit words."""
        return self._philox.random_raw(n)

    def uniform(self, n: int) -> NDArray[np.float64]:
        """n uniform numbers in (0, 1], multiples of 2**-53."""
        return ((self.raw(n) >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53

    def integers(self, n: int, below: int) -> NDArray[np.int64]:
        """n independent whole numbers, uniform on 0 ... below - 1; unbiased by rejection."""
        limit = np.uint64((2**64 // below) * below - 1)
        accepted: list[NDArray[np.uint64]] = []
        missing = n
        while missing > 0:
            words = self.raw(missing)
            words = words[words <= limit]
            accepted.append(words)
            missing -= words.size
        return (np.concatenate(accepted) % np.uint64(below)).astype(np.int64) if accepted else np.zeros(0, np.int64)

    def distinct(self, n: int, below: int) -> NDArray[np.int64]:
        """A uniform subset of n of the numbers 0 ... below - 1, sorted."""
        if n > below // 2:
            return np.setdiff1d(np.arange(below), self.distinct(below - n, below), assume_unique=True)
        drawn = np.zeros(0, np.int64)
        while drawn.size < n:
            drawn = np.sort(np.concatenate([drawn, self.integers(n - drawn.size, below)]))
            drawn = drawn[np.diff(drawn, prepend=-1) > 0]
        return drawn

    def bernoulli(self, n: int, probability: float) -> NDArray[np.int64]:
        """The indices of those of n independent trials that succeed."""
        threshold = int(probability * 2.0**64)
        if threshold >= 2**64:
            return np.arange(n)
        return np.flatnonzero(self.raw(n) < np.uint64(threshold))

    def poisson(self, mean: float) -> int:
        """A Poisson count: the sum of small ones, each by Knuth's product of uniforms (TAOCP 2, 3.4.1)."""
        n_chunks = ceil(mean / _POISSON_CHUNK)
        if n_chunks == 0:
            return 0
        threshold = exp(-mean / n_chunks)
        product = self.uniform(n_chunks)
        count = 0
        while (alive := product > threshold).any():
            product = product[alive]
            count += product.size
            product = product * self.uniform(product.size)
        return count
