"""The fault-free levels of rows of layers, made once for all who ask: what single flips are added to."""

from __future__ import annotations

import numpy as np

from fkeras.engines.cpu.plan import Plan
from fkeras.engines.cpu.rows import Row, Stored
from fkeras.engines.cpu.samples import Samples

HELD_BYTES = 192 * 2**20
"""Bounds the levels that are held at once."""


class Activations:
    """Makes the levels of a row chunk by chunk of samples, and holds the last chunks as long as they fit."""

    def __init__(self, plan: Plan, samples: Samples) -> None:
        self._plan, self._samples = plan, samples
        self._held: dict[Row, tuple[slice, Stored]] = {}

    def chunks(self, row: Row) -> list[slice]:
        """The samples of each chunk."""
        return self._samples.chunks(int(np.clip(HELD_BYTES // row.forward.program.blank.size, 1, self._samples.n)))

    def __call__(self, row: Row, rows: slice) -> Stored:
        """One chunk, as `Forward.arenas` gives it."""
        if row not in self._held or self._held[row][0] != rows:
            self._held.pop(row, None)
            room = HELD_BYTES - (rows.stop - rows.start) * row.forward.program.blank.size
            while self._held and sum(levels.nbytes for _, levels in self._held.values()) > room:
                self._held.pop(next(iter(self._held)))
            self._held[row] = rows, self._made(row, rows)
        return self._held[row][1]

    def _made(self, row: Row, rows: slice) -> Stored:
        whole = row.whole
        golden = self._plan.golden([whole.given])
        arenas = np.empty((rows.stop - rows.start, row.forward.program.blank.size), np.uint8)
        for part in self._samples.chunks(golden.rows, rows):
            stored = whole.stored(golden(self._samples.inputs, part)[whole.given])
            row.forward.arenas(stored, arenas[part.start - rows.start : part.stop - rows.start])
        return arenas
