"""Codes over a few bits: a parity bit, and single error correction with double error detection.

A pattern says which cells of a codeword are wrong: bit j of a uint64 is data cell j, bit d + i is check cell i. The
codes are linear, so what a decoder does depends on the pattern alone, not on what is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

Patterns = NDArray[np.uint64]

_MASKS = tuple(np.uint64(0xFFFFFFFFFFFFFFFF // (2**size + 1)) for size in (1, 2, 4))
_BYTES = np.uint64(0x0101010101010101)


def count_ones(words: NDArray[Any]) -> NDArray[np.int64]:
    """How many bits are 1 in each of an array of whole numbers from 0 up: numpy 2's bitwise_count, for numpy 1.26.

    >>> count_ones(np.array([0, 1, 6, 255])).tolist()
    [0, 1, 2, 8]
    """
    counts = words.astype(np.uint64)
    for mask, size in zip(_MASKS, (1, 2, 4), strict=True):
        counts = (counts & mask) + (counts >> np.uint64(size) & mask)
    return (counts * _BYTES >> np.uint64(56)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Decoded:
    """What is wrong after decoding, (n,) each: cells, and whether the decoder gave the word up as wrong."""

    patterns: Patterns
    detected: NDArray[np.bool_]


@dataclass(frozen=True)
class ParityBit:
    """One check bit: an odd number of wrong cells is detected, an even one is not seen."""

    n_data: int

    @property
    def n_check(self) -> int:
        """Check bits that it adds."""
        return 1

    def decode(self, patterns: Patterns) -> Decoded:
        """What a decoder makes of each pattern; a detected one is left as it is."""
        return Decoded(patterns, count_ones(patterns) % 2 == 1)


@dataclass(frozen=True)
class Hsiao:
    """Single error correction, double error detection: Hsiao, IBM J. Res. Dev. 14 (1970) 395.

    Every column of the parity check matrix has odd weight: one for a check bit, three and more for data bits, taken
    by weight and then by value. One wrong cell is mended; two are always detected; three are detected or taken for a
    single one in another cell, which is then a fourth wrong cell: which, depends on the columns.

    >>> [(d, Hsiao(d).n_check) for d in (1, 4, 6, 8, 32)]
    [(1, 3), (4, 4), (6, 5), (8, 5), (32, 7)]
    """

    n_data: int

    @cached_property
    def n_check(self) -> int:
        """Check bits that it adds."""
        return next(r for r in count(2) if 2 ** (r - 1) - r >= self.n_data)

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """The syndrome of each cell alone, (n_data + n_check,)."""
        heavy = [column for column in range(2**self.n_check) if column.bit_count() % 2 and column.bit_count() > 1]
        heavy.sort(key=lambda column: (column.bit_count(), column))
        return np.array([*heavy[: self.n_data], *(1 << i for i in range(self.n_check))])

    @cached_property
    def _flipped_for(self) -> Patterns:
        """The cell that the decoder turns over, as a pattern, by syndrome; 0 for none."""
        table = np.zeros(2**self.n_check, np.uint64)
        table[self.columns] = np.uint64(1) << np.arange(self.columns.size, dtype=np.uint64)
        return table

    def decode(self, patterns: Patterns) -> Decoded:
        """What a decoder makes of each pattern; a detected one is left as it is."""
        syndromes = np.zeros(patterns.shape, np.int64)
        for cell, column in enumerate(self.columns.tolist()):
            syndromes ^= np.where(patterns >> np.uint64(cell) & np.uint64(1), column, 0)
        turned = self._flipped_for[syndromes]
        return Decoded(patterns ^ turned, (syndromes != 0) & (turned == 0))
