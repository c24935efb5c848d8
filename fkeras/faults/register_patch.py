"""What a fault set makes of the words of one register."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.memory import Register

Bits = NDArray[np.int64]
Words = NDArray[np.uint32]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class RegisterPatch:
    """The words of one register that a fault set changes.

    elements: (m,) int64, ascending, wrong in every sample: the bits `flips` of their words flip, `ones` and `zeros` are
    stuck, (m,) uint32 each. samples: (k,) int64, ascending, in which the bits `sample_flips` of `sample_elements` flip
    as well. Where nothing is wrong, words may still be read through the register's limits.
    """

    register: Register
    elements: Bits
    flips: Words
    ones: Words
    zeros: Words
    samples: Bits
    sample_elements: Bits
    sample_flips: Words

    @property
    def is_wrong(self) -> bool:
        """Whether any bit is."""
        return bool(self.elements.size or self.samples.size)

    def within(self, rows: Bits) -> tuple[Bits, Bits, Words]:
        """What flips in single ones of the samples with these numbers, ascending: the place of each among them, the
        elements, the bits."""
        row = np.searchsorted(rows, self.samples)
        here = np.flatnonzero(np.append(rows, -1)[row] == self.samples)
        return row[here], self.sample_elements[here], self.sample_flips[here]

    def read(self, values: Floats, words: Floats, rows: Bits) -> Floats:
        """What is read in place of `values`, (n, *shape), of the samples with these numbers, (n,), ascending.

        words: what the register's words mean, where it holds other numbers than these.
        """
        n, size = len(values), self.register.size
        held, result = words.reshape(n, size), values.reshape(n, size).copy()
        seen = held.copy()
        if self.elements.size:
            column = np.tile(self.elements, n)
            masks = (np.tile(part, n) for part in (self.flips, self.ones, self.zeros))
            read = self.register.faulty(held[:, self.elements].reshape(-1), column, *masks)
            result[:, self.elements] = read.reshape(n, -1)
            seen[:, self.elements] = result[:, self.elements]
        row, column, flips = self.within(rows)
        if row.size:
            ones, zeros = np.zeros_like(flips), np.zeros_like(flips)
            if self.elements.size:
                place = np.minimum(np.searchsorted(self.elements, column), self.elements.size - 1)
                both = self.elements[place] == column
                flips = flips ^ np.where(both, self.flips[place], np.uint32(0))
                ones, zeros = (np.where(both, part[place], np.uint32(0)) for part in (self.ones, self.zeros))
            result[row, column] = self.register.faulty(held[row, column], column, flips, ones, zeros)
            seen[row, column] = result[row, column]
        return self.register.checked(result, seen).reshape(values.shape)
