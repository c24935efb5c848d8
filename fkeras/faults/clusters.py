"""Clustered upsets: one particle, several neighbouring cells (MCU), of one word (MBU) or of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isclose
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError, is_number, whole
from fkeras.faults.fault_models import Bits, Draw, Exposure, FlipCount, Keyed, draw_of
from fkeras.faults.memories import fault_model
from fkeras.faults.stream import RandomStream
from fkeras.faults.upsets import Hits

Copies = Literal["separated", "adjacent"]
Shape = tuple[int, int]
"""Rows and columns."""


@dataclass(frozen=True, slots=True)
class CellLayout(Keyed):
    """Where the bits of a memory sit.

    Arguments:
        columns: cells fill rows of so many, in the order of the bits; None: one row.
        word_bits: bits of a stored word; interleaving needs it.
        interleaving: so many words share a stretch of a row, bit 0 of each, then bit 1 of each, so that neighbouring
            cells belong to different words; 1: a word's bits are neighbours.
        copies: where the further copies of a bit under TMR sit, "separated" in arrays of their own, or "adjacent" in
            the same row, one beside the other.

    >>> CellLayout(word_bits=3, interleaving=2).order(12).tolist()
    [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
    """

    columns: int | None = None
    word_bits: int | None = None
    interleaving: int = 1
    copies: Copies = "separated"

    def __post_init__(self) -> None:
        for name in ("columns", "word_bits", "interleaving"):
            value = getattr(self, name)
            if value is None and name != "interleaving":
                continue
            object.__setattr__(self, name, whole(name, value, 1))
        if self.interleaving > 1 and self.word_bits is None:
            raise InputError(
                f"interleaving={self.interleaving} needs to know how long a stored word is; give word_bits, as in "
                "CellLayout(word_bits=6, interleaving=4)"
            )
        if self.copies not in get_args(Copies):
            raise InputError(f"copies is {self.copies!r}; allowed are 'separated' and 'adjacent'")

    def order(self, n_bits: int) -> Bits:
        """The bit in each cell, row after row, (n_bits,)."""
        bits = np.arange(n_bits)
        if self.interleaving == 1:
            return bits
        assert self.word_bits is not None
        word, within = np.divmod(bits, self.word_bits)
        block, lane = np.divmod(word, self.interleaving)
        return np.lexsort((lane, within, block))

    def describe(self) -> str:
        """A few words for reports."""
        rows = "one row" if self.columns is None else f"rows of {self.columns} cells"
        words = "words not interleaved" if self.interleaving == 1 else f"{self.interleaving} words interleaved"
        return f"{rows}, {words}, TMR copies {self.copies}"


@dataclass(frozen=True, slots=True)
class ClusteredUpsets(Keyed):
    """Particles strike, and each upsets a cluster of neighbouring cells. Two hits on one cell cancel.

    Arguments:
        events: how many strike, a count, `FlipCount` or `Exposure`, each at a uniformly drawn cell.
        sizes: how probable each cluster is, by its number of cells along a row, or its (rows, columns); the struck cell
            is its first, top and left, and what reaches over the edge of the array is cut off. There is no default:
            they depend on the technology, the particle and its angle; take them from a beam test of the memory in
            question (JESD89 says how; Ibe et al., IEEE Trans. Electron Devices 57 (2010) 1527, how they grow from 250
            nm to 22 nm).
        cells: where the bits sit.

    The smallest case: one event, two cells
    >>> draw = ClusteredUpsets(1, {2: 1.0}).draw(10, RandomStream("k"))
    >>> draw.faults, draw.n_hits
    (FaultSet([5, 6]), 2)
    """

    events: FlipCount | Exposure
    sizes: tuple[tuple[Shape, float], ...]
    cells: CellLayout = field(default=CellLayout())

    def __init__(
        self,
        events: int | FlipCount | Exposure,
        sizes: Mapping[int | Shape, float] | tuple[tuple[Shape, float], ...],
        cells: CellLayout = CellLayout(),
    ) -> None:
        strikes = fault_model(events)
        if not isinstance(strikes, FlipCount | Exposure):
            raise InputError(f"events is {events!r}; allowed are a number of events, FlipCount or Exposure")
        if not isinstance(cells, CellLayout):
            raise InputError(f"cells is {cells!r}; allowed is a fkeras.CellLayout")
        object.__setattr__(self, "events", strikes)
        object.__setattr__(self, "sizes", _checked_sizes(sizes.items() if isinstance(sizes, Mapping) else sizes))
        object.__setattr__(self, "cells", cells)

    @property
    def exposure_seconds(self) -> float | None:
        """The time over which the events come, None: not known."""
        return self.events.exposure_seconds

    @property
    def mean_cells(self) -> float:
        """Cells that an event upsets on average, edges aside."""
        return sum(rows * columns * chance for (rows, columns), chance in self.sizes)

    def draw(self, n_bits: int, stream: RandomStream) -> Draw:
        cells, events = self._footprints(*self._strikes(n_bits, stream), np.ones(n_bits, np.int64))
        return draw_of(self.cells.order(n_bits)[cells], events)

    def draw_copies(self, n_bits: int, bits: Bits, stream_of: Callable[[int], RandomStream]) -> Hits | None:
        """The hits on the three copies of each of `bits` where they are neighbours; None where they are separated.

        The trial's own events strike first copies and unprotected cells; further events, as many per cell, strike
        second and third copies. A cluster then covers so many cells of a row in which the copies have been put.
        """
        if self.cells.copies == "separated":
            return None
        order = self.cells.order(n_bits)
        covered = np.isin(order, bits)
        widths = np.where(covered, 3, 1)
        starts = np.cumsum(widths) - widths
        columns = []
        for copy in range(3):
            struck, shapes = self._strikes(n_bits, stream_of(copy))
            event = np.arange(struck.size)
            if copy:
                event = event[covered[struck]]
            cells, nth = self._footprints(starts[struck[event]] + copy, shapes[event], widths)
            site = np.repeat(np.arange(n_bits), widths)[cells]
            on = covered[site]
            site, cell = site[on], cells[on]
            columns.append(np.stack([order[site], cell - starts[site], event[nth[on]], np.full(site.size, copy)]))
        return Hits(*np.concatenate(columns, axis=1))

    def _strikes(self, n_bits: int, stream: RandomStream) -> tuple[Bits, NDArray[np.int64]]:
        """The cell that each event strikes, and the number of its shape."""
        struck = self.events.draw(n_bits, stream).cells[0]
        bounds = np.cumsum([chance for _, chance in self.sizes])
        shape = np.searchsorted(bounds[:-1], stream.uniform(struck.size), side="left")
        return struck, shape.astype(np.int64)

    def _footprints(self, struck: Bits, shape: NDArray[np.int64], widths: Bits) -> tuple[Bits, Bits]:
        """The cells that events upset, and the event of each.

        struck: the first cell of each; widths: cells of each place, three where copies are neighbours.
        """
        starts = np.cumsum(widths) - widths
        row_starts = np.append(starts[:: self.cells.columns or max(1, widths.size)], widths.sum())
        row = np.searchsorted(row_starts, struck, side="right") - 1
        cells, events = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for number, ((n_rows, n_columns), _) in enumerate(self.sizes):
            mine = np.flatnonzero(shape == number)
            for down in range(n_rows):
                for along in range(n_columns):
                    below = row[mine] + down
                    inside = below < row_starts.size - 1
                    below, event = below[inside], mine[inside]
                    cell = row_starts[below] + struck[event] - row_starts[row[event]] + along
                    inside = cell < row_starts[below + 1]
                    cells.append(cell[inside])
                    events.append(event[inside])
        return np.concatenate(cells), np.concatenate(events)

    def scaled(self, share: float) -> ClusteredUpsets:
        """A share of the events."""
        return replace(self, events=self.events.scaled(share))

    def short(self, n_bits: int) -> str:
        """A word for tables."""
        return f"{self.events.short(n_bits)} clusters"

    def describe(self, n_bits: int) -> str:
        sizes = ", ".join(f"{_shape_text(shape)} {chance:.4g}" for shape, chance in self.sizes)
        return (
            f"clusters of cells (probabilities by size: {sizes}; {self.cells.describe()}), struck places: "
            f"{self.events.describe(n_bits)}"
        )


def _shape_text(shape: Shape) -> str:
    return str(shape[1]) if shape[0] == 1 else f"{shape[0]}x{shape[1]}"


def _checked_sizes(sizes: Iterable[tuple[object, float]]) -> tuple[tuple[Shape, float], ...]:
    chances: dict[Shape, float] = {}
    for size, chance in sizes:
        shape = size if isinstance(size, tuple) else (1, size)
        if len(shape) != 2 or not all(
            isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1 for n in shape
        ):
            raise InputError(
                f"sizes: {size!r} is no cluster; allowed are numbers of cells from 1 up, or (rows, columns)"
            )
        if not (is_number(chance) and 0 <= chance <= 1):
            raise InputError(f"sizes: the probability of {size!r} is {chance!r}; allowed are numbers from 0 to 1")
        chances[int(shape[0]), int(shape[1])] = chances.get((int(shape[0]), int(shape[1])), 0.0) + float(chance)
    if not isclose(sum(chances.values()), 1.0, abs_tol=1e-9):
        raise InputError(f"sizes: the probabilities add up to {sum(chances.values()):.6g}; they must add up to 1")
    return tuple(sorted((shape, chance) for shape, chance in chances.items() if chance))
