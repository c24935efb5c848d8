"""Models that no network describes: the framework's own operations, for single flips only those behind the flip.

The framework's graph is cut where golden values enter operations that a fault can change. The same operations on the
same parts of the data give the same bits, whatever the layers are; that it is so is checked on the golden network and
on the first fault, and where it is not, or memory ends, the whole model runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import RunAround, Scores
from fkeras.faults import FaultSet
from fkeras.frontends.qkeras.forward import patched_values
from fkeras.frontends.qkeras.framework import FrameworkRun, chunks
from fkeras.scoring import scores_of

FEWEST_FLIPS = 4
"""For fewer flips of a tensor at once the golden values that lie before it are not worth computing."""
HELD_BYTES = 192 * 2**20
"""Bounds the golden values that are held."""


class TailRun(RunAround):
    """What the framework's run gives; why: the layer that no network describes, and the reason."""

    def __init__(self, run: FrameworkRun, why: str) -> None:
        super().__init__(run)
        self._whole, self._why = run, why
        self._tail: Tail | None = None

    @property
    def engine(self) -> str:
        """The framework's, and why nobody else."""
        return f"{self._whole.engine} ({self._why})"

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Positions within `bits`, a few of one tensor at a time."""
        tensor = self.space.locate(bits).tensor
        for number in np.unique(tensor):
            here = np.flatnonzero(tensor == number)
            yield from np.split(here, range(self.batch_size, here.size, self.batch_size))

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit flipped alone, by what lies behind it if that is worth its making."""
        tensor = self.space.locate(bits).tensor
        results = {name: Scores.zeros(bits.size) for name in self.metrics}
        for number in np.unique(tensor).tolist():
            here = np.flatnonzero(tensor == number)
            for name, scores in self._behind(number, bits[here]).items():
                results[name].fill(here, scores)
        return results

    def _behind(self, number: int, bits: NDArray[np.int64]) -> dict[str, Scores]:
        if self._tail is None or self._tail.tensor != number:
            if bits.size < FEWEST_FLIPS or self.space.registers:
                return self._whole.flips(bits)
            self._tail = None  # its golden values go before others come
            self._tail = Tail(self._whole, number)
        return self._tail.flips(bits)


class Tail:
    """Single flips of one tensor."""

    def __init__(self, run: FrameworkRun, tensor: int) -> None:
        self.tensor = tensor
        self._run, self._behind = run, run.forward.behind(tensor)
        self._golden = self._held()
        self._is_checked = False

    def _held(self) -> dict[int, tuple[Any, ...]]:
        """By the first row of a part of the data, the golden values that enter what depends on the tensor."""
        held: dict[int, tuple[Any, ...]] = {}
        if self._behind is None:
            return held
        run, free = self._run, HELD_BYTES
        for rows in chunks(run.forward, run.inputs):
            golden = self._behind.golden([array[rows] for array in run.inputs], run.golden_values)
            free -= sum(part.numpy().nbytes for part in golden)
            if free < 0:
                break
            outputs = self._behind(run.golden_values[self.tensor], golden)
            if not _equal(outputs, run.outputs(rows, run.golden_values)):
                return {}
            held[rows.start] = golden
        return held

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit flipped alone."""
        run, results = self._run, []
        for bit in bits:
            values = patched_values(run.space, run.golden_values, FaultSet(np.array([bit])).patches(run.space))
            tally = run.card.tally()
            for rows in chunks(run.forward, run.inputs):
                outputs = self._outputs(rows, values)
                tally.add(outputs[0] if len(outputs) == 1 else outputs, rows)
            self._is_checked = True
            results.append(tally.result())
        return scores_of(results, list(run.metrics))

    def _outputs(self, rows: slice, values: Sequence[Any]) -> tuple[NDArray[Any], ...]:
        if self._behind is None or rows.start not in self._golden:
            return self._run.outputs(rows, values)
        outputs = tuple(part.numpy() for part in self._behind(values[self.tensor], self._golden[rows.start]))
        if not self._is_checked and not _equal(outputs, whole := self._run.outputs(rows, values)):
            self._golden = {}
            return whole
        return outputs


def _equal(some: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(some, others, strict=True))
